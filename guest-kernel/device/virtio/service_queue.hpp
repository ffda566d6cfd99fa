// A virtqueue in service: how the device is told, what it is caught at, how it begins anew and ends.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "base/result.hpp"
#include "block/command_queue.hpp"
#include "device/dma/buffer.hpp"
#include "device/virtio/transport.hpp"

namespace pv::virtio {

/// Base of the queues whose commands have deadlines. What a request looks like is the derived class's.
class ServiceQueue : public block::CommandQueue {
  public:
    virtual ~ServiceQueue() = default;

    /// Descriptors of its ring.
    [[nodiscard]] virtual std::size_t entries() const = 0;

    /// Emits queue_areas and queue_create, and returns what the device is to be told.
    [[nodiscard]] QueueAreas announce();

    /// From here on the queue can be used.
    void set_doorbell(const Doorbell& doorbell) {
        locked([&] { doorbell_ = doorbell; });
    }

    /// Calls `function(context)` when a request is overdue, or slow, or the ring says what cannot be: in any
    /// context, with the queue's lock held.
    using Trouble = void (*)(void* context);
    void on_trouble(Trouble function, void* context);

    /// The device said what cannot be since the last `renew`: ids or lengths that nothing explains, an index
    /// that jumped.
    [[nodiscard]] bool lied();

    /// How often it did.
    [[nodiscard]] std::uint64_t lies();

    /// The device was reset and nothing is outstanding: the ring is empty again, in the same memory. Emits
    /// queue_delete.
    void renew();

    /// The end of the queue. `quiet`: the device uses none of the memory any more, all of it goes back; emits
    /// queue_delete. Else it stays in quarantine for good.
    void release(bool quiet);

  protected:
    /// As CommandQueue's: `limit` commands at once, `patience` for each.
    ServiceQueue(block::QueueIdentity identity, std::size_t limit, Duration patience)
        : CommandQueue{identity, block::Generations::host_only, limit, patience} {}

    [[nodiscard]] virtual marker::QueueKind kind() const = 0;
    /// Where the device finds the parts of the ring.
    [[nodiscard]] virtual QueueAreas areas() const = 0;
    /// Every byte of the ring is 0, and the driver's side begins anew. Under the lock.
    virtual void restart() = 0;
    /// All memory the queue was given goes back, or to quarantine.
    virtual void end_memory(bool quiet) = 0;

    /// `index` is what the ring's available index is now. A watcher that reads the ring at each of these sees
    /// each chain, for a device may find it before it is told.
    void mark_available(std::uint16_t index);

    /// Writes the register.
    void ring_doorbell() { doorbell_.ring(identity().number); }

    /// Gives `take` each used element of `ring`, whose driver has `surplus` chains out that it does not
    /// remember. At most one pass of the ring a call, and a few looks: a device that keeps it full, or says
    /// that there is something where there is nothing, cannot hold the processor here.
    template <class Ring, class Take>
    void drain_ring(Ring& ring, std::size_t surplus, Take&& take) {
        bool armed = false;
        for (std::size_t left = entries(); left > 0 && !armed; --left) {
            if (const auto used = ring.next_used(owed_locked() + surplus)) {
                take(*used);
            } else {
                armed = !ring.rearm();
            }
        }
        if (!armed) {
            (void)ring.rearm();
        }
        if (ring.broken()) {
            broken();
        }
    }

    /// What the device just said cannot be; the first time, whoever listens hears of it. Under the lock.
    void lie();

    /// Lies so far. Under the lock.
    [[nodiscard]] std::uint64_t lies_locked() const { return lies_; }

    /// Sends each of `buffers` that there is back, or to quarantine.
    static void end(std::initializer_list<dma::Buffer*> buffers, bool quiet);

  private:
    void expired(block::CommandId) final {
        locked([&] { tell(); });
    }

    void slow() final {
        locked([&] { tell(); });
    }

    void tell();
    void broken();
    void mark_deleted();

    Doorbell doorbell_;
    bool announced_ = false;  ///< queue_create was emitted, queue_delete is owed
    bool lied_ = false;       ///< this and what follows under the lock
    std::uint64_t lies_ = 0;
    Trouble trouble_ = nullptr;
    void* trouble_context_ = nullptr;
};

}  // namespace pv::virtio
