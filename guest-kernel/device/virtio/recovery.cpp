// The recovery of one virtio device: from a request that is overdue to a device that is given up.
// SPDX-License-Identifier: MIT
#include "device/virtio/recovery.hpp"

#include <new>

#include "base/log.hpp"

namespace pv::virtio {
namespace {

/// Resets without one success in between, before the device is given up.
constexpr unsigned useless_resets = 4;
constexpr unsigned reset_attempts = 2;

}  // namespace

Result<std::unique_ptr<Recovery>> Recovery::create(Recoverable& device) {
    std::unique_ptr<Recovery> recovery{new (std::nothrow) Recovery{device}};
    if (recovery == nullptr) {
        return fail(Error::out_of_memory);
    }
    PV_TRY(recovery->start("virtio recovery"));
    return recovery;
}

Recovery::~Recovery() {
    stop();
}

void Recovery::configuration_interrupt() {
    configuration_.store(true, std::memory_order_release);
    look();
}

void Recovery::depart(Duration patience) {
    begin(marker::Reason::gone);
    mark(marker::RecoveryStep::wait, patience);
    device_.suspend();
    (void)device_.settle(Deadline::after(patience));  // what does not end, the reset ends
    give_up(marker::Reason::gone, "it leaves its slot");
}

void Recovery::stop() {
    if (running()) {
        // Its longest step is a reset, tried twice, each with one wait for a register.
        end_thread(device_.patience().reset * (2 * reset_attempts) + Duration::seconds(1));
    }
}

void Recovery::climb() {
    const Health health = device_.health();
    if (const auto patience = leaving(); patience && health != Health::gone) {
        depart(*patience);
        return;
    }
    switch (health) {
        case Health::gone:
            begin(marker::Reason::gone);
            give_up(marker::Reason::gone, block::gone_words);
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
        if (under_way()) {
            end(true);
        }
        look_again_at({});
        return;
    }
    begin(marker::Reason::overdue);
    const Instant ends = *since + device_.patience().grace;
    if (now() >= ends) {
        log::warning("{}: a request is overdue for longer than {}", device_.name(), device_.patience().grace);
        reset(marker::Reason::overdue);
        return;
    }
    if (looks_again_at() != ends) {
        mark(marker::RecoveryStep::wait, ends - now());
    }
    look_again_at(ends);
}

void Recovery::reset(marker::Reason reason) {
    begin(reason);
    if (useless(device_.succeeded()) >= useless_resets) {
        give_up(marker::Reason::useless, "resets do not help");
        return;
    }
    for (unsigned attempt = 0; attempt < reset_attempts; ++attempt) {
        if (try_reset()) {
            end(true);
            return;
        }
        if (device_.health() == Health::gone) {
            give_up(marker::Reason::gone, block::gone_words);
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
    resets_.fetch_add(1, std::memory_order_relaxed);
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
    end_dead(reason);
}

}  // namespace pv::virtio
