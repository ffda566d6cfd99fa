// Bytes from one open file to another: looked at, put, and only then taken out.
// SPDX-License-Identifier: MIT
#include "fs/transfer.hpp"

#include <algorithm>
#include <memory>
#include <new>
#include <span>

#include "fs/pipe.hpp"
#include "fs/poll.hpp"

namespace pv::fs {
namespace {

constexpr std::size_t piece_max = 16384;

Outcome<std::size_t> put(TransferPlace& to, std::span<const std::byte> bytes) {
    SpanSource source(bytes);
    const std::size_t count =
        PV_TRY(to.offset ? to.file.write_at(*to.offset, source) : to.file.write(source));
    if (to.offset) {
        *to.offset += count;
    }
    return count;
}

// What was taken and cannot be put back. A writer that must not wait does so even then.
Outcome<std::size_t> put_all(TransferPlace& to, std::span<const std::byte> bytes) {
    std::size_t done = 0;
    while (done < bytes.size()) {
        const Outcome<std::size_t> count = put(to, bytes.subspan(done));
        if (count) {
            done += *count;
            continue;
        }
        if (count.error() != Errno::eagain) {
            return fail(count.error());
        }
        PV_TRY(wait_until_ready(to.file, poll_event::writable));
    }
    return done;
}

/// What a transfer takes from.
class Origin {
  public:
    explicit Origin(TransferPlace& place)
        : place_(place), pipe_(pipe_of(place.file)), begin_(place.position()), at_(begin_) {}

    Origin(const Origin&) = delete;
    Origin& operator=(const Origin&) = delete;

    ~Origin() {
        if (holds_) {
            pipe_->release();
        }
        if (at_ == begin_) {
            return;
        }
        if (place_.offset) {
            place_.offset = at_;
        } else {
            static_cast<void>(place_.file.seek(static_cast<std::int64_t>(at_), Whence::set));
        }
    }

    /// What was looked at stays until it is taken.
    [[nodiscard]] bool keeps() const { return pipe_ != nullptr || place_.file.is_seekable(); }

    Outcome<std::size_t> look(std::span<std::byte> room) {
        SpanTarget target(room);
        if (pipe_ != nullptr) {
            if (!holds_) {
                PV_TRY(pipe_->hold(place_.file.is_nonblocking()));
                holds_ = true;
            }
            return pipe_->peek(target);
        }
        return keeps() ? place_.file.read_at(at_, target) : place_.file.read(target);
    }

    void take(std::size_t count) {
        if (pipe_ != nullptr) {
            pipe_->drop(count);
        } else if (keeps()) {
            at_ += count;
        }
    }

  private:
    TransferPlace& place_;
    Pipe* pipe_;
    std::uint64_t begin_;
    std::uint64_t at_;
    bool holds_ = false;
};

// How much may be put at once; less than a page is no room in a pipe. Errors: eagain, eintr.
Outcome<std::size_t> room_in(OpenFile& file, bool waits) {
    Pipe* const pipe = pipe_of(file);
    if (pipe == nullptr) {
        return piece_max;
    }
    while ((pipe->readiness(file.flags()) & (poll_event::writable | poll_event::error)) == 0) {
        if (!waits) {
            return fail(Errno::eagain);
        }
        PV_TRY(wait_until_ready(file, poll_event::writable));
    }
    // Where nobody reads any more the write says so.
    return std::clamp<std::size_t>(pipe->room(), 1, piece_max);
}

}  // namespace

Outcome<std::uint64_t> transfer(TransferPlace& from, TransferPlace& to, std::uint64_t length,
                                TransferAmount amount, bool waits) {
    const std::unique_ptr<std::byte[]> room(new (std::nothrow) std::byte[piece_max]);
    if (room == nullptr) {
        return fail(Errno::enomem);
    }
    Origin origin(from);
    std::uint64_t moved = 0;
    const auto move_piece = [&]() -> Outcome<bool> {
        const std::uint64_t most = PV_TRY(room_in(to.file, waits));
        const std::span<std::byte> piece(room.get(), std::min(most, length - moved));
        const std::size_t got = PV_TRY(origin.look(piece));
        if (got == 0) {
            return false;
        }
        const std::span<const std::byte> bytes = piece.first(got);
        const std::size_t count = PV_TRY(origin.keeps() ? put(to, bytes) : put_all(to, bytes));
        origin.take(count);
        moved += count;
        return count == got && amount == TransferAmount::all;
    };
    while (moved < length) {
        const Outcome<bool> goes_on = move_piece();
        if (!goes_on && moved == 0) {
            return fail(goes_on.error());
        }
        if (!goes_on.value_or(false)) {
            break;
        }
    }
    return moved;
}

}  // namespace pv::fs
