// What libvirt and QEMU say when a domain does not start, as an error a person can act on.
// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

#include "base/error.hpp"

namespace pv::domain {

/// `text`: libvirt's error, which quotes the end of QEMU's log. Never fails: what it does not know is passed
/// on.
Error diagnose_start(std::string_view text);

}  // namespace pv::domain
