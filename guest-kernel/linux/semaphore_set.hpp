// System V semaphores: one set, who waits on it, and what the end of a process gives back.
// SPDX-License-Identifier: MIT
#pragma once

#include <sys/sem.h>

#include <boost/intrusive/list.hpp>
#include <memory>
#include <span>

#include "base/vector.hpp"
#include "fs/wait.hpp"
#include "linux/ipc_objects.hpp"

namespace pv::linux {

/// As Linux has them by default; of all semaphores together there are fewer (count_max_of_all).
namespace semaphore_limit {
inline constexpr int in_set = 32000;
inline constexpr std::size_t operations = 500;
inline constexpr int value = 32767;
}  // namespace semaphore_limit

/// One semaphore at a moment.
struct SemaphoreFacts {
    std::uint16_t value = 0;
    int last = 0;                ///< the process that changed it last
    std::uint32_t growing = 0;   ///< how many wait until it is more
    std::uint32_t emptying = 0;  ///< how many until it is 0
};

class SemaphoreSet;

using SemaphoreHook =
    boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::normal_link>>;

/// What a process's operations with SEM_UNDO are to be undone by when it ends: threads share it, and the last
/// owner's part going is that end.
class UndoList final : public RefCounted {
  public:
    [[nodiscard]] static Outcome<Ref<UndoList>> create();

    /// That it has something of that set. Error: enomem.
    [[nodiscard]] Outcome<> note(int set);

  private:
    UndoList() = default;
    ~UndoList() override;

    task::Guarded<Vector<int>, task::Rank::ipc> sets_;
};

class SemaphoreSet final : public RefCounted, public ipc::Object {
  public:
    /// Errors: einval, enospc (there are too many in all), enomem.
    [[nodiscard]] static Outcome<Ref<SemaphoreSet>> create(int count);

    [[nodiscard]] int count() const { return static_cast<int>(count_); }

    /// semop(2): all of `operations` or nothing, waiting until they can be done. `process`: who is told of as
    /// the last one. `undo`: where those with SEM_UNDO are kept. Errors: efbig, erange, eagain, eidrm, eintr,
    /// enomem.
    [[nodiscard]] Outcome<> operate(std::span<const sembuf> operations, int process, UndoList* undo,
                                    Deadline deadline);

    /// Errors: eidrm; einval: no such semaphore.
    [[nodiscard]] Outcome<SemaphoreFacts> look(int index);
    [[nodiscard]] Outcome<> values(std::span<std::uint16_t> to);
    /// Whatever was to be undone of what is set is not any more. Error: eidrm.
    [[nodiscard]] Outcome<> set(std::size_t first, std::span<const std::uint16_t> values, int process);
    /// It is out of its table: who waits is told so.
    void end();
    /// The process that has the list has ended.
    void undo(const UndoList& list, int process);
    [[nodiscard]] Timestamp operated();

  private:
    struct Semaphore {
        std::uint16_t value = 0;
        int last = 0;
    };

    /// What one process's end gives back.
    struct Undo : SemaphoreHook {
        const UndoList* of = nullptr;
        std::unique_ptr<std::int16_t[]> amounts;
    };

    /// A call that waits, on its own stack.
    struct Waiting : SemaphoreHook {
        std::span<const sembuf> operations;
        Undo* undo = nullptr;
        int process = 0;
        const sembuf* stopped_at = nullptr;  ///< what cannot be done yet
        Outcome<> result;
        Atomic<bool> is_done{false};
        task::WaitQueue queue;
    };

    using WaitingList = boost::intrusive::list<Waiting, boost::intrusive::constant_time_size<false>>;
    using UndoRecords = boost::intrusive::list<Undo, boost::intrusive::constant_time_size<false>>;

    SemaphoreSet(std::unique_ptr<Semaphore[]> semaphores, std::size_t count)
        : count_(count), semaphores_(std::move(semaphores)) {}

    ~SemaphoreSet() override;

    // With the lock held, all of these.

    /// True where all is done, false where `stopped_at` cannot be done yet. Errors: erange; eagain: it is not
    /// to be waited for.
    [[nodiscard]] Outcome<bool> try_now(Waiting& call);
    /// Carries out what can be done now of what waits, the oldest first.
    void serve();
    static void finish(Waiting& call, Outcome<> result);
    /// Error: enomem.
    [[nodiscard]] Outcome<Undo*> record_of(const UndoList& list);

    const std::size_t count_;
    task::Mutex lock_{task::Rank::ipc_contents};
    std::unique_ptr<Semaphore[]> semaphores_;  ///< guarded by the lock, as all below
    bool has_ended_ = false;
    Timestamp operated_{};
    WaitingList waiting_;
    UndoRecords undo_;
};

/// All of them.
extern ipc::Objects<SemaphoreSet> semaphore_sets;

/// Of all sets together.
[[nodiscard]] std::uint32_t semaphore_count();
inline constexpr std::uint32_t semaphore_count_max = 256'000;

}  // namespace pv::linux
