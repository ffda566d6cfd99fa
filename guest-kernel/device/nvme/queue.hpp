// An NVMe queue pair in service: rings, PRP lists and doorbells under the commands' life.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/atomic.hpp"
#include "base/function_ref.hpp"
#include "base/result.hpp"
#include "block/command_queue.hpp"
#include "device/dma/buffer.hpp"
#include "device/mmio/window.hpp"
#include "device/nvme/prp.hpp"
#include "device/nvme/queue_pair.hpp"
#include "device/nvme/shadow.hpp"

namespace pv::nvme {

class Queue final : public block::CommandQueue {
  public:
    /// Memory and doorbells of a pair of `entries` entries; the controller does not know of it yet.
    /// `registers` is the controller's whole window. Emits queue_create for both queues. Errors:
    /// out_of_memory; corrupt when a queue of that size cannot be; out_of_range when the doorbells lie beyond
    /// the registers.
    [[nodiscard]] static Result<std::unique_ptr<Queue>> create(block::QueueIdentity identity,
                                                               const mmio::Window& registers,
                                                               std::size_t doorbell_stride,
                                                               std::size_t entries, Duration patience);

    /// Calls `function(context)` when a command is overdue, or slow, on its caller's thread.
    using Trouble = void (*)(void* context);

    void on_trouble(Trouble function, void* context) {
        locked([&] {
            trouble_ = function;
            trouble_context_ = context;
        });
    }

    /// Sends `entry` (without id and data pointer) and waits: see CommandQueue.
    [[nodiscard]] Result<block::Outcome> run(const SubmissionEntry& entry, block::Submission&& submission);

    /// What `start` may need on top.
    struct Extra {
        const DatasetRange* range = nullptr;    ///< what Dataset Management (without data) is about
        const Atomic<bool>* retired = nullptr;  ///< device_failed once it is set
    };

    /// Without the wait.
    [[nodiscard]] Result<block::CommandId> start(const SubmissionEntry& entry, block::Submission&& submission,
                                                 Room room, const Extra& extra);

    /// Doorbells in memory, before the controller knows of the queue.
    void use_shadow(const ShadowDoorbell& tail, const ShadowDoorbell& head) {
        shadow_tail_ = tail;
        shadow_head_ = head;
    }

    [[nodiscard]] BusAddress submission_bus() const { return submission_.bus(); }

    [[nodiscard]] BusAddress completion_bus() const { return completion_.bus(); }

    [[nodiscard]] std::size_t entries() const { return pair_.entries(); }

    /// The controller is about to forget the queue: no doorbell of it is rung from here on, whoever looks at
    /// what is left in it, until `renew`.
    void silence() {
        locked([&] { silent_ = true; });
    }

    /// The controller does not know of the queue any more, and nothing is outstanding: both rings are empty
    /// again, in the same memory, for a queue of the same number. Emits queue_delete and queue_create.
    void renew();

    /// The end of the queue. `quiet`: the controller uses none of the memory any more, all of it goes back;
    /// emits queue_delete. Else it stays in quarantine for good.
    void release(bool quiet);

  private:
    Queue(block::QueueIdentity identity, QueuePair pair, std::size_t limit, Duration patience)
        : CommandQueue{identity, block::Generations::on_wire, limit, patience}, pair_{pair} {}

    void mark_created() const;
    void mark_deleted() const;
    void tell();

    [[nodiscard]] Result<> stage(SubmissionEntry entry, block::CommandId id, const block::Command& command);
    void publish(block::CommandId id, bool more) override;
    void ring() override;
    void drain() override;

    void expired(block::CommandId) override { tell(); }

    void slow() override { tell(); }

    QueuePair pair_;
    SubmissionEntry staged_;       ///< between prepare and publish, under the lock
    std::uint16_t published_ = 0;  ///< tail, of which the controller may not have heard; under the lock
    dma::Buffer submission_;
    dma::Buffer completion_;
    dma::Buffer lists_;  ///< one PRP list a slot
    mmio::Window registers_;
    mmio::Register<std::uint32_t, mmio::Access::write_only> tail_{0};
    mmio::Register<std::uint32_t, mmio::Access::write_only> head_{0};
    ShadowDoorbell shadow_tail_;
    ShadowDoorbell shadow_head_;
    bool silent_ = false;        ///< under the lock
    Trouble trouble_ = nullptr;  ///< both under the lock
    void* trouble_context_ = nullptr;
};

}  // namespace pv::nvme
