// The bodies of the calls on paths: permissions, then the node's own work.
// SPDX-License-Identifier: MIT
#pragma once

#include "fs/open_file.hpp"
#include "fs/path.hpp"

// All return the errors Linux's manual pages name for the call. `mode` has the umask applied already.
namespace pv::fs {

/// openat2(2). `flags` of open_flag; close_on_exec is the descriptor's, not looked at here.
[[nodiscard]] Outcome<Ref<OpenFile>> open(const Caller& caller, std::string_view path, std::uint32_t flags,
                                          Mode mode, ResolveMode how = {});
/// What is at a place already, as /proc/PID/fd/N or execve need it.
[[nodiscard]] Outcome<Ref<OpenFile>> open_location(const Caller& caller, const Location& location,
                                                   std::uint32_t flags);

[[nodiscard]] Outcome<> make_directory(const Caller& caller, std::string_view path, Mode mode);
/// mknod(2): regular files, fifos, sockets, devices (privileged only).
[[nodiscard]] Outcome<Location> make_node(const Caller& caller, std::string_view path, NodeType type,
                                          Mode mode, DeviceNumber special);
[[nodiscard]] Outcome<> make_symbolic_link(const Caller& caller, std::string_view target,
                                           std::string_view path);
/// link(2): a second name for `target`.
[[nodiscard]] Outcome<> make_link(const Caller& caller, const Location& target, std::string_view path);
/// unlink(2), or rmdir(2) with `directory`.
[[nodiscard]] Outcome<> remove(const Caller& caller, std::string_view path, bool directory);
/// `from_caller` and `to_caller` differ in `start` only.
[[nodiscard]] Outcome<> rename(const Caller& from_caller, std::string_view from, const Caller& to_caller,
                               std::string_view to, RenameMode mode);

/// faccessat2(2) of what was resolved; `wanted` are bits of Access, 0: existence.
[[nodiscard]] Outcome<> check_access(const Caller& caller, const Location& location, unsigned wanted);
[[nodiscard]] Outcome<> change_mode(const Caller& caller, const Location& location, Mode mode);
[[nodiscard]] Outcome<> change_owner(const Caller& caller, const Location& location,
                                     std::optional<UserId> user, std::optional<GroupId> group);
/// utimensat(2): nullopt leaves a time; `to_now`: both are "now", for which writing permission suffices.
[[nodiscard]] Outcome<> change_times(const Caller& caller, const Location& location,
                                     std::optional<Timestamp> accessed, std::optional<Timestamp> modified,
                                     bool to_now);
[[nodiscard]] Outcome<> truncate(const Caller& caller, const Location& location, std::uint64_t size);

}  // namespace pv::fs
