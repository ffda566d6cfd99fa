// The network's thread: frames, timers, jobs, then sleep until one of them is due.
// SPDX-License-Identifier: MIT
#include "net/stack.hpp"

#include <new>
#include <utility>

#include "base/log.hpp"
#include "net/port/port.hpp"
#include "net/services.hpp"
#include "net/sockets.hpp"

extern "C" {
#include "lwip/stats.h"
#include "lwip/timeouts.h"
}

namespace pv::net {
namespace {

using namespace literals;

constexpr Duration tick_interval = 100_ms;

/// Whether a packet to this machine itself waits to be taken in.
bool has_looped_back() {
    const netif* lower = nullptr;
    NETIF_FOREACH(lower) {
        if (lower->loop_first != nullptr) {
            return true;
        }
    }
    return false;
}

}  // namespace

Result<std::unique_ptr<Stack>> Stack::create() {
    std::unique_ptr<Stack> stack{new (std::nothrow) Stack};
    if (stack == nullptr) {
        return fail(Error::out_of_memory);
    }
    return stack;
}

Result<> Stack::add(std::unique_ptr<Device> device, const Addressing& addressing) {
    return interfaces_.push_back(PV_TRY(Interface::create(std::move(device), addressing)));
}

Result<> Stack::start() {
    thread_ =
        PV_TRY(task::Thread::create("network", [](void* self) { static_cast<Stack*>(self)->serve(); }, this));
    return {};
}

Stack::~Stack() {
    stopping_.store(true, std::memory_order_release);
    waker_.wake();
    if (thread_.joinable()) {
        // A turn of it is bounded, and so is what a device's reset takes.
        while (!thread_.join(Deadline::after(10_s))) {
            log::error("network: its thread is still busy");
        }
    }
    for (auto& interface : interfaces_) {
        interface->device().shut_down(Deadline::after(patience_));
    }
}

void Stack::serve() {
    bool good = port::guarded([&] {
        port::start();
        for (auto& interface : interfaces_) {
            if (const Result<> started = interface->start(waker_); !started) {
                log::error("{}: the network cannot use it: {}", interface->device().name(), started.error());
            }
        }
        start_services();
        start_sockets();
    });
    while (good && !stopping_.load(std::memory_order_acquire)) {
        bool busy = false;
        good = port::guarded([&] { busy = turn(); });
        if (!good || busy) {
            continue;
        }
        bool arrived = false;
        for (auto& interface : interfaces_) {
            arrived = interface->device().arm() || arrived;
        }
        if (!arrived) {
            waker_.sleep(Deadline::at(next_due()));
        }
    }
    if (good) {
        (void)port::guarded([&] {
            stop_services();
            stop_sockets();
            for (auto& interface : interfaces_) {
                interface->stop();
            }
            port::finish();
            // What told others of those ends may be on its way to this machine itself.
            while (has_looped_back()) {
                netif_poll_all();
            }
        });
    }
    for (auto& interface : interfaces_) {
        interface->device().flush();
    }
    // Nobody is asked to wait for a thread that is not there any more.
    {
        task::SpinGuard guard{lock_};
        stopped_.store(true, std::memory_order_release);
    }
    refuse_jobs();
    abandon_sockets();
    for (Errand* errand = take_errands(); errand != nullptr;) {
        const auto owned = Ref<Errand>::adopt(std::exchange(errand, errand->next_));
    }
}

bool Stack::turn() {
    bool busy = false;
    for (auto& interface : interfaces_) {
        busy = interface->poll() || busy;
    }
    netif_poll_all();
    busy = run_jobs() || busy;
    busy = run_errands() || busy;
    sys_check_timeouts();
    if (now() >= ticked_ + tick_interval) {
        ticked_ = now();
        for (auto& interface : interfaces_) {
            interface->tick();
        }
        tick_services();
    }
    for (auto& interface : interfaces_) {
        interface->device().flush();
    }
    return busy || has_looped_back();
}

Instant Stack::next_due() const {
    const std::uint32_t timer = sys_timeouts_sleeptime();
    const Instant tick = ticked_ + tick_interval;
    if (timer == SYS_TIMEOUTS_SLEEPTIME_INFINITE) {
        return tick;
    }
    const Instant due = now() + Duration::milliseconds(timer);
    return due < tick ? due : tick;
}

Result<> Stack::call(Deadline deadline, FunctionRef<void()> job) {
    Job mine{.work = job};
    {
        task::SpinGuard guard{lock_};
        if (stopped_.load(std::memory_order_acquire)) {
            return fail(Error::device_failed);
        }
        *last_ = &mine;
        last_ = &mine.next;
    }
    waker_.wake();
    if (!job_done_.wait(deadline, [&] { return is_over(mine); }) && forget(mine)) {
        return fail(Error::timed_out);
    }
    // It was begun: jobs do not wait, so it ends.
    while (!job_done_.wait(Deadline::after(10_s), [&] { return is_over(mine); })) {
        log::error("network: a job does not end");
    }
    return mine.state == JobState::done ? Result<>{} : fail(Error::device_failed);
}

bool Stack::is_over(const Job& job) {
    task::SpinGuard guard{lock_};
    return job.state == JobState::done || job.state == JobState::refused;
}

bool Stack::forget(Job& job) {
    task::SpinGuard guard{lock_};
    for (Job** at = &first_; *at != nullptr; at = &(*at)->next) {
        if (*at == &job) {
            *at = job.next;
            last_ = job.next == nullptr ? at : last_;
            return true;
        }
    }
    return false;
}

// What its owner asked for before comes before: `before` is all there is of that.
Stack::Job* Stack::take_job(Errand** before) {
    task::SpinGuard guard{lock_};
    Job* job = first_;
    if (before != nullptr && job != nullptr) {
        *before = std::exchange(first_errand_, nullptr);
        last_errand_ = &first_errand_;
    }
    if (job != nullptr) {
        first_ = job->next;
        last_ = first_ == nullptr ? &first_ : last_;
        job->state = JobState::running;
    }
    return job;
}

void Stack::end_job(Job& job, JobState state) {
    {
        task::SpinGuard guard{lock_};
        job.state = state;
    }
    job_done_.wake_all();  // from here on the job may be gone
}

bool Stack::run_jobs() {
    bool any = false;
    Errand* before = nullptr;
    while (Job* job = take_job(&before)) {
        running_ = job;
        serve(std::exchange(before, nullptr));
        job->work();
        running_ = nullptr;
        end_job(*job, JobState::done);
        any = true;
    }
    return any;
}

void Stack::ask(Errand& errand) {
    if (errand.is_asked_.exchange(true, std::memory_order_acq_rel)) {
        return;
    }
    {
        task::SpinGuard guard{lock_};
        if (stopped_.load(std::memory_order_relaxed)) {
            return;
        }
        errand.add_owner();
        errand.next_ = nullptr;
        *last_errand_ = &errand;
        last_errand_ = &errand.next_;
    }
    waker_.wake();
}

Errand* Stack::take_errands() {
    task::SpinGuard guard{lock_};
    last_errand_ = &first_errand_;
    return std::exchange(first_errand_, nullptr);
}

void Stack::serve(Errand* list) {
    while (list != nullptr) {
        const auto owned = Ref<Errand>::adopt(std::exchange(list, list->next_));
        owned->is_asked_.store(false, std::memory_order_seq_cst);
        owned->serve();
    }
}

// Those that were asked for so far: what they bring about is another turn's.
bool Stack::run_errands() {
    Errand* errands = take_errands();
    serve(errands);
    return errands != nullptr;
}

void Stack::refuse_jobs() {
    if (Job* cut_off = std::exchange(running_, nullptr)) {
        end_job(*cut_off, JobState::refused);
    }
    while (Job* job = take_job()) {
        end_job(*job, JobState::refused);
    }
}

void Stack::print_status() {
    const auto print = [&] {
        const port::Memory memory = port::memory();
        log::info("status: network: packets hold {} bytes, {} at most, {} found no memory", memory.used,
                  memory.highest, memory.refused);
        for (auto& interface : interfaces_) {
            interface->print_status();
        }
    };
    if (const Result<> printed = call(Deadline::after(2_s), print); !printed) {
        log::warning("status: network: {}",
                     printed.error() == Error::timed_out ? "its thread is busy" : "it stopped");
    }
}

}  // namespace pv::net
