// Calls on inotify instances.
// SPDX-License-Identifier: MIT
#include <asm/unistd.h>
#include <fcntl.h>
#include <sys/inotify.h>

#include "fs/notify.hpp"
#include "fs/operations.hpp"
#include "linux/descriptors.hpp"
#include "linux/path_argument.hpp"
#include "linux/table.hpp"

namespace pv::linux {
namespace {

Value inotify_init1(Call& call, int flags) {
    if ((flags & ~(IN_CLOEXEC | IN_NONBLOCK)) != 0) {
        return fail(Errno::einval);
    }
    auto file = PV_TRY(fs::NotifyFile::create(static_cast<std::uint32_t>(flags & IN_NONBLOCK)));
    return as_value(add(call, std::move(file), (flags & IN_CLOEXEC) != 0));
}

Value inotify_init(Call& call) {
    return inotify_init1(call, 0);
}

Outcome<Ref<fs::OpenFile>> get_notify(Call& call, int descriptor) {
    auto file = PV_TRY(get(call, descriptor));
    return file->kind() == fs::FileKind::notify ? Outcome<Ref<fs::OpenFile>>(std::move(file))
                                                : fail(Errno::einval);
}

Value inotify_add_watch(Call& call, int descriptor, UserString path, std::uint32_t mask) {
    constexpr std::uint32_t both = fs::notify_event::mask_add | fs::notify_event::mask_create;
    if ((mask & fs::notify_event::all) == 0 || (mask & both) == both) {
        return fail(Errno::einval);
    }
    const auto file = PV_TRY(get_notify(call, descriptor));
    PathArgument where;
    PV_TRY(where.read(call, AT_FDCWD, path));
    const fs::Location found = PV_TRY(fs::resolve(
        where.caller(), where.text(),
        {.follow_last = (mask & IN_DONT_FOLLOW) == 0, .want_directory = (mask & IN_ONLYDIR) != 0}));
    PV_TRY(fs::check_access(where.caller(), found, fs::bits(fs::Access::read)));
    return as_value(static_cast<fs::NotifyFile&>(*file).watch(found.node, mask));
}

Value inotify_rm_watch(Call& call, int descriptor, int number) {
    const auto file = PV_TRY(get_notify(call, descriptor));
    return done(static_cast<fs::NotifyFile&>(*file).unwatch(number));
}

constexpr Entry entries[] = {
    {__NR_inotify_init, "inotify_init", handler_of<inotify_init>},
    {__NR_inotify_init1, "inotify_init1", handler_of<inotify_init1>},
    {__NR_inotify_add_watch, "inotify_add_watch", handler_of<inotify_add_watch>, Support::partial,
     "a file that is open when its last name goes tells its end at once; IN_EXCL_UNLINK has no effect"},
    {__NR_inotify_rm_watch, "inotify_rm_watch", handler_of<inotify_rm_watch>},
};

}  // namespace

constinit const std::span<const Entry> notify_calls = entries;

}  // namespace pv::linux
