// Out of memory: choosing who ends, and waiting until it has.
// SPDX-License-Identifier: MIT
#include "task/process_memory.hpp"

#include "base/log.hpp"
#include "memory/frames.hpp"
#include "task/process_tree.hpp"
#include "task/thread.hpp"

namespace pv::task {
namespace {

using namespace literals;

constexpr Duration step = 2_ms;

/// Guarded by the tree's lock: the last one chosen.
constinit ProcessId chosen = 0;

std::uint64_t pages_of(const Process& process) {
    return process.space == nullptr ? 0 : process.space->tables()->pages();
}

// The tree's lock is held. nullptr: there is only the first one.
Process* choose() {
    Process* best = nullptr;
    for_each_process([&](Process& process) {
        if (&process != first_process() && process.life != Life::ended && process.space != nullptr &&
            (best == nullptr || pages_of(process) >= pages_of(*best))) {
            best = &process;
        }
    });
    return best;
}

// Whether the one chosen last still holds memory: it has ended once all of that is given back. The tree's
// lock is held.
bool is_under_way() {
    const Process* process = chosen == 0 ? nullptr : find_process(chosen);
    return process != nullptr && process->life != Life::ended;
}

void end_one(UserThread& self) {
    Ref<Process> victim;
    std::array<char, 16> name{};
    std::uint64_t pages = 0;
    {
        const SpinGuard guard(tree_lock());
        // Somebody may have ended since.
        if (!memory::is_scarce() || is_under_way()) {
            return;
        }
        Process* best = choose();
        victim = Ref<Process>(best == nullptr ? self.process() : *best);
        chosen = victim->id;
        pages = pages_of(*victim);
        name = victim->threads.empty() ? name : victim->threads.front().name;
    }
    log::error("memory: none is left for {}[{}]: {}[{}] ends, which holds most: {} pages",
               std::string_view(self.name.data()), self.process().id, std::string_view(name.data()),
               victim->id, pages);
    send_signal(*victim, SIGKILL, make_info(SIGKILL, SI_KERNEL, nullptr));
}

}  // namespace

bool make_room(UserThread& self, Duration patience) {
    const Deadline deadline = Deadline::after(patience);
    end_one(self);
    while (true) {
        {
            const SpinGuard guard(tree_lock());
            if (chosen == self.process().id || self.process().ends) {
                return false;
            }
        }
        if (!memory::is_scarce()) {
            return true;
        }
        if (deadline.expired()) {
            return false;
        }
        sleep(step);
        end_one(self);
    }
}

}  // namespace pv::task
