// Answers what /proc asks of processes.
// SPDX-License-Identifier: MIT
#pragma once

namespace pv::linux {

/// Once, before the first program.
void start_process_view();

}  // namespace pv::linux
