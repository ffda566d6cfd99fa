// Sends Abort for commands that timed out, on a thread of its own, so that their callers need not wait for
// it. SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/result.hpp"
#include "block/slot_table.hpp"
#include "device/mmio/window.hpp"
#include "device/nvme/queue.hpp"
#include "task/lock.hpp"
#include "task/thread.hpp"
#include "task/wait_queue.hpp"

namespace pv::nvme {

/// Abort (NVM Express Base 2.0, section 5.1) is a request: the controller may finish the command all the
/// same, and its completion, whenever it comes, is what frees the memory. A controller that reports a fatal
/// status, or is gone, is given up: both queues are closed.
class AbortService {
  public:
    /// Starts the thread. Queues and `registers` outlive it. Errors: out_of_memory.
    [[nodiscard]] static Result<std::unique_ptr<AbortService>> create(std::string_view name, Queue& admin,
                                                                      Queue& io,
                                                                      const mmio::Window& registers);

    ~AbortService();
    AbortService(const AbortService&) = delete;
    AbortService& operator=(const AbortService&) = delete;

    /// Asks for the abort of a command of the I/O queue. Any thread; never sleeps. More requests than fit are
    /// counted and dropped: their commands stay in quarantine as any other.
    void request(block::CommandId id);

    /// Ends the thread: at most one abort's deadline later. Nothing is asked for afterwards.
    void stop();

  private:
    struct Waiting {
        std::array<block::CommandId, block::maximum_in_flight> ids;
        std::size_t count = 0;
        std::uint64_t dropped = 0;
    };

    AbortService(std::string_view name, Queue& admin, Queue& io, const mmio::Window& registers)
        : name_{name}, admin_{admin}, io_{io}, registers_{registers} {}

    void serve();
    void abort(block::CommandId id);
    [[nodiscard]] bool pending();

    std::string_view name_;
    Queue& admin_;
    Queue& io_;
    mmio::Window registers_;
    task::Guarded<Waiting, task::Rank::leaf> waiting_;
    std::atomic<bool> stopping_{false};
    task::WaitQueue work_;
    task::Thread thread_;
};

}  // namespace pv::nvme
