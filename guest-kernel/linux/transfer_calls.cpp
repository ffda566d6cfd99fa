// Calls that move bytes between files without a program's memory, and that make room in them.
// SPDX-License-Identifier: MIT
#include <asm/unistd.h>
#include <fcntl.h>

#include <algorithm>
#include <memory>
#include <new>
#include <utility>

#include "fs/pipe.hpp"
#include "fs/poll.hpp"
#include "fs/transfer.hpp"
#include "linux/descriptors.hpp"
#include "linux/table.hpp"

namespace pv::linux {
namespace {

constexpr std::uint64_t length_max = 0x7fff'f000;
constexpr std::size_t piece_max = 16384;
constexpr std::uint32_t splice_flags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT;

// Errors: efault, einval (negative).
Outcome<fs::TransferPlace> place_of(fs::OpenFile& file, UserPointer<std::int64_t> offset) {
    if (offset.is_null()) {
        return fs::TransferPlace{.file = file, .offset = std::nullopt};
    }
    const std::int64_t at = PV_TRY(offset.read());
    if (at < 0) {
        return fail(Errno::einval);
    }
    return fs::TransferPlace{.file = file, .offset = static_cast<std::uint64_t>(at)};
}

Outcome<> tell_offset(const fs::TransferPlace& place, UserPointer<std::int64_t> offset) {
    return place.offset ? offset.write(static_cast<std::int64_t>(*place.offset)) : Outcome<>();
}

bool is_ready(fs::OpenFile& file, std::uint32_t wanted) {
    return (file.poll(nullptr) & (wanted | fs::poll_event::always)) != 0;
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
    fs::TransferPlace source = PV_TRY(place_of(*from, in_offset));
    fs::TransferPlace target = PV_TRY(place_of(*to, out_offset));
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
    const Value moved = fs::transfer(source, target, std::min(length, length_max),
                                     fs::TransferAmount::one_piece, !must_not_wait && !to->is_nonblocking());
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
        PV_TRY(fs::wait_until_ready(*file, wanted));
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
    fs::TransferPlace source{.file = *from, .offset = std::nullopt};
    if (!offset.is_null()) {
        source.offset = PV_TRY(offset.read());
        if (!from->is_seekable()) {
            return fail(Errno::espipe);
        }
        if (static_cast<std::int64_t>(*source.offset) < 0) {
            return fail(Errno::einval);
        }
    }
    const auto to = PV_TRY(get(call, out));
    if (!fs::is_writable(to->flags())) {
        return fail(Errno::ebadf);
    }
    PV_TRY(may_send(call, *from, *to, count));
    if (to->attributes().type == fs::NodeType::none && count != 0) {
        // What has no place and no stream - an eventfd - takes calls of its own only.
        std::byte first{};
        fs::SpanTarget looked({&first, 1});
        return PV_TRY(from->read_at(source.position(), looked)) == 0 ? Value(0) : Value(fail(Errno::einval));
    }
    fs::TransferPlace target{.file = *to, .offset = std::nullopt};
    const Value moved = fs::transfer(source, target, std::min(count, length_max), fs::TransferAmount::all,
                                     !to->is_nonblocking());
    count_moved(call, *from, *to, moved);
    if (moved && !offset.is_null()) {
        PV_TRY(offset.write(*source.offset));
    }
    return pipe_broken(call, *to, moved);
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
    fs::TransferPlace source = PV_TRY(place_of(*from, in_offset));
    fs::TransferPlace target = PV_TRY(place_of(*to, out_offset));
    length = std::min(length, length_max);
    const std::uint64_t begin = source.position();
    length = begin >= one.size ? 0 : std::min(length, one.size - begin);
    if (from->node() == to->node()) {
        const std::uint64_t end = target.position();
        if (begin < end + length && end < begin + length) {
            return fail(Errno::einval);
        }
    }
    const Value moved = fs::transfer(source, target, length, fs::TransferAmount::all, true);
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
     "at most 16 KiB a call; what a socket gave is put even where the pipe must not wait"},
    {__NR_sendfile, "sendfile", handler_of<sendfile>},
    {__NR_tee, "tee", handler_of<tee>, Support::partial, "at most 16 KiB a call"},
    {__NR_copy_file_range, "copy_file_range", handler_of<copy_file_range>},
    {__NR_fallocate, "fallocate", handler_of<fallocate>},
};

}  // namespace

constinit const std::span<const Entry> transfer_calls = entries;

}  // namespace pv::linux
