// The recovery of one virtio device: from a request that is overdue to a device that is given up.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "base/atomic.hpp"
#include "base/marker.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "block/recovery_thread.hpp"
#include "device/virtio/transport.hpp"

namespace pv::virtio {

/// How long each thing may take. Tests shorten them.
struct Patience {
    Duration command = Duration::seconds(5);  ///< a request, whatever its caller's deadline
    Duration grace = Duration::seconds(4);    ///< what is overdue, before the device is reset for it
    Duration reset = Duration::seconds(2);    ///< the specification states no time for a reset
};

/// A device as its recovery sees it. Called on the recovery's thread, `name`, `device` and `patience` on any.
class Recoverable {
  public:
    [[nodiscard]] virtual std::string_view name() const = 0;
    [[nodiscard]] virtual marker::Device marker_device() const = 0;
    [[nodiscard]] virtual const Patience& patience() const = 0;

    [[nodiscard]] virtual Health health() const = 0;
    /// The device said what cannot be, and nothing is believed any more until it is reset.
    [[nodiscard]] virtual bool lied() = 0;
    /// Since when a request is past its deadline that the device still owes; the oldest.
    [[nodiscard]] virtual std::optional<Instant> overdue_since() = 0;
    /// Grows with every request that succeeds.
    [[nodiscard]] virtual std::uint64_t succeeded() = 0;
    /// Looks at what an interrupt for a change of the configuration may have been about.
    virtual void configuration_changed() = 0;

    /// Nothing is submitted until `resume`.
    virtual void suspend() = 0;
    virtual void resume() = 0;
    /// Emits device_reset, and resets it: it is done with all memory then. Errors: as Transport::reset.
    [[nodiscard]] virtual Result<> reset(marker::ResetReason reason) = 0;
    /// Waits until it owes nothing. False at the deadline.
    [[nodiscard]] virtual bool settle(Deadline deadline) = 0;
    /// After a reset: what it owed ends with `error`; the queues are empty.
    virtual void empty(Error error) = 0;
    /// After `empty`: as at first, in the same memory, with the same features. Takes no memory.
    [[nodiscard]] virtual Result<> bring_back() = 0;
    /// Every caller gets device_failed from now on.
    virtual void close(std::string_view why) = 0;
    /// An IOMMU stands between it and memory.
    [[nodiscard]] virtual bool confined() const = 0;
    /// No interrupts, no bus mastering.
    virtual void cut_off() = 0;

  protected:
    ~Recoverable() = default;
};

/// THE LADDER. A request's deadline passes; its caller has gone on, or waits until its own deadline.
///   1 Nothing can be asked of a virtio device but a reset, which ends everything: what is overdue gets a
///     grace, during which the device works for others and may still answer.
///   2 The device is reset: all queues are held; status 0 is written, and read within the patience;
///   everything
///     owed ends, and callers who still wait begin it again; features, configuration and queues as before.
///     Tried twice.
///   3 It is given up: all queues refuse, interrupts and bus mastering are off.
/// DEVICE_NEEDS_RESET, a status that lost DRIVER_OK, and a ring that says what cannot be lead to 2 at once;
/// registers that read as all ones lead to 3. Resets that keep being needed, with no success in between, lead
/// to 3.
///
/// One thread climbs it. It waits for registers, with a deadline, and for nothing else; it allocates nothing.
class Recovery final : public block::RecoveryThread {
  public:
    /// Starts the thread. `device` outlives it. Errors: out_of_memory.
    [[nodiscard]] static Result<std::unique_ptr<Recovery>> create(Recoverable& device);

    ~Recovery();

    /// The device raised its interrupt for a change of the configuration. Any context.
    void configuration_interrupt();

    /// Ends the thread: the device is the caller's alone then. It finishes the step it is at.
    void stop();

    [[nodiscard]] std::uint64_t resets() const { return resets_.load(std::memory_order_relaxed); }

  private:
    explicit Recovery(Recoverable& device)
        : RecoveryThread{device.name(), device.marker_device()}, device_{device} {}

    void climb() override;
    void reset(marker::Reason reason);
    [[nodiscard]] Result<> try_reset();
    void depart(Duration patience);
    void give_up(marker::Reason reason, std::string_view why);

    Recoverable& device_;
    Atomic<std::uint64_t> resets_{0};
    Atomic<bool> configuration_{false};
};

}  // namespace pv::virtio
