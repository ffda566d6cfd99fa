// Calls on who a process is: users, groups, process groups, sessions.
// SPDX-License-Identifier: MIT
#include <asm/unistd.h>

#include "linux/become.hpp"
#include "linux/table.hpp"

namespace pv::linux {
namespace {

using task::Identity;
using task::ProcessId;

constexpr std::uint32_t unchanged = ~0U;

Value getuid(Call& call) {
    return call.thread.identity.user;
}

Value geteuid(Call& call) {
    return call.thread.identity.effective_user;
}

Value getgid(Call& call) {
    return call.thread.identity.group;
}

Value getegid(Call& call) {
    return call.thread.identity.effective_group;
}

Value getresuid(Call& call, UserPointer<std::uint32_t> real, UserPointer<std::uint32_t> effective,
                UserPointer<std::uint32_t> saved) {
    PV_TRY(real.write(call.thread.identity.user));
    PV_TRY(effective.write(call.thread.identity.effective_user));
    return done(saved.write(call.thread.identity.saved_user));
}

Value getresgid(Call& call, UserPointer<std::uint32_t> real, UserPointer<std::uint32_t> effective,
                UserPointer<std::uint32_t> saved) {
    PV_TRY(real.write(call.thread.identity.group));
    PV_TRY(effective.write(call.thread.identity.effective_group));
    return done(saved.write(call.thread.identity.saved_group));
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

/// Which of the two kinds of numbers a call is about, and who may set them to anything.
struct Kind {
    Triple (*of)(Identity&);
    Capability beside;
};

constexpr Kind by_user{users, Capability::setuid};
constexpr Kind by_group{groups, Capability::setgid};

// What changes of users besides: capabilities.
void follow(const Call& call, Identity& identity, const Kind& kind) {
    if (kind.beside == Capability::setuid) {
        identity.follow_users(call.thread.identity);
    }
}

// setresuid(2) and its kin: each new one must be one of the old ones, or the caller privileged.
template <const Kind& Which>
Value set_res(Call& call, std::uint32_t real, std::uint32_t effective, std::uint32_t saved) {
    return done(become(call, [&](Identity& identity) -> Outcome<> {
        const Triple t = Which.of(identity);
        if (!identity.has(Which.beside) &&
            !(is_one_of(real, t) && is_one_of(effective, t) && is_one_of(saved, t))) {
            return fail(Errno::eperm);
        }
        // What changes nothing leaves the one for files alone, too.
        if ((real == unchanged || real == t.real) && (saved == unchanged || saved == t.saved) &&
            (effective == unchanged || (effective == t.effective && effective == t.file))) {
            return {};
        }
        t.real = real == unchanged ? t.real : real;
        t.effective = effective == unchanged ? t.effective : effective;
        t.saved = saved == unchanged ? t.saved : saved;
        t.file = t.effective;
        follow(call, identity, Which);
        return {};
    }));
}

template <const Kind& Which>
Value set_re(Call& call, std::uint32_t real, std::uint32_t effective) {
    return done(become(call, [&](Identity& identity) -> Outcome<> {
        const Triple t = Which.of(identity);
        const std::uint32_t old_real = t.real;
        if (!identity.has(Which.beside) &&
            (!(real == unchanged || real == t.real || real == t.effective) || !is_one_of(effective, t))) {
            return fail(Errno::eperm);
        }
        t.real = real == unchanged ? t.real : real;
        t.effective = effective == unchanged ? t.effective : effective;
        if (real != unchanged || (effective != unchanged && effective != old_real)) {
            t.saved = t.effective;
        }
        t.file = t.effective;
        follow(call, identity, Which);
        return {};
    }));
}

template <const Kind& Which>
Value set_one(Call& call, std::uint32_t id) {
    if (id == unchanged) {
        return fail(Errno::einval);
    }
    return done(become(call, [&](Identity& identity) -> Outcome<> {
        const Triple t = Which.of(identity);
        if (identity.has(Which.beside)) {
            t.real = t.saved = id;
        } else if (id != t.real && id != t.saved) {
            return fail(Errno::eperm);
        }
        t.effective = t.file = id;
        follow(call, identity, Which);
        return {};
    }));
}

// setfsuid(2): tells the old one, whether it changed or not.
template <const Kind& Which>
Value set_file(Call& call, std::uint32_t id) {
    std::uint32_t before = 0;
    PV_TRY(become(call, [&](Identity& identity) -> Outcome<> {
        const Triple t = Which.of(identity);
        before = t.file;
        if (id != unchanged && (identity.has(Which.beside) || is_one_of(id, t) || id == t.file)) {
            t.file = id;
            if (Which.beside == Capability::setuid) {
                identity.follow_file_user(call.thread.identity);
            }
        }
        return {};
    }));
    return before;
}

Value getgroups(Call& call, int size, UserPointer<std::uint32_t> list) {
    const auto others = call.thread.identity.other_groups();
    if (size < 0 || (size != 0 && static_cast<std::size_t>(size) < others.size())) {
        return fail(Errno::einval);
    }
    if (size != 0) {
        PV_TRY(copy_out(list.address(), std::as_bytes(others)));
    }
    return others.size();
}

Value setgroups(Call& call, std::uint64_t count, UserPointer<const std::uint32_t> list) {
    if (!call.thread.identity.has(Capability::setgid)) {
        return fail(Errno::eperm);
    }
    if (count > Identity::groups_max) {
        return fail(Errno::einval);
    }
    std::array<std::uint32_t, Identity::groups_max> groups{};
    PV_TRY(copy_in(std::as_writable_bytes(std::span(groups).first(count)), list.address()));
    return done(become(call, [&](Identity& identity) -> Outcome<> {
        identity.groups = groups;
        identity.group_count = count;
        return {};
    }));
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
    {__NR_setuid, "setuid", handler_of<set_one<by_user>>},
    {__NR_setgid, "setgid", handler_of<set_one<by_group>>},
    {__NR_setreuid, "setreuid", handler_of<set_re<by_user>>},
    {__NR_setregid, "setregid", handler_of<set_re<by_group>>},
    {__NR_setresuid, "setresuid", handler_of<set_res<by_user>>},
    {__NR_setresgid, "setresgid", handler_of<set_res<by_group>>},
    {__NR_setfsuid, "setfsuid", handler_of<set_file<by_user>>},
    {__NR_setfsgid, "setfsgid", handler_of<set_file<by_group>>},
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
