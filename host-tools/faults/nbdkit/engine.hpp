// Decides what happens to each request: counts it, holds it, delays it, fails it, and says so.
// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "faults/plan.hpp"

namespace pv::faults::nbdkit {

using Clock = std::chrono::steady_clock;

/// One request from the client.
struct Request {
    Operation operation = Operation::any;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;  ///< 0 for flush
};

struct Event {
    bool begin = false;
    std::uint64_t fault = 0;
    std::uint64_t request = 0;  ///< from 1, pairs begin and end
    Request what;
    std::string text;  ///< the fault as written
};

struct Stats {
    std::uint64_t reads = 0, writes = 0, flushes = 0, trims = 0, zeroes = 0;
    std::uint64_t held = 0, delayed = 0, failed = 0, corrupted = 0, reordered = 0, holding = 0;
};

/// What becomes of a request.
struct Answer {
    int error = 0;         ///< 0: it is to be carried out; else the errno to answer
    bool corrupt = false;  ///< its data is to be wrong

    bool operator==(const Answer&) const = default;
};

/// How one fault stands.
struct State {
    std::uint64_t id = 0;
    std::string text;
    std::uint64_t matched = 0;  ///< requests that fitted
    std::uint64_t caught = 0;
    bool armed = true;  ///< may still catch
};

/// Thread-safe: every request has a thread of nbdkit's, the control connection one of its own.
class Engine {
  public:
    /// Faults at one time; the control connection is refused more.
    static constexpr std::size_t most_faults = 256;

    /// `report` gets every event, in order, under the engine's lock: it must be quick and must not call back.
    explicit Engine(std::function<void(const Event&)> report) : report_(std::move(report)) {}

    /// Arms a fault. Nothing when there are too many already.
    std::optional<std::uint64_t> add(Fault fault);

    /// Disarms a fault and lets go what it holds; false when there is none of that number.
    bool remove(std::uint64_t id);

    /// Lets go what the fault holds at this moment; it stays armed.
    bool release(std::uint64_t id);

    /// Disarms all faults and lets go everything.
    void release_all();

    [[nodiscard]] std::vector<State> list();
    [[nodiscard]] Stats stats();

    /// Passes a request through the faults, in the order they were added; each that catches it acts, and one
    /// that fails it ends that. Who carries the request out says so with `ended`.
    /// `interrupted` is asked some times a second while the request is kept, without the lock: true (the
    /// client went away, the server ends) lets it go with ESHUTDOWN.
    Answer pass(const Request& request, const std::function<bool()>& interrupted);

    /// A request that passed was carried out: those that wait for another to go first may go on.
    void ended();

  private:
    struct Armed {
        State state;
        Fault fault;
        std::uint64_t generation = 0;  ///< advanced by a release: what was caught before is let go
        std::optional<Clock::time_point> began;
    };

    /// What one fault does to one request.
    struct Caught {
        std::uint64_t fault = 0;
        std::uint64_t request = 0;
        std::uint64_t generation = 0;
        Action action = Action::hold;
        std::optional<Clock::time_point> until;
        int error = 0;
        std::uint64_t behind = 0;  ///< for reorder: goes on when more requests than this have ended
        std::string text;
    };

    void count(const Request& request);
    std::optional<Caught> catches(Armed& armed, const Request& request, Clock::time_point now);
    bool keep(std::unique_lock<std::mutex>& lock, const Caught& caught,
              const std::function<bool()>& interrupted);
    bool let_go(const Caught& caught);
    Armed* find(std::uint64_t id);
    void say(bool begin, const Caught& caught, const Request& request);

    std::function<void(const Event&)> report_;
    std::mutex lock_;
    std::condition_variable changed_;
    std::vector<Armed> faults_;
    std::uint64_t next_fault_ = 0;
    std::uint64_t next_request_ = 1;
    std::uint64_t ended_ = 0;  ///< requests carried out
    Stats stats_;
};

}  // namespace pv::faults::nbdkit
