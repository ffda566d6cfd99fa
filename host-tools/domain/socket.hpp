// UNIX sockets of a run: listen, accept with a deadline.
// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <filesystem>

#include "base/error.hpp"
#include "base/file.hpp"

namespace pv::domain {

/// A listening stream socket at `path` (mode 0600; must not exist). Errors: unavailable.
Result<Descriptor> listen_at(const std::filesystem::path& path);

/// Waits for one connection. Errors: incomplete when `limit` passes first.
Result<Descriptor> accept_from(const Descriptor& listener, std::chrono::milliseconds limit);

/// Waits until `descriptor` is readable (or closed); false when `limit` passes first. A negative limit waits
/// for ever: for descriptors that another thread is certain to make readable.
bool readable(int descriptor, std::chrono::milliseconds limit);

}  // namespace pv::domain
