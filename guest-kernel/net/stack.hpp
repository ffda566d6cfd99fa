// The network: one thread, the only one that calls lwIP, and its interfaces.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/atomic.hpp"
#include "base/deadline.hpp"
#include "base/function_ref.hpp"
#include "base/result.hpp"
#include "base/vector.hpp"
#include "net/errand.hpp"
#include "net/interface.hpp"
#include "net/waker.hpp"
#include "task/spin_lock.hpp"
#include "task/thread.hpp"

namespace pv::net {

/// lwIP is one of a kind, so there is one of these at a time. Made, asked and destroyed by other threads than
/// its own.
class Stack {
  public:
    /// No thread runs yet. Errors: out_of_memory.
    [[nodiscard]] static Result<std::unique_ptr<Stack>> create();

    /// Ends the thread, then lets go of every device.
    ~Stack();
    Stack(const Stack&) = delete;
    Stack& operator=(const Stack&) = delete;

    /// Before `start`. Errors: out_of_memory.
    Result<> add(std::unique_ptr<Device> device, const Addressing& addressing);

    /// Starts the thread and with it the interfaces and the services (net/services.hpp). Errors:
    /// out_of_memory.
    Result<> start();

    /// Runs `job`, which may call lwIP and must not wait, on the network's thread; returns when it is done.
    /// Errors: timed_out (it was not begun by the deadline, and will not be), device_failed (the network
    /// stopped).
    Result<> call(Deadline deadline, FunctionRef<void()> job);

    /// Has `errand` served soon; nothing where the network stopped. Any context but NMI.
    void ask(Errand& errand);

    [[nodiscard]] std::size_t count() const { return interfaces_.size(); }

    [[nodiscard]] Interface& interface(std::size_t index) { return *interfaces_[index]; }

    /// Whether lwIP broke an invariant: nothing is sent or received any more.
    [[nodiscard]] bool stopped() const { return stopped_.load(std::memory_order_acquire); }

    /// Says on the console how each interface stands. Threads only.
    void print_status();

    /// How long each device gets for its end; before the destructor.
    void set_patience(Duration patience) { patience_ = patience; }

  private:
    enum class JobState : std::uint8_t { queued, running, done, refused };

    struct Job {
        FunctionRef<void()> work;
        Job* next = nullptr;
        JobState state = JobState::queued;  ///< guarded by lock_
    };

    Stack() = default;

    void serve();
    [[nodiscard]] bool turn();
    [[nodiscard]] Instant next_due() const;
    bool run_jobs();
    bool run_errands();
    static void serve(Errand* list);
    [[nodiscard]] Errand* take_errands();
    void refuse_jobs();
    Job* take_job(Errand** before = nullptr);
    void end_job(Job& job, JobState state);
    [[nodiscard]] bool forget(Job& job);
    [[nodiscard]] bool is_over(const Job& job);

    Vector<std::unique_ptr<Interface>> interfaces_;
    Waker waker_;
    task::SpinLock lock_{task::Rank::leaf};
    Job* first_ = nullptr;                   ///< guarded by lock_
    Job** last_ = &first_;                   ///< guarded by lock_
    Job* running_ = nullptr;                 ///< the network's thread's
    Errand* first_errand_ = nullptr;         ///< guarded by lock_, each owned
    Errand** last_errand_ = &first_errand_;  ///< guarded by lock_
    task::WaitQueue job_done_;
    Instant ticked_;
    Duration patience_ = Duration::seconds(5);
    Atomic<bool> stopping_{false};
    Atomic<bool> stopped_{false};
    task::Thread thread_;
};

}  // namespace pv::net
