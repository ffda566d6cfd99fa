// sysfs: processors and disks.
// SPDX-License-Identifier: MIT
#include "fs/sysfs.hpp"

#include <linux/magic.h>

#include "arch/processor.hpp"
#include "fs/static_tree.hpp"
#include "fs/sysfs_disks.hpp"

namespace pv::fs {
namespace {

Outcome<> write_range(Text& text, unsigned count) {
    text.append("0");
    if (count > 1) {
        text.add("-{}", count - 1);
    }
    text.append("\n");
    return {};
}

Outcome<> write_online(Text& text) {
    return write_range(text, arch::cpu_count());
}

Outcome<> write_last_possible(Text& text) {
    text.add("{}\n", arch::cpus_max - 1);
    return {};
}

Outcome<> write_newline(Text& text) {
    text.append("\n");
    return {};
}

Outcome<> write_one_node(Text& text) {
    return write_range(text, 1);
}

constexpr StaticEntry cpu_entries[] = {
    {"online", write_online},   {"possible", write_online},          {"present", write_online},
    {"offline", write_newline}, {"kernel_max", write_last_possible},
};

Outcome<> write_yes(Text& text) {
    text.append("1\n");
    return {};
}

constexpr StaticEntry one_cpu_entries[] = {
    {"online", write_yes},
};

/// devices/system/cpu: beside the table, a directory for each processor.
class Processors final : public StaticDirectory {
  public:
    Processors(const SyntheticIdentity& identity, std::span<const StaticEntry> entries)
        : StaticDirectory(identity, entries) {}

  protected:
    Outcome<Ref<SyntheticNode>> find(std::string_view name) override {
        const int number = name.starts_with("cpu") ? number_of_name(name.substr(3)) : -1;
        if (number < 0 || static_cast<unsigned>(number) >= arch::cpu_count()) {
            return StaticDirectory::find(name);
        }
        SyntheticIdentity own = identity();
        own.number = number_below(identity().number, name);
        return make_synthetic<StaticDirectory>(own, one_cpu_entries);
    }

    bool next(std::uint64_t from, Found& found) override {
        if (from < static_count()) {
            return StaticDirectory::next(from, found);
        }
        const std::uint64_t number = from - static_count();
        if (number >= arch::cpu_count()) {
            return false;
        }
        std::array<char, 16> room;
        const std::string_view name = format::to(room, "cpu{}", number);
        found = {Name(name), number_below(identity().number, name), NodeType::directory, from};
        return true;
    }
};

Outcome<Ref<SyntheticNode>> make_processors(const SyntheticIdentity& own, const StaticEntry& entry) {
    return make_synthetic<Processors>(own, entry.children);
}

constexpr StaticEntry node_entries[] = {
    {"online", write_one_node},
    {"possible", write_one_node},
};

constexpr StaticEntry system_entries[] = {
    {.name = "cpu", .children = cpu_entries, .mode = 0555, .make = make_processors},
    {"node", nullptr, node_entries, 0555},
};

constexpr StaticEntry device_entries[] = {
    {"system", nullptr, system_entries, 0555},
};

constexpr StaticEntry class_entries[] = {
    {.name = "block", .mode = 0555, .make = make_disk_links},
};

constexpr StaticEntry number_entries[] = {
    {.name = "block", .mode = 0555, .make = make_disk_numbers},
};

// Where memory allows and nothing else was said (AddressSpace::bring_in_large).
Outcome<> write_large_pages_policy(Text& text) {
    text.append("[always] madvise never\n");
    return {};
}

Outcome<> write_large_page_size(Text& text) {
    text.append("2097152\n");
    return {};
}

constexpr StaticEntry large_page_entries[] = {
    {"enabled", write_large_pages_policy},
    {"hpage_pmd_size", write_large_page_size},
};

constexpr StaticEntry memory_entries[] = {
    {"transparent_hugepage", nullptr, large_page_entries, 0555},
};

constexpr StaticEntry kernel_entries[] = {
    {"mm", nullptr, memory_entries, 0555},
};

constexpr StaticEntry entries[] = {
    {"devices", nullptr, device_entries, 0555}, {.name = "block", .mode = 0555, .make = make_disk_list},
    {"class", nullptr, class_entries, 0555},    {"dev", nullptr, number_entries, 0555},
    {"kernel", nullptr, kernel_entries, 0555},
};

class Root final : public StaticDirectory {
  public:
    explicit Root(std::uint64_t device)
        : StaticDirectory({.device = device, .number = 1, .mode = 0555, .magic = SYSFS_MAGIC}, entries) {}
};

}  // namespace

Outcome<Ref<Node>> create_sysfs() {
    return Ref<Node>(PV_TRY(make_synthetic<Root>(next_anonymous_device())));
}

}  // namespace pv::fs
