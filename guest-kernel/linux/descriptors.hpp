// Descriptors in calls: from numbers to open files and back.
// SPDX-License-Identifier: MIT
#pragma once

#include <sys/resource.h>

#include <algorithm>
#include <array>

#include "fs/socket.hpp"
#include "linux/call.hpp"

namespace pv::linux {

/// For the few calls that take O_PATH's descriptors too. Error: ebadf.
[[nodiscard]] inline Outcome<Ref<fs::OpenFile>> get_any(Call& call, int descriptor) {
    return call.process().descriptors->get(descriptor);
}

/// Error: ebadf, also where it only names a place (O_PATH).
[[nodiscard]] inline Outcome<Ref<fs::OpenFile>> get(Call& call, int descriptor) {
    auto file = get_any(call, descriptor);
    if (file && ((*file)->flags() & fs::open_flag::path_only) != 0) {
        return fail(Errno::ebadf);
    }
    return file;
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

/// Who writes to `file`, where nobody reads, gets SIGPIPE with the error: pipes and streams, not messages.
[[nodiscard]] inline Value pipe_broken(Call& call, const fs::OpenFile& file, Value result) {
    const bool has_messages = file.kind() == fs::FileKind::socket &&
                              static_cast<const fs::Socket&>(file).socket_type() != fs::SocketType::stream;
    if (!result && result.error() == Errno::epipe && !has_messages) {
        task::send_signal(call.thread, SIGPIPE, task::make_info(SIGPIPE, SI_USER, &call.process()));
    }
    return result;
}

}  // namespace pv::linux
