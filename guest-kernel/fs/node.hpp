// A node of a file system: a file, directory, link, device, pipe or socket as it is stored, shared by count.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <span>
#include <string_view>

#include "base/address.hpp"
#include "base/atomic.hpp"
#include "base/function_ref.hpp"
#include "base/ref.hpp"
#include "fs/io.hpp"
#include "fs/types.hpp"

namespace pv::fs {

class Node;
class OpenFile;
struct Location;

/// A name of at most name_max bytes, kept by value.
class Name {
  public:
    Name() = default;

    /// `text` is at most name_max bytes; what is more is cut off.
    explicit Name(std::string_view text);

    [[nodiscard]] std::string_view text() const { return {text_.data(), length_}; }

  private:
    std::array<char, name_max> text_;
    std::uint8_t length_ = 0;
};

/// What is to be made by Node::create.
struct NewNode {
    NodeType type = NodeType::regular;
    Mode mode = 0;  ///< umask applied
    UserId user = 0;
    GroupId group = 0;
    DeviceNumber special{};     ///< of a device
    std::string_view target{};  ///< of a symbolic link
};

/// One entry of a directory, as getdents64 tells it.
struct DirectoryEntry {
    std::string_view name;
    std::uint64_t number = 0;
    NodeType type = NodeType::regular;
    std::uint64_t next = 0;  ///< where to go on after this entry
};

/// Pages of a file for mappings. A mapping holds the open file it was made from and counts itself here as
/// long as any translation to these frames may exist.
class Mappable {
  public:
    /// The frame behind page `index` (offset / 4096), brought into being where the file has a hole. It stays
    /// this file's until the last mapping is dropped, also when the file is cut short. Takes spinlocks only.
    /// Errors: einval (beyond the end: the program's SIGBUS), enospc, enomem.
    [[nodiscard]] virtual Outcome<PhysicalAddress> page(std::uint64_t index) = 0;
    virtual void add_mapping() = 0;
    virtual void drop_mapping() = 0;

  protected:
    ~Mappable() = default;
};

/// Rename's wishes (renameat2(2)).
struct RenameMode {
    bool no_replace = false;
    bool exchange = false;
};

/// Permissions are not looked at here but in fs/operations.hpp and fs/path.hpp. Everything may be called by
/// several threads at once. Defaults refuse with the error Linux has for a node of another type.
class Node : public RefCounted {
  public:
    [[nodiscard]] NodeType type() const { return type_; }

    [[nodiscard]] bool is_directory() const { return type_ == NodeType::directory; }

    [[nodiscard]] bool is_symbolic_link() const { return type_ == NodeType::symbolic_link; }

    [[nodiscard]] virtual Attributes attributes() = 0;
    /// Changes what is given, and the time of the change. Errors: eperm, enosys by kinds that have none.
    [[nodiscard]] virtual Outcome<> change(const AttributeChange& change);
    [[nodiscard]] virtual FileSystemStatus file_system();

    // Directories; names are not empty, not ".", not "..", at most name_max bytes, without '/'.

    /// Errors: enoent, enotdir.
    [[nodiscard]] virtual Outcome<Ref<Node>> lookup(std::string_view name);
    /// Errors: eexist, enoent (this directory has been removed), enospc, enomem, eperm.
    [[nodiscard]] virtual Outcome<Ref<Node>> create(std::string_view name, const NewNode& what);
    /// A node without a name (O_TMPFILE); link() may give it one.
    [[nodiscard]] virtual Outcome<Ref<Node>> create_unnamed(const NewNode& what);
    /// A second name for `target`, no directory. Errors: eexist, exdev, emlink, enoent, eperm.
    [[nodiscard]] virtual Outcome<> link(std::string_view name, Node& target);
    /// Takes the name `name` from `victim`, whose name it is; a directory must be empty. The node lives on as
    /// long as somebody has it. Errors: enoent (it is another's by now), enotempty.
    [[nodiscard]] virtual Outcome<> remove(std::string_view name, Node& victim);
    /// Makes `node`, here called `from`, `to` of `directory`; what has that name (`replaced`, or nullptr)
    /// goes at the same moment. Errors: enoent and eexist (names are others' by now), einval (into itself),
    /// enotempty, enotdir, eisdir, exdev, enospc.
    [[nodiscard]] virtual Outcome<> rename(std::string_view from, Node& node, Node& directory,
                                           std::string_view to, Node* replaced, RenameMode mode);
    /// The directory this directory lies in; itself for a root and for one that was removed.
    [[nodiscard]] virtual Ref<Node> parent();
    /// What this node is called in its directory and that directory; false where it has no name any more.
    [[nodiscard]] virtual bool place(Name& name, Ref<Node>& directory);
    /// Calls `each` for the entries from `position` on (0: the first) until it returns false. "." and ".."
    /// are among them. `each` must not sleep. Entries that stay are told once, whatever others do meanwhile.
    [[nodiscard]] virtual Outcome<> list(std::uint64_t position,
                                         FunctionRef<bool(const DirectoryEntry&)> each);

    // Symbolic links.

    /// Puts the target's text into `room` and returns its length. Errors: einval (no link), enametoolong.
    [[nodiscard]] virtual Outcome<std::size_t> read_link(std::span<char> room);
    /// Where a link leads that is no text (/proc/PID/fd/N); nullptr in `node`: it is text.
    [[nodiscard]] virtual Outcome<Location> jump();

    // Contents.

    /// What open(2) of this node gives; `flags` of open_flag. Directories and regular files have a default
    /// that works through the functions here. Errors: enxio (no such device, nobody listens), eisdir...
    [[nodiscard]] virtual Outcome<Ref<OpenFile>> open(const Location& here, std::uint32_t flags);
    [[nodiscard]] virtual Outcome<std::size_t> read_at(std::uint64_t offset, Target& target);
    /// At `offset`, or at the end where `append`; `end` becomes the offset behind what was written.
    [[nodiscard]] virtual Outcome<std::size_t> write_at(std::uint64_t offset, bool append, Source& source,
                                                        std::uint64_t& end);
    /// Errors: einval, eisdir, efbig, eperm (sealed).
    [[nodiscard]] virtual Outcome<> truncate(std::uint64_t size);
    /// fallocate(2), `mode` as there. Errors: eopnotsupp, enospc, einval.
    [[nodiscard]] virtual Outcome<> allocate(std::uint32_t mode, std::uint64_t offset, std::uint64_t length);
    /// The first offset from `offset` on that is data (or a hole); the size counts as a hole. Error: enxio.
    [[nodiscard]] virtual Outcome<std::uint64_t> seek_data(std::uint64_t offset, bool hole);

    /// nullptr where it cannot be mapped.
    [[nodiscard]] virtual Mappable* mappable() { return nullptr; }

    /// Something is mounted here. Only fs/mounts.cpp changes it.
    Atomic<std::uint32_t> mounts_here{0};
    /// How many advisory locks there are on it. Only fs/file_locks.cpp changes it.
    Atomic<std::uint32_t> locks_here{0};

  protected:
    explicit Node(NodeType type) : type_(type) {}

  private:
    const NodeType type_;
};

}  // namespace pv::fs
