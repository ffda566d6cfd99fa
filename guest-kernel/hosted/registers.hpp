// Registers whose accesses have effects at once, for models of devices: what mmio::Window reads and writes on
// a host.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

namespace pv::hosted {

/// A model of a device. Called on the accessing thread, for each access; synchronises itself.
class Registers {
  public:
    [[nodiscard]] virtual std::uint64_t read_register(std::size_t offset, unsigned width) = 0;
    virtual void write_register(std::size_t offset, unsigned width, std::uint64_t value) = 0;

  protected:
    ~Registers() = default;
};

/// From now on accesses to [base, base + length) are `model`'s; nullptr: they are memory again.
void model_registers(const volatile std::byte* base, std::size_t length, Registers* model);

struct ModelledRegister {
    Registers* model;
    std::size_t offset;
};

/// Whose register this is; nothing for plain memory.
[[nodiscard]] std::optional<ModelledRegister> modelled_register(const volatile std::byte* address);

}  // namespace pv::hosted
