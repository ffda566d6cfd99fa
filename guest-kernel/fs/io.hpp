// Where bytes come from and where they go: memory of a program (linux/), or the kernel's own.
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>

#include "base/errno.hpp"

namespace pv::fs {

/// Bytes to be written, taken from the front. May sleep (a program's page may have to be brought in): no
/// spinlock is held, and no lock that resolving a page fault takes.
class Source {
  public:
    virtual ~Source() = default;
    Source(const Source&) = delete;
    Source& operator=(const Source&) = delete;

    /// Bytes left.
    [[nodiscard]] virtual std::size_t left() const = 0;
    /// Takes to.size() bytes, at most left(). Returns how many were taken: fewer when the memory ended
    /// before; efault when none could be.
    [[nodiscard]] virtual Outcome<std::size_t> take(std::span<std::byte> to) = 0;

  protected:
    Source() = default;
};

/// Room for bytes that are read, filled from the front. May sleep, as Source.
class Target {
  public:
    virtual ~Target() = default;
    Target(const Target&) = delete;
    Target& operator=(const Target&) = delete;

    /// Room left, in bytes.
    [[nodiscard]] virtual std::size_t left() const = 0;
    /// Puts from.size() bytes, at most left(). Returns how many were put: fewer when the memory ended before;
    /// efault when none could be.
    [[nodiscard]] virtual Outcome<std::size_t> put(std::span<const std::byte> from) = 0;
    /// The same with zeros.
    [[nodiscard]] virtual Outcome<std::size_t> put_zeros(std::size_t count);

  protected:
    Target() = default;
};

/// The kernel's own bytes.
class SpanSource final : public Source {
  public:
    explicit SpanSource(std::span<const std::byte> bytes) : bytes_(bytes) {}

    [[nodiscard]] std::size_t left() const override { return bytes_.size(); }

    [[nodiscard]] Outcome<std::size_t> take(std::span<std::byte> to) override {
        const std::size_t count = std::min(to.size(), bytes_.size());
        std::memcpy(to.data(), bytes_.data(), count);
        bytes_ = bytes_.subspan(count);
        return count;
    }

  private:
    std::span<const std::byte> bytes_;
};

class SpanTarget final : public Target {
  public:
    explicit SpanTarget(std::span<std::byte> room) : room_(room) {}

    [[nodiscard]] std::size_t left() const override { return room_.size(); }

    [[nodiscard]] Outcome<std::size_t> put(std::span<const std::byte> from) override {
        const std::size_t count = std::min(from.size(), room_.size());
        std::memcpy(room_.data(), from.data(), count);
        room_ = room_.subspan(count);
        return count;
    }

  private:
    std::span<std::byte> room_;
};

/// One value of the kernel's as bytes, for put and take.
template <class T>
    requires std::is_trivially_copyable_v<T>
[[nodiscard]] std::span<const std::byte> bytes_of(const T& value) {
    return std::as_bytes(std::span<const T, 1>(&value, 1));
}

template <class T>
    requires std::is_trivially_copyable_v<T>
[[nodiscard]] std::span<std::byte> writable_bytes_of(T& value) {
    return std::as_writable_bytes(std::span<T, 1>(&value, 1));
}

}  // namespace pv::fs
