// mmio::Window: the only way to device registers; range, width and alignment are checked in every build.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/address.hpp"
#include "base/result.hpp"
#include "device/mmio/register.hpp"
#if PV_HOSTED
#include "hosted/registers.hpp"
#endif

namespace pv::mmio {

/// Registers of one device, mapped uncached, for as long as the kernel runs. A view: copies see the same
/// registers. Every access is one load or store of the register's own width. An access that does not lie
/// inside is a defect of the driver, which must have compared `length` with what it needs when it took the
/// device: it panics, in every build, and never reaches the bus.
class Window {
  public:
    constexpr Window() = default;

    /// `length` bytes at `base`, which are those at `physical`. `name` outlives the window.
    Window(volatile std::byte* base, std::size_t length, PhysicalAddress physical, std::string_view name)
        : base_{base}, length_{length}, physical_{physical}, name_{name} {}

    [[nodiscard]] std::size_t length() const { return length_; }

    [[nodiscard]] PhysicalAddress physical() const { return physical_; }

    [[nodiscard]] std::string_view name() const { return name_; }

    /// Whether an access of `width` bytes at `offset` would be allowed: for offsets a device chose.
    [[nodiscard]] bool contains(std::size_t offset, std::size_t width) const {
        return offset <= length_ && width <= length_ - offset && (physical_.value() + offset) % width == 0;
    }

    /// `length` bytes from `offset` as a window of their own. Error: out_of_range.
    [[nodiscard]] Result<Window> part(std::size_t offset, std::size_t length, std::string_view name) const;

    template <class T, Access access>

        requires(access != Access::write_only)
    [[nodiscard]] T read(Register<T, access> where) const {
        check(where.offset, sizeof(T), "read");
#if PV_HOSTED
        if (const auto modelled = hosted::modelled_register(base_ + where.offset)) {
            return static_cast<T>(modelled->model->read_register(modelled->offset, sizeof(T)));
        }
#endif
        return *reinterpret_cast<const volatile T*>(base_ + where.offset);
    }

    template <class T, Access access>

        requires(access != Access::read_only)
    void write(Register<T, access> where, T value) const {
        check(where.offset, sizeof(T), "write");
#if PV_HOSTED
        if (const auto modelled = hosted::modelled_register(base_ + where.offset)) {
            modelled->model->write_register(modelled->offset, sizeof(T), value);
            return;
        }
#endif
        *reinterpret_cast<volatile T*>(base_ + where.offset) = value;
    }

  private:
    void check(std::size_t offset, std::size_t width, std::string_view what) const {
        if (!contains(offset, width)) [[unlikely]] {
            refuse(offset, width, what);
        }
    }

    [[noreturn]] void refuse(std::size_t offset, std::size_t width, std::string_view what) const;

    volatile std::byte* base_ = nullptr;
    std::size_t length_ = 0;
    PhysicalAddress physical_;
    std::string_view name_;
};

}  // namespace pv::mmio
