// The part of QEMU's plugin interface that is used here, the same for every version from 4 on.
// SPDX-License-Identifier: GPL-2.0-or-later
//
// Version 4 came with QEMU 9.1. Later versions kept what is used here, with one exception: the result of
// qemu_plugin_read_register changed its type (a size, then a truth value). So nothing here looks at it: what
// was read is what the byte array grew by.
#pragma once

#include <glib.h>  // first, and not within extern "C": newer versions have templates

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>

extern "C" {
#include <qemu-plugin.h>

// QEMU refuses a plugin whose version it does not know with a clear message, but only after the dynamic
// linker was content. Weak references let an older QEMU get that far.
extern decltype(qemu_plugin_get_registers) qemu_plugin_get_registers __attribute__((weak));
extern decltype(qemu_plugin_read_register) qemu_plugin_read_register __attribute__((weak));
extern decltype(qemu_plugin_read_memory_vaddr) qemu_plugin_read_memory_vaddr __attribute__((weak));
extern decltype(qemu_plugin_scoreboard_new) qemu_plugin_scoreboard_new __attribute__((weak));
extern decltype(qemu_plugin_scoreboard_free) qemu_plugin_scoreboard_free __attribute__((weak));
extern decltype(qemu_plugin_scoreboard_find) qemu_plugin_scoreboard_find __attribute__((weak));
extern decltype(qemu_plugin_u64_set) qemu_plugin_u64_set __attribute__((weak));
extern decltype(qemu_plugin_num_vcpus) qemu_plugin_num_vcpus __attribute__((weak));
// Older ones, weak for the same reason; only the probes tlb and ownership use them.
extern decltype(qemu_plugin_register_vcpu_mem_cb) qemu_plugin_register_vcpu_mem_cb __attribute__((weak));
extern decltype(qemu_plugin_mem_is_store) qemu_plugin_mem_is_store __attribute__((weak));
extern decltype(qemu_plugin_mem_size_shift) qemu_plugin_mem_size_shift __attribute__((weak));
extern decltype(qemu_plugin_get_hwaddr) qemu_plugin_get_hwaddr __attribute__((weak));
extern decltype(qemu_plugin_hwaddr_is_io) qemu_plugin_hwaddr_is_io __attribute__((weak));
extern decltype(qemu_plugin_hwaddr_phys_addr) qemu_plugin_hwaddr_phys_addr __attribute__((weak));
extern decltype(qemu_plugin_hwaddr_device_name) qemu_plugin_hwaddr_device_name __attribute__((weak));
// QEMU 9.2.
extern decltype(qemu_plugin_mem_get_value) qemu_plugin_mem_get_value __attribute__((weak));
extern decltype(qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu)
    qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu __attribute__((weak));
extern decltype(qemu_plugin_register_vcpu_tb_exec_cb) qemu_plugin_register_vcpu_tb_exec_cb
    __attribute__((weak));
extern decltype(qemu_plugin_register_vcpu_tb_exec_cond_cb) qemu_plugin_register_vcpu_tb_exec_cond_cb
    __attribute__((weak));
}

namespace pv::plugin {

/// The oldest version of the interface that has all of the above.
inline constexpr int oldest_api = 4;

static_assert(QEMU_PLUGIN_VERSION >= oldest_api, "qemu-plugin.h is older than QEMU 9.1");

using RegisterHandle = qemu_plugin_register*;

struct FreeByteArray {
    void operator()(GByteArray* bytes) const { g_byte_array_free(bytes, TRUE); }
};

/// Room for what QEMU reads out of a guest: one a vCPU, made once, so that reading does not allocate.
using ByteArray = std::unique_ptr<GByteArray, FreeByteArray>;

inline ByteArray make_byte_array() {
    return ByteArray{g_byte_array_sized_new(64)};
}

/// Value of a register of the vCPU that runs this callback, zero-extended; nothing when QEMU does not know
/// it. Only in a callback registered with QEMU_PLUGIN_CB_R_REGS.
inline std::optional<std::uint64_t> read_register(RegisterHandle handle, GByteArray* bytes) {
    if (handle == nullptr) {
        return std::nullopt;
    }
    g_byte_array_set_size(bytes, 0);
    static_cast<void>(qemu_plugin_read_register(handle, bytes));
    std::uint64_t value = 0;
    if (bytes->len == 0 || bytes->len > sizeof value) {
        return std::nullopt;
    }
    std::memcpy(&value, bytes->data, bytes->len);
    return value;
}

}  // namespace pv::plugin
