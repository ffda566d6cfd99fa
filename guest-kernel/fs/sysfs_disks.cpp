// What sysfs says of disks.
// SPDX-License-Identifier: MIT
#include "fs/sysfs_disks.hpp"

#include <algorithm>

#include "fs/disk_view.hpp"

namespace pv::fs {
namespace {

constexpr std::uint64_t sector = 512;

/// A file, or a directory of some, of every disk.
struct DiskEntry {
    std::string_view name;
    void (*write)(const DiskFacts& disk, Text& text) = nullptr;
    std::span<const DiskEntry> children = {};
};

template <auto value>
void write_fixed(const DiskFacts&, Text& text) {
    text.add("{}\n", value);
}

void write_block_size(const DiskFacts& disk, Text& text) {
    text.add("{}\n", disk.block_size);
}

constexpr DiskEntry queue_entries[] = {
    {"logical_block_size", write_block_size},
    {"physical_block_size", write_block_size},
    {"hw_sector_size", write_block_size},
    {"minimum_io_size", write_block_size},
    {"optimal_io_size", write_fixed<0>},
    {"rotational", write_fixed<0>},
    {"discard_granularity",
     [](const DiskFacts& disk, Text& text) {
         text.add("{}\n", disk.discard_bytes == 0 ? 0 : disk.block_size);
     }},
    {"discard_max_bytes", [](const DiskFacts& disk, Text& text) { text.add("{}\n", disk.discard_bytes); }},
    {"write_zeroes_max_bytes", [](const DiskFacts& disk, Text& text) { text.add("{}\n", disk.zero_bytes); }},
    {"write_cache", [](const DiskFacts& disk,
                       Text& text) { text.append(disk.write_cache ? "write back\n" : "write through\n"); }},
};

constexpr DiskEntry disk_entries[] = {
    {"dev",
     [](const DiskFacts& disk, Text& text) { text.add("{}:{}\n", disk.number.major, disk.number.minor); }},
    {"size", [](const DiskFacts& disk, Text& text) { text.add("{}\n", disk.bytes / sector); }},
    {"ro", [](const DiskFacts& disk, Text& text) { text.add("{}\n", disk.read_only ? 1 : 0); }},
    {"removable", write_fixed<0>},
    {"alignment_offset", write_fixed<0>},
    {"uevent",
     [](const DiskFacts& disk, Text& text) {
         text.add("MAJOR={}\nMINOR={}\nDEVNAME={}\nDEVTYPE=disk\n", disk.number.major, disk.number.minor,
                  disk.name.text());
     }},
    {.name = "queue", .children = queue_entries},
};

SyntheticIdentity below(const SyntheticIdentity& above, std::string_view name, Mode mode) {
    SyntheticIdentity own = above;
    own.number = number_below(above.number, name);
    own.mode = mode;
    return own;
}

class DiskText final : public TextNode {
  public:
    DiskText(const SyntheticIdentity& identity, std::size_t disk, const DiskEntry& entry)
        : TextNode(identity), disk_(disk), entry_(entry) {}

    Outcome<> write_text(Text& text) override {
        DiskFacts facts;
        if (!tell_disk(disk_, facts)) {
            return fail(Errno::enodev);
        }
        entry_.write(facts, text);
        return {};
    }

  private:
    std::size_t disk_;
    const DiskEntry& entry_;
};

/// One disk's, or a part of that.
class DiskDirectory final : public SyntheticDirectory {
  public:
    DiskDirectory(const SyntheticIdentity& identity, std::size_t disk, std::span<const DiskEntry> entries)
        : SyntheticDirectory(identity), disk_(disk), entries_(entries) {}

  protected:
    Outcome<Ref<SyntheticNode>> find(std::string_view name) override {
        const auto entry = std::ranges::find(entries_, name, &DiskEntry::name);
        if (entry == entries_.end()) {
            return fail(Errno::enoent);
        }
        if (!entry->children.empty()) {
            return make_synthetic<DiskDirectory>(below(identity(), name, 0555), disk_, entry->children);
        }
        return make_synthetic<DiskText>(below(identity(), name, 0444), disk_, *entry);
    }

    bool next(std::uint64_t from, Found& found) override {
        if (from >= entries_.size()) {
            return false;
        }
        const DiskEntry& entry = entries_[from];
        found = {Name(entry.name), number_below(identity().number, entry.name),
                 entry.children.empty() ? NodeType::regular : NodeType::directory, from};
        return true;
    }

  private:
    std::size_t disk_;
    std::span<const DiskEntry> entries_;
};

enum class Listing : std::uint8_t { directories, links, numbers };

class DiskList final : public SyntheticDirectory {
  public:
    DiskList(const SyntheticIdentity& identity, Listing listing)
        : SyntheticDirectory(identity), listing_(listing) {}

  protected:
    Outcome<Ref<SyntheticNode>> find(std::string_view name) override {
        DiskFacts facts;
        for (std::size_t i = 0; tell_disk(i, facts); ++i) {
            if (name_of(facts).text() != name) {
                continue;
            }
            if (listing_ == Listing::directories) {
                return make_synthetic<DiskDirectory>(below(identity(), name, 0555), i, disk_entries);
            }
            std::array<char, name_max> room;
            return make_synthetic<TextLink>(below(identity(), name, 0777),
                                            format::to(room, "../../block/{}", facts.name.text()));
        }
        return fail(Errno::enoent);
    }

    bool next(std::uint64_t from, Found& found) override {
        DiskFacts facts;
        if (!tell_disk(from, facts)) {
            return false;
        }
        const Name name = name_of(facts);
        found = {name, number_below(identity().number, name.text()),
                 listing_ == Listing::directories ? NodeType::directory : NodeType::symbolic_link, from};
        return true;
    }

  private:
    [[nodiscard]] Name name_of(const DiskFacts& facts) const {
        if (listing_ != Listing::numbers) {
            return facts.name;
        }
        std::array<char, 24> room;
        return Name(format::to(room, "{}:{}", facts.number.major, facts.number.minor));
    }

    Listing listing_;
};

}  // namespace

Outcome<Ref<SyntheticNode>> make_disk_list(const SyntheticIdentity& own, const StaticEntry&) {
    return make_synthetic<DiskList>(own, Listing::directories);
}

Outcome<Ref<SyntheticNode>> make_disk_links(const SyntheticIdentity& own, const StaticEntry&) {
    return make_synthetic<DiskList>(own, Listing::links);
}

Outcome<Ref<SyntheticNode>> make_disk_numbers(const SyntheticIdentity& own, const StaticEntry&) {
    return make_synthetic<DiskList>(own, Listing::numbers);
}

}  // namespace pv::fs
