// Calls on descriptors: reading, writing, seeking, duplicating, waiting for readiness.
// SPDX-License-Identifier: MIT
#include <asm/ioctls.h>
#include <asm/sockios.h>
#include <asm/unistd.h>
#include <fcntl.h>
#include <linux/fs.h>

#include <algorithm>

#include "fs/pipe.hpp"
#include "fs/pty.hpp"
#include "fs/tmpfs.hpp"
#include "linux/descriptors.hpp"
#include "linux/file_owner.hpp"
#include "linux/lock_calls.hpp"
#include "linux/table.hpp"
#include "linux/time_values.hpp"
#include "linux/vector_io.hpp"
#include "net/inet_socket.hpp"

namespace pv::linux {
namespace {

/// As Linux's MAX_RW_COUNT: one call moves no more.
constexpr std::uint64_t count_max = 0x7fff'f000;

Value read(Call& call, int descriptor, UserAddress to, std::uint64_t length) {
    const auto file = PV_TRY(get(call, descriptor));
    UserTarget target(to, std::min(length, count_max));
    return counted_read(call, *file, file->read(target));
}

Value write(Call& call, int descriptor, UserAddress from, std::uint64_t length) {
    const auto file = PV_TRY(get(call, descriptor));
    UserSource source(from, std::min(length, count_max));
    return counted_write(call, *file, pipe_broken(call, *file, file->write(source)));
}

Value pread(Call& call, int descriptor, UserAddress to, std::uint64_t length, std::int64_t offset) {
    if (offset < 0) {
        return fail(Errno::einval);
    }
    const auto file = PV_TRY(get(call, descriptor));
    UserTarget target(to, std::min(length, count_max));
    return counted_read(call, *file, file->read_at(static_cast<std::uint64_t>(offset), target));
}

Value pwrite(Call& call, int descriptor, UserAddress from, std::uint64_t length, std::int64_t offset) {
    if (offset < 0) {
        return fail(Errno::einval);
    }
    const auto file = PV_TRY(get(call, descriptor));
    UserSource source(from, std::min(length, count_max));
    return counted_write(call, *file, file->write_at(static_cast<std::uint64_t>(offset), source));
}

Value readv(Call& call, int descriptor, UserAddress pieces, std::uint64_t count) {
    const auto file = PV_TRY(get(call, descriptor));
    VectorTarget target;
    PV_TRY(target.read(pieces, count));
    if (!fs::is_readable(file->flags())) {
        return fail(Errno::ebadf);
    }
    const bool cannot = file->kind() == fs::FileKind::epoll;
    return counted_read(call, *file,
                        cannot               ? Value(fail(Errno::einval))
                        : target.left() == 0 ? Value(0)
                                             : Value(file->read(target)));
}

Value writev(Call& call, int descriptor, UserAddress pieces, std::uint64_t count) {
    const auto file = PV_TRY(get(call, descriptor));
    VectorSource source;
    PV_TRY(source.read(pieces, count));
    if (!fs::is_writable(file->flags())) {
        return fail(Errno::ebadf);
    }
    const bool cannot = file->kind() == fs::FileKind::epoll || file->kind() == fs::FileKind::timer ||
                        file->kind() == fs::FileKind::signals;
    return counted_write(call, *file,
                         cannot               ? Value(fail(Errno::einval))
                         : source.left() == 0 ? Value(0)
                                              : pipe_broken(call, *file, file->write(source)));
}

Value preadv(Call& call, int descriptor, UserAddress pieces, std::uint64_t count, std::int64_t offset) {
    if (offset < 0) {
        return fail(Errno::einval);
    }
    const auto file = PV_TRY(get(call, descriptor));
    VectorTarget target;
    PV_TRY(target.read(pieces, count));
    return counted_read(call, *file, file->read_at(static_cast<std::uint64_t>(offset), target));
}

Value pwritev(Call& call, int descriptor, UserAddress pieces, std::uint64_t count, std::int64_t offset) {
    if (offset < 0) {
        return fail(Errno::einval);
    }
    const auto file = PV_TRY(get(call, descriptor));
    VectorSource source;
    PV_TRY(source.read(pieces, count));
    return counted_write(call, *file, file->write_at(static_cast<std::uint64_t>(offset), source));
}

// preadv2(2) and pwritev2(2): offset -1 is where the file stands; a wish that is not known is refused.
constexpr std::uint32_t wishes_without_effect = RWF_HIPRI;
constexpr std::uint32_t wishes_to_last = RWF_DSYNC | RWF_SYNC;

Value preadv2(Call& call, int descriptor, UserAddress pieces, std::uint64_t count, std::int64_t offset,
              std::uint64_t, std::uint32_t wishes) {
    if ((wishes & ~(wishes_without_effect | wishes_to_last)) != 0) {
        return fail(Errno::eopnotsupp);
    }
    return offset == -1 ? readv(call, descriptor, pieces, count)
                        : preadv(call, descriptor, pieces, count, offset);
}

Value pwritev2(Call& call, int descriptor, UserAddress pieces, std::uint64_t count, std::int64_t offset,
               std::uint64_t, std::uint32_t wishes) {
    if ((wishes & ~(wishes_without_effect | wishes_to_last)) != 0) {
        return fail(Errno::eopnotsupp);
    }
    const Value written = offset == -1 ? writev(call, descriptor, pieces, count)
                                       : pwritev(call, descriptor, pieces, count, offset);
    if (written && (wishes & wishes_to_last) != 0) {
        const auto file = PV_TRY(get(call, descriptor));
        PV_TRY(file->sync());
    }
    return written;
}

Value lseek(Call& call, int descriptor, std::int64_t offset, std::uint32_t whence) {
    const auto file = PV_TRY(get(call, descriptor));
    if (whence > static_cast<std::uint32_t>(fs::Whence::hole)) {
        return fail(Errno::einval);
    }
    return file->seek(offset, static_cast<fs::Whence>(whence));
}

Value close(Call& call, int descriptor) {
    return done(call.process().descriptors->close(descriptor));
}

Value close_range(Call& call, std::uint32_t first, std::uint32_t last, std::uint32_t flags) {
    constexpr std::uint32_t unshare = 2;
    constexpr std::uint32_t on_exec = 4;
    if ((flags & ~(unshare | on_exec)) != 0 || first > last) {
        return fail(Errno::einval);
    }
    if ((flags & on_exec) != 0) {
        call.process().descriptors->mark_range(first, last);
    } else {
        call.process().descriptors->close_range(first, last);
    }
    return 0;
}

Value dup(Call& call, int descriptor) {
    return as_value(add(call, PV_TRY(get_any(call, descriptor)), false));
}

Value dup3(Call& call, int old, int fresh, int flags) {
    if ((flags & ~O_CLOEXEC) != 0 || old == fresh) {
        return fail(Errno::einval);
    }
    const auto file = PV_TRY(get_any(call, old));
    PV_TRY(call.process().descriptors->set(fresh, file, (flags & O_CLOEXEC) != 0, limit(call)));
    return static_cast<std::uint64_t>(fresh);
}

Value dup2(Call& call, int old, int fresh) {
    if (old == fresh) {
        PV_TRY(get_any(call, old));
        return static_cast<std::uint64_t>(fresh);
    }
    return dup3(call, old, fresh, 0);
}

Value fcntl(Call& call, int descriptor, int command, std::uint64_t argument) {
    const bool is_of_descriptors = command == F_DUPFD || command == F_DUPFD_CLOEXEC || command == F_GETFD ||
                                   command == F_SETFD || command == F_GETFL;
    const auto file = PV_TRY(is_of_descriptors ? get_any(call, descriptor) : get(call, descriptor));
    switch (command) {
        case F_DUPFD:
        case F_DUPFD_CLOEXEC:
            if (argument >= limit(call)) {
                return fail(Errno::einval);
            }
            return as_value(call.process().descriptors->add(file, command == F_DUPFD_CLOEXEC, limit(call),
                                                            static_cast<unsigned>(argument)));
        case F_GETFD:
            return PV_TRY(call.process().descriptors->closes_on_exec(descriptor)) ? FD_CLOEXEC : 0;
        case F_SETFD:
            return done(
                call.process().descriptors->set_close_on_exec(descriptor, (argument & FD_CLOEXEC) != 0));
        case F_GETFL:
            return file->shown_flags();
        case F_SETFL:
            if ((argument & ~file->flags() & fs::open_flag::no_access_time) != 0 &&
                call.thread.identity.file_user != file->attributes().user &&
                !call.thread.identity.has(Capability::fowner)) {
                return fail(Errno::eperm);
            }
            return done(file->set_status_flags(static_cast<std::uint32_t>(argument), descriptor));
        case F_GETLK:
        case F_SETLK:
        case F_SETLKW:
        case F_OFD_GETLK:
        case F_OFD_SETLK:
        case F_OFD_SETLKW:
            return lock_range(call, *file, command, argument);
        case F_GETPIPE_SZ:
        case F_SETPIPE_SZ: {
            fs::Pipe* const pipe = fs::pipe_of(*file);
            if (pipe == nullptr) {
                return fail(Errno::ebadf);
            }
            return command == F_GETPIPE_SZ ? Value(pipe->capacity())
                                           : pipe->set_capacity(static_cast<std::uint32_t>(argument));
        }
        case F_GET_SEALS:
            return PV_TRY(fs::seals(*file));
        case F_ADD_SEALS:
            return done(fs::add_seals(*file, static_cast<std::uint32_t>(argument)));
        default:
            return file_owner_command(call, *file, command, argument);
    }
}

/// ioctl's argument in a program's memory.
class UserIoctlArgument final : public fs::IoctlArgument {
  public:
    explicit UserIoctlArgument(std::uint64_t value) : value_(value) {}

    [[nodiscard]] std::uint64_t value() const override { return value_; }

    [[nodiscard]] Outcome<> read(std::span<std::byte> to) override {
        return copy_in(to, UserAddress(value_));
    }

    [[nodiscard]] Outcome<> write(std::span<const std::byte> from) override {
        return copy_out(UserAddress(value_), from);
    }

    [[nodiscard]] Outcome<> write_at(std::uint64_t at, std::span<const std::byte> from) override {
        return copy_out(UserAddress(at), from);
    }

  private:
    std::uint64_t value_;
};

Value ioctl(Call& call, int descriptor, std::uint32_t request, std::uint64_t argument) {
    const auto file = PV_TRY(get(call, descriptor));
    UserIoctlArgument user(argument);
    switch (request) {
        case FIOCLEX:
        case FIONCLEX:
            return done(call.process().descriptors->set_close_on_exec(descriptor, request == FIOCLEX));
        case FIONBIO: {
            const int on = PV_TRY(UserPointer<const int>(argument).read());
            file->set_flags(fs::open_flag::nonblock, on != 0 ? fs::open_flag::nonblock : 0);
            return 0;
        }
        case FIOASYNC:
            return done(file->set_async(PV_TRY(UserPointer<const int>(argument).read()) != 0, descriptor));
        case FIOSETOWN:
        case SIOCSPGRP:
            if (file->kind() == fs::FileKind::socket) {
                return done(set_file_owner(call, *file, PV_TRY(UserPointer<const int>(argument).read())));
            }
            return file->ioctl(request, user);
        case FIOGETOWN:
        case SIOCGPGRP:
            if (file->kind() == fs::FileKind::socket) {
                return done(UserPointer<int>(argument).write(file_owner(*file)));
            }
            return file->ioctl(request, user);
        case TIOCGPTPEER: {
            const auto flags = static_cast<std::uint32_t>(argument);
            auto peer = PV_TRY(fs::open_pty_peer(*file, flags & ~std::uint32_t{O_CLOEXEC}));
            return as_value(add(call, std::move(peer), (flags & O_CLOEXEC) != 0));
        }
        case FIONREAD:
            if (file->node() != nullptr && file->node()->type() == fs::NodeType::regular) {
                const std::uint64_t size = file->attributes().size;
                const auto left =
                    static_cast<std::int64_t>(size) - static_cast<std::int64_t>(file->position());
                return done(UserPointer<int>(argument).write(static_cast<int>(left)));
            }
            [[fallthrough]];
        default: {
            const Value answered = file->ioctl(request, user);
            const bool is_unknown = !answered && answered.error() == Errno::enotty;
            return is_unknown && file->kind() == fs::FileKind::socket ? net::interface_ioctl(request, user)
                                                                      : answered;
        }
    }
}

Value pipe2(Call& call, UserPointer<std::array<int, 2>> ends, std::uint32_t flags) {
    if ((flags & ~std::uint32_t{O_CLOEXEC | O_NONBLOCK | O_DIRECT}) != 0) {
        return fail(Errno::einval);
    }
    auto [reader, writer] = PV_TRY(fs::create_pipe(flags & ~std::uint32_t{O_CLOEXEC}));
    return add_pair(call, std::move(reader), std::move(writer), (flags & O_CLOEXEC) != 0, ends);
}

Value pipe(Call& call, UserPointer<std::array<int, 2>> ends) {
    return pipe2(call, ends, 0);
}

Value fsync(Call& call, int descriptor) {
    return done(PV_TRY(get(call, descriptor))->sync());
}

Value ftruncate(Call& call, int descriptor, std::int64_t size) {
    if (size < 0) {
        return fail(Errno::einval);
    }
    const auto file = PV_TRY(get(call, descriptor));
    return done(file->truncate(static_cast<std::uint64_t>(size)));
}

constexpr Entry entries[] = {
    {__NR_read, "read", handler_of<read>},
    {__NR_write, "write", handler_of<write>},
    {__NR_pread64, "pread64", handler_of<pread>},
    {__NR_pwrite64, "pwrite64", handler_of<pwrite>},
    {__NR_readv, "readv", handler_of<readv>},
    {__NR_writev, "writev", handler_of<writev>},
    {__NR_preadv, "preadv", handler_of<preadv>},
    {__NR_pwritev, "pwritev", handler_of<pwritev>},
    {__NR_preadv2, "preadv2", handler_of<preadv2>, Support::partial, "no RWF_NOWAIT"},
    {__NR_pwritev2, "pwritev2", handler_of<pwritev2>, Support::partial, "no RWF_NOWAIT, no RWF_APPEND"},
    {__NR_lseek, "lseek", handler_of<lseek>},
    {__NR_close, "close", handler_of<close>},
    {__NR_close_range, "close_range", handler_of<close_range>, Support::partial,
     "CLOSE_RANGE_UNSHARE shares on"},
    {__NR_dup, "dup", handler_of<dup>},
    {__NR_dup2, "dup2", handler_of<dup2>},
    {__NR_dup3, "dup3", handler_of<dup3>},
    {__NR_fcntl, "fcntl", handler_of<fcntl>, Support::partial,
     "no leases, no F_NOTIFY; a terminal has no owner until one is set"},
    {__NR_ioctl, "ioctl", handler_of<ioctl>},
    {__NR_pipe, "pipe", handler_of<pipe>},
    {__NR_pipe2, "pipe2", handler_of<pipe2>},
    {__NR_fsync, "fsync", handler_of<fsync>},
    {__NR_fdatasync, "fdatasync", handler_of<fsync>},
    {__NR_ftruncate, "ftruncate", handler_of<ftruncate>},
};

}  // namespace

constinit const std::span<const Entry> file_calls = entries;

}  // namespace pv::linux
