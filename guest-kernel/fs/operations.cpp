// Calls on paths that change names: who may, and what the node is then told.
// SPDX-License-Identifier: MIT
#include "fs/operations.hpp"

#include <algorithm>

#include "fs/notify.hpp"

namespace pv::fs {
namespace {

/// Attempts at a change of names that another one came before.
constexpr int attempts = 16;

/// Whether `caller` may make or remove names in `directory`.
Outcome<> may_change_names(const Caller& caller, const Location& directory) {
    if (directory.mount->flags().read_only) {
        return fail(Errno::erofs);
    }
    if (!may(caller.who, directory.node->attributes(), bits(Access::write) | bits(Access::execute))) {
        return fail(Errno::eacces);
    }
    return {};
}

/// And whether he may take the name of `victim` away: in a sticky directory only his own, or all in his own.
Outcome<> may_take(const Caller& caller, const Location& directory, Node& victim) {
    PV_TRY(may_change_names(caller, directory));
    const Attributes in = directory.node->attributes();
    if ((in.mode & sticky) != 0 && caller.who.user != in.user && !caller.who.owns(victim.attributes().user)) {
        return fail(Errno::eperm);
    }
    return {};
}

/// What a new node in `directory` belongs to.
NewNode new_node(const Caller& caller, const Location& directory, NodeType type, Mode mode) {
    const Attributes in = directory.node->attributes();
    NewNode what{.type = type, .mode = mode, .user = caller.who.user, .group = caller.who.group};
    if ((in.mode & set_group_id) != 0) {
        what.group = in.group;
        if (type == NodeType::directory) {
            what.mode |= set_group_id;
        } else if ((mode & 010) != 0 && !caller.who.may_set_group_id(in.group)) {
            what.mode = static_cast<Mode>(what.mode & ~set_group_id);
        }
    }
    return what;
}

/// The place of a new name. `may_end_in_slash`: for directories.
Outcome<NamedPlace> new_place(const Caller& caller, std::string_view path, bool may_end_in_slash) {
    NamedPlace place = PV_TRY(resolve_place(caller, path));
    if (place.found) {
        return fail(Errno::eexist);
    }
    if (place.trailing_slash && !may_end_in_slash) {
        return fail(Errno::enoent);
    }
    PV_TRY(may_change_names(caller, place.directory));
    return place;
}

Outcome<Location> make(const Caller& caller, std::string_view path, NodeType type, Mode mode,
                       DeviceNumber special, std::string_view target) {
    const NamedPlace place = PV_TRY(new_place(caller, path, type == NodeType::directory));
    NewNode what = new_node(caller, place.directory, type, mode);
    what.special = special;
    what.target = target;
    Ref<Node> node = PV_TRY(place.directory.node->create(place.name.text(), what));
    notify_entry(*place.directory.node, place.name.text(),
                 notify_event::create | (node->is_directory() ? notify_event::is_directory : 0));
    return Location{place.directory.mount, std::move(node)};
}

Outcome<> may_open(const Caller& caller, const Location& location, std::uint32_t flags) {
    const NodeType type = location.node->type();
    const MountFlags mount = location.mount ? location.mount->flags() : MountFlags{};
    const bool writes = is_writable(flags) || (flags & open_flag::truncate) != 0;
    const bool is_device = type == NodeType::character_device || type == NodeType::block_device;
    if (type == NodeType::symbolic_link) {
        return fail(Errno::eloop);
    }
    const bool is_mode_3 = (flags & open_flag::access_mask) == open_flag::access_mask;
    if (type == NodeType::directory && (writes || is_mode_3)) {
        return fail(Errno::eisdir);
    }
    if (is_device && mount.no_devices) {
        return fail(Errno::eacces);
    }
    if (writes && mount.read_only && (type == NodeType::regular || type == NodeType::directory)) {
        return fail(Errno::erofs);
    }
    const unsigned wanted = (is_readable(flags) || is_mode_3 ? bits(Access::read) : 0U) |
                            (writes || is_mode_3 ? bits(Access::write) : 0U);
    const Attributes attributes = location.node->attributes();
    if (!may(caller.who, attributes, wanted)) {
        return fail(Errno::eacces);
    }
    if ((flags & open_flag::no_access_time) != 0 && !caller.who.owns(attributes.user)) {
        return fail(Errno::eperm);
    }
    return {};
}

/// A descriptor that only names a place (O_PATH).
class PathFile final : public OpenFile {
  public:
    PathFile(Location location, std::uint32_t flags)
        : OpenFile(std::move(location), flags | open_flag::access_mask, Flow::seekable) {}

    Outcome<std::uint64_t> seek(std::int64_t, Whence) override { return fail(Errno::ebadf); }

    Outcome<std::uint64_t> ioctl(std::uint32_t, IoctlArgument&) override { return fail(Errno::ebadf); }

    Mappable* mappable() override { return nullptr; }
};

Outcome<Ref<OpenFile>> open_existing(const Caller& caller, const Location& location, std::uint32_t flags,
                                     bool is_new) {
    if ((flags & open_flag::path_only) != 0) {
        auto* file = new (std::nothrow) PathFile(location, flags);
        if (file == nullptr) {
            return fail(Errno::enomem);
        }
        return Ref<OpenFile>::adopt(file);
    }
    // Who makes a file may write it, whatever mode he gives it.
    if (!is_new) {
        PV_TRY(may_open(caller, location, flags));
    }
    Ref<OpenFile> file = PV_TRY(location.node->open(location, flags));
    if ((flags & open_flag::truncate) != 0 && !is_new && location.node->type() == NodeType::regular) {
        PV_TRY(location.node->truncate(0));
        notify(*location.node, notify_event::modify);
    }
    notify(*location.node, notify_event::open);
    return file;
}

Outcome<Ref<OpenFile>> open_unnamed(const Caller& caller, std::string_view path, std::uint32_t flags,
                                    Mode mode, ResolveMode how) {
    if (!is_writable(flags)) {
        return fail(Errno::einval);
    }
    const Location directory = PV_TRY(resolve(caller, path, how));
    if (!directory.node->is_directory()) {
        return fail(Errno::enotdir);
    }
    PV_TRY(may_change_names(caller, directory));
    Ref<Node> node =
        PV_TRY(directory.node->create_unnamed(new_node(caller, directory, NodeType::regular, mode)));
    return open_existing(caller, Location{directory.mount, std::move(node)}, flags, true);
}

}  // namespace

Outcome<Ref<OpenFile>> open(const Caller& caller, std::string_view path, std::uint32_t flags, Mode mode,
                            ResolveMode how) {
    how.follow_last = (flags & open_flag::no_follow) == 0;
    how.want_directory = (flags & open_flag::directory) != 0;
    if ((flags & open_flag::path_only) != 0) {
        flags &= open_flag::path_only | open_flag::directory | open_flag::no_follow;
    } else if ((flags & open_flag::temporary) != 0) {
        return open_unnamed(caller, path, flags, mode, how);
    }
    if ((flags & open_flag::create) == 0) {
        return open_existing(caller, PV_TRY(resolve(caller, path, how)), flags, false);
    }
    if ((flags & open_flag::directory) != 0) {
        return fail(Errno::einval);
    }
    const bool exclusive = (flags & open_flag::exclusive) != 0;
    how.follow_last = how.follow_last && !exclusive && !path.ends_with('/');
    for (int attempt = 0; attempt < attempts; ++attempt) {
        NamedPlace place = PV_TRY(resolve_place(caller, path, how));
        if (place.trailing_slash) {
            return fail(Errno::eisdir);
        }
        if (place.found) {
            if (exclusive) {
                return fail(Errno::eexist);
            }
            if (place.found.node->is_directory()) {
                return fail(Errno::eisdir);
            }
            return open_existing(caller, place.found, flags, false);
        }
        PV_TRY(may_change_names(caller, place.directory));
        Outcome<Ref<Node>> made = place.directory.node->create(
            place.name.text(), new_node(caller, place.directory, NodeType::regular, mode));
        if (made) {
            notify_entry(*place.directory.node, place.name.text(), notify_event::create);
            return open_existing(caller, Location{place.directory.mount, std::move(*made)}, flags, true);
        }
        if (made.error() != Errno::eexist || exclusive) {
            return fail(made.error());
        }
    }
    return fail(Errno::eagain);
}

Outcome<Ref<OpenFile>> open_location(const Caller& caller, const Location& location, std::uint32_t flags) {
    return open_existing(caller, location, flags, false);
}

Outcome<> make_directory(const Caller& caller, std::string_view path, Mode mode) {
    PV_TRY(make(caller, path, NodeType::directory, mode & (0777 | sticky), {}, {}));
    return {};
}

Outcome<Location> make_node(const Caller& caller, std::string_view path, NodeType type, Mode mode,
                            DeviceNumber special) {
    switch (type) {
        case NodeType::regular:
        case NodeType::fifo:
        case NodeType::socket:
            break;
        case NodeType::character_device:
        case NodeType::block_device:
            if (!caller.who.has(Capability::mknod)) {
                return fail(Errno::eperm);
            }
            break;
        case NodeType::directory:
            return fail(Errno::eperm);
        default:
            return fail(Errno::einval);
    }
    return make(caller, path, type, mode, special, {});
}

Outcome<> make_symbolic_link(const Caller& caller, std::string_view target, std::string_view path) {
    if (target.empty()) {
        return fail(Errno::enoent);
    }
    if (target.size() >= path_max) {
        return fail(Errno::enametoolong);
    }
    PV_TRY(make(caller, path, NodeType::symbolic_link, 0777, {}, target));
    return {};
}

Outcome<> make_link(const Caller& caller, const Location& target, std::string_view path) {
    const NamedPlace place = PV_TRY(new_place(caller, path, false));
    if (place.directory.mount != target.mount) {
        return fail(Errno::exdev);
    }
    if (target.node->is_directory()) {
        return fail(Errno::eperm);
    }
    PV_TRY(place.directory.node->link(place.name.text(), *target.node));
    notify_self(*target.node, notify_event::attributes);
    notify_entry(*place.directory.node, place.name.text(), notify_event::create);
    return {};
}

namespace {

void notify_removed(const NamedPlace& place, Node& victim) {
    if (!victim.is_directory()) {
        notify_self(victim, notify_event::attributes);
    }
    notify_entry(*place.directory.node, place.name.text(),
                 notify_event::remove | (victim.is_directory() ? notify_event::is_directory : 0));
    if (victim.is_directory() || victim.attributes().links == 0) {
        notify_end(victim);
    }
}

}  // namespace

Outcome<> remove(const Caller& caller, std::string_view path, bool directory) {
    for (int attempt = 0; attempt < attempts; ++attempt) {
        const NamedPlace place = PV_TRY(resolve_place(caller, path));
        switch (place.last) {
            case NamedPlace::Last::dot:
                return fail(directory ? Errno::einval : Errno::eisdir);
            case NamedPlace::Last::dot_dot:
                return fail(directory ? Errno::enotempty : Errno::eisdir);
            case NamedPlace::Last::root:
                return fail(directory ? Errno::ebusy : Errno::eisdir);
            case NamedPlace::Last::name:
                break;
        }
        if (!place.found) {
            return fail(Errno::enoent);
        }
        Node& victim = *place.found.node;
        PV_TRY(may_take(caller, place.directory, victim));
        if (directory && !victim.is_directory()) {
            return fail(Errno::enotdir);
        }
        if (!directory && victim.is_directory()) {
            return fail(Errno::eisdir);
        }
        if (!directory && place.trailing_slash) {
            return fail(Errno::enotdir);
        }
        if (place.found.mount != place.directory.mount ||
            victim.mounts_here.load(std::memory_order_seq_cst) != 0) {
            return fail(Errno::ebusy);
        }
        const Outcome<> removed = place.directory.node->remove(place.name.text(), victim);
        if (removed) {
            notify_removed(place, victim);
        }
        if (removed || removed.error() != Errno::enoent) {
            return removed;
        }
    }
    return fail(Errno::enoent);
}

Outcome<> rename(const Caller& from_caller, std::string_view from, const Caller& to_caller,
                 std::string_view to, RenameMode mode) {
    if (mode.no_replace && mode.exchange) {
        return fail(Errno::einval);
    }
    Outcome<> renamed = fail(Errno::enoent);
    for (int attempt = 0; attempt < attempts; ++attempt) {
        const NamedPlace source = PV_TRY(resolve_place(from_caller, from));
        const NamedPlace target = PV_TRY(resolve_place(to_caller, to));
        if (source.last != NamedPlace::Last::name) {
            return fail(Errno::ebusy);
        }
        if (target.last != NamedPlace::Last::name) {
            return fail(mode.no_replace ? Errno::eexist : Errno::ebusy);
        }
        if (source.directory.mount != target.directory.mount) {
            return fail(Errno::exdev);
        }
        if (!source.found || (mode.exchange && !target.found)) {
            return fail(Errno::enoent);
        }
        if (target.found && mode.no_replace) {
            return fail(Errno::eexist);
        }
        Node& node = *source.found.node;
        if (!node.is_directory() && (source.trailing_slash || (target.trailing_slash && !mode.exchange))) {
            return fail(Errno::enotdir);
        }
        if (mode.exchange && target.trailing_slash && !target.found.node->is_directory()) {
            return fail(Errno::enotdir);
        }
        PV_TRY(may_take(from_caller, source.directory, node));
        if (target.found) {
            PV_TRY(may_take(to_caller, target.directory, *target.found.node));
        } else {
            PV_TRY(may_change_names(to_caller, target.directory));
        }
        // A directory that moves gets another "..".
        if (node.is_directory() && !(source.directory == target.directory) &&
            !may(from_caller.who, node.attributes(), bits(Access::write))) {
            return fail(Errno::eacces);
        }
        if (source.found.mount != source.directory.mount ||
            node.mounts_here.load(std::memory_order_seq_cst) != 0 ||
            (target.found && (target.found.mount != target.directory.mount ||
                              target.found.node->mounts_here.load(std::memory_order_seq_cst) != 0))) {
            return fail(Errno::ebusy);
        }
        renamed = source.directory.node->rename(source.name.text(), node, *target.directory.node,
                                                target.name.text(), target.found.node.get(), mode);
        if (renamed) {
            notify_rename(*source.directory.node, source.name.text(), *target.directory.node,
                          target.name.text(), node);
            if (target.found && !mode.exchange &&
                (node.is_directory() || target.found.node->attributes().links == 0)) {
                notify_end(*target.found.node);
            }
        }
        const bool again = !renamed && (renamed.error() == Errno::enoent || renamed.error() == Errno::eexist);
        if (!again || mode.no_replace) {
            return renamed;
        }
    }
    return renamed;
}

}  // namespace pv::fs
