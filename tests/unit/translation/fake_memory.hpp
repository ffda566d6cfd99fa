// A guest's memory of a few frames, and a sink that keeps what it is told.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "translation/memory.hpp"
#include "translation/tracker.hpp"

namespace pv::translation::testing {

class FakeMemory final : public Memory {
  public:
    static constexpr std::uint64_t frames = 32;
    static constexpr std::uint64_t limit = frames * page_size;

    [[nodiscard]] const std::uint64_t* table(std::uint64_t physical) const override {
        return physical / page_size < frames ? words_[physical / page_size].data() : nullptr;
    }

    [[nodiscard]] std::uint64_t& at(std::uint64_t frame, unsigned index) { return words_[frame][index]; }

    [[nodiscard]] std::uint64_t at(std::uint64_t frame, unsigned index) const { return words_[frame][index]; }

  private:
    std::array<std::array<std::uint64_t, entries_count>, frames> words_{};
};

/// What was found, as "missed change 1 at 0x1000 holder 1".
class Findings final : public Sink {
  public:
    void change(const Change& change, std::int64_t) override { changes.push_back(change); }

    void stale_use(const Actor& actor, const Change& change, std::uint64_t linear, std::uint64_t used,
                   unsigned access) override;
    void missed(const Actor& actor, const Change& change, std::uint64_t linear, unsigned holder,
                std::uint64_t shootdown, bool structure, std::uint64_t use) override;
    void freed(const Actor& actor, const Change& change, std::uint64_t linear, unsigned holder,
               std::uint64_t physical, bool structure, std::uint64_t use) override;
    void global_kept(unsigned cpu, std::uint64_t pc, const Change& change, std::uint64_t linear,
                     std::uint64_t shootdown) override;
    void fault(const Actor& actor, trace::TableFault fault, std::uint64_t linear, std::uint64_t entry,
               unsigned level, std::uint64_t other) override;

    std::vector<Change> changes;
    std::vector<std::string> lines;
};

}  // namespace pv::translation::testing
