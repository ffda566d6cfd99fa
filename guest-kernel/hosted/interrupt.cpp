// Interrupt messages of a host: an address that only hosted::raise understands. And its pretended CPUs.
// SPDX-License-Identifier: MIT

#include "arch/processor.hpp"
#include "base/atomic.hpp"
#include "hosted/control.hpp"
#include "interrupt/delivery.hpp"

namespace pv {
namespace {

constexpr std::uint64_t message_base = 0xfee0'0000;
constexpr unsigned cpu_shift = 12;

Atomic<unsigned> cpus{1};
thread_local unsigned own_cpu = 0;

}  // namespace

namespace arch {

unsigned cpu_count() {
    return cpus.load(std::memory_order_seq_cst);
}

unsigned current_cpu() {
    return own_cpu;
}

}  // namespace arch

namespace interrupt {

Message message_for(unsigned cpu, std::uint8_t number) {
    return {message_base | std::uint64_t{cpu} << cpu_shift, number};
}

bool reachable_by_message(unsigned cpu) {
    return cpu < arch::cpus_max;
}

bool extended_destinations() {
    return false;
}

}  // namespace interrupt

namespace hosted {

bool set_cpu_count(unsigned count) {
    for (unsigned cpu = 0; cpu < count; ++cpu) {
        if (!interrupt::add_cpu(cpu)) {
            return false;
        }
    }
    cpus.store(count, std::memory_order_seq_cst);
    return count > 0;
}

void run_as_cpu(unsigned cpu) {
    own_cpu = cpu;
}

void raise(const interrupt::Message& message) {
    const std::uint64_t cpu = (message.address - message_base) >> cpu_shift;
    if (message.address >= message_base && cpu < cpus.load(std::memory_order_seq_cst)) {
        // The handler believes that it runs there.
        const unsigned before = std::exchange(own_cpu, static_cast<unsigned>(cpu));
        interrupt::dispatch(own_cpu, static_cast<std::uint8_t>(message.data));
        own_cpu = before;
    }
}

}  // namespace hosted
}  // namespace pv
