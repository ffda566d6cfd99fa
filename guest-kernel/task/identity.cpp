// The rules of capabilities(7).
// SPDX-License-Identifier: MIT
#include "task/identity.hpp"

#include <linux/capability.h>
#include <linux/securebits.h>

#include <algorithm>

namespace pv::task {
namespace {

constexpr int number(Capability capability) {
    return static_cast<int>(capability);
}

static_assert(CapabilitySet::count == CAP_LAST_CAP + 1);
static_assert(
    number(Capability::chown) == CAP_CHOWN && number(Capability::dac_override) == CAP_DAC_OVERRIDE &&
    number(Capability::dac_read_search) == CAP_DAC_READ_SEARCH && number(Capability::fowner) == CAP_FOWNER &&
    number(Capability::fsetid) == CAP_FSETID && number(Capability::kill) == CAP_KILL &&
    number(Capability::setgid) == CAP_SETGID && number(Capability::setuid) == CAP_SETUID &&
    number(Capability::setpcap) == CAP_SETPCAP &&
    number(Capability::linux_immutable) == CAP_LINUX_IMMUTABLE &&
    number(Capability::net_bind_service) == CAP_NET_BIND_SERVICE &&
    number(Capability::net_admin) == CAP_NET_ADMIN && number(Capability::net_raw) == CAP_NET_RAW &&
    number(Capability::ipc_lock) == CAP_IPC_LOCK && number(Capability::ipc_owner) == CAP_IPC_OWNER &&
    number(Capability::sys_chroot) == CAP_SYS_CHROOT && number(Capability::sys_ptrace) == CAP_SYS_PTRACE &&
    number(Capability::sys_admin) == CAP_SYS_ADMIN && number(Capability::sys_nice) == CAP_SYS_NICE &&
    number(Capability::sys_resource) == CAP_SYS_RESOURCE && number(Capability::sys_time) == CAP_SYS_TIME &&
    number(Capability::mknod) == CAP_MKNOD && number(Capability::mac_override) == CAP_MAC_OVERRIDE &&
    number(Capability::syslog) == CAP_SYSLOG);

/// Those that who is user 0 to files has.
constexpr CapabilitySet of_files(Capability::chown, Capability::mknod, Capability::dac_override,
                                 Capability::dac_read_search, Capability::fowner, Capability::fsetid,
                                 Capability::linux_immutable, Capability::mac_override);

bool is_set(std::uint32_t bits, std::uint32_t bit) {
    return (bits & bit) != 0;
}

}  // namespace

bool Identity::is_in(std::uint32_t id) const {
    return file_group == id || std::ranges::find(other_groups(), id) != other_groups().end();
}

bool Identity::may_look_into(const Identity& other, bool is_dumpable, By by) const {
    if (has(Capability::sys_ptrace)) {
        return true;
    }
    const std::uint32_t own_user = by == By::real ? user : file_user;
    const std::uint32_t own_group = by == By::real ? group : file_group;
    const CapabilitySet own = by == By::real ? permitted : effective;
    return is_dumpable && own_user == other.user && own_user == other.effective_user &&
           own_user == other.saved_user && own_group == other.group && own_group == other.effective_group &&
           own_group == other.saved_group && own.has_all(other.permitted);
}

void Identity::follow_users(const Identity& before) {
    if (is_set(secure_bits, SECBIT_NO_SETUID_FIXUP)) {
        return;
    }
    const bool was_root = before.user == 0 || before.effective_user == 0 || before.saved_user == 0;
    if (was_root && user != 0 && effective_user != 0 && saved_user != 0) {
        if (!keeps_capabilities()) {
            permitted = effective = {};
        }
        ambient = {};
    }
    if (before.effective_user == 0 && effective_user != 0) {
        effective = {};
    } else if (before.effective_user != 0 && effective_user == 0) {
        effective = permitted;
    }
}

void Identity::follow_file_user(const Identity& before) {
    if (is_set(secure_bits, SECBIT_NO_SETUID_FIXUP)) {
        return;
    }
    if (before.file_user == 0 && file_user != 0) {
        effective = effective - of_files;
    } else if (before.file_user != 0 && file_user == 0) {
        effective = effective | (of_files & permitted);
    }
}

bool Identity::is_withdrawn(const Identity& before) const {
    return effective_user != before.effective_user || effective_group != before.effective_group ||
           file_user != before.file_user || file_group != before.file_group ||
           !before.permitted.has_all(permitted);
}

Outcome<> Identity::set_capabilities(CapabilitySet new_effective, CapabilitySet new_permitted,
                                     CapabilitySet new_inheritable) {
    if (!has(Capability::setpcap) && !(inheritable | permitted).has_all(new_inheritable)) {
        return fail(Errno::eperm);
    }
    if (!(inheritable | bounding).has_all(new_inheritable) || !permitted.has_all(new_permitted) ||
        !new_permitted.has_all(new_effective)) {
        return fail(Errno::eperm);
    }
    effective = new_effective;
    permitted = new_permitted;
    inheritable = new_inheritable;
    ambient = ambient & permitted & inheritable;
    return {};
}

Outcome<> Identity::set_secure_bits(std::uint64_t bits) {
    const std::uint32_t locked = (secure_bits & SECURE_ALL_LOCKS) >> 1;
    if ((bits & ~std::uint64_t{SECURE_ALL_LOCKS | SECURE_ALL_BITS}) != 0 ||
        (locked & (secure_bits ^ bits)) != 0 || (secure_bits & SECURE_ALL_LOCKS & ~bits) != 0 ||
        !has(Capability::setpcap)) {
        return fail(Errno::eperm);
    }
    secure_bits = static_cast<std::uint32_t>(bits);
    return {};
}

Outcome<> Identity::set_keeps_capabilities(bool keeps) {
    if (is_set(secure_bits, SECBIT_KEEP_CAPS_LOCKED)) {
        return fail(Errno::eperm);
    }
    secure_bits = keeps ? secure_bits | SECBIT_KEEP_CAPS : secure_bits & ~std::uint32_t{SECBIT_KEEP_CAPS};
    return {};
}

bool Identity::keeps_capabilities() const {
    return is_set(secure_bits, SECBIT_KEEP_CAPS);
}

Outcome<> Identity::raise_ambient(CapabilitySet one) {
    if (!permitted.has_all(one) || !inheritable.has_all(one) ||
        is_set(secure_bits, SECBIT_NO_CAP_AMBIENT_RAISE)) {
        return fail(Errno::eperm);
    }
    ambient = ambient | one;
    return {};
}

CapabilitySet Identity::real_capabilities() const {
    if (is_set(secure_bits, SECBIT_NO_SETUID_FIXUP)) {
        return effective;
    }
    return user == 0 ? permitted : CapabilitySet();
}

Executed Identity::executed(const ExecutedFile& file) const {
    Identity after = *this;
    if (!no_new_privileges) {
        after.effective_user = file.sets_user ? file.user : effective_user;
        after.effective_group = file.sets_group ? file.group : effective_group;
    }
    const bool is_root = !is_set(secure_bits, SECBIT_NOROOT);
    const bool gets_effective = is_root && after.effective_user == 0;
    // No file here has capabilities of its own: what comes beside the ambient ones is user 0's.
    after.permitted =
        is_root && (after.user == 0 || after.effective_user == 0) ? bounding | inheritable : CapabilitySet();
    const bool is_other = after.effective_user != effective_user || !is_in(after.effective_group);
    if ((is_other || !permitted.has_all(after.permitted)) &&
        (file.is_shared || file.is_watched || no_new_privileges)) {
        if (!has(Capability::setuid) || no_new_privileges) {
            after.effective_user = user;
            after.effective_group = group;
        }
        after.permitted = after.permitted & permitted;
    }
    after.saved_user = after.file_user = after.effective_user;
    after.saved_group = after.file_group = after.effective_group;
    if (is_other) {
        after.ambient = {};
    }
    after.permitted = after.permitted | after.ambient;
    after.effective = gets_effective ? after.permitted : after.ambient;
    after.secure_bits &= ~std::uint32_t{SECBIT_KEEP_CAPS};
    const bool has_gained = after.user != 0 && (gets_effective || !after.ambient.has_all(after.permitted));
    return {after, is_other || after.effective_user != user || after.effective_group != group || has_gained};
}

}  // namespace pv::task
