// An open file description: position, flags and what can be done through a descriptor; shared by dup and
// fork. SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <cstdint>

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
};

enum class Whence : std::uint8_t { set = 0, current = 1, end = 2, data = 3, hole = 4 };

/// Whether bytes lie at offsets (regular files, disks) or flow past (pipes, terminals, sockets).
enum class Flow : std::uint8_t { seekable, stream };

/// Reading and writing obey the flags given at open (nonblock, append); calls that block end with eintr when
/// a signal comes. May be used by several threads at once.
class OpenFile : public RefCounted {
  public:
    /// What it was opened as; empty for what has no place (pipes, epoll).
    [[nodiscard]] const Location& location() const { return location_; }

    [[nodiscard]] Node* node() const { return location_.node.get(); }

    [[nodiscard]] std::uint32_t flags() const { return flags_.load(std::memory_order_relaxed); }

    [[nodiscard]] bool is_nonblocking() const { return (flags() & open_flag::nonblock) != 0; }

    /// F_SETFL: changes open_flag::status_mask's bits, leaves the others.
    void set_status_flags(std::uint32_t flags);

    /// At the position, which moves. Errors: ebadf (not opened for it), eagain, eintr, efault, eisdir, ...
    [[nodiscard]] Outcome<std::size_t> read(Target& target);
    [[nodiscard]] Outcome<std::size_t> write(Source& source);
    /// At `offset`; the position stays. Error: espipe for streams.
    [[nodiscard]] Outcome<std::size_t> read_at(std::uint64_t offset, Target& target);
    [[nodiscard]] Outcome<std::size_t> write_at(std::uint64_t offset, Source& source);
    /// Errors: espipe, einval, eoverflow, enxio.
    [[nodiscard]] virtual Outcome<std::uint64_t> seek(std::int64_t offset, Whence whence);

    /// Entries from the position on; `each` returns false for one that has no room: it is told again next
    /// time. Errors: enotdir.
    [[nodiscard]] virtual Outcome<> list(FunctionRef<bool(const DirectoryEntry&)> each);

    /// Error: enotty (this file has no such request).
    [[nodiscard]] virtual Outcome<std::uint64_t> ioctl(std::uint32_t request, IoctlArgument& argument);

    /// What is ready now, of poll_event; takes no lock but the queue's. With a watcher: it is put on the
    /// file's queue first, so that no change after the answer is missed; the caller removes it with
    /// PollQueue::remove.
    [[nodiscard]] virtual std::uint32_t poll(Watcher* watcher);

    /// nullptr: cannot be mapped (enodev).
    [[nodiscard]] virtual Mappable* mappable();
    [[nodiscard]] virtual Outcome<> truncate(std::uint64_t size);
    /// fsync(2), fdatasync(2). Error: einval for what has no storage behind it.
    [[nodiscard]] virtual Outcome<> sync();

    /// A descriptor that leads here is closed: each close, not the last one only.
    virtual void closed_once() {}

    /// What /proc/PID/fd/N is called where there is no place: "pipe:[7]". Empty: its location is its name.
    [[nodiscard]] virtual std::string_view label(std::span<char> room) const;

    /// For pipe_of alone, where there is no run-time type information.
    [[nodiscard]] virtual bool is_pipe() const { return false; }

    /// The same for an epoll instance.
    [[nodiscard]] virtual bool is_epoll() const { return false; }

    /// What fstat(2) tells.
    [[nodiscard]] virtual Attributes attributes();

  protected:
    OpenFile(Location location, std::uint32_t flags, Flow flow)
        : location_(std::move(location)), flags_(flags), flow_(flow) {}

    // `position`: where, for what is seekable; it is set to where the next one is. Streams leave it alone.
    [[nodiscard]] virtual Outcome<std::size_t> do_read(std::uint64_t& position, Target& target);
    /// `append`: at the end, whatever `position` is.
    [[nodiscard]] virtual Outcome<std::size_t> do_write(std::uint64_t& position, bool append, Source& source);

    /// Leaves the epoll instances that watch it.
    void end_of_life() override;

    task::Mutex position_lock_{task::Rank::file_position};
    std::uint64_t position_ = 0;

  private:
    friend class Epoll;

    Location location_;
    std::atomic<bool> in_epoll_{false};
    std::atomic<std::uint32_t> flags_;
    Flow flow_;
};

/// The open file of a node whose contents are reached through Node::read_at and write_at, or of a directory.
[[nodiscard]] Outcome<Ref<OpenFile>> open_plain(const Location& here, std::uint32_t flags);

}  // namespace pv::fs
