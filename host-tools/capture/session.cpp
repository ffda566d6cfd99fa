// The reader's thread: poll, read, split into lines, parse, store.
// SPDX-License-Identifier: MIT
#include "capture/session.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <optional>
#include <span>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "capture/line.hpp"
#include "capture/line_splitter.hpp"
#include "capture/parser.hpp"

namespace pv::capture {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t read_size = 256 * 1024;
constexpr std::size_t drain_limit =
    4 * 1024 * 1024;                    ///< bytes read before lines of the tool's own take their turn
constexpr int pipe_size = 1024 * 1024;  ///< what QEMU may be ahead before it has to wait
constexpr int reopen_wait_ms = 20;      ///< between looks for a writer that comes back
constexpr auto progress_interval = std::chrono::milliseconds(250);
constexpr std::uint64_t lost_rows = 1'000;

class Descriptor {
  public:
    explicit Descriptor(int value = -1) : value_(value) {}

    ~Descriptor() {
        if (value_ >= 0) {
            ::close(value_);
        }
    }

    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;

    [[nodiscard]] int get() const { return value_; }

  private:
    int value_;
};

}  // namespace

struct Session::State {
    State(int input_descriptor, store::Writer& target, OnProgress on_progress, OnEvent event_seen)
        : input(input_descriptor),
          wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
          writer(target),
          progress(std::move(on_progress)),
          on_event(std::move(event_seen)),
          parser([this](std::string_view text) { return writer.intern(text); }) {}

    enum class Input : std::uint8_t { drained, more, ended };

    void run();
    Input read_available();
    void store_line(std::string_view line);
    void store_refused(std::string_view beginning, std::size_t bytes);
    void store_lost(std::uint64_t lines, std::uint64_t bytes, std::string_view reason);
    void append(const trace::Event& event);
    void note_failure(Result<> result);
    void store_injected(const std::vector<std::string>& lines);
    void report(bool always);
    void wait(bool input_ended);
    Result<> note_counts();

    std::filesystem::path fifo;  ///< removed at the end; empty: none
    Descriptor input;
    Descriptor wake;
    store::Writer& writer;
    OnProgress progress;
    OnEvent on_event;
    Parser parser;
    LineSplitter splitter{Parser::max_line};
    std::optional<Error> failure;
    std::uint64_t lost_lines_waiting = 0;
    std::uint64_t lost_bytes_waiting = 0;
    Clock::time_point last_report = Clock::now();

    std::atomic<bool> joining = false;   ///< the end of input is the end
    std::atomic<bool> stopping = false;  ///< end after what is there
    std::atomic<bool> store_failed = false;
    std::atomic<std::uint64_t> lines = 0, events = 0, bytes = 0, not_understood = 0;

    std::mutex mutex;
    std::condition_variable done_changed;
    std::condition_variable placed_changed;
    bool done = false;                  ///< guarded by mutex, as what follows
    std::vector<std::string> injected;  ///< without those that have their place
    std::uint64_t injections = 0;       ///< all that were ever injected
    std::uint64_t placed = 0;           ///< of them, those that have their place

    std::thread thread;  ///< last: it uses all of the above
};

void Session::State::note_failure(Result<> result) {
    if (!result && !failure) {
        failure = std::move(result).error();
        store_failed = true;
    }
}

void Session::State::append(const trace::Event& event) {
    note_failure(writer.append(event));
    if (on_event) {
        on_event(event.kind);
    }
}

void Session::State::store_lost(std::uint64_t line_count, std::uint64_t byte_count, std::string_view reason) {
    // Not through the parser: these lines are in the counts already.
    trace::Event event{
        .time = parser.last_time(), .kind = trace::Kind::lost, .args = {line_count, byte_count}};
    event.args[trace::argument(trace::Kind::lost, "reason_text")] = writer.intern(reason);
    append(event);
}

void Session::State::store_refused(std::string_view beginning, std::size_t byte_count) {
    ++lost_lines_waiting;
    lost_bytes_waiting += byte_count;
    const std::uint64_t so_far = parser.statistics().not_understood;
    if (so_far <= lost_rows || so_far % lost_rows == 0) {
        store_lost(std::exchange(lost_lines_waiting, 0), std::exchange(lost_bytes_waiting, 0),
                   "not understood: " + printable(beginning));
    }
}

void Session::State::store_line(std::string_view line) {
    if (failure) {
        ++parser.statistics().lines;
        ++parser.statistics().lost;
        return;
    }
    const std::uint64_t refused = parser.statistics().not_understood;
    if (const std::optional<trace::Event> event = parser.feed(line)) {
        append(*event);
    } else if (parser.statistics().not_understood != refused) {
        store_refused(line, line.size());
    }
}

Session::State::Input Session::State::read_available() {
    std::size_t total = 0;
    while (total < drain_limit) {
        const std::span<char> room = splitter.room(read_size);
        const ssize_t count = ::read(input.get(), room.data(), room.size());
        if (count < 0) {
            if (errno == EINTR) {
                continue;
            }
            return errno == EAGAIN ? Input::drained : Input::ended;
        }
        if (count == 0) {
            return Input::ended;
        }
        total += static_cast<std::size_t>(count);
        parser.statistics().bytes += static_cast<std::uint64_t>(count);
        splitter.filled(static_cast<std::size_t>(count),
                        [this](std::string_view line, LineSplitter::Whole whole) {
                            if (whole == LineSplitter::Whole::yes) {
                                store_line(line);
                            } else {
                                parser.refuse(line);
                                store_refused(line, line.size());
                            }
                        });
    }
    return Input::more;
}

void Session::State::store_injected(const std::vector<std::string>& own_lines) {
    for (const std::string& line : own_lines) {
        ++parser.statistics().injected;
        store_line(line);
    }
}

void Session::State::report(bool always) {
    const Statistics& counts = parser.statistics();
    lines.store(counts.lines, std::memory_order_relaxed);
    events.store(counts.events, std::memory_order_relaxed);
    bytes.store(counts.bytes, std::memory_order_relaxed);
    not_understood.store(counts.not_understood, std::memory_order_relaxed);
    if (progress && (always || Clock::now() - last_report >= progress_interval)) {
        last_report = Clock::now();
        progress({counts.lines, counts.events, counts.bytes, counts.not_understood});
    }
}

void Session::State::wait(bool input_ended) {
    // At the end of input poll() would return at once for ever: look again after a while instead.
    std::array<pollfd, 2> wanted = {{{wake.get(), POLLIN, 0}, {input.get(), POLLIN, 0}}};
    const int limit = input_ended ? reopen_wait_ms : static_cast<int>(progress_interval.count());
    ::poll(wanted.data(), input_ended ? 1 : 2, limit);
    std::uint64_t ignored = 0;
    static_cast<void>(!::read(wake.get(), &ignored, sizeof ignored));
}

void Session::State::run() {
    for (;;) {
        // Both flags are read before the input: what was written before they were set is read still.
        const bool last = joining;
        const bool stop = stopping;
        std::vector<std::string> own_lines;
        {
            const std::scoped_lock lock(mutex);
            own_lines.swap(injected);
        }
        // What QEMU wrote before a line was injected takes its place before it.
        const Input state = read_available();
        store_injected(own_lines);
        if (!own_lines.empty()) {
            const std::scoped_lock lock(mutex);
            placed += own_lines.size();
            placed_changed.notify_all();
        }
        if (!failure) {
            note_failure(writer.checkpoint());
        }
        report(false);
        // Stopping takes one round: a writer that never ends must not keep the reader for ever.
        if ((last && state == Input::ended) || stop) {
            break;
        }
        if (state != Input::more) {
            wait(state == Input::ended);
        }
    }
    if (const std::string_view torn = splitter.remainder(); !torn.empty()) {
        parser.refuse(torn);
        store_refused(torn, torn.size());
    }
    if (lost_lines_waiting != 0 && !failure) {
        store_lost(lost_lines_waiting, lost_bytes_waiting, "not understood");
    }
    report(true);
    const std::scoped_lock lock(mutex);
    done = true;
    done_changed.notify_all();
}

Result<> Session::State::note_counts() {
    const Statistics& counts = parser.statistics();
    const std::array<std::pair<const char*, std::uint64_t>, 6> values = {
        {{"lines", counts.lines},
         {"bytes", counts.bytes},
         {"ignored", counts.ignored},
         {"not_understood", counts.not_understood},
         {"lost", counts.lost},
         {"time_reversals", counts.time_reversals}}};
    for (const auto& [key, value] : values) {
        PV_TRY(writer.set_meta(key, std::to_string(value)));
    }
    return {};
}

Session::Session(std::unique_ptr<State> state) : state_(std::move(state)) {}

Result<std::unique_ptr<Session>> Session::start(int descriptor, store::Writer& writer, OnProgress progress,
                                                OnEvent on_event) {
    auto state = std::make_unique<State>(descriptor, writer, std::move(progress), std::move(on_event));
    const int flags = ::fcntl(descriptor, F_GETFL);
    if (flags < 0 || ::fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) < 0 || state->wake.get() < 0) {
        return fail(ExitStatus::unavailable, fmt::format("cannot read the log: {}", std::strerror(errno)),
                    "");
    }
    ::fcntl(descriptor, F_SETPIPE_SZ,
            pipe_size);  // fails for a file, and where the user's share of pipes is used up
    // Signals belong to the tool's main thread.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
        state->thread = std::thread(&State::run, state.get());
    } catch (const std::system_error& error) {
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
        return fail(ExitStatus::unavailable, fmt::format("cannot start a thread: {}", error.what()), "");
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return std::unique_ptr<Session>(new Session(std::move(state)));
}

Result<std::unique_ptr<Session>> Session::start_fifo(const std::filesystem::path& path, store::Writer& writer,
                                                     OnProgress progress, OnEvent on_event) {
    if (::mkfifo(path.c_str(), 0600) != 0) {
        return fail(ExitStatus::unavailable,
                    fmt::format("cannot make the FIFO {}: {}", path.string(), std::strerror(errno)),
                    "check that the temporary folder may be written");
    }
    // Without O_NONBLOCK, open() would wait for the first writer.
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (descriptor < 0) {
        const int cause = errno;
        ::unlink(path.c_str());
        return fail(ExitStatus::unavailable,
                    fmt::format("cannot open {}: {}", path.string(), std::strerror(cause)), "");
    }
    auto session = start(descriptor, writer, std::move(progress), std::move(on_event));
    if (session) {
        (*session)->state_->fifo = path;
    } else {
        ::unlink(path.c_str());
    }
    return session;
}

Session::~Session() {
    if (state_->thread.joinable()) {
        state_->stopping = true;
        ::eventfd_write(state_->wake.get(), 1);
        state_->thread.join();
    }
    if (!state_->fifo.empty()) {
        ::unlink(state_->fifo.c_str());
    }
}

void Session::inject(std::string_view name, std::string_view fields) {
    std::string line = format_line(name, fields);
    {
        const std::scoped_lock lock(state_->mutex);
        state_->injected.push_back(std::move(line));
        ++state_->injections;
    }
    ::eventfd_write(state_->wake.get(), 1);
}

bool Session::settle(std::chrono::milliseconds limit) {
    std::unique_lock lock(state_->mutex);
    return state_->placed_changed.wait_for(
        lock, limit, [&state = *state_, all = state_->injections] { return state.placed >= all; });
}

Result<Statistics> Session::join(std::chrono::milliseconds limit) {
    State& state = *state_;
    if (!state.thread.joinable()) {
        return fail(ExitStatus::usage, "the capture was joined already", "");
    }
    state.joining = true;
    ::eventfd_write(state.wake.get(), 1);
    bool in_time = false;
    {
        std::unique_lock lock(state.mutex);
        in_time = state.done_changed.wait_for(lock, limit, [&state] { return state.done; });
    }
    state.stopping = true;
    ::eventfd_write(state.wake.get(), 1);
    state.thread.join();
    // From here on this thread is the writer's only user.
    std::vector<std::string> own_lines;
    own_lines.swap(state.injected);
    state.store_injected(own_lines);
    if (!in_time) {
        ++state.parser.statistics().lost;
        if (!state.failure) {
            state.store_lost(0, 0, "the log was still open when the run ended");
        }
    }
    if (!state.failure) {
        state.note_failure(state.note_counts());
    }
    if (state.failure) {
        return std::unexpected(*state.failure);
    }
    return state.parser.statistics();
}

bool Session::failed() const {
    return state_->store_failed;
}

Progress Session::progress() const {
    return {state_->lines, state_->events, state_->bytes, state_->not_understood};
}

}  // namespace pv::capture
