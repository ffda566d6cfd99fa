// Directories from tables.
// SPDX-License-Identifier: MIT
#include "fs/static_tree.hpp"

#include <algorithm>

namespace pv::fs {
namespace {

NodeType type_of(const StaticEntry& entry) {
    return !entry.children.empty() || entry.make != nullptr ? NodeType::directory
           : !entry.link.empty()                            ? NodeType::symbolic_link
                                                            : NodeType::regular;
}

}  // namespace

std::uint64_t number_below(std::uint64_t number, std::string_view name) {
    // FNV-1a, 64 bits, on from the directory's number.
    std::uint64_t mixed = number ^ 0xcbf2'9ce4'8422'2325;
    for (const char c : name) {
        mixed = (mixed ^ static_cast<unsigned char>(c)) * 0x100'0000'01b3;
    }
    return mixed >> 1;
}

Outcome<Ref<SyntheticNode>> StaticDirectory::find(std::string_view name) {
    const auto entry = std::ranges::find(entries_, name, &StaticEntry::name);
    if (entry == entries_.end()) {
        return fail(Errno::enoent);
    }
    SyntheticIdentity own = identity();
    own.number = number_below(identity().number, name);
    switch (type_of(*entry)) {
        case NodeType::directory:
            own.mode = 0555;
            return entry->make != nullptr ? entry->make(own, *entry)
                                          : make_synthetic<StaticDirectory>(own, entry->children);
        case NodeType::symbolic_link:
            own.mode = 0777;
            return make_synthetic<TextLink>(own, entry->link);
        default:
            own.mode = entry->mode;
            return make_synthetic<StaticFile>(own, *entry);
    }
}

bool StaticDirectory::next(std::uint64_t from, Found& found) {
    if (from >= entries_.size()) {
        return false;
    }
    const StaticEntry& entry = entries_[from];
    found = {Name(entry.name), number_below(identity().number, entry.name), type_of(entry), from};
    return true;
}

}  // namespace pv::fs
