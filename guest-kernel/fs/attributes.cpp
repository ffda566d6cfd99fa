// Calls on what was resolved: permissions, owners, times, sizes.
// SPDX-License-Identifier: MIT
#include "fs/notify.hpp"
#include "fs/operations.hpp"

namespace pv::fs {
namespace {

/// Tells who watches the file that its attributes have changed.
Outcome<> told(const Location& location, Outcome<> changed) {
    if (changed) {
        notify(*location.node, notify_event::attributes);
    }
    return changed;
}

Outcome<> may_own(const Caller& caller, const Location& location, const Attributes& attributes) {
    if (location.mount && location.mount->flags().read_only) {
        return fail(Errno::erofs);
    }
    return caller.who.owns(attributes.user) ? Outcome<>() : fail(Errno::eperm);
}

}  // namespace

Outcome<> check_access(const Caller& caller, const Location& location, unsigned wanted) {
    const Attributes attributes = location.node->attributes();
    const MountFlags mount = location.mount ? location.mount->flags() : MountFlags{};
    const bool is_special = attributes.type != NodeType::regular && attributes.type != NodeType::directory &&
                            attributes.type != NodeType::symbolic_link;
    if ((wanted & bits(Access::write)) != 0 && mount.read_only && !is_special) {
        return fail(Errno::erofs);
    }
    if ((wanted & bits(Access::execute)) != 0 && mount.no_execute && attributes.type == NodeType::regular) {
        return fail(Errno::eacces);
    }
    if (!may(caller.who, attributes, wanted)) {
        return fail(Errno::eacces);
    }
    return {};
}

Outcome<> change_mode(const Caller& caller, const Location& location, Mode mode) {
    const Attributes attributes = location.node->attributes();
    if (attributes.type == NodeType::symbolic_link) {
        return fail(Errno::eopnotsupp);
    }
    PV_TRY(may_own(caller, location, attributes));
    mode &= mode_mask;
    if (!caller.who.may_set_group_id(attributes.group)) {
        mode = static_cast<Mode>(mode & ~set_group_id);
    }
    return told(location, location.node->change({.mode = mode}));
}

Outcome<> change_owner(const Caller& caller, const Location& location, std::optional<UserId> user,
                       std::optional<GroupId> group) {
    const Attributes attributes = location.node->attributes();
    if (location.mount && location.mount->flags().read_only) {
        return fail(Errno::erofs);
    }
    if (!caller.who.has(Capability::chown)) {
        // An owner may give his file to a group he is in, and to nobody else.
        const bool owns = caller.who.user == attributes.user;
        if ((user && (!owns || *user != attributes.user)) ||
            (group && (!owns || (*group != attributes.group && !caller.who.is_in(*group))))) {
            return fail(Errno::eperm);
        }
    }
    AttributeChange change{.user = user, .group = group};
    if (attributes.type != NodeType::directory && (attributes.mode & (set_user_id | set_group_id)) != 0) {
        const bool loses_group =
            (attributes.mode & 010) != 0 || !caller.who.may_set_group_id(attributes.group);
        const Mode lost = set_user_id | (loses_group ? set_group_id : Mode{0});
        change.mode = static_cast<Mode>(attributes.mode & ~lost);
    }
    return told(location, location.node->change(change));
}

Outcome<> change_times(const Caller& caller, const Location& location, std::optional<Timestamp> accessed,
                       std::optional<Timestamp> modified, bool to_now) {
    const Attributes attributes = location.node->attributes();
    if (location.mount && location.mount->flags().read_only) {
        return fail(Errno::erofs);
    }
    if (!caller.who.owns(attributes.user)) {
        if (!to_now) {
            return fail(Errno::eperm);
        }
        if (!may(caller.who, attributes, bits(Access::write))) {
            return fail(Errno::eacces);
        }
    }
    return told(location, location.node->change({.accessed = accessed, .modified = modified}));
}

Outcome<> truncate(const Caller& caller, const Location& location, std::uint64_t size) {
    if (location.node->is_directory()) {
        return fail(Errno::eisdir);
    }
    if (location.node->type() != NodeType::regular) {
        return fail(Errno::einval);
    }
    PV_TRY(check_access(caller, location, bits(Access::write)));
    PV_TRY(location.node->truncate(size));
    notify(*location.node, notify_event::modify);
    return {};
}

}  // namespace pv::fs
