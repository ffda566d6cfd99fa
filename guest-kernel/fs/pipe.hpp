// Pipes and fifos: bytes in order from writers to readers, through a bounded buffer.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <memory>

#include "base/atomic.hpp"
#include "fs/open_file.hpp"
#include "fs/wait.hpp"
#include "task/wait_queue.hpp"

namespace pv::fs {

/// Writes of at most this many bytes are not torn (PIPE_BUF).
inline constexpr std::size_t pipe_atomic_max = 4096;

/// The buffer between the ends. Its memory comes page by page as it fills.
class Pipe final : public RefCounted {
  public:
    static constexpr std::size_t capacity_default = 65536;
    static constexpr std::size_t capacity_max = 1'048'576;

    /// Error: enomem. `number` is its inode number.
    [[nodiscard]] static Outcome<Ref<Pipe>> create();

    /// As OpenFile::read and write. Errors: eagain, eintr, efault, epipe (nobody reads; the caller's SIGPIPE
    /// is linux/'s).
    [[nodiscard]] Outcome<std::size_t> read(Target& target, bool nonblocking);
    /// Copies what is there, none if nothing is, and leaves it there. Error: efault.
    [[nodiscard]] Outcome<std::size_t> peek(Target& target);
    [[nodiscard]] Outcome<std::size_t> write(Source& source, bool nonblocking);

    /// For one who puts bytes elsewhere before they are taken out: waits until there are any, or nobody who
    /// writes; other readers wait from then on, until release. What is held ends with drop: no more than
    /// peek told. Errors: eagain, eintr.
    [[nodiscard]] Outcome<> hold(bool nonblocking);
    void drop(std::size_t count);
    void release();

    /// `flags` as open's. A fifo's open waits here for the other side. Errors: enxio, eintr.
    [[nodiscard]] Outcome<> join(std::uint32_t flags, bool wait_for_other);
    void leave(std::uint32_t flags);

    /// `writers_before`: of how many that ever wrote the asking end says nothing (PipeFile).
    [[nodiscard]] std::uint32_t readiness(std::uint32_t flags, std::uint32_t writers_before = 0) const;

    /// How many ends ever wrote if none does now; else 0.
    [[nodiscard]] std::uint32_t writers_gone() const {
        return writers_.load(std::memory_order_acquire) == 0 ? writers_ever_.load(std::memory_order_acquire)
                                                             : 0;
    }

    /// There is something, or nobody who writes: also a fifo that nobody has opened for writing yet.
    [[nodiscard]] bool is_read_at_once() const {
        return filled() != 0 || writers_.load(std::memory_order_acquire) == 0;
    }

    [[nodiscard]] PollQueue& poll_queue() { return poll_queue_; }

    [[nodiscard]] std::size_t filled() const { return filled_.load(std::memory_order_acquire); }

    [[nodiscard]] std::size_t capacity() const { return capacity_.load(std::memory_order_relaxed); }

    [[nodiscard]] std::size_t room() const { return capacity() - filled(); }

    /// F_SETPIPE_SZ: rounded up to a power of two of pages. Errors: ebusy (holds more), eperm and einval
    /// (above capacity_max, above 2 GiB), enomem.
    [[nodiscard]] Outcome<std::size_t> set_capacity(std::size_t bytes);

    [[nodiscard]] std::uint64_t number() const { return number_; }

    [[nodiscard]] Timestamp born() const { return born_; }

  private:
    Pipe() = default;
    ~Pipe() override;

    [[nodiscard]] std::byte* page_for(std::size_t position);
    /// The piece `skipped` bytes behind the next one, at most `wanted` long.
    [[nodiscard]] std::span<const std::byte> piece_at(std::size_t skipped, std::size_t wanted) const;
    Outcome<std::size_t> fill(Source& source, std::size_t count);

    void take_out(std::size_t count) {
        begin_ = (begin_ + count) % capacity();
        filled_.fetch_sub(count, std::memory_order_acq_rel);
        if (filled() == 0) {
            begin_ = 0;  // the pages that are warm already serve again
        }
    }

    /// Waits until there is something to read that nobody holds, or nobody writes: then false. The lock is
    /// held before and after. Errors: eagain, eintr.
    [[nodiscard]] Outcome<bool> wait_for_bytes(MutexGuard& guard, bool nonblocking);
    [[nodiscard]] Outcome<> wait_for_release(MutexGuard& guard);

    task::Mutex lock_{task::Rank::file};
    // Guarded by lock_; the atomics are read without it by those who wait.
    std::unique_ptr<std::byte*[]> pages_;  ///< a ring of capacity / 4096
    std::size_t begin_ = 0;                ///< where the next byte is read
    Atomic<std::size_t> filled_{0};
    Atomic<std::size_t> capacity_{0};
    bool is_held_ = false;
    Atomic<std::uint64_t> releases_{0};
    Atomic<std::uint32_t> readers_{0};
    Atomic<std::uint32_t> writers_{0};
    Atomic<std::uint32_t> readers_ever_{0};  ///< a fifo's open looks whether the other side came
    Atomic<std::uint32_t> writers_ever_{0};
    task::WaitQueue read_queue_;
    task::WaitQueue write_queue_;
    task::WaitQueue open_queue_;
    PollQueue poll_queue_;
    std::uint64_t number_ = 0;
    Timestamp born_ = wall_time();
};

struct PipeEnds {
    Ref<OpenFile> read;
    Ref<OpenFile> write;
};

/// pipe2(2); `flags`: nonblock, direct is refused (einval). Error: enomem.
[[nodiscard]] Outcome<PipeEnds> create_pipe(std::uint32_t flags);
/// What open(2) of a fifo gives. Errors: enxio (writes only, nonblocking, nobody reads), eintr, enomem.
[[nodiscard]] Outcome<Ref<OpenFile>> open_fifo(const Location& here, std::uint32_t flags, Ref<Pipe> pipe);
/// The pipe behind an open file; nullptr: it is none.
[[nodiscard]] Pipe* pipe_of(OpenFile& file);

}  // namespace pv::fs
