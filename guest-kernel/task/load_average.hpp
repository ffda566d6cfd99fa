// How many threads wanted a processor lately.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>

#include "base/atomic.hpp"
#include "base/time.hpp"

namespace pv::task {

/// Averages over one, five and fifteen minutes in which what is longer ago counts less and less, as Linux and
/// before it other Unixes tell them: each five seconds the value comes nearer to what is found then. Any
/// context, any CPU.
class LoadAverage {
  public:
    static constexpr Duration interval = Duration::seconds(5);
    static constexpr unsigned fraction_bits = 16;

    /// `wanting` threads run or are ready at `time`; nothing happens where no sample is due. Called whenever
    /// some processor has its tick: intervals that nobody sampled were idle ones.
    void sample(Instant time, std::uint64_t wanting);

    /// Threads, with fraction_bits of fraction.
    [[nodiscard]] std::array<std::uint64_t, 3> values(Instant time) const;

  private:
    Atomic<std::uint64_t> due_{interval.to_nanoseconds()};  ///< since boot
    std::array<Atomic<std::uint64_t>, 3> values_{};         ///< with more bits of fraction
};

}  // namespace pv::task
