// What the probes share that see every load and store.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <sys/time.h>

#include <cstdint>

#include "plugin/qemu_api.hpp"
#include "plugin/site.hpp"

namespace pv::plugin {

/// Has `load` called at each load of the instruction at `pc`, and `store` at each store, with its Site as
/// user data. One each: nothing has to be asked of QEMU to tell them apart.
inline void watch_memory(qemu_plugin_insn* instruction, std::uint64_t pc, qemu_plugin_vcpu_mem_cb_t load,
                         qemu_plugin_vcpu_mem_cb_t store) {
    void* const userdata = Site{pc, 0}.userdata();
    qemu_plugin_register_vcpu_mem_cb(instruction, load, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_R, userdata);
    qemu_plugin_register_vcpu_mem_cb(instruction, store, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_W, userdata);
}

/// Microseconds of the wall clock, of which QEMU's lines have their times.
inline std::int64_t wall_microseconds() {
    timeval now{};
    gettimeofday(&now, nullptr);
    return now.tv_sec * std::int64_t{1'000'000} + now.tv_usec;
}

}  // namespace pv::plugin
