// The watchdog of CPUs.
// SPDX-License-Identifier: MIT
#include "arch/x86_64/watchdog.hpp"

#include <array>
#include <span>

#include "arch/processor.hpp"
#include "arch/x86_64/back_trace.hpp"
#include "arch/x86_64/cpu.hpp"
#include "arch/x86_64/stop.hpp"
#include "base/atomic.hpp"
#include "base/log.hpp"
#include "task/scheduler.hpp"
#include "task/thread.hpp"

namespace pv::arch {
namespace {

using namespace literals;

constexpr Duration answer_patience = 200_ms;

constinit Atomic<std::uint64_t> patience_ns{10'000'000'000};
constinit Atomic<bool> reporting{false};  // one report at a time: its lines stay together

Duration patience() {
    return Duration::nanoseconds(patience_ns.load(std::memory_order_relaxed));
}

void report(Cpu& silent, Duration since) {
    if (reporting.exchange(true, std::memory_order_acquire)) {
        return;
    }
    if (!ask_where(silent, answer_patience)) {
        log::error("watchdog: CPU {} has not scheduled for {} and does not answer an NMI either",
                   silent.index, since);
    } else {
        log::error("watchdog: CPU {} has not scheduled for {}: thread \"{}\" at {}", silent.index, since,
                   std::string_view(silent.stop.thread.data()), Symbolised(silent.stop.rip));
        print_frames(std::span(silent.stop.back_trace).first(silent.stop.frames), false);
        silent.stop.done.store(false, std::memory_order_relaxed);
    }
    reporting.store(false, std::memory_order_release);
}

// True when it is silent.
bool watch(Cpu& other) {
    Cpu::Watched& watched = other.watched;
    const Instant beat = other.scheduler->last_beat();
    const Duration silence = now() - beat;
    const std::uint64_t seen = beat.since_boot().to_nanoseconds();
    if (silence < patience()) {
        if (watched.is_silent.exchange(false, std::memory_order_seq_cst)) {
            log::warning("watchdog: CPU {} schedules again", other.index);
        }
        return false;
    }
    // Twice the same beat, a round apart: a host that held the whole machine up is no CPU's fault.
    const std::uint64_t before = watched.beat.exchange(seen, std::memory_order_seq_cst);
    const std::uint64_t first_seen = watched.since.load(std::memory_order_seq_cst);
    if (before != seen) {
        watched.since.store(now().since_boot().to_nanoseconds(), std::memory_order_seq_cst);
        return true;
    }
    if (now().since_boot().to_nanoseconds() - first_seen >= patience().to_nanoseconds() / 4 &&
        !watched.is_silent.exchange(true, std::memory_order_seq_cst)) {
        report(other, silence);
    }
    return true;
}

}  // namespace

void set_watchdog(Duration value) {
    patience_ns.store(value.to_nanoseconds(), std::memory_order_relaxed);
}

Duration watchdog_patience() {
    return patience();
}

Duration watchdog_round(bool somebody_waits) {
    const bool nothing_to_watch = cpu_count() == 1 && !somebody_waits;
    return nothing_to_watch || patience() == Duration()
               ? Duration::max()
               : Duration::nanoseconds(patience().to_nanoseconds() / 4);
}

void report_greed(const TrapFrame& frame, std::string_view waiting, Duration span) {
    log::error("watchdog: thread \"{}\" has waited for CPU {} while thread \"{}\" ran for {}, at {}", waiting,
               this_cpu().index, task::current_name(), span, Symbolised{frame.rip});
    std::array<std::uint64_t, StopReport::frames_max> frames;
    const std::size_t count = collect_back_trace(frameless_caller(frame.rip, frame.rsp), frame.rbp, frames);
    print_frames(std::span(frames).first(count), false);
}

void watch_neighbour() {
    const unsigned cpus = cpu_count();
    if (patience() == Duration()) {
        return;
    }
    for (unsigned step = 1; step < cpus; ++step) {
        if (!watch(cpu((this_cpu().index + step) % cpus))) {
            return;
        }
    }
}

}  // namespace pv::arch
