// Data that says where it belongs: every word depends on the run, the block and its place in it.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

namespace pv::exercise {

struct Pattern {
    std::uint64_t seed = 0;  ///< differs for each run, disk, thread and round

    /// The word number `index` of the disk (8 bytes each). A mix of 64 bits (the finaliser of MurmurHash3).
    [[nodiscard]] constexpr std::uint64_t word(std::uint64_t index) const {
        std::uint64_t x = seed ^ (index * 0x9e3779b97f4a7c15ULL);
        x = (x ^ x >> 33) * 0xff51afd7ed558ccdULL;
        return x ^ x >> 33;
    }

    /// Fills `data`, whose first byte is byte `at` of the disk. Both are multiples of 8.
    void fill(std::span<std::byte> data, std::uint64_t at) const {
        for (std::size_t i = 0; i + 8 <= data.size(); i += 8) {
            const std::uint64_t value = word((at + i) / 8);
            std::memcpy(data.data() + i, &value, 8);
        }
    }

    /// Offset in `data` of the first word that is not what fill() would have put there.
    [[nodiscard]] std::optional<std::size_t> mismatch(std::span<const std::byte> data,
                                                      std::uint64_t at) const {
        for (std::size_t i = 0; i + 8 <= data.size(); i += 8) {
            std::uint64_t value = 0;
            std::memcpy(&value, data.data() + i, 8);
            if (value != word((at + i) / 8)) {
                return i;
            }
        }
        return std::nullopt;
    }
};

}  // namespace pv::exercise
