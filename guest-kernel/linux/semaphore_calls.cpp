// Calls on System V semaphores: semget and its kin.
// SPDX-License-Identifier: MIT
#include <asm/unistd.h>
#include <sys/sem.h>

#include "linux/ipc_view.hpp"
#include "linux/semaphore_set.hpp"
#include "linux/table.hpp"
#include "linux/time_values.hpp"

namespace pv::linux {
namespace {

Value semget(Call& call, key_t key, int count, int flags) {
    if (count < 0 || count > semaphore_limit::in_set) {
        return fail(Errno::einval);
    }
    const auto fits = [&](const SemaphoreSet& set) -> Outcome<> {
        return count > set.count() ? Outcome<>(fail(Errno::einval)) : Outcome<>();
    };
    const auto make = [&] { return SemaphoreSet::create(count); };
    return static_cast<std::uint64_t>(PV_TRY(semaphore_sets.get(call, key, flags, fits, make)));
}

// The caller's list of what its end undoes, made when it is first wanted.
Outcome<UndoList*> undo_list(Call& call) {
    task::Process& process = call.process();
    const auto found = [&] { return static_cast<UndoList*>(process.undone_at_end.get()); };
    {
        const task::SpinGuard guard(task::tree_lock());
        if (found() != nullptr) {
            return found();
        }
    }
    Ref<UndoList> made = PV_TRY(UndoList::create());
    const task::SpinGuard guard(task::tree_lock());
    if (found() == nullptr) {
        process.undone_at_end = Ref<RefCounted>(std::move(made));
    }
    return found();
}

Value operate(Call& call, int number, UserPointer<const sembuf> operations, std::uint64_t count,
              UserPointer<const timespec> timeout) {
    timespec span{};
    if (!timeout.is_null()) {
        span = PV_TRY(timeout.read());
    }
    if (count == 0 || number < 0) {
        return fail(Errno::einval);
    }
    if (count > semaphore_limit::operations) {
        return fail(Errno::e2big);
    }
    std::array<sembuf, 16> few{};
    std::unique_ptr<sembuf[]> many;
    std::span<sembuf> all = std::span(few).first(std::min<std::size_t>(count, few.size()));
    if (count > few.size()) {
        many.reset(new (std::nothrow) sembuf[count]);
        if (many == nullptr) {
            return fail(Errno::enomem);
        }
        all = {many.get(), count};
    }
    PV_TRY(copy_in(std::as_writable_bytes(all), operations.address()));
    const Deadline deadline = timeout.is_null()
                                  ? Deadline::never("a program waits for a semaphore; a signal ends it")
                                  : PV_TRY(deadline_after(span));
    bool alters = false;
    bool undoes = false;
    int highest = 0;
    for (const sembuf& operation : all) {
        alters = alters || operation.sem_op != 0;
        undoes = undoes || (operation.sem_flg & SEM_UNDO) != 0;
        highest = std::max<int>(highest, operation.sem_num);
    }
    const auto set = PV_TRY(semaphore_sets.find(number));
    if (highest >= set->count()) {
        return fail(Errno::efbig);
    }
    if (!ipc::may(call, semaphore_sets.permission(*set), alters ? ipc::writing : ipc::reading)) {
        return fail(Errno::eacces);
    }
    UndoList* const undo = undoes ? PV_TRY(undo_list(call)) : nullptr;
    return done(set->operate(all, call.process().id, undo, deadline));
}

Value semop(Call& call, int number, UserPointer<const sembuf> operations, std::uint64_t count) {
    return operate(call, number, operations, count, {});
}

Value semtimedop(Call& call, int number, UserPointer<const sembuf> operations, std::uint64_t count,
                 UserPointer<const timespec> timeout) {
    return operate(call, number, operations, count, timeout);
}

semid_ds value_of(SemaphoreSet& set) {
    semid_ds value{};
    value.sem_perm = ipc::value_of(semaphore_sets.permission(set));
    value.sem_otime = set.operated().seconds;
    value.sem_ctime = semaphore_sets.changed(set).seconds;
    value.sem_nsems = static_cast<unsigned long>(set.count());
    return value;
}

Value tell_limits(UserPointer<seminfo> result, bool tells_use) {
    seminfo value{};
    value.semmap = value.semmns = value.semmnu = semaphore_count_max;
    value.semmni = ipc::Objects<SemaphoreSet>::count_max;
    value.semmsl = semaphore_limit::in_set;
    value.semopm = value.semume = semaphore_limit::operations;
    value.semusz = tells_use ? static_cast<int>(semaphore_sets.count()) : 20;
    value.semvmx = semaphore_limit::value;
    value.semaem = tells_use ? static_cast<int>(semaphore_count()) : semaphore_limit::value;
    PV_TRY(result.write(value));
    return semaphore_sets.highest();
}

Outcome<std::unique_ptr<std::uint16_t[]>> room_for(const SemaphoreSet& set) {
    std::unique_ptr<std::uint16_t[]> room(new (std::nothrow)
                                              std::uint16_t[static_cast<std::size_t>(set.count())]);
    if (room == nullptr) {
        return fail(Errno::enomem);
    }
    return room;
}

Value get_all(SemaphoreSet& set, UserAddress to) {
    const auto room = PV_TRY(room_for(set));
    const std::span<std::uint16_t> values(room.get(), static_cast<std::size_t>(set.count()));
    PV_TRY(set.values(values));
    return done(copy_out(to, std::as_bytes(values)));
}

Value set_all(Call& call, SemaphoreSet& set, UserAddress from) {
    const auto room = PV_TRY(room_for(set));
    const std::span<std::uint16_t> values(room.get(), static_cast<std::size_t>(set.count()));
    PV_TRY(copy_in(std::as_writable_bytes(values), from));
    if (std::ranges::any_of(values, [](int value) { return value > semaphore_limit::value; })) {
        return fail(Errno::erange);
    }
    PV_TRY(set.set(0, values, call.process().id));
    semaphore_sets.touch(set);
    return 0;
}

Value set_one(Call& call, int number, int index, int value) {
    if (value < 0 || value > semaphore_limit::value) {
        return fail(Errno::erange);
    }
    const auto set = PV_TRY(semaphore_sets.find(number));
    if (index < 0 || index >= set->count()) {
        return fail(Errno::einval);
    }
    if (!ipc::may(call, semaphore_sets.permission(*set), ipc::writing)) {
        return fail(Errno::eacces);
    }
    const std::uint16_t wanted[] = {static_cast<std::uint16_t>(value)};
    PV_TRY(set->set(static_cast<std::size_t>(index), wanted, call.process().id));
    semaphore_sets.touch(*set);
    return 0;
}

// What is asked of one semaphore.
Value get_one(Call& call, int number, int index, int command) {
    const auto set = PV_TRY(semaphore_sets.find(call, number, ipc::reading));
    const SemaphoreFacts facts = PV_TRY(set->look(index));
    switch (command) {
        case GETVAL:
            return facts.value;
        case GETPID:
            return static_cast<std::uint64_t>(facts.last);
        case GETNCNT:
            return facts.growing;
        default:
            return facts.emptying;
    }
}

Value semctl(Call& call, int number, int index, int command, std::uint64_t argument) {
    if (number < 0) {
        return fail(Errno::einval);
    }
    const UserPointer<semid_ds> facts(argument);
    switch (command) {
        case IPC_INFO:
        case SEM_INFO:
            return tell_limits(UserPointer<seminfo>(argument), command == SEM_INFO);
        case IPC_STAT:
            return done(facts.write(value_of(*PV_TRY(semaphore_sets.find(call, number, ipc::reading)))));
        case SEM_STAT:
        case SEM_STAT_ANY: {
            const auto set = PV_TRY(semaphore_sets.find_at(number));
            if (command == SEM_STAT && !ipc::may(call, semaphore_sets.permission(*set), ipc::reading)) {
                return fail(Errno::eacces);
            }
            PV_TRY(facts.write(value_of(*set)));
            return static_cast<std::uint64_t>(set->number());
        }
        case GETVAL:
        case GETPID:
        case GETNCNT:
        case GETZCNT:
            return get_one(call, number, index, command);
        case GETALL:
            return get_all(*PV_TRY(semaphore_sets.find(call, number, ipc::reading)), UserAddress(argument));
        case SETALL:
            return set_all(call, *PV_TRY(semaphore_sets.find(call, number, ipc::writing)),
                           UserAddress(argument));
        case SETVAL:
            return set_one(call, number, index, static_cast<int>(argument));
        case IPC_SET: {
            const semid_ds wanted = PV_TRY(facts.read());
            const auto set = PV_TRY(semaphore_sets.find(number));
            return done(semaphore_sets.set(call, *set,
                                           {wanted.sem_perm.uid, wanted.sem_perm.gid, wanted.sem_perm.mode}));
        }
        case IPC_RMID: {
            const auto set = PV_TRY(semaphore_sets.find(number));
            PV_TRY(semaphore_sets.remove(call, *set));
            set->end();
            return 0;
        }
        default:
            return fail(Errno::einval);
    }
}

constexpr Entry entries[] = {
    {__NR_semget, "semget", handler_of<semget>, Support::partial,
     "at most 4,096 sets and 256,000 semaphores in all (ENOSPC)"},
    {__NR_semop, "semop", handler_of<semop>, Support::full, {}, Restart::no},
    {__NR_semtimedop, "semtimedop", handler_of<semtimedop>, Support::full, {}, Restart::no},
    {__NR_semctl, "semctl", handler_of<semctl>},
};

}  // namespace

void write_semaphores(fs::Text& text) {
    text.append("       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n");
    semaphore_sets.for_each([&](const Ref<SemaphoreSet>& set) {
        const semid_ds value = value_of(*set);
        ipc::write_head(text, value.sem_perm, set->number());
        text.add(" {:>10}", value.sem_nsems);
        ipc::write_users(text, value.sem_perm);
        text.add(" {:>10} {:>10}\n", value.sem_otime, value.sem_ctime);
    });
}

constinit const std::span<const Entry> semaphore_calls = entries;

}  // namespace pv::linux
