// The things an analysis follows through a trace: transfers, mappings, commands, doorbells.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "paravane/marker.h"
#include "paravane/trace_event.hpp"

namespace pv::checks {

/// A PCI address as markers write it: segment << 16 | bus << 8 | device << 3 | function.
using Bdf = std::uint32_t;
/// Nobody, or not known who.
inline constexpr Bdf no_device = 0xffff'ffff;

/// Where in the trace something happened. False when it did not.
struct Place {
    std::int64_t sequence = 0;
    std::int64_t time = 0;  ///< microseconds since the first event
    std::int32_t cpu = -1;
    std::uint64_t pc = 0;

    explicit operator bool() const { return sequence != 0; }
};

inline Place place_of(const trace::Event& event) {
    return {event.sequence, event.time, event.cpu, event.pc};
}

/// A device uses memory: from the event that shows the address to the end of its command.
struct Transfer {
    std::uint64_t id = 0;
    Place at;
    Bdf bdf = no_device;
    std::uint64_t address = 0;  ///< bus address
    std::uint64_t length = 0;   ///< bytes, not 0
    bool device_writes = false;
    std::uint64_t command = 0;  ///< Command::serial; 0 where none is known
    bool doubtful = false;      ///< its end may have been missed: see docs/rules/index.md, "Which controller"
};

/// The guest let a device use memory (marker dma_map).
struct Mapping {
    std::uint64_t id = 0;  ///< the guest's, or from first_own_id on: it gave none
    Bdf bdf = no_device;
    std::uint64_t bus = 0;
    std::uint64_t physical = 0;   ///< PV_PHYSICAL_UNKNOWN where the guest does not say
    std::uint64_t length = 0;     ///< bytes
    std::uint32_t direction = 0;  ///< pv_dma_direction; 0 where it was none of them
    Place mapped;
    Place unmapped;
    Place quarantined;

    static constexpr std::uint64_t first_own_id = std::uint64_t{1} << 63;

    [[nodiscard]] bool has_id() const { return id < first_own_id; }

    [[nodiscard]] bool is_at_known_frames() const { return physical != PV_PHYSICAL_UNKNOWN; }

    [[nodiscard]] bool allows(bool device_writes) const {
        return (direction & (device_writes ? PV_DMA_FROM_DEVICE : PV_DMA_TO_DEVICE)) != 0;
    }
};

/// A command to a device, as the guest announced it (marker), as the device took it, or both.
struct Command {
    std::uint64_t serial = 0;  ///< of this analysis, from 1
    Bdf bdf = no_device;
    std::uint32_t queue = 0;
    std::uint16_t id = 0;          ///< what the device sees
    std::uint64_t marker_id = 0;   ///< with the driver's generation above
    std::uint32_t operation = 0;   ///< pv_operation
    bool waits_for_event = false;  ///< an Asynchronous Event Request: need never complete
    bool is_abort = false;
    std::optional<std::uint64_t> bytes;
    std::optional<std::uint64_t> lba;  ///< blocks of the namespace (NVMe), 512-byte sectors (virtio-blk)
    Place submitted;                   ///< marker command_submit
    Place taken;                       ///< the device fetched it
    Place completed;                   ///< the device finished it
    Place acknowledged;                ///< marker command_complete
    Place timed_out;                   ///< marker command_timeout
    Place failed;                      ///< marker command_failed
    Place refused;                     ///< marker command_refused: its completion was noticed, and not taken
    Place aborted;                     ///< an abort was sent for it, or may have been
    Place reset;                       ///< the device was reset before it finished
    std::uint64_t deadline = 0;        ///< nanoseconds from submission as stated; 0: none
    std::uint64_t status = 0;          ///< the device's; 0: success
    bool shares_id =
        false;  ///< announced while an earlier one of its id was outstanding: its end is nobody's to tell
    bool ambiguous = false;  ///< another controller may have been meant

    /// First sign of it.
    [[nodiscard]] const Place& begun() const { return submitted ? submitted : taken; }

    /// The device may still act on it.
    [[nodiscard]] bool outstanding() const { return !completed && !reset && !(failed && !taken); }
};

/// What is wrong with a value written to a doorbell.
enum class DoorbellProblem : std::uint8_t {
    none,
    no_queue,        ///< no such queue exists
    out_of_range,    ///< value >= the queue's size
    past_other_end,  ///< submission: more entries than are free; completion: more than were posted
};

struct Doorbell {
    Place at;
    Bdf bdf = no_device;
    bool completion = false;  ///< NVMe completion queue head
    std::uint32_t queue = 0;
    std::uint64_t value = 0;
    std::uint64_t address = 0;  ///< of the register; 0: in memory (shadow doorbell)
    std::uint32_t size = 0;     ///< the queue's entries; 0 where there is no queue
    std::uint32_t moved = 0;    ///< entries, for past_other_end
    std::uint32_t room = 0;     ///< entries it could have moved
    DoorbellProblem problem = DoorbellProblem::none;
};

/// "read", "write", ... of pv_operation; "other" for what is none.
[[nodiscard]] std::string_view operation_name(std::uint32_t operation);

}  // namespace pv::checks
