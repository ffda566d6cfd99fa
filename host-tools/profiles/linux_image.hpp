// A Linux kernel as it is booted, unpacked: what it says of itself.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace pv::profiles {

/// A bzImage's kernel, or an ELF vmlinux, as one ELF file in memory.
class LinuxImage {
  public:
    /// Unpacks the payload of a bzImage (Linux's boot protocol 2.08; gzip, xz, zstd, lz4, ... as libarchive
    /// knows them). Errors: usage: neither a bzImage nor an ELF file for x86-64, or damaged.
    [[nodiscard]] static Result<LinuxImage> read(const std::filesystem::path& path);

    /// The contents of a section; empty when there is none of this name. Valid as long as this object.
    [[nodiscard]] std::string_view section(std::string_view name) const;

    /// `length` bytes at an address as linked; nothing where the file has none.
    [[nodiscard]] std::optional<std::string_view> at(std::uint64_t address, std::size_t length) const;

    /// "Linux version 6.1.0-56-cloud-amd64 (...) ..."; "" when it does not say.
    [[nodiscard]] std::string banner() const;

  private:
    struct Section {
        std::string name;
        std::uint64_t address = 0;
        std::size_t offset = 0;  ///< in the file
        std::size_t length = 0;
    };

    explicit LinuxImage(std::string elf) : elf_(std::move(elf)) {}

    Result<> find_sections(const std::string& name);

    std::string elf_;
    std::vector<Section> sections_;
};

}  // namespace pv::profiles
