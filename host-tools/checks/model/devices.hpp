// Devices by address: which BAR a register is in, whose QEMU object a pointer is, what a device is called.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "checks/model/context.hpp"
#include "checks/model/types.hpp"

namespace pv::checks {

/// What a register belongs to, by the name of QEMU's memory region.
enum class Region : std::uint8_t {
    other,
    nvme,           ///< controller registers and doorbells
    virtio_common,  ///< VIRTIO 1.2, section 4.1.4.3
    virtio_notify,
    virtio_isr,
    virtio_device,
    virtio_legacy,  ///< the port window of a transitional device
    msix,
};

struct Bar {
    std::uint64_t address = 0;
    std::uint64_t size = 0;
    Bdf bdf = no_device;
    std::uint32_t number = 0;

    [[nodiscard]] bool contains(std::uint64_t at) const { return at >= address && at - address < size; }
};

/// A processor uses a register of a device whose map is known.
struct RegisterUse {
    Region region = Region::other;  ///< never other
    const Bar* bar = nullptr;       ///< never null
    bool write = false;
    std::uint64_t offset = 0;  ///< in the BAR
    std::uint64_t structure =
        0;  ///< virtio: in its structure: QEMU gives each a page, the common one the first
    std::uint64_t value = 0;
    std::uint64_t size = 0;  ///< bytes
};

struct DeviceState {
    Bdf bdf = no_device;
    std::uint32_t kind = PV_DEVICE_OTHER;  ///< pv_device_kind
    bool announced = false;                ///< marker device, and not released since
};

class Devices {
  public:
    explicit Devices(const Context& context);

    void see(const trace::Event& event);

    /// The BAR that holds this register; nullptr when none does.
    [[nodiscard]] const Bar* find(std::uint64_t address) const;
    [[nodiscard]] const DeviceState* find_device(Bdf bdf) const;

    /// An interned text; "" when it is not known.
    [[nodiscard]] std::string text(std::uint64_t id) const {
        return context_.text ? context_.text(id) : std::string();
    }

    /// Sort of a region by its text; cached.
    [[nodiscard]] Region region(std::uint64_t text_id) const;

    /// `event` as such a use; nothing when it is something else.
    [[nodiscard]] std::optional<RegisterUse> register_use(const trace::Event& event) const;

    /// "disk0", or "00:10.0" for a device the trace does not name; "a device" for no_device.
    [[nodiscard]] std::string name(Bdf bdf) const;
    /// "disk0 (nvme 00:10.0)".
    [[nodiscard]] std::string long_name(Bdf bdf) const;

    /// The device called `name` ("disk0"); no_device when there is none.
    [[nodiscard]] Bdf named(std::string_view name) const;

    void learn_kind(Bdf bdf, std::uint32_t kind);

  private:
    void add(const Bar& bar);

    const Context& context_;
    std::map<std::uint64_t, Bar> bars_;  ///< by address, not overlapping
    std::unordered_map<Bdf, DeviceState> devices_;
    mutable std::unordered_map<std::uint64_t, Region> regions_;
};

/// "00:10.0" (with the segment in front when it is not 0).
[[nodiscard]] std::string bdf_text(Bdf bdf);

}  // namespace pv::checks
