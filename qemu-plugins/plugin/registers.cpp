// Names as in QEMU's description of the CPU for gdb (gdb-xml/i386-64bit.xml).
// SPDX-License-Identifier: GPL-2.0-or-later
#include "plugin/registers.hpp"

#include <algorithm>
#include <string_view>

namespace pv::plugin {
namespace {

constexpr std::array<std::string_view, 16> general_names{"rax", "rcx", "rdx", "rbx", "rsp", "rbp",
                                                         "rsi", "rdi", "r8",  "r9",  "r10", "r11",
                                                         "r12", "r13", "r14", "r15"};

/// Where rdi, rsi, rdx, rcx, r8 and r9 are among them (paravane/marker.h).
constexpr std::array<std::uint8_t, 6> argument_registers{7, 6, 2, 1, 8, 9};

constexpr std::uint64_t efer_long_mode_active = 1 << 10;  ///< SDM vol. 4, IA32_EFER.LMA

}  // namespace

void Registers::find() {
    GArray* list = qemu_plugin_get_registers();
    for (guint i = 0; i < list->len; ++i) {
        const auto& entry = g_array_index(list, qemu_plugin_reg_descriptor, i);
        if (entry.name == nullptr) {
            continue;
        }
        const std::string_view name{entry.name};
        if (const auto found = std::ranges::find(general_names, name); found != general_names.end()) {
            general_[static_cast<std::size_t>(found - general_names.begin())] = entry.handle;
        } else if (name.size() == 3 && name.starts_with("cr") && name[2] >= '0' && name[2] <= '9' &&
                   is_watched(static_cast<std::size_t>(name[2] - '0'))) {
            control_[static_cast<std::size_t>(name[2] - '0')] = entry.handle;
        } else if (name == "efer") {
            efer_ = entry.handle;
        } else if (name == "fs_base") {
            fs_base_ = entry.handle;
        } else if (name == "gs_base") {
            gs_base_ = entry.handle;
        }
    }
    g_array_free(list, TRUE);
}

RegisterHandle Registers::argument(std::size_t index) const {
    return general_[argument_registers[index]];
}

std::optional<Context> Registers::context(std::uint64_t next, GByteArray* bytes) const {
    Context context;
    context.next = next;
    for (std::size_t i = 0; i < general_.size(); ++i) {
        const auto value = read_register(general_[i], bytes);
        if (!value) {
            return std::nullopt;
        }
        context.general[i] = *value;
    }
    const auto efer = read_register(efer_, bytes);
    const auto fs_base = read_register(fs_base_, bytes);
    const auto gs_base = read_register(gs_base_, bytes);
    if (!efer || !fs_base || !gs_base) {
        return std::nullopt;
    }
    // The code segment's L bit cannot be read. A kernel that has gone to long mode runs its own code in it.
    context.long_mode = (*efer & efer_long_mode_active) != 0;
    context.fs_base = *fs_base;
    context.gs_base = *gs_base;
    return context;
}

std::optional<bool> Registers::is_long_mode(GByteArray* bytes) const {
    const auto efer = read_register(efer_, bytes);
    return efer ? std::optional{(*efer & efer_long_mode_active) != 0} : std::nullopt;
}

}  // namespace pv::plugin
