// System V objects: who may do what with them.
// SPDX-License-Identifier: MIT
#include "linux/ipc_objects.hpp"

namespace pv::linux::ipc {
namespace {

bool is_in_group(const task::Identity& who, std::uint32_t group) {
    const auto others = who.other_groups();
    return who.effective_group == group || std::ranges::find(others, group) != others.end();
}

}  // namespace

bool may(const Call& call, const Permission& permission, std::uint32_t flags) {
    const task::Identity& who = call.thread.identity;
    const std::uint32_t wanted = (flags >> 6 | flags >> 3 | flags) & 7;
    std::uint32_t granted = permission.mode;
    if (who.effective_user == permission.user || who.effective_user == permission.maker) {
        granted >>= 6;
    } else if (is_in_group(who, permission.group) || is_in_group(who, permission.maker_group)) {
        granted >>= 3;
    }
    return (wanted & ~granted) == 0 || who.has(Capability::ipc_owner);
}

bool owns(const Call& call, const Permission& permission, Capability beside) {
    const task::Identity& who = call.thread.identity;
    return who.effective_user == permission.user || who.effective_user == permission.maker || who.has(beside);
}

ipc_perm value_of(const Permission& permission) {
    ipc_perm value{};
    value.__key = permission.key;
    value.uid = permission.user;
    value.gid = permission.group;
    value.cuid = permission.maker;
    value.cgid = permission.maker_group;
    value.mode = permission.mode;
    value.__seq = static_cast<unsigned short>(permission.sequence);
    return value;
}

void write_head(fs::Text& text, const ipc_perm& permission, int number) {
    // Four places for the mode in octal, or as many as it has.
    const unsigned mode = permission.mode;
    text.add("{:>10} {:>10}  ", permission.__key, number);
    for (unsigned shift = 18; shift != 0; shift -= 3) {
        const unsigned rest = mode >> (shift - 3);
        if (rest != 0 || shift == 3) {
            text.add("{}", rest & 7);
        } else if (shift <= 12) {
            text.append(" ");
        }
    }
}

void write_users(fs::Text& text, const ipc_perm& permission) {
    text.add(" {:>5} {:>5} {:>5} {:>5}", permission.uid, permission.gid, permission.cuid, permission.cgid);
}

}  // namespace pv::linux::ipc
