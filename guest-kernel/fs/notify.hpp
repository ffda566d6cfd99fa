// Telling programs of changes to files and directories (inotify(7)).
// SPDX-License-Identifier: MIT
#pragma once

#include <boost/intrusive/set.hpp>

#include "base/atomic.hpp"
#include "fs/open_file.hpp"
#include "task/wait_queue.hpp"

namespace pv::fs {

/// What happened; bits as Linux has them (uapi/linux/inotify.h).
namespace notify_event {
inline constexpr std::uint32_t access = 0x1;
inline constexpr std::uint32_t modify = 0x2;
inline constexpr std::uint32_t attributes = 0x4;
inline constexpr std::uint32_t close_write = 0x8;
inline constexpr std::uint32_t close_no_write = 0x10;
inline constexpr std::uint32_t open = 0x20;
inline constexpr std::uint32_t moved_from = 0x40;
inline constexpr std::uint32_t moved_to = 0x80;
inline constexpr std::uint32_t create = 0x100;
inline constexpr std::uint32_t remove = 0x200;
inline constexpr std::uint32_t remove_self = 0x400;
inline constexpr std::uint32_t move_self = 0x800;
inline constexpr std::uint32_t all = 0xfff;
inline constexpr std::uint32_t overflow = 0x4000;
inline constexpr std::uint32_t ignored = 0x8000;
inline constexpr std::uint32_t mask_create = 0x1000'0000;
inline constexpr std::uint32_t mask_add = 0x2000'0000;
inline constexpr std::uint32_t is_directory = 0x4000'0000;
inline constexpr std::uint32_t one_shot = 0x8000'0000;
}  // namespace notify_event

/// Something happened to a node: who watches it hears of it, and who watches the directory it lies in, with
/// its name. Threads, no spinlock held. Costs one load while nobody watches anything.
void notify(Node& node, std::uint32_t events);
/// The same, but only who watches the node itself hears of it.
void notify_self(Node& node, std::uint32_t events);
/// Something happened to the name `name` in a directory. `cookie` joins the two halves of a rename.
void notify_entry(Node& directory, std::string_view name, std::uint32_t events, std::uint32_t cookie = 0);
/// Both halves of a rename, and the node's own.
void notify_rename(Node& from, std::string_view old_name, Node& to, std::string_view new_name, Node& node);
/// The last name of a node has gone: those who watch it hear that, and nothing more.
void notify_end(Node& node);

/// An inotify instance.
class NotifyFile final : public OpenFile {
  public:
    /// Events that wait at most; one more, and the program hears that some are missing.
    static constexpr std::size_t events_max = 16384;

    /// Error: enomem.
    [[nodiscard]] static Outcome<Ref<NotifyFile>> create(std::uint32_t flags);

    /// Watches a node, or changes what is watched of it; returns the watch's number. Errors: eexist
    /// (mask_create), enospc, enomem.
    [[nodiscard]] Outcome<int> watch(Ref<Node> node, std::uint32_t mask);
    /// Error: einval (no such watch).
    [[nodiscard]] Outcome<> unwatch(int number);

    std::uint32_t poll(Watcher* watcher) override;

    [[nodiscard]] bool sends_signals() const override { return true; }

    Outcome<std::uint64_t> ioctl(std::uint32_t request, IoctlArgument& argument) override;
    std::string_view label(std::span<char> room) const override;

    [[nodiscard]] FileKind kind() const override { return FileKind::notify; }

    ~NotifyFile() override;

    struct Event;
    struct Watch;
    struct Table;

  protected:
    /// Whole events. Errors: einval (no room for the first), eagain, eintr.
    Outcome<std::size_t> do_read(std::uint64_t& position, Target& target) override;

  private:
    explicit NotifyFile(std::uint32_t flags) : OpenFile({}, flags & open_flag::nonblock, Flow::event) {}

    // The table's lock is held.
    void put(int number, std::uint32_t mask, std::uint32_t cookie, std::string_view name);

    // Guarded by the table's lock.
    Event* first_ = nullptr;
    Event* last_ = nullptr;
    std::size_t count_ = 0;
    std::size_t bytes_ = 0;
    int last_number_ = 0;
    bool overflowed_ = false;
    Atomic<bool> is_ready_{false};
    task::WaitQueue readers_;
    PollQueue poll_queue_;
};

}  // namespace pv::fs
