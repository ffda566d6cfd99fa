// The shootdown (protocol in the header).
// SPDX-License-Identifier: MIT
#include "arch/x86_64/tlb.hpp"

#include "arch/x86_64/cpu.hpp"
#include "arch/x86_64/local_apic.hpp"
#include "arch/x86_64/page_table.hpp"
#include "arch/x86_64/registers.hpp"
#include "arch/x86_64/trap.hpp"
#include "arch/x86_64/user_mode.hpp"
#include "base/atomic.hpp"
#include "base/deadline.hpp"
#include "base/log.hpp"
#include "base/marker.hpp"
#include "misbehave/misbehave.hpp"
#include "task/spin_lock.hpp"

namespace pv::arch {
namespace tlb {
namespace {

// The one request under way. Read by receivers without the lock: `number` before and after tells whether the
// rest belongs together.
struct Record {
    Atomic<std::uint64_t> number{0};
    Atomic<std::uint64_t> begin{0};
    Atomic<std::uint64_t> size{0};
};

constinit task::SpinLock turn{task::Rank::shootdown};
constinit Record record;
constinit Atomic<std::uint64_t> patience_ns{5'000'000'000};
constinit Atomic<std::uint64_t> requests{0};
constinit Atomic<std::uint64_t> late_answers{0};
constinit Atomic<std::uint64_t> shootdowns{0};  // numbers them for the markers
constinit Atomic<std::uint64_t> ended{0};       // of those that asked others (misbehaviour)

// Clearing CR4.PGE and setting it again forgets all entries, global ones included; a write to CR3 would keep
// those. INVLPG reaches global entries too, for its page (Intel SDM vol. 3, 4.10.4.1).
void forget_everything() {
    const std::uint64_t cr4 = read_cr4();
    if ((cr4 & cr4_global_pages) != 0) {
        write_cr4(cr4 & ~cr4_global_pages);
        write_cr4(cr4);
    } else {
        write_cr3(read_cr3());
    }
}

void forget(std::uint64_t begin, std::uint64_t size) {
    if (size > pages_one_by_one * page_size) {
        // Of programs nothing is global.
        if (begin < memory_half) {
            write_cr3(read_cr3());
        } else {
            forget_everything();
        }
        return;
    }
    for (std::uint64_t at = begin; at - begin < size; at += page_size) {
        invalidate_page(at);
    }
}

CpuSet all_cpus() {
    CpuSet all;
    for (unsigned i = 0; i < cpu_count(); ++i) {
        all.set(i);
    }
    return all;
}

std::size_t first_of(const CpuSet& cpus) {
    std::size_t i = 0;
    while (i + 1 < cpus.size() && !cpus[i]) {
        ++i;
    }
    return i;
}

// Steps 3 to 6, with the turn held and interrupts off.
Result<> ask_others(std::uint64_t begin, std::uint64_t size, const CpuSet& cpus) {
    const std::uint64_t number = record.number.load(std::memory_order_relaxed) + 1;
    // A receiver that still reads the last record must see that the number changed if it sees a part of this
    // one.
    record.number.store(number, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_release);
    record.begin.store(begin, std::memory_order_relaxed);
    record.size.store(size, std::memory_order_relaxed);
    for (unsigned i = 0; i < cpu_count(); ++i) {
        if (cpus[i]) {
            cpu(i).tlb.requested.store(number, std::memory_order_release);
            LocalApic::interrupt(cpu(i).apic_id, vector_shootdown);
        }
    }
    requests.fetch_add(1, std::memory_order_relaxed);
    const Duration patience = Duration::nanoseconds(patience_ns.load(std::memory_order_relaxed));
    const Deadline deadline = Deadline::after(patience);
    bool all_answered = true;
    for (unsigned i = 0; i < cpu_count(); ++i) {
        while (cpus[i] && cpu(i).tlb.acknowledged.load(std::memory_order_acquire) < number) {
            if (deadline.expired()) {
                log::error("shootdown: CPU {} did not answer for {}; what lies at {:#x} stays unused", i,
                           patience, begin);
                cpu(i).tlb.overdue.store(true, std::memory_order_relaxed);
                late_answers.fetch_add(1, std::memory_order_relaxed);
                all_answered = false;
                break;
            }
            relax();
        }
    }
    if (!all_answered) {
        return fail(Error::timed_out);
    }
    return {};
}

// Lets the sender go on, and this CPU's own work wait for it.
void answer_early(Mailbox& mailbox, std::uint64_t number) {
    const std::uint64_t before = ended.load(std::memory_order_acquire);
    mailbox.acknowledged.store(number, std::memory_order_release);
    const Deadline deadline =
        Deadline::after(Duration::nanoseconds(patience_ns.load(std::memory_order_relaxed)));
    while (ended.load(std::memory_order_acquire) == before && !deadline.expired()) {
        relax();
    }
}

}  // namespace

Result<> flush(VirtualAddress begin, std::uint64_t size) {
    return flush(begin, size, all_cpus(), PhysicalAddress(0));
}

Result<> flush(VirtualAddress begin, std::uint64_t size, const CpuSet& cpus, PhysicalAddress root) {
    const InterruptsOff off;  // the thread stays on this CPU
    const std::uint64_t shootdown = shootdowns.fetch_add(1, std::memory_order_relaxed);
    marker::shootdown_begin(shootdown, root, begin, size);
    const unsigned self = this_cpu().index;
    if (cpus[self]) {
        forget(begin.value(), size);
    }
    CpuSet others = cpus & all_cpus();
    others.reset(self);
    if (others.any() && misbehave::take(misbehave::Rule::tlb_missed_shootdown)) {
        others.reset(first_of(others));
    }
    Result<> asked;
    if (others.any()) {
        const task::SpinGuard guard(turn);
        asked = ask_others(begin.value(), size, others);
    }
    marker::shootdown_end(shootdown, asked.has_value());
    if (misbehave::built_in && others.any()) {
        ended.fetch_add(1, std::memory_order_release);
    }
    return asked;
}

void serve() {
    Mailbox& mailbox = this_cpu().tlb;
    while (true) {
        const std::uint64_t requested = mailbox.requested.load(std::memory_order_acquire);
        if (mailbox.acknowledged.load(std::memory_order_relaxed) >= requested) {
            return;
        }
        const std::uint64_t begin = record.begin.load(std::memory_order_relaxed);
        const std::uint64_t size = record.size.load(std::memory_order_relaxed);
        std::atomic_thread_fence(std::memory_order_acquire);
        const bool is_whole = record.number.load(std::memory_order_relaxed) == requested;
        if (misbehave::take(misbehave::Rule::tlb_missed_shootdown_early)) {
            answer_early(mailbox, requested);
        }
        if (misbehave::take(misbehave::Rule::tlb_global_kept)) {
            write_cr3(read_cr3());
        } else if (is_whole && !mailbox.overdue.load(std::memory_order_relaxed)) {
            if (begin >= memory_half || !rest_tables()) {
                forget(begin, size);
            }
        } else {
            mailbox.overdue.store(false, std::memory_order_relaxed);
            forget_everything();
        }
        mailbox.acknowledged.store(requested, std::memory_order_release);
    }
}

void set_patience(Duration patience) {
    patience_ns.store(patience.to_nanoseconds(), std::memory_order_relaxed);
}

Statistics statistics() {
    return {requests.load(std::memory_order_relaxed), late_answers.load(std::memory_order_relaxed)};
}

}  // namespace tlb

void relax_and_serve() {
    relax();
    const InterruptsOff off;
    tlb::serve();
}

}  // namespace pv::arch
