// A virtio-rng device: a source of entropy for the kernel's pool.
// SPDX-License-Identifier: MIT
#include "device/virtio/rng.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <utility>

#include "base/log.hpp"
#include "random/pool.hpp"

namespace pv::virtio {
namespace {

using namespace literals;

/// Requests that a recovery ended are asked again so often.
constexpr int attempts = 5;

/// Not left out by the compiler, though nothing reads it afterwards.
void wipe(std::span<std::byte> bytes) {
    std::ranges::fill(bytes, std::byte{0});
    asm volatile("" : : "r"(bytes.data()) : "memory");
}

}  // namespace

Result<std::unique_ptr<Rng>> Rng::create(pci::Function function, unsigned number, const Patience& patience) {
    std::unique_ptr<Rng> rng{new (std::nothrow) Rng{function, number, patience}};
    if (rng == nullptr) {
        return fail(Error::out_of_memory);
    }
    if (const Result<> up = rng->bring_up(marker::DeviceKind::virtio_rng, 1); !up) {
        log::error("{}: not usable: {}", rng->name(), up.error());
        rng->shut_down(Deadline::after(1_s));
        return fail(up.error());
    }
    return rng;
}

Result<std::size_t> Rng::read(std::span<std::byte> out, Deadline deadline) {
    if (out.empty() || out.size() > page_size) {
        return fail(Error::invalid_argument);
    }
    for (unsigned attempt = 0; attempt < attempts; ++attempt) {
        // Pages of its own: what is late goes to quarantine.
        dma::Pages pages = PV_TRY(dma::Pages::allocate(out.size()));
        block::Submission submission{
            .operation = marker::Operation::other, .deadline = deadline, .attempt = attempt};
        submission.data = PV_TRY(
            dma::Mapping::map(marker_device(), pages, 0, out.size(), dma::Direction::from_device, deadline));
        const block::CommandId id =
            PV_TRY(queue(0).start(std::move(submission), true, BufferQueue::Room::wait));
        const auto outcome = queue(0).wait(id);
        if (!outcome && outcome.error() == Error::interrupted) {
            continue;
        }
        if (!outcome) {
            return fail(outcome.error());
        }
        if (outcome->status != 0 || outcome->result == 0) {
            return fail(Error::io);
        }
        const std::size_t given = outcome->result;  // at most what was asked for: BufferQueue saw to it
        std::ranges::copy(pages.bytes().first(given), out.begin());
        wipe(pages.bytes());
        return given;
    }
    return fail(Error::interrupted);
}

Result<> Rng::feed(std::uint64_t bits, Deadline deadline) {
    std::array<std::byte, 64> bytes{};
    while (bits > 0) {
        const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>((bits + 7) / 8, bytes.size()));
        const std::size_t given = PV_TRY(read(std::span{bytes}.first(wanted), deadline));
        random::add(std::span{bytes}.first(given), given * 8);
        bits -= std::min<std::uint64_t>(bits, given * 8);
    }
    wipe(bytes);
    return {};
}

}  // namespace pv::virtio
