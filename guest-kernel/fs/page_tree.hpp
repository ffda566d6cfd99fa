// Which frame holds which page of a file: a tree of tables with 512 places each, as deep as the file is long.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/address.hpp"
#include "base/errno.hpp"

namespace pv::fs {

/// Holds addresses, owns the tables and not the frames. Not synchronised. Empty when it is destroyed.
class PageTree {
  public:
    /// More pages than a file of 2^63 bytes has.
    static constexpr std::uint64_t index_end = std::uint64_t{1} << 54;

    PageTree() = default;
    PageTree(const PageTree&) = delete;
    PageTree& operator=(const PageTree&) = delete;
    ~PageTree();

    /// The frame of page `index`; nothing for a hole.
    [[nodiscard]] std::optional<PhysicalAddress> find(std::uint64_t index) const;
    /// `index` is below index_end and a hole. Errors: enomem; efbig (beyond index_end).
    [[nodiscard]] Outcome<> insert(std::uint64_t index, PhysicalAddress frame);
    /// Takes the frame out; nothing where there is a hole. Its tables go when they are empty.
    std::optional<PhysicalAddress> remove(std::uint64_t index);

    /// The first page at or behind `index` that has a frame; index_end when there is none.
    [[nodiscard]] std::uint64_t next_present(std::uint64_t index) const;

    [[nodiscard]] std::uint64_t count() const { return count_; }

  private:
    static constexpr unsigned level_bits = 9;
    static constexpr unsigned places = 1U << level_bits;
    static constexpr unsigned height_max = 6;

    struct Table {
        std::array<std::uint64_t, places> entries{};  ///< tables below, or frames; 0: nothing
    };

    static Table* table_at(std::uint64_t entry);
    static std::uint64_t make_table();
    static bool is_empty(const Table& table);
    [[nodiscard]] std::uint64_t search(std::uint64_t entry, unsigned height, std::uint64_t base,
                                       std::uint64_t index) const;

    /// How many pages a tree of this height reaches.
    static constexpr std::uint64_t reach(unsigned height) {
        return std::uint64_t{1} << (height * level_bits);
    }

    static unsigned place_in(std::uint64_t index, unsigned height);

    std::uint64_t root_ = 0;  ///< of height 0: the frame of page 0 itself
    unsigned height_ = 0;
    std::uint64_t count_ = 0;
};

}  // namespace pv::fs
