// One hardware queue as threads use it: submit, wait with a deadline, time out, give back what comes late.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/atomic.hpp"
#include "base/deadline.hpp"
#include "base/function_ref.hpp"
#include "base/marker.hpp"
#include "base/result.hpp"
#include "base/status_lines.hpp"
#include "block/command_table.hpp"
#include "block/latency.hpp"
#include "device/dma/mapping.hpp"
#include "task/lock.hpp"
#include "task/wait_queue.hpp"

namespace pv::block {

/// A command on its way to a queue.
struct Submission {
    marker::Operation operation = marker::Operation::other;
    std::uint64_t first = 0;  ///< block, for the console
    std::uint64_t blocks = 0;
    std::uint64_t request = 0;                    ///< the caller's id as in durable_begin, or 0
    Deadline deadline = Deadline::at(Instant{});  ///< of the request
    unsigned attempt = 0;                         ///< how often the request was begun before
    dma::Mapping data{};                          ///< taken over: unmapped when the device is done with it
    std::uint32_t expected = 0;                   ///< bytes the device will say it wrote, where it says so
    bool more = false;  ///< the caller hands over another at once, or waits: one doorbell does for both
};

/// Who a queue belongs to, for markers and messages.
struct QueueIdentity {
    std::string_view name;  ///< of the device, "nvme0"; outlives the queue
    marker::Device device{};
    std::uint16_t number = 0;
};

/// Base of the queues of block drivers. What the device does is the derived class's: `publish` and `drain`.
///
/// A COMMAND'S DEADLINE is its request's, or the queue's patience where that is shorter. It is kept by its
/// caller's own thread: when it passes, the queue is looked at once more (an interrupt may have been lost),
/// then `expired` tells the driver, whose recovery is another thread's. The caller waits on until its
/// request's deadline, if that is later; then it gets timed_out and the memory goes to quarantine, until the
/// device answers (late) or is proven to be done (fail_all). Nothing else waits.
class CommandQueue {
  public:
    CommandQueue(QueueIdentity identity, Generations generations, std::size_t limit,
                 Duration patience = Duration::max())
        : identity_{identity}, patience_{patience}, table_{generations, limit, first_generation(identity)} {}

    CommandQueue(const CommandQueue&) = delete;
    CommandQueue& operator=(const CommandQueue&) = delete;

    /// Whether `submit` may sleep for a free slot.
    enum class Room : std::uint8_t { wait, now };

    /// Hands a command to the device. `prepare(id, command)` is called under the queue's lock and writes what
    /// the device will read; nothing is visible to it before `publish`. Threads only.
    /// With `more` set the device may hear of it with the next one, or when anybody waits for one of this
    /// queue. Errors: what prepare says; busy (no slot, Room::now); timed_out (no slot before the deadline,
    /// or that had passed already); device_failed when the queue was closed. On an error the data is unmapped
    /// again.
    [[nodiscard]] Result<CommandId> submit(Submission&& submission, Room room,
                                           FunctionRef<Result<>(CommandId, const Command&)> prepare);

    /// Sleeps until the command ended or its deadline passed. Each command is waited for once. Threads only.
    /// Errors: timed_out, device_failed, and what fail_all was given. A status the device gave is an Outcome,
    /// whatever it says.
    [[nodiscard]] Result<Outcome> wait(CommandId id);

    /// Whether `wait` would return at once. Any context.
    [[nodiscard]] bool has_ended(CommandId id);

    /// submit and wait.
    [[nodiscard]] Result<Outcome> execute(Submission&& submission,
                                          FunctionRef<Result<>(CommandId, const Command&)> prepare) {
        return wait(PV_TRY(submit(std::move(submission), Room::wait, prepare)));
    }

    /// The device says there is something. Interrupt context.
    void interrupt();

    /// Nothing is submitted until `resume`; who wants to, waits. What is outstanding goes on. Any context.
    void suspend();
    void resume();

    /// Nothing is submitted from here on; who waits gets device_failed, memory stays in quarantine. Any
    /// context.
    void close(std::string_view why);

    /// The device is proven to be done with every command it still owes: they end, who waits gets `error`,
    /// all their memory is unmapped. Threads only.
    void fail_all(Error error);

    /// The same at the end of the queue's life, when nobody waits any more.
    void end_all();

    /// Commands past their own deadline that the device still owes.
    [[nodiscard]] std::size_t overdue();

    /// The overdue command that waits longest and was not named by this before.
    [[nodiscard]] std::optional<CommandId> next_to_abort();

    /// The device was asked for the abort of this one, which may end all the same.
    void asked_for_abort(CommandId id);

    /// When the abort was asked of the first of those that next_to_abort named and the device still owes.
    [[nodiscard]] std::optional<Instant> aborting_since();

    /// When the first of those that are overdue, and that the device still owes, should have ended.
    [[nodiscard]] std::optional<Instant> overdue_since();

    /// Whether the device still owes it.
    [[nodiscard]] bool owes(CommandId id);

    /// Sleeps until the device owes nothing. Error: timed_out; says on the console what it waits for.
    [[nodiscard]] Result<> settle(Deadline deadline);

    [[nodiscard]] CommandCounts counts();

    /// Says what is outstanding, what waits longest and until when, what was counted, and the latencies.
    /// Threads only.
    void print_status(StatusLines& lines);
    [[nodiscard]] std::size_t owed();

    [[nodiscard]] const QueueIdentity& identity() const { return identity_; }

  protected:
    ~CommandQueue() = default;

    /// Makes what `prepare` wrote visible to the device and, unless there is `more`, rings. Under the lock,
    /// interrupts off.
    virtual void publish(CommandId id, bool more) = 0;

    /// Tells the device of all that was published. As `publish`.
    virtual void ring() = 0;

    /// Takes every completion there is, calling `arrived` for each. Under the lock, interrupts off.
    virtual void drain() = 0;

    /// The deadline of `id` passed; the device still owes it. On its caller's thread, no lock held: must not
    /// sleep for longer than the slack.
    virtual void expired(CommandId /*id*/) {}

    /// A command has waited for a second or more; called about once a second then. As `expired`.
    virtual void slow() {}

    /// For `drain` and what makes the queue again: no command is published or completed meanwhile.
    template <class Function>
    void locked(Function&& function) {
        task::SpinGuard guard{lock_};
        function();
    }

    /// From `drain`: the device answered for `wire`. `written` is how many bytes it says it wrote, 0 where
    /// the device does not say.
    void arrived(std::uint16_t wire, std::uint16_t status, std::uint32_t result);

    /// From `drain`: what is outstanding under `wire`, nullptr for nothing.
    [[nodiscard]] const Command* outstanding(std::uint16_t wire);

    /// From `drain`: a completion that names no command at all.
    void refuse(std::uint64_t wire, std::string_view why);

    [[nodiscard]] std::size_t owed_locked() const { return table_.owed(); }

    /// From `publish`: breaks cmd-duplicate on purpose (misbehave/): says that `id` is submitted once more,
    /// and takes its second completion for good as well.
    void submit_twice(CommandId id);

    /// From `drain`: as close().
    void close_locked(std::string_view why);

    [[nodiscard]] bool closed() const { return closed_.load(std::memory_order_acquire); }

  private:
    /// Devices of one sort begin at ids far from each other: a watcher that sees ids only, and not whose they
    /// are, mixes them up seldom.
    static constexpr std::uint64_t first_generation(const QueueIdentity& identity) {
        return (static_cast<std::uint64_t>(identity.device) >> 3 & 31) * 97 % 256;
    }

    /// Rings for what was published with `more`. Under the lock.
    void ring_for_untold();
    /// The command's deadline passed. Its outcome, if it has one by now.
    [[nodiscard]] std::optional<Result<Outcome>> expire(CommandId id);
    [[nodiscard]] Result<Outcome> give_up(CommandId id);
    /// True when some command waits for too long.
    bool say_waiting();
    void say_refused(std::uint64_t wire, std::string_view why);
    void wake_everybody();

    QueueIdentity identity_;
    Duration patience_;
    task::SpinLock lock_{task::Rank::queue};
    CommandTable table_;                                       ///< guarded by lock_
    Latencies latencies_;                                      ///< guarded by lock_
    Instant said_;                                             ///< guarded by lock_
    CommandId twice_;                                          ///< see submit_twice; guarded by lock_
    std::uint64_t refused_said_ = 0;                           ///< guarded by lock_
    std::array<task::WaitQueue, maximum_in_flight> finished_;  ///< by slot
    task::WaitQueue changed_;                                  ///< a slot became free, or less is owed
    std::size_t untold_ = 0;  ///< commands published without a doorbell; guarded by lock_
    bool suspended_ = false;  ///< guarded by lock_
    Atomic<bool> closed_{false};
};

}  // namespace pv::block
