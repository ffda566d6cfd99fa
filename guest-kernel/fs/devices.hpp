// Which driver a device number stands for.
// SPDX-License-Identifier: MIT
#pragma once

#include "fs/open_file.hpp"

namespace pv::fs {

/// What opens a device: there is one for each major number and type.
class DeviceClass {
  public:
    /// Errors: enxio (no such minor), and the driver's own.
    [[nodiscard]] virtual Outcome<Ref<OpenFile>> open(const Location& here, DeviceNumber number,
                                                      std::uint32_t flags) = 0;

  protected:
    ~DeviceClass() = default;
};

/// `device_class` lives for ever. Once a major number; error: ebusy.
[[nodiscard]] Outcome<> register_device_class(NodeType type, std::uint32_t major, DeviceClass& device_class);

/// Opens what a device node stands for. Error: enxio (nobody drives it).
[[nodiscard]] Outcome<Ref<OpenFile>> open_device(const Location& here, NodeType type, DeviceNumber number,
                                                 std::uint32_t flags);

}  // namespace pv::fs
