// tmpfs from the inside: nodes, names and the file system they share.
// SPDX-License-Identifier: MIT
#pragma once

#include <boost/intrusive/list.hpp>
#include <boost/intrusive/set.hpp>

#include <memory>

#include "base/atomic.hpp"
#include "base/vector.hpp"
#include "fs/node.hpp"
#include "fs/page_tree.hpp"
#include "fs/pipe.hpp"
#include "fs/tmpfs.hpp"
#include "task/lock.hpp"

namespace pv::fs::tmpfs {

class FileSystem;
class TmpNode;
class Directory;

using Normal = boost::intrusive::link_mode<boost::intrusive::normal_link>;

/// One name in one directory. Guarded by the file system's tree lock.
struct Entry {
    using Hook = boost::intrusive::set_member_hook<Normal>;

    Hook by_name;
    Hook by_position;
    boost::intrusive::list_member_hook<Normal> of_node;
    Directory* directory = nullptr;
    TmpNode* node = nullptr;  ///< owned
    std::uint64_t position = 0;
    std::uint8_t length = 0;
    std::array<char, name_max> text;  ///< allocated as far as it is needed only

    [[nodiscard]] std::string_view name() const { return {text.data(), length}; }

    struct Delete {
        void operator()(Entry* entry) const { ::operator delete(entry); }
    };

    /// Without a node yet. nullptr: no memory.
    static std::unique_ptr<Entry, Delete> create(std::string_view name);
};

using EntryOwner = std::unique_ptr<Entry, Entry::Delete>;

struct NameOf {
    using type = std::string_view;

    type operator()(const Entry& entry) const { return entry.name(); }
};

struct PositionOf {
    using type = std::uint64_t;

    type operator()(const Entry& entry) const { return entry.position; }
};

using ByName =
    boost::intrusive::set<Entry, boost::intrusive::member_hook<Entry, Entry::Hook, &Entry::by_name>,
                          boost::intrusive::key_of_value<NameOf>>;
using ByPosition =
    boost::intrusive::set<Entry, boost::intrusive::member_hook<Entry, Entry::Hook, &Entry::by_position>,
                          boost::intrusive::key_of_value<PositionOf>>;
using OfNode = boost::intrusive::list<
    Entry, boost::intrusive::member_hook<Entry, boost::intrusive::list_member_hook<Normal>, &Entry::of_node>,
    boost::intrusive::constant_time_size<false>>;

/// What all nodes share.
class FileSystem final : public RefCounted {
  public:
    explicit FileSystem(const TmpfsLimits& limits);

    /// Error: enospc. What was taken is given back.
    [[nodiscard]] Outcome<> take_pages(std::uint64_t count);

    void give_back_pages(std::uint64_t count);

    /// More can never be here, whatever is removed.
    [[nodiscard]] std::uint64_t most_pages() const;

    [[nodiscard]] Outcome<> take_node();

    void give_back_node() { nodes_.fetch_sub(1, std::memory_order_relaxed); }

    [[nodiscard]] std::uint64_t next_number() { return number_.fetch_add(1, std::memory_order_relaxed); }

    [[nodiscard]] std::uint64_t device() const { return device_; }

    [[nodiscard]] FileSystemStatus status() const;

    /// Ends nodes one after the other: a deep tree is no deep recursion.
    void bury(TmpNode& node);

    task::SpinLock tree{task::Rank::file_tree};

  private:
    const TmpfsLimits limits_;
    const std::uint64_t device_;
    Atomic<std::uint64_t> pages_{0};
    Atomic<std::uint64_t> nodes_{0};
    Atomic<std::uint64_t> number_{1};
    TmpNode* doomed_ = nullptr;  ///< guarded by tree
    bool is_burying_ = false;
};

/// A node of any type; what is in it is its subclasses'.
class TmpNode : public Node {
  public:
    ~TmpNode() override;

    Attributes attributes() override;
    Outcome<> change(const AttributeChange& change) override;

    FileSystemStatus file_system() override { return fs_->status(); }

    bool place(Name& name, Ref<Node>& directory) override;

    [[nodiscard]] FileSystem& fs() const { return *fs_; }

  protected:
    TmpNode(Ref<FileSystem> fs, const NewNode& what);

    void end_of_life() override;

    /// Size and blocks; the tree lock is held.
    virtual void measure(Attributes&) {}

    // Guarded by the tree lock.
    Attributes kept_;
    OfNode names_;
    TmpNode* next_doomed_ = nullptr;

    friend class Directory;
    friend class FileSystem;

  private:
    Ref<FileSystem> fs_;
};

class Directory final : public TmpNode {
  public:
    static Outcome<Ref<Directory>> make(Ref<FileSystem> fs, const NewNode& what);
    static Outcome<Ref<Directory>> make_root(Ref<FileSystem> fs, const NewNode& what);
    ~Directory() override;

    Outcome<Ref<Node>> lookup(std::string_view name) override;
    Outcome<Ref<Node>> create(std::string_view name, const NewNode& what) override;
    Outcome<Ref<Node>> create_unnamed(const NewNode& what) override;
    Outcome<> link(std::string_view name, Node& target) override;
    Outcome<> remove(std::string_view name, Node& victim) override;
    Outcome<> rename(std::string_view from, Node& node, Node& directory, std::string_view to, Node* replaced,
                     RenameMode mode) override;
    Ref<Node> parent() override;
    Outcome<> list(std::uint64_t position, FunctionRef<bool(const DirectoryEntry&)> each) override;

  private:
    Directory(Ref<FileSystem> fs, const NewNode& what) : TmpNode(std::move(fs), what) {}

    // The tree lock is held in all of these.
    Entry* find(std::string_view name);
    Outcome<> insert(EntryOwner entry, Ref<TmpNode> node);
    EntryOwner take(Entry& entry);
    static Outcome<> exchange(Entry& a, Entry& b);
    static bool lies_in(const Directory* directory, const TmpNode& node);
    void touch();

    Directory* parent_ = nullptr;  ///< nullptr: a root, or removed
    bool is_root_ = false;
    bool is_removed_ = false;
    ByName by_name_;
    ByPosition by_position_;
    std::uint64_t next_position_ = 3;  ///< 1 and 2 are "." and ".."
};

class Link final : public TmpNode {
  public:
    static Outcome<Ref<Link>> make(Ref<FileSystem> fs, const NewNode& what);
    Outcome<std::size_t> read_link(std::span<char> room) override;

  private:
    Link(Ref<FileSystem> fs, const NewNode& what) : TmpNode(std::move(fs), what) {}

    std::unique_ptr<char[]> text_;
    std::size_t length_ = 0;
};

/// Devices, fifos, sockets.
class Special final : public TmpNode {
  public:
    static Outcome<Ref<Special>> make(Ref<FileSystem> fs, const NewNode& what);
    Outcome<Ref<OpenFile>> open(const Location& here, std::uint32_t flags) override;

  private:
    Special(Ref<FileSystem> fs, const NewNode& what) : TmpNode(std::move(fs), what) {}

    Ref<Pipe> pipe_;  ///< of a fifo
};

class File final : public TmpNode, public Mappable {
  public:
    static Outcome<Ref<File>> make(Ref<FileSystem> fs, const NewNode& what);
    ~File() override;

    Outcome<std::size_t> read_at(std::uint64_t offset, Target& target) override;
    Outcome<std::size_t> write_at(std::uint64_t offset, bool append, Source& source,
                                  std::uint64_t& end) override;
    Outcome<> truncate(std::uint64_t size) override;
    Outcome<> allocate(std::uint32_t mode, std::uint64_t offset, std::uint64_t length) override;
    Outcome<std::uint64_t> seek_data(std::uint64_t offset, bool hole) override;

    Mappable* mappable() override { return this; }

    Outcome<PhysicalAddress> page(std::uint64_t index) override;
    void add_mapping() override;
    void drop_mapping() override;

    [[nodiscard]] std::uint32_t seals() const { return seals_.load(std::memory_order_acquire); }

    Outcome<> add_seals(std::uint32_t more);

    /// Before anybody else knows the file.
    void allow_sealing() { seals_.store(0, std::memory_order_release); }

  private:
    File(Ref<FileSystem> fs, const NewNode& what) : TmpNode(std::move(fs), what) {}

    void measure(Attributes& attributes) override;

    [[nodiscard]] std::uint64_t size() const { return size_.load(std::memory_order_acquire); }

    /// A frame for a page that has none; zeroed. A page may have come meanwhile.
    Outcome<PhysicalAddress> bring_in(std::uint64_t index);
    std::optional<PhysicalAddress> look(std::uint64_t index);
    /// Takes pages [first, end) out. Errors: enomem (frames in use could not be noted).
    Outcome<> drop_pages(std::uint64_t first, std::uint64_t end);
    void clear_part(std::uint64_t from, std::uint64_t to);
    void note_write();
    void note_read();

    task::Mutex write_lock_{task::Rank::file};  ///< one writer at a time; held for changes of the size
    task::SpinLock pages_lock_{task::Rank::file_pages};
    PageTree pages_;                  ///< guarded by pages_lock_
    Vector<PhysicalAddress> in_use_;  ///< cut off, but readers or mappings may use them still
    std::uint64_t users_ = 0;         ///< mappings, and readers and writers at work
    Atomic<std::uint64_t> size_{0};
    Atomic<std::uint32_t> seals_{seal::seal};
};

/// Any type. Errors: enospc, enomem.
Outcome<Ref<TmpNode>> create_node(Ref<FileSystem> fs, const NewNode& what);

}  // namespace pv::fs::tmpfs
