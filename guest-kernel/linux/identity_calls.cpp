// Calls on who a process is: users, groups, process groups, sessions.
// SPDX-License-Identifier: MIT
#include <asm/unistd.h>

#include "linux/table.hpp"

namespace pv::linux {
namespace {

using task::Identity;
using task::ProcessId;

constexpr std::uint32_t unchanged = ~0U;

Value getuid(Call& call) {
    return call.process().identity.user;
}

Value geteuid(Call& call) {
    return call.process().identity.effective_user;
}

Value getgid(Call& call) {
    return call.process().identity.group;
}

Value getegid(Call& call) {
    return call.process().identity.effective_group;
}

Value getresuid(Call& call, UserPointer<std::uint32_t> real, UserPointer<std::uint32_t> effective,
                UserPointer<std::uint32_t> saved) {
    PV_TRY(real.write(call.process().identity.user));
    PV_TRY(effective.write(call.process().identity.effective_user));
    return done(saved.write(call.process().identity.saved_user));
}

Value getresgid(Call& call, UserPointer<std::uint32_t> real, UserPointer<std::uint32_t> effective,
                UserPointer<std::uint32_t> saved) {
    PV_TRY(real.write(call.process().identity.group));
    PV_TRY(effective.write(call.process().identity.effective_group));
    return done(saved.write(call.process().identity.saved_group));
}

struct Triple {
    std::uint32_t& real;
    std::uint32_t& effective;
    std::uint32_t& saved;
    std::uint32_t& file;
};

Triple users(Identity& i) {
    return {i.user, i.effective_user, i.saved_user, i.file_user};
}

Triple groups(Identity& i) {
    return {i.group, i.effective_group, i.saved_group, i.file_group};
}

bool is_one_of(std::uint32_t id, const Triple& t) {
    return id == unchanged || id == t.real || id == t.effective || id == t.saved;
}

// setresuid(2) and its kin: each new one must be one of the old ones, or the caller privileged.
Value set_three(bool privileged, const Triple& t, std::uint32_t real, std::uint32_t effective,
                std::uint32_t saved) {
    if (!privileged && !(is_one_of(real, t) && is_one_of(effective, t) && is_one_of(saved, t))) {
        return fail(Errno::eperm);
    }
    t.real = real == unchanged ? t.real : real;
    t.effective = effective == unchanged ? t.effective : effective;
    t.saved = saved == unchanged ? t.saved : saved;
    t.file = t.effective;
    return 0;
}

template <Triple (*Which)(Identity&)>
Value set_res(Call& call, std::uint32_t real, std::uint32_t effective, std::uint32_t saved) {
    const task::SpinGuard guard(task::tree_lock());
    Identity& identity = call.process().identity;
    return set_three(identity.is_privileged(), Which(identity), real, effective, saved);
}

template <Triple (*Which)(Identity&)>
Value set_re(Call& call, std::uint32_t real, std::uint32_t effective) {
    const task::SpinGuard guard(task::tree_lock());
    Identity& identity = call.process().identity;
    const Triple t = Which(identity);
    const std::uint32_t old_real = t.real;
    if (!identity.is_privileged() &&
        (!(real == unchanged || real == t.real || real == t.effective) || !is_one_of(effective, t))) {
        return fail(Errno::eperm);
    }
    t.real = real == unchanged ? t.real : real;
    t.effective = effective == unchanged ? t.effective : effective;
    if (real != unchanged || (effective != unchanged && effective != old_real)) {
        t.saved = t.effective;
    }
    t.file = t.effective;
    return 0;
}

template <Triple (*Which)(Identity&)>
Value set_one(Call& call, std::uint32_t id) {
    if (id == unchanged) {
        return fail(Errno::einval);
    }
    const task::SpinGuard guard(task::tree_lock());
    Identity& identity = call.process().identity;
    const Triple t = Which(identity);
    return identity.is_privileged() ? set_three(true, t, id, id, id)
                                    : set_three(false, t, unchanged, id, unchanged);
}

// setfsuid(2): tells the old one, whether it changed or not.
template <Triple (*Which)(Identity&)>
Value set_file(Call& call, std::uint32_t id) {
    const task::SpinGuard guard(task::tree_lock());
    Identity& identity = call.process().identity;
    const Triple t = Which(identity);
    const std::uint32_t before = t.file;
    if (id != unchanged && (identity.is_privileged() || is_one_of(id, t) || id == t.file)) {
        t.file = id;
    }
    return before;
}

Value getgroups(Call& call, int size, UserPointer<std::uint32_t> list) {
    const Identity& identity = call.process().identity;
    if (size < 0 || (size != 0 && static_cast<std::size_t>(size) < identity.group_count)) {
        return fail(Errno::einval);
    }
    if (size != 0) {
        PV_TRY(
            copy_out(list.address(), std::as_bytes(std::span(identity.groups).first(identity.group_count))));
    }
    return identity.group_count;
}

Value setgroups(Call& call, std::uint64_t count, UserPointer<const std::uint32_t> list) {
    if (!call.process().identity.is_privileged()) {
        return fail(Errno::eperm);
    }
    if (count > Identity::groups_max) {
        return fail(Errno::einval);
    }
    std::array<std::uint32_t, Identity::groups_max> groups{};
    PV_TRY(copy_in(std::as_writable_bytes(std::span(groups).first(count)), list.address()));
    const task::SpinGuard guard(task::tree_lock());
    call.process().identity.groups = groups;
    call.process().identity.group_count = count;
    return 0;
}

Value getpgid(Call& call, ProcessId id) {
    const task::SpinGuard guard(task::tree_lock());
    const task::Process* process = id == 0 ? &call.process() : task::find_process(id);
    if (process == nullptr) {
        return fail(Errno::esrch);
    }
    return static_cast<std::uint64_t>(process->group);
}

Value getpgrp(Call& call) {
    return getpgid(call, 0);
}

Value getsid(Call& call, ProcessId id) {
    const task::SpinGuard guard(task::tree_lock());
    const task::Process* process = id == 0 ? &call.process() : task::find_process(id);
    if (process == nullptr) {
        return fail(Errno::esrch);
    }
    return static_cast<std::uint64_t>(process->session);
}

Value setpgid(Call& call, ProcessId id, ProcessId group) {
    if (group < 0) {
        return fail(Errno::einval);
    }
    const task::SpinGuard guard(task::tree_lock());
    task::Process& self = call.process();
    task::Process* process = id == 0 ? &self : task::find_process(id);
    if (process == nullptr || (process != &self && process->parent != &self)) {
        return fail(Errno::esrch);
    }
    if (process != &self && process->has_executed) {
        return fail(Errno::eacces);
    }
    if (process->id == process->session || process->session != self.session) {
        return fail(Errno::eperm);
    }
    group = group == 0 ? process->id : group;
    if (group != process->id) {
        bool is_there = false;
        task::for_each_process([&](const task::Process& other) {
            is_there = is_there || (other.group == group && other.session == self.session);
        });
        if (!is_there) {
            return fail(Errno::eperm);
        }
    }
    process->group = group;
    return 0;
}

Value setsid(Call& call) {
    const task::SpinGuard guard(task::tree_lock());
    task::Process& self = call.process();
    bool leads = false;
    task::for_each_process([&](const task::Process& other) { leads = leads || other.group == self.id; });
    if (leads) {
        return fail(Errno::eperm);
    }
    self.group = self.session = self.id;
    return static_cast<std::uint64_t>(self.id);
}

constexpr Entry entries[] = {
    {__NR_getuid, "getuid", handler_of<getuid>},
    {__NR_geteuid, "geteuid", handler_of<geteuid>},
    {__NR_getgid, "getgid", handler_of<getgid>},
    {__NR_getegid, "getegid", handler_of<getegid>},
    {__NR_getresuid, "getresuid", handler_of<getresuid>},
    {__NR_getresgid, "getresgid", handler_of<getresgid>},
    {__NR_setuid, "setuid", handler_of<set_one<users>>},
    {__NR_setgid, "setgid", handler_of<set_one<groups>>},
    {__NR_setreuid, "setreuid", handler_of<set_re<users>>},
    {__NR_setregid, "setregid", handler_of<set_re<groups>>},
    {__NR_setresuid, "setresuid", handler_of<set_res<users>>},
    {__NR_setresgid, "setresgid", handler_of<set_res<groups>>},
    {__NR_setfsuid, "setfsuid", handler_of<set_file<users>>},
    {__NR_setfsgid, "setfsgid", handler_of<set_file<groups>>},
    {__NR_getgroups, "getgroups", handler_of<getgroups>},
    {__NR_setgroups, "setgroups", handler_of<setgroups>, Support::partial, "at most 32"},
    {__NR_getpgid, "getpgid", handler_of<getpgid>},
    {__NR_getpgrp, "getpgrp", handler_of<getpgrp>},
    {__NR_getsid, "getsid", handler_of<getsid>},
    {__NR_setpgid, "setpgid", handler_of<setpgid>},
    {__NR_setsid, "setsid", handler_of<setsid>},
};

}  // namespace

constinit const std::span<const Entry> identity_calls = entries;

}  // namespace pv::linux
