// Calls that programs make in passing: capabilities, personalities, and answers about what is not here.
// SPDX-License-Identifier: MIT
#include <asm/unistd.h>
#include <linux/capability.h>
#include <linux/membarrier.h>
#include <sys/personality.h>

#include <array>

#include "linux/become.hpp"
#include "linux/table.hpp"

namespace pv::linux {
namespace {

using task::ProcessId;

/// Words of each set in a version's structure. Errors: efault; einval, and the header then tells the version
/// that there is.
Outcome<std::size_t> words_of(UserPointer<__user_cap_header_struct> header) {
    // A program may have no more than the version in front of it to ask for the one that there is.
    const UserPointer<std::uint32_t> version(header.address().value());
    switch (PV_TRY(version.read())) {
        case _LINUX_CAPABILITY_VERSION_1:
            return 1;
        case _LINUX_CAPABILITY_VERSION_2:
        case _LINUX_CAPABILITY_VERSION_3:
            return 2;
        default:
            PV_TRY(version.write(_LINUX_CAPABILITY_VERSION_3));
            return fail(Errno::einval);
    }
}

std::uint32_t word(CapabilitySet set, std::size_t index) {
    return static_cast<std::uint32_t>(set.bits() >> (32 * index));
}

Value capget(Call& call, UserPointer<__user_cap_header_struct> header,
             UserPointer<__user_cap_data_struct> data) {
    const auto words = words_of(header);
    if (!words || data.is_null()) {
        return data.is_null() && (words || words.error() == Errno::einval) ? Value(0)
                                                                           : Value(fail(words.error()));
    }
    const ProcessId id = PV_TRY(header.read()).pid;
    if (id < 0) {
        return fail(Errno::einval);
    }
    task::Identity who;
    {
        const task::SpinGuard guard(task::tree_lock());
        const task::UserThread* thread = id == 0 ? &call.thread : task::find_thread(id);
        const task::Process* process = thread == nullptr ? task::find_process(id) : &thread->process();
        if (process == nullptr) {
            return fail(Errno::esrch);
        }
        who = thread != nullptr ? thread->identity : process->identity();
    }
    for (std::size_t i = 0; i < *words; ++i) {
        PV_TRY((data + i).write({word(who.effective, i), word(who.permitted, i), word(who.inheritable, i)}));
    }
    return 0;
}

Value capset(Call& call, UserPointer<__user_cap_header_struct> header,
             UserPointer<__user_cap_data_struct> data) {
    const std::size_t words = PV_TRY(words_of(header));
    const ProcessId id = PV_TRY(header.read()).pid;
    if (id != 0 && id != call.thread.id) {
        return fail(Errno::eperm);
    }
    std::uint64_t effective = 0;
    std::uint64_t permitted = 0;
    std::uint64_t inheritable = 0;
    for (std::size_t i = 0; i < words; ++i) {
        const auto given = PV_TRY((data + i).read());
        effective |= std::uint64_t{given.effective} << (32 * i);
        permitted |= std::uint64_t{given.permitted} << (32 * i);
        inheritable |= std::uint64_t{given.inheritable} << (32 * i);
    }
    return done(become(call, [&](task::Identity& identity) {
        return identity.set_capabilities(CapabilitySet::of_bits(effective), CapabilitySet::of_bits(permitted),
                                         CapabilitySet::of_bits(inheritable));
    }));
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
Value syslog(Call& call, int type, UserAddress to, int length) {
    constexpr int read_first = 2;
    constexpr int read_last = 4;
    constexpr int set_level = 8;
    constexpr int size_unread = 9;
    constexpr int size_buffer = 10;
    if (type < 0 || type > size_buffer) {
        return fail(Errno::einval);
    }
    if (!call.thread.identity.has(Capability::syslog) && type != size_unread && type != size_buffer) {
        return fail(Errno::eperm);
    }
    const bool reads = type >= read_first && type <= read_last;
    if ((reads && (to.value() == 0 || length < 0)) || (type == set_level && (length < 1 || length > 8))) {
        return fail(Errno::einval);
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
    {__NR_capget, "capget", handler_of<capget>},
    {__NR_capset, "capset", handler_of<capset>},
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
