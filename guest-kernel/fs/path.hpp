// From a path to a node: resolution within a root, which nothing in a path leads out of.
// SPDX-License-Identifier: MIT
#pragma once

#include "base/atomic.hpp"
#include "fs/mounts.hpp"
#include "fs/types.hpp"
#include "task/lock.hpp"

namespace pv::fs {

/// Where a process stands. Threads made with CLONE_FS share one.
class Context final : public RefCounted {
  public:
    [[nodiscard]] static Outcome<Ref<Context>> create(Location root, Location current, Mode umask);
    [[nodiscard]] Outcome<Ref<Context>> duplicate() const;

    struct Places {
        Location root;
        Location current;
    };

    [[nodiscard]] Places places() const;
    [[nodiscard]] Location root() const;
    [[nodiscard]] Location current() const;
    void set_root(Location root);
    void set_current(Location current);

    [[nodiscard]] Mode umask() const { return umask_.load(std::memory_order_relaxed); }

    /// Returns the one before.
    Mode set_umask(Mode mask) { return umask_.exchange(mask & 0777, std::memory_order_relaxed); }

  private:
    Context() = default;

    mutable task::Guarded<Places, task::Rank::context> places_;
    Atomic<Mode> umask_{022};
};

/// On whose behalf, and from where, paths are resolved. A view for the length of a call.
struct Caller {
    const Credentials& who;
    const Location& root;
    const Location&
        start;  ///< for paths that do not begin with '/': current directory, or an `*at` descriptor's
};

struct ResolveMode {
    bool follow_last = true;      ///< the last component's symbolic link is followed
    bool want_directory = false;  ///< O_DIRECTORY, or the call names a directory
    bool no_links = false;        ///< RESOLVE_NO_SYMLINKS: eloop
    bool no_jumps = false;   ///< RESOLVE_NO_MAGICLINKS: eloop for a link of /proc that leads to what it names
    bool no_mounts = false;  ///< RESOLVE_NO_XDEV: exdev
    bool beneath = false;    ///< RESOLVE_BENEATH: exdev for what leaves `start`
    bool in_root = false;    ///< RESOLVE_IN_ROOT: `start` is the root
};

/// The node a path names. Search permission is asked of every directory on the way. Errors: enoent, enotdir,
/// eacces, eloop, enametoolong, enomem. Nothing outside `caller.root` is ever reached by '/', ".." or a
/// symbolic link, whoever renames directories meanwhile: ".." of a directory that is not (any more) below the
/// root is enoent.
[[nodiscard]] Outcome<Location> resolve(const Caller& caller, std::string_view path, ResolveMode mode = {});

/// A name and the directory it is in, for calls that make, remove or rename; what has the name may be
/// missing.
struct NamedPlace {
    Location directory;
    Name name;       ///< empty where the path ends in ".", ".." or is "/"
    Location found;  ///< what has the name now; empty when nothing does; never followed
    enum class Last : std::uint8_t { name, dot, dot_dot, root } last = Last::name;
    bool trailing_slash = false;
};

/// As resolve, but for the last component, which need not exist and is not followed; with `follow_last` a
/// link there is followed to the place it names (O_CREAT).
[[nodiscard]] Outcome<NamedPlace> resolve_place(const Caller& caller, std::string_view path,
                                                ResolveMode mode = {.follow_last = false});

/// How often a directory has moved to another place, in any file system. Each move counts itself under the
/// lock under which Node::parent looks: whoever saw some links before the move and some after it sees the
/// count change between two looks around.
[[nodiscard]] std::uint64_t directory_moves();
void count_directory_move();

/// The absolute path of `location` below `root` as getcwd and /proc/PID/fd tell it, put at the end of `room`.
/// "(unreachable)" comes before it when it does not lie below root; " (deleted)" after it when it has no name
/// any more. Error: erange (no room).
[[nodiscard]] Outcome<std::string_view> path_of(const Location& location, const Location& root,
                                                std::span<char> room);

/// Whether `who` may do all of `wanted` (bits of Access) to what has these attributes.
[[nodiscard]] bool may(const Credentials& who, const Attributes& attributes, unsigned wanted);

}  // namespace pv::fs
