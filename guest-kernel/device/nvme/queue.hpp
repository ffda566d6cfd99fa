// An NVMe queue pair in service: rings, PRP lists and doorbells under the commands' life.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/function_ref.hpp"
#include "base/result.hpp"
#include "block/command_queue.hpp"
#include "device/dma/buffer.hpp"
#include "device/mmio/window.hpp"
#include "device/nvme/prp.hpp"
#include "device/nvme/queue_pair.hpp"

namespace pv::nvme {

class Queue final : public block::CommandQueue {
  public:
    /// Memory and doorbells of a pair of `entries` entries; the controller does not know of it yet.
    /// `registers` is the controller's whole window. Emits queue_create for both queues. Errors:
    /// out_of_memory; out_of_range when the doorbells lie beyond the registers.
    [[nodiscard]] static Result<std::unique_ptr<Queue>> create(block::QueueIdentity identity,
                                                               const mmio::Window& registers,
                                                               std::size_t doorbell_stride,
                                                               std::size_t entries);

    /// Calls `function(id)` for every command whose caller got timed_out, on the caller's thread.
    using Expired = void (*)(void* context, block::CommandId id);

    void on_expired(Expired function, void* context) {
        expired_ = function;
        expired_context_ = context;
    }

    /// Sends `entry` (without id and data pointer) and waits: see CommandQueue.
    [[nodiscard]] Result<block::Outcome> run(const SubmissionEntry& entry, block::Submission&& submission);
    [[nodiscard]] Result<block::CommandId> start(const SubmissionEntry& entry, block::Submission&& submission,
                                                 Room room);

    [[nodiscard]] BusAddress submission_bus() const { return submission_.bus(); }

    [[nodiscard]] BusAddress completion_bus() const { return completion_.bus(); }

    [[nodiscard]] std::size_t entries() const { return pair_.entries(); }

    /// The controller uses none of the memory any more. Emits queue_delete; every mapping ends.
    void release();

  private:
    Queue(block::QueueIdentity identity, QueuePair pair, std::size_t limit)
        : CommandQueue{identity, block::Generations::on_wire, limit}, pair_{pair} {}

    [[nodiscard]] Result<> stage(SubmissionEntry entry, block::CommandId id, const block::Command& command);
    void publish(block::CommandId id) override;
    void drain() override;
    void expired(block::CommandId id) override;

    QueuePair pair_;
    SubmissionEntry staged_;  ///< between prepare and publish, under the lock
    dma::Buffer submission_;
    dma::Buffer completion_;
    dma::Buffer lists_;  ///< one PRP list a slot
    mmio::Window registers_;
    mmio::Register<std::uint32_t, mmio::Access::write_only> tail_{0};
    mmio::Register<std::uint32_t, mmio::Access::write_only> head_{0};
    Expired expired_ = nullptr;
    void* expired_context_ = nullptr;
};

}  // namespace pv::nvme
