// Calls that move bytes between files without a program's memory, and that make room in them.
// SPDX-License-Identifier: MIT
#include <asm/unistd.h>
#include <fcntl.h>

#include <algorithm>
#include <array>
#include <memory>
#include <new>
#include <utility>

#include "fs/pipe.hpp"
#include "fs/poll.hpp"
#include "linux/descriptors.hpp"
#include "linux/table.hpp"

namespace pv::linux {
namespace {

constexpr std::uint64_t length_max = 0x7fff'f000;
constexpr std::size_t piece_max = 16384;
constexpr std::uint32_t splice_flags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT;

/// Where bytes are taken from or put to: at an offset of the call's own, or where the file stands.
struct Place {
    fs::OpenFile& file;
    bool has_offset = false;
    std::uint64_t offset = 0;

    Outcome<std::size_t> read(std::span<std::byte> to) {
        fs::SpanTarget target(to);
        const std::size_t count = PV_TRY(has_offset ? file.read_at(offset, target) : file.read(target));
        offset += count;
        return count;
    }

    Outcome<std::size_t> write(std::span<const std::byte> from) {
        fs::SpanSource source(from);
        const std::size_t count = PV_TRY(has_offset ? file.write_at(offset, source) : file.write(source));
        offset += count;
        return count;
    }
};

// Errors: efault, einval (negative).
Outcome<Place> place_of(fs::OpenFile& file, UserPointer<std::int64_t> offset) {
    Place place{.file = file};
    if (!offset.is_null()) {
        const std::int64_t at = PV_TRY(offset.read());
        if (at < 0) {
            return fail(Errno::einval);
        }
        place.has_offset = true;
        place.offset = static_cast<std::uint64_t>(at);
    }
    return place;
}

Outcome<> tell_offset(const Place& place, UserPointer<std::int64_t> offset) {
    return place.has_offset ? offset.write(static_cast<std::int64_t>(place.offset)) : Outcome<>();
}

Outcome<> wait_until_ready(fs::OpenFile& file, std::uint32_t wanted) {
    fs::PollEntry entry{.file = &file, .wanted = wanted};
    PV_TRY(fs::poll({&entry, 1}, Deadline::never("a program waits for readiness")));
    return {};
}

// All of it: what was taken from a pipe cannot be put back. A writer that must not wait does so even then.
Outcome<> write_all(Place& to, std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const Outcome<std::size_t> count = to.write(bytes);
        if (count) {
            bytes = bytes.subspan(*count);
            continue;
        }
        if (count.error() != Errno::eagain) {
            return fail(count.error());
        }
        PV_TRY(wait_until_ready(to.file, fs::poll_event::writable));
    }
    return {};
}

bool is_ready(fs::OpenFile& file, std::uint32_t wanted) {
    return (file.poll(nullptr) & (wanted | fs::poll_event::always)) != 0;
}

// Moves until `length` is reached, there is nothing more, or `is_once` and something was moved.
Value move_bytes(Place& from, Place& to, std::uint64_t length, bool is_once) {
    const std::unique_ptr<std::byte[]> room(new (std::nothrow) std::byte[piece_max]);
    if (room == nullptr) {
        return fail(Errno::enomem);
    }
    std::uint64_t moved = 0;
    while (moved < length) {
        const auto piece = std::span(room.get(), std::min<std::uint64_t>(piece_max, length - moved));
        const Outcome<std::size_t> got = from.read(piece);
        if (!got || *got == 0) {
            return moved != 0 || got ? Value(moved) : Value(fail(got.error()));
        }
        const Outcome<> put = write_all(to, piece.first(*got));
        if (!put) {
            return moved != 0 ? Value(moved) : Value(fail(put.error()));
        }
        moved += *got;
        if (is_once) {
            break;
        }
    }
    return moved;
}

// Whether bytes go between it and a pipe at all.
bool can_be_moved(fs::OpenFile& file) {
    const fs::NodeType type = file.attributes().type;
    return type != fs::NodeType::none && type != fs::NodeType::directory;
}

struct Ends {
    Ref<fs::OpenFile> from;
    Ref<fs::OpenFile> to;
};

// Of splice and tee. Error: ebadf.
Outcome<Ends> ends_of(Call& call, int in, int out) {
    Ref<fs::OpenFile> from = PV_TRY(get(call, in));
    Ref<fs::OpenFile> to = PV_TRY(get(call, out));
    if (!fs::is_readable(from->flags()) || !fs::is_writable(to->flags())) {
        return fail(Errno::ebadf);
    }
    return Ends{std::move(from), std::move(to)};
}

Value splice(Call& call, int in, UserPointer<std::int64_t> in_offset, int out,
             UserPointer<std::int64_t> out_offset, std::uint64_t length, std::uint32_t flags) {
    if ((flags & ~splice_flags) != 0) {
        return fail(Errno::einval);
    }
    if (length == 0) {
        return 0;
    }
    const auto [from, to] = PV_TRY(ends_of(call, in, out));
    const bool from_pipe = from->kind() == fs::FileKind::pipe;
    const bool to_pipe = to->kind() == fs::FileKind::pipe;
    if (!from_pipe && !to_pipe) {
        return fail(Errno::einval);
    }
    if ((from_pipe && !in_offset.is_null()) || (to_pipe && !out_offset.is_null())) {
        return fail(Errno::espipe);
    }
    const bool cannot_take = to_pipe ? from_pipe && fs::pipe_of(*from) == fs::pipe_of(*to)
                                     : (to->flags() & fs::open_flag::append) != 0 || !can_be_moved(*to);
    if (cannot_take) {
        return fail(Errno::einval);
    }
    Place source = PV_TRY(place_of(*from, in_offset));
    Place target = PV_TRY(place_of(*to, out_offset));
    const bool must_not_wait = (flags & SPLICE_F_NONBLOCK) != 0;
    if (must_not_wait && from_pipe && !fs::pipe_of(*from)->is_read_at_once()) {
        return fail(Errno::eagain);
    }
    // A pipe is looked at before what would be put into it: nothing is taken that nobody gets.
    if (to_pipe && (to->poll(nullptr) & fs::poll_event::error) != 0) {
        return pipe_broken(call, *to, fail(Errno::epipe));
    }
    if ((must_not_wait || to->is_nonblocking()) && !is_ready(*to, fs::poll_event::writable)) {
        return fail(Errno::eagain);
    }
    if (!can_be_moved(*from)) {
        return fail(Errno::einval);
    }
    const Value moved = move_bytes(source, target, std::min(length, length_max), true);
    if (moved) {
        PV_TRY(tell_offset(source, in_offset));
        PV_TRY(tell_offset(target, out_offset));
    }
    return pipe_broken(call, *to, moved);
}

Value tee(Call& call, int in, int out, std::uint64_t length, std::uint32_t flags) {
    if ((flags & ~splice_flags) != 0) {
        return fail(Errno::einval);
    }
    if (length == 0) {
        return 0;
    }
    const auto [from, to] = PV_TRY(ends_of(call, in, out));
    fs::Pipe* const source = fs::pipe_of(*from);
    const fs::Pipe* const target = fs::pipe_of(*to);
    if (source == nullptr || target == nullptr || source == target) {
        return fail(Errno::einval);
    }
    const bool must_not_wait =
        (flags & SPLICE_F_NONBLOCK) != 0 || from->is_nonblocking() || to->is_nonblocking();
    const std::pair<fs::OpenFile*, std::uint32_t> needed[] = {{from.get(), fs::poll_event::readable},
                                                              {to.get(), fs::poll_event::writable}};
    for (const auto& [file, wanted] : needed) {
        if (file == from.get() ? source->is_read_at_once() : is_ready(*file, wanted)) {
            continue;
        }
        if (must_not_wait) {
            return fail(Errno::eagain);
        }
        PV_TRY(wait_until_ready(*file, wanted));
    }
    if ((to->poll(nullptr) & fs::poll_event::error) != 0) {
        return pipe_broken(call, *to, fail(Errno::epipe));
    }
    const std::unique_ptr<std::byte[]> room(new (std::nothrow) std::byte[piece_max]);
    if (room == nullptr) {
        return fail(Errno::enomem);
    }
    fs::SpanTarget copied(std::span(room.get(), std::min<std::uint64_t>(piece_max, length)));
    const std::size_t count = PV_TRY(source->peek(copied));
    if (count == 0) {
        return 0;
    }
    fs::SpanSource given(std::span<const std::byte>(room.get(), count));
    return pipe_broken(call, *to, to->write(given));
}

// What sendfile says before anything is moved. A pipe is looked at before what would be put into it.
Value may_send(Call& call, fs::OpenFile& from, fs::OpenFile& to, std::uint64_t count) {
    const bool gives_nothing = !can_be_moved(from);
    if (to.kind() != fs::FileKind::pipe) {
        const bool flows = from.attributes().type != fs::NodeType::none && !from.is_seekable();
        const bool cannot =
            (to.flags() & fs::open_flag::append) != 0 || flows || (count != 0 && gives_nothing);
        return cannot ? Value(fail(Errno::einval)) : Value(0);
    }
    const std::uint32_t ready = to.poll(nullptr);
    if ((ready & fs::poll_event::error) != 0) {
        return pipe_broken(call, to, fail(Errno::epipe));
    }
    if ((ready & fs::poll_event::writable) == 0 && to.is_nonblocking()) {
        return fail(Errno::eagain);
    }
    const bool cannot = from.kind() == fs::FileKind::pipe || gives_nothing;
    return count != 0 && cannot ? Value(fail(Errno::einval)) : Value(0);
}

Value sendfile(Call& call, int out, int in, UserPointer<std::uint64_t> offset, std::uint64_t count) {
    const auto from = PV_TRY(get(call, in));
    if (!fs::is_readable(from->flags())) {
        return fail(Errno::ebadf);
    }
    std::uint64_t position = 0;
    if (!offset.is_null()) {
        position = PV_TRY(offset.read());
        if (!from->is_seekable()) {
            return fail(Errno::espipe);
        }
        if (static_cast<std::int64_t>(position) < 0) {
            return fail(Errno::einval);
        }
    }
    const auto to = PV_TRY(get(call, out));
    if (!fs::is_writable(to->flags())) {
        return fail(Errno::ebadf);
    }
    PV_TRY(may_send(call, *from, *to, count));
    std::array<std::byte, 1024> room{};
    const std::span<std::byte> piece(room);
    std::uint64_t moved = 0;
    count = std::min(count, length_max);
    // What has no place and no stream - an eventfd - takes calls of its own only.
    const bool takes_nothing = to->attributes().type == fs::NodeType::none;
    Outcome<> failure;
    while (moved < count) {
        fs::SpanTarget target(piece.first(std::min<std::uint64_t>(piece.size(), count - moved)));
        const auto got = offset.is_null() ? from->read(target) : from->read_at(position, target);
        if (!got || *got == 0) {
            failure = got ? Outcome<>{} : fail(got.error());
            break;
        }
        if (takes_nothing) {
            if (offset.is_null()) {
                (void)from->seek(-static_cast<std::int64_t>(*got), fs::Whence::current);
            }
            failure = fail(Errno::einval);
            break;
        }
        fs::SpanSource source(piece.first(*got));
        const auto put = to->write(source);
        if (!put) {
            failure = fail(put.error());
            break;
        }
        moved += *put;
        position += *put;
        if (*put < *got) {
            break;
        }
    }
    count_moved(call, *from, *to, moved);
    if (moved == 0 && !failure) {
        return pipe_broken(call, *to, fail(failure.error()));
    }
    if (!offset.is_null()) {
        PV_TRY(offset.write(position));
    }
    return moved;
}

Value copy_file_range(Call& call, int in, UserPointer<std::int64_t> in_offset, int out,
                      UserPointer<std::int64_t> out_offset, std::uint64_t length, std::uint32_t flags) {
    if (flags != 0) {
        return fail(Errno::einval);
    }
    const auto from = PV_TRY(get(call, in));
    const auto to = PV_TRY(get(call, out));
    const fs::Attributes one = from->attributes();
    const fs::Attributes other = to->attributes();
    if (one.type == fs::NodeType::directory || other.type == fs::NodeType::directory) {
        return fail(Errno::eisdir);
    }
    if (one.type != fs::NodeType::regular || other.type != fs::NodeType::regular) {
        return fail(Errno::einval);
    }
    if (!fs::is_readable(from->flags()) || !fs::is_writable(to->flags()) ||
        (to->flags() & fs::open_flag::append) != 0) {
        return fail(Errno::ebadf);
    }
    if (one.device != other.device) {
        return fail(Errno::exdev);
    }
    Place source = PV_TRY(place_of(*from, in_offset));
    Place target = PV_TRY(place_of(*to, out_offset));
    length = std::min(length, length_max);
    const std::uint64_t begin = source.has_offset ? source.offset : from->position();
    length = begin >= one.size ? 0 : std::min(length, one.size - begin);
    if (from->node() == to->node()) {
        const std::uint64_t end = target.has_offset ? target.offset : to->position();
        if (begin < end + length && end < begin + length) {
            return fail(Errno::einval);
        }
    }
    const Value moved = move_bytes(source, target, length, false);
    count_moved(call, *from, *to, moved);
    if (moved) {
        PV_TRY(tell_offset(source, in_offset));
        PV_TRY(tell_offset(target, out_offset));
    }
    return moved;
}

Value fallocate(Call& call, int descriptor, std::uint32_t mode, std::int64_t offset, std::int64_t length) {
    const auto file = PV_TRY(get(call, descriptor));
    if (offset < 0 || length <= 0) {
        return fail(Errno::einval);
    }
    if (mode != 0 && mode != FALLOC_FL_KEEP_SIZE && mode != (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)) {
        return fail(Errno::eopnotsupp);
    }
    if (!fs::is_writable(file->flags())) {
        return fail(Errno::ebadf);
    }
    switch (file->attributes().type) {
        case fs::NodeType::regular:
            break;
        case fs::NodeType::fifo:
            return fail(Errno::espipe);
        case fs::NodeType::directory:
            return fail(Errno::eisdir);
        default:
            return fail(Errno::enodev);
    }
    std::int64_t end = 0;
    if (__builtin_add_overflow(offset, length, &end)) {
        return fail(Errno::efbig);
    }
    return done(
        file->node()->allocate(mode, static_cast<std::uint64_t>(offset), static_cast<std::uint64_t>(length)));
}

constexpr Entry entries[] = {
    {__NR_splice, "splice", handler_of<splice>, Support::partial,
     "at most 16 KiB a call; a file that must not wait is waited for once bytes have left a pipe"},
    {__NR_sendfile, "sendfile", handler_of<sendfile>},
    {__NR_tee, "tee", handler_of<tee>, Support::partial, "at most 16 KiB a call"},
    {__NR_copy_file_range, "copy_file_range", handler_of<copy_file_range>},
    {__NR_fallocate, "fallocate", handler_of<fallocate>},
};

}  // namespace

constinit const std::span<const Entry> transfer_calls = entries;

}  // namespace pv::linux
