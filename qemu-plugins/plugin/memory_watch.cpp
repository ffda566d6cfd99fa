// The path of every access. Most end in a few loads of this vCPU's own; what does not is told to the probes.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "plugin/memory_watch.hpp"

#include <atomic>
#include <optional>

#include "plugin/site.hpp"

namespace pv::plugin {
namespace {

using translation::mark_owned_load;
using translation::mark_owned_store;
using translation::mark_table;

struct Watch {
    const Places::Cpu* cpus = nullptr;
    Places* places = nullptr;
    TranslationProbe* translation = nullptr;
    OwnershipProbe* ownership = nullptr;
};

/// The one there is: QEMU's callbacks get one pointer, and that holds the instruction's address.
Watch watch;

// What follows up is no part of the callbacks themselves, so that these need no stack of their own.

std::optional<Place> place_of(unsigned cpu, qemu_plugin_meminfo_t info, std::uint64_t linear) {
    const Place* const known = watch.cpus[cpu].find(linear);
    return known != nullptr ? *known : watch.places->ask(cpu, info, linear);
}

[[gnu::noinline]] void look_for_ownership(unsigned cpu, qemu_plugin_meminfo_t info, std::uint64_t linear,
                                          void* userdata) {
    if (const auto place = place_of(cpu, info, linear)) {
        watch.ownership->look(cpu, info, linear, userdata, false, *place);
    }
}

[[gnu::noinline]] void load_while_loads_matter(unsigned cpu, qemu_plugin_meminfo_t info, std::uint64_t linear,
                                               void* userdata) {
    const Place* const known = watch.cpus[cpu].find(linear);
    if (known == nullptr || known->has(mark_owned_load)) [[unlikely]] {
        look_for_ownership(cpu, info, linear, userdata);
    }
}

[[gnu::noinline]] void look_at_load(unsigned cpu, qemu_plugin_meminfo_t info, std::uint64_t linear,
                                    void* userdata) {
    watch.translation->look(cpu, info, linear, userdata, false);
    if (watch.ownership != nullptr && watch.ownership->loads_matter()) {
        load_while_loads_matter(cpu, info, linear, userdata);
    }
}

[[gnu::noinline]] void look_at_store(unsigned cpu, qemu_plugin_meminfo_t info, std::uint64_t linear,
                                     void* userdata) {
    const bool may_owe = watch.cpus[cpu].may_owe(linear);
    if (may_owe) {
        watch.translation->look(cpu, info, linear, userdata, true);
    }
    const auto place = place_of(cpu, info, linear);
    if (!place) {
        return;
    }
    if (!may_owe && place->has(mark_table)) {
        watch.translation->store(cpu, info, place->physical + linear % ownership::page_size, userdata);
    }
    if (watch.ownership != nullptr) {
        watch.ownership->look(cpu, info, linear, userdata, true, *place);
    }
}

void on_load(unsigned cpu, qemu_plugin_meminfo_t info, std::uint64_t linear, void* userdata) {
    if (watch.cpus[cpu].may_owe(linear)) [[unlikely]] {
        look_at_load(cpu, info, linear, userdata);
    } else if (watch.ownership != nullptr && watch.ownership->loads_matter()) [[unlikely]] {
        load_while_loads_matter(cpu, info, linear, userdata);
    }
}

void on_store(unsigned cpu, qemu_plugin_meminfo_t info, std::uint64_t linear, void* userdata) {
    const Places::Cpu& mine = watch.cpus[cpu];
    const Place* const known = mine.find(linear);
    if (known == nullptr || known->has(mark_table | mark_owned_store) || mine.may_owe(linear)) [[unlikely]] {
        look_at_store(cpu, info, linear, userdata);
    }
}

}  // namespace

void begin_watching(Places& places, TranslationProbe* translation, OwnershipProbe* ownership) {
    watch = {places.cpus(), &places, translation, ownership};
}

void watch_memory(qemu_plugin_insn* instruction, std::uint64_t pc) {
    // One call each: nothing has to be asked of QEMU to tell them apart.
    void* const userdata = Site{pc, 0}.userdata();
    qemu_plugin_register_vcpu_mem_cb(instruction, on_load, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_R,
                                     userdata);
    qemu_plugin_register_vcpu_mem_cb(instruction, on_store, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_W,
                                     userdata);
}

}  // namespace pv::plugin
