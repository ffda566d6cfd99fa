// A raw disk image opened and locked the way QEMU locks images, so that neither takes the other's.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <filesystem>
#include <utility>

#include "base/error.hpp"

namespace pv::faults {

/// An open image, or memory that looks like one. Owns the descriptor, and with it the locks.
class Image {
  public:
    /// A file or block device. Errors: usage (missing, a folder, no access, in use by another program).
    static Result<Image> open(const std::filesystem::path& path, bool read_only);

    /// An empty disk of `size` bytes in memory that only what is written takes.
    static Result<Image> memory(std::uint64_t size);

    Image(Image&& other) noexcept
        : descriptor_(std::exchange(other.descriptor_, -1)), size_(other.size_), memory_(other.memory_) {}

    Image& operator=(Image&& other) noexcept {
        std::swap(descriptor_, other.descriptor_);
        std::swap(size_, other.size_);
        std::swap(memory_, other.memory_);
        return *this;
    }

    ~Image();

    [[nodiscard]] int descriptor() const { return descriptor_; }

    [[nodiscard]] std::uint64_t size() const { return size_; }

    [[nodiscard]] bool is_memory() const { return memory_; }

  private:
    Image(int descriptor, std::uint64_t size, bool memory)
        : descriptor_(descriptor), size_(size), memory_(memory) {}

    int descriptor_ = -1;
    std::uint64_t size_ = 0;
    bool memory_ = false;
};

}  // namespace pv::faults
