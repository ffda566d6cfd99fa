// Pointers that programs hand over: copied from or to, and nothing else.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include "arch/x86_64/user_mode.hpp"
#include "base/address.hpp"
#include "base/errno.hpp"
#include "fs/io.hpp"

namespace pv::linux {

/// Copies whole, or fails with efault: wild, unmapped, wrapping and kernel-half addresses alike. Threads of
/// programs only, no spinlock held; may bring pages in.
[[nodiscard]] Outcome<> copy_in(std::span<std::byte> to, UserAddress from);
[[nodiscard]] Outcome<> copy_out(UserAddress to, std::span<const std::byte> from);

/// An address of T's in a program's memory. T const: for reading only.
template <class T>
class UserPointer {
  public:
    using Value = std::remove_const_t<T>;

    UserPointer() = default;

    explicit constexpr UserPointer(std::uint64_t address) : address_(address) {}

    [[nodiscard]] constexpr UserAddress address() const { return UserAddress(address_); }

    [[nodiscard]] constexpr bool is_null() const { return address_ == 0; }

    /// Error: efault.
    [[nodiscard]] Outcome<Value> read() const
        requires std::is_trivially_copyable_v<Value>
    {
        Value value{};
        PV_TRY(copy_in(std::as_writable_bytes(std::span<Value, 1>(&value, 1)), address()));
        return value;
    }

    [[nodiscard]] Outcome<> write(const Value& value) const
        requires(std::is_trivially_copyable_v<Value> && !std::is_const_v<T>)
    {
        return copy_out(address(), std::as_bytes(std::span<const Value, 1>(&value, 1)));
    }

    /// Writes where there is a pointer: programs pass null for what they do not want.
    [[nodiscard]] Outcome<> write_if_wanted(const Value& value) const
        requires(std::is_trivially_copyable_v<Value> && !std::is_const_v<T>)
    {
        return is_null() ? Outcome<>{} : write(value);
    }

    /// The element `count` further on.
    [[nodiscard]] constexpr UserPointer operator+(std::uint64_t count) const {
        return UserPointer(address_ + count * sizeof(Value));
    }

  private:
    std::uint64_t address_ = 0;
};

/// A zero-terminated string of a program's.
struct UserString {
    UserAddress address{};

    /// Copies it into `room`; returns its length without the zero. Errors: efault; enametoolong (no zero
    /// within `room`).
    [[nodiscard]] Outcome<std::size_t> read(std::span<char> room) const;
};

/// A program's bytes, for files to read from or write to.
class UserSource final : public fs::Source {
  public:
    UserSource(UserAddress at, std::size_t length) : at_(at), left_(length) {}

    [[nodiscard]] std::size_t left() const override { return left_; }

    [[nodiscard]] Outcome<std::size_t> take(std::span<std::byte> to) override;

  private:
    UserAddress at_;
    std::size_t left_;
};

class UserTarget final : public fs::Target {
  public:
    UserTarget(UserAddress at, std::size_t length) : at_(at), left_(length) {}

    [[nodiscard]] std::size_t left() const override { return left_; }

    [[nodiscard]] Outcome<std::size_t> put(std::span<const std::byte> from) override;

  private:
    UserAddress at_;
    std::size_t left_;
};

}  // namespace pv::linux
