// An open file description: position, flags and what can be done through a descriptor; shared by dup and
// fork.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "base/atomic.hpp"
#include "base/ref.hpp"
#include "fs/io.hpp"
#include "fs/mounts.hpp"
#include "fs/node.hpp"
#include "fs/poll.hpp"
#include "task/lock.hpp"

namespace pv::fs {

/// ioctl's third argument: a number, or where the program wants something read or written.
class IoctlArgument {
  public:
    virtual ~IoctlArgument() = default;

    [[nodiscard]] virtual std::uint64_t value() const = 0;
    /// Error: efault.
    [[nodiscard]] virtual Outcome<> read(std::span<std::byte> to) = 0;
    [[nodiscard]] virtual Outcome<> write(std::span<const std::byte> from) = 0;

    /// To where what was read points. Error: efault.
    [[nodiscard]] virtual Outcome<> write_at(std::uint64_t, std::span<const std::byte>) {
        return fail(Errno::efault);
    }
};

enum class Whence : std::uint8_t { set = 0, current = 1, end = 2, data = 3, hole = 4 };

/// Whether bytes lie at offsets (regular files, disks) or flow past (pipes, terminals, sockets), or there is
/// nothing to stand at, and seeking does nothing (events).
enum class Flow : std::uint8_t { seekable, stream, event };

class FileSignals;

/// Kinds that calls of their own work on.
enum class FileKind : std::uint8_t { other, event, pipe, epoll, pty_master, timer, signals, notify, socket };

/// Puts a label into a room; empty where it does not fit.
[[nodiscard]] std::string_view put_label(std::span<char> room, std::string_view text);

/// Reading and writing obey the flags given at open (nonblock, append); calls that block end with eintr when
/// a signal comes. May be used by several threads at once.
class OpenFile : public RefCounted {
  public:
    /// More of them in the whole machine are enfile for unprivileged programs.
    static constexpr std::uint64_t open_max = 1'048'576;

    /// How many there are.
    [[nodiscard]] static std::uint64_t count() { return count_.load(std::memory_order_relaxed); }

    ~OpenFile() override { count_.fetch_sub(1, std::memory_order_relaxed); }

    /// What it was opened as; empty for what has no place (pipes, epoll).
    [[nodiscard]] const Location& location() const { return location_; }

    [[nodiscard]] Node* node() const { return location_.node.get(); }

    [[nodiscard]] std::uint32_t flags() const { return flags_.load(std::memory_order_relaxed); }

    [[nodiscard]] bool is_nonblocking() const { return (flags() & open_flag::nonblock) != 0; }

    /// Changes the bits of `which` to those of `wanted`.
    void set_flags(std::uint32_t which, std::uint32_t wanted);
    /// F_SETFL: changes open_flag::status_mask's bits, leaves the others. O_ASYNC shows where it has an
    /// effect, or was given at open: there it has none, and stays. `descriptor`: what its signals say they
    /// are of. Error: enomem.
    [[nodiscard]] Outcome<> set_status_flags(std::uint32_t flags, int descriptor);
    /// O_ASYNC alone. Errors: enotty (it sends no signals), enomem.
    [[nodiscard]] Outcome<> set_async(bool on, int descriptor);

    /// Whether it sends signals when it becomes ready, so that O_ASYNC means something.
    [[nodiscard]] virtual bool sends_signals() const { return false; }

    /// What it does about them; made when first asked for. Error: enomem.
    [[nodiscard]] Outcome<FileSignals*> make_signals();

    /// nullptr where nobody has asked yet.
    [[nodiscard]] FileSignals* signals() const { return signals_.load(std::memory_order_acquire); }

    /// At the position, which moves. Errors: ebadf (not opened for it), eagain, eintr, efault, eisdir, ...
    [[nodiscard]] Outcome<std::size_t> read(Target& target);
    [[nodiscard]] Outcome<std::size_t> write(Source& source);
    /// At `offset`; the position stays. Error: espipe for streams.
    [[nodiscard]] Outcome<std::size_t> read_at(std::uint64_t offset, Target& target);
    [[nodiscard]] Outcome<std::size_t> write_at(std::uint64_t offset, Source& source);
    /// Errors: espipe, einval, eoverflow, enxio.
    [[nodiscard]] virtual Outcome<std::uint64_t> seek(std::int64_t offset, Whence whence);

    /// A call could not write all it had, or nothing yet: for files with signals that tell of room.
    void note_unsent(bool is_any);

    /// What F_GETFL tells.
    [[nodiscard]] std::uint32_t shown_flags() const;

    /// Whether it has a position.
    [[nodiscard]] bool is_seekable() const { return flow_ == Flow::seekable; }

    /// Where it stands, for people: others may move it meanwhile. 0 for streams.
    [[nodiscard]] std::uint64_t position() const { return position_.load(std::memory_order_relaxed); }

    /// Entries from the position on; `each` returns false for one that has no room: it is told again next
    /// time. Errors: enotdir.
    [[nodiscard]] virtual Outcome<> list(FunctionRef<bool(const DirectoryEntry&)> each);

    /// Error: enotty (this file has no such request).
    [[nodiscard]] virtual Outcome<std::uint64_t> ioctl(std::uint32_t request, IoctlArgument& argument);

    /// What is ready now, of poll_event; takes no lock but the queue's. With a watcher: it is put on the
    /// file's queue first, so that no change after the answer is missed; the caller removes it with
    /// PollQueue::remove.
    [[nodiscard]] virtual std::uint32_t poll(Watcher* watcher);

    /// Whether there is anything to wait for: regular files and directories are ready always.
    [[nodiscard]] bool is_pollable();

    /// nullptr: cannot be mapped (enodev).
    [[nodiscard]] virtual Mappable* mappable();
    [[nodiscard]] virtual Outcome<> truncate(std::uint64_t size);
    /// fsync(2), fdatasync(2). Error: einval for what has no storage behind it.
    [[nodiscard]] virtual Outcome<> sync();

    /// A descriptor that leads here is closed: each close, not the last one only.
    virtual void closed_once() {}

    /// What /proc/PID/fd/N is called where there is no place: "pipe:[7]". Empty: its location is its name.
    [[nodiscard]] virtual std::string_view label(std::span<char> room) const;

    /// Which class it is, where there is no run-time type information.
    [[nodiscard]] virtual FileKind kind() const { return FileKind::other; }

    /// What open(2) of /proc/PID/fd/N gives where there is no place. Error: enxio (it cannot be opened anew).
    [[nodiscard]] virtual Outcome<Ref<OpenFile>> reopen(std::uint32_t flags);

    /// What fstat(2) tells.
    [[nodiscard]] virtual Attributes attributes();

  protected:
    OpenFile(Location location, std::uint32_t flags, Flow flow)
        : location_(std::move(location)), flags_(flags), flow_(flow) {
        count_.fetch_add(1, std::memory_order_relaxed);
    }

    // `position`: where, for what is seekable; it is set to where the next one is. Streams leave it alone.
    [[nodiscard]] virtual Outcome<std::size_t> do_read(std::uint64_t& position, Target& target);
    /// `append`: at the end, whatever `position` is.
    [[nodiscard]] virtual Outcome<std::size_t> do_write(std::uint64_t& position, bool append, Source& source);

    /// Leaves the epoll instances that watch it.
    void end_of_life() override;

    task::Mutex position_lock_{task::Rank::file_position};
    Atomic<std::uint64_t> position_{0};  ///< changed with the lock held

  private:
    friend class Epoll;

    Outcome<> switch_signals(bool on, int descriptor);
    /// Tells who watches the file (fs/notify.hpp) when something was read or written.
    Outcome<std::size_t> told(Outcome<std::size_t> count, std::uint32_t event) const;

    static constinit Atomic<std::uint64_t> count_;

    Location location_;
    Atomic<bool> in_epoll_{false};
    Atomic<std::uint32_t> flags_;
    Atomic<FileSignals*> signals_{nullptr};  ///< owned
    Flow flow_;
};

/// The open file of a node whose contents are reached through Node::read_at and write_at, or of a directory.
[[nodiscard]] Outcome<Ref<OpenFile>> open_plain(const Location& here, std::uint32_t flags);

}  // namespace pv::fs
