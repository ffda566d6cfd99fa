// eventfd(2): a counter that can be waited for.
// SPDX-License-Identifier: MIT
#pragma once

#include "fs/open_file.hpp"

namespace pv::fs {

/// `flags`: open_flag::nonblock; `semaphore`: a read takes one (EFD_SEMAPHORE). Error: enomem.
[[nodiscard]] Outcome<Ref<OpenFile>> create_event_file(std::uint32_t initial, bool semaphore,
                                                       std::uint32_t flags);

/// Adds one to what an event file (FileKind::event) counts, unless that is full. Any thread; does not wait.
void ring_event_file(OpenFile& file);

}  // namespace pv::fs
