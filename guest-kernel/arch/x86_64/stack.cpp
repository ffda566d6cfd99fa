// Stacks with guard pages.
// SPDX-License-Identifier: MIT
#include "arch/x86_64/stack.hpp"

#include <memory>
#include <utility>

#include "arch/x86_64/image.hpp"
#include "arch/x86_64/kernel_space.hpp"
#include "memory/frames.hpp"
#include "task/lock.hpp"
#include "task/scheduler.hpp"

namespace pv::arch {
namespace {

struct FreeStack {
    FreeStack* next;
};

struct Pool {
    FreeStack* first = nullptr;
};

constinit task::Guarded<Pool, task::Rank::leaf> pool;

bool lies_in(VirtualAddress address, std::uint64_t guard) {
    return guard != 0 && address.value() >= guard && address.value() < guard + stack_guard_bytes;
}

}  // namespace

Result<Stack> allocate_stack() {
    const Stack reused = pool.with([](Pool& free) {
        FreeStack* first = free.first;
        if (first == nullptr) {
            return Stack{};
        }
        free.first = first->next;
        return Stack{reinterpret_cast<std::uintptr_t>(first + 1)};
    });
    if (reused.top != 0) {
        return reused;
    }
    constexpr std::uint64_t size = stack_guard_bytes + stack_bytes;
    memory::Frames frames = PV_TRY(memory::Frames::allocate(memory::order_for(stack_bytes)));
    const VirtualAddress space = PV_TRY(reserve_space(size));
    const Result<> mapped = map_pages(space + stack_guard_bytes, frames.address(), stack_bytes,
                                      Access::read_write, Cache::write_back);
    if (!mapped) {
        release_space(space, size);
        return fail(mapped.error());
    }
    frames.release();
    return Stack{space.value() + size};
}

void free_stack(Stack stack) {
    // The link lies in the stack's last words, which are mapped and used by nobody any more.
    auto* link = reinterpret_cast<FreeStack*>(stack.top) - 1;
    pool.with([&](Pool& free) {
        std::construct_at(link, FreeStack{free.first});
        free.first = link;
    });
}

Result<> set_up_interrupt_stacks(Cpu& cpu) {
    for (std::size_t i = 0; i < ist_count; ++i) {
        const Stack stack = PV_TRY(allocate_stack());
        cpu.ist_guards[i] = stack.guard();
        cpu.tables.set_ist(static_cast<Ist>(i + 1), stack.top);
    }
    return {};
}

void release_interrupt_stacks(Cpu& cpu) {
    for (std::uint64_t& guard : cpu.ist_guards) {
        if (guard != 0) {
            free_stack({std::exchange(guard, 0) + stack_guard_bytes + stack_bytes});
        }
    }
}

std::optional<std::string_view> describe_guard_page(VirtualAddress address) {
    if (lies_in(address, address_of(pv_boot_stack_guard))) {
        return "boot stack";
    }
    if (lies_in(address, address_of(pv_early_ist_guard))) {
        return "early fault stack";
    }
    for (const std::uint64_t guard : this_cpu().ist_guards) {
        if (lies_in(address, guard)) {
            return "fault stack";
        }
    }
    if (lies_in(address, task::Scheduler::current_stack_guard())) {
        return "stack";
    }
    return std::nullopt;
}

}  // namespace pv::arch
