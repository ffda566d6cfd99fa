// What the system calls itself, in uname(2) and in /proc.
// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

namespace pv::fs::system_name {

inline constexpr std::string_view host = "paravane";
/// The release of Linux whose interface this is: programs compare it.
inline constexpr std::string_view release = "6.1.0-paravane";
inline constexpr std::string_view version = "paravane " PV_VERSION;

}  // namespace pv::fs::system_name
