// System V message queues: sending and receiving.
// SPDX-License-Identifier: MIT
#include "linux/message_queue.hpp"

#include <new>

#include "memory/frames.hpp"

namespace pv::linux {
namespace {

/// They stay when no process is left, so they are bounded.
constinit Atomic<std::uint64_t> taken_by_all{0};
constinit Atomic<std::uint64_t> messages_of_all{0};
constinit Atomic<std::uint64_t> bytes_of_all{0};

bool take(std::uint64_t more) {
    const std::uint64_t most = memory::frame_statistics().total * page_size / 16;
    std::uint64_t before = taken_by_all.load(std::memory_order_relaxed);
    do {
        if (before > most || more > most - before) {
            return false;
        }
    } while (!taken_by_all.compare_exchange_weak(before, before + more, std::memory_order_relaxed,
                                                 std::memory_order_relaxed));
    return true;
}

}  // namespace

constinit ipc::Objects<MessageQueue> message_queues;

MessageTotals message_totals() {
    return {messages_of_all.load(std::memory_order_relaxed), bytes_of_all.load(std::memory_order_relaxed)};
}

Outcome<std::unique_ptr<QueuedMessage>> QueuedMessage::create(long type, std::size_t size) {
    std::unique_ptr<QueuedMessage> message(new (std::nothrow) QueuedMessage);
    const std::uint64_t whole = sizeof(QueuedMessage) + size;
    if (message == nullptr || !take(whole)) {
        return fail(Errno::enomem);
    }
    message->counted = whole;
    message->type = type;
    message->size = size;
    message->data.reset(size == 0 ? nullptr : new (std::nothrow) std::byte[size]);
    if (size != 0 && message->data == nullptr) {
        return fail(Errno::enomem);
    }
    return message;
}

QueuedMessage::~QueuedMessage() {
    taken_by_all.fetch_sub(counted, std::memory_order_relaxed);
}

Outcome<Ref<MessageQueue>> MessageQueue::create() {
    auto queue = Ref<MessageQueue>::adopt(new (std::nothrow) MessageQueue);
    if (queue == nullptr) {
        return fail(Errno::enomem);
    }
    return queue;
}

MessageQueue::~MessageQueue() {
    end();
}

bool MessageQueue::suits(const MessageWish& wish, const QueuedMessage& message) {
    switch (wish.which) {
        case MessageWish::Which::first:
            return true;
        case MessageWish::Which::of_type:
            return message.type == wish.type;
        case MessageWish::Which::of_others:
            return message.type != wish.type;
        case MessageWish::Which::lowest:
            return message.type <= wish.type;
        case MessageWish::Which::at_place:
            return false;  // it never waits for one
    }
    return false;
}

MessageQueue::Messages::iterator MessageQueue::find(const MessageWish& wish) {
    auto best = messages_.end();
    long place = 0;
    for (auto at = messages_.begin(); at != messages_.end(); ++at, ++place) {
        if (wish.which == MessageWish::Which::at_place ? place == wish.type : suits(wish, *at)) {
            if (wish.which != MessageWish::Which::lowest) {
                return at;
            }
            best = best == messages_.end() || at->type < best->type ? at : best;
        }
    }
    return best;
}

void MessageQueue::finish(Receiver& receiver, Errno error) {
    receiver.error = error;
    receiver.is_done.store(true, std::memory_order_release);
    receiver.queue.wake_one();
}

bool MessageQueue::hand_over(std::unique_ptr<QueuedMessage>& message, int process) {
    for (auto at = receivers_.begin(); at != receivers_.end();) {
        Receiver& receiver = *at;
        if (!suits(receiver.wish, *message)) {
            ++at;
            continue;
        }
        at = receivers_.erase(at);
        if (message->size > receiver.wish.room && !receiver.wish.may_cut) {
            finish(receiver, Errno::e2big);  // it stays, for the next one
            continue;
        }
        facts_.last_sender = process;
        facts_.last_receiver = receiver.process;
        facts_.sent = facts_.received = wall_time();
        receiver.message = std::move(message);
        finish(receiver, Errno{});
        return true;
    }
    return false;
}

Outcome<> MessageQueue::check(FunctionRef<bool()> may_still) const {
    if (has_ended_) {
        return fail(Errno::eidrm);
    }
    return may_still() ? Outcome<>() : fail(Errno::eacces);
}

Outcome<> MessageQueue::send(std::unique_ptr<QueuedMessage>& message, int process, bool waits,
                             FunctionRef<bool()> may_still) {
    fs::MutexGuard guard(lock_);
    while (true) {
        PV_TRY(check(may_still));
        // Those without bytes are bounded, too.
        if (message->size + facts_.bytes <= facts_.most_bytes && facts_.count + 1 <= facts_.most_bytes) {
            break;
        }
        if (!waits) {
            return fail(Errno::eagain);
        }
        const std::uint64_t seen = drained_.load(std::memory_order_relaxed);
        guard.unlock();
        const Outcome<> waited =
            fs::wait(senders_, Deadline::never("a program waits for room in a queue; a signal ends it"),
                     [&] { return drained_.load(std::memory_order_acquire) != seen; });
        guard.lock();
        if (!waited) {
            return has_ended_ ? fail(Errno::eidrm) : waited;
        }
    }
    if (hand_over(message, process)) {
        return {};
    }
    facts_.last_sender = process;
    facts_.sent = wall_time();
    facts_.bytes += message->size;
    ++facts_.count;
    bytes_of_all.fetch_add(message->size, std::memory_order_relaxed);
    messages_of_all.fetch_add(1, std::memory_order_relaxed);
    messages_.push_back(*message.release());
    return {};
}

void MessageQueue::take_out(Messages::iterator at, std::unique_ptr<QueuedMessage>& message, int process) {
    message.reset(&*at);
    messages_.erase(at);
    facts_.last_receiver = process;
    facts_.received = wall_time();
    facts_.bytes -= message->size;
    --facts_.count;
    bytes_of_all.fetch_sub(message->size, std::memory_order_relaxed);
    messages_of_all.fetch_sub(1, std::memory_order_relaxed);
    drained_.fetch_add(1, std::memory_order_release);
    senders_.wake_all();
}

Outcome<std::unique_ptr<QueuedMessage>> MessageQueue::receive(const MessageWish& wish, int process,
                                                              FunctionRef<bool()> may_still) {
    fs::MutexGuard guard(lock_);
    while (true) {
        PV_TRY(check(may_still));
        std::unique_ptr<QueuedMessage> message;
        if (const auto found = find(wish); found != messages_.end()) {
            if (found->size > wish.room && !wish.may_cut) {
                return fail(Errno::e2big);
            }
            if (wish.which == MessageWish::Which::at_place) {
                if (found->size > wish.room) {
                    return fail(Errno::einval);  // no copy is cut
                }
                message = PV_TRY(QueuedMessage::create(found->type, found->size));
                std::ranges::copy(found->bytes(), message->bytes().begin());
                return message;
            }
            take_out(found, message, process);
            return message;
        }
        if (!wish.waits) {
            return fail(Errno::enomsg);
        }
        Receiver receiver;
        receiver.wish = wish;
        receiver.process = process;
        receivers_.push_back(receiver);
        guard.unlock();
        const Outcome<> waited =
            fs::wait(receiver.queue, Deadline::never("a program waits for a message; a signal ends it"),
                     [&] { return receiver.is_done.load(std::memory_order_acquire); });
        // Whoever finishes it has let it go once the lock is free.
        guard.lock();
        if (!receiver.is_done.load(std::memory_order_relaxed)) {
            receivers_.erase(Receivers::s_iterator_to(receiver));
            return fail(waited ? Errno::eintr : waited.error());
        }
        if (receiver.message != nullptr) {
            return std::move(receiver.message);
        }
        if (receiver.error != Errno::eagain) {
            return fail(receiver.error);
        }
    }
}

void MessageQueue::changed() {
    const fs::MutexGuard guard(lock_);
    receivers_.clear_and_dispose([](Receiver* receiver) { finish(*receiver, Errno::eagain); });
    drained_.fetch_add(1, std::memory_order_release);
    senders_.wake_all();
}

void MessageQueue::set_most_bytes(std::uint64_t bytes) {
    const fs::MutexGuard guard(lock_);
    facts_.most_bytes = bytes;
}

void MessageQueue::end() {
    const fs::MutexGuard guard(lock_);
    has_ended_ = true;
    receivers_.clear_and_dispose([](Receiver* receiver) { finish(*receiver, Errno::eidrm); });
    drained_.fetch_add(1, std::memory_order_release);
    senders_.wake_all();
    bytes_of_all.fetch_sub(facts_.bytes, std::memory_order_relaxed);
    messages_of_all.fetch_sub(facts_.count, std::memory_order_relaxed);
    facts_.bytes = facts_.count = 0;
    messages_.clear_and_dispose([](QueuedMessage* message) { delete message; });
}

QueueFacts MessageQueue::facts() {
    const fs::MutexGuard guard(lock_);
    return facts_;
}

}  // namespace pv::linux
