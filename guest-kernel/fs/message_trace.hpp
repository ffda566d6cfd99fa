// What processes say to one another: the last messages through pipes, AF_UNIX sockets, signals and futexes.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "base/atomic.hpp"
#include "fs/static_tree.hpp"

namespace pv::fs {

enum class Channel : std::uint8_t { pipe, socket, signal, futex };

/// One message, seen where it is sent or where it is received.
struct Message {
    Channel channel = Channel::pipe;
    bool is_received = false;
    int process = 0;           ///< who sends or receives; 0: the kernel
    int peer = 0;              ///< the other one, where the channel tells; 0: it does not
    std::uint64_t object = 0;  ///< number of the pipe, of the receiving socket, of the signal; a word's
                               ///< address, the process's own
    std::uint64_t amount = 0;  ///< bytes; signals; of a futex: threads woken
};

namespace detail {

extern Atomic<bool> messages_are_traced;
void keep_message(const Message& message);
void keep_own_message(Channel channel, bool is_received, std::uint64_t object, std::uint64_t amount);

}  // namespace detail

/// Whether somebody wants to know. To be asked before a message is put together: where nobody does, that is
/// all it costs.
[[nodiscard]] inline bool is_tracing_messages() {
    return detail::messages_are_traced.load(std::memory_order_relaxed);
}

/// Keeps one, and forgets the oldest for it. Any context, with any lock but of Rank::leaf or console. Called
/// before whoever receives can know of it, so that a sender's line comes first.
inline void trace_message(const Message& message) {
    if (is_tracing_messages()) {
        detail::keep_message(message);
    }
}

/// The same for the process that runs.
inline void trace_own_message(Channel channel, bool is_received, std::uint64_t object, std::uint64_t amount) {
    if (is_tracing_messages()) [[unlikely]] {
        detail::keep_own_message(channel, is_received, object, amount);
    }
}

/// /proc/paravane/messages. What is written to it: "on" (the last 1024 messages are kept), "off", or how many
/// are kept, at most 16,384; each forgets what was kept before. Read, it is a line about itself, then a line
/// a message. For user 0 alone: it tells of everybody.
extern const StaticEntry message_trace_file;

}  // namespace pv::fs
