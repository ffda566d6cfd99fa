// The table of mounts.
// SPDX-License-Identifier: MIT
#include "fs/mounts.hpp"

#include <algorithm>
#include <new>

#include "base/atomic.hpp"
#include "task/lock.hpp"

namespace pv::fs {

/// All mounts in the order they were made. Its lock also guards where each of them is.
struct MountTable {
    Mount* first = nullptr;
    Mount** last = &first;

    static Outcome<> attach(const Location& at, Mount& mount);
    static Outcome<> detach(const Location& at, Ref<Mount>& taken, Location& point);
    static Outcome<> set_flags(const Location& at, MountFlags flags);
    static Ref<Mount> topmost_on(const Location& at);
    static Location point_of(const Mount& mount);
    static void for_each(FunctionRef<bool(Mount&)> each);
};

namespace {

constinit task::Guarded<MountTable, task::Rank::mounts> table;
constinit Atomic<std::uint32_t> last_id{0};

void copy_text(std::array<char, 32>& to, std::string_view text) {
    const std::size_t length = std::min(text.size(), to.size() - 1);
    std::copy_n(text.begin(), length, to.begin());
}

}  // namespace

Outcome<> MountTable::attach(const Location& at, Mount& mount) {
    return table.with([&](MountTable& all) -> Outcome<> {
        for (const Mount* other = all.first; other != nullptr; other = other->next_) {
            // Two threads that mount at one place: the second one would hide the first.
            if (other->point_ == at) {
                return fail(Errno::ebusy);
            }
        }
        mount.point_ = at;
        at.node->mounts_here.fetch_add(1, std::memory_order_release);
        mount.add_owner();
        *all.last = &mount;
        all.last = &mount.next_;
        return {};
    });
}

Outcome<> MountTable::detach(const Location& at, Ref<Mount>& taken, Location& point) {
    return table.with([&](MountTable& all) -> Outcome<> {
        Mount** link = &all.first;
        while (*link != nullptr && *link != at.mount.get()) {
            link = &(*link)->next_;
        }
        if (*link == nullptr || &(*link)->root() != at.node.get()) {
            return fail(Errno::einval);
        }
        for (const Mount* other = all.first; other != nullptr; other = other->next_) {
            if (other->point_.mount == at.mount) {
                return fail(Errno::ebusy);
            }
        }
        Mount* mount = *link;
        *link = mount->next_;
        if (all.last == &mount->next_) {
            all.last = link;
        }
        mount->next_ = nullptr;
        point = std::exchange(mount->point_, Location{});
        point.node->mounts_here.fetch_sub(1, std::memory_order_release);
        taken = Ref<Mount>::adopt(mount);
        return {};
    });
}

Outcome<> MountTable::set_flags(const Location& at, MountFlags flags) {
    if (!at.mount || &at.mount->root() != at.node.get()) {
        return fail(Errno::einval);
    }
    at.mount->set(flags);
    return {};
}

Ref<Mount> MountTable::topmost_on(const Location& at) {
    return table.with([&](MountTable& all) {
        for (Mount* mount = all.first; mount != nullptr; mount = mount->next_) {
            if (mount->point_ == at) {
                return Ref<Mount>(*mount);
            }
        }
        return Ref<Mount>();
    });
}

Location MountTable::point_of(const Mount& mount) {
    return table.with([&](MountTable&) { return mount.point_; });
}

void MountTable::for_each(FunctionRef<bool(Mount&)> each) {
    table.with([&](MountTable& all) {
        for (Mount* mount = all.first; mount != nullptr; mount = mount->next_) {
            if (!each(*mount)) {
                return;
            }
        }
    });
}

Outcome<Ref<Mount>> Mount::create(Ref<Node> root, std::string_view kind, std::string_view source,
                                  MountFlags flags) {
    Ref<Mount> mount = Ref<Mount>::adopt(new (std::nothrow) Mount);
    if (!mount) {
        return fail(Errno::enomem);
    }
    mount->root_ = std::move(root);
    mount->set(flags);
    mount->id_ = last_id.fetch_add(1, std::memory_order_relaxed) + 1;
    copy_text(mount->kind_, kind);
    copy_text(mount->source_, source);
    return mount;
}

Mount::~Mount() = default;

Location Mount::point() const {
    return MountTable::point_of(*this);
}

Outcome<Ref<Mount>> mount(const Location& at, Ref<Node> root, std::string_view kind, std::string_view source,
                          MountFlags flags) {
    if (at.node->is_directory() != root->is_directory()) {
        return fail(Errno::enotdir);
    }
    Ref<Mount> made = PV_TRY(Mount::create(std::move(root), kind, source, flags));
    PV_TRY(MountTable::attach(topmost(at), *made));
    return made;
}

Outcome<> unmount(const Location& at) {
    Ref<Mount> mount;  // let go of without the lock: it may be the last owner
    Location point;
    return MountTable::detach(at, mount, point);
}

Outcome<> remount(const Location& at, MountFlags flags) {
    return MountTable::set_flags(at, flags);
}

Location topmost(Location at) {
    while (at.node->mounts_here.load(std::memory_order_acquire) != 0) {
        Ref<Mount> mount = MountTable::topmost_on(at);
        if (!mount) {
            break;
        }
        Ref<Node> root(mount->root());
        at = Location{std::move(mount), std::move(root)};
    }
    return at;
}

void for_each_mount(FunctionRef<bool(Mount&)> each) {
    MountTable::for_each(each);
}

}  // namespace pv::fs
