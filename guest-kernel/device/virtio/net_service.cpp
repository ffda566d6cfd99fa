// A virtio-net device in service: frames, interrupts, what is looked for now and then, and its recovery.
// SPDX-License-Identifier: MIT
#include <algorithm>

#include "base/log.hpp"
#include "device/virtio/net.hpp"

namespace pv::virtio {
namespace {

using namespace literals;

constexpr Duration reset_time = 4_s;  // of a reset and all that follows it
constexpr Duration say_after = 1_s;
constexpr Duration shortest_backoff = 1_s;
constexpr Duration longest_backoff = 60_s;
constexpr std::uint64_t lie_log_limit = 8;

}  // namespace

void Net::start(net::Waker& waker) {
    waker_.store(&waker, std::memory_order_release);
}

void Net::on_queue(void* self) {
    if (net::Waker* waker = static_cast<Net*>(self)->waker_.load(std::memory_order_acquire)) {
        waker->wake();
    }
}

void Net::on_configuration(void* self) {
    static_cast<Net*>(self)->configuration_changed_.store(true, std::memory_order_release);
    on_queue(self);
}

Result<> Net::send(std::size_t length, FunctionRef<net::SumRequest(std::span<std::byte>)> fill) {
    if (dead_.load(std::memory_order_seq_cst)) {
        return fail(Error::device_failed);
    }
    if (!link_) {
        return fail(Error::busy);
    }
    // One thread sends, and keeps the frames of each connection in order: one queue is enough for it.
    return pairs_[0].transmit->send(length, fill);
}

void Net::flush() {
    if (dead_.load(std::memory_order_seq_cst)) {
        return;
    }
    for (Pair& pair : pairs_) {
        pair.transmit->ring().ring_doorbell();
        pair.receive->ring().ring_doorbell();
        (void)pair.transmit->reclaim();
    }
}

std::size_t Net::receive(std::size_t budget, FunctionRef<void(const net::Frame&)> take) {
    std::size_t count = 0;
    for (std::size_t i = 0; i < used_pairs_ && count < budget && !dead_.load(std::memory_order_seq_cst);
         ++i) {
        NetReceive& queue = *pairs_[(next_ + i) % used_pairs_].receive;
        queue.ring().want_interrupts(false);
        count += queue.receive(budget - count, take);
    }
    next_ = (next_ + 1) % used_pairs_;
    look_for_lies();
    return count;
}

bool Net::arm() {
    bool ready = configuration_changed_.load(std::memory_order_acquire);
    for (std::size_t i = 0; i < used_pairs_ && !dead_.load(std::memory_order_seq_cst); ++i) {
        Pair& pair = pairs_[i];
        pair.receive->ring().want_interrupts(true);
        pair.transmit->ring().want_interrupts(pair.transmit->starved());
        ready = pair.receive->pending() || pair.transmit->room_again() || ready;
    }
    return ready && !dead_.load(std::memory_order_seq_cst);
}

void Net::tick() {
    if (dead_.load(std::memory_order_seq_cst)) {
        return;
    }
    if (configuration_changed_.exchange(false, std::memory_order_acq_rel)) {
        if (!look_at_status()) {
            return;
        }
        read_link();
    }
    for (Pair& pair : pairs_) {
        (void)pair.transmit->reclaim();
    }
    if (!dead_.load(std::memory_order_seq_cst) && leaves_by_.load(std::memory_order_acquire) != 0 &&
        depart()) {
        return;
    }
    look_for_lies();
    look_for_stalls();
}

void Net::leave(Duration patience) {
    leaves_by_.store((now() + patience).since_boot().to_nanoseconds(), std::memory_order_release);
    look();
}

// False when it waits for frames still.
bool Net::depart() {
    link_ = false;  // the stack sends no more
    const bool late = now().since_boot().to_nanoseconds() >= leaves_by_.load(std::memory_order_acquire);
    if (!late && std::ranges::any_of(pairs_, [](Pair& pair) { return pair.transmit->outstanding() != 0; })) {
        return false;
    }
    const std::uint64_t id = static_cast<std::uint64_t>(marker_device()) << 32 | ++recovery_id_;
    marker::recovery_begin(marker_device(), id, marker::Reason::gone);
    marker::recovery_step(marker_device(), id, marker::RecoveryStep::dead, reset_time, 0);
    log::warning("{}: it leaves its slot", name());
    const Result<> quiet = reset(marker::ResetReason::recovery);
    give_up(marker::Reason::gone);
    if (quiet) {
        release_queues();
    }
    marker::recovery_end(marker_device(), id, false);
    return true;
}

// False when there was something wrong, and a recovery.
bool Net::look_at_status() {
    switch (transport_->health()) {
        case Health::good:
            return true;
        case Health::gone:
            recover(marker::Reason::gone);
            return false;
        case Health::needs_reset:
            log::error("{}: the device asks for a reset", name());
            break;
        case Health::stopped:
            log::error("{}: it was reset behind the driver's back", name());
            break;
    }
    recover(marker::Reason::fatal);
    return false;
}

void Net::look_for_lies() {
    for (std::size_t i = 0; i < pairs_.size() && !dead_.load(std::memory_order_seq_cst); ++i) {
        for (const std::string_view lie : {pairs_[i].receive->lie(), pairs_[i].transmit->lie()}) {
            if (lie.empty()) {
                continue;
            }
            if (++lies_ <= lie_log_limit) {
                log::error("{}: queue pair {}: {}", name(), i, lie);
            }
            recover(marker::Reason::protocol);
            return;
        }
    }
}

void Net::look_for_stalls() {
    for (std::size_t i = 0; i < pairs_.size() && !dead_.load(std::memory_order_seq_cst); ++i) {
        NetTransmit& queue = *pairs_[i].transmit;
        const auto since = queue.oldest();
        if (!since || !link_) {
            continue;
        }
        const Duration waited = now() - *since;
        if (waited >= say_after && now() >= slow_said_ + say_after) {
            slow_said_ = now();
            log::warning("{}: transmit queue {}: {} frames wait for the device, the oldest for {} of {}",
                         name(), queue.ring().number(), queue.outstanding(), waited, NetTransmit::deadline);
            if (!look_at_status()) {
                return;
            }
        }
        if (waited >= NetTransmit::deadline && now() >= next_reset_) {
            queue.give_up_oldest();
            recover(marker::Reason::overdue);
            return;
        }
        if (waited < say_after) {
            backoff_ = Duration{};  // it moves
        }
    }
}

void Net::recover(marker::Reason why) {
    // Unlike any other recovery's: devices count their own.
    const std::uint64_t id = static_cast<std::uint64_t>(marker_device()) << 32 | ++recovery_id_;
    marker::recovery_begin(marker_device(), id, why);
    if (why == marker::Reason::gone) {
        log::error("{}: its registers do not answer: it was removed", name());
        give_up(why);
        release_queues();  // what is gone reaches no memory
        marker::recovery_end(marker_device(), id, false);
        return;
    }
    ++recoveries_;
    backoff_ = std::min(std::max(backoff_ * 2, shortest_backoff), longest_backoff);
    next_reset_ = now() + backoff_;
    marker::recovery_step(marker_device(), id, marker::RecoveryStep::reset, reset_time, 0);
    Result<> done = reset(marker::ResetReason::recovery);
    if (done) {
        release_queues();
        done = set_up();
    }
    if (done) {
        log::warning("{}: it was reset and serves again", name());
    } else {
        log::error("{}: it does not come back: {}", name(), done.error());
        give_up(marker::Reason::useless);
    }
    marker::recovery_end(marker_device(), id, done.has_value());
}

void Net::print_status() {
    for (const Pair& pair : pairs_) {
        if (pair.transmit == nullptr || pair.receive == nullptr) {
            continue;
        }
        const auto since = pair.transmit->oldest();
        log::info(
            "status: {}: queues {} and {}: {} of {} buffers with the device; {} frames on their way, the "
            "oldest "
            "for {}",
            name(), pair.receive->ring().number(), pair.transmit->ring().number(), pair.receive->posted(),
            pair.receive->ring().entries(), pair.transmit->outstanding(),
            since ? now() - *since : Duration{});
    }
    if (dead_.load(std::memory_order_seq_cst)) {
        log::info("status: {}: given up", name());
    }
}

void Net::give_up(marker::Reason why) {
    for (std::size_t entry = 0; entry <= pairs_.size(); ++entry) {
        pci_.mask_vector(entry);
    }
    pci_.set_bus_mastering(false);
    dead_.store(true, std::memory_order_seq_cst);
    link_ = false;
    marker::device_dead(marker_device(), why);
    log::error("{}: given up", name());
}

net::Counters Net::counters() const {
    net::Counters all = before_;
    for (const Pair& pair : pairs_) {
        if (pair.receive != nullptr) {
            all.received += pair.receive->frames();
            all.received_bytes += pair.receive->bytes();
        }
        if (pair.transmit != nullptr) {
            all.sent += pair.transmit->frames();
            all.sent_bytes += pair.transmit->bytes();
            all.send_full += pair.transmit->full();
        }
    }
    all.lies = lies_;
    all.resets = recoveries_;
    return all;
}

}  // namespace pv::virtio
