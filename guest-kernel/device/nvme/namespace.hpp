// An NVMe namespace as a block device.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/atomic.hpp"
#include "base/result.hpp"
#include "block/device.hpp"
#include "device/nvme/service.hpp"
#include "device/nvme/spec.hpp"

namespace pv::nvme {

/// What of the controller limits a command.
struct Limits {
    std::size_t transfer = 0;   ///< bytes: MDTS and the length of a PRP list
    bool write_cache = true;    ///< VWC bit 0, and the feature says that it is on
    bool write_zeroes = false;  ///< ONCS
    bool deallocate = false;    ///< ONCS
};

/// Geometry of a namespace from its identify data. Errors: corrupt (sizes that cannot be), not_supported
/// (metadata, blocks below 512 bytes or above what one command carries), not_found (an inactive namespace).
[[nodiscard]] Result<block::Geometry> geometry_of(const IdentifyNamespace& data, const Limits& limits);

/// The longest transfer a controller takes (MDTS is a power of two of its smallest page, 0 = no limit), no
/// longer than one PRP list describes.
[[nodiscard]] std::size_t transfer_limit(std::uint8_t mdts, unsigned minimum_page_shift);

class Namespace final : public block::Device {
  public:
    /// `service` outlives it.
    Namespace(Service& service, std::uint32_t id, const block::Geometry& geometry);

    [[nodiscard]] std::string_view name() const override { return {name_.data(), name_length_}; }

    [[nodiscard]] const block::Geometry& geometry() const override { return geometry_; }

    /// Of the controller's queues, which its namespaces share.
    [[nodiscard]] block::CommandCounts counts() override;

    [[nodiscard]] marker::Device marker_device() const override { return service_.device(); }

    [[nodiscard]] std::uint32_t id() const { return id_; }

    /// It is not any more what it was: every request fails from now on.
    void retire() { retired_.store(true, std::memory_order_release); }

    [[nodiscard]] marker::DeviceKind kind() const override { return marker::DeviceKind::nvme; }

  private:
    [[nodiscard]] Result<block::Ticket> start(const block::Work& work) override;
    [[nodiscard]] Result<> finish(block::Ticket ticket) override;
    [[nodiscard]] bool has_ended(block::Ticket ticket) override;
    [[nodiscard]] Result<> judge(const Result<block::Outcome>& outcome);

    Service& service_;
    block::Geometry geometry_;
    std::uint32_t id_;
    std::array<char, 24> name_{};
    std::size_t name_length_ = 0;
    Atomic<std::uint64_t> failures_{0};
    Atomic<bool> retired_{false};
};

}  // namespace pv::nvme
