// What terminals ask of processes.
// SPDX-License-Identifier: MIT
#pragma once

namespace pv::linux {

/// Lets terminals know sessions and groups. Once, before the first program.
void start_job_control();

}  // namespace pv::linux
