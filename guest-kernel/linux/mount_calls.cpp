// Mounting and unmounting.
// SPDX-License-Identifier: MIT
#include <asm/unistd.h>
#include <fcntl.h>
#include <sys/mount.h>

#include <algorithm>
#include <charconv>

#include "fs/dev.hpp"
#include "fs/operations.hpp"
#include "fs/proc.hpp"
#include "fs/pty.hpp"
#include "fs/sysfs.hpp"
#include "fs/tmpfs.hpp"
#include "linux/descriptors.hpp"
#include "linux/path_argument.hpp"
#include "linux/table.hpp"

namespace pv::linux {
namespace {

constexpr std::uint64_t magic_mask = 0xffff'0000;
constexpr std::uint64_t magic = 0xc0ed'0000;  // what old programs put into the upper half

fs::MountFlags flags_of(std::uint64_t flags) {
    return {.read_only = (flags & MS_RDONLY) != 0,
            .no_set_id = (flags & MS_NOSUID) != 0,
            .no_devices = (flags & MS_NODEV) != 0,
            .no_execute = (flags & MS_NOEXEC) != 0};
}

/// Bytes: a number with k, m or g, or a share of the memory in percent. Error: einval.
Outcome<std::uint64_t> bytes_of_text(std::string_view text) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
    if (error != std::errc{} || unit.size() > 1) {
        return fail(Errno::einval);
    }
    unsigned shift = 0;
    switch (unit.empty() ? '\0' : static_cast<char>(unit[0] | 0x20)) {
        case '\0':
            break;
        case 'k':
            shift = 10;
            break;
        case 'm':
            shift = 20;
            break;
        case 'g':
            shift = 30;
            break;
        default:
            return fail(Errno::einval);
    }
    return number > (~0ULL >> shift) ? fail(Errno::einval) : Outcome<std::uint64_t>(number << shift);
}

/// tmpfs(5)'s options. Error: einval.
Outcome<fs::TmpfsLimits> limits_of(std::string_view options) {
    fs::TmpfsLimits limits = fs::usual_limits();
    while (!options.empty()) {
        const std::size_t comma = options.find(',');
        const std::string_view option = options.substr(0, comma);
        options = comma == std::string_view::npos ? "" : options.substr(comma + 1);
        const std::size_t equals = option.find('=');
        const std::string_view key = option.substr(0, equals);
        const std::string_view value = equals == std::string_view::npos ? "" : option.substr(equals + 1);
        if (key == "size") {
            limits.pages = PV_TRY(bytes_of_text(value)) / page_size;
        } else if (key == "nr_blocks") {
            limits.pages = PV_TRY(bytes_of_text(value));
        } else if (key == "nr_inodes") {
            limits.nodes = PV_TRY(bytes_of_text(value));
        } else if (key == "mode") {
            unsigned mode = 0;
            const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), mode, 8);
            if (error != std::errc{} || end != value.data() + value.size() || mode > fs::mode_mask) {
                return fail(Errno::einval);
            }
            limits.root_mode = static_cast<fs::Mode>(mode);
        } else if (key == "uid" || key == "gid") {
            (key == "uid" ? limits.user : limits.group) =
                static_cast<std::uint32_t>(PV_TRY(bytes_of_text(value)));
        } else {
            return fail(Errno::einval);
        }
    }
    // No limit is said with 0 (tmpfs(5)).
    limits.pages = limits.pages == 0 ? ~0ULL : limits.pages;
    limits.nodes = limits.nodes == 0 ? ~0ULL : limits.nodes;
    return limits;
}

Outcome<Ref<fs::Node>> make_file_system(std::string_view kind, std::string_view options) {
    if (kind == "proc") {
        return fs::create_procfs();
    }
    if (kind == "sysfs") {
        return fs::create_sysfs();
    }
    if (kind == "devpts") {
        return fs::devpts_root();
    }
    if (kind == "tmpfs" || kind == "ramfs" || kind == "devtmpfs") {
        return fs::create_tmpfs(PV_TRY(limits_of(options)));
    }
    return fail(Errno::enodev);
}

/// A text of a call that may be missing.
template <std::size_t size>
Outcome<std::string_view> optional_text(UserString from, std::array<char, size>& room) {
    if (from.address.value() == 0) {
        return std::string_view();
    }
    const std::size_t length = PV_TRY(from.read(room));
    return std::string_view(room.data(), length);
}

Outcome<fs::Location> locate(Call& call, UserString path, bool follow = true) {
    PathArgument where;
    PV_TRY(where.read(call, AT_FDCWD, path));
    return fs::resolve(where.caller(), where.text(), {.follow_last = follow});
}

Value mount(Call& call, UserString source, UserString target, UserString kind, std::uint64_t flags,
            UserString data) {
    if ((flags & magic_mask) == magic) {
        flags &= ~magic_mask;
    }
    if (!call.thread.identity.has(Capability::sys_admin)) {
        return fail(Errno::eperm);
    }
    std::array<char, 64> kind_room{};
    std::array<char, 512> data_room{};
    std::array<char, 512> source_room{};
    const std::string_view kind_text = PV_TRY(optional_text(kind, kind_room));
    const std::string_view options = PV_TRY(optional_text(data, data_room));
    const std::string_view source_text = PV_TRY(optional_text(source, source_room));
    const fs::Location at = PV_TRY(locate(call, target));
    // Changes stay here in any case: there is one name space of mounts.
    if ((flags & (MS_PRIVATE | MS_SHARED | MS_SLAVE | MS_UNBINDABLE)) != 0) {
        return 0;
    }
    if ((flags & MS_REMOUNT) != 0) {
        return done(fs::remount(at, flags_of(flags)));
    }
    if ((flags & MS_MOVE) != 0) {
        return fail(Errno::einval);
    }
    if ((flags & MS_BIND) != 0) {
        const fs::Location from = PV_TRY(locate(call, source));
        if (!from.mount) {
            return fail(Errno::einval);
        }
        PV_TRY(fs::mount(at, from.node, from.mount->kind(), from.mount->source(), from.mount->flags()));
        return 0;
    }
    auto root = PV_TRY(make_file_system(kind_text, options));
    const Ref<fs::Mount> made = PV_TRY(fs::mount(
        at, std::move(root), kind_text, source_text.empty() ? "none" : source_text, flags_of(flags)));
    if (kind_text == "devtmpfs") {
        PV_TRY(fs::populate_dev({made, Ref<fs::Node>(made->root())}));
    }
    return 0;
}

Value umount2(Call& call, UserString target, int flags) {
    if ((flags & ~(MNT_FORCE | MNT_DETACH | MNT_EXPIRE | UMOUNT_NOFOLLOW)) != 0) {
        return fail(Errno::einval);
    }
    const fs::Location at = PV_TRY(locate(call, target, (flags & UMOUNT_NOFOLLOW) == 0));
    if (!call.thread.identity.has(Capability::sys_admin)) {
        return fail(Errno::eperm);
    }
    return done(fs::unmount(at));
}

constexpr Entry entries[] = {
    {__NR_mount, "mount", handler_of<mount>, Support::partial,
     "tmpfs, proc, sysfs, devpts and bind mounts; nothing is moved, nothing is propagated"},
    {__NR_umount2, "umount2", handler_of<umount2>, Support::partial,
     "one that is in use goes all the same: who is in it stays"},
};

}  // namespace

constinit const std::span<const Entry> mount_calls = entries;

}  // namespace pv::linux
