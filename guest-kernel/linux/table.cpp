// System calls by number, and the way in from the processor.
// SPDX-License-Identifier: MIT
#include "linux/table.hpp"

#include <array>
#include <atomic>

#include "arch/processor.hpp"
#include "base/log.hpp"
#include "base/panic.hpp"
#include "task/user_trap.hpp"

namespace pv::linux {
namespace {

constexpr std::uint32_t numbers_end = 512;

constinit std::array<const Entry*, numbers_end> by_number{};
constinit std::array<std::atomic<bool>, numbers_end> was_missed{};

// Once a number, with the program that asked first.
void tell_missing(const task::UserThread& thread, std::uint32_t number) {
    if (number < numbers_end && !was_missed[number].exchange(true)) {
        log::warning("{}[{}]: system call {} is not here: ENOSYS", std::string_view(thread.name.data()),
                     thread.id, number);
    }
}

}  // namespace

void start_calls() {
    for (const std::span<const Entry> list :
         {memory_calls, process_calls, signal_calls, time_calls, file_calls, path_calls, poll_calls,
          epoll_calls, event_calls, socket_calls, message_calls, mount_calls, notify_calls, transfer_calls,
          storage_calls, identity_calls, system_calls}) {
        for (const Entry& entry : list) {
            PV_ASSERT(entry.number < numbers_end && by_number[entry.number] == nullptr);
            by_number[entry.number] = &entry;
        }
    }
}

const Entry* find_call(std::uint32_t number) {
    return number < numbers_end ? by_number[number] : nullptr;
}

// From user_mode.S, interrupts on. Returns with interrupts off: true when the frame is not as SYSRET leaves
// it.
extern "C" bool pv_system_call(arch::TrapFrame* frame) {
    task::UserThread& thread = task::UserThread::current();
    const auto number = static_cast<std::uint32_t>(frame->rax);
    const Entry* entry = find_call(number);
    if (entry == nullptr) [[unlikely]] {
        tell_missing(thread, number);
        frame->rax = static_cast<std::uint64_t>(-pv::number(Errno::enosys));
    } else {
        Call call{thread, *frame};
        const Value value = entry->handler(call);
        if (value) [[likely]] {
            frame->rax = *value;
        } else {
            frame->rax = static_cast<std::uint64_t>(-std::int64_t{pv::number(value.error())});
            if (value.error() == Errno::eintr) [[unlikely]] {
                // What came may have been another thread's: whether the call begins again is decided all the
                // same.
                thread.interrupted_call = entry->restart == Restart::yes;
                thread.add_work(task::Work::signal);
            }
        }
    }
    arch::disable_interrupts();
    if (thread.has_work()) [[unlikely]] {
        task::before_user_mode();
    }
    return frame->vector != arch::vector_system_call;
}

}  // namespace pv::linux
