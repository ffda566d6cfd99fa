// tmpfs: directories, and all that changes names. One lock a file system guards the whole tree.
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <new>

#include "fs/path.hpp"
#include "fs/tmpfs_node.hpp"

namespace pv::fs::tmpfs {

EntryOwner Entry::create(std::string_view name) {
    const std::size_t bytes = std::max(offsetof(Entry, text) + name.size(), sizeof(void*));
    void* memory = ::operator new(bytes, std::nothrow);
    if (memory == nullptr) {
        return nullptr;
    }
    // The array's end is not there: the members before it are made, and the name is copied.
    auto* entry = static_cast<Entry*>(memory);
    std::construct_at(&entry->by_name);
    std::construct_at(&entry->by_position);
    std::construct_at(&entry->of_node);
    entry->directory = nullptr;
    entry->node = nullptr;
    entry->position = 0;
    entry->length = static_cast<std::uint8_t>(name.size());
    std::copy_n(name.begin(), name.size(), entry->text.data());
    return EntryOwner(entry);
}

Outcome<Ref<Directory>> Directory::make(Ref<FileSystem> fs, const NewNode& what) {
    auto directory = Ref<Directory>::adopt(new (std::nothrow) Directory(fs, what));
    if (!directory) {
        fs->give_back_node();
        return fail(Errno::enomem);
    }
    directory->kept_.links = 1;  // its own "."
    return directory;
}

Outcome<Ref<Directory>> Directory::make_root(Ref<FileSystem> fs, const NewNode& what) {
    auto root = PV_TRY(make(std::move(fs), what));
    root->is_root_ = true;
    root->kept_.links = 2;
    return root;
}

Directory::~Directory() {
    while (true) {
        EntryOwner entry;
        {
            const task::SpinGuard guard(fs().tree);
            if (by_name_.empty()) {
                return;
            }
            entry = take(*by_name_.begin());
        }
        entry->node->drop_owner();
    }
}

Entry* Directory::find(std::string_view name) {
    const auto found = by_name_.find(name);
    return found == by_name_.end() ? nullptr : &*found;
}

void Directory::touch() {
    kept_.modified = kept_.changed = wall_time();
}

Outcome<> Directory::insert(EntryOwner owner, Ref<TmpNode> node) {
    if (is_removed_) {
        return fail(Errno::enoent);
    }
    if (find(owner->name()) != nullptr) {
        return fail(Errno::eexist);
    }
    Entry& entry = *owner.release();
    entry.directory = this;
    entry.position = next_position_++;
    entry.node = node.release();
    by_name_.insert(entry);
    by_position_.insert(by_position_.end(), entry);
    entry.node->names_.push_front(entry);
    ++entry.node->kept_.links;
    entry.node->kept_.changed = wall_time();
    if (entry.node->is_directory()) {
        static_cast<Directory*>(entry.node)->parent_ = this;
        ++kept_.links;
    }
    touch();
    return {};
}

EntryOwner Directory::take(Entry& entry) {
    by_name_.erase(by_name_.iterator_to(entry));
    by_position_.erase(by_position_.iterator_to(entry));
    TmpNode& node = *entry.node;
    node.names_.erase(node.names_.iterator_to(entry));
    --node.kept_.links;
    node.kept_.changed = wall_time();
    if (node.is_directory()) {
        auto& directory = static_cast<Directory&>(node);
        directory.parent_ = nullptr;
        --kept_.links;
    }
    touch();
    return EntryOwner(&entry);
}

Outcome<Ref<Node>> Directory::lookup(std::string_view name) {
    const task::SpinGuard guard(fs().tree);
    const Entry* entry = find(name);
    if (entry == nullptr) {
        return fail(Errno::enoent);
    }
    return Ref<Node>(*entry->node);
}

Outcome<Ref<Node>> Directory::create(std::string_view name, const NewNode& what) {
    EntryOwner entry = Entry::create(name);
    if (entry == nullptr) {
        return fail(Errno::enomem);
    }
    Ref<TmpNode> node = PV_TRY(create_node(Ref<FileSystem>(fs()), what));
    Ref<Node> made = node;
    const task::SpinGuard guard(fs().tree);
    // Where it fails, `made` holds the node until the lock is let go: it is destroyed after the guard.
    const Outcome<> inserted = insert(std::move(entry), node);
    if (!inserted) {
        return fail(inserted.error());
    }
    return made;
}

Outcome<Ref<Node>> Directory::create_unnamed(const NewNode& what) {
    return Ref<Node>(PV_TRY(create_node(Ref<FileSystem>(fs()), what)));
}

Outcome<> Directory::link(std::string_view name, Node& target) {
    if (target.is_directory()) {
        return fail(Errno::eperm);
    }
    EntryOwner entry = Entry::create(name);
    if (entry == nullptr) {
        return fail(Errno::enomem);
    }
    const Ref<TmpNode> node(static_cast<TmpNode&>(target));
    const task::SpinGuard guard(fs().tree);
    return insert(std::move(entry), node);
}

Outcome<> Directory::remove(std::string_view name, Node& victim) {
    EntryOwner entry;
    {
        const task::SpinGuard guard(fs().tree);
        Entry* found = find(name);
        if (found == nullptr || found->node != &victim) {
            return fail(Errno::enoent);
        }
        if (victim.is_directory()) {
            auto& directory = static_cast<Directory&>(victim);
            if (!directory.by_name_.empty()) {
                return fail(Errno::enotempty);
            }
            directory.is_removed_ = true;
            --directory.kept_.links;  // its "."
        }
        entry = take(*found);
    }
    entry->node->drop_owner();
    return {};
}

bool Directory::lies_in(const Directory* directory, const TmpNode& node) {
    while (directory != nullptr && directory != &node) {
        directory = directory->parent_;
    }
    return directory != nullptr;
}

Outcome<> Directory::exchange(Entry& a, Entry& b) {
    Directory& first = *a.directory;
    Directory& second = *b.directory;
    if ((a.node->is_directory() && lies_in(&second, *a.node)) ||
        (b.node->is_directory() && lies_in(&first, *b.node))) {
        return fail(Errno::einval);
    }
    const auto settle = [](Entry& entry, bool was_directory) {
        entry.node->names_.push_front(entry);
        entry.node->kept_.changed = wall_time();
        const bool is_directory = entry.node->is_directory();
        if (is_directory) {
            static_cast<Directory*>(entry.node)->parent_ = entry.directory;
        }
        entry.directory->kept_.links += is_directory ? 1 : 0;
        entry.directory->kept_.links -= was_directory ? 1 : 0;
        entry.directory->touch();
    };
    const bool a_was = a.node->is_directory();
    const bool b_was = b.node->is_directory();
    a.node->names_.erase(a.node->names_.iterator_to(a));
    b.node->names_.erase(b.node->names_.iterator_to(b));
    std::swap(a.node, b.node);
    settle(a, a_was);
    settle(b, b_was);
    count_directory_move();
    return {};
}

Outcome<> Directory::rename(std::string_view from, Node& node, Node& to_node, std::string_view to,
                            Node* replaced, RenameMode mode) {
    auto& target = static_cast<Directory&>(to_node);
    EntryOwner fresh = Entry::create(to);
    if (fresh == nullptr) {
        return fail(Errno::enomem);
    }
    EntryOwner old;
    EntryOwner gone;
    {
        const task::SpinGuard guard(fs().tree);
        Entry* source = find(from);
        if (source == nullptr || source->node != &node || target.is_removed_) {
            return fail(Errno::enoent);
        }
        Entry* there = target.find(to);
        if ((there == nullptr ? nullptr : there->node) != replaced) {
            return fail(replaced == nullptr ? Errno::eexist : Errno::enoent);
        }
        if (there != nullptr && mode.no_replace) {
            return fail(Errno::eexist);
        }
        if (replaced == &node) {
            return {};  // two names of one file: nothing happens (rename(2))
        }
        if (mode.exchange) {
            return there == nullptr ? Outcome<>(fail(Errno::enoent)) : exchange(*source, *there);
        }
        if (node.is_directory() && lies_in(&target, *source->node)) {
            return fail(Errno::einval);
        }
        if (there != nullptr) {
            if (replaced->is_directory() && lies_in(this, *there->node)) {
                return fail(Errno::enotempty);  // above what moves: it is not looked at any further
            }
            if (node.is_directory() && !replaced->is_directory()) {
                return fail(Errno::enotdir);
            }
            if (!node.is_directory() && replaced->is_directory()) {
                return fail(Errno::eisdir);
            }
            if (replaced->is_directory()) {
                auto& directory = static_cast<Directory&>(*replaced);
                if (!directory.by_name_.empty()) {
                    return fail(Errno::enotempty);
                }
                directory.is_removed_ = true;
                --directory.kept_.links;
            }
            gone = target.take(*there);
        }
        old = take(*source);
        // The name is free and the directory is there: this cannot fail.
        const Outcome<> inserted = target.insert(std::move(fresh), Ref<TmpNode>::adopt(old->node));
        PV_ASSERT(inserted.has_value());
        if (node.is_directory() && &target != this) {
            count_directory_move();
        }
    }
    if (gone != nullptr) {
        gone->node->drop_owner();
    }
    return {};
}

Ref<Node> Directory::parent() {
    const task::SpinGuard guard(fs().tree);
    if (parent_ == nullptr || !parent_->try_add_owner()) {
        return Ref<Node>(*this);
    }
    return Ref<Node>::adopt(parent_);
}

Outcome<> Directory::list(std::uint64_t position, FunctionRef<bool(const DirectoryEntry&)> each) {
    const Timestamp time = wall_time();
    const task::SpinGuard guard(fs().tree);
    kept_.accessed = time;
    if (position == 0) {
        if (!each({.name = ".", .number = kept_.number, .type = NodeType::directory, .next = 1})) {
            return {};
        }
        position = 1;
    }
    if (position == 1) {
        const std::uint64_t above = parent_ == nullptr ? kept_.number : parent_->kept_.number;
        if (!each({.name = "..", .number = above, .type = NodeType::directory, .next = 2})) {
            return {};
        }
        position = 2;
    }
    for (auto at = by_position_.upper_bound(position); at != by_position_.end(); ++at) {
        if (!each({.name = at->name(),
                   .number = at->node->kept_.number,
                   .type = at->node->type(),
                   .next = at->position})) {
            break;
        }
    }
    return {};
}

}  // namespace pv::fs::tmpfs
