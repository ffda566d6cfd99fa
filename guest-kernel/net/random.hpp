// Numbers nobody outside can foretell: ports, transaction ids, first sequence numbers.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/chacha20.hpp"
#include "base/function_ref.hpp"
#include "base/result.hpp"

namespace pv::net {

/// ChaCha20's block function (RFC 8439, 2.3) under a key of its own, which each block replaces: what was
/// given out cannot be found from what is in memory later. Not synchronised.
class Random {
  public:
    using Key = ChaCha20Key;

    explicit Random(const Key& key) : key_{key} {}

    [[nodiscard]] std::uint32_t next();

  private:
    static constexpr std::size_t words = 16;

    Key key_;
    std::array<std::uint32_t, words> block_{};
    std::size_t used_ = words;
};

using pv::chacha20_block;

struct Seed {
    Random::Key key{};
    bool sound = false;  ///< the source gave a key's worth that nobody outside can foretell
};

/// From `take`, which fills what it is given as random::take does, or refuses; the time stamp counter, at
/// moments that vary, is mixed in either way.
[[nodiscard]] Seed gather_seed(FunctionRef<Result<>(std::span<std::byte>)> take);

}  // namespace pv::net
