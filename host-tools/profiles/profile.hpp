// A profile: which functions of a known kernel mean what markers mean, and where their operands are.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace pv::profiles {

/// What a call does to a device's memory, or to memory that translations lead to.
enum class Deed : std::uint8_t {
    map,             ///< one range; known when the function returns
    unmap,           ///< one range; when it is called
    map_list,        ///< a scatterlist's entries; when it returns
    map_table,       ///< those of a struct sg_table; when it returns
    unmap_list,      ///< a scatterlist's entries; when it is called
    release,         ///< pages are given back; when it is called
    release_folios,  ///< those of a struct folio_batch; when it is called
    shootdown,  ///< processors forget a range of a struct mm_struct; begun when called, over when it returns
    shootdown_kernel,  ///< they forget a range of the kernel's, or everything; the same
};

/// Whether it is of no concern to devices: for the probe `tlb`.
[[nodiscard]] constexpr bool is_about_translation(Deed deed) {
    return deed == Deed::release || deed == Deed::release_folios || deed == Deed::shootdown ||
           deed == Deed::shootdown_kernel;
}

/// Where an operand is: "0" to "5", an argument in the order of the calling convention (System V, x86-64);
/// "*2", 64 bits where argument 2 points to; "result".
struct Operand {
    std::string name;  ///< device, bus, length, page, offset, ...: docs/profiles.md
    std::string place;
};

struct Call {
    std::string symbol;
    Deed deed = Deed::map;
    std::vector<Operand> operands;
    std::optional<std::int64_t> failure;  ///< a result that means that nothing was mapped
};

struct Profile {
    std::string name;         ///< the file's, without its end
    std::string description;  ///< one line
    std::string kernel;       ///< regular expression that the kernel's banner fits
    std::string calls_of;     ///< name of an installed profile whose calls it has besides its own; or empty
    std::vector<Call> calls;
};

/// Understands a profile's text; `file` names it in errors, with line and column. Errors: usage.
[[nodiscard]] Result<Profile> parse_profile(std::string_view text, const std::string& file);

/// Reads the profile called `word`: a path, or one of those in `folder`. Errors: usage; the hint lists these.
[[nodiscard]] Result<Profile> read_profile(const std::string& word, const std::filesystem::path& folder);

/// The word the plugin's file has for `deed`.
[[nodiscard]] std::string_view name(Deed deed);

}  // namespace pv::profiles
