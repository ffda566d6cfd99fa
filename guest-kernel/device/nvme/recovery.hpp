// The recovery ladder of one controller: from a command that is overdue to a controller that is given up.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/atomic.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "block/recovery_thread.hpp"
#include "device/nvme/service.hpp"

namespace pv::nvme {

/// Says, after a reset, whether the controller still is what it was.
class Identity {
  public:
    virtual ~Identity() = default;
    /// On the recovery's thread, with the admin queue in service.
    [[nodiscard]] virtual Result<> verify() = 0;
};

/// THE LADDER. A command's deadline passes; its caller has gone on, or waits until its request's deadline.
///   1 Abort is asked of the controller, for each such command, one at a time (so its limit of Aborts, ACL,
///     is never exceeded), with a deadline. Bit 0 of its answer says whether it aborted it.
///   2 Commands the controller goes on with get a grace: the queue works for others meanwhile.
///   3 The queue is held, deleted and made again, each admin command with its deadline. The deletion ends
///     every command of the queue: callers who still wait begin them again (block::Device).
///   4 The controller is reset: all queues are held; CC.EN = 0 and CSTS.RDY = 0 within CAP.TO; everything
///     owed ends; CC.EN = 1, CSTS.RDY = 1 within CAP.TO; queues made again; identified again.
///   5 It is given up: all queues refuse, interrupts and bus mastering are off.
/// A step that fails, or whose deadline passes, leads to the next; an admin command without an answer leads
/// to 4, as does CSTS.CFS; registers that read as all ones lead to 5. Steps 3 and 4 that keep being needed,
/// with no success in between, lead to the next.
///
/// One thread climbs it. It waits for the controller's answers to its own admin commands and registers, each
/// with a deadline, and for nothing else; it allocates nothing.
class Recovery final : public block::RecoveryThread {
  public:
    /// Starts the thread. `service` and `identity` outlive it. Errors: out_of_memory.
    [[nodiscard]] static Result<std::unique_ptr<Recovery>> create(Service& service, Identity& identity);

    ~Recovery();

    /// Ends the thread: the controller is the caller's alone then. It finishes the step it is at.
    void stop();

    struct Counts {
        Atomic<std::uint64_t> aborts{0};
        Atomic<std::uint64_t> aborted{0};
        Atomic<std::uint64_t> queues{0};
        Atomic<std::uint64_t> resets{0};
    };

    [[nodiscard]] const Counts& counts() const { return counts_; }

  private:
    Recovery(Service& service, Identity& identity)
        : RecoveryThread{service.name(), service.device()}, service_{service}, identity_{identity} {}

    void climb() override;
    /// False when the controller did not answer the Abort.
    [[nodiscard]] bool abort_overdue(Queue& queue);
    [[nodiscard]] bool make_again(std::size_t index);
    void reset(marker::Reason reason);
    [[nodiscard]] Result<> try_reset();
    void depart(Duration patience);
    void give_up(marker::Reason reason, std::string_view why);
    [[nodiscard]] std::uint64_t succeeded();

    Service& service_;
    Identity& identity_;
    Counts counts_;
};

}  // namespace pv::nvme
