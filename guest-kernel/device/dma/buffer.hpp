// Memory that belongs to a device for its whole service: rings, tables, identify data.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>
#include <utility>

#include "device/dma/mapping.hpp"
#include "device/dma/pages.hpp"

namespace pv::dma {

/// Zeroed frames and their one mapping. Like a Mapping, it must be released when the device is done with it:
/// what is destroyed before stays out of the allocator for good.
class Buffer {
  public:
    Buffer() = default;

    /// Errors: out_of_memory, invalid_argument (length 0).
    [[nodiscard]] static Result<Buffer> allocate(Requester requester, std::size_t length,
                                                 Direction direction) {
        Buffer buffer;
        buffer.pages_ = PV_TRY(Pages::allocate(length));
        buffer.mapping_ = PV_TRY(Mapping::share(requester, buffer.pages_, 0, length, direction));
        return buffer;
    }

    [[nodiscard]] std::span<std::byte> bytes() const { return pages_.bytes().first(mapping_.length()); }

    [[nodiscard]] BusAddress bus() const { return mapping_.bus(); }

    [[nodiscard]] const Mapping& mapping() const { return mapping_; }

    explicit operator bool() const { return static_cast<bool>(mapping_); }

    /// The device does not use it any more. The frames go back.
    void release() {
        mapping_.unmap();
        pages_ = Pages{};
    }

    /// The device was given up and may still use it: neither frames nor mapping ever go back.
    void quarantine() { mapping_.quarantine(); }

    /// The mapping alone, for a command that takes it over and ends it.
    [[nodiscard]] Mapping take_mapping() { return std::move(mapping_); }

    [[nodiscard]] const Pages& pages() const { return pages_; }

  private:
    Pages pages_;
    Mapping mapping_;
};

/// A buffer whose address no device has been told: given back when setting up fails half way.
class UntoldBuffer {
  public:
    UntoldBuffer() = default;

    /// As Buffer::allocate.
    [[nodiscard]] static Result<UntoldBuffer> allocate(Requester requester, std::size_t length,
                                                       Direction direction) {
        UntoldBuffer untold;
        untold.buffer_ = PV_TRY(Buffer::allocate(requester, length, direction));
        return untold;
    }

    UntoldBuffer(UntoldBuffer&&) noexcept = default;

    UntoldBuffer& operator=(UntoldBuffer&& other) noexcept {
        std::swap(buffer_, other.buffer_);
        return *this;
    }

    UntoldBuffer(const UntoldBuffer&) = delete;
    UntoldBuffer& operator=(const UntoldBuffer&) = delete;

    ~UntoldBuffer() {
        if (buffer_) {
            buffer_.release();
        }
    }

    [[nodiscard]] const Buffer& operator*() const { return buffer_; }

    [[nodiscard]] const Buffer* operator->() const { return &buffer_; }

    /// For whoever tells the device, and is responsible from then on.
    [[nodiscard]] Buffer take() { return std::move(buffer_); }

  private:
    Buffer buffer_;
};

}  // namespace pv::dma
