// Nodes that are made up when they are looked for: what /proc, /sys and /dev/pts consist of.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>

#include "base/format.hpp"
#include "base/vector.hpp"
#include "fs/node.hpp"

namespace pv::fs {

/// A growing text. What no memory was found for is missing, and `failed()` says so.
class Text {
  public:
    template <class... Args>
    void add(format::String<std::type_identity_t<Args>...> pattern, const Args&... args) {
        std::array<char, 256> room;
        append(format::to(room, pattern, args...));
    }

    void append(std::string_view text);

    [[nodiscard]] std::string_view text() const { return {bytes_.begin(), bytes_.size()}; }

    [[nodiscard]] bool failed() const { return failed_; }

    void clear();

  private:
    Vector<char> bytes_;
    bool failed_ = false;
};

/// A number for a file system that has no disk (major 0), as st_dev shows it.
[[nodiscard]] std::uint64_t next_anonymous_device();

/// What all of them have in common. `number` tells nodes of one file system apart; two nodes of one number
/// are the same file, though they may be two objects.
struct SyntheticIdentity {
    std::uint64_t device = 0;
    std::uint64_t number = 0;
    Mode mode = 0444;
    UserId user = 0;
    GroupId group = 0;
    std::uint64_t magic = 0;  ///< of statfs(2)
};

class SyntheticNode : public Node {
  public:
    Attributes attributes() override;
    FileSystemStatus file_system() override;

    [[nodiscard]] const SyntheticIdentity& identity() const { return identity_; }

    bool place(Name& name, Ref<Node>& directory) override;

    Ref<Node> parent() override { return above_ && is_directory() ? above_ : Ref<Node>(*this); }

    /// Where it was found. Before others know of it.
    void put(std::string_view name, Node& above) {
        name_ = Name(name);
        above_ = Ref<Node>(above);
    }

  protected:
    SyntheticNode(NodeType type, const SyntheticIdentity& identity)
        : Node(type), identity_(identity), born_(wall_time()) {}

    SyntheticIdentity identity_;
    Timestamp born_;

  private:
    Name name_;
    Ref<Node> above_;  ///< of a root: empty
};

/// A directory whose entries come from `find` and `next`.
class SyntheticDirectory : public SyntheticNode {
  public:
    Outcome<Ref<Node>> lookup(std::string_view name) final;
    Outcome<> list(std::uint64_t position, FunctionRef<bool(const DirectoryEntry&)> each) final;

    /// Nothing can be made here: enoent, as Linux answers.
    Outcome<Ref<Node>> create(std::string_view, const NewNode&) final { return fail(Errno::enoent); }

  protected:
    struct Found {
        Name name;
        std::uint64_t number = 0;
        NodeType type = NodeType::regular;
        std::uint64_t position = 0;
    };

    explicit SyntheticDirectory(const SyntheticIdentity& identity)
        : SyntheticNode(NodeType::directory, identity) {}

    /// A new node for what has the name. Errors: enoent, enomem.
    [[nodiscard]] virtual Outcome<Ref<SyntheticNode>> find(std::string_view name) = 0;
    /// The first entry whose position, of the directory's own counting, is `from` or higher. False: none.
    [[nodiscard]] virtual bool next(std::uint64_t from, Found& found) = 0;
};

/// A file whose contents are written anew each time it is read from its beginning.
class TextNode : public SyntheticNode {
  public:
    Outcome<Ref<OpenFile>> open(const Location& here, std::uint32_t flags) override;

    Outcome<> truncate(std::uint64_t) override { return {}; }

    /// What a reader finds. Threads, no lock held but the open file's. Errors go to the reader.
    [[nodiscard]] virtual Outcome<> write_text(Text& text) = 0;

    /// What a program writes, at most 4096 bytes at a time. Error: eio (it is for reading).
    [[nodiscard]] virtual Outcome<> take_text(std::string_view) { return fail(Errno::eio); }

  protected:
    explicit TextNode(const SyntheticIdentity& identity) : SyntheticNode(NodeType::regular, identity) {}
};

/// A symbolic link whose text is known.
class TextLink final : public SyntheticNode {
  public:
    TextLink(const SyntheticIdentity& identity, std::string_view target)
        : SyntheticNode(NodeType::symbolic_link, identity), target_(target) {}

    Outcome<std::size_t> read_link(std::span<char> room) override;

  private:
    Name target_;  ///< at most name_max bytes
};

/// Puts a link's text into `room`. Error: enametoolong.
[[nodiscard]] Outcome<std::size_t> put_link(std::span<char> room, std::string_view text);

/// A new node for a look-up: enomem where there is no memory for it.
template <class T, class... Args>
[[nodiscard]] Outcome<Ref<SyntheticNode>> make_synthetic(Args&&... args) {
    auto* node = new (std::nothrow) T(std::forward<Args>(args)...);
    if (node == nullptr) {
        return fail(Errno::enomem);
    }
    return Ref<SyntheticNode>(Ref<T>::adopt(node));
}

/// The number a name stands for: decimal digits without a leading zero; -1 for anything else.
[[nodiscard]] int number_of_name(std::string_view name);

}  // namespace pv::fs
