// System V semaphores: operations on a set, all or nothing.
// SPDX-License-Identifier: MIT
#include "linux/semaphore_set.hpp"

#include <new>

namespace pv::linux {
namespace {

/// They stay when no process is left, so they are bounded.
constinit Atomic<std::uint32_t> count_of_all{0};

bool take_count(std::uint32_t more) {
    std::uint32_t before = count_of_all.load(std::memory_order_relaxed);
    do {
        if (more > semaphore_count_max - before) {
            return false;
        }
    } while (!count_of_all.compare_exchange_weak(before, before + more, std::memory_order_relaxed,
                                                 std::memory_order_relaxed));
    return true;
}

}  // namespace

constinit ipc::Objects<SemaphoreSet> semaphore_sets;

std::uint32_t semaphore_count() {
    return count_of_all.load(std::memory_order_relaxed);
}

Outcome<Ref<UndoList>> UndoList::create() {
    auto list = Ref<UndoList>::adopt(new (std::nothrow) UndoList);
    if (list == nullptr) {
        return fail(Errno::enomem);
    }
    return list;
}

Outcome<> UndoList::note(int set) {
    return sets_.with([&](Vector<int>& sets) -> Outcome<> {
        if (std::ranges::find(sets, set) != sets.end()) {
            return {};
        }
        return as_outcome(sets.push_back(set));
    });
}

UndoList::~UndoList() {
    const task::UserThread* self = task::UserThread::current_or_null();
    for (const int number : sets_.unguarded()) {
        if (const auto set = semaphore_sets.find(number)) {
            (*set)->undo(*this, self == nullptr ? 0 : self->process().id);
        }
    }
}

Outcome<Ref<SemaphoreSet>> SemaphoreSet::create(int count) {
    if (count <= 0 || count > semaphore_limit::in_set) {
        return fail(Errno::einval);
    }
    const auto size = static_cast<std::size_t>(count);
    if (!take_count(static_cast<std::uint32_t>(size))) {
        return fail(Errno::enospc);
    }
    std::unique_ptr<Semaphore[]> semaphores(new (std::nothrow) Semaphore[size]);
    if (semaphores == nullptr) {
        count_of_all.fetch_sub(static_cast<std::uint32_t>(size), std::memory_order_relaxed);
        return fail(Errno::enomem);
    }
    auto set = Ref<SemaphoreSet>::adopt(new (std::nothrow) SemaphoreSet(std::move(semaphores), size));
    if (set == nullptr) {
        count_of_all.fetch_sub(static_cast<std::uint32_t>(size), std::memory_order_relaxed);
        return fail(Errno::enomem);
    }
    return set;
}

SemaphoreSet::~SemaphoreSet() {
    undo_.clear_and_dispose([](Undo* record) { delete record; });
    count_of_all.fetch_sub(static_cast<std::uint32_t>(count_), std::memory_order_relaxed);
}

Outcome<bool> SemaphoreSet::try_now(Waiting& call) {
    // How many of them were done, and are taken back where one cannot be.
    std::size_t done = 0;
    Outcome<bool> result = true;
    for (const sembuf& operation : call.operations) {
        Semaphore& semaphore = semaphores_[operation.sem_num];
        const int value = semaphore.value + operation.sem_op;
        const bool must_wait = operation.sem_op == 0 ? semaphore.value != 0 : value < 0;
        if (must_wait) {
            call.stopped_at = &operation;
            result = (operation.sem_flg & IPC_NOWAIT) != 0 ? Outcome<bool>(fail(Errno::eagain)) : false;
            break;
        }
        if (value > semaphore_limit::value) {
            result = fail(Errno::erange);
            break;
        }
        if ((operation.sem_flg & SEM_UNDO) != 0) {
            const int amount = call.undo->amounts[operation.sem_num] - operation.sem_op;
            if (amount < -semaphore_limit::value - 1 || amount > semaphore_limit::value) {
                result = fail(Errno::erange);
                break;
            }
            call.undo->amounts[operation.sem_num] = static_cast<std::int16_t>(amount);
        }
        semaphore.value = static_cast<std::uint16_t>(value);
        ++done;
    }
    const bool is_whole = result && *result;
    for (const sembuf& operation : call.operations.first(done)) {
        Semaphore& semaphore = semaphores_[operation.sem_num];
        if (is_whole) {
            semaphore.last = call.process;
            continue;
        }
        semaphore.value = static_cast<std::uint16_t>(semaphore.value - operation.sem_op);
        if ((operation.sem_flg & SEM_UNDO) != 0) {
            auto& amount = call.undo->amounts[operation.sem_num];
            amount = static_cast<std::int16_t>(amount + operation.sem_op);
        }
    }
    if (is_whole) {
        operated_ = wall_time();
    }
    return result;
}

void SemaphoreSet::finish(Waiting& call, Outcome<> result) {
    call.result = result;
    call.is_done.store(true, std::memory_order_release);
    call.queue.wake_one();
}

void SemaphoreSet::serve() {
    for (auto next = waiting_.begin(); next != waiting_.end();) {
        Waiting& call = *next;
        const Outcome<bool> done = try_now(call);
        if (done && !*done) {
            ++next;
            continue;
        }
        next = waiting_.erase(next);
        finish(call, done ? Outcome<>() : Outcome<>(fail(done.error())));
        if (done) {
            next = waiting_.begin();  // what it changed may let an older one go on
        }
    }
}

Outcome<SemaphoreSet::Undo*> SemaphoreSet::record_of(const UndoList& list) {
    for (Undo& record : undo_) {
        if (record.of == &list) {
            return &record;
        }
    }
    std::unique_ptr<Undo> record(new (std::nothrow) Undo);
    if (record == nullptr) {
        return fail(Errno::enomem);
    }
    record->of = &list;
    record->amounts.reset(new (std::nothrow) std::int16_t[count_]());
    if (record->amounts == nullptr) {
        return fail(Errno::enomem);
    }
    undo_.push_back(*record);
    return record.release();
}

Outcome<> SemaphoreSet::operate(std::span<const sembuf> operations, int process, UndoList* undo,
                                Deadline deadline) {
    Waiting call;
    call.operations = operations;
    call.process = process;
    if (undo != nullptr) {
        PV_TRY(undo->note(number()));
    }
    fs::MutexGuard guard(lock_);
    if (has_ended_) {
        return fail(Errno::eidrm);
    }
    if (undo != nullptr) {
        call.undo = PV_TRY(record_of(*undo));
    }
    if (PV_TRY(try_now(call))) {
        serve();
        return {};
    }
    waiting_.push_back(call);
    guard.unlock();
    const Outcome<> waited =
        fs::wait(call.queue, deadline, [&] { return call.is_done.load(std::memory_order_acquire); });
    // Whoever finishes it has let it go once the lock is free.
    guard.lock();
    if (call.is_done.load(std::memory_order_relaxed)) {
        return call.result;
    }
    waiting_.erase(WaitingList::s_iterator_to(call));
    return fail(waited || waited.error() == Errno::etimedout ? Errno::eagain : waited.error());
}

Outcome<SemaphoreFacts> SemaphoreSet::look(int index) {
    const fs::MutexGuard guard(lock_);
    if (has_ended_) {
        return fail(Errno::eidrm);
    }
    if (index < 0 || index >= count()) {
        return fail(Errno::einval);
    }
    const Semaphore& semaphore = semaphores_[static_cast<std::size_t>(index)];
    SemaphoreFacts facts{.value = semaphore.value, .last = semaphore.last};
    for (const Waiting& call : waiting_) {
        if (call.stopped_at->sem_num == index) {
            ++(call.stopped_at->sem_op == 0 ? facts.emptying : facts.growing);
        }
    }
    return facts;
}

Outcome<> SemaphoreSet::values(std::span<std::uint16_t> to) {
    const fs::MutexGuard guard(lock_);
    if (has_ended_) {
        return fail(Errno::eidrm);
    }
    for (std::size_t i = 0; i < to.size(); ++i) {
        to[i] = semaphores_[i].value;
    }
    return {};
}

Outcome<> SemaphoreSet::set(std::size_t first, std::span<const std::uint16_t> values, int process) {
    const fs::MutexGuard guard(lock_);
    if (has_ended_) {
        return fail(Errno::eidrm);
    }
    for (std::size_t i = 0; i < values.size(); ++i) {
        semaphores_[first + i] = {values[i], process};
    }
    for (const Undo& record : undo_) {
        std::fill_n(record.amounts.get() + first, values.size(), std::int16_t{0});
    }
    serve();
    return {};
}

void SemaphoreSet::end() {
    const fs::MutexGuard guard(lock_);
    has_ended_ = true;
    waiting_.clear_and_dispose([](Waiting* call) { finish(*call, fail(Errno::eidrm)); });
}

void SemaphoreSet::undo(const UndoList& list, int process) {
    const fs::MutexGuard guard(lock_);
    const auto record = std::ranges::find(undo_, &list, &Undo::of);
    if (record == undo_.end()) {
        return;
    }
    for (std::size_t i = 0; i < count_; ++i) {
        if (record->amounts[i] != 0) {
            const int value = semaphores_[i].value + record->amounts[i];
            const int kept = std::clamp(value, 0, semaphore_limit::value);
            semaphores_[i] = {static_cast<std::uint16_t>(kept), process};
        }
    }
    undo_.erase_and_dispose(record, [](Undo* ended) { delete ended; });
    operated_ = wall_time();
    serve();
}

Timestamp SemaphoreSet::operated() {
    const fs::MutexGuard guard(lock_);
    return operated_;
}

}  // namespace pv::linux
