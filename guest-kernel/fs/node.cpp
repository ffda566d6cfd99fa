// What a node refuses unless its kind can do it.
// SPDX-License-Identifier: MIT
#include "fs/node.hpp"

#include <algorithm>

#include "fs/open_file.hpp"

namespace pv::fs {

Name::Name(std::string_view text) : length_(static_cast<std::uint8_t>(std::min(text.size(), name_max))) {
    std::copy_n(text.begin(), length_, text_.begin());
}

Outcome<> Node::change(const AttributeChange&) {
    return fail(Errno::eperm);
}

FileSystemStatus Node::file_system() {
    return {};
}

Outcome<Ref<Node>> Node::lookup(std::string_view) {
    return fail(is_directory() ? Errno::enoent : Errno::enotdir);
}

Outcome<Ref<Node>> Node::create(std::string_view, const NewNode&) {
    return fail(is_directory() ? Errno::eperm : Errno::enotdir);
}

Outcome<Ref<Node>> Node::create_unnamed(const NewNode&) {
    return fail(Errno::eopnotsupp);
}

Outcome<> Node::link(std::string_view, Node&) {
    return fail(is_directory() ? Errno::eperm : Errno::enotdir);
}

Outcome<> Node::remove(std::string_view, Node&) {
    return fail(is_directory() ? Errno::eperm : Errno::enotdir);
}

Outcome<> Node::rename(std::string_view, Node&, Node&, std::string_view, Node*, RenameMode) {
    return fail(is_directory() ? Errno::eperm : Errno::enotdir);
}

Ref<Node> Node::parent() {
    return Ref<Node>(*this);
}

bool Node::place(Name&, Ref<Node>&) {
    return false;
}

Outcome<> Node::list(std::uint64_t, FunctionRef<bool(const DirectoryEntry&)>) {
    return fail(Errno::enotdir);
}

Outcome<std::size_t> Node::read_link(std::span<char>) {
    return fail(Errno::einval);
}

Outcome<Location> Node::jump() {
    return Location{};
}

Outcome<Ref<OpenFile>> Node::open(const Location& here, std::uint32_t flags) {
    switch (type_) {
        case NodeType::regular:
        case NodeType::directory:
            return open_plain(here, flags);
        case NodeType::symbolic_link:
            return fail(Errno::eloop);
        default:
            return fail(Errno::enxio);
    }
}

Outcome<std::size_t> Node::read_at(std::uint64_t, Target&) {
    return fail(is_directory() ? Errno::eisdir : Errno::einval);
}

Outcome<std::size_t> Node::write_at(std::uint64_t, bool, Source&, std::uint64_t&) {
    return fail(is_directory() ? Errno::eisdir : Errno::einval);
}

Outcome<> Node::truncate(std::uint64_t) {
    return fail(is_directory() ? Errno::eisdir : Errno::einval);
}

Outcome<> Node::allocate(std::uint32_t, std::uint64_t, std::uint64_t) {
    return fail(is_directory() ? Errno::eisdir : Errno::eopnotsupp);
}

Outcome<std::uint64_t> Node::seek_data(std::uint64_t offset, bool hole) {
    // All of it is data, and a hole begins at its end.
    const std::uint64_t size = attributes().size;
    if (offset >= size) {
        return fail(Errno::enxio);
    }
    return hole ? size : offset;
}

}  // namespace pv::fs
