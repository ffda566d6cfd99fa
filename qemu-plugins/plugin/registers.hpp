// The guest's registers by the names QEMU gives them.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "plugin/instruction.hpp"
#include "plugin/qemu_api.hpp"

namespace pv::plugin {

/// Handles are the same for every vCPU of a machine. A register QEMU does not have stays nullptr: reading it
/// then fails, and is counted.
class Registers {
  public:
    /// In a vCPU's context (its init callback).
    void find();

    /// A marker's argument, 0 to 5.
    [[nodiscard]] RegisterHandle argument(std::size_t index) const;

    /// In the encoding's order: rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, ...
    [[nodiscard]] RegisterHandle general(std::size_t number) const { return general_[number & 15]; }

    /// cr0, cr3 and cr4; nullptr for others.
    [[nodiscard]] RegisterHandle control(std::size_t number) const { return control_[number & 15]; }

    [[nodiscard]] static constexpr bool is_watched(std::size_t control_number) {
        return control_number == 0 || control_number == 3 || control_number == 4;
    }

    /// What an effective address needs; `next` is the following instruction's address.
    [[nodiscard]] std::optional<Context> context(std::uint64_t next, GByteArray* bytes) const;

    /// IA32_EFER.LMA: the processor is in long mode. Nothing when it cannot be read.
    [[nodiscard]] std::optional<bool> is_long_mode(GByteArray* bytes) const;

  private:
    std::array<RegisterHandle, 16> general_{};
    std::array<RegisterHandle, 16> control_{};
    RegisterHandle efer_ = nullptr, fs_base_ = nullptr, gs_base_ = nullptr;
};

}  // namespace pv::plugin
