// Zero-filled frames of an IOMMU's own tables: no device may ever write them.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "base/address.hpp"
#include "base/marker.hpp"
#include "base/result.hpp"
#include "memory/frames.hpp"

namespace pv::iommu {

/// Owns its frames, and says by markers that they are protected as long as it does. Move-only.
class TableFrames {
  public:
    /// At least `bytes`. Errors: as memory::Frames::allocate_zeroed.
    static Result<TableFrames> allocate(std::uint64_t bytes) {
        TableFrames table{PV_TRY(memory::Frames::allocate_zeroed(bytes))};
        marker::memory_protect(table.address(), table.frames_.size(), marker::Protection::table);
        return table;
    }

    TableFrames() = default;
    TableFrames(TableFrames&& other) noexcept = default;

    TableFrames& operator=(TableFrames&& other) noexcept {
        std::swap(frames_, other.frames_);
        return *this;
    }

    TableFrames(const TableFrames&) = delete;
    TableFrames& operator=(const TableFrames&) = delete;

    ~TableFrames() {
        if (frames_.valid()) {
            marker::memory_unprotect(frames_.address(), frames_.size());
        }
    }

    [[nodiscard]] PhysicalAddress address() const { return frames_.address(); }

    [[nodiscard]] bool valid() const { return frames_.valid(); }

    /// As the CPU sees it, through the direct map.
    [[nodiscard]] std::span<std::byte> bytes() const { return frames_.bytes(); }

  private:
    explicit TableFrames(memory::Frames frames) : frames_{std::move(frames)} {}

    memory::Frames frames_;
};

}  // namespace pv::iommu
