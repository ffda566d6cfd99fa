// Sends Abort for commands that timed out, on a thread of its own.
// SPDX-License-Identifier: MIT
#include "device/nvme/abort.hpp"

#include <new>
#include <optional>

#include "base/log.hpp"
#include "base/panic.hpp"
#include "device/nvme/regs.hpp"
#include "device/nvme/spec.hpp"

namespace pv::nvme {
namespace {

using namespace literals;

constexpr Duration abort_deadline = 1_s;
constexpr Duration stop_deadline = 3_s;
constexpr std::uint32_t not_aborted = 1;  // bit 0 of the completion's dword 0

}  // namespace

Result<std::unique_ptr<AbortService>> AbortService::create(std::string_view name, Queue& admin, Queue& io,
                                                           const mmio::Window& registers) {
    std::unique_ptr<AbortService> service{new (std::nothrow) AbortService{name, admin, io, registers}};
    if (service == nullptr) {
        return fail(Error::out_of_memory);
    }
    service->thread_ = PV_TRY(task::Thread::create(
        "nvme abort", [](void* self) { static_cast<AbortService*>(self)->serve(); }, service.get()));
    io.on_expired([](void* self, block::CommandId id) { static_cast<AbortService*>(self)->request(id); },
                  service.get());
    return service;
}

AbortService::~AbortService() {
    stop();
}

void AbortService::request(block::CommandId id) {
    waiting_.with([&](Waiting& waiting) {
        if (waiting.count == waiting.ids.size()) {
            ++waiting.dropped;
        } else {
            waiting.ids[waiting.count++] = id;
        }
    });
    work_.wake_one();
}

bool AbortService::pending() {
    return waiting_.with([](Waiting& waiting) { return waiting.count != 0; });
}

void AbortService::serve() {
    while (!stopping_.load(std::memory_order_acquire)) {
        const Result<> woken =
            work_.wait(Deadline::never("idle until a command times out or the driver stops"),
                       [&] { return stopping_.load(std::memory_order_acquire) || pending(); });
        if (!woken) {
            continue;
        }
        while (!stopping_.load(std::memory_order_acquire)) {
            const auto id = waiting_.with([](Waiting& waiting) -> std::optional<block::CommandId> {
                if (waiting.count == 0) {
                    return std::nullopt;
                }
                return waiting.ids[--waiting.count];
            });
            if (!id) {
                break;
            }
            abort(*id);
        }
    }
}

void AbortService::abort(block::CommandId id) {
    const std::uint32_t status = registers_.read(Registers::status);
    if (status == Status::gone || (status & Status::fatal) != 0) {
        io_.close(status == Status::gone ? "the controller is gone"
                                         : "the controller reports a fatal status");
        admin_.close({});
        return;
    }
    SubmissionEntry entry;
    entry.opcode = static_cast<std::uint8_t>(AdminOpcode::abort);
    entry.dword10 = static_cast<std::uint32_t>(id.wire) << 16 | io_.identity().number;
    const auto outcome = admin_.run(
        entry, {.operation = marker::Operation::admin, .deadline = Deadline::after(abort_deadline)});
    if (!outcome) {
        log::warning("{}: abort of command {:#x} got no answer: {}", name_, id.wire, outcome.error());
    } else {
        log::info("{}: abort of command {:#x}: {}", name_, id.wire,
                  (outcome->status & status_code_mask) != 0 ? "refused by the controller"
                  : (outcome->result & not_aborted) != 0    ? "the controller goes on with it"
                                                            : "aborted");
    }
}

void AbortService::stop() {
    if (!thread_.joinable()) {
        return;
    }
    stopping_.store(true, std::memory_order_release);
    work_.wake_all();
    io_.on_expired(nullptr, nullptr);
    // Every wait of that thread is bounded by the abort's deadline: if it does not end, this kernel is
    // broken.
    PV_ASSERT(thread_.join(Deadline::after(stop_deadline)).has_value());
    thread_ = task::Thread{};
}

}  // namespace pv::nvme
