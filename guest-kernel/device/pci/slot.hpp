// One slot that devices are put into and taken out of (PCI Express Base Specification 5.0, 6.7).
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/deadline.hpp"
#include "base/result.hpp"
#include "device/pci/config.hpp"
#include "device/pci/regs.hpp"

namespace pv::pci {

/// The registers of a port's slot. One thread.
class Slot {
  public:
    /// The slot of a port; nothing when the function has none, or one that is not hot-plug capable.
    [[nodiscard]] static std::optional<Slot> of(const Function& port);

    /// The number on the machine's case.
    [[nodiscard]] std::uint32_t number() const { return capabilities_ >> SlotRegisters::number_shift; }

    /// Entry of the port's MSI-X table that says events.
    [[nodiscard]] std::size_t message() const;

    /// Whether `address` lies behind the port, by the buses the port leads to now.
    [[nodiscard]] bool leads_to(const Address& address) const;

    /// Forgets what happened so far; from now on button, presence and link raise the interrupt.
    void begin();
    /// No more interrupts.
    void end();

    /// What happened since it was asked last: SlotRegisters::attention, presence_changed, link_changed. A
    /// port that is gone itself says nothing.
    [[nodiscard]] std::uint16_t take_events();

    /// Whether something is in the slot, powered or not.
    [[nodiscard]] bool occupied() const;

    enum class Light : std::uint16_t {
        on = SlotRegisters::power_indicator_on,
        blinks = SlotRegisters::power_indicator_blinks,  ///< "do not pull yet"
        off = SlotRegisters::power_indicator_off,
    };

    /// Errors: timed_out (the port did not complete the command; 6.7.3.2 gives it a second).
    Result<> show(Light light);

    /// Power and indicator off in one command: what was in the slot answers no more and reaches nothing.
    /// Errors: as show.
    Result<> power_off();

    [[nodiscard]] Address port() const { return port_.address(); }

  private:
    Slot(const Function& port, std::uint8_t capability, std::uint32_t capabilities)
        : port_{port}, capability_{capability}, capabilities_{capabilities} {}

    [[nodiscard]] mmio::Register<std::uint16_t> reg(std::size_t at) const { return {capability_ + at}; }

    Result<> command(std::uint16_t clear, std::uint16_t set);

    Function port_;
    std::uint8_t capability_;
    std::uint32_t capabilities_;
};

}  // namespace pv::pci
