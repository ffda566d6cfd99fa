// Calls on System V message queues: msgget and its kin.
// SPDX-License-Identifier: MIT
#include <asm/unistd.h>
#include <sys/msg.h>

#include <limits>

#include "linux/ipc_view.hpp"
#include "linux/message_queue.hpp"
#include "linux/table.hpp"

namespace pv::linux {
namespace {

Value msgget(Call& call, key_t key, int flags) {
    const auto fits = [](const MessageQueue&) -> Outcome<> { return {}; };
    return static_cast<std::uint64_t>(
        PV_TRY(message_queues.get(call, key, flags, fits, [] { return MessageQueue::create(); })));
}

Value msgsnd(Call& call, int number, UserAddress from, std::uint64_t size, int flags) {
    const long type = PV_TRY(UserPointer<const long>(from.value()).read());
    if (size > queue_limit::message || number < 0 || type < 1) {
        return fail(Errno::einval);
    }
    auto message = PV_TRY(QueuedMessage::create(type, size));
    PV_TRY(copy_in(message->bytes(), from + sizeof type));
    const auto queue = PV_TRY(message_queues.find(number));
    return done(queue->send(message, call.process().id, (flags & IPC_NOWAIT) == 0,
                            [&] { return ipc::may(call, message_queues.permission(*queue), ipc::writing); }));
}

Outcome<MessageWish> wish_of(std::uint64_t size, long type, int flags) {
    MessageWish wish{.type = type,
                     .room = size,
                     .may_cut = (flags & MSG_NOERROR) != 0,
                     .waits = (flags & IPC_NOWAIT) == 0};
    if ((flags & MSG_COPY) != 0) {
        if ((flags & MSG_EXCEPT) != 0 || wish.waits) {
            return fail(Errno::einval);
        }
        wish.which = MessageWish::Which::at_place;
    } else if (type < 0) {
        wish.which = MessageWish::Which::lowest;
        wish.type = type == std::numeric_limits<long>::min() ? std::numeric_limits<long>::max() : -type;
    } else if (type > 0) {
        wish.which = (flags & MSG_EXCEPT) != 0 ? MessageWish::Which::of_others : MessageWish::Which::of_type;
    }
    return wish;
}

Value msgrcv(Call& call, int number, UserAddress to, std::uint64_t size, long type, int flags) {
    if (number < 0 || static_cast<std::int64_t>(size) < 0) {
        return fail(Errno::einval);
    }
    const MessageWish wish = PV_TRY(wish_of(size, type, flags));
    const auto queue = PV_TRY(message_queues.find(number));
    const auto message = PV_TRY(queue->receive(wish, call.process().id, [&] {
        return ipc::may(call, message_queues.permission(*queue), ipc::reading);
    }));
    PV_TRY(UserPointer<long>(to.value()).write(message->type));
    const std::size_t count = std::min<std::uint64_t>(size, message->size);
    PV_TRY(copy_out(to + sizeof(long), message->bytes().first(count)));
    return count;
}

msqid_ds value_of(MessageQueue& queue) {
    const QueueFacts facts = queue.facts();
    msqid_ds value{};
    value.msg_perm = ipc::value_of(message_queues.permission(queue));
    value.msg_stime = facts.sent.seconds;
    value.msg_rtime = facts.received.seconds;
    value.msg_ctime = message_queues.changed(queue).seconds;
    value.__msg_cbytes = facts.bytes;
    value.msg_qnum = facts.count;
    value.msg_qbytes = facts.most_bytes;
    value.msg_lspid = facts.last_sender;
    value.msg_lrpid = facts.last_receiver;
    return value;
}

Value tell_limits(UserPointer<msginfo> result, bool tells_use) {
    constexpr int queues = ipc::Objects<MessageQueue>::count_max;
    msginfo value{};
    value.msgmni = queues;
    value.msgmax = queue_limit::message;
    value.msgmnb = queue_limit::queue;
    value.msgssz = 16;
    value.msgseg = 0xffff;
    value.msgpool = static_cast<int>(queues * queue_limit::queue / 1024);
    value.msgmap = value.msgtql = queue_limit::queue;
    if (tells_use) {
        const MessageTotals totals = message_totals();
        value.msgpool = static_cast<int>(message_queues.count());
        value.msgmap = static_cast<int>(totals.count);
        value.msgtql = static_cast<int>(totals.bytes);
    }
    PV_TRY(result.write(value));
    return message_queues.highest();
}

Value set_queue(Call& call, int number, const msqid_ds& wanted) {
    const auto queue = PV_TRY(message_queues.find(number));
    if (!ipc::owns(call, message_queues.permission(*queue)) ||
        (wanted.msg_qbytes > queue_limit::queue && !call.thread.identity.has(Capability::sys_resource))) {
        return fail(Errno::eperm);
    }
    PV_TRY(
        message_queues.set(call, *queue, {wanted.msg_perm.uid, wanted.msg_perm.gid, wanted.msg_perm.mode}));
    queue->set_most_bytes(wanted.msg_qbytes);
    queue->changed();
    return 0;
}

Value msgctl(Call& call, int number, int command, std::uint64_t argument) {
    if (number < 0 || command < 0) {
        return fail(Errno::einval);
    }
    const UserPointer<msqid_ds> facts(argument);
    switch (command) {
        case IPC_INFO:
        case MSG_INFO:
            return tell_limits(UserPointer<msginfo>(argument), command == MSG_INFO);
        case IPC_STAT:
            return done(facts.write(value_of(*PV_TRY(message_queues.find(call, number, ipc::reading)))));
        case MSG_STAT:
        case MSG_STAT_ANY: {
            const auto queue = PV_TRY(message_queues.find_at(number));
            if (command == MSG_STAT && !ipc::may(call, message_queues.permission(*queue), ipc::reading)) {
                return fail(Errno::eacces);
            }
            PV_TRY(facts.write(value_of(*queue)));
            return static_cast<std::uint64_t>(queue->number());
        }
        case IPC_SET:
            return set_queue(call, number, PV_TRY(facts.read()));
        case IPC_RMID: {
            const auto queue = PV_TRY(message_queues.find(number));
            PV_TRY(message_queues.remove(call, *queue));
            queue->end();
            return 0;
        }
        default:
            return fail(Errno::einval);
    }
}

constexpr Entry entries[] = {
    {__NR_msgget, "msgget", handler_of<msgget>, Support::partial, "at most 4,096 queues (ENOSPC)"},
    {__NR_msgsnd, "msgsnd", handler_of<msgsnd>, Support::partial,
     "all queues together have a sixteenth of the memory (ENOMEM)", Restart::unless_handled},
    {__NR_msgrcv, "msgrcv", handler_of<msgrcv>, Support::full, {}, Restart::unless_handled},
    {__NR_msgctl, "msgctl", handler_of<msgctl>},
};

}  // namespace

void write_queues(fs::Text& text) {
    text.append(
        "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime   "
        "   rtime  "
        "    ctime\n");
    message_queues.for_each([&](const Ref<MessageQueue>& queue) {
        const msqid_ds value = value_of(*queue);
        ipc::write_head(text, value.msg_perm, queue->number());
        text.add("  {:>10} {:>10} {:>5} {:>5}", value.__msg_cbytes, value.msg_qnum, value.msg_lspid,
                 value.msg_lrpid);
        ipc::write_users(text, value.msg_perm);
        text.add(" {:>10} {:>10} {:>10}\n", value.msg_stime, value.msg_rtime, value.msg_ctime);
    });
}

constinit const std::span<const Entry> queue_calls = entries;

}  // namespace pv::linux
