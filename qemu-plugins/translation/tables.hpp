// The page tables a guest uses, as they stood when they were last looked at: found from their roots, kept by
// reference counts, changed entry by entry as the guest stores into them.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "translation/entry.hpp"
#include "translation/frame_set.hpp"
#include "translation/memory.hpp"

namespace pv::translation {

/// One use of a table: the linear address its first entry stands for, and at which level it is used. A table
/// shared by address spaces has one; a recursive mapping gives it more.
struct Place {
    std::uint64_t base = 0;
    unsigned level = 0;

    bool operator==(const Place&) const = default;
};

struct Table {
    std::uint64_t frame = 0;
    std::uint32_t references = 0;  ///< entries of followed tables that lead here, and one when it is a root
    bool is_known = true;          ///< false: it was written while nobody used it; read it again before use
    std::vector<Place> places;     ///< the first is where it was found
    std::array<std::uint64_t, entries_count> entries{};
};

/// Not for several threads at once; `frames()` may be asked by any.
class Tables {
  public:
    /// At most `most` tables are kept. `marks` gets mark_table for the frame of each.
    Tables(const Memory& memory, std::shared_ptr<FrameMarks> marks, std::size_t most);

    /// Follows everything under `root` and keeps it until drop_root. A root kept already is read again where
    /// something of any unused table was written since.
    void keep_root(std::uint64_t root, unsigned top_level);
    void drop_root(std::uint64_t root);

    [[nodiscard]] bool has_root(std::uint64_t root) const { return roots_.contains(root); }

    [[nodiscard]] std::size_t size() const { return tables_.size(); }

    /// The table at that frame, while it is followed.
    [[nodiscard]] Table* find(std::uint64_t frame);
    [[nodiscard]] const Table* find(std::uint64_t frame) const;

    /// The entry as it stands in guest memory.
    [[nodiscard]] std::uint64_t read_entry(const Table& table, unsigned index) const;

    /// Level at which the table at that frame was found; 0 while it is not followed.
    [[nodiscard]] unsigned level_at(std::uint64_t frame) const;

    /// Takes over one entry: what it led to is let go, what it leads to is followed.
    void replace(Table& table, unsigned index, std::uint64_t entry, unsigned top_level);

    /// A table that no processor uses was written: its memory serves something else now, or will be read
    /// again.
    void forget_contents(Table& table);

    /// How a walk from `root` comes to `level`: the table there, and what the entries above allow. Nothing
    /// when it ends before.
    struct Way {
        const Table* table = nullptr;
        Rights rights{};
    };

    [[nodiscard]] std::optional<Way> way(std::uint64_t root, unsigned top_level, unsigned level,
                                         std::uint64_t linear) const;

    /// What the tables give as last looked at. Nothing when the way leads through a table that is not
    /// followed.
    [[nodiscard]] std::optional<Translation> walk(std::uint64_t root, unsigned top_level,
                                                  std::uint64_t linear) const;
    /// What they give at this moment, read from guest memory.
    [[nodiscard]] Translation walk_memory(std::uint64_t root, unsigned top_level, std::uint64_t linear,
                                          Rights rights = {}) const;

    using Visit =
        std::function<bool(std::uint64_t linear, unsigned level, std::uint64_t entry, Rights upper)>;

    /// Calls `visit` for each present page below `table` (used at `place`) until it returns false; returns
    /// whether it never did.
    bool for_each_page(const Table& table, Place place, unsigned top_level, Rights upper,
                       const Visit& visit) const;

    /// Frames of all tables followed, for the path of every store.
    [[nodiscard]] const FrameSet& frames() const { return frames_; }

    /// Tables that there was no room for, and places beyond those that are kept for a table.
    [[nodiscard]] std::uint64_t skipped() const { return skipped_; }

  private:
    static constexpr std::size_t most_places = 8;

    Table* acquire(std::uint64_t frame, Place place, unsigned top_level);
    void read(Table& table, unsigned top_level);
    void add_place(Table& table, Place place, unsigned top_level);
    void acquire_child(Table& table, unsigned index, unsigned top_level);
    void release(std::uint64_t frame);
    void release_child(const Table& table, std::uint64_t entry);
    void release_children(Table& table);
    static unsigned level_of(const Table& table);

    const Memory& memory_;
    std::size_t most_;
    FrameSet frames_;
    std::unordered_map<std::uint64_t, std::unique_ptr<Table>> tables_;

    struct Root {
        unsigned top_level = 0;
        std::uint64_t writes = 0;  ///< value of unused_writes_ when it was read last
    };

    std::unordered_map<std::uint64_t, Root> roots_;
    std::uint64_t unused_writes_ = 0;  ///< how often a table that nobody used was written
    std::uint64_t skipped_ = 0;
};

}  // namespace pv::translation
