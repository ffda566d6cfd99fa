// The last messages between processes: a ring that is there while somebody wants it.
// SPDX-License-Identifier: MIT
#include "fs/message_trace.hpp"

#include <algorithm>
#include <charconv>
#include <memory>
#include <new>
#include <utility>

#include "base/atomic.hpp"
#include "base/time.hpp"
#include "fs/process_view.hpp"
#include "task/lock.hpp"

namespace pv::fs {
namespace {

constexpr std::size_t room_usual = 1024;
constexpr std::size_t room_max = 16384;

struct Kept {
    Instant when;
    Message message;
};

struct Trace {
    Kept* ring = nullptr;  ///< owned; a variable that is never ended has no owner's type
    std::size_t room = 0;
    std::uint64_t told = 0;  ///< since it was switched on; the last `room` of them are kept

    [[nodiscard]] std::uint64_t oldest() const { return told - std::min<std::uint64_t>(told, room); }
};

constinit task::Guarded<Trace, task::Rank::leaf> trace{};

// 0: none. Error: enomem.
Outcome<> set_room(std::size_t room) {
    std::unique_ptr<Kept[]> ring;
    if (room != 0) {
        ring.reset(new (std::nothrow) Kept[room]);
        if (ring == nullptr) {
            return fail(Errno::enomem);
        }
    }
    trace.with([&](Trace& now) {
        Kept* const before = std::exchange(now.ring, ring.release());
        ring.reset(before);
        now.room = room;
        now.told = 0;
        detail::messages_are_traced.store(room != 0, std::memory_order_relaxed);
    });
    return {};  // what was kept goes here, without the lock
}

Outcome<> take_setting(std::string_view text) {
    while (text.ends_with('\n') || text.ends_with(' ')) {
        text.remove_suffix(1);
    }
    if (text == "on") {
        return set_room(room_usual);
    }
    if (text == "off") {
        return set_room(0);
    }
    std::size_t room = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), room);
    if (error != std::errc() || end != text.data() + text.size() || room > room_max) {
        return fail(Errno::einval);
    }
    return set_room(room);
}

std::string_view name_of(Channel channel) {
    switch (channel) {
        case Channel::pipe:
            return "pipe";
        case Channel::socket:
            return "socket";
        case Channel::signal:
            return "signal";
        case Channel::futex:
            return "futex";
    }
    return "unknown";
}

void add_line(Text& text, const Kept& kept) {
    const Message& message = kept.message;
    const std::uint64_t time = kept.when.since_boot().to_microseconds();
    text.add("{}.{:06} {} {} ", time / 1'000'000, time % 1'000'000, message.process,
             message.is_received ? "receives" : "sends");
    if (message.peer != 0) {
        text.add("{}", message.peer);
    } else {
        text.append("-");
    }
    if (message.channel == Channel::futex) {
        text.add(" {}:[{:#x}] {}\n", name_of(message.channel), message.object, message.amount);
    } else {
        text.add(" {}:[{}] {}\n", name_of(message.channel), message.object, message.amount);
    }
}

Outcome<> write_messages(Text& text) {
    // The text grows without the lock: a few at a time, up to what had been told when it began.
    std::array<Kept, 16> some;
    std::size_t room = 0;
    std::uint64_t next = 0;
    const std::uint64_t end = trace.with([&](const Trace& now) {
        room = now.room;
        next = now.oldest();
        return now.told;
    });
    if (room == 0) {
        text.append("off\n");
        return {};
    }
    text.add("on: {} messages, the last {} kept, room for {}; time process does peer object amount\n", end,
             end - next, room);
    while (true) {
        const std::size_t count = trace.with([&](const Trace& now) {
            next = std::max(next, now.oldest());
            std::size_t taken = 0;
            while (taken < some.size() && next < std::min(end, now.told)) {
                some[taken++] = now.ring[next++ % now.room];
            }
            return taken;
        });
        if (count == 0) {
            return {};
        }
        for (const Kept& kept : std::span(some).first(count)) {
            add_line(text, kept);
        }
    }
}

}  // namespace

namespace detail {

constinit Atomic<bool> messages_are_traced{false};

void keep_message(const Message& message) {
    trace.with([&](Trace& now) {
        if (now.room != 0) {
            now.ring[now.told++ % now.room] = {pv::now(), message};
        }
    });
}

void keep_own_message(Channel channel, bool is_received, std::uint64_t object, std::uint64_t amount) {
    keep_message({channel, is_received, process_view().own_process(), 0, object, amount});
}

}  // namespace detail

constinit const StaticEntry message_trace_file{
    .name = "messages", .write = write_messages, .mode = 0600, .take = take_setting};

}  // namespace pv::fs
