// Calls on advisory locks: fcntl's byte ranges, flock.
// SPDX-License-Identifier: MIT
#include "linux/lock_calls.hpp"

#include <asm/unistd.h>
#include <fcntl.h>
#include <sys/file.h>

#include "fs/file_locks.hpp"
#include "linux/descriptors.hpp"
#include "linux/table.hpp"

namespace pv::linux {
namespace {

using fs::LockWish;

using FlockValue = struct flock;

Outcome<LockWish> wish_of(int type) {
    switch (type) {
        case F_RDLCK:
            return LockWish::shared;
        case F_WRLCK:
            return LockWish::exclusive;
        case F_UNLCK:
            return LockWish::unlock;
        default:
            return fail(Errno::einval);
    }
}

Outcome<fs::LockRange> range_of(fs::OpenFile& file, const FlockValue& given) {
    std::int64_t base = 0;
    switch (given.l_whence) {
        case SEEK_SET:
            break;
        case SEEK_CUR:
            base = static_cast<std::int64_t>(PV_TRY(file.seek(0, fs::Whence::current)));
            break;
        case SEEK_END:
            base = static_cast<std::int64_t>(file.attributes().size);
            break;
        default:
            return fail(Errno::einval);
    }
    std::int64_t begin = 0;
    if (__builtin_add_overflow(base, given.l_start, &begin)) {
        return fail(Errno::eoverflow);
    }
    // A negative length means the bytes before.
    std::int64_t last = 0;
    if (given.l_len < 0) {
        last = begin - 1;
        begin = begin + given.l_len;
    } else if (given.l_len == 0) {
        last = static_cast<std::int64_t>(fs::lock_end);
    } else if (__builtin_add_overflow(begin, given.l_len - 1, &last)) {
        return fail(Errno::eoverflow);
    }
    if (begin < 0 || last < 0) {
        return fail(Errno::einval);
    }
    return fs::LockRange{static_cast<std::uint64_t>(begin), static_cast<std::uint64_t>(last)};
}

void describe(FlockValue& value, const std::optional<fs::HeldLock>& other) {
    if (!other) {
        value.l_type = F_UNLCK;
        return;
    }
    value.l_type = other->is_exclusive ? F_WRLCK : F_RDLCK;
    value.l_whence = SEEK_SET;
    value.l_start = static_cast<std::int64_t>(other->range.begin);
    value.l_len = other->range.last == fs::lock_end
                      ? 0
                      : static_cast<std::int64_t>(other->range.last - other->range.begin + 1);
    value.l_pid = other->process;
}

Value flock_file(Call& call, int descriptor, int operation) {
    const auto file = PV_TRY(get(call, descriptor));
    const int what = operation & ~LOCK_NB;
    if (what != LOCK_SH && what != LOCK_EX && what != LOCK_UN) {
        return fail(Errno::einval);
    }
    const bool is_open_for_something = fs::is_readable(file->flags()) || fs::is_writable(file->flags());
    if (file->node() == nullptr || (what != LOCK_UN && !is_open_for_something)) {
        return fail(Errno::ebadf);
    }
    const LockWish wish = what == LOCK_UN   ? LockWish::unlock
                          : what == LOCK_SH ? LockWish::shared
                                            : LockWish::exclusive;
    return done(fs::set_lock(*file->node(), fs::LockKind::whole, {file.get(), -1, false}, {0, fs::lock_end},
                             wish, (operation & LOCK_NB) == 0));
}

constexpr Entry entries[] = {
    {__NR_flock, "flock", handler_of<flock_file>},
};

}  // namespace

constinit const std::span<const Entry> lock_calls = entries;

Value lock_range(Call& call, fs::OpenFile& file, int command, std::uint64_t argument) {
    const bool of_file = command == F_OFD_GETLK || command == F_OFD_SETLK || command == F_OFD_SETLKW;
    const UserPointer<FlockValue> pointer(argument);
    FlockValue value = PV_TRY(pointer.read());
    if (of_file && value.l_pid != 0) {
        return fail(Errno::einval);
    }
    const LockWish wish = PV_TRY(wish_of(value.l_type));
    const fs::LockRange range = PV_TRY(range_of(file, value));
    if (file.node() == nullptr) {
        return fail(Errno::ebadf);
    }
    const fs::LockOwner owner =
        of_file ? fs::LockOwner{&file, -1, false}
                : fs::LockOwner{call.process().descriptors.get(), call.process().id, true};
    if (command == F_GETLK || command == F_OFD_GETLK) {
        if (wish == LockWish::unlock) {
            return fail(Errno::einval);
        }
        describe(value, fs::find_lock(*file.node(), fs::LockKind::range, owner, range, wish));
        return done(pointer.write(value));
    }
    if ((wish == LockWish::shared && !fs::is_readable(file.flags())) ||
        (wish == LockWish::exclusive && !fs::is_writable(file.flags()))) {
        return fail(Errno::ebadf);
    }
    return done(fs::set_lock(*file.node(), fs::LockKind::range, owner, range, wish,
                             command == F_SETLKW || command == F_OFD_SETLKW));
}

}  // namespace pv::linux
