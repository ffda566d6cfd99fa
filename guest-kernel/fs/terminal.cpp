// Terminals: programs' reads and writes, the keyboard's bytes, sessions.
// SPDX-License-Identifier: MIT
#include "fs/terminal.hpp"

#include <algorithm>
#include <new>

#include "base/atomic.hpp"
#include "fs/signals.hpp"
#include "fs/wait.hpp"

namespace pv::fs {
namespace {

/// Before there are processes.
class Nobody final : public JobControl {
  public:
    int session() override { return 0; }

    int group() override { return 0; }

    bool leads_session() override { return false; }

    int session_of_group(int) override { return 0; }

    void signal_group(int, int) override {}

    void signal_leader(int, int) override {}

    Outcome<> stop_background(int) override { return {}; }
};

constinit Nobody nobody;
constinit Atomic<JobControl*> job_control{&nobody};
constinit task::Guarded<Terminal*, task::Rank::terminal_list> terminals{nullptr};

class TerminalFile final : public OpenFile {
  public:
    TerminalFile(Location location, std::uint32_t flags, Ref<Terminal> terminal)
        : OpenFile(std::move(location), flags, Flow::stream), terminal_(std::move(terminal)) {
        terminal_->add_file();
    }

    ~TerminalFile() override { terminal_->drop_file(); }

    Outcome<std::uint64_t> ioctl(std::uint32_t request, IoctlArgument& argument) override {
        return terminal_->ioctl(request, argument);
    }

    [[nodiscard]] bool sends_signals() const override { return true; }

    std::uint32_t poll(Watcher* watcher) override {
        if (watcher != nullptr) {
            terminal_->poll_queue().add(*watcher);
        }
        return terminal_->readiness();
    }

  protected:
    Outcome<std::size_t> do_read(std::uint64_t&, Target& target) override {
        return terminal_->read(target, is_nonblocking());
    }

    Outcome<std::size_t> do_write(std::uint64_t&, bool, Source& source) override {
        return terminal_->write(source, is_nonblocking());
    }

  private:
    Ref<Terminal> terminal_;
};

}  // namespace

void set_job_control(JobControl& control) {
    job_control.store(&control, std::memory_order_release);
}

JobControl& current_job_control() {
    return *job_control.load(std::memory_order_acquire);
}

Terminal::Terminal(Screen& screen, DeviceNumber number, Ref<RefCounted> keeper)
    : screen_(screen), keeper_(std::move(keeper)), number_(number) {
    terminals.with([&](Terminal*& first) {
        next_ = first;
        first = this;
    });
}

Terminal::~Terminal() {
    terminals.with([&](Terminal*& first) {
        Terminal** link = &first;
        while (*link != this) {
            link = &(*link)->next_;
        }
        *link = next_;
    });
}

void Terminal::echo(std::span<const char> text) {
    // What the screen has no room for is not shown: nobody waits for an echo.
    (void)screen_.write(text);
}

void Terminal::signal(int number) {
    const int group = foreground_.load(std::memory_order_acquire);
    if (group != 0) {
        current_job_control().signal_group(group, number);
    }
}

void Terminal::flushed() {
    screen_.changed(terminal_change::input_flushed | terminal_change::output_flushed);
}

void Terminal::type(std::span<const char> text) {
    line_.with([&](LineDiscipline& line) {
        for (const char c : text) {
            line.take(c, *this);
        }
        note(line);
    });
    wake();
}

std::size_t Terminal::offer(std::span<const char> text) {
    std::size_t taken = 0;
    line_.with([&](LineDiscipline& line) {
        while (taken < text.size() && line.has_room()) {
            line.take(text[taken++], *this);
        }
        note(line);
    });
    if (taken != 0) {
        wake();
    }
    return taken;
}

void Terminal::note(const LineDiscipline& line) {
    readable_.store(line.is_readable(), std::memory_order_release);
    if (stopped_.exchange(line.is_stopped(), std::memory_order_acq_rel) != line.is_stopped()) {
        screen_.changed(line.is_stopped() ? terminal_change::stopped : terminal_change::started);
    }
    has_room_.store(line.has_room(), std::memory_order_release);
}

void Terminal::add_file() {
    screen_.opened_or_closed(files_.fetch_add(1, std::memory_order_acq_rel) + 1);
}

void Terminal::drop_file() {
    screen_.opened_or_closed(files_.fetch_sub(1, std::memory_order_acq_rel) - 1);
}

void Terminal::wake() {
    readers_.wake_all();
    writers_.wake_all();
    poll_queue_.notify(readiness());
}

void Terminal::hang_up() {
    hung_up_.store(true, std::memory_order_release);
    if (const int own = session(); own != 0) {
        current_job_control().signal_leader(own, signals::hang_up);
        current_job_control().signal_leader(own, signals::go_on);
        leave_session(own);
    }
    wake();
}

void Terminal::room_again() {
    rooms_.fetch_add(1, std::memory_order_acq_rel);
    writers_.wake_all();
    poll_queue_.notify(poll_event::writable);
}

void Terminal::adopt_session() {
    JobControl& jobs = current_job_control();
    const int own = jobs.session();
    if (own == 0 || !jobs.leads_session() || controlling_terminal()) {
        return;
    }
    int none = 0;
    if (session_.compare_exchange_strong(none, own, std::memory_order_acq_rel)) {
        foreground_.store(jobs.group(), std::memory_order_release);
    }
}

void Terminal::leave_session(int session) {
    if (session == 0 || !session_.compare_exchange_strong(session, 0, std::memory_order_acq_rel)) {
        return;
    }
    if (const int group = foreground_.exchange(0, std::memory_order_acq_rel); group != 0) {
        current_job_control().signal_group(group, signals::hang_up);
        current_job_control().signal_group(group, signals::go_on);
    }
}

Outcome<> Terminal::foreground_only(int number) {
    JobControl& jobs = current_job_control();
    const int own = jobs.session();
    if (own == 0 || own != session() || jobs.group() == foreground_.load(std::memory_order_acquire)) {
        return {};
    }
    return jobs.stop_background(number);
}

Outcome<> Terminal::wait_for_input(bool nonblocking) {
    const auto there = [&] {
        return readable_.load(std::memory_order_acquire) || hung_up_.load(std::memory_order_acquire);
    };
    if (there()) {
        return {};
    }
    const auto [counts, tenths] = line_.with([](const LineDiscipline& line) {
        const auto& set = line.settings();
        const bool raw = (set.c_lflag & ICANON) == 0;
        return std::pair(!raw || set.c_cc[VMIN] != 0, raw ? unsigned{set.c_cc[VTIME]} : 0U);
    });
    if (counts) {
        if (nonblocking) {
            return fail(Errno::eagain);
        }
        return wait(readers_, there);
    }
    // VMIN 0: what is there, at most VTIME tenths of a second from now.
    if (tenths != 0 && !nonblocking) {
        const Outcome<> waited = wait(readers_, Deadline::after(Duration::milliseconds(100) * tenths), there);
        if (!waited && waited.error() == Errno::eintr) {
            return waited;
        }
    }
    return {};
}

Outcome<std::size_t> Terminal::read(Target& target, bool nonblocking) {
    PV_TRY(foreground_only(signals::background_read));
    if (target.left() == 0) {
        return std::size_t{0};
    }
    std::array<char, 512> room;
    std::size_t done = 0;
    while (true) {
        if (done == 0) {
            PV_TRY(wait_for_input(nonblocking));
        }
        bool more = false;
        bool missed = false;
        const std::size_t count = line_.with([&](LineDiscipline& line) {
            const bool canonical = (line.settings().c_lflag & ICANON) != 0;
            const bool was_readable = line.is_readable();
            const std::size_t before = line.available();
            const std::size_t taken =
                canonical && !was_readable
                    ? 0
                    : line.read(std::span(room).first(std::min(room.size(), target.left())));
            note(line);
            // A line that is longer than our buffer goes on.
            more = taken == room.size() && before > taken;
            missed = !was_readable && canonical;
            return taken;
        });
        if (count == 0 && missed && done == 0 && !hung_up_.load(std::memory_order_acquire)) {
            continue;  // another reader was quicker
        }
        const Outcome<std::size_t> put = target.put(std::as_bytes(std::span(room).first(count)));
        if (!put) {
            return done != 0 ? Outcome<std::size_t>(done) : put;
        }
        done += *put;
        screen_.input_taken();
        if (!more || *put < count || target.left() == 0) {
            return done;
        }
    }
}

Outcome<> Terminal::put_on_screen(std::span<const char> text, bool nonblocking, bool& shown) {
    while (!text.empty()) {
        const std::uint32_t rooms = rooms_.load(std::memory_order_acquire);
        const std::size_t count = stopped_.load(std::memory_order_acquire) ? 0 : screen_.write(text);
        text = text.subspan(count);
        shown = shown || count != 0;
        if (text.empty()) {
            break;
        }
        if (hung_up_.load(std::memory_order_acquire)) {
            return fail(Errno::eio);
        }
        // Half of what one byte became may be out: then the rest is waited for even so.
        if (nonblocking && !shown) {
            return fail(Errno::eagain);
        }
        PV_TRY(wait(writers_, [&] {
            return hung_up_.load(std::memory_order_acquire) ||
                   (!stopped_.load(std::memory_order_acquire) &&
                    (count != 0 || rooms_.load(std::memory_order_acquire) != rooms));
        }));
    }
    return {};
}

Outcome<std::size_t> Terminal::write(Source& source, bool nonblocking) {
    const bool background_stops =
        line_.with([](const LineDiscipline& line) { return (line.settings().c_lflag & TOSTOP) != 0; });
    if (background_stops) {
        PV_TRY(foreground_only(signals::background_write));
    }
    if (hung_up_.load(std::memory_order_acquire)) {
        return fail(Errno::eio);
    }
    std::size_t done = 0;
    while (source.left() != 0) {
        std::array<char, 128> text;
        const Outcome<std::size_t> taken =
            source.take(std::as_writable_bytes(std::span(text).first(std::min(text.size(), source.left()))));
        if (!taken || *taken == 0) {
            return done != 0 || taken ? Outcome<std::size_t>(done) : taken;
        }
        std::array<char, 8 * text.size()> shown;
        std::size_t length = 0;
        line_.with([&](LineDiscipline& line) {
            for (const char c : std::span(text).first(*taken)) {
                length += line.show(c, std::span(shown).subspan(length).first<8>());
            }
        });
        bool any = false;
        const Outcome<> put = put_on_screen(std::span(shown).first(length), nonblocking, any);
        if (!put) {
            return done != 0 ? Outcome<std::size_t>(done) : fail(put.error());
        }
        done += *taken;
    }
    return done;
}

std::uint32_t Terminal::readiness() {
    std::uint32_t ready = 0;
    if (hung_up_.load(std::memory_order_acquire)) {
        return poll_event::readable | poll_event::writable | poll_event::hang_up | poll_event::error;
    }
    ready |= readable_.load(std::memory_order_acquire) ? poll_event::readable : 0;
    ready |= stopped_.load(std::memory_order_acquire) ? 0 : poll_event::writable;
    return ready;
}

Ref<Terminal> terminal_of_session(int session) {
    return terminals.with([&](Terminal* first) {
        for (Terminal* terminal = first; terminal != nullptr; terminal = terminal->next()) {
            if (terminal->session() == session && terminal->try_add_owner()) {
                return Ref<Terminal>::adopt(terminal);
            }
        }
        return Ref<Terminal>();
    });
}

Ref<Terminal> controlling_terminal() {
    const int own = current_job_control().session();
    return own == 0 ? nullptr : terminal_of_session(own);
}

void end_session(int session) {
    if (const Ref<Terminal> terminal = terminal_of_session(session)) {
        terminal->leave_session(session);
    }
}

Outcome<Ref<OpenFile>> open_terminal(const Location& here, std::uint32_t flags, Ref<Terminal> terminal) {
    auto file = Ref<OpenFile>::adopt(new (std::nothrow) TerminalFile(here, flags, terminal));
    if (!file) {
        return fail(Errno::enomem);
    }
    if ((flags & open_flag::no_controlling_terminal) == 0) {
        terminal->adopt_session();
    }
    return file;
}

}  // namespace pv::fs
