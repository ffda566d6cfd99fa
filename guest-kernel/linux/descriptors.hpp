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

/// Nothing is kept of a disk's blocks: what is read of one, or written to it, crosses its wires.
[[nodiscard]] inline bool is_disk(const fs::OpenFile& file) {
    return file.node() != nullptr && file.node()->type() == fs::NodeType::block_device;
}

/// Puts what a call that reads, or one that writes, has moved into the thread's account. What the file was
/// not open for is no call that did.
[[nodiscard]] inline Value counted_read(Call& call, const fs::OpenFile& file, Value result) {
    if (result || result.error() != Errno::ebadf) {
        call.thread.io.add_read(result.value_or(0), is_disk(file));
    }
    return result;
}

[[nodiscard]] inline Value counted_write(Call& call, const fs::OpenFile& file, Value result) {
    if (result || result.error() != Errno::ebadf) {
        call.thread.io.add_write(result.value_or(0), is_disk(file));
    }
    return result;
}

/// The same for a call that moves bytes from one file to another.
inline void count_moved(Call& call, const fs::OpenFile& from, const fs::OpenFile& to, const Value& moved) {
    call.thread.io.add_read(moved.value_or(0), is_disk(from));
    call.thread.io.add_write(moved.value_or(0), is_disk(to));
}

/// Who writes to `file`, where nobody reads, gets SIGPIPE with the error: pipes and streams, not messages.
[[nodiscard]] inline Value pipe_broken(Call& call, const fs::OpenFile& file, Value result) {
    const bool has_messages = file.kind() == fs::FileKind::socket &&
                              static_cast<const fs::Socket&>(file).socket_type() != fs::SocketType::stream;
    if (!result && result.error() == Errno::epipe && !has_messages) {
        task::send_signal(call.thread, SIGPIPE, task::make_info(SIGPIPE, SI_USER, call.thread));
    }
    return result;
}

}  // namespace pv::linux
