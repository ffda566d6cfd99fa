// A TLB as the manual describes it, executable and plain: every translation a processor could have cached is
// in a set, every instruction takes out what it must.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <set>
#include <tuple>
#include <vector>

#include "fake_memory.hpp"

namespace pv::translation::testing {

/// Two processors. Root A (frame 1) and root B (frame 2) have a table of their own at each level down to the
/// one that maps 2 MiB a piece (frames 5 and 6). Each of those leads, for addresses below 2 MiB, to one of
/// the last tables (frames 7 and 8), and for those from 2 MiB on both lead to frame 9, which holds global
/// pages.
struct Layout {
    static constexpr std::uint64_t root_a = 1, root_b = 2, directory_a = 5, directory_b = 6, first = 7,
                                   second = 8, shared = 9;
    static constexpr std::uint64_t page_0 = 0, page_1 = page_size, kernel_page = 0x20'0000;
};

class Specification {
  public:
    explicit Specification(const FakeMemory& memory) : memory_(memory), cpus_(2) {}

    struct Leaf {
        std::uint16_t pcid;
        std::uint64_t linear;
        std::uint64_t physical;
        bool write;
        bool global;

        auto key() const { return std::tuple{pcid, linear, physical, write, global}; }

        bool operator<(const Leaf& other) const { return key() < other.key(); }
    };

    /// An entry of a paging-structure cache: the last table for the 2 MiB around `region`.
    struct Structure {
        std::uint16_t pcid;
        std::uint64_t region;
        std::uint64_t table;
        bool write;

        auto key() const { return std::tuple{pcid, region, table, write}; }

        bool operator<(const Structure& other) const { return key() < other.key(); }
    };

    // What software does; `cpu` 0 or 1. Call fill() after each step.
    void load(unsigned cpu, std::uint64_t root, std::uint16_t pcid, bool keep);
    void invlpg(unsigned cpu, std::uint64_t linear);
    void toggle_global(unsigned cpu);
    void invpcid(unsigned cpu, unsigned type, std::uint16_t pcid, std::uint64_t linear);

    /// Every processor caches everything it may.
    void fill();

    /// Physical address and writability of everything that processor may use for the page under `pcid`
    /// although the tables no longer give it.
    [[nodiscard]] std::set<std::pair<std::uint64_t, bool>> stale(unsigned cpu, std::uint16_t pcid,
                                                                 std::uint64_t linear) const;

    /// Whether some processor may still walk that last table although no table leads it there.
    [[nodiscard]] bool is_owed(std::uint64_t table) const;

    [[nodiscard]] std::uint64_t root_of(unsigned cpu, std::uint16_t pcid) const;

  private:
    struct Cpu {
        std::uint64_t root = 0;
        std::uint16_t pcid = 0;
        std::vector<std::uint64_t> roots = std::vector<std::uint64_t>(4, 0);  ///< last one of each pcid
        std::set<Leaf> leaves;
        std::set<Structure> structures;
    };

    [[nodiscard]] std::uint64_t directory_entry(std::uint64_t root, std::uint64_t linear) const;
    void cache_leaf(Cpu& cpu, std::uint64_t linear, std::uint64_t table, bool write);

    const FakeMemory& memory_;
    std::vector<Cpu> cpus_;
};

}  // namespace pv::translation::testing
