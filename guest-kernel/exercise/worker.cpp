// One thread of the exercise, and its share of a disk.
// SPDX-License-Identifier: MIT
#include "exercise/worker.hpp"

#include <algorithm>

#include "base/log.hpp"

namespace pv::exercise {
namespace {

/// Writes between two flushes.
constexpr std::uint64_t writes_per_flush = 8;
constexpr std::uint64_t mismatch_log_limit = 4;
/// The longest request tried unless the plan asks for more, whatever a device takes in one command.
constexpr std::uint64_t largest_request = std::uint64_t{4} << 20;

}  // namespace

Worker::Worker(block::Device& disk, const Plan& plan, const Share& share)
    : disk_{disk},
      plan_{plan},
      share_{share},
      random_{(plan.seed * 0x9e3779b97f4a7c15ULL + share.number) | 1},
      limit_{Deadline::after(plan.limit)} {}

Result<> Worker::start() {
    thread_ =
        PV_TRY(task::Thread::create("exercise", [](void* self) { static_cast<Worker*>(self)->run(); }, this));
    return {};
}

Result<> Worker::join(Deadline deadline) {
    return thread_.joinable() ? thread_.join(deadline) : Result<>{};
}

// xorshift64*: sizes and offsets need variety, not secrecy.
std::uint64_t Worker::random(std::uint64_t below) {
    random_ ^= random_ >> 12;
    random_ ^= random_ << 25;
    random_ ^= random_ >> 27;
    return (random_ * 0x2545f4914f6cdd1dULL >> 16) % below;
}

void Worker::run() {
    for (std::uint64_t i = 0; i < plan_.rounds; ++i) {
        if (!round(i)) {
            return;
        }
    }
    (void)(many_commands() && zeroes());
}

bool Worker::round(std::uint64_t number) {
    const Pattern pattern{(plan_.seed << 20 ^ share_.number) * 0x9e3779b97f4a7c15ULL + number};
    undefined_ = writes_to_come();
    const std::uint64_t start = random_;
    std::uint64_t writes = 0;
    for (std::uint64_t done = 0; done < share_.blocks;) {
        const std::uint64_t blocks = request_blocks(share_.blocks - done);
        if (!write(pattern, share_.first + done, blocks) || (++writes % writes_per_flush == 0 && !flush())) {
            return false;
        }
        done += blocks;
    }
    if (!flush()) {
        return false;
    }
    // Read in other pieces than were written.
    random_ = start * 3 | 1;
    for (std::uint64_t done = 0; done < share_.blocks;) {
        const std::uint64_t blocks = request_blocks(share_.blocks - done);
        if (!read(pattern, share_.first + done, blocks)) {
            return false;
        }
        done += blocks;
    }
    return number != 0 || large(pattern);
}

bool Worker::large(const Pattern& pattern) {
    const block::Geometry& shape = disk_.geometry();
    const std::uint64_t usual = std::min(shape.command_blocks * 2 + 3, largest_request / shape.block_size);
    const std::uint64_t wanted = plan_.large == 0 ? usual : plan_.large / shape.block_size;
    const std::uint64_t blocks = std::min(wanted, share_.room);
    if (blocks <= shape.command_blocks) {
        return true;  // the disk has no room for one: the summary of a tiny disk shows fewer requests
    }
    undefined_ = writes_to_come();
    return write(pattern, share_.first, blocks) && flush() && read(pattern, share_.first, blocks);
}

bool Worker::many_commands() {
    const block::Geometry& shape = disk_.geometry();
    for (std::uint64_t i = 0; i < share_.commands; ++i) {
        if (limit_.expired() || !prepare(shape.block_size)) {
            return false;
        }
        const Instant begun = now();
        const auto result = disk_.read(share_.first + i % share_.blocks, {pages_, offset_, shape.block_size},
                                       Deadline::after(plan_.deadline));
        ++figures_.reads;
        figures_.bytes += shape.block_size;
        if (!account(result, now() - begun)) {
            return false;
        }
    }
    return true;
}

bool Worker::zeroes() {
    const block::Geometry& shape = disk_.geometry();
    for (std::uint64_t i = 0; i < plan_.zeroes && shape.zero_blocks != 0; ++i) {
        const std::uint64_t blocks = request_blocks(share_.blocks);
        const std::uint64_t first = share_.first + random(share_.blocks - blocks + 1);
        const std::size_t length = blocks * shape.block_size;
        if (limit_.expired() || !prepare(length)) {
            return false;
        }
        const Instant begun = now();
        const auto zeroed = disk_.write_zeroes(first, blocks, Deadline::after(plan_.deadline));
        ++figures_.writes;
        if (!account(zeroed, now() - begun)) {
            return false;
        }
        std::ranges::fill(pages_.bytes().subspan(offset_, length), std::byte{0xa5});
        const auto result = disk_.read(first, {pages_, offset_, length}, Deadline::after(plan_.deadline));
        ++figures_.reads;
        figures_.bytes += length;
        if (!account(result, now() - begun)) {
            return false;
        }
        const auto data = pages_.bytes().subspan(offset_, length);
        const auto wrong = std::ranges::find_if(data, [](std::byte b) { return b != std::byte{0}; });
        if (zeroed && result && !writes_to_come() && wrong != data.end() &&
            ++figures_.mismatches <= mismatch_log_limit) {
            log::error("exercise: {}: byte {} of {} blocks from {} is not zero after Write Zeroes",
                       disk_.name(), wrong - data.begin(), blocks, first);
        }
        if (shape.discard_blocks != 0 &&
            !account(disk_.discard(first, blocks, Deadline::after(plan_.deadline)), now() - begun)) {
            return false;
        }
    }
    return true;
}

std::uint64_t Worker::request_blocks(std::uint64_t left) {
    const std::uint64_t middling = std::max<std::uint64_t>(plan_.size / disk_.geometry().block_size, 1);
    // One block, up to the middling size, or up to twice that.
    const std::uint64_t kind = random(4);
    const std::uint64_t blocks = kind == 0 ? 1 : 1 + random(kind == 1 ? middling * 2 : middling);
    return std::min(blocks, left);
}

bool Worker::write(const Pattern& pattern, std::uint64_t first, std::uint64_t blocks) {
    const std::size_t block_size = disk_.geometry().block_size;
    const std::size_t length = blocks * block_size;
    if (limit_.expired() || !prepare(length)) {
        return false;
    }
    pattern.fill(pages_.bytes().subspan(offset_, length), first * block_size);
    const Instant begun = now();
    const auto result = disk_.write(first, {pages_, offset_, length}, Deadline::after(plan_.deadline));
    ++figures_.writes;
    figures_.bytes += length;
    undefined_ = undefined_ || !result;
    may_come_ = may_come_ || (!result && result.error() == Error::timed_out);
    return account(result, now() - begun);
}

bool Worker::read(const Pattern& pattern, std::uint64_t first, std::uint64_t blocks) {
    const std::size_t block_size = disk_.geometry().block_size;
    const std::size_t length = blocks * block_size;
    if (limit_.expired() || !prepare(length)) {
        return false;
    }
    // Whatever the device does not write is seen: the buffer never holds the right data before.
    std::ranges::fill(pages_.bytes().subspan(offset_, length), std::byte{0xa5});
    const Instant begun = now();
    const auto result = disk_.read(first, {pages_, offset_, length}, Deadline::after(plan_.deadline));
    ++figures_.reads;
    figures_.bytes += length;
    if (!account(result, now() - begun)) {
        return false;
    }
    if (!result || undefined_) {
        return true;
    }
    const auto wrong = pattern.mismatch(pages_.bytes().subspan(offset_, length), first * block_size);
    if (wrong && ++figures_.mismatches <= mismatch_log_limit) {
        log::error("exercise: {}: wrong data in block {}, byte {}, of a read of {} blocks from {}",
                   disk_.name(), first + *wrong / block_size, *wrong % block_size, blocks, first);
    }
    return true;
}

bool Worker::flush() {
    const Instant begun = now();
    const auto result = disk_.flush(Deadline::after(plan_.deadline));
    ++figures_.flushes;
    return account(result, now() - begun);
}

bool Worker::writes_to_come() {
    // Whatever command is overdue may be it.
    may_come_ = may_come_ && disk_.counts().overdue != 0;
    return may_come_;
}

// Memory for the next request, at an offset in its page that varies.
bool Worker::prepare(std::size_t length) {
    // A request as long as the largest block of frames leaves no room to move in.
    const std::size_t slack = length <= largest_request ? page_size : 0;
    const std::size_t needed = length + slack;
    // What a device may still touch is left to it.
    if (!pages_ || pages_.quarantined() || pages_.bytes().size() < needed) {
        // Without an IOMMU, half of the threads work on memory that devices are told of, half on copies.
        auto fresh =
            share_.number % 2 == 0 ? dma::Pages::allocate(needed) : dma::Pages::allocate_in_place(needed);
        if (!fresh) {
            log::error("exercise: no memory for {} bytes", needed);
            ++figures_.errors;
            return false;
        }
        pages_ = std::move(*fresh);
    }
    const std::size_t step = std::max<std::size_t>(disk_.geometry().alignment, 8);
    offset_ = slack == 0 || random(2) == 0 ? 0 : random(page_size / step) * step;
    return true;
}

bool Worker::account(const Result<>& result, Duration latency) {
    figures_.latencies.add(latency);
    if (result) {
        return true;
    }
    if (result.error() == Error::timed_out) {
        return ++figures_.timeouts < plan_.give_up;
    }
    ++figures_.errors;
    return result.error() != Error::device_failed;
}

}  // namespace pv::exercise
