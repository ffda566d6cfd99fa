// Descriptors in calls: from numbers to open files and back.
// SPDX-License-Identifier: MIT
#pragma once

#include <sys/resource.h>

#include <algorithm>

#include "linux/call.hpp"

namespace pv::linux {

/// Error: ebadf.
[[nodiscard]] inline Outcome<Ref<fs::OpenFile>> get(Call& call, int descriptor) {
    return call.process().descriptors->get(descriptor);
}

/// The process's limit (RLIMIT_NOFILE).
[[nodiscard]] inline unsigned limit(const Call& call) {
    return static_cast<unsigned>(
        std::min<std::uint64_t>(call.process().limits[RLIMIT_NOFILE].soft, fs::DescriptorTable::count_max));
}

/// The lowest free number. Errors: emfile, enomem.
[[nodiscard]] inline Outcome<int> add(Call& call, Ref<fs::OpenFile> file, bool close_on_exec) {
    return call.process().descriptors->add(std::move(file), close_on_exec, limit(call));
}

[[nodiscard]] inline Value as_value(Outcome<int> descriptor) {
    if (!descriptor) {
        return fail(descriptor.error());
    }
    return static_cast<std::uint64_t>(*descriptor);
}

/// Who writes where nobody reads gets SIGPIPE with the error.
[[nodiscard]] inline Value pipe_broken(Call& call, Value result) {
    if (!result && result.error() == Errno::epipe) {
        task::send_signal(call.thread, SIGPIPE, task::make_info(SIGPIPE, SI_USER, &call.process()));
    }
    return result;
}

}  // namespace pv::linux
