// Addresses as function names, and the chain of callers.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/format.hpp"

namespace pv::arch {

/// `name+0x12/0x34 (address)` of a code address, as text.
class Symbolised {
  public:
    explicit Symbolised(std::uint64_t address);

    [[nodiscard]] std::string_view text() const { return {buffer_.data(), length_}; }

  private:
    std::array<char, 224> buffer_{};
    std::size_t length_ = 0;
};

inline std::string_view format_argument(const Symbolised& symbolised) {
    return symbolised.text();
}

struct SymbolName {
    std::string_view name;
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
};

/// The function around `address`; an empty name when it is not in the kernel's text.
[[nodiscard]] SymbolName find_symbol(std::uint64_t address);

/// The return address of a function interrupted at `rip` before it set up a frame of its own, or that sets up
/// none (a jump through a null pointer counts): 0 when its frame is there. `rsp`: the interrupted stack
/// pointer.
[[nodiscard]] std::uint64_t frameless_caller(std::uint64_t rip, std::uint64_t rsp);

/// The return addresses of `first`, unless it is 0, and of the callers of the frame at `frame_pointer`, into
/// `out`; how many. Reads only what is mapped; stops at a loop or at nonsense. Any context.
std::size_t collect_back_trace(std::uint64_t first, std::uint64_t frame_pointer,
                               std::span<std::uint64_t> out);

/// Writes them to the console, one a line. `urgent` as log::console_write.
void print_frames(std::span<const std::uint64_t> return_addresses, bool urgent);

/// Writes `first`, unless it is 0, and the callers of the frame at `frame_pointer`, one a line, to the
/// console. Reads only what is mapped; stops at 64 frames, at a loop or at nonsense.
void print_back_trace(std::uint64_t first, std::uint64_t frame_pointer);

}  // namespace pv::arch
