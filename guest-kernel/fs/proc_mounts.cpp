// The tables of mounts a process sees: /proc/PID/mounts and mountinfo.
// SPDX-License-Identifier: MIT
#include "fs/proc_tree.hpp"

namespace pv::fs::proc {
namespace {

constexpr std::size_t mounts_shown_max = 256;

/// Blanks and backslashes of a path as octal numbers (getmntent(3)).
void add_escaped(Text& text, std::string_view path) {
    for (const char c : path) {
        switch (c) {
            case ' ':
            case '\t':
            case '\n':
            case '\\':
                text.append("\\0");
                add_octal(text, static_cast<unsigned char>(c));
                break;
            default:
                text.append({&c, 1});
        }
    }
}

// Calls f(Mount&, path) for the root's mount and all that lie below the process's root.
template <class F>
Outcome<> for_visible_mounts(Subject subject, F&& f) {
    const Ref<Context> context = PV_TRY(process_view().context(subject.process));
    const Location root = context->root();
    Vector<Ref<Mount>> all;
    // No room is made with the table's lock held.
    PV_TRY(as_outcome(all.reserve(mounts_shown_max)));
    for_each_mount([&](Mount& mount) {
        return all.size() < mounts_shown_max && mount.try_add_owner() &&
               all.push_back(Ref<Mount>::adopt(&mount)).has_value();
    });
    f(*root.mount, std::string_view("/"));
    const std::unique_ptr<std::array<char, path_max>> room(new (std::nothrow) std::array<char, path_max>);
    if (room == nullptr) {
        return fail(Errno::enomem);
    }
    for (const Ref<Mount>& mount : all) {
        const Location top{mount, Ref<Node>(mount->root())};
        const Outcome<std::string_view> path = path_of(top, root, *room);
        if (path && path->starts_with('/') && mount != root.mount) {
            f(*mount, *path);
        }
    }
    return {};
}

void add_flags(Text& text, MountFlags flags) {
    text.append(flags.read_only ? "ro" : "rw");
    text.append(flags.no_set_id ? ",nosuid" : "");
    text.append(flags.no_devices ? ",nodev" : "");
    text.append(flags.no_execute ? ",noexec" : "");
}

}  // namespace

Outcome<> write_mounts(Subject subject, Text& text) {
    return for_visible_mounts(subject, [&](Mount& mount, std::string_view path) {
        add_escaped(text, mount.source());
        text.append(" ");
        add_escaped(text, path);
        text.add(" {} ", mount.kind());
        add_flags(text, mount.flags());
        text.append(" 0 0\n");
    });
}

Outcome<> write_mount_info(Subject subject, Text& text) {
    return for_visible_mounts(subject, [&](Mount& mount, std::string_view path) {
        const DeviceNumber device = DeviceNumber::decode(mount.root().attributes().device);
        const Location point = mount.point();
        text.add("{} {} {}:{} / ", mount.id(), point ? point.mount->id() : 0U, device.major, device.minor);
        add_escaped(text, path);
        text.append(" ");
        add_flags(text, mount.flags());
        text.add(" - {} ", mount.kind());
        add_escaped(text, mount.source());
        text.append(mount.flags().read_only ? " ro\n" : " rw\n");
    });
}

}  // namespace pv::fs::proc
