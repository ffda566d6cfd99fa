// tmpfs: what its nodes have in common, links, special nodes, files without a name.
// SPDX-License-Identifier: MIT
#include "fs/tmpfs.hpp"

#include <linux/magic.h>

#include <algorithm>
#include <new>

#include "base/atomic.hpp"
#include "fs/devices.hpp"
#include "fs/tmpfs_node.hpp"
#include "memory/frames.hpp"

namespace pv::fs {
namespace tmpfs {
namespace {

// Minor numbers of file systems without a disk; major 0, as Linux numbers them.
constinit Atomic<std::uint32_t> next_device{1};

constinit Atomic<std::uint64_t> all_pages{0};

}  // namespace

FileSystem::FileSystem(const TmpfsLimits& limits)
    : limits_(limits),
      device_(DeviceNumber{0, next_device.fetch_add(1, std::memory_order_relaxed)}.encoded()) {}

Outcome<> FileSystem::take_pages(std::uint64_t count) {
    all_pages.fetch_add(count, std::memory_order_relaxed);
    const std::uint64_t before = pages_.fetch_add(count, std::memory_order_relaxed);
    if (before + count > limits_.pages || before + count < before) {
        give_back_pages(count);
        return fail(Errno::enospc);
    }
    return {};
}

std::uint64_t FileSystem::most_pages() const {
    return std::min(limits_.pages, memory::frame_statistics().total);
}

void FileSystem::give_back_pages(std::uint64_t count) {
    all_pages.fetch_sub(count, std::memory_order_relaxed);
    pages_.fetch_sub(count, std::memory_order_relaxed);
}

Outcome<> FileSystem::take_node() {
    if (nodes_.fetch_add(1, std::memory_order_relaxed) >= limits_.nodes) {
        give_back_node();
        return fail(Errno::enospc);
    }
    return {};
}

FileSystemStatus FileSystem::status() const {
    const memory::FrameStatistics frames = memory::frame_statistics();
    const std::uint64_t pages = pages_.load(std::memory_order_relaxed);
    const std::uint64_t nodes = nodes_.load(std::memory_order_relaxed);
    FileSystemStatus status{.type = TMPFS_MAGIC};
    status.blocks = std::min(limits_.pages, pages + frames.free);
    status.blocks_free = status.blocks - std::min(pages, status.blocks);
    status.nodes = std::min(limits_.nodes, nodes + frames.free);
    status.nodes_free = status.nodes - std::min(nodes, status.nodes);
    return status;
}

void FileSystem::bury(TmpNode& node) {
    // Held until the end: the nodes hold it no more then.
    const Ref<FileSystem> keep(*this);
    {
        const task::SpinGuard guard(tree);
        node.next_doomed_ = doomed_;
        doomed_ = &node;
        if (is_burying_) {
            return;
        }
        is_burying_ = true;
    }
    while (true) {
        TmpNode* next = nullptr;
        {
            const task::SpinGuard guard(tree);
            next = doomed_;
            if (next == nullptr) {
                is_burying_ = false;
                return;
            }
            doomed_ = next->next_doomed_;
        }
        delete next;
    }
}

TmpNode::TmpNode(Ref<FileSystem> fs, const NewNode& what) : Node(what.type), fs_(std::move(fs)) {
    const Timestamp time = wall_time();
    kept_ = {.type = what.type,
             .mode = what.mode,
             .number = fs_->next_number(),
             .device = fs_->device(),
             .links = 0,
             .user = what.user,
             .group = what.group,
             .special = what.special,
             .accessed = time,
             .modified = time,
             .changed = time,
             .born = time};
}

TmpNode::~TmpNode() {
    fs_->give_back_node();
}

void TmpNode::end_of_life() {
    fs_->bury(*this);
}

Attributes TmpNode::attributes() {
    const task::SpinGuard guard(fs_->tree);
    Attributes result = kept_;
    measure(result);
    return result;
}

Outcome<> TmpNode::change(const AttributeChange& change) {
    const Timestamp time = wall_time();
    const task::SpinGuard guard(fs_->tree);
    kept_.mode = change.mode.value_or(kept_.mode);
    kept_.user = change.user.value_or(kept_.user);
    kept_.group = change.group.value_or(kept_.group);
    kept_.accessed = change.accessed.value_or(kept_.accessed);
    kept_.modified = change.modified.value_or(kept_.modified);
    kept_.changed = time;
    return {};
}

bool TmpNode::place(Name& name, Ref<Node>& directory) {
    const task::SpinGuard guard(fs_->tree);
    if (names_.empty()) {
        return false;
    }
    const Entry& entry = names_.front();
    if (!entry.directory->try_add_owner()) {
        return false;
    }
    name = Name(entry.name());
    // What `directory` had goes after the lock: it is empty, or of the caller, who holds another part.
    directory = Ref<Node>::adopt(entry.directory);
    return true;
}

Outcome<Ref<Link>> Link::make(Ref<FileSystem> fs, const NewNode& what) {
    if (what.target.empty()) {
        return fail(Errno::enoent);
    }
    if (what.target.size() >= path_max) {
        return fail(Errno::enametoolong);
    }
    NewNode with_mode = what;
    with_mode.mode = 0777;
    auto link = Ref<Link>::adopt(new (std::nothrow) Link(fs, with_mode));
    if (!link) {
        fs->give_back_node();
        return fail(Errno::enomem);
    }
    link->text_.reset(new (std::nothrow) char[what.target.size()]);
    if (link->text_ == nullptr) {
        return fail(Errno::enomem);
    }
    std::ranges::copy(what.target, link->text_.get());
    link->length_ = what.target.size();
    link->kept_.size = link->length_;
    return link;
}

Outcome<std::size_t> Link::read_link(std::span<char> room) {
    const std::size_t length = std::min(room.size(), length_);
    std::copy_n(text_.get(), length, room.begin());
    return length;
}

Outcome<Ref<Special>> Special::make(Ref<FileSystem> fs, const NewNode& what) {
    auto node = Ref<Special>::adopt(new (std::nothrow) Special(fs, what));
    if (!node) {
        fs->give_back_node();
        return fail(Errno::enomem);
    }
    if (what.type == NodeType::fifo) {
        node->pipe_ = PV_TRY(Pipe::create());
    }
    return node;
}

Outcome<Ref<OpenFile>> Special::open(const Location& here, std::uint32_t flags) {
    switch (type()) {
        case NodeType::fifo:
            return open_fifo(here, flags, pipe_);
        case NodeType::character_device:
        case NodeType::block_device:
            return open_device(here, type(), kept_.special, flags);
        default:
            return fail(Errno::enxio);
    }
}

Outcome<Ref<TmpNode>> create_node(Ref<FileSystem> fs, const NewNode& what) {
    PV_TRY(fs->take_node());  // given back by the node's end, or by a create() that makes none
    switch (what.type) {
        case NodeType::directory:
            return Ref<TmpNode>(PV_TRY(Directory::make(std::move(fs), what)));
        case NodeType::regular:
            return Ref<TmpNode>(PV_TRY(File::make(std::move(fs), what)));
        case NodeType::symbolic_link: {
            if (what.target.empty() || what.target.size() >= path_max) {
                fs->give_back_node();
            }
            return Ref<TmpNode>(PV_TRY(Link::make(std::move(fs), what)));
        }
        default:
            return Ref<TmpNode>(PV_TRY(Special::make(std::move(fs), what)));
    }
}

namespace {

class MemoryFile final : public OpenFile {
  public:
    MemoryFile(Ref<Node> node, std::string_view name)
        : OpenFile(Location{nullptr, std::move(node)}, open_flag::read_write, Flow::seekable), name_(name) {}

    Outcome<> sync() override { return {}; }

    std::string_view label(std::span<char> room) const override {
        constexpr std::string_view before = "/memfd:";
        constexpr std::string_view after = " (deleted)";
        const std::string_view name = name_.text();
        if (room.size() < before.size() + name.size() + after.size()) {
            return {};
        }
        auto at = std::ranges::copy(before, room.begin()).out;
        at = std::ranges::copy(name, at).out;
        at = std::ranges::copy(after, at).out;
        return {room.data(), static_cast<std::size_t>(at - room.begin())};
    }

  private:
    Name name_;
};

namespace {

// Where all of them are: one file system, made with the first and kept.
Outcome<Ref<FileSystem>> memory_files() {
    static constinit Atomic<FileSystem*> kept{nullptr};
    FileSystem* found = kept.load(std::memory_order_acquire);
    if (found == nullptr) {
        auto fresh = Ref<FileSystem>::adopt(new (std::nothrow) FileSystem({}));
        if (!fresh) {
            return fail(Errno::enomem);
        }
        if (kept.compare_exchange_strong(found, fresh.get(), std::memory_order_acq_rel)) {
            return Ref<FileSystem>(*fresh.release());
        }
    }
    return Ref<FileSystem>(*found);
}

}  // namespace

Outcome<Ref<OpenFile>> create_memory_file(std::string_view name, bool allow_sealing) {
    Ref<FileSystem> fs = PV_TRY(memory_files());
    Ref<TmpNode> node = PV_TRY(create_node(fs, {.type = NodeType::regular, .mode = 0777}));
    if (allow_sealing) {
        static_cast<File&>(*node).allow_sealing();
    }
    auto file = Ref<OpenFile>::adopt(new (std::nothrow) MemoryFile(std::move(node), name));
    if (!file) {
        return fail(Errno::enomem);
    }
    return file;
}

File* file_of(OpenFile& file) {
    Node* node = file.node();
    if (node == nullptr || node->type() != NodeType::regular || node->file_system().type != TMPFS_MAGIC) {
        return nullptr;
    }
    return static_cast<File*>(node);
}

}  // namespace
}  // namespace tmpfs

std::uint64_t tmpfs_pages() {
    return tmpfs::all_pages.load(std::memory_order_relaxed);
}

TmpfsLimits usual_limits() {
    const std::uint64_t half = memory::frame_statistics().total / 2;
    return {.pages = half, .nodes = half};
}

Outcome<Ref<Node>> create_tmpfs(const TmpfsLimits& limits) {
    auto fs = Ref<tmpfs::FileSystem>::adopt(new (std::nothrow) tmpfs::FileSystem(limits));
    if (!fs) {
        return fail(Errno::enomem);
    }
    const NewNode root{
        .type = NodeType::directory, .mode = limits.root_mode, .user = limits.user, .group = limits.group};
    PV_TRY(fs->take_node());
    return Ref<Node>(PV_TRY(tmpfs::Directory::make_root(std::move(fs), root)));
}

Outcome<Ref<OpenFile>> create_memfd(std::string_view name, bool allow_sealing) {
    return tmpfs::create_memory_file(name, allow_sealing);
}

Outcome<std::uint32_t> seals(OpenFile& file) {
    const tmpfs::File* found = tmpfs::file_of(file);
    if (found == nullptr) {
        return fail(Errno::einval);
    }
    return found->seals();
}

Outcome<> add_seals(OpenFile& file, std::uint32_t more) {
    tmpfs::File* found = tmpfs::file_of(file);
    if (found == nullptr || (more & ~seal::all) != 0) {
        return fail(Errno::einval);
    }
    if (!is_writable(file.flags())) {
        return fail(Errno::eperm);
    }
    return found->add_seals(more);
}

}  // namespace pv::fs
