// Integers of a stated byte order, and access to them at any alignment: what wire structures are made of.
// SPDX-License-Identifier: MIT
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

namespace pv {

constexpr std::uint8_t byte_swap(std::uint8_t v) {
    return v;
}

constexpr std::uint16_t byte_swap(std::uint16_t v) {
    return __builtin_bswap16(v);
}

constexpr std::uint32_t byte_swap(std::uint32_t v) {
    return __builtin_bswap32(v);
}

constexpr std::uint64_t byte_swap(std::uint64_t v) {
    return __builtin_bswap64(v);
}

/// An unsigned integer kept in `order`, without alignment: usable inside packed wire structures.
template <std::unsigned_integral T, std::endian order>
class Ordered {
  public:
    constexpr Ordered() = default;

    constexpr Ordered(T value) { *this = value; }  // NOLINT(google-explicit-constructor): same number

    constexpr Ordered& operator=(T value) {
        bytes_ = std::bit_cast<Bytes>(convert(value));
        return *this;
    }

    constexpr operator T() const {  // NOLINT(google-explicit-constructor): same number
        return convert(std::bit_cast<T>(bytes_));
    }

    [[nodiscard]] constexpr T get() const { return *this; }

  private:
    struct Bytes {
        unsigned char b[sizeof(T)];
    };

    static constexpr T convert(T value) {
        if constexpr (order == std::endian::native) {
            return value;
        } else {
            return byte_swap(value);
        }
    }

    Bytes bytes_{};
};

using le16 = Ordered<std::uint16_t, std::endian::little>;
using le32 = Ordered<std::uint32_t, std::endian::little>;
using le64 = Ordered<std::uint64_t, std::endian::little>;
using be16 = Ordered<std::uint16_t, std::endian::big>;
using be32 = Ordered<std::uint32_t, std::endian::big>;
using be64 = Ordered<std::uint64_t, std::endian::big>;

static_assert(sizeof(le16) == 2 && sizeof(le32) == 4 && sizeof(le64) == 8 && alignof(le64) == 1);

/// Copies a plain structure out of `bytes` at `offset`; nothing when it does not lie inside entirely.
template <class T>
    requires std::is_trivially_copyable_v<T>

[[nodiscard]] std::optional<T> read_at(std::span<const std::byte> bytes, std::size_t offset) {
    if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) {
        return std::nullopt;
    }
    T value;
    std::memcpy(&value, bytes.data() + offset, sizeof(T));
    return value;
}

}  // namespace pv
