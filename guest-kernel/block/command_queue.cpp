// One hardware queue as threads use it: submit, wait with a deadline, time out, give back what comes late.
// SPDX-License-Identifier: MIT
#include "block/command_queue.hpp"

#include <optional>
#include <utility>

#include "base/log.hpp"
#include "block/describe.hpp"
#include "block/misbehave.hpp"
#include "misbehave/misbehave.hpp"
#include "task/thread.hpp"

namespace pv::block {
namespace {

using namespace literals;

/// How long a command may wait before the console says so, and how often it does then.
constexpr Duration patience = 1_s;
/// A thread that wakes so much later than it asked: the whole machine stood still, and the device with it.
/// It may deliver what it has before it is judged; together this is well within the promised slack.
constexpr Duration standstill = 100_ms;
constexpr Duration catch_up = 20_ms;
/// Refused completions that are logged one by one; a device that sends more is only counted.
constexpr std::uint64_t refused_log_limit = 8;
/// Commands that one doorbell announces at most, but for the last: a device begins while others are written.
constexpr std::size_t untold_limit = 7;

Description said(const Command& command) {
    return {command.operation, command.first, command.blocks};
}

}  // namespace

Result<CommandId> CommandQueue::submit(Submission&& submission, Room room,
                                       FunctionRef<Result<>(CommandId, const Command&)> prepare) {
    misbehave_with_time(identity_.device);
    Command command{.operation = submission.operation,
                    .first = submission.first,
                    .blocks = submission.blocks,
                    .since = now(),
                    .deadline = submission.deadline,
                    .limit = submission.deadline,
                    .data = std::move(submission.data),
                    .expected = submission.expected};
    while (true) {
        Error error = Error::timed_out;
        {
            task::SpinGuard guard{lock_};
            command.since = now();
            command.deadline = earlier(command.limit, Deadline::at(command.since + patience_));
            const Duration left = command.deadline.instant() - command.since;
            std::optional<CommandId> id;
            if (closed()) {
                error = Error::device_failed;
            } else if (left == Duration{}) {
                error = Error::timed_out;
            } else if (suspended_) {
                error = Error::busy;
            } else if (id = table_.begin(std::move(command)); !id) {
                ring_for_untold();
                error = Error::busy;
            } else if (const Result<> prepared = prepare(*id, *table_.find(*id)); !prepared) {
                table_.withdraw(*id);
                return fail(prepared.error());
            } else {
                const bool hopeless = misbehave::take(misbehave::Rule::cmd_deadline);
                marker::command_submit(identity_.device, identity_.number, id->marker(), submission.operation,
                                       hopeless ? Duration{} : left, submission.request);
                if (submission.attempt != 0) {
                    table_.count_repeat();
                    marker::command_repeat(identity_.device, identity_.number, id->marker(),
                                           submission.attempt);
                }
                table_.find(*id)->forgotten = misbehave::take(misbehave::Rule::cmd_lost);
                const bool hasty = misbehave::take(misbehave::Rule::cmd_late);
                if (hasty) {
                    marker::command_timeout(identity_.device, identity_.number, id->marker(), Duration{});
                }
                if (hasty || misbehave::take(misbehave::Rule::dma_after_unmap)) {
                    table_.find(*id)->data.end_early();
                }
                untold_ = submission.more && untold_ < untold_limit ? untold_ + 1 : 0;
                publish(*id, untold_ != 0);
                if constexpr (misbehave::built_in) {
                    misbehave_with_buffer(table_.find(*id)->data);
                }
                return *id;
            }
        }
        if (error == Error::busy && room == Room::wait) {
            const auto freed = [&] {
                task::SpinGuard guard{lock_};
                return closed() || (!suspended_ && table_.outstanding() < table_.limit());
            };
            if (changed_.wait(command.limit, freed)) {
                continue;
            }
            log::warning("{}: no room on queue {} for a {} until its deadline: {} commands are owed",
                         identity_.name, identity_.number, to_string(submission.operation), owed());
            error = Error::timed_out;
        }
        command.data.unmap();
        return fail(error);
    }
}

void CommandQueue::ring_for_untold() {
    if (std::exchange(untold_, 0) != 0 && !closed()) {
        ring();
    }
}

bool CommandQueue::has_ended(CommandId id) {
    task::SpinGuard guard{lock_};
    return closed() || table_.find(id) == nullptr || table_.finished(id);
}

Result<Outcome> CommandQueue::wait(CommandId id) {
    Deadline until = Deadline::at(now());
    Deadline limit = until;
    {
        task::SpinGuard guard{lock_};
        ring_for_untold();
        if (const Command* command = table_.find(id); command != nullptr) {
            until = command->deadline;
            limit = command->limit;
            if (command->forgotten) {
                return fail(Error::cancelled);
            }
        }
    }
    bool overdue = false;
    const auto ended = [&] {
        task::SpinGuard guard{lock_};
        return closed() || table_.finished(id);
    };
    while (true) {
        const Result<> woken = finished_[CommandTable::Slots::slot_of(id)].wait(
            earlier(until, Deadline::after(patience)), ended);
        if (woken) {
            dma::Mapping data;
            std::optional<Result<Outcome>> outcome;
            bool is_quiet = false;
            {
                task::SpinGuard guard{lock_};
                outcome = table_.take(id, data);
                is_quiet = suspended_ || table_.owed() == 0;
            }
            if (outcome) {
                data.unmap();
                // One of those who want room gets it; of who waits until nothing is owed none may be left
                // out.
                if (is_quiet) {
                    changed_.wake_all();
                } else {
                    changed_.wake_one();
                }
                return *outcome;
            }
        }
        if (woken) {
            return give_up(id);
        }
        if (!until.expired()) {
            if (say_waiting()) {
                slow();
            }
            continue;
        }
        if (!overdue) {
            if (now() - until.instant() > standstill) {
                task::sleep(catch_up);
            }
            if (auto outcome = expire(id)) {
                return *outcome;
            }
            expired(id);
            overdue = true;
            until = limit;
        }
        if (limit.expired()) {
            return give_up(id);
        }
    }
}

std::optional<Result<Outcome>> CommandQueue::expire(CommandId id) {
    task::SpinGuard guard{lock_};
    if (!closed()) {
        drain();
    }
    if (auto outcome = table_.take(id)) {
        changed_.wake_one();
        return *outcome;
    }
    const Command* command = table_.find(id);
    if (command == nullptr || !table_.expire(id)) {
        return fail(Error::cancelled);
    }
    marker::command_timeout(identity_.device, identity_.number, id.marker(),
                            now() - command->deadline.instant());
    log::warning("{}: {} timed out after {} on queue {}; the device may still use its {} bytes",
                 identity_.name, said(*command).text(), now() - command->since, identity_.number,
                 command->data.length());
    return std::nullopt;
}

Result<Outcome> CommandQueue::give_up(CommandId id) {
    task::SpinGuard guard{lock_};
    if (!closed()) {
        drain();
    }
    if (auto outcome = table_.take(id)) {
        changed_.wake_one();
        return *outcome;
    }
    Command* command = table_.find(id);
    if (command == nullptr) {
        return fail(Error::cancelled);
    }
    const bool overdue = !table_.expire(id);
    if (!table_.abandon(id)) {
        return fail(Error::cancelled);
    }
    if (!closed()) {
        return fail(Error::timed_out);
    }
    if (!overdue) {
        command->told = true;
        marker::command_failed(identity_.device, identity_.number, id.marker(),
                               static_cast<std::uint64_t>(Error::device_failed));
    }
    return fail(Error::device_failed);
}

bool CommandQueue::say_waiting() {
    task::SpinGuard guard{lock_};
    if (said_ != Instant{} && now() - said_ < patience) {
        return false;
    }
    const Command* oldest = nullptr;
    table_.for_each([&](CommandId, const Command& command) {
        if ((command.state == Command::State::submitted || command.state == Command::State::overdue) &&
            (oldest == nullptr || command.since < oldest->since)) {
            oldest = &command;
        }
    });
    if (oldest == nullptr || now() - oldest->since < patience) {
        return false;
    }
    said_ = now();
    log::warning("{}: {} waits {} on queue {}, deadline in {}; {} commands outstanding{}", identity_.name,
                 said(*oldest).text(), now() - oldest->since, identity_.number, oldest->limit.remaining(),
                 table_.owed(), suspended_ ? ", the queue is held by the recovery" : "");
    return true;
}

void CommandQueue::interrupt() {
    task::SpinGuard guard{lock_};
    if (!closed()) {
        drain();
    }
}

void CommandQueue::arrived(std::uint16_t wire, std::uint16_t status, std::uint32_t result) {
    const std::optional<CommandId> id = table_.name(wire);
    if (misbehave::built_in && twice_.generation != 0 && twice_.wire == wire &&
        (!id || table_.finished(*id))) {
        marker::command_complete(identity_.device, identity_.number, twice_.marker(), status);
        twice_ = {};
        return;
    }
    if (!id) {
        (void)table_.complete(wire, status, result);
        say_refused(wire, "nothing like it is outstanding");
        return;
    }
    const Command& command = *table_.find(*id);
    const bool late = command.state == Command::State::timed_out || command.state == Command::State::overdue;
    if (late) {
        log::warning(
            "{}: {} answered after {} on queue {}, {}: its memory is free again", identity_.name,
            said(command).text(), now() - command.since, identity_.number,
            command.state == Command::State::timed_out ? "too late for its caller" : "after its deadline");
    }
    if (command.state == Command::State::submitted || late) {
        latencies_.add(now() - command.since);
    }
    if ((command.state == Command::State::submitted || late) && !command.forgotten && !command.told) {
        marker::command_complete(identity_.device, identity_.number, id->marker(), status);
    }
    switch (table_.complete(wire, status, result)) {
        case Arrival::delivered:
            finished_[CommandTable::Slots::slot_of(*id)].wake_all();
            break;
        case Arrival::late:
            changed_.wake_all();
            break;
        case Arrival::refused:
            say_refused(wire, "it was answered already");
            break;
    }
}

void CommandQueue::submit_twice(CommandId id) {
    marker::command_submit(identity_.device, identity_.number, id.marker(), marker::Operation::flush,
                           Duration::seconds(2), 0);
    twice_ = id;
}

const Command* CommandQueue::outstanding(std::uint16_t wire) {
    const std::optional<CommandId> id = table_.name(wire);
    return id ? table_.find(*id) : nullptr;
}

void CommandQueue::refuse(std::uint64_t wire, std::string_view why) {
    table_.count_refused();
    say_refused(wire, why);
}

void CommandQueue::say_refused(std::uint64_t wire, std::string_view why) {
    marker::command_refused(identity_.device, identity_.number, wire);
    if (++refused_said_ <= refused_log_limit) {
        log::error("{}: completion for id {:#x} on queue {} refused: {}", identity_.name, wire,
                   identity_.number, why);
    }
}

void CommandQueue::close(std::string_view why) {
    task::SpinGuard guard{lock_};
    close_locked(why);
}

void CommandQueue::close_locked(std::string_view why) {
    if (closed_.exchange(true, std::memory_order_acq_rel)) {
        return;
    }
    if (!why.empty()) {
        log::error("{}: queue {} is given up: {}", identity_.name, identity_.number, why);
    }
    wake_everybody();
}

void CommandQueue::wake_everybody() {
    for (task::WaitQueue& queue : finished_) {
        queue.wake_all();
    }
    changed_.wake_all();
}

void CommandQueue::suspend() {
    task::SpinGuard guard{lock_};
    if (!suspended_) {
        suspended_ = true;
        ring_for_untold();
        marker::queue_suspend(identity_.device, identity_.number);
    }
}

void CommandQueue::resume() {
    task::SpinGuard guard{lock_};
    if (suspended_) {
        suspended_ = false;
        marker::queue_resume(identity_.device, identity_.number);
        changed_.wake_all();
    }
}

void CommandQueue::fail_all(Error error) {
    task::SpinGuard guard{lock_};
    untold_ = 0;
    table_.fail_all(error, [&](CommandId id, const Command& command) {
        log::warning("{}: {} ends without an answer on queue {}", identity_.name, said(command).text(),
                     identity_.number);
        if (!command.told) {
            marker::command_failed(identity_.device, identity_.number, id.marker(),
                                   static_cast<std::uint64_t>(error));
        }
    });
    wake_everybody();
}

void CommandQueue::end_all() {
    fail_all(Error::cancelled);
    task::SpinGuard guard{lock_};
    table_.drop_ended();
}

std::size_t CommandQueue::overdue() {
    task::SpinGuard guard{lock_};
    return table_.overdue();
}

std::optional<CommandId> CommandQueue::next_to_abort() {
    task::SpinGuard guard{lock_};
    std::optional<CommandId> oldest;
    Command* found = nullptr;
    table_.for_each([&](CommandId id, Command& command) {
        const bool late =
            command.state == Command::State::overdue || command.state == Command::State::timed_out;
        if (late && command.abort_asked == Instant{} && (found == nullptr || command.since < found->since)) {
            oldest = id;
            found = &command;
        }
    });
    if (found != nullptr) {
        found->abort_asked = now();
    }
    return oldest;
}

void CommandQueue::asked_for_abort([[maybe_unused]] CommandId id) {
    if constexpr (misbehave::built_in) {
        task::SpinGuard guard{lock_};
        if (Command* command = table_.find(id); command != nullptr) {
            misbehave_with_aborted(command->data);
        }
    }
}

std::optional<Instant> CommandQueue::aborting_since() {
    task::SpinGuard guard{lock_};
    std::optional<Instant> since;
    table_.for_each([&](CommandId, const Command& command) {
        const bool late =
            command.state == Command::State::overdue || command.state == Command::State::timed_out;
        if (late && command.abort_asked != Instant{} && (!since || command.abort_asked < *since)) {
            since = command.abort_asked;
        }
    });
    return since;
}

std::optional<Instant> CommandQueue::overdue_since() {
    task::SpinGuard guard{lock_};
    std::optional<Instant> since;
    table_.for_each([&](CommandId, const Command& command) {
        const bool late =
            command.state == Command::State::overdue || command.state == Command::State::timed_out;
        if (late && (!since || command.deadline.instant() < *since)) {
            since = command.deadline.instant();
        }
    });
    return since;
}

bool CommandQueue::owes(CommandId id) {
    task::SpinGuard guard{lock_};
    const Command* command = table_.find(id);
    return command != nullptr && !table_.finished(id);
}

Result<> CommandQueue::settle(Deadline deadline) {
    const auto settled = [&] {
        task::SpinGuard guard{lock_};
        return closed() || table_.owed() == 0;
    };
    while (!changed_.wait(earlier(deadline, Deadline::after(patience)), settled)) {
        if (deadline.expired()) {
            return fail(Error::timed_out);
        }
        log::warning("{}: shutting down waits for {} commands on queue {}", identity_.name, owed(),
                     identity_.number);
    }
    return {};
}

void CommandQueue::print_status(StatusLines& lines) {
    // Copied under the lock, said without: a console may be slow.
    CommandCounts counts;
    Latencies latencies;
    Command oldest;
    std::size_t outstanding = 0;
    std::size_t owed = 0;
    std::size_t overdue = 0;
    bool held = false;
    bool waits = false;
    {
        task::SpinGuard guard{lock_};
        counts = table_.counts();
        latencies = latencies_;
        outstanding = table_.outstanding();
        owed = table_.owed();
        overdue = table_.overdue();
        held = suspended_;
        table_.for_each([&](CommandId id, const Command& command) {
            if (!table_.finished(id) && (!waits || command.since < oldest.since)) {
                oldest.operation = command.operation;
                oldest.first = command.first;
                oldest.blocks = command.blocks;
                oldest.since = command.since;
                oldest.deadline = command.deadline;
                waits = true;
            }
        });
    }
    const std::string_view name = identity_.name;
    lines.add("{}: queue {}: {} of {} commands outstanding, {} owed by the device, {} overdue{}{}", name,
              identity_.number, outstanding, table_.limit(), owed, overdue,
              held ? ", held by a recovery" : "", closed() ? ", closed" : "");
    if (waits) {
        lines.add("{}: queue {}: the oldest: {} for {}, deadline in {}", name, identity_.number,
                  said(oldest).text(), now() - oldest.since, oldest.deadline.remaining());
    }
    lines.add(
        "{}: queue {}: {} submitted, {} completed, {} timed out, {} late, {} failed, {} refused, {} "
        "repeated",
        name, identity_.number, counts.submitted, counts.completed, counts.timed_out, counts.late,
        counts.failed, counts.refused, counts.repeated);
    std::array<char, 400> buffer;
    format::Writer line{buffer};
    latencies.write(line);
    lines.add("{}: queue {}: latencies{}, longest {}", name, identity_.number, line.text(),
              latencies.longest());
}

CommandCounts CommandQueue::counts() {
    task::SpinGuard guard{lock_};
    CommandCounts counts = table_.counts();
    counts.overdue = table_.overdue();
    return counts;
}

std::size_t CommandQueue::owed() {
    task::SpinGuard guard{lock_};
    return table_.owed();
}

}  // namespace pv::block
