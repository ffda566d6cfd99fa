// Which file systems are where: the tree of mounts.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <string_view>

#include "base/atomic.hpp"
#include "base/function_ref.hpp"
#include "base/ref.hpp"
#include "fs/node.hpp"
#include "fs/types.hpp"

namespace pv::fs {

struct MountFlags {
    bool read_only = false;
    bool no_set_id = false;
    bool no_devices = false;
    bool no_execute = false;
};

class Mount;

/// A node as it is reached: the same node may be reached through several mounts.
struct Location {
    Ref<Mount> mount;
    Ref<Node> node;

    friend bool operator==(const Location& a, const Location& b) {
        return a.mount == b.mount && a.node == b.node;
    }

    explicit operator bool() const { return static_cast<bool>(node); }
};

/// One mounted file system. Lives as long as somebody is in it, also after it was unmounted.
class Mount final : public RefCounted {
  public:
    /// A mount that is in no tree: the root of all, or what files without a name lie in. Error: enomem.
    /// `kind` and `source` are copied, cut to 31 bytes.
    [[nodiscard]] static Outcome<Ref<Mount>> create(Ref<Node> root, std::string_view kind,
                                                    std::string_view source, MountFlags flags);

    [[nodiscard]] Node& root() const { return *root_; }

    [[nodiscard]] MountFlags flags() const { return flags_.load(std::memory_order_relaxed); }

    [[nodiscard]] std::string_view kind() const { return {kind_.data()}; }

    [[nodiscard]] std::string_view source() const { return {source_.data()}; }

    /// Tells mounts apart, for mountinfo and statx.
    [[nodiscard]] std::uint32_t id() const { return id_; }

    /// Where it is mounted; empty for a root of all, and once it is unmounted.
    [[nodiscard]] Location point() const;

  private:
    friend struct MountTable;

    Mount() = default;
    ~Mount() override;

    void set(MountFlags flags) { flags_.store(flags, std::memory_order_relaxed); }

    Ref<Node> root_;
    Location point_;  ///< guarded by the table's lock
    Atomic<MountFlags> flags_{};
    std::array<char, 32> kind_{};
    std::array<char, 32> source_{};
    std::uint32_t id_ = 0;
    Mount* next_ = nullptr;  ///< in the table, which owns one part of each
};

/// Mounts at `at`, which must be a directory where the root is one. What was there before is hidden. Errors:
/// ebusy (a root of a mount that is the same), enotdir, enomem.
[[nodiscard]] Outcome<Ref<Mount>> mount(const Location& at, Ref<Node> root, std::string_view kind,
                                        std::string_view source, MountFlags flags);
/// Takes the mount away whose root `at` is. Errors: einval (no mount's root), ebusy (another one is mounted
/// in it).
[[nodiscard]] Outcome<> unmount(const Location& at);
/// Changes the flags of the mount whose root `at` is. Error: einval.
[[nodiscard]] Outcome<> remount(const Location& at, MountFlags flags);

/// What is seen at `at`: the root of the topmost mount there, or `at` itself.
[[nodiscard]] Location topmost(Location at);

/// All mounts in the order they were made; `each` must not sleep. False ends it.
void for_each_mount(FunctionRef<bool(Mount&)> each);

}  // namespace pv::fs
