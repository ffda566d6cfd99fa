// Contexts of asynchronous requests: places, events in order, who waits for them.
// SPDX-License-Identifier: MIT
#include "fs/aio_context.hpp"

#include <new>
#include <utility>

#include "fs/wait.hpp"

namespace pv::fs {
namespace {

constinit Atomic<std::uint64_t> all_requests{0};

}  // namespace

std::uint64_t AioContext::requests() {
    return all_requests.load(std::memory_order_relaxed);
}

Outcome<Ref<AioContext>> AioContext::create(UserAddress name, std::uint32_t capacity) {
    std::uint64_t before = requests();
    do {
        if (capacity > requests_max - before) {
            return fail(Errno::eagain);
        }
    } while (!all_requests.compare_exchange_weak(before, before + capacity, std::memory_order_relaxed));
    // From here on the context's end takes it back.
    auto* made = new (std::nothrow) AioContext(name, capacity);
    if (made == nullptr) {
        all_requests.fetch_sub(capacity, std::memory_order_relaxed);
        return fail(Errno::enomem);
    }
    auto context = Ref<AioContext>::adopt(made);
    std::unique_ptr<AioEvent[]> ring(new (std::nothrow) AioEvent[capacity]);
    if (ring == nullptr) {
        return fail(Errno::enomem);
    }
    context->events_.with([&](Events& events) { events.ring = std::move(ring); });
    return context;
}

AioContext::~AioContext() {
    all_requests.fetch_sub(capacity_, std::memory_order_relaxed);
}

bool AioContext::begin() {
    return events_.with([&](Events& events) {
        if (events.taken == capacity_) {
            return false;
        }
        ++events.taken;
        return true;
    });
}

void AioContext::give_back() {
    events_.with([](Events& events) { --events.taken; });
}

void AioContext::complete(const AioEvent& event) {
    events_.with([&](Events& events) {
        events.ring[(std::uint64_t{events.first} + events.done) % capacity_] = event;
        ++events.done;
        done_.store(events.done, std::memory_order_release);
    });
    waiters_.wake_all();
}

// An event stays until it was told: what cannot be put into the program's memory is told again.
Outcome<> AioContext::tell_those_there(std::size_t& told, std::size_t most, Teller tell) {
    const MutexGuard guard(teller_);
    while (told < most && done_.load(std::memory_order_acquire) != 0) {
        const AioEvent oldest = events_.with([](Events& events) { return events.ring[events.first]; });
        PV_TRY(tell(told, oldest));
        events_.with([&](Events& events) {
            events.first = (events.first + 1) % capacity_;
            --events.done;
            --events.taken;
            done_.store(events.done, std::memory_order_release);
        });
        ++told;
    }
    return {};
}

Outcome<std::size_t> AioContext::take(std::size_t least, std::size_t most, Deadline deadline, Teller tell) {
    std::size_t told = 0;
    const auto or_told = [&](Errno error) { return told != 0 ? Outcome<std::size_t>(told) : fail(error); };
    while (true) {
        if (const Outcome<> put = tell_those_there(told, most, tell); !put) {
            return or_told(put.error());
        }
        if (told >= least || deadline.expired()) {
            return told;
        }
        if (has_ended_.load(std::memory_order_acquire)) {
            return or_told(Errno::einval);
        }
        const Outcome<> waited = wait(waiters_, deadline, [&] {
            return done_.load(std::memory_order_acquire) != 0 || has_ended_.load(std::memory_order_acquire);
        });
        if (!waited && waited.error() == Errno::eintr) {
            return or_told(Errno::eintr);
        }
    }
}

void AioContext::end() {
    has_ended_.store(true, std::memory_order_release);
    waiters_.wake_all();
}

}  // namespace pv::fs
