// What the system calls itself, in uname(2) and in /proc.
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

namespace pv::fs::system_name {

/// A name that programs may change: of the host, or of its NIS domain.
struct Changeable {
    static constexpr std::size_t length_max = 64;

    constexpr explicit Changeable(std::string_view name) {
        std::ranges::copy(name.substr(0, length_max), text.begin());
    }

    /// Up to its first zero.
    [[nodiscard]] constexpr std::string_view view() const { return text.data(); }

    std::array<char, length_max + 1> text{};
};

[[nodiscard]] Changeable host();
[[nodiscard]] Changeable domain();
void set_host(const Changeable& name);
void set_domain(const Changeable& name);

/// The release of Linux whose interface this is: programs compare it.
inline constexpr std::string_view release = "6.1.0-paravane";
inline constexpr std::string_view version = "paravane " PV_VERSION;

}  // namespace pv::fs::system_name
