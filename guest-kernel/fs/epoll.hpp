// epoll(7): a set of files that are watched, and which of them are ready.
// SPDX-License-Identifier: MIT
#pragma once

#include <boost/intrusive/list.hpp>
#include <boost/intrusive/set.hpp>

#include "fs/open_file.hpp"
#include "task/wait_queue.hpp"

namespace pv::fs {

/// Flags beside poll_event's (uapi/linux/eventpoll.h).
namespace epoll_flag {
inline constexpr std::uint32_t exclusive = 1U << 28;  ///< taken, and means nothing: all that wait are woken
inline constexpr std::uint32_t wake_up = 1U << 29;
inline constexpr std::uint32_t one_shot = 1U << 30;
inline constexpr std::uint32_t edge = 1U << 31;
}  // namespace epoll_flag

struct EpollEvent {
    std::uint32_t events = 0;
    std::uint64_t data = 0;
};

/// The open file of an epoll instance. It does not own what it watches: a file that nobody has open any more
/// leaves by itself. An epoll instance cannot be watched by another one (einval), only by poll and select.
class Epoll final : public OpenFile {
  public:
    /// Error: enomem.
    [[nodiscard]] static Outcome<Ref<Epoll>> create();

    /// EPOLL_CTL_ADD. `descriptor` tells entries of one file apart. Errors: eexist, eperm (a file that has
    /// nothing to wait for), einval (an epoll instance), enomem.
    [[nodiscard]] Outcome<> add(OpenFile& file, int descriptor, const EpollEvent& event);
    /// EPOLL_CTL_MOD, EPOLL_CTL_DEL. Error: enoent.
    [[nodiscard]] Outcome<> modify(OpenFile& file, int descriptor, const EpollEvent& event);
    [[nodiscard]] Outcome<> remove(OpenFile& file, int descriptor);

    /// Fills `room` from its front; waits until there is one or the deadline passes (0). Error: eintr.
    [[nodiscard]] Outcome<std::size_t> wait_for(std::span<EpollEvent> room, Deadline deadline);

    std::uint32_t poll(Watcher* watcher) override;
    std::string_view label(std::span<char> room) const override;

    [[nodiscard]] FileKind kind() const override { return FileKind::epoll; }

    /// A file ends: whoever watches it stops.
    static void forget(OpenFile& file);

  private:
    struct Key {
        const OpenFile* file;
        int descriptor;

        friend auto operator<=>(const Key&, const Key&) = default;
    };

    using Normal = boost::intrusive::link_mode<boost::intrusive::normal_link>;

    struct Item final : Watcher {
        void notify(std::uint32_t events) override;

        boost::intrusive::set_member_hook<Normal> by_key;
        boost::intrusive::list_member_hook<Normal> in_ready;
        Epoll* epoll = nullptr;
        OpenFile* file = nullptr;
        Key key{};
        EpollEvent event;
        bool is_ready = false;  ///< on the list
        bool is_gone = false;   ///< taken out: whoever still notifies it is too late
    };

    struct KeyOf {
        using type = Key;

        const type& operator()(const Item& item) const { return item.key; }
    };

    using Items = boost::intrusive::set<
        Item, boost::intrusive::member_hook<Item, boost::intrusive::set_member_hook<Normal>, &Item::by_key>,
        boost::intrusive::key_of_value<KeyOf>>;
    using ReadyList = boost::intrusive::list<
        Item,
        boost::intrusive::member_hook<Item, boost::intrusive::list_member_hook<Normal>, &Item::in_ready>>;

    Epoll();
    ~Epoll() override;

    // The lock is held in these.
    void make_ready(Item& item);
    void take_out(Item& item);
    std::size_t harvest(std::span<EpollEvent> room);

    void tell();

    task::SpinLock lock_{task::Rank::epoll};
    Items items_;
    ReadyList ready_;
    std::atomic<std::size_t> ready_count_{0};
    task::WaitQueue waiters_;
    PollQueue poll_queue_{task::Rank::epoll_poll};
    Epoll* next_ = nullptr;  ///< in the list of all
};

}  // namespace pv::fs
