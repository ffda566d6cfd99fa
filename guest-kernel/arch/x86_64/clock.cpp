// The monotonic clock over the time stamp counter.
// SPDX-License-Identifier: MIT
#include "arch/x86_64/clock.hpp"

#include <algorithm>

#include "arch/processor.hpp"
#include "arch/x86_64/clock_skew.hpp"
#include "arch/x86_64/image.hpp"
#include "arch/x86_64/registers.hpp"
#include "base/atomic.hpp"
#include "base/panic.hpp"
#include "memory/direct_map.hpp"

namespace pv::arch {
namespace {

__extension__ using Wide = unsigned __int128;

// ClockScale: zero until the clock runs, and then never changed.
constinit Atomic<std::uint64_t> multiplier{0};
constinit Atomic<std::uint64_t> origin{0};
constinit Atomic<std::uint64_t> hertz{0};

constinit Atomic<bool> clamped{false};
alignas(64) constinit SharedMaximum latest;

constexpr std::uint64_t nanoseconds_per_second = 1'000'000'000;

// CPUID 15h: crystal frequency and the counter's ratio to it.
std::uint64_t rate_from_cpuid() {
    if (cpuid(0).eax < 0x15) {
        return 0;
    }
    const Cpuid r = cpuid(0x15);
    return r.eax == 0 || r.ebx == 0 || r.ecx == 0 ? 0 : std::uint64_t{r.ecx} * r.ebx / r.eax;
}

bool runs_on_kvm(std::uint32_t& highest) {
    if ((cpuid(1).ecx & 1U << 31) == 0) {
        return false;
    }
    const Cpuid r = cpuid(0x4000'0000);
    highest = r.eax;
    return r.ebx == 0x4b4d'564b && r.ecx == 0x564b'4d56 && r.edx == 0x4d;  // "KVMKVMKVM"
}

// Linux Documentation/virt/kvm/x86/msr.rst: struct pvclock_vcpu_time_info.
struct alignas(64) KvmTime {
    std::uint32_t version;
    std::uint32_t pad0;
    std::uint64_t tsc_timestamp;
    std::uint64_t system_time;
    std::uint32_t tsc_to_system_mul;
    std::int8_t tsc_shift;
    std::uint8_t flags;
    std::uint8_t pad[2];
};

constinit KvmTime kvm_time{};

std::uint64_t rate_from_kvm() {
    std::uint32_t highest = 0;
    if (!runs_on_kvm(highest)) {
        return 0;
    }
    if (highest >= 0x4000'0010 && cpuid(0x4000'0010).eax != 0) {
        return std::uint64_t{cpuid(0x4000'0010).eax} * 1000;
    }
    if ((cpuid(0x4000'0001).eax & 1U << 3) == 0) {
        return 0;
    }
    volatile KvmTime& time = kvm_time;
    write_msr(Msr::kvm_system_time, memory::to_physical(&kvm_time).value() | 1);
    const std::uint32_t scale = time.tsc_to_system_mul;
    const int shift = time.tsc_shift;
    write_msr(Msr::kvm_system_time, 0);
    if (scale == 0 || shift < -31 || shift > 31) {
        return 0;
    }
    const std::uint64_t rate = (nanoseconds_per_second << 32) / scale;
    return shift < 0 ? rate << -shift : rate >> shift;
}

struct Sample {
    std::uint64_t tsc = 0;
    std::uint32_t ticks = 0;
};

// The tightest of a few readings: the thread of a busy host that runs this CPU may be held up in between.
template <class Read>
Sample sample(Read read) {
    Sample best;
    std::uint64_t tightest = ~std::uint64_t{0};
    for (int i = 0; i < 5; ++i) {
        const std::uint64_t before = read_tsc();
        const std::uint32_t ticks = read();
        const std::uint64_t after = read_tsc();
        if (after - before < tightest) {
            tightest = after - before;
            best = {before + tightest / 2, ticks};
        }
    }
    return best;
}

// ACPI 6.4, 4.8.3.3: 3.579545 MHz, at least 24 bits.
std::uint64_t rate_from_pm_timer(std::uint16_t port) {
    constexpr std::uint64_t pm_hertz = 3'579'545;
    constexpr std::uint32_t mask = 0xff'ffff;
    constexpr std::uint32_t ticks_wanted = pm_hertz / 200;  // 5 ms
    constexpr int polls_max = 1'000'000;
    const auto read = [port] { return in32(port) & mask; };
    const Sample begin = sample(read);
    int polls = 0;
    while (((read() - begin.ticks) & mask) < ticks_wanted) {
        if (++polls > polls_max) {
            return 0;
        }
    }
    const Sample end = sample(read);
    const std::uint64_t ticks = (end.ticks - begin.ticks) & mask;
    return ticks == 0 ? 0 : (end.tsc - begin.tsc) * pm_hertz / ticks;
}

// Intel 8254, channel 2, whose gate and output are bits of port 0x61.
std::uint64_t rate_from_pit() {
    constexpr std::uint64_t pit_hertz = 1'193'182;
    constexpr std::uint32_t ticks = pit_hertz / 100;  // 10 ms
    constexpr int polls_max = 1'000'000;
    const std::uint8_t gate = in8(0x61);
    out8(0x61, static_cast<std::uint8_t>((gate & ~2U) | 1U));
    out8(0x43, 0xb0);
    out8(0x42, ticks & 0xff);
    out8(0x42, ticks >> 8);
    const std::uint64_t begin = read_tsc();
    int polls = 0;
    while ((in8(0x61) & 0x20) == 0) {
        if (++polls > polls_max) {
            return 0;
        }
    }
    const std::uint64_t end = read_tsc();
    out8(0x61, gate);
    return (end - begin) * pit_hertz / ticks;
}

// Below 1 MHz or above 100 GHz the source lied.
bool is_credible(std::uint64_t rate) {
    return rate >= 1'000'000 && rate <= 100'000'000'000;
}

}  // namespace

void set_clock_origin() {
    origin.store(read_tsc(), std::memory_order_seq_cst);
}

ClockSource start_clock(std::uint16_t pm_timer) {
    ClockSource source{rate_from_cpuid(), "CPUID"};
    if (!is_credible(source.hertz)) {
        source = {rate_from_kvm(), "KVM"};
    }
    if (!is_credible(source.hertz) && pm_timer != 0) {
        source = {rate_from_pm_timer(pm_timer), "the ACPI timer"};
    }
    if (!is_credible(source.hertz)) {
        source = {rate_from_pit(), "the 8254"};
    }
    if (!is_credible(source.hertz)) {
        panic(
            "no clock: neither CPUID, KVM, the ACPI timer nor the 8254 tells the time stamp counter's rate");
    }
    hertz.store(source.hertz, std::memory_order_seq_cst);
    multiplier.store((nanoseconds_per_second << 32) / source.hertz, std::memory_order_seq_cst);
    return source;
}

void keep_clock_monotonic() {
    clamped.store(true, std::memory_order_seq_cst);
}

std::optional<ClockScale> plain_clock_scale() {
    if (clamped.load(std::memory_order_relaxed) || multiplier.load(std::memory_order_relaxed) == 0) {
        return std::nullopt;
    }
    return ClockScale{origin.load(std::memory_order_relaxed), multiplier.load(std::memory_order_relaxed)};
}

std::uint64_t tsc_at(Instant instant) {
    // Seconds and the rest apart: 64 bits of nanoseconds times the rate would need more than 64.
    const std::uint64_t ns = instant.since_boot().to_nanoseconds();
    const std::uint64_t rate = hertz.load(std::memory_order_relaxed);
    const Wide whole = Wide{ns / nanoseconds_per_second} * rate;
    const std::uint64_t part = ns % nanoseconds_per_second * (rate / 1000) / 1'000'000;
    const Wide at = whole + part + origin.load(std::memory_order_relaxed) + 1;
    return at > ~std::uint64_t{0} ? ~std::uint64_t{0} : static_cast<std::uint64_t>(at);
}

}  // namespace pv::arch

namespace pv {

Instant now() {
    const ClockScale scale{arch::origin.load(std::memory_order_relaxed),
                           arch::multiplier.load(std::memory_order_relaxed)};
    std::uint64_t counter = arch::read_ordered_tsc();
    if (arch::clamped.load(std::memory_order_relaxed)) [[unlikely]] {
        counter = arch::latest.at_least(counter);
    }
    return Instant::since_boot(Duration::nanoseconds(scale.nanoseconds(counter)));
}

}  // namespace pv
