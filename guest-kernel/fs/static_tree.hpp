// Synthetic directories and files that are always there, from tables.
// SPDX-License-Identifier: MIT
#pragma once

#include <span>

#include "fs/synthetic.hpp"

namespace pv::fs {

/// Writes a file's text. Threads, no spinlock held.
using TextWriter = Outcome<> (*)(Text& text);

/// A file or a directory that is always there.
struct StaticEntry {
    std::string_view name;
    TextWriter write = nullptr;                  ///< of a file
    std::span<const StaticEntry> children = {};  ///< of a directory
    Mode mode = 0444;
    Outcome<> (*take)(std::string_view text) = nullptr;  ///< of a file that may be written
    std::string_view link = {};                          ///< of a symbolic link
    /// Of a directory that has more than its children: it is made here. Error: enomem.
    Outcome<Ref<SyntheticNode>> (*make)(const SyntheticIdentity& own, const StaticEntry& entry) = nullptr;
};

/// The number of the entry `name` below what has `number`: 64-bit mixes, so that no two of them meet.
[[nodiscard]] std::uint64_t number_below(std::uint64_t number, std::string_view name);

class StaticFile final : public TextNode {
  public:
    StaticFile(const SyntheticIdentity& identity, const StaticEntry& entry)
        : TextNode(identity), write_(entry.write), take_(entry.take) {}

    Outcome<> write_text(Text& text) override { return write_(text); }

    Outcome<> take_text(std::string_view text) override {
        return take_ == nullptr ? fail(Errno::eio) : take_(text);
    }

  private:
    TextWriter write_;
    Outcome<> (*take_)(std::string_view) = nullptr;
};

/// A directory of a table.
class StaticDirectory : public SyntheticDirectory {
  public:
    StaticDirectory(const SyntheticIdentity& identity, std::span<const StaticEntry> entries)
        : SyntheticDirectory(identity), entries_(entries) {}

  protected:
    Outcome<Ref<SyntheticNode>> find(std::string_view name) override;
    bool next(std::uint64_t from, Found& found) override;

    [[nodiscard]] std::size_t static_count() const { return entries_.size(); }

  private:
    std::span<const StaticEntry> entries_;
};

}  // namespace pv::fs
