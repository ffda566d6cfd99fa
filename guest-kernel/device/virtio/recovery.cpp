// The recovery of one virtio device: from a request that is overdue to a device that is given up.
// SPDX-License-Identifier: MIT
#include "device/virtio/recovery.hpp"

#include <algorithm>
#include <new>

#include "base/log.hpp"
#include "base/panic.hpp"

namespace pv::virtio {
namespace {

/// Resets without one success in between, before the device is given up.
constexpr unsigned useless_resets = 4;
constexpr unsigned reset_attempts = 2;
constexpr std::string_view gone_words = "its registers do not answer: it was removed";

}  // namespace

Result<std::unique_ptr<Recovery>> Recovery::create(Recoverable& device) {
    std::unique_ptr<Recovery> recovery{new (std::nothrow) Recovery{device}};
    if (recovery == nullptr) {
        return fail(Error::out_of_memory);
    }
    recovery->thread_ = PV_TRY(task::Thread::create(
        "virtio recovery", [](void* self) { static_cast<Recovery*>(self)->serve(); }, recovery.get(),
        task::Priority::high));
    return recovery;
}

Recovery::~Recovery() {
    stop();
}

void Recovery::look() {
    asked_.store(true, std::memory_order_release);
    work_.wake_one();
}

void Recovery::configuration_interrupt() {
    configuration_.store(true, std::memory_order_release);
    look();
}

void Recovery::leave(Duration patience) {
    leaves_.store(std::max<std::uint64_t>(patience.to_nanoseconds(), 1), std::memory_order_release);
    look();
}

void Recovery::depart() {
    const Duration patience = Duration::nanoseconds(leaves_.load(std::memory_order_acquire));
    begin(marker::Reason::gone);
    mark(marker::RecoveryStep::wait, patience);
    device_.suspend();
    (void)device_.settle(Deadline::after(patience));  // what does not end, the reset ends
    give_up(marker::Reason::gone, "it leaves its slot");
}

void Recovery::stop() {
    if (!thread_.joinable()) {
        return;
    }
    stopping_.store(true, std::memory_order_release);
    work_.wake_all();
    // Its longest step is a reset, tried twice, each with one wait for a register. Several looks, because a
    // machine that stood still uses up the whole of one.
    const Duration longest = device_.patience().reset * (2 * reset_attempts) + Duration::seconds(1);
    bool joined = false;
    for (int look = 0; look < 4 && !joined; ++look) {
        joined = thread_.join(Deadline::after(longest)).has_value();
    }
    PV_ASSERT(joined);
    thread_ = task::Thread{};
    if (id_ != 0) {
        end(!dead());
    }
}

void Recovery::serve() {
    while (!stopping_.load(std::memory_order_acquire)) {
        const Deadline until = due_ ? Deadline::at(*due_)
                                    : Deadline::never("idle until a request is overdue or the driver stops");
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

void Recovery::begin(marker::Reason reason) {
    if (id_ == 0) {
        id_ = marker::next_recovery();
        counts_.begun.fetch_add(1, std::memory_order_relaxed);
        marker::recovery_begin(device_.marker_device(), id_, reason);
    }
}

void Recovery::end(bool serves) {
    marker::recovery_end(device_.marker_device(), id_, serves);
    if (serves) {
        log::info("{}: recovery {} is over: it serves", device_.name(), id_.load());
    }
    id_ = 0;
    due_.reset();
}

void Recovery::mark(marker::RecoveryStep step, Duration deadline) {
    marker::recovery_step(device_.marker_device(), id_, step, deadline, 0);
}

void Recovery::climb() {
    const Health health = device_.health();
    if (health != Health::gone && leaves_.load(std::memory_order_acquire) != 0) {
        depart();
        return;
    }
    switch (health) {
        case Health::gone:
            begin(marker::Reason::gone);
            give_up(marker::Reason::gone, gone_words);
            return;
        case Health::needs_reset:
            log::error("{}: the device asks for a reset", device_.name());
            reset(marker::Reason::fatal);
            return;
        case Health::stopped:
            log::error("{}: the device stopped by itself", device_.name());
            reset(marker::Reason::fatal);
            return;
        case Health::good:
            break;
    }
    if (device_.lied()) {
        reset(marker::Reason::protocol);
        return;
    }
    if (configuration_.exchange(false, std::memory_order_acq_rel)) {
        device_.configuration_changed();
    }
    const std::optional<Instant> since = device_.overdue_since();
    if (!since) {
        if (id_ != 0) {
            end(true);
        }
        due_.reset();
        return;
    }
    begin(marker::Reason::overdue);
    const Instant ends = *since + device_.patience().grace;
    if (now() >= ends) {
        log::warning("{}: a request is overdue for longer than {}", device_.name(), device_.patience().grace);
        reset(marker::Reason::overdue);
        return;
    }
    if (due_ != ends) {
        mark(marker::RecoveryStep::wait, ends - now());
    }
    due_ = ends;
}

void Recovery::reset(marker::Reason reason) {
    begin(reason);
    const std::uint64_t progress = device_.succeeded();
    useless_ = progress == progress_ ? useless_ + 1 : 0;
    progress_ = progress;
    if (useless_ >= useless_resets) {
        give_up(marker::Reason::useless, "resets do not help");
        return;
    }
    for (unsigned attempt = 0; attempt < reset_attempts; ++attempt) {
        if (try_reset()) {
            end(true);
            return;
        }
        if (device_.health() == Health::gone) {
            give_up(marker::Reason::gone, gone_words);
            return;
        }
    }
    give_up(marker::Reason::useless, "it cannot be reset");
}

Result<> Recovery::try_reset() {
    const Instant begun = now();
    mark(marker::RecoveryStep::reset, device_.patience().reset);
    log::warning("{}: the device is reset; it may take {}", device_.name(), device_.patience().reset);
    device_.suspend();
    PV_TRY(device_.reset(marker::ResetReason::recovery));
    // It is done with all memory: everything it owed ends here.
    device_.empty(Error::interrupted);
    PV_TRY(device_.bring_back());
    device_.resume();
    counts_.resets.fetch_add(1, std::memory_order_relaxed);
    log::warning("{}: the device was reset in {}", device_.name(), now() - begun);
    return {};
}

void Recovery::give_up(marker::Reason reason, std::string_view why) {
    mark(marker::RecoveryStep::dead, Duration{});
    device_.close(why);
    // A device that is gone reaches no memory; one that did not obey a reset may, until an IOMMU or nothing
    // stops it: what it was given stays in quarantine then.
    const bool gone = device_.health() == Health::gone;
    const bool obeys = !gone && reason == marker::Reason::gone;  // it leaves: nothing is wrong with it
    const bool quiet = gone || (obeys && device_.reset(marker::ResetReason::recovery)) ||
                       device_.confined() || (!obeys && device_.reset(marker::ResetReason::recovery));
    device_.cut_off();
    if (quiet) {
        device_.empty(Error::device_failed);
    }
    marker::device_dead(device_.marker_device(), reason);
    dead_.store(true, std::memory_order_release);
    end(false);
}

}  // namespace pv::virtio
