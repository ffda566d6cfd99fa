// The tables of device interrupt vectors, one a CPU.
// SPDX-License-Identifier: MIT
#include "interrupt/vector.hpp"

#include <algorithm>
#include <array>
#include <new>

#include "arch/processor.hpp"
#include "base/atomic.hpp"
#include "base/deadline.hpp"
#include "base/log.hpp"
#include "base/panic.hpp"
#include "interrupt/delivery.hpp"
#include "task/lock.hpp"

namespace pv::interrupt {
namespace {

struct Slot {
    Atomic<std::uint64_t> count{0};
    std::string_view name;
    Handler handler = nullptr;
    void* context = nullptr;
    bool reported = false;  // a spurious interrupt on it was logged
};

constexpr std::size_t slots_count =
    last_device_vector - first_device_vector + 1;  // what the CPU has, no less
constexpr Duration handler_patience = Duration::seconds(10);

struct Slots {
    std::array<Slot, slots_count> slots;
    std::uint32_t used = 0;
};

struct Table {
    task::Guarded<Slots, task::Rank::interrupt> guarded;
    /// The device vector whose handler this CPU runs, 0 when none: handlers do not nest. Written by the CPU
    /// with the lock held when it begins, so that whoever took the handler out under the lock sees it run or
    /// gone.
    Atomic<std::uint8_t> running{0};
};

constinit Table boot_table;
// Each entry is set once, before the CPU's first interrupt.
constinit std::array<Atomic<Table*>, arch::cpus_max> tables{&boot_table};
constinit Atomic<std::uint64_t> spurious{0};

bool is_device_vector(std::uint8_t number) {
    return number >= first_device_vector && number <= last_device_vector;
}

Table* table_of(unsigned cpu) {
    return cpu < tables.size() ? tables[cpu].load(std::memory_order_acquire) : nullptr;
}

unsigned least_used_cpu() {
    unsigned best = 0;
    std::uint32_t least = ~0U;
    for (unsigned cpu = 0; cpu < arch::cpu_count(); ++cpu) {
        Table* table = table_of(cpu);
        if (table == nullptr || !reachable_by_message(cpu)) {
            continue;
        }
        const std::uint32_t used = table->guarded.with([](const Slots& slots) { return slots.used; });
        if (used < least) {
            least = used;
            best = cpu;
        }
    }
    return best;
}

}  // namespace

Result<> add_cpu(unsigned cpu) {
    if (cpu >= tables.size()) {
        return fail(Error::invalid_argument);
    }
    if (table_of(cpu) != nullptr) {
        return {};
    }
    auto* table = new (std::nothrow) Table;
    if (table == nullptr) {
        return fail(Error::out_of_memory);
    }
    tables[cpu].store(table, std::memory_order_release);
    return {};
}

Result<Vector> Vector::allocate(std::string_view name, Handler handler, void* context, unsigned cpu) {
    cpu = cpu == any_cpu ? least_used_cpu() : cpu;
    Table* table = table_of(cpu);
    if (handler == nullptr || cpu >= arch::cpu_count() || table == nullptr || !reachable_by_message(cpu)) {
        return fail(Error::invalid_argument);
    }
    return table->guarded.with([&](Slots& slots) -> Result<Vector> {
        for (std::size_t i = 0; i < slots.slots.size(); ++i) {
            Slot& slot = slots.slots[i];
            if (slot.handler == nullptr) {
                slot.name = name;
                slot.context = context;
                slot.handler = handler;
                slot.count.store(0, std::memory_order_relaxed);
                slot.reported = false;
                ++slots.used;
                return Vector(cpu, static_cast<std::uint8_t>(first_device_vector + i));
            }
        }
        return fail(Error::no_space);
    });
}

Vector::~Vector() {
    if (number_ == 0) {
        return;
    }
    Table& table = *table_of(cpu_);
    const std::string_view name = table.guarded.with([&](Slots& slots) {
        Slot& slot = slots.slots[number_ - first_device_vector];
        slot.handler = nullptr;
        slot.context = nullptr;
        --slots.used;
        return slot.name;
    });
    // Nobody begins it any more; one that has begun still uses the context.
    const Deadline patience = Deadline::after(handler_patience);
    while (table.running.load(std::memory_order_acquire) == number_) {
        if (patience.expired()) {
            panic("the interrupt handler of \"{}\" on CPU {} does not return", name, cpu_);
        }
        arch::relax_and_serve();
    }
}

Message Vector::message() const {
    return message_for(cpu_, number_);
}

std::uint64_t Vector::count() const {
    return number_ == 0 ? 0
                        : table_of(cpu_)->guarded.unguarded().slots[number_ - first_device_vector].count.load(
                              std::memory_order_relaxed);
}

void for_each_vector(FunctionRef<void(const VectorFacts&)> each) {
    for (unsigned cpu = 0; cpu < arch::cpu_count(); ++cpu) {
        Table* table = table_of(cpu);
        for (std::size_t i = 0; table != nullptr && i < slots_count; ++i) {
            VectorFacts facts{.cpu = cpu, .number = static_cast<unsigned>(first_device_vector + i)};
            const bool is_owned = table->guarded.with([&](const Slots& slots) {
                facts.name = slots.slots[i].name;
                facts.count = slots.slots[i].count.load(std::memory_order_relaxed);
                return slots.slots[i].handler != nullptr;
            });
            if (is_owned) {
                each(facts);
            }
        }
    }
}

std::uint64_t spurious_count() {
    return spurious.load(std::memory_order_relaxed);
}

void dispatch(unsigned cpu, std::uint8_t number) {
    Handler handler = nullptr;
    void* context = nullptr;
    bool report = false;
    Table* table = table_of(cpu);
    if (is_device_vector(number) && table != nullptr) {
        table->guarded.with([&](Slots& slots) {
            Slot& slot = slots.slots[number - first_device_vector];
            slot.count.fetch_add(1, std::memory_order_relaxed);
            handler = slot.handler;
            context = slot.context;
            report = handler == nullptr && !std::exchange(slot.reported, true);
            if (handler != nullptr) {
                table->running.store(number, std::memory_order_relaxed);
            }
        });
    }
    if (handler != nullptr) {
        handler(context);
        table->running.store(0, std::memory_order_release);
        return;
    }
    spurious.fetch_add(1, std::memory_order_relaxed);
    if (report) {
        log::warning("interrupt on vector {:#x} of CPU {}, which nobody owns; further ones are only counted",
                     number, cpu);
    }
}

}  // namespace pv::interrupt
