// Where the pages of a mapping come from: a file's pages, or memory that processes share.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "base/address.hpp"
#include "base/ref.hpp"
#include "base/result.hpp"

namespace pv::memory {

/// Asked while an address space's lock is held, on a page fault: an implementation takes no lock under which
/// anybody touches a program's memory, and does not sleep on anything a program decides.
class PageSource : public RefCounted {
  public:
    /// Whether it is a file's (linux::FileSource), for people.
    [[nodiscard]] virtual bool is_file() const { return false; }

    /// Whether it is a System V segment, which a program takes out by where it put it.
    [[nodiscard]] virtual bool is_segment() const { return false; }

    /// The frame with bytes [index * page_size, ...) of the object; beyond its last byte it is zero-filled.
    /// The caller becomes one owner more of it (memory/frame_owners.hpp). Who writes into it changes the
    /// object (MAP_SHARED); copies are the caller's business. Errors: out_of_range (beyond the object's end:
    /// SIGBUS), no_space, out_of_memory, io.
    [[nodiscard]] virtual Result<PhysicalAddress> page(std::uint64_t index) = 0;
};

}  // namespace pv::memory
