// Who answers for processes.
// SPDX-License-Identifier: MIT
#include "fs/process_view.hpp"

#include "arch/processor.hpp"
#include "base/atomic.hpp"

namespace pv::fs {
namespace {

/// Before there are programs.
class NoProcesses final : public ProcessView {
  public:
    int next_process(int) override { return -1; }

    int next_thread(int, int) override { return -1; }

    int process_of(int) override { return 0; }

    int own_process() override { return 0; }

    int own_thread() override { return 0; }

    Location own_root() override { return {}; }

    Outcome<ProcessFacts> facts(int, int) override { return fail(Errno::esrch); }

    Outcome<Ref<DescriptorTable>> descriptors(int) override { return fail(Errno::esrch); }

    Outcome<Ref<Context>> context(int) override { return fail(Errno::esrch); }

    Outcome<Location> executable(int) override { return fail(Errno::esrch); }

    Outcome<> regions(int, bool, FunctionRef<void(const MappedRegion&)>) override {
        return fail(Errno::esrch);
    }

    Outcome<std::array<UserAddress, 2>> area(int, MemoryArea) override { return fail(Errno::esrch); }

    Outcome<> peek(int, std::span<std::byte>, UserAddress) override { return fail(Errno::esrch); }

    Outcome<> poke(int, UserAddress, std::span<const std::byte>) override { return fail(Errno::esrch); }

    bool may_look_into(int) override { return false; }

    unsigned processors() override { return arch::cpu_count(); }

    ProcessorFacts processor(unsigned) override { return {}; }

    LoadFacts load() override { return {}; }
};

constinit NoProcesses no_processes;
constinit Atomic<ProcessView*> current_view{&no_processes};

}  // namespace

void set_process_view(ProcessView& view) {
    current_view.store(&view, std::memory_order_release);
}

ProcessView& process_view() {
    return *current_view.load(std::memory_order_acquire);
}

}  // namespace pv::fs
