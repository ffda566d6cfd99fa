// ELF64 programs: checked whole before anything of the old program goes.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "base/errno.hpp"
#include "base/ref.hpp"
#include "fs/open_file.hpp"
#include "memory/address_space.hpp"

namespace pv::linux {

/// Where a loaded file is.
struct LoadedFile {
    std::uint64_t base = 0;     ///< added to all its addresses
    std::uint64_t entry = 0;    ///< its first instruction
    std::uint64_t headers = 0;  ///< its program headers in memory (AT_PHDR), 0 when no segment has them
    std::uint64_t header_count = 0;
    std::uint64_t begin = 0;
    std::uint64_t end = 0;              ///< of its highest segment
    bool has_executable_stack = false;  ///< it asks for one (PT_GNU_STACK)
};

/// The path in PT_INTERP, or nothing.
struct InterpreterPath {
    char text[256] = {};
    std::size_t length = 0;
};

/// Maps a program or its interpreter into `space`. `entropy` chooses where a position-independent one goes;
/// `as_interpreter`: among the mappings instead of low. A segment that is writable and executable may be
/// refused (linux/writable_code.hpp). Errors: enoexec (not this machine's ELF, contradictory headers),
/// eacces, enomem, what reading gives.
[[nodiscard]] Outcome<LoadedFile> load_elf(memory::AddressSpace& space, const Ref<fs::OpenFile>& file,
                                           std::uint64_t entropy, bool as_interpreter,
                                           InterpreterPath& interpreter);

/// Reads exactly to.size() bytes at `offset`. Error: enoexec when the file is shorter.
[[nodiscard]] Outcome<> read_exactly(fs::OpenFile& file, std::uint64_t offset, std::span<std::byte> to);

}  // namespace pv::linux
