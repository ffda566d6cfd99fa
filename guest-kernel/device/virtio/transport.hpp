// The modern virtio PCI transport (VIRTIO 1.2, section 4.1): structures found, features agreed on, queues set
// up.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/address.hpp"
#include "base/deadline.hpp"
#include "base/result.hpp"
#include "device/mmio/window.hpp"
#include "device/pci/device.hpp"
#include "device/pci/regs.hpp"
#include "device/virtio/misbehave.hpp"
#include "device/virtio/regs.hpp"

namespace pv::virtio {

/// A virtqueue's three areas, as the device sees them.
struct QueueAreas {
    BusAddress table;
    BusAddress driver;
    BusAddress device;
};

/// Where a queue's notifications go.
struct Doorbell {
    mmio::Window window;
    mmio::Register<std::uint16_t, mmio::Access::write_only> reg{0};

    void ring(std::uint16_t queue) const { window.write(reg, queue); }
};

/// How a device in service looks from its status register.
enum class Health : std::uint8_t {
    good,
    needs_reset,  ///< DEVICE_NEEDS_RESET (2.1.1)
    stopped,      ///< DRIVER_OK is not set any more: it was reset behind the driver's back
    gone,         ///< it is not there any more
};

/// Any device type: a driver brings the features it takes, and says how much configuration it needs. Threads
/// only, except `health`; the owner synchronises set-up.
class Transport {
  public:
    /// Finds and maps the structures. `pci` outlives it. Errors: not_supported (a legacy device: no modern
    /// structures), corrupt (a structure that does not lie inside its BAR, or is too short).
    [[nodiscard]] static Result<Transport> find(pci::Device& pci);

    /// The common configuration's place, for the device marker: the BAR that holds it.
    [[nodiscard]] const pci::Bar& registers() const { return registers_; }

    /// Writes 0 to the status and waits until it reads 0 (4.1.4.3.1): then the device is done with all
    /// memory, knows no queue and raises no interrupt. Errors: timed_out; device_failed when it is gone.
    [[nodiscard]] Result<> reset(Deadline deadline) const;

    [[nodiscard]] std::uint8_t status() const { return common_.read(CommonRegisters::device_status); }

    /// One register read, two when the device does nothing. Any context.
    [[nodiscard]] Health health() const;

    void add_status(std::uint8_t bits) const;

    /// Feature negotiation (3.1.1, steps 4 to 6): takes what is both offered and in `wanted`. Returns it.
    /// Errors: not_supported when one of `required` is not offered or the device does not accept the choice.
    [[nodiscard]] Result<std::uint64_t> negotiate(std::uint64_t wanted, std::uint64_t required) const;

    /// Queues the device has: its word.
    [[nodiscard]] std::uint16_t queue_count() const { return common_.read(CommonRegisters::queue_count); }

    /// Entries queue `index` may have at most; 0 = there is no such queue. The device's word: a split queue's
    /// size is a power of two all the same (2.7), so round down.
    [[nodiscard]] std::uint16_t queue_size_limit(std::uint16_t index) const;

    /// Gives queue `index` its size, memory and MSI-X entry, and enables it. Several queues, and the changes
    /// of the configuration, may share an entry. Errors: no_space (the device has no interrupt to give),
    /// out_of_range (its doorbell lies outside the notification structure), device_failed (it does not say
    /// that the queue is enabled).
    [[nodiscard]] Result<Doorbell> enable_queue(std::uint16_t index, std::uint16_t size,
                                                const QueueAreas& areas, std::uint16_t vector) const;

    /// Changes of the device configuration, and DEVICE_NEEDS_RESET, raise MSI-X entry `vector` from now on
    /// (4.1.5.1.2), until the next reset. Error: no_space.
    [[nodiscard]] Result<> set_configuration_vector(std::uint16_t vector) const;

    /// Reads the device configuration with `read(window)` until no change came between (2.5.1), a few times
    /// at most. Errors: device_failed (it changes all the time), corrupt (shorter than `needed`).
    template <class Read>
    [[nodiscard]] auto configuration(std::size_t needed, Read&& read) const
        -> Result<decltype(read(std::declval<const mmio::Window&>()))> {
        if (device_.length() < needed) {
            return fail(Error::corrupt);
        }
        for (int i = 0; i < configuration_attempts; ++i) {
            const std::uint8_t before = common_.read(CommonRegisters::config_generation);
            auto value = read(device_);
            if (common_.read(CommonRegisters::config_generation) == before) {
                return value;
            }
        }
        return fail(Error::device_failed);
    }

    /// Breaks a rule about registers, if one is armed (misbehave/).
    void misbehave() const { misbehave_with_registers(common_, notify_, notify_multiplier_); }

  private:
    static constexpr int configuration_attempts = 16;

    explicit Transport(const pci::Function& function) : function_{function} {}

    [[nodiscard]] bool present() const {
        return function_.read(pci::Registers::vendor) != pci::Registers::no_device;
    }

    pci::Function function_;
    pci::Bar registers_;
    mmio::Window common_;
    mmio::Window notify_;
    mmio::Window device_;
    std::uint32_t notify_multiplier_ = 0;
};

}  // namespace pv::virtio
