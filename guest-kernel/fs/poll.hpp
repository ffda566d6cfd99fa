// Readiness: what poll, select and epoll watch, and how they are told that it changed.
// SPDX-License-Identifier: MIT
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstdint>
#include <span>

#include "base/atomic.hpp"
#include "base/deadline.hpp"
#include "base/errno.hpp"
#include "base/ref.hpp"
#include "task/spin_lock.hpp"

namespace pv::fs {

/// Bits of poll(2)'s events; epoll's are the same.
namespace poll_event {
inline constexpr std::uint32_t in = 0x001;
inline constexpr std::uint32_t priority = 0x002;
inline constexpr std::uint32_t out = 0x004;
inline constexpr std::uint32_t error = 0x008;
inline constexpr std::uint32_t hang_up = 0x010;
inline constexpr std::uint32_t invalid = 0x020;
inline constexpr std::uint32_t read_normal = 0x040;
inline constexpr std::uint32_t read_band = 0x080;
inline constexpr std::uint32_t write_normal = 0x100;
inline constexpr std::uint32_t write_band = 0x200;
inline constexpr std::uint32_t read_hang_up = 0x2000;
inline constexpr std::uint32_t readable = in | read_normal;
inline constexpr std::uint32_t writable = out | write_normal;
/// Told whether asked for or not.
inline constexpr std::uint32_t always = error | hang_up;
}  // namespace poll_event

class OpenFile;
class PollQueue;

/// Somebody who wants to hear of changes. Belongs to one queue at a time.
class Watcher {
  public:
    Watcher() = default;
    Watcher(const Watcher&) = delete;
    Watcher& operator=(const Watcher&) = delete;

    /// `events` may have changed. Under the queue's spinlock, in any context but NMI: takes at most locks of
    /// higher rank than Rank::poll, and does not touch the queue.
    virtual void notify(std::uint32_t events) = 0;

    /// Whether it is on a queue: a file that has none cannot be watched.
    [[nodiscard]] bool is_watching() const { return queue_ != nullptr; }

  protected:
    virtual ~Watcher() = default;

  private:
    friend class PollQueue;
    boost::intrusive::list_member_hook<boost::intrusive::link_mode<boost::intrusive::normal_link>> hook_;
    PollQueue* queue_ = nullptr;
};

/// The watchers of one thing. Its owner outlives them: a watcher holds the file whose queue it is on.
class PollQueue {
  public:
    explicit PollQueue(task::Rank rank = task::Rank::poll) : lock_(rank) {}

    PollQueue(const PollQueue&) = delete;
    PollQueue& operator=(const PollQueue&) = delete;
    ~PollQueue();

    void add(Watcher& watcher);
    /// Afterwards notify() runs no more. Nothing where it is on no queue.
    static void remove(Watcher& watcher);

    /// Tells all watchers. Costs one load where there are none. Whoever calls made the change visible first.
    void notify(std::uint32_t events);

  private:
    task::SpinLock lock_;
    using Hook =
        boost::intrusive::list_member_hook<boost::intrusive::link_mode<boost::intrusive::normal_link>>;
    boost::intrusive::list<Watcher, boost::intrusive::member_hook<Watcher, Hook, &Watcher::hook_>,
                           boost::intrusive::constant_time_size<false>>
        watchers_;
    Atomic<std::uint32_t> count_{0};
};

/// One entry of poll(2)'s array.
struct PollEntry {
    OpenFile* file = nullptr;  ///< nullptr: left out (a negative descriptor)
    std::uint32_t wanted = 0;
    std::uint32_t found = 0;
    bool is_open = true;  ///< false with file nullptr: `found` becomes poll_event::invalid
};

/// Fills in what was found and returns how many entries have something, after waiting until one has or the
/// deadline passes (0). The caller keeps the files. Errors: eintr, enomem.
[[nodiscard]] Outcome<std::size_t> poll(std::span<PollEntry> entries, Deadline deadline);

/// Until one file has one of `wanted`, or an error, for a program: a signal ends it. Errors: eintr, enomem.
[[nodiscard]] Outcome<> wait_until_ready(OpenFile& file, std::uint32_t wanted);

}  // namespace pv::fs
