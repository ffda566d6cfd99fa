// The thread that climbs a device's recovery ladder.
// SPDX-License-Identifier: MIT
#include "block/recovery_thread.hpp"

#include <algorithm>

#include "base/log.hpp"
#include "base/panic.hpp"

namespace pv::block {

RecoveryThread::~RecoveryThread() {
    PV_ASSERT(!running());
}

Result<> RecoveryThread::start(std::string_view thread) {
    thread_ = PV_TRY(task::Thread::create(
        thread, [](void* self) { static_cast<RecoveryThread*>(self)->serve(); }, this, task::Priority::high));
    return {};
}

void RecoveryThread::look() {
    asked_.store(true, std::memory_order_release);
    work_.wake_one();
}

void RecoveryThread::leave(Duration patience) {
    leaves_.store(std::max<std::uint64_t>(patience.to_nanoseconds(), 1), std::memory_order_release);
    look();
}

std::string_view RecoveryThread::state() const {
    if (dead()) {
        return "given up";
    }
    return under_way() ? "a recovery is under way" : "in service";
}

std::optional<Duration> RecoveryThread::leaving() const {
    const std::uint64_t patience = leaves_.load(std::memory_order_acquire);
    return patience != 0 ? std::optional{Duration::nanoseconds(patience)} : std::nullopt;
}

void RecoveryThread::end_thread(Duration longest) {
    stopping_.store(true, std::memory_order_release);
    work_.wake_all();
    // Every wait of that thread is bounded: if it does not end, this kernel is broken. Several looks, because
    // a machine that stood still uses up the whole of one.
    bool joined = false;
    for (int look = 0; look < 4 && !joined; ++look) {
        joined = thread_.join(Deadline::after(longest)).has_value();
    }
    PV_ASSERT(joined);
    thread_ = task::Thread{};
    if (id_.load(std::memory_order_seq_cst) != 0) {
        end(!dead());
    }
}

void RecoveryThread::serve() {
    while (!stopping_.load(std::memory_order_acquire)) {
        const Deadline until = due_ ? Deadline::at(*due_)
                                    : Deadline::never("idle until a command is overdue or the driver stops");
        const Result<> woken = work_.wait(until, [&] {
            return stopping_.load(std::memory_order_acquire) || asked_.load(std::memory_order_acquire);
        });
        if (stopping_.load(std::memory_order_acquire) || dead()) {
            due_.reset();
            asked_.store(false, std::memory_order_relaxed);
            continue;
        }
        if (woken) {
            asked_.store(false, std::memory_order_relaxed);
        }
        climb();
    }
}

void RecoveryThread::begin(marker::Reason reason) {
    if (id_.load(std::memory_order_seq_cst) == 0) {
        id_.store(marker::next_recovery(), std::memory_order_seq_cst);
        begun_.fetch_add(1, std::memory_order_relaxed);
        marker::recovery_begin(device_, id_.load(std::memory_order_seq_cst), reason);
    }
}

void RecoveryThread::mark(marker::RecoveryStep step, Duration deadline, std::uint64_t queue) {
    marker::recovery_step(device_, id_.load(std::memory_order_seq_cst), step, deadline, queue);
}

void RecoveryThread::end(bool serves) {
    marker::recovery_end(device_, id_.load(std::memory_order_seq_cst), serves);
    if (serves) {
        log::info("{}: recovery {} is over: it serves", name_, id_.load(std::memory_order_seq_cst));
    }
    id_.store(0, std::memory_order_seq_cst);
    due_.reset();
}

void RecoveryThread::end_dead(marker::Reason reason) {
    marker::device_dead(device_, reason);
    dead_.store(true, std::memory_order_release);
    end(false);
}

unsigned RecoveryThread::useless(std::uint64_t succeeded) {
    useless_ = succeeded == progress_ ? useless_ + 1 : 0;
    progress_ = succeeded;
    return useless_;
}

}  // namespace pv::block
