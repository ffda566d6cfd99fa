// Calls on the machine as a whole: its name, its memory, random bytes, limits.
// SPDX-License-Identifier: MIT
#include <asm/unistd.h>
#include <linux/sysinfo.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "fs/system_name.hpp"
#include "fs/wait.hpp"
#include "linux/table.hpp"
#include "memory/frames.hpp"
#include "random/pool.hpp"
#include "task/scheduler.hpp"

namespace pv::linux {
namespace {

struct Names {
    std::array<std::array<char, 65>, 6> fields{};

    void set(std::size_t index, std::string_view text) {
        std::copy_n(text.begin(), std::min<std::size_t>(text.size(), 64), fields[index].begin());
    }
};

Value uname(Call&, UserPointer<Names> names) {
    Names value;
    value.set(0, "Linux");
    value.set(1, fs::system_name::host().view());
    value.set(2, fs::system_name::release);
    value.set(3, fs::system_name::version);
    value.set(4, "x86_64");
    value.set(5, fs::system_name::domain().view());
    return done(names.write(value));
}

// sethostname(2) and setdomainname(2).
template <void (*Set)(const fs::system_name::Changeable&)>
Value set_name(Call& call, UserAddress from, int length) {
    using fs::system_name::Changeable;
    if (!call.thread.identity.has(Capability::sys_admin)) {
        return fail(Errno::eperm);
    }
    if (length < 0 || static_cast<std::size_t>(length) > Changeable::length_max) {
        return fail(Errno::einval);
    }
    Changeable name{std::string_view()};
    PV_TRY(
        copy_in(std::as_writable_bytes(std::span(name.text).first(static_cast<std::size_t>(length))), from));
    Set(name);
    return 0;
}

Value sysinfo(Call&, UserPointer<struct sysinfo> result) {
    const memory::FrameStatistics frames = memory::frame_statistics();
    struct sysinfo value{};
    value.uptime = static_cast<long>(now().since_boot().to_milliseconds() / 1000);
    value.totalram = frames.total * page_size;
    value.freeram = frames.free * page_size;
    value.mem_unit = 1;
    static_assert(SI_LOAD_SHIFT == task::LoadAverage::fraction_bits);
    std::ranges::copy(task::Scheduler::load_average().values(now()), value.loads);
    {
        const task::SpinGuard guard(task::tree_lock());
        value.procs = static_cast<std::uint16_t>(std::min<std::size_t>(task::process_count(), 0xffff));
    }
    return done(result.write(value));
}

Value getrandom(Call&, UserAddress to, std::uint64_t length, std::uint32_t flags) {
    constexpr std::uint32_t nonblock = 1;
    constexpr std::uint32_t known = 7;
    if ((flags & ~known) != 0) {
        return fail(Errno::einval);
    }
    std::array<std::byte, 256> piece{};
    std::uint64_t count = 0;
    length = std::min<std::uint64_t>(length, 0x7fff'ffff);
    while (count < length) {
        const std::size_t size = std::min<std::uint64_t>(piece.size(), length - count);
        if (!random::take(std::span(piece).first(size))) {
            if ((flags & nonblock) != 0) {
                return fail(Errno::eagain);
            }
            using namespace literals;
            task::WaitQueue nobody;
            const Outcome<> waited = fs::wait(nobody, Deadline::after(100_ms), [] { return false; });
            if (waited.error() == Errno::eintr) {
                return fail(Errno::eintr);
            }
            continue;
        }
        const Outcome<> written = copy_out(to + count, std::span(piece).first(size));
        if (!written) {
            return count != 0 ? Value(count) : Value(fail(Errno::efault));
        }
        count += size;
    }
    return count;
}

struct LimitValue {
    std::uint64_t soft;
    std::uint64_t hard;
};

constexpr std::uint32_t limit_count = 16;

// Whether the caller may ask for and set the limits of `process`. The tree's lock is held.
bool may_limit(const task::UserThread& self, const task::Process& process) {
    const task::Identity& own = self.identity;
    const task::Identity& other = process.identity();
    return &process == &self.process() || own.has(Capability::sys_resource) ||
           (own.user == other.user && own.user == other.effective_user && own.user == other.saved_user &&
            own.group == other.group && own.group == other.effective_group && own.group == other.saved_group);
}

Value prlimit(Call& call, task::ProcessId id, std::uint32_t resource, UserPointer<const LimitValue> fresh,
              UserPointer<LimitValue> old) {
    if (resource >= limit_count) {
        return fail(Errno::einval);
    }
    LimitValue given{};
    if (!fresh.is_null()) {
        given = PV_TRY(fresh.read());
        if (given.soft > given.hard) {
            return fail(Errno::einval);
        }
    }
    LimitValue before{};
    Ref<memory::AddressSpace> space;
    memory::AddressSpace::Limits bounds;
    Ref<task::Process> limited;
    {
        const task::SpinGuard guard(task::tree_lock());
        task::Process* process = id == 0 ? &call.process() : task::find_process(id);
        if (process == nullptr) {
            return fail(Errno::esrch);
        }
        if (!may_limit(call.thread, *process)) {
            return fail(Errno::eperm);
        }
        task::Limit& limit = process->limits[resource];
        before = {limit.soft, limit.hard};
        if (!fresh.is_null()) {
            if (given.hard > limit.hard && !call.thread.identity.has(Capability::sys_resource)) {
                return fail(Errno::eperm);
            }
            limit = {given.soft, given.hard};
            space = process->space;
            bounds = process->space_limits();
            if (resource == RLIMIT_CPU && process->life != task::Life::ended) {
                limited = Ref<task::Process>(*process);
            }
        }
    }
    if (space != nullptr) {
        space->set_limits(bounds);
    }
    if (limited) {
        PV_TRY(task::limit_processor_time(*limited));
    }
    return done(old.write_if_wanted(before));
}

Value getrlimit(Call& call, std::uint32_t resource, UserPointer<LimitValue> old) {
    if (old.is_null()) {
        return fail(Errno::efault);
    }
    return prlimit(call, 0, resource, {}, old);
}

Value setrlimit(Call& call, std::uint32_t resource, UserPointer<const LimitValue> fresh) {
    if (fresh.is_null()) {
        return fail(Errno::efault);
    }
    return prlimit(call, 0, resource, fresh, {});
}

constexpr Entry entries[] = {
    {__NR_uname, "uname", handler_of<uname>},
    {__NR_sethostname, "sethostname", handler_of<set_name<fs::system_name::set_host>>},
    {__NR_setdomainname, "setdomainname", handler_of<set_name<fs::system_name::set_domain>>},
    {__NR_sysinfo, "sysinfo", handler_of<sysinfo>, Support::partial, "no swap"},
    {__NR_getrandom, "getrandom", handler_of<getrandom>},
    {__NR_prlimit64, "prlimit64", handler_of<prlimit>, Support::partial, "locked memory is not limited"},
    {__NR_getrlimit, "getrlimit", handler_of<getrlimit>, Support::partial, "as prlimit64"},
    {__NR_setrlimit, "setrlimit", handler_of<setrlimit>, Support::partial, "as prlimit64"},
};

}  // namespace

constinit const std::span<const Entry> system_calls = entries;

}  // namespace pv::linux
