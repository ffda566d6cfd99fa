// The plugin's arguments, as QEMU hands them over: "probe=markers,control,rings".
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <expected>
#include <span>
#include <string>

namespace pv::plugin {

struct Options {
    bool markers = true;         ///< what the guest says
    bool control = true;         ///< control registers, invlpg, the start of vCPUs
    bool rings = true;           ///< virtqueues at doorbell markers; needs markers
    bool tlb = false;            ///< translation: every load and store pays for it
    bool ownership = false;      ///< buffers that devices own: every load and store pays for it
    std::uint64_t grace = 2000;  ///< of the probe tlb, milliseconds: see docs/translation.md
    bool instructions = false;   ///< counts what each vCPU executes; every block pays for it
    std::string profile = {};    ///< file with what a kernel's functions mean (docs/profiles.md); empty: none

    bool operator==(const Options&) const = default;
};

/// Understands the arguments. QEMU separates the ones of -plugin by commas, so `probe=markers,control`
/// arrives as "probe=markers" and "control=on"; both that and repeated `probe=` are understood. The first
/// probe named turns the others off. `profile=FILE` stands for itself, `grace=` for milliseconds up to
/// 100,000. The error is one line with what was expected.
std::expected<Options, std::string> parse_options(std::span<const char* const> arguments);

}  // namespace pv::plugin
