// The master's side of pseudo-terminals, the table of them, and devpts.
// SPDX-License-Identifier: MIT
#include "fs/pty.hpp"

#include <asm/ioctls.h>
#include <linux/magic.h>

#include <algorithm>
#include <array>
#include <boost/intrusive/set.hpp>

#include "base/atomic.hpp"
#include "base/format.hpp"
#include "fs/synthetic.hpp"
#include "fs/wait.hpp"

namespace pv::fs {
namespace {

constexpr std::uint32_t slave_major = 136;
/// The group of terminals in Debian (grantpt(3) gives them to it).
constexpr GroupId tty_group = 5;

/// What programs wrote to the terminal and the master has not read: the terminal's screen.
class Output final : public RefCounted, public Screen {
  public:
    std::size_t write(std::span<const char> text) override {
        const std::size_t count = ring_.with([&](Ring& ring) {
            const std::size_t part = std::min(text.size(), capacity - ring.count);
            for (std::size_t i = 0; i < part; ++i) {
                ring.bytes[(ring.first + ring.count + i) % capacity] = text[i];
            }
            ring.count += part;
            filled_.store(ring.count, std::memory_order_release);
            return part;
        });
        if (count != 0) {
            changed_queue.wake_all();
            poll_queue.notify(poll_event::readable);
        }
        return count;
    }

    void input_taken() override {
        changed_queue.wake_all();
        poll_queue.notify(poll_event::writable);
    }

    void opened_or_closed(unsigned files) override {
        closed_.store(files == 0, std::memory_order_release);
        if (files == 0) {
            changed_queue.wake_all();
            poll_queue.notify(poll_event::hang_up | poll_event::readable);
        }
    }

    void changed(std::uint8_t changes) override {
        const bool is_told = ring_.with([&](Ring&) {
            if (!packets_.load(std::memory_order_relaxed)) {
                return false;
            }
            // Of two that contradict one another the younger holds.
            constexpr std::uint8_t running = terminal_change::stopped | terminal_change::started;
            constexpr std::uint8_t keys = terminal_change::flow_keys | terminal_change::no_flow_keys;
            unsigned noted = changes_.load(std::memory_order_relaxed);
            noted &= (changes & running) != 0 ? ~unsigned{running} : ~0U;
            noted &= (changes & keys) != 0 ? ~unsigned{keys} : ~0U;
            changes_.store(static_cast<std::uint8_t>(noted | changes), std::memory_order_release);
            return true;
        });
        if (is_told) {
            changed_queue.wake_all();
            poll_queue.notify(poll_event::readable | poll_event::priority);
        }
    }

    /// TIOCPKT: reads begin with a byte that says what changed, or that nothing did.
    void set_packets(bool on) {
        ring_.with([&](Ring&) {
            if (on && !packets_.load(std::memory_order_relaxed)) {
                changes_.store(0, std::memory_order_relaxed);
            }
            packets_.store(on, std::memory_order_release);
        });
    }

    [[nodiscard]] bool has_packets() const { return packets_.load(std::memory_order_acquire); }

    /// Whether the master is to hear of changes.
    [[nodiscard]] bool has_changes() const {
        return has_packets() && changes_.load(std::memory_order_acquire) != 0;
    }

    [[nodiscard]] std::uint8_t take_changes() {
        return ring_.with([&](Ring&) { return changes_.exchange(0, std::memory_order_acq_rel); });
    }

    /// What was shown and not read is gone.
    void clear() {
        ring_.with([&](Ring& ring) {
            ring.count = 0;
            filled_.store(0, std::memory_order_release);
        });
    }

    std::size_t take(std::span<char> room) {
        return ring_.with([&](Ring& ring) {
            const std::size_t part = std::min(room.size(), ring.count);
            for (std::size_t i = 0; i < part; ++i) {
                room[i] = ring.bytes[(ring.first + i) % capacity];
            }
            ring.first = (ring.first + part) % capacity;
            ring.count -= part;
            filled_.store(ring.count, std::memory_order_release);
            return part;
        });
    }

    [[nodiscard]] std::size_t filled() const { return filled_.load(std::memory_order_acquire); }

    /// All programs that had the terminal open have closed it.
    [[nodiscard]] bool is_closed() const { return closed_.load(std::memory_order_acquire); }

    task::WaitQueue changed_queue;
    PollQueue poll_queue;

  private:
    static constexpr std::size_t capacity = 16384;

    struct Ring {
        std::array<char, capacity> bytes;
        std::size_t first = 0;
        std::size_t count = 0;
    };

    task::Guarded<Ring, task::Rank::leaf> ring_;
    Atomic<std::size_t> filled_{0};
    Atomic<bool> closed_{false};
    Atomic<bool> packets_{false};
    Atomic<std::uint8_t> changes_{0};  ///< of terminal_change
};

class Master final
    : public OpenFile,
      public boost::intrusive::set_base_hook<boost::intrusive::link_mode<boost::intrusive::normal_link>> {
  public:
    Master(Location location, std::uint32_t flags)
        : OpenFile(std::move(location), flags, Flow::stream), user(current_job_control().user()) {}

    ~Master() override;

    /// Makes the pair and enters it in the table.
    Outcome<> begin();

    Outcome<std::uint64_t> ioctl(std::uint32_t request, IoctlArgument& argument) override;
    std::uint32_t poll(Watcher* watcher) override;

    [[nodiscard]] FileKind kind() const override { return FileKind::pty_master; }

    [[nodiscard]] bool sends_signals() const override { return true; }

    [[nodiscard]] const Ref<Terminal>& terminal() const { return terminal_; }

    int number = -1;  ///< constant once it is in the table
    Atomic<bool> is_locked{true};
    // Of the other side's node.
    Atomic<UserId> user;
    Atomic<GroupId> group{tty_group};
    Atomic<Mode> mode{0620};

  protected:
    Outcome<std::size_t> do_read(std::uint64_t& position, Target& target) override;
    Outcome<std::size_t> do_write(std::uint64_t& position, bool append, Source& source) override;

  private:
    Ref<Output> output_;
    Ref<Terminal> terminal_;
};

struct NumberOf {
    using type = int;

    const type& operator()(const Master& master) const { return master.number; }
};

/// All pairs whose master is open. Does not own them: they leave by themselves.
struct Table {
    boost::intrusive::set<Master, boost::intrusive::key_of_value<NumberOf>> masters;
};

constinit task::Guarded<task::OnFirstUse<Table>, task::Rank::leaf> table;

/// The master with that number; empty: there is none (any more).
Ref<Master> find_master(int number) {
    return table.with([&](Table& all) {
        const auto found = all.masters.find(number);
        return found != all.masters.end() && found->try_add_owner() ? Ref<Master>::adopt(&*found)
                                                                    : Ref<Master>();
    });
}

Outcome<Ref<OpenFile>> open_slave(const Master& master, const Location& here, std::uint32_t flags) {
    if (master.is_locked.load(std::memory_order_acquire)) {
        return fail(Errno::eio);
    }
    return open_terminal(here, flags, master.terminal());
}

// Set once, when it is mounted.
constinit Mount* devpts = nullptr;  // owned
constinit std::uint64_t devpts_device = 0;

/// /dev/pts/N, made up when it is looked for.
class SlaveNode final : public SyntheticNode {
  public:
    explicit SlaveNode(int number)
        : SyntheticNode(NodeType::character_device, {.device = devpts_device,
                                                     .number = static_cast<std::uint64_t>(number) + 3,
                                                     .mode = 0,
                                                     .magic = DEVPTS_SUPER_MAGIC}),
          number_(number) {}

    Attributes attributes() override {
        Attributes found = SyntheticNode::attributes();
        found.special = {slave_major, static_cast<std::uint32_t>(number_)};
        if (const Ref<Master> master = find_master(number_)) {
            found.user = master->user.load(std::memory_order_relaxed);
            found.group = master->group.load(std::memory_order_relaxed);
            found.mode = master->mode.load(std::memory_order_relaxed);
        }
        return found;
    }

    Outcome<> change(const AttributeChange& change) override {
        const Ref<Master> master = find_master(number_);
        if (!master) {
            return fail(Errno::eio);
        }
        if (change.user) {
            master->user.store(*change.user, std::memory_order_relaxed);
        }
        if (change.group) {
            master->group.store(*change.group, std::memory_order_relaxed);
        }
        if (change.mode) {
            master->mode.store(*change.mode, std::memory_order_relaxed);
        }
        return {};
    }

    bool place(Name& name, Ref<Node>& directory) override {
        // Gone with its master.
        return find_master(number_) && SyntheticNode::place(name, directory);
    }

    Outcome<Ref<OpenFile>> open(const Location& here, std::uint32_t flags) override {
        const Ref<Master> master = find_master(number_);
        if (!master) {
            return fail(Errno::enxio);
        }
        return open_slave(*master, here, flags);
    }

  private:
    const int number_;
};

class Root final : public SyntheticDirectory {
  public:
    explicit Root(std::uint64_t device)
        : SyntheticDirectory({.device = device, .number = 1, .mode = 0755, .magic = DEVPTS_SUPER_MAGIC}) {}

    Outcome<Ref<SyntheticNode>> find(std::string_view name) override {
        const int number = number_of_name(name);
        if (number < 0 || !find_master(number)) {
            return fail(Errno::enoent);
        }
        return make_synthetic<SlaveNode>(number);
    }

  protected:
    bool next(std::uint64_t from, Found& found) override {
        const int number = table.with([&](Table& all) {
            const auto first = all.masters.lower_bound(
                static_cast<int>(std::min<std::uint64_t>(from, static_cast<std::uint64_t>(pty_count_max))));
            return first == all.masters.end() ? -1 : first->number;
        });
        if (number < 0) {
            return false;
        }
        std::array<char, 12> room;
        found = {Name(format::to(room, "{}", number)), static_cast<std::uint64_t>(number) + 3,
                 NodeType::character_device, static_cast<std::uint64_t>(number)};
        return true;
    }
};

Master::~Master() {
    if (number >= 0) {
        table.with([&](Table& all) { all.masters.erase(all.masters.iterator_to(*this)); });
    }
    if (terminal_) {
        terminal_->hang_up();
    }
}

Outcome<> Master::begin() {
    output_ = Ref<Output>::adopt(new (std::nothrow) Output);
    if (!output_) {
        return fail(Errno::enomem);
    }
    const bool entered = table.with([&](Table& all) {
        // The lowest number that is free.
        int lowest = 0;
        for (const Master& other : all.masters) {
            if (other.number != lowest) {
                break;
            }
            ++lowest;
        }
        if (lowest >= pty_count_max) {
            return false;
        }
        number = lowest;
        all.masters.insert(*this);
        return true;
    });
    if (!entered) {
        return fail(Errno::enospc);
    }
    // Locked until the caller has it: nobody opens the other side before this is done.
    terminal_ = Ref<Terminal>::adopt(
        new (std::nothrow) Terminal(*output_, {slave_major, static_cast<std::uint32_t>(number)}, output_));
    return terminal_ ? Outcome<>() : fail(Errno::enomem);
}

Outcome<std::size_t> Master::do_read(std::uint64_t&, Target& target) {
    if (target.left() == 0) {
        return std::size_t{0};
    }
    std::array<char, 512> room;
    std::size_t done = 0;
    // Of packet mode: the first byte of what is read.
    const auto put_byte = [&](std::uint8_t byte) { return target.put(bytes_of(byte)); };
    const bool packets = output_->has_packets();
    while (true) {
        if (packets && done == 0) {
            if (const std::uint8_t changes = output_->take_changes(); changes != 0) {
                return put_byte(changes);
            }
            if (output_->filled() != 0) {
                done = PV_TRY(put_byte(0));
                if (target.left() == 0) {
                    return done;
                }
            }
        }
        const std::size_t count = output_->take(std::span(room).first(std::min(room.size(), target.left())));
        if (count != 0) {
            const Outcome<std::size_t> put = target.put(std::as_bytes(std::span(room).first(count)));
            terminal_->room_again();
            if (!put) {
                return done != 0 ? Outcome<std::size_t>(done) : put;
            }
            done += *put;
            if (*put < count || target.left() == 0) {
                return done;
            }
            continue;
        }
        if (done != 0) {
            return done;
        }
        if (output_->is_closed()) {
            return fail(Errno::eio);
        }
        if (is_nonblocking()) {
            return fail(Errno::eagain);
        }
        PV_TRY(wait(output_->changed_queue, [&] {
            return output_->filled() != 0 || output_->is_closed() || (packets && output_->has_changes());
        }));
    }
}

Outcome<std::size_t> Master::do_write(std::uint64_t&, bool, Source& source) {
    std::size_t done = 0;
    while (source.left() != 0) {
        std::array<char, 256> room;
        const Outcome<std::size_t> taken =
            source.take(std::as_writable_bytes(std::span(room).first(std::min(room.size(), source.left()))));
        if (!taken || *taken == 0) {
            return done != 0 || taken ? Outcome<std::size_t>(done) : taken;
        }
        std::span<const char> text = std::span(room).first(*taken);
        while (!text.empty()) {
            const std::size_t count = terminal_->offer(text);
            text = text.subspan(count);
            done += count;
            if (text.empty() || count != 0) {
                continue;
            }
            if (is_nonblocking()) {
                return done != 0 ? Outcome<std::size_t>(done) : fail(Errno::eagain);
            }
            const Outcome<> waited = wait(output_->changed_queue, [&] { return terminal_->has_room(); });
            if (!waited) {
                return done != 0 ? Outcome<std::size_t>(done) : fail(waited.error());
            }
        }
    }
    return done;
}

std::uint32_t Master::poll(Watcher* watcher) {
    if (watcher != nullptr) {
        output_->poll_queue.add(*watcher);
    }
    return (output_->filled() != 0 ? poll_event::readable : 0U) |
           (output_->has_changes() ? poll_event::readable | poll_event::priority : 0U) |
           (output_->is_closed() ? poll_event::hang_up : 0U) |
           (terminal_->has_room() ? poll_event::writable : 0U);
}

Outcome<std::uint64_t> Master::ioctl(std::uint32_t request, IoctlArgument& argument) {
    std::int32_t value = 0;
    switch (request) {
        case TIOCGPTN:
            value = number;
            break;
        case TIOCSPTLCK:
            PV_TRY(argument.read(writable_bytes_of(value)));
            is_locked.store(value != 0, std::memory_order_release);
            return 0;
        case TIOCGPTLCK:
            value = is_locked.load(std::memory_order_acquire) ? 1 : 0;
            break;
        case TIOCPKT:
            PV_TRY(argument.read(writable_bytes_of(value)));
            output_->set_packets(value != 0);
            return 0;
        case TIOCGPKT:
            value = output_->has_packets() ? 1 : 0;
            break;
        // The master's own queues: what is shown; what is typed is the terminal's at once.
        case TCFLSH:
            if (argument.value() > TCIOFLUSH) {
                return fail(Errno::einval);
            }
            if (argument.value() != TCOFLUSH) {
                output_->clear();
                terminal_->room_again();
            }
            return 0;
        case TIOCINQ:
            value = static_cast<std::int32_t>(output_->filled());
            break;
        // Of the other side, whoever asks.
        case TIOCGPGRP:
            value = terminal_->foreground();
            break;
        case TIOCGSID:
            value = terminal_->session();
            if (value == 0) {
                return fail(Errno::enotty);
            }
            break;
        default:
            return terminal_->ioctl(request, argument);
    }
    PV_TRY(argument.write(bytes_of(value)));
    return 0;
}

}  // namespace

Outcome<Ref<OpenFile>> open_pty_master(const Location& here, std::uint32_t flags) {
    auto master = Ref<Master>::adopt(new (std::nothrow) Master(here, flags));
    if (!master) {
        return fail(Errno::enomem);
    }
    PV_TRY(master->begin());
    return Ref<OpenFile>(std::move(master));
}

Outcome<Ref<OpenFile>> open_pty_peer(OpenFile& file, std::uint32_t flags) {
    if (file.kind() != FileKind::pty_master || devpts == nullptr) {
        return fail(Errno::enotty);
    }
    auto& master = static_cast<Master&>(file);
    std::array<char, 12> room;
    const std::string_view name = format::to(room, "{}", master.number);
    Ref<Node> slave = PV_TRY(devpts->root().lookup(name));
    return open_slave(master, Location{Ref<Mount>(*devpts), std::move(slave)}, flags);
}

Outcome<Ref<Node>> devpts_root() {
    return devpts == nullptr ? Outcome<Ref<Node>>(fail(Errno::enodev)) : Ref<Node>(devpts->root());
}

Outcome<> mount_devpts(const Location& at) {
    devpts_device = next_anonymous_device();
    Ref<SyntheticNode> root = PV_TRY(make_synthetic<Root>(devpts_device));
    devpts = PV_TRY(mount(at, Ref<Node>(std::move(root)), "devpts", "devpts",
                          {.no_set_id = true, .no_execute = true}))
                 .release();
    return {};
}

}  // namespace pv::fs
