// The entropy pool: what sources give is mixed in with credit, and nothing is given out before there is
// enough.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/chacha20.hpp"
#include "base/result.hpp"

namespace pv::random {

/// ChaCha20 under a key of its own, which every output replaces: what was given out cannot be found from what
/// is in memory later. Mixing in never makes it worse, whatever a source gives. Not synchronised.
class Pool {
  public:
    /// Credit, in bits, from which on bytes are given out: a key's worth.
    static constexpr std::uint64_t seed_bits = 256;

    /// Mixes `data` in. `credit`: bits of it that nobody outside can foretell, as its source is believed.
    void add(std::span<const std::byte> data, std::uint64_t credit);

    /// Credit so far; it is not used up.
    [[nodiscard]] std::uint64_t credit() const { return credit_; }

    [[nodiscard]] bool seeded() const { return credit_ >= seed_bits; }

    /// Fills `out`. Error: busy while it is not seeded; `out` is then as it was.
    [[nodiscard]] Result<> take(std::span<std::byte> out);

  private:
    ChaCha20Key key_{};
    std::uint64_t credit_ = 0;
};

/// The kernel's pool. Any context but NMI.
void add(std::span<const std::byte> data, std::uint64_t credit);
[[nodiscard]] std::uint64_t credit();
/// Error: busy while it is not seeded.
[[nodiscard]] Result<> take(std::span<std::byte> out);

/// Mixes in what the processor's generator gives, with credit for what it gave: nothing where there is none.
void add_from_processor();

}  // namespace pv::random
