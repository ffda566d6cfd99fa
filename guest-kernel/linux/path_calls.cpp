// Calls on paths: opening, making, removing, and what is told of files.
// SPDX-License-Identifier: MIT
#include <asm/unistd.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>

#include "fs/operations.hpp"
#include "linux/descriptors.hpp"
#include "linux/extensible.hpp"
#include "linux/path_argument.hpp"
#include "linux/stat_values.hpp"
#include "linux/table.hpp"

namespace pv::linux {
namespace {

using fs::Location;

constexpr bool follows(int flags) {
    return (flags & AT_SYMLINK_NOFOLLOW) == 0;
}

// What a path of a call names; an empty one, where that is allowed, the descriptor itself.
Outcome<Location> locate(Call& call, int directory, UserString path, int flags) {
    PathArgument where;
    PV_TRY(where.read(call, directory, path, (flags & AT_EMPTY_PATH) != 0));
    if (where.text().empty()) {
        return directory == AT_FDCWD ? where.caller().start : PV_TRY(get_any(call, directory))->location();
    }
    return fs::resolve(where.caller(), where.text(), {.follow_last = follows(flags)});
}

Value openat(Call& call, int directory, UserString path, std::uint32_t flags, std::uint32_t mode) {
    PathArgument where;
    PV_TRY(where.read(call, directory, path));
    const auto wanted =
        static_cast<fs::Mode>(mode & fs::mode_mask & ~unsigned{call.process().context->umask()});
    auto file = PV_TRY(fs::open(where.caller(), where.text(), flags & ~std::uint32_t{O_CLOEXEC}, wanted));
    return as_value(add(call, std::move(file), (flags & O_CLOEXEC) != 0));
}

/// The flags that openat2 lets through; openat leaves the others unseen.
constexpr std::uint64_t open_flags = O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND |
                                     O_NONBLOCK | O_SYNC | O_DSYNC | O_ASYNC | O_DIRECT |
                                     fs::open_flag::large_file | O_DIRECTORY | O_NOFOLLOW | O_NOATIME |
                                     O_CLOEXEC | O_PATH | O_TMPFILE;

Outcome<> check(const open_how& how) {
    constexpr std::uint64_t ways = RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS |
                                   RESOLVE_BENEATH | RESOLVE_IN_ROOT | RESOLVE_CACHED;
    constexpr std::uint64_t temporary = O_TMPFILE & ~O_DIRECTORY;
    const bool makes = (how.flags & (O_CREAT | temporary)) != 0;
    if ((how.flags & ~open_flags) != 0 || (how.resolve & ~ways) != 0 ||
        (how.mode & ~(makes ? 07777ULL : 0)) != 0 ||
        ((how.flags & O_PATH) != 0 &&
         (how.flags & ~std::uint64_t{O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC}) != 0) ||
        ((how.resolve & RESOLVE_BENEATH) != 0 && (how.resolve & RESOLVE_IN_ROOT) != 0)) {
        return fail(Errno::einval);
    }
    // What changes something is never only in a cache.
    if ((how.resolve & RESOLVE_CACHED) != 0 && (makes || (how.flags & O_TRUNC) != 0)) {
        return fail(Errno::eagain);
    }
    return {};
}

// openat2(2)
Value openat2(Call& call, int directory, UserString path, UserAddress argument, std::uint64_t size) {
    constexpr std::uint64_t size_first = 24;  // bytes, of the first version of the structure
    if (size < size_first) {
        return fail(Errno::einval);
    }
    const open_how how = PV_TRY(read_extensible<open_how>(argument, size));
    PV_TRY(check(how));
    PathArgument where;
    PV_TRY(
        where.read(call, directory, path, false, (how.resolve & (RESOLVE_IN_ROOT | RESOLVE_BENEATH)) != 0));
    const bool no_links = (how.resolve & RESOLVE_NO_SYMLINKS) != 0;
    const auto wanted =
        static_cast<fs::Mode>(how.mode & fs::mode_mask & ~unsigned{call.process().context->umask()});
    auto file = PV_TRY(fs::open(where.caller(), where.text(),
                                static_cast<std::uint32_t>(how.flags) & ~std::uint32_t{O_CLOEXEC}, wanted,
                                {.no_links = no_links,
                                 .no_jumps = no_links || (how.resolve & RESOLVE_NO_MAGICLINKS) != 0,
                                 .no_mounts = (how.resolve & RESOLVE_NO_XDEV) != 0,
                                 .beneath = (how.resolve & RESOLVE_BENEATH) != 0,
                                 .in_root = (how.resolve & RESOLVE_IN_ROOT) != 0}));
    return as_value(add(call, std::move(file), (how.flags & O_CLOEXEC) != 0));
}

Value open(Call& call, UserString path, std::uint32_t flags, std::uint32_t mode) {
    return openat(call, AT_FDCWD, path, flags, mode);
}

Value creat(Call& call, UserString path, std::uint32_t mode) {
    return openat(call, AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

Value fstat(Call& call, int descriptor, UserPointer<struct stat> result) {
    return done(result.write(stat_of(PV_TRY(get_any(call, descriptor))->attributes())));
}

// Error: efault.
Outcome<bool> is_empty(UserString path) {
    return PV_TRY(UserPointer<const char>(path.address.value()).read()) == '\0';
}

Value newfstatat(Call& call, int directory, UserString path, UserPointer<struct stat> result, int flags) {
    if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT)) != 0) {
        return fail(Errno::einval);
    }
    // fstat by another name: what has no place has attributes all the same.
    if ((flags & AT_EMPTY_PATH) != 0 && directory != AT_FDCWD) {
        if (path.address.value() == 0 || PV_TRY(is_empty(path))) {
            return fstat(call, directory, result);
        }
    }
    const Location location = PV_TRY(locate(call, directory, path, flags));
    return done(result.write(stat_of(location.node->attributes())));
}

Value stat(Call& call, UserString path, UserPointer<struct stat> result) {
    return newfstatat(call, AT_FDCWD, path, result, 0);
}

Value lstat(Call& call, UserString path, UserPointer<struct stat> result) {
    return newfstatat(call, AT_FDCWD, path, result, AT_SYMLINK_NOFOLLOW);
}

Value statx(Call& call, int directory, UserString path, int flags, std::uint32_t mask,
            UserPointer<struct statx> result) {
    constexpr int sync_mask = AT_STATX_SYNC_TYPE;
    if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT | sync_mask)) != 0 ||
        (flags & sync_mask) == sync_mask || (mask & STATX__RESERVED) != 0) {
        return fail(Errno::einval);
    }
    PathArgument where;
    PV_TRY(where.read(call, directory, path, (flags & AT_EMPTY_PATH) != 0));
    if (where.text().empty() && directory != AT_FDCWD) {
        return done(result.write(statx_of(PV_TRY(get_any(call, directory))->attributes())));
    }
    const Location location =
        where.text().empty()
            ? where.caller().start
            : PV_TRY(fs::resolve(where.caller(), where.text(), {.follow_last = follows(flags)}));
    return done(result.write(statx_of(location.node->attributes())));
}

Value faccessat2(Call& call, int directory, UserString path, std::uint32_t wanted, int flags) {
    if ((wanted & ~7U) != 0 || (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_EACCESS)) != 0) {
        return fail(Errno::einval);
    }
    const Location location = PV_TRY(locate(call, directory, path, flags));
    Resolver resolver(call.thread);
    if ((flags & AT_EACCESS) == 0) {
        // By the real user, as a set-id program asks.
        const task::Identity& identity = call.thread.identity;
        resolver.who.user = identity.user;
        resolver.who.group = identity.group;
        resolver.who.capabilities = identity.real_capabilities();
    }
    return done(fs::check_access(resolver.caller(), location, wanted));
}

Value faccessat(Call& call, int directory, UserString path, std::uint32_t wanted) {
    return faccessat2(call, directory, path, wanted, 0);
}

Value access(Call& call, UserString path, std::uint32_t wanted) {
    return faccessat2(call, AT_FDCWD, path, wanted, 0);
}

fs::Mode masked(const Call& call, std::uint32_t mode) {
    return static_cast<fs::Mode>(mode & fs::mode_mask & ~unsigned{call.process().context->umask()});
}

Value mkdirat(Call& call, int directory, UserString path, std::uint32_t mode) {
    PathArgument where;
    PV_TRY(where.read(call, directory, path));
    return done(fs::make_directory(where.caller(), where.text(), masked(call, mode)));
}

Value mkdir(Call& call, UserString path, std::uint32_t mode) {
    return mkdirat(call, AT_FDCWD, path, mode);
}

Value mknodat(Call& call, int directory, UserString path, std::uint32_t mode, std::uint64_t device) {
    PathArgument where;
    PV_TRY(where.read(call, directory, path));
    const std::uint32_t type = (mode & S_IFMT) == 0 ? std::uint32_t{S_IFREG} : mode & S_IFMT;
    if (type == S_IFDIR) {
        return fail(Errno::eperm);
    }
    if (type != S_IFREG && type != S_IFCHR && type != S_IFBLK && type != S_IFIFO && type != S_IFSOCK) {
        return fail(Errno::einval);
    }
    PV_TRY(fs::make_node(where.caller(), where.text(), static_cast<fs::NodeType>(type), masked(call, mode),
                         fs::DeviceNumber::decode(device)));
    return 0;
}

Value mknod(Call& call, UserString path, std::uint32_t mode, std::uint64_t device) {
    return mknodat(call, AT_FDCWD, path, mode, device);
}

Value unlinkat(Call& call, int directory, UserString path, int flags) {
    if ((flags & ~AT_REMOVEDIR) != 0) {
        return fail(Errno::einval);
    }
    PathArgument where;
    PV_TRY(where.read(call, directory, path));
    return done(fs::remove(where.caller(), where.text(), (flags & AT_REMOVEDIR) != 0));
}

Value unlink(Call& call, UserString path) {
    return unlinkat(call, AT_FDCWD, path, 0);
}

Value rmdir(Call& call, UserString path) {
    return unlinkat(call, AT_FDCWD, path, AT_REMOVEDIR);
}

Value renameat2(Call& call, int from_directory, UserString from, int to_directory, UserString to,
                std::uint32_t flags) {
    constexpr std::uint32_t no_replace = 1;
    constexpr std::uint32_t exchange = 2;
    if ((flags & ~(no_replace | exchange)) != 0 || flags == (no_replace | exchange)) {
        return fail(Errno::einval);
    }
    PathArgument first;
    PathArgument second;
    PV_TRY(first.read(call, from_directory, from));
    PV_TRY(second.read(call, to_directory, to));
    return done(fs::rename(first.caller(), first.text(), second.caller(), second.text(),
                           {.no_replace = (flags & no_replace) != 0, .exchange = (flags & exchange) != 0}));
}

Value renameat(Call& call, int from_directory, UserString from, int to_directory, UserString to) {
    return renameat2(call, from_directory, from, to_directory, to, 0);
}

Value rename(Call& call, UserString from, UserString to) {
    return renameat2(call, AT_FDCWD, from, AT_FDCWD, to, 0);
}

Value linkat(Call& call, int from_directory, UserString from, int to_directory, UserString to, int flags) {
    if ((flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH)) != 0) {
        return fail(Errno::einval);
    }
    const int how = (flags & AT_EMPTY_PATH) | ((flags & AT_SYMLINK_FOLLOW) != 0 ? 0 : AT_SYMLINK_NOFOLLOW);
    const Location target = PV_TRY(locate(call, from_directory, from, how));
    PathArgument where;
    PV_TRY(where.read(call, to_directory, to));
    return done(fs::make_link(where.caller(), target, where.text()));
}

Value link(Call& call, UserString from, UserString to) {
    return linkat(call, AT_FDCWD, from, AT_FDCWD, to, 0);
}

Value symlinkat(Call& call, UserString target, int directory, UserString path) {
    PathArgument text;
    PV_TRY(text.read(call, AT_FDCWD, target));
    PathArgument where;
    PV_TRY(where.read(call, directory, path));
    return done(fs::make_symbolic_link(where.caller(), text.text(), where.text()));
}

Value symlink(Call& call, UserString target, UserString path) {
    return symlinkat(call, target, AT_FDCWD, path);
}

Value readlinkat(Call& call, int directory, UserString path, UserAddress to, int size) {
    if (size <= 0) {
        return fail(Errno::einval);
    }
    const Location location = PV_TRY(locate(call, directory, path, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH));
    if (!location.node->is_symbolic_link()) {
        return fail(PV_TRY(is_empty(path)) ? Errno::enoent : Errno::einval);
    }
    const std::unique_ptr<char[]> room(new (std::nothrow) char[fs::path_max]);
    if (room == nullptr) {
        return fail(Errno::enomem);
    }
    const std::size_t length = PV_TRY(location.node->read_link({room.get(), fs::path_max}));
    const std::size_t told = std::min(length, static_cast<std::size_t>(size));
    PV_TRY(copy_out(to, std::as_bytes(std::span(room.get(), told))));
    return told;
}

Value readlink(Call& call, UserString path, UserAddress to, int size) {
    return readlinkat(call, AT_FDCWD, path, to, size);
}

Outcome<> check_directory(Call& call, const Location& location) {
    if (!location || !location.node->is_directory()) {
        return fail(Errno::enotdir);
    }
    return fs::check_access(Resolver(call.thread).caller(), location, fs::bits(fs::Access::execute));
}

Value chdir(Call& call, UserString path) {
    const Location location = PV_TRY(locate(call, AT_FDCWD, path, 0));
    PV_TRY(check_directory(call, location));
    call.process().context->set_current(location);
    return 0;
}

Value fchdir(Call& call, int descriptor) {
    const Location location = PV_TRY(get_any(call, descriptor))->location();
    PV_TRY(check_directory(call, location));
    call.process().context->set_current(location);
    return 0;
}

Value chroot(Call& call, UserString path) {
    const Location location = PV_TRY(locate(call, AT_FDCWD, path, 0));
    PV_TRY(check_directory(call, location));
    if (!call.thread.identity.has(Capability::sys_chroot)) {
        return fail(Errno::eperm);
    }
    call.process().context->set_root(location);
    return 0;
}

Value getcwd(Call& call, UserAddress to, std::uint64_t size) {
    const std::unique_ptr<char[]> room(new (std::nothrow) char[fs::path_max]);
    if (room == nullptr) {
        return fail(Errno::enomem);
    }
    room[fs::path_max - 1] = '\0';
    const Resolver resolver(call.thread);
    const std::string_view path =
        PV_TRY(fs::path_of(resolver.start, resolver.root, {room.get(), fs::path_max - 1}));
    if (path.size() + 1 > size) {
        return fail(Errno::erange);
    }
    // The text ends where the room does: its zero is the byte behind.
    PV_TRY(copy_out(to, std::as_bytes(std::span(path.data(), path.size() + 1))));
    return path.size() + 1;
}

Value fchmodat(Call& call, int directory, UserString path, std::uint32_t mode) {
    const Location location = PV_TRY(locate(call, directory, path, 0));
    return done(fs::change_mode(Resolver(call.thread).caller(), location,
                                static_cast<fs::Mode>(mode & fs::mode_mask)));
}

Value chmod(Call& call, UserString path, std::uint32_t mode) {
    return fchmodat(call, AT_FDCWD, path, mode);
}

Value fchmod(Call& call, int descriptor, std::uint32_t mode) {
    const auto file = PV_TRY(get(call, descriptor));
    if (file->node() == nullptr) {
        return fail(Errno::einval);
    }
    return done(fs::change_mode(Resolver(call.thread).caller(), file->location(),
                                static_cast<fs::Mode>(mode & fs::mode_mask)));
}

Outcome<> change_owner(Call& call, const Location& location, std::uint32_t user, std::uint32_t group) {
    const auto wanted = [](std::uint32_t id) {
        return id == ~0U ? std::nullopt : std::optional<std::uint32_t>(id);
    };
    return fs::change_owner(Resolver(call.thread).caller(), location, wanted(user), wanted(group));
}

Value fchownat(Call& call, int directory, UserString path, std::uint32_t user, std::uint32_t group,
               int flags) {
    if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) != 0) {
        return fail(Errno::einval);
    }
    return done(change_owner(call, PV_TRY(locate(call, directory, path, flags)), user, group));
}

Value chown(Call& call, UserString path, std::uint32_t user, std::uint32_t group) {
    return fchownat(call, AT_FDCWD, path, user, group, 0);
}

Value lchown(Call& call, UserString path, std::uint32_t user, std::uint32_t group) {
    return fchownat(call, AT_FDCWD, path, user, group, AT_SYMLINK_NOFOLLOW);
}

Value fchown(Call& call, int descriptor, std::uint32_t user, std::uint32_t group) {
    const auto file = PV_TRY(get(call, descriptor));
    if (file->node() == nullptr) {
        return fail(Errno::einval);
    }
    return done(change_owner(call, file->location(), user, group));
}

// One of utimensat's two times: nothing where it is to stay.
Outcome<std::optional<Timestamp>> timestamp_of(const timespec& time) {
    if (time.tv_nsec == UTIME_OMIT) {
        return std::nullopt;
    }
    if (time.tv_nsec == UTIME_NOW) {
        return wall_time();
    }
    if (time.tv_nsec < 0 || time.tv_nsec >= 1'000'000'000) {
        return fail(Errno::einval);
    }
    return Timestamp{time.tv_sec, static_cast<std::uint32_t>(time.tv_nsec)};
}

Value utimensat(Call& call, int directory, UserString path, UserPointer<const std::array<timespec, 2>> times,
                int flags) {
    if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) != 0) {
        return fail(Errno::einval);
    }
    std::optional<Timestamp> accessed = wall_time();
    std::optional<Timestamp> modified = accessed;
    bool to_now = true;
    if (!times.is_null()) {
        const auto given = PV_TRY(times.read());
        accessed = PV_TRY(timestamp_of(given[0]));
        modified = PV_TRY(timestamp_of(given[1]));
        to_now = given[0].tv_nsec == UTIME_NOW && given[1].tv_nsec == UTIME_NOW;
    }
    // A null path means the descriptor itself.
    const int how = path.address.value() == 0 ? flags | AT_EMPTY_PATH : flags;
    const Location location = PV_TRY(locate(call, directory, path, how));
    return done(fs::change_times(Resolver(call.thread).caller(), location, accessed, modified, to_now));
}

Value truncate(Call& call, UserString path, std::int64_t size) {
    if (size < 0) {
        return fail(Errno::einval);
    }
    const Location location = PV_TRY(locate(call, AT_FDCWD, path, 0));
    return done(fs::truncate(Resolver(call.thread).caller(), location, static_cast<std::uint64_t>(size)));
}

Value umask(Call& call, std::uint32_t mask) {
    return call.process().context->set_umask(static_cast<fs::Mode>(mask & 0777));
}

/// How getdents(2) and getdents64(2) tell an entry: the head, the name, a zero. The older one has the type in
/// the last byte.
enum class EntryForm : std::uint8_t { old, with_type };

void put_entry(std::span<std::byte> at, const fs::DirectoryEntry& entry, EntryForm form) {
    struct [[gnu::packed]] Head {
        std::uint64_t number;
        std::uint64_t next;
        std::uint16_t length;
        std::uint8_t type;
    };

    static_assert(sizeof(Head) == 19);
    const auto type = static_cast<std::uint8_t>(static_cast<unsigned>(entry.type) >> 12);
    const Head head{entry.number, entry.next, static_cast<std::uint16_t>(at.size()), type};
    const std::size_t head_size = form == EntryForm::old ? offsetof(Head, type) : sizeof head;
    std::ranges::fill(at, std::byte{});
    std::memcpy(at.data(), &head, head_size);
    std::memcpy(at.data() + head_size, entry.name.data(), entry.name.size());
    if (form == EntryForm::old) {
        at.back() = static_cast<std::byte>(type);
    }
}

template <EntryForm Form>
Value list_entries(Call& call, int descriptor, UserAddress to, std::uint32_t size) {
    // Both forms take the same room: the older one's last byte is what the newer one's head has more.
    constexpr std::size_t around = 20;
    const auto file = PV_TRY(get(call, descriptor));
    if (file->node() == nullptr || file->node()->type() != fs::NodeType::directory) {
        return fail(Errno::enotdir);
    }
    // By way of the kernel: nobody sleeps on a page while a directory is listed.
    std::array<std::byte, 2048> room{};
    const std::size_t limit = std::min<std::size_t>(size, room.size());
    std::size_t used = 0;
    bool any = false;
    const std::uint64_t before = PV_TRY(file->seek(0, fs::Whence::current));
    PV_TRY(file->list([&](const fs::DirectoryEntry& entry) {
        any = true;
        const std::size_t length = align_up(around + entry.name.size(), 8);
        if (used + length > limit) {
            return false;
        }
        put_entry(std::span(room).subspan(used, length), entry, Form);
        used += length;
        return true;
    }));
    if (any && used == 0) {
        return fail(Errno::einval);
    }
    if (const Outcome<> told = copy_out(to, std::span(room).first(used)); !told) {
        // Nothing was told: the same entries come again.
        PV_TRY(file->seek(static_cast<std::int64_t>(before), fs::Whence::set));
        return fail(told.error());
    }
    return used;
}

constexpr Entry entries[] = {
    {__NR_open, "open", handler_of<open>},
    {__NR_openat, "openat", handler_of<openat>},
    {__NR_openat2, "openat2", handler_of<openat2>},
    {__NR_creat, "creat", handler_of<creat>},
    {__NR_stat, "stat", handler_of<stat>},
    {__NR_lstat, "lstat", handler_of<lstat>},
    {__NR_fstat, "fstat", handler_of<fstat>},
    {__NR_newfstatat, "newfstatat", handler_of<newfstatat>},
    {__NR_statx, "statx", handler_of<statx>},
    {__NR_access, "access", handler_of<access>},
    {__NR_faccessat, "faccessat", handler_of<faccessat>},
    {__NR_faccessat2, "faccessat2", handler_of<faccessat2>},
    {__NR_mkdir, "mkdir", handler_of<mkdir>},
    {__NR_mkdirat, "mkdirat", handler_of<mkdirat>},
    {__NR_mknod, "mknod", handler_of<mknod>},
    {__NR_mknodat, "mknodat", handler_of<mknodat>},
    {__NR_unlink, "unlink", handler_of<unlink>},
    {__NR_unlinkat, "unlinkat", handler_of<unlinkat>},
    {__NR_rmdir, "rmdir", handler_of<rmdir>},
    {__NR_rename, "rename", handler_of<rename>},
    {__NR_renameat, "renameat", handler_of<renameat>},
    {__NR_renameat2, "renameat2", handler_of<renameat2>, Support::partial, "no RENAME_WHITEOUT"},
    {__NR_link, "link", handler_of<link>},
    {__NR_linkat, "linkat", handler_of<linkat>},
    {__NR_symlink, "symlink", handler_of<symlink>},
    {__NR_symlinkat, "symlinkat", handler_of<symlinkat>},
    {__NR_readlink, "readlink", handler_of<readlink>},
    {__NR_readlinkat, "readlinkat", handler_of<readlinkat>},
    {__NR_chdir, "chdir", handler_of<chdir>},
    {__NR_fchdir, "fchdir", handler_of<fchdir>},
    {__NR_chroot, "chroot", handler_of<chroot>},
    {__NR_getcwd, "getcwd", handler_of<getcwd>},
    {__NR_chmod, "chmod", handler_of<chmod>},
    {__NR_fchmod, "fchmod", handler_of<fchmod>},
    {__NR_fchmodat, "fchmodat", handler_of<fchmodat>},
    {__NR_chown, "chown", handler_of<chown>},
    {__NR_lchown, "lchown", handler_of<lchown>},
    {__NR_fchown, "fchown", handler_of<fchown>},
    {__NR_fchownat, "fchownat", handler_of<fchownat>},
    {__NR_utimensat, "utimensat", handler_of<utimensat>},
    {__NR_truncate, "truncate", handler_of<truncate>},
    {__NR_umask, "umask", handler_of<umask>},
    {__NR_getdents, "getdents", handler_of<list_entries<EntryForm::old>>},
    {__NR_getdents64, "getdents64", handler_of<list_entries<EntryForm::with_type>>},
};

}  // namespace

constinit const std::span<const Entry> path_calls = entries;

}  // namespace pv::linux
