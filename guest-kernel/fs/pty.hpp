// Pseudo-terminals: a terminal whose screen and keyboard are a program's (pty(7)), and devpts, where they
// have names.
// SPDX-License-Identifier: MIT
#pragma once

#include "fs/terminal.hpp"

namespace pv::fs {

/// More at a time is enospc (Linux's kernel.pty.max).
inline constexpr int pty_count_max = 4096;

/// What open(2) of /dev/ptmx gives: a new pair, of which this is the master. The other side is /dev/pts/N,
/// locked until TIOCSPTLCK. Errors: enospc, enomem.
[[nodiscard]] Outcome<Ref<OpenFile>> open_pty_master(const Location& here, std::uint32_t flags);
/// The other side of the pair `file` is the master of (TIOCGPTPEER). Errors: enotty (it is no master), eio
/// (locked), enomem.
[[nodiscard]] Outcome<Ref<OpenFile>> open_pty_peer(OpenFile& file, std::uint32_t flags);

/// devpts's root, to mount it a second time. Error: enodev (it was never mounted).
[[nodiscard]] Outcome<Ref<Node>> devpts_root();

/// Mounts devpts, of which there is one, at `at`. Once. Errors: enomem, those of mount().
[[nodiscard]] Outcome<> mount_devpts(const Location& at);

}  // namespace pv::fs
