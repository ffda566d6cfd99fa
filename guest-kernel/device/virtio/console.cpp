// A virtio-console: port 0 says what the log says.
// SPDX-License-Identifier: MIT
#include "device/virtio/console.hpp"

#include <algorithm>
#include <array>
#include <new>
#include <utility>

#include "base/atomic.hpp"
#include "base/log.hpp"
#include "base/panic.hpp"
#include "device/virtio/backlog.hpp"
#include "task/lock.hpp"

namespace pv::virtio {
namespace {

using namespace literals;

constexpr std::size_t transmit_queue = 1;
constexpr int attempts = 5;
constexpr std::size_t backlog_bytes = 16384;
/// How often the mirror looks: whoever logs may hold locks under which nobody can be woken.
constexpr Duration look_every = 20_ms;
/// What the mirror says at once, and how long that may take.
constexpr std::size_t chunk = 2048;
constexpr Duration chunk_deadline = 2_s;

// Anything may log, so the lock is an innermost one.
constinit task::Guarded<Backlog<backlog_bytes>, task::Rank::console> backlog;
constinit Atomic<bool> mirrored{false};

void keep(std::string_view line) {
    backlog.with([&](auto& lines) { lines.put(line); });
}

}  // namespace

Result<std::unique_ptr<Console>> Console::create(pci::Function function, unsigned number,
                                                 const Patience& patience) {
    std::unique_ptr<Console> console{new (std::nothrow) Console{function, number, patience}};
    if (console == nullptr) {
        return fail(Error::out_of_memory);
    }
    Result<> up = console->bring_up(marker::DeviceKind::virtio_console, 2);
    if (up) {
        up = console->start_mirror();
    }
    if (!up) {
        log::error("{}: not usable: {}", console->name(), up.error());
        console->stop(Deadline::after(1_s));
        return fail(up.error());
    }
    return console;
}

Console::~Console() {
    stop(Deadline::after(1_s));
}

Result<> Console::start_mirror() {
    if (mirrored.exchange(true, std::memory_order_acq_rel)) {
        return {};
    }
    mirrors_ = true;
    thread_ = PV_TRY(task::Thread::create(
        "virtio console", [](void* self) { static_cast<Console*>(self)->serve(); }, this));
    log::set_mirror(keep);
    log::info("{}: mirrors the log", name());
    return {};
}

Result<> Console::write(std::span<const char> text, Deadline deadline) {
    if (text.empty() || text.size() > page_size) {
        return fail(Error::invalid_argument);
    }
    for (unsigned attempt = 0; attempt < attempts; ++attempt) {
        // Pages of its own: what is late goes to quarantine.
        dma::Pages pages = PV_TRY(dma::Pages::allocate(text.size()));
        std::ranges::copy(std::as_bytes(text), pages.bytes().begin());
        block::Submission submission{
            .operation = marker::Operation::other, .deadline = deadline, .attempt = attempt};
        submission.data = PV_TRY(
            dma::Mapping::map(marker_device(), pages, 0, text.size(), dma::Direction::to_device, deadline));
        const block::CommandId id =
            PV_TRY(queue(transmit_queue).start(std::move(submission), false, BufferQueue::Room::wait));
        const auto outcome = queue(transmit_queue).wait(id);
        if (outcome) {
            return outcome->status == 0 ? Result<>{} : fail(Error::io);
        }
        if (outcome.error() != Error::interrupted) {
            return fail(outcome.error());
        }
    }
    return fail(Error::interrupted);
}

bool Console::send_backlog(Deadline deadline) {
    std::array<char, chunk> text;
    while (true) {
        const std::size_t length = backlog.with([&](auto& lines) { return lines.take(text); });
        if (length == 0) {
            return true;
        }
        if (!write(std::span{text}.first(length), earlier(deadline, Deadline::after(chunk_deadline)))) {
            return false;
        }
    }
}

void Console::serve() {
    const auto stopping = [&] { return stopping_.load(std::memory_order_acquire); };
    bool takes = true;
    while (!stopping()) {
        (void)wake_.wait(Deadline::after(look_every), stopping);
        if (dead()) {
            log::set_mirror(nullptr);
            return;
        }
        // What failed is said on the serial port alone, once, or it would be about itself for ever.
        const bool sent = send_backlog(Deadline::after(chunk_deadline));
        if (takes && !sent) {
            log::warning("{}: does not take what the log says", name());
        }
        takes = sent;
    }
}

void Console::stop(Deadline deadline) {
    if (mirrors_) {
        mirrors_ = false;
        log::set_mirror(nullptr);
        stopping_.store(true, std::memory_order_release);
        wake_.wake_all();
        if (thread_.joinable()) {
            // It waits for one chunk at most; a machine that stood still uses up the whole of one look.
            bool joined = false;
            for (int look = 0; look < 4 && !joined; ++look) {
                joined = thread_.join(Deadline::after(chunk_deadline * 3)).has_value();
            }
            PV_ASSERT(joined);
        }
        (void)send_backlog(deadline);
        mirrored.store(false, std::memory_order_release);
    }
    shut_down(deadline);
}

std::uint64_t Console::dropped() {
    return backlog.with([](auto& lines) { return lines.dropped(); });
}

}  // namespace pv::virtio
