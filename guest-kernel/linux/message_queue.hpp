// System V message queues: what waits in one, and who waits for it.
// SPDX-License-Identifier: MIT
#pragma once

#include <sys/msg.h>

#include <boost/intrusive/list.hpp>
#include <memory>
#include <span>

#include "fs/wait.hpp"
#include "linux/ipc_objects.hpp"

namespace pv::linux {

namespace queue_limit {
inline constexpr std::size_t message = 8192;   ///< bytes of one
inline constexpr std::uint64_t queue = 16384;  ///< bytes of all in one, as it is made
}  // namespace queue_limit

using MessageHook =
    boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::normal_link>>;

struct QueuedMessage : MessageHook {
    /// Error: enomem; all queues together have a sixteenth of the memory.
    [[nodiscard]] static Outcome<std::unique_ptr<QueuedMessage>> create(long type, std::size_t size);

    QueuedMessage() = default;
    QueuedMessage(const QueuedMessage&) = delete;
    QueuedMessage& operator=(const QueuedMessage&) = delete;
    ~QueuedMessage();

    [[nodiscard]] std::span<std::byte> bytes() const { return {data.get(), size}; }

    long type = 0;
    std::size_t size = 0;
    std::uint64_t counted = 0;  ///< of what all queues have
    std::unique_ptr<std::byte[]> data;
};

/// What msgrcv(2) asks for.
struct MessageWish {
    enum class Which : std::uint8_t {
        first,
        of_type,
        of_others,  ///< the first that is of another type
        lowest,     ///< the first of the lowest type up to `type`
        at_place,   ///< the one at that place, which stays
    };

    Which which = Which::first;
    long type = 0;
    std::size_t room = 0;
    bool may_cut = false;
    bool waits = true;
};

struct QueueFacts {
    Timestamp sent{}, received{};
    std::uint64_t bytes = 0, count = 0, most_bytes = 0;
    int last_sender = 0, last_receiver = 0;
};

class MessageQueue final : public RefCounted, public ipc::Object {
  public:
    /// Error: enomem.
    [[nodiscard]] static Outcome<Ref<MessageQueue>> create();

    /// msgsnd(2). `may_still`: asked each time before it is tried. Errors: eagain, eidrm, eintr; its own.
    [[nodiscard]] Outcome<> send(std::unique_ptr<QueuedMessage>& message, int process, bool waits,
                                 FunctionRef<bool()> may_still);
    /// msgrcv(2). Errors: enomsg, e2big, eidrm, eintr, eacces, enomem.
    [[nodiscard]] Outcome<std::unique_ptr<QueuedMessage>> receive(const MessageWish& wish, int process,
                                                                  FunctionRef<bool()> may_still);
    /// Whoever waits looks again whether it still may.
    void changed();
    void set_most_bytes(std::uint64_t bytes);
    /// It is out of its table: who waits is told so.
    void end();
    [[nodiscard]] QueueFacts facts();

  private:
    /// A receiver that waits, on its own stack.
    struct Receiver : MessageHook {
        MessageWish wish;
        int process = 0;
        std::unique_ptr<QueuedMessage> message;
        Errno error{};
        Atomic<bool> is_done{false};
        task::WaitQueue queue;
    };

    using Messages = boost::intrusive::list<QueuedMessage, boost::intrusive::constant_time_size<false>>;
    using Receivers = boost::intrusive::list<Receiver, boost::intrusive::constant_time_size<false>>;

    MessageQueue() = default;
    ~MessageQueue() override;

    // With the lock held, all of these.

    /// Whether it is there, and the caller may use it still. Errors: eidrm, eacces.
    [[nodiscard]] Outcome<> check(FunctionRef<bool()> may_still) const;
    [[nodiscard]] static bool suits(const MessageWish& wish, const QueuedMessage& message);
    [[nodiscard]] Messages::iterator find(const MessageWish& wish);
    /// True where somebody took it, or nobody but its receiver may have it.
    [[nodiscard]] bool hand_over(std::unique_ptr<QueuedMessage>& message, int process);
    void take_out(Messages::iterator at, std::unique_ptr<QueuedMessage>& message, int process);
    static void finish(Receiver& receiver, Errno error);

    task::Mutex lock_{task::Rank::ipc_contents};
    bool has_ended_ = false;  ///< guarded by the lock, as all below
    QueueFacts facts_{.most_bytes = queue_limit::queue};
    Messages messages_;
    Receivers receivers_;
    /// Counts what may let a sender go on.
    Atomic<std::uint64_t> drained_{0};
    task::WaitQueue senders_;
};

/// All of them.
extern ipc::Objects<MessageQueue> message_queues;

struct MessageTotals {
    std::uint64_t count = 0, bytes = 0;
};

[[nodiscard]] MessageTotals message_totals();

}  // namespace pv::linux
