// System calls by number, and the way in from the processor.
// SPDX-License-Identifier: MIT
#include "linux/table.hpp"

#include <asm/unistd.h>

#include <array>

#include "arch/processor.hpp"
#include "base/atomic.hpp"
#include "base/log.hpp"
#include "base/panic.hpp"
#include "task/process.hpp"
#include "task/user_trap.hpp"

namespace pv::linux {
namespace {

constexpr std::uint32_t numbers_end = 512;

constinit std::array<const Entry*, numbers_end> by_number{};
constinit std::array<Atomic<bool>, numbers_end> was_missed{};

// Once a number, with the program that asked first.
void tell_missing(const task::UserThread& thread, std::uint32_t number) {
    if (number < numbers_end && !was_missed[number].exchange(true, std::memory_order_relaxed)) {
        log::warning("{}[{}]: system call {} is not here: ENOSYS", std::string_view(thread.name.data()),
                     thread.id, number);
    }
}

}  // namespace

void start_calls() {
    for (const std::span<const Entry> list :
         {memory_calls,   process_calls,   schedule_calls, policy_calls,  signal_calls, time_calls,
          timer_calls,    file_calls,      lock_calls,     path_calls,    poll_calls,   epoll_calls,
          aio_calls,      event_calls,     socket_calls,   message_calls, mount_calls,  notify_calls,
          transfer_calls, storage_calls,   identity_calls, trace_calls,   rare_calls,   control_calls,
          shared_calls,   semaphore_calls, queue_calls,    system_calls}) {
        for (const Entry& entry : list) {
            PV_ASSERT(entry.number < numbers_end && by_number[entry.number] == nullptr);
            by_number[entry.number] = &entry;
        }
    }
}

const Entry* find_call(std::uint32_t number) {
    return number < numbers_end ? by_number[number] : nullptr;
}

// Carries the call out: its result is in the frame.
[[gnu::always_inline]] static inline void carry_out(task::UserThread& thread, arch::TrapFrame& frame,
                                                    std::uint32_t number) {
    const Entry* entry = find_call(number);
    if (entry == nullptr) [[unlikely]] {
        tell_missing(thread, number);
        frame.rax = static_cast<std::uint64_t>(-pv::number(Errno::enosys));
        return;
    }
    Call call{thread, frame};
    const Value value = entry->handler(call);
    if (value) [[likely]] {
        frame.rax = *value;
        return;
    }
    frame.rax = static_cast<std::uint64_t>(-std::int64_t{pv::number(value.error())});
    if (value.error() == Errno::eintr) [[unlikely]] {
        // What came may have been another thread's: whether the call begins again is decided all the same.
        thread.interrupted = entry->restart == Restart::yes              ? task::Interrupted::as_handler_says
                             : entry->restart == Restart::unless_handled ? task::Interrupted::unless_handled
                                                                         : task::Interrupted::stays;
        thread.add_work(task::Work::signal);
    }
}

static bool is_traced(const task::UserThread& thread) {
    return (thread.watches_calls.load(std::memory_order_relaxed) & task::call_watch::traced) != 0;
}

// What is left to a thread in seccomp(2)'s strict mode.
static bool is_left(std::uint64_t number) {
    return number == __NR_read || number == __NR_write || number == __NR_exit || number == __NR_rt_sigreturn;
}

// The tracer sees it before, where it may choose another call, and after.
[[gnu::noinline]] static void carry_out_watched(task::UserThread& thread, arch::TrapFrame& frame) {
    const bool is_confined =
        (thread.watches_calls.load(std::memory_order_relaxed) & task::call_watch::confined) != 0;
    if (is_confined && !is_left(frame.rax)) {
        task::exit_process(thread, SIGKILL);
    }
    if (!is_traced(thread)) {
        carry_out(thread, frame, static_cast<std::uint32_t>(frame.rax));
        return;
    }
    frame.rax = static_cast<std::uint64_t>(-pv::number(Errno::enosys));
    task::trace_call(thread, true);
    const auto number = static_cast<std::int32_t>(frame.error_code);
    if (is_confined && number >= 0 && !is_left(static_cast<std::uint32_t>(number))) {
        task::exit_process(thread, SIGKILL);  // the tracer chose it
    }
    if (number >= 0 && !task::must_end(thread)) {
        carry_out(thread, frame, static_cast<std::uint32_t>(number));
    }
    if (is_traced(thread)) {
        task::trace_call(thread, false);
    }
}

// From user_mode.S, interrupts on. Returns with interrupts off: true when the frame is not as SYSRET leaves
// it.
extern "C" bool pv_system_call(arch::TrapFrame* frame) {
    task::UserThread& thread = task::UserThread::current();
    bool was_traced = false;  // a tracer may have changed any register
    if (thread.watches_calls.load(std::memory_order_relaxed) != 0) [[unlikely]] {
        carry_out_watched(thread, *frame);
        was_traced = true;
    } else {
        carry_out(thread, *frame, static_cast<std::uint32_t>(frame->rax));
        if (is_traced(thread)) [[unlikely]] {
            task::trace_call(thread, false);  // the call was one that began it: a stop of its tracer's
            was_traced = true;
        }
    }
    arch::disable_interrupts();
    if (thread.has_work()) [[unlikely]] {
        task::before_user_mode();
    }
    return was_traced || frame->vector != arch::vector_system_call;
}

}  // namespace pv::linux
