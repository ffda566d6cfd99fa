// Arbitrary bytes as a machine's ACPI memory. The first two bytes of the input say which checksums to make
// right.
// SPDX-License-Identifier: MIT
#include "acpi/tables.hpp"

#include <cstdint>
#include <cstring>
#include <vector>

#include "acpi/spec.hpp"
#include "hosted/control.hpp"

namespace {

using pv::PhysicalAddress;

/// One run of memory at `base`; all else is unreadable.
class Image final : public pv::acpi::Memory {
  public:
    static constexpr std::uint64_t base = 0x1000;

    explicit Image(std::vector<std::byte> bytes) : bytes_(std::move(bytes)) {}

    pv::Result<std::span<const std::byte>> map(PhysicalAddress address, std::uint64_t length) override {
        if (address.value() < base || address.value() - base > bytes_.size() ||
            bytes_.size() - (address.value() - base) < length) {
            return pv::fail(pv::Error::out_of_range);
        }
        return std::span<const std::byte>(bytes_).subspan(address.value() - base, length);
    }

    void release(std::span<const std::byte>) override {}

  private:
    std::vector<std::byte> bytes_;
};

void fix(std::span<std::byte> bytes, std::size_t checksum) {
    if (checksum >= bytes.size()) {
        return;
    }
    bytes[checksum] = std::byte{0};
    unsigned sum = 0;
    for (const std::byte b : bytes) {
        sum += std::to_integer<unsigned>(b);
    }
    bytes[checksum] = static_cast<std::byte>(0x100 - (sum & 0xff));
}

// Without right checksums an input would seldom get past the door.
void fix_tables(std::span<std::byte> bytes, std::uint8_t which) {
    constexpr std::size_t first_table = 64;
    constexpr std::size_t header_checksum = 9;
    if ((which & 1) != 0 && bytes.size() >= sizeof(pv::acpi::spec::RsdpExtended)) {
        std::memcpy(bytes.data(), "RSD PTR ", 8);
        fix(bytes.first(sizeof(pv::acpi::spec::Rsdp)), 8);
        fix(bytes.first(sizeof(pv::acpi::spec::RsdpExtended)), 32);
    }
    // Tables lie one after another from offset 64 on.
    for (std::size_t at = first_table; (which & 2) != 0;) {
        const auto header = pv::read_at<pv::acpi::spec::Header>(bytes, at);
        if (!header || header->length < sizeof *header || header->length > bytes.size() - at) {
            return;
        }
        fix(bytes.subspan(at, header->length), header_checksum);
        at += header->length;
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 1) {
        return 0;
    }
    std::vector<std::byte> bytes(size - 1);
    if (size > 1) {
        std::memcpy(bytes.data(), data + 1, size - 1);
    }
    fix_tables(bytes, data[0]);
    Image image(std::move(bytes));
    static_cast<void>(pv::acpi::parse(PhysicalAddress(Image::base), image));
    pv::hosted::take_log();
    return 0;
}
