// A byte image of a machine's ACPI tables, built in memory and broken at will.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstring>
#include <map>
#include <string_view>
#include <vector>

#include "acpi/memory.hpp"
#include "acpi/spec.hpp"

namespace pv::acpi::testing {

using Bytes = std::vector<std::byte>;

template <class T>
void append(Bytes& bytes, const T& value) {
    const auto* raw = reinterpret_cast<const std::byte*>(&value);
    bytes.insert(bytes.end(), raw, raw + sizeof value);
}

inline void fix_checksum(Bytes& bytes, std::size_t at, std::size_t length) {
    bytes[at] = std::byte{0};
    unsigned sum = 0;
    for (std::size_t i = 0; i < length; ++i) {
        sum += std::to_integer<unsigned>(bytes[i]);
    }
    bytes[at] = static_cast<std::byte>(0x100 - (sum & 0xff));
}

inline constexpr std::size_t header_checksum = 9;

/// A table with a right header around `body` (what follows the 36 bytes).
inline Bytes table(std::string_view signature, const Bytes& body) {
    spec::Header header{};
    std::memcpy(header.signature.data(), signature.data(), 4);
    header.length = static_cast<std::uint32_t>(sizeof header + body.size());
    Bytes bytes;
    append(bytes, header);
    bytes.insert(bytes.end(), body.begin(), body.end());
    fix_checksum(bytes, header_checksum, bytes.size());
    return bytes;
}

/// Pieces of memory; all else is unreadable. Counts what is mapped, to see that all is let go.
class Machine final : public Memory {
  public:
    void put(std::uint64_t address, Bytes bytes) { pieces_[address] = std::move(bytes); }

    Bytes& at(std::uint64_t address) { return pieces_.at(address); }

    Result<std::span<const std::byte>> map(PhysicalAddress address, std::uint64_t length) override {
        auto piece = pieces_.upper_bound(address.value());
        if (piece == pieces_.begin()) {
            return fail(Error::out_of_range);
        }
        --piece;
        const std::uint64_t offset = address.value() - piece->first;
        if (offset > piece->second.size() || piece->second.size() - offset < length) {
            return fail(Error::out_of_range);
        }
        ++mapped_;
        return std::span<const std::byte>(piece->second).subspan(offset, length);
    }

    void release(std::span<const std::byte>) override { --mapped_; }

    [[nodiscard]] int mapped() const { return mapped_; }

    /// RSDP at 0x1000 and XSDT at 0x2000 naming every table put at `tables`.
    void put_roots(const std::vector<std::uint64_t>& tables) {
        spec::RsdpExtended rsdp{};
        std::memcpy(rsdp.base.signature.data(), "RSD PTR ", 8);
        rsdp.base.revision = 2;
        rsdp.length = sizeof rsdp;
        rsdp.xsdt = 0x2000;
        Bytes bytes;
        append(bytes, rsdp);
        fix_checksum(bytes, 8, sizeof(spec::Rsdp));
        fix_checksum(bytes, 32, sizeof(spec::RsdpExtended));
        put(0x1000, bytes);
        Bytes entries;
        for (const std::uint64_t address : tables) {
            append(entries, le64(address));
        }
        put(0x2000, table("XSDT", entries));
    }

  private:
    std::map<std::uint64_t, Bytes> pieces_;
    int mapped_ = 0;
};

}  // namespace pv::acpi::testing
