// Open files on their way through AF_UNIX sockets, and the collection of those nobody can reach any more.
// SPDX-License-Identifier: MIT
#pragma once

#include "fs/unix_socket.hpp"

namespace pv::fs {

/// Held while a message with open files enters or leaves a queue: the collector then sees each of them either
/// in a queue and counted, or with an owner outside of all queues.
[[nodiscard]] task::SpinLock& transfer_lock();

/// In the list of all sockets, from birth to end.
void enlist_unix_socket(UnixSocket& socket);
void retire_unix_socket(UnixSocket& socket);

// With the lock held.

/// The files of a message enter a queue, or leave one.
void begin_flight(const Ancillary& ancillary);
void end_flight(const Ancillary& ancillary);

// Without it.

/// Ends the flights of messages that are out of their queue, then the messages.
void drop_messages(UnixMessages& messages);

/// Frees sockets that only messages hold which themselves wait in such sockets: two that were sent through
/// one another, or one through itself.
void collect_unreachable_sockets();
/// The same once twice as many are in flight as the last time left: what is not collected yet is never more
/// than what is in use, and looking costs little for each that is sent.
void collect_when_worthwhile();

}  // namespace pv::fs
