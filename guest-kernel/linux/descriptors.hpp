// Descriptors in calls: from numbers to open files and back.
// SPDX-License-Identifier: MIT
#pragma once

#include <sys/resource.h>

#include <algorithm>
#include <array>

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

/// Gives both ends of something descriptors and tells the program their numbers; none is kept on a failure.
/// Errors: emfile, enomem, efault.
[[nodiscard]] inline Value add_pair(Call& call, Ref<fs::OpenFile> one, Ref<fs::OpenFile> other,
                                    bool close_on_exec, UserPointer<std::array<int, 2>> ends) {
    const int first = PV_TRY(add(call, std::move(one), close_on_exec));
    const auto second = add(call, std::move(other), close_on_exec);
    if (!second) {
        static_cast<void>(call.process().descriptors->close(first));
        return fail(second.error());
    }
    const Outcome<> told = ends.write({first, *second});
    if (!told) {
        static_cast<void>(call.process().descriptors->close(first));
        static_cast<void>(call.process().descriptors->close(*second));
    }
    return done(told);
}

/// Who writes where nobody reads gets SIGPIPE with the error.
[[nodiscard]] inline Value pipe_broken(Call& call, Value result) {
    if (!result && result.error() == Errno::epipe) {
        task::send_signal(call.thread, SIGPIPE, task::make_info(SIGPIPE, SI_USER, &call.process()));
    }
    return result;
}

}  // namespace pv::linux
