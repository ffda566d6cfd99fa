// Calls that programs make in passing: capabilities, personalities, and answers about what is not here.
// SPDX-License-Identifier: MIT
#include <asm/unistd.h>
#include <linux/capability.h>
#include <linux/membarrier.h>
#include <sys/personality.h>

#include <array>

#include "linux/table.hpp"

namespace pv::linux {
namespace {

using task::ProcessId;

/// Of them all, as Linux 6.1 has them.
constexpr std::uint64_t capabilities = (std::uint64_t{1} << (CAP_LAST_CAP + 1)) - 1;

/// Words of each set in a version's structure; 0: no such version.
Outcome<std::size_t> words_of(UserPointer<__user_cap_header_struct> header, ProcessId& id) {
    auto value = PV_TRY(header.read());
    id = value.pid;
    switch (value.version) {
        case _LINUX_CAPABILITY_VERSION_1:
            return 1;
        case _LINUX_CAPABILITY_VERSION_2:
        case _LINUX_CAPABILITY_VERSION_3:
            return 2;
        default:
            value.version = _LINUX_CAPABILITY_VERSION_3;
            PV_TRY(header.write(value));
            return fail(Errno::einval);
    }
}

// Who is user 0 has all of them, everybody else none.
Value capget(Call& call, UserPointer<__user_cap_header_struct> header,
             UserPointer<__user_cap_data_struct> data) {
    ProcessId id = 0;
    const auto words = words_of(header, id);
    if (!words) {
        return data.is_null() && words.error() == Errno::einval ? Value(0) : Value(fail(words.error()));
    }
    if (id < 0) {
        return fail(Errno::einval);
    }
    bool has = false;
    {
        const task::SpinGuard guard(task::tree_lock());
        const task::UserThread* thread = id == 0 ? &call.thread : task::find_thread(id);
        if (thread == nullptr) {
            return fail(Errno::esrch);
        }
        has = thread->process().identity.is_privileged();
    }
    for (std::size_t i = 0; i < *words; ++i) {
        const auto set = has ? static_cast<std::uint32_t>(capabilities >> (32 * i)) : 0U;
        PV_TRY((data + i).write({set, set, 0}));
    }
    return 0;
}

Value capset(Call& call, UserPointer<__user_cap_header_struct> header,
             UserPointer<__user_cap_data_struct> data) {
    ProcessId id = 0;
    const std::size_t words = PV_TRY(words_of(header, id));
    if (id != 0 && id != call.thread.id) {
        return fail(Errno::eperm);
    }
    for (std::size_t i = 0; i < words; ++i) {
        const auto given = PV_TRY((data + i).read());
        const auto most = call.process().identity.is_privileged()
                              ? static_cast<std::uint32_t>(capabilities >> (32 * i))
                              : 0U;
        if (((given.permitted | given.effective) & ~most) != 0 || (given.effective & ~given.permitted) != 0) {
            return fail(Errno::eperm);
        }
    }
    return 0;
}

Value personality(Call& call, std::uint32_t wanted) {
    constexpr std::uint32_t ask = ~0U;
    if (wanted != ask && (wanted & ~std::uint32_t{ADDR_NO_RANDOMIZE}) != 0) {
        return fail(Errno::einval);
    }
    const task::SpinGuard guard(task::tree_lock());
    bool& fixed = call.process().has_fixed_layout;
    const Value former = fixed ? ADDR_NO_RANDOMIZE : 0;
    if (wanted != ask) {
        fixed = wanted != 0;
    }
    return former;
}

// A barrier in all threads of a process is what a shootdown of its tables is, too.
Value membarrier(Call& call, int command, std::uint32_t flags, int) {
    if (flags != 0) {
        return fail(Errno::einval);
    }
    switch (command) {
        case MEMBARRIER_CMD_QUERY:
            return MEMBARRIER_CMD_PRIVATE_EXPEDITED | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED;
        case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED:
            return 0;
        case MEMBARRIER_CMD_PRIVATE_EXPEDITED:
            PV_TRY(as_outcome(call.process().space->tables()->flush(
                memory::AddressSpace::lowest, memory::AddressSpace::lowest + page_size)));
            return 0;
        default:
            return fail(Errno::einval);
    }
}

// There is no log that programs may read: its buffer is empty.
Value syslog(Call& call, int type, UserAddress, int) {
    constexpr int size_unread = 9;
    constexpr int size_buffer = 10;
    if (type < 0 || type > size_buffer) {
        return fail(Errno::einval);
    }
    if (!call.process().identity.is_privileged() && type != size_unread && type != size_buffer) {
        return fail(Errno::eperm);
    }
    return 0;
}

Value ioprio_get(Call&, int, int) {
    return 0;
}

Value ioprio_set(Call&, int, int, int) {
    return 0;
}

constexpr Entry entries[] = {
    {__NR_capget, "capget", handler_of<capget>, Support::partial, "user 0 has all, others have none"},
    {__NR_capset, "capset", handler_of<capset>, Support::partial, "nothing is given up"},
    {__NR_personality, "personality", handler_of<personality>, Support::partial,
     "Linux's own only, with or without ADDR_NO_RANDOMIZE"},
    {__NR_membarrier, "membarrier", handler_of<membarrier>, Support::partial,
     "MEMBARRIER_CMD_PRIVATE_EXPEDITED and its registration only"},
    {__NR_syslog, "syslog", handler_of<syslog>, Support::partial, "an empty log"},
    {__NR_ioprio_get, "ioprio_get", handler_of<ioprio_get>, Support::partial, "always 0"},
    {__NR_ioprio_set, "ioprio_set", handler_of<ioprio_set>, Support::partial, "without effect"},
};

}  // namespace

constinit const std::span<const Entry> rare_calls = entries;

}  // namespace pv::linux
