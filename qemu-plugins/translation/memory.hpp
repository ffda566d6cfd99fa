// Guest memory as the shadow of translation reads it: page tables, entry by entry.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace pv::translation {

class Memory {
  public:
    virtual ~Memory() = default;

    /// The 512 words at `physical` (a multiple of 4 KiB) where they lie, nullptr where no RAM is. They change
    /// under the reader: read each once, with load().
    [[nodiscard]] virtual const std::uint64_t* table(std::uint64_t physical) const = 0;
};

/// An entry as it stands now. A processor may write it at the same moment.
inline std::uint64_t load(const std::uint64_t* entry) {
    return __atomic_load_n(entry, __ATOMIC_RELAXED);
}

}  // namespace pv::translation
