// epoll(7): a set of files that are watched, and which of them are ready.
// SPDX-License-Identifier: MIT
#pragma once

#include <boost/intrusive/list.hpp>
#include <boost/intrusive/set.hpp>

#include <memory>

#include "base/atomic.hpp"
#include "fs/open_file.hpp"
#include "task/lock.hpp"
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
/// leaves by itself.
///
/// NESTING. Instances watch instances, five deep at most. The lock of one is never taken with another's held:
/// an instance that another one watches notes that it was told, and a thread of the kernel's carries that up.
/// So who waits at the top is woken a moment later.
class Epoll final : public OpenFile {
  public:
    /// Error: enomem.
    [[nodiscard]] static Outcome<Ref<Epoll>> create();

    /// EPOLL_CTL_ADD. `descriptor` tells entries of one file apart. Errors: eexist, eperm (a file that has
    /// nothing to wait for), einval (flags that do not go with EPOLLEXCLUSIVE), eloop (instances in a circle,
    /// or too deep), enomem.
    [[nodiscard]] Outcome<> add(OpenFile& file, int descriptor, const EpollEvent& event);
    /// EPOLL_CTL_MOD, EPOLL_CTL_DEL. Errors: enoent, einval (EPOLLEXCLUSIVE).
    [[nodiscard]] Outcome<> modify(OpenFile& file, int descriptor, const EpollEvent& event);
    [[nodiscard]] Outcome<> remove(OpenFile& file, int descriptor);

    /// Fills `room` from its front; waits until there is one or the deadline passes (0). `round` becomes what
    /// take_more() wants. Error: eintr.
    [[nodiscard]] Outcome<std::size_t> wait_for(std::span<EpollEvent> room, Deadline deadline,
                                                std::uint64_t& round);
    /// Fills `room` with what is ready as well and was told to nobody since that round began; does not wait.
    [[nodiscard]] std::size_t take_more(std::span<EpollEvent> room, std::uint64_t round);

    std::uint32_t poll(Watcher* watcher) override;
    std::string_view label(std::span<char> room) const override;

    [[nodiscard]] FileKind kind() const override { return FileKind::epoll; }

    /// A file ends: whoever watches it stops.
    static void forget(OpenFile& file);
    /// Looks whether what is noted as ready in an instance still is, and in those it watches; poll() tells
    /// what is noted only. Threads, no lock held.
    void refresh();

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
        std::uint64_t told_in = 0;  ///< the youngest round when it was last told
        bool is_nested = false;     ///< the file is an epoll instance
        bool is_ready = false;      ///< on the list
        bool is_gone = false;       ///< taken out: whoever still notifies it is too late
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

    // fs/epoll_nested.cpp. The list's lock is held in the first three.
    /// Calls visit(Epoll&) for each instance that this one watches, without this one's lock, until it is
    /// false.
    template <class F>
    bool for_nested(F&& visit);
    /// Whether `outer` may watch this one, which is `depth` levels below it.
    [[nodiscard]] bool may_be_below(const Epoll& outer, unsigned depth, std::uint64_t round);
    void refresh_below(unsigned depth, std::uint64_t round);
    static void carry_up();
    static void serve_nested(void*);
    void carry_up_soon();
    /// What would be an entry of this one: it counts as gone until `insert`.
    [[nodiscard]] Outcome<std::unique_ptr<Item>> new_item(OpenFile& file, int descriptor,
                                                          const EpollEvent& event);
    [[nodiscard]] Outcome<> add_nested(Epoll& inner, int descriptor, const EpollEvent& event);
    [[nodiscard]] Outcome<> insert(Item& item);

    // The lock is held in these.
    void make_ready(Item& item);
    void take_out(Item& item);
    /// A round of 0 begins one.
    std::size_t harvest(std::span<EpollEvent> room, std::uint64_t& round);

    void tell();

    task::SpinLock lock_{task::Rank::epoll};
    Items items_;
    ReadyList ready_;
    std::uint64_t round_ = 0;  ///< the youngest
    Atomic<std::size_t> ready_count_{0};
    Atomic<unsigned> nested_{0};    ///< instances among what it watches
    Atomic<unsigned> watchers_{0};  ///< entries of instances that watch it
    Atomic<bool> told_{false};      ///< those have not heard of its last change yet
    task::WaitQueue waiters_;
    PollQueue poll_queue_{task::Rank::epoll_poll};
    Epoll* next_ = nullptr;      ///< in the list of all
    std::uint64_t visited_ = 0;  ///< in which round over nested ones; guarded by the list's lock

    /// All instances: a file that ends looks for those that watch it.
    static task::Guarded<Epoll*, task::Rank::epoll_list> instances;
};

}  // namespace pv::fs
