// The recovery ladder of one controller: from a command that is overdue to a controller that is given up.
// SPDX-License-Identifier: MIT
#include "device/nvme/recovery.hpp"

#include <algorithm>
#include <new>
#include <optional>

#include "base/log.hpp"

namespace pv::nvme {
namespace {

using namespace literals;

constexpr std::uint32_t not_aborted = 1;  // bit 0 of the completion's dword 0 (5.1)
/// Queues made again without a completion in between, before the controller is reset.
constexpr unsigned useless_queues = 2;
/// And resets on top of that, before it is given up.
constexpr unsigned useless_resets = 3;
constexpr unsigned reset_attempts = 2;
/// Aborts of one queue before the others are looked at.
constexpr unsigned aborts_at_once = 8;

}  // namespace

Result<std::unique_ptr<Recovery>> Recovery::create(Service& service, Identity& identity) {
    std::unique_ptr<Recovery> recovery{new (std::nothrow) Recovery{service, identity}};
    if (recovery == nullptr) {
        return fail(Error::out_of_memory);
    }
    PV_TRY(recovery->start("nvme recovery"));
    const auto look = [](void* self) { static_cast<Recovery*>(self)->look(); };
    for (std::size_t i = 0; i < service.queue_count(); ++i) {
        service.queue(i).on_trouble(look, recovery.get());
    }
    return recovery;
}

Recovery::~Recovery() {
    stop();
}

void Recovery::depart(Duration patience) {
    begin(marker::Reason::gone);
    mark(marker::RecoveryStep::wait, patience);
    const Deadline deadline = Deadline::after(patience);
    bool settled = true;
    for (std::size_t i = 0; i < service_.queue_count(); ++i) {
        service_.queue(i).suspend();
    }
    for (std::size_t i = 0; i < service_.queue_count(); ++i) {
        settled = service_.queue(i).settle(deadline).has_value() && settled;
    }
    if (settled) {
        service_.notify_shutdown();
    }
    give_up(marker::Reason::gone, "it leaves its slot");
}

void Recovery::stop() {
    if (!running()) {
        return;
    }
    for (std::size_t i = 0; i < service_.queue_count(); ++i) {
        service_.queue(i).on_trouble(nullptr, nullptr);
    }
    // The longest step is a reset: two waits for CSTS.RDY, and admin commands for each queue, twice.
    const Duration step = service_.ready_timeout() * 2 + service_.patience().admin * 6;
    const Duration longest = step * reset_attempts + service_.patience().admin * service_.queue_count() * 4;
    end_thread(longest);
}

std::uint64_t Recovery::succeeded() {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < service_.queue_count(); ++i) {
        sum += service_.queue(i).counts().succeeded;
    }
    return sum;
}

void Recovery::climb() {
    const std::uint32_t status = service_.status();
    if (status == Status::gone) {
        begin(marker::Reason::gone);
        give_up(marker::Reason::gone, block::gone_words);
        return;
    }
    if (const auto patience = leaving()) {
        depart(*patience);
        return;
    }
    if ((status & Status::fatal) != 0 || (status & Status::ready) == 0) {
        log::error("{}: status {:#x}: the controller failed", service_.name(), status);
        reset(marker::Reason::fatal);
        return;
    }
    std::optional<Instant> due;
    for (std::size_t i = 0; i < service_.queue_count(); ++i) {
        Queue& queue = service_.queue(i);
        if (queue.overdue() == 0) {
            continue;
        }
        begin(marker::Reason::overdue);
        if (!abort_overdue(queue)) {
            reset(marker::Reason::overdue);
            return;
        }
        const std::optional<Instant> asked = queue.aborting_since();
        if (!asked && queue.overdue() == 0) {
            continue;  // all of them ended
        }
        // Some that nothing was asked for: looked at again soon.
        const Instant ends = asked ? *asked + service_.patience().grace : now() + service_.patience().abort;
        if (now() < ends) {
            due = due ? std::min(*due, ends) : ends;
        } else if (!make_again(i)) {
            reset(marker::Reason::useless);
            return;
        }
    }
    if (due && looks_again_at() != due) {
        mark(marker::RecoveryStep::wait, *due - now());
    }
    look_again_at(due);
    if (under_way() && !due) {
        end(true);
    }
}

bool Recovery::abort_overdue(Queue& queue) {
    const auto number = queue.identity().number;
    for (unsigned i = 0; i < aborts_at_once; ++i) {
        const auto id = queue.next_to_abort();
        if (!id) {
            break;
        }
        mark(marker::RecoveryStep::abort, service_.patience().abort, number);
        counts_.aborts.fetch_add(1, std::memory_order_relaxed);
        marker::command_abort(service_.device(), number, id->marker());
        SubmissionEntry entry;
        entry.opcode = static_cast<std::uint8_t>(AdminOpcode::abort);
        entry.dword10 = static_cast<std::uint32_t>(id->wire) << 16 | number;
        const auto outcome = service_.ask(entry, service_.patience().abort);
        auto result = marker::AbortResult::no_answer;
        if (outcome && (outcome->status & status_code_mask) != status_success) {
            result = marker::AbortResult::refused;
        } else if (outcome && (outcome->result & not_aborted) != 0) {
            result = marker::AbortResult::goes_on;
        } else if (outcome) {
            result = marker::AbortResult::aborted;
            counts_.aborted.fetch_add(1, std::memory_order_relaxed);
        }
        marker::command_abort_end(service_.device(), number, id->marker(), result);
        queue.asked_for_abort(*id);
        switch (result) {
            case marker::AbortResult::aborted:
                log::info("{}: abort of command {:#x} on queue {}: aborted", service_.name(), id->wire,
                          number);
                break;
            case marker::AbortResult::goes_on:
                log::info("{}: abort of command {:#x} on queue {}: the controller goes on with it",
                          service_.name(), id->wire, number);
                break;
            case marker::AbortResult::refused:
                log::info("{}: abort of command {:#x} on queue {}: refused, status {:#x}", service_.name(),
                          id->wire, number, outcome->status & status_code_mask);
                break;
            case marker::AbortResult::no_answer:
                log::error("{}: abort of command {:#x} on queue {} got no answer: {}", service_.name(),
                           id->wire, number, outcome.error());
                return false;
        }
    }
    return true;
}

bool Recovery::make_again(std::size_t index) {
    Queue& queue = service_.queue(index);
    if (useless(succeeded()) >= useless_queues) {
        log::error("{}: making queues again does not help", service_.name());
        return false;
    }
    const Duration limit = service_.patience().admin * 4;
    mark(marker::RecoveryStep::queue, limit, queue.identity().number);
    log::warning("{}: {} commands on queue {} are overdue for longer than {}: the queue is made again",
                 service_.name(), queue.overdue(), queue.identity().number, service_.patience().grace);
    const Instant begun = now();
    queue.suspend();
    if (!service_.make_queue_again(index)) {
        return false;
    }
    counts_.queues.fetch_add(1, std::memory_order_relaxed);
    queue.resume();
    log::warning("{}: queue {} was made again in {}", service_.name(), queue.identity().number,
                 now() - begun);
    return true;
}

void Recovery::reset(marker::Reason reason) {
    begin(reason);
    if (useless(succeeded()) >= useless_queues + useless_resets) {
        give_up(marker::Reason::useless, "resets do not help");
        return;
    }
    Result<> result;
    for (unsigned attempt = 0; attempt < reset_attempts; ++attempt) {
        if (result = try_reset(); result) {
            end(true);
            return;
        }
        if (service_.status() == Status::gone) {
            give_up(marker::Reason::gone, block::gone_words);
            return;
        }
    }
    give_up(marker::Reason::useless, "it cannot be reset");
}

Result<> Recovery::try_reset() {
    const Instant begun = now();
    mark(marker::RecoveryStep::reset, service_.ready_timeout() * 2 + service_.patience().admin * 2);
    log::warning("{}: the controller is reset; it may take {} to stop and as long to start", service_.name(),
                 service_.ready_timeout());
    for (std::size_t i = 0; i < service_.queue_count(); ++i) {
        service_.queue(i).suspend();
    }
    PV_TRY(service_.disable(marker::ResetReason::recovery));
    // It is done with all memory: everything it owed ends here.
    service_.empty_queues(Error::interrupted);
    PV_TRY(service_.bring_back());
    PV_TRY(identity_.verify());
    for (std::size_t i = 0; i < service_.queue_count(); ++i) {
        service_.queue(i).resume();
    }
    counts_.resets.fetch_add(1, std::memory_order_relaxed);
    log::warning("{}: the controller was reset in {}", service_.name(), now() - begun);
    return {};
}

void Recovery::give_up(marker::Reason reason, std::string_view why) {
    mark(marker::RecoveryStep::dead, Duration{});
    service_.close(why);
    // A controller that is gone reaches no memory; one that did not stop may, whatever its configuration
    // says, until its requests are through: what it was given stays in quarantine.
    const bool gone = service_.status() == Status::gone;
    const bool obeys = !gone && reason == marker::Reason::gone;  // it leaves: nothing is wrong with it
    const bool quiet = gone || (obeys && service_.disable(marker::ResetReason::recovery)) ||
                       service_.confined() || (!obeys && service_.disable(marker::ResetReason::recovery));
    service_.cut_off();
    if (quiet) {
        service_.empty_queues(Error::device_failed);
    }
    end_dead(reason);
}

}  // namespace pv::nvme
