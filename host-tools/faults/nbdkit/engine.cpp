// Requests are matched under one lock and kept outside it, in slices, so that nothing keeps a server from
// ending.
// SPDX-License-Identifier: MIT
#include "faults/nbdkit/engine.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace pv::faults::nbdkit {
namespace {

/// How often a kept request looks whether its client is still there.
constexpr std::chrono::milliseconds slice{50};
/// How long a request waits for another to go first: there may be none.
constexpr std::chrono::milliseconds longest_reorder{250};

bool fits(const Fault& fault, const Request& request) {
    if (fault.operation != Operation::any && fault.operation != request.operation) {
        return false;
    }
    if (!fault.range || request.operation == Operation::flush) {
        return !fault.range || fault.operation == Operation::flush;
    }
    // Overlap; neither sum can pass 2^64: the parser checked the one, nbdkit the other.
    return request.offset < fault.range->offset + fault.range->length &&
           fault.range->offset < request.offset + request.length;
}

}  // namespace

std::optional<std::uint64_t> Engine::add(Fault fault) {
    const std::scoped_lock hold{lock_};
    if (faults_.size() >= most_faults) {
        return std::nullopt;
    }
    Armed armed;
    armed.state.id = next_fault_++;
    armed.state.text = fault.text;
    armed.fault = std::move(fault);
    faults_.push_back(std::move(armed));
    return faults_.back().state.id;
}

bool Engine::remove(std::uint64_t id) {
    const std::scoped_lock hold{lock_};
    const bool removed = std::erase_if(faults_, [&](const Armed& a) { return a.state.id == id; }) != 0;
    changed_.notify_all();
    return removed;
}

bool Engine::release(std::uint64_t id) {
    const std::scoped_lock hold{lock_};
    Armed* armed = find(id);
    if (armed != nullptr) {
        ++armed->generation;
        changed_.notify_all();
    }
    return armed != nullptr;
}

void Engine::release_all() {
    const std::scoped_lock hold{lock_};
    for (Armed& armed : faults_) {
        armed.state.armed = false;
        ++armed.generation;
    }
    changed_.notify_all();
}

std::vector<State> Engine::list() {
    const std::scoped_lock hold{lock_};
    std::vector<State> states;
    for (const Armed& armed : faults_) {
        states.push_back(armed.state);
    }
    return states;
}

Stats Engine::stats() {
    const std::scoped_lock hold{lock_};
    return stats_;
}

void Engine::ended() {
    const std::scoped_lock hold{lock_};
    ++ended_;
    changed_.notify_all();
}

Answer Engine::pass(const Request& request, const std::function<bool()>& interrupted) {
    std::unique_lock lock{lock_};
    count(request);
    std::vector<Caught> all;
    const Clock::time_point now = Clock::now();
    for (Armed& armed : faults_) {
        if (auto caught = catches(armed, request, now)) {
            say(true, *caught, request);
            all.push_back(std::move(*caught));
            if (all.back().action == Action::fail) {
                break;
            }
        }
    }
    Answer answer;
    for (const Caught& caught : all) {
        if (answer.error != 0) {
            // Ended already; only its event is left to tell.
        } else if (caught.action == Action::fail) {
            answer.error = caught.error;
        } else if (caught.action == Action::corrupt) {
            answer.corrupt = true;
        } else if (!keep(lock, caught, interrupted)) {
            answer.error = ESHUTDOWN;
        }
        say(false, caught, request);
    }
    return answer;
}

void Engine::count(const Request& request) {
    switch (request.operation) {
        case Operation::read:
            ++stats_.reads;
            break;
        case Operation::write:
            ++stats_.writes;
            break;
        case Operation::flush:
            ++stats_.flushes;
            break;
        case Operation::trim:
            ++stats_.trims;
            break;
        case Operation::zero:
            ++stats_.zeroes;
            break;
        case Operation::any:
            break;
    }
}

std::optional<Engine::Caught> Engine::catches(Armed& armed, const Request& request, Clock::time_point now) {
    const Fault& fault = armed.fault;
    if (!armed.state.armed || !fits(fault, request) || ++armed.state.matched <= fault.skip ||
        (armed.state.matched - fault.skip) % fault.every != 0) {
        return std::nullopt;
    }
    const bool window_over = armed.began && fault.window && now - *armed.began >= *fault.window;
    const bool spent = fault.count && armed.state.caught >= *fault.count;
    if (window_over || spent) {
        armed.state.armed = false;
        return std::nullopt;
    }
    if (!armed.began) {
        armed.began = now;
    }
    ++armed.state.caught;
    Caught caught{.fault = armed.state.id,
                  .request = next_request_++,
                  .generation = armed.generation,
                  .action = fault.action,
                  .until = std::nullopt,
                  .error = fault.error,
                  .behind = ended_,
                  .text = fault.text};
    switch (fault.action) {
        case Action::hold:
            ++stats_.held;
            if (fault.window) {
                caught.until = *armed.began + *fault.window;
            }
            break;
        case Action::delay:
            ++stats_.delayed;
            caught.until = now + fault.delay;
            break;
        case Action::fail:
            ++stats_.failed;
            break;
        case Action::corrupt:
            ++stats_.corrupted;
            break;
        case Action::reorder:
            ++stats_.reordered;
            caught.until = now + longest_reorder;
            break;
    }
    return caught;
}

/// True once the request may go on; false when it was interrupted. The lock is held on entry and on return.
bool Engine::keep(std::unique_lock<std::mutex>& lock, const Caught& caught,
                  const std::function<bool()>& interrupted) {
    ++stats_.holding;
    bool went_on = true;
    while (!let_go(caught)) {
        const Clock::time_point now = Clock::now();
        if (caught.until && now >= *caught.until) {
            break;
        }
        const Clock::time_point wake = now + slice;
        changed_.wait_until(lock, caught.until ? std::min(wake, *caught.until) : wake);
        lock.unlock();
        const bool gone = interrupted();
        lock.lock();
        if (gone) {
            went_on = false;
            break;
        }
    }
    --stats_.holding;
    return went_on;
}

bool Engine::let_go(const Caught& caught) {
    const Armed* armed = find(caught.fault);
    return armed == nullptr || armed->generation != caught.generation ||
           (caught.action == Action::reorder && ended_ > caught.behind);
}

Engine::Armed* Engine::find(std::uint64_t id) {
    const auto found =
        std::ranges::find_if(faults_, [&](const Armed& armed) { return armed.state.id == id; });
    return found == faults_.end() ? nullptr : &*found;
}

void Engine::say(bool begin, const Caught& caught, const Request& request) {
    report_(Event{begin, caught.fault, caught.request, request, caught.text});
}

}  // namespace pv::faults::nbdkit
