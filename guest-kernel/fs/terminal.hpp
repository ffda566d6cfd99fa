// Terminals: a line discipline with a screen and a keyboard at one side and programs at the other.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>

#include "base/atomic.hpp"
#include "fs/line_discipline.hpp"
#include "fs/open_file.hpp"
#include "fs/poll.hpp"
#include "task/wait_queue.hpp"

namespace pv::fs {

/// What terminals ask of processes. task/ implements it and sets it once, before there is a process; until
/// then nobody has a session and signals go nowhere.
class JobControl {
  public:
    /// Of the running thread's process; 0: none.
    [[nodiscard]] virtual int session() = 0;
    [[nodiscard]] virtual int group() = 0;
    /// Whether the running process leads its session.
    [[nodiscard]] virtual bool leads_session() = 0;
    /// The session a group belongs to; 0: there is no such group.
    [[nodiscard]] virtual int session_of_group(int group) = 0;
    /// Any context that may take spinlocks of higher rank than Rank::terminal.
    virtual void signal_group(int group, int number) = 0;
    /// To the process that leads the session, if there is one. No lock held.
    virtual void signal_leader(int session, int number) = 0;

    /// The running process's file system user: what it makes is his.
    [[nodiscard]] virtual UserId user() { return 0; }

    /// The running process, in the background, wants `number` (SIGTTIN, SIGTTOU) not to be needed. Sends it
    /// to its group and returns eintr (the call is made again when it continues); eio where that would be for
    /// ever (ignored or blocked, orphaned group); nothing for SIGTTOU that is ignored or blocked: go on.
    [[nodiscard]] virtual Outcome<> stop_background(int number) = 0;

  protected:
    ~JobControl() = default;
};

void set_job_control(JobControl& control);
[[nodiscard]] JobControl& current_job_control();

/// As struct winsize.
struct WindowSize {
    std::uint16_t rows = 24;
    std::uint16_t columns = 80;
    std::uint16_t width = 0;   ///< pixels, or 0
    std::uint16_t height = 0;  ///< pixels, or 0
};

/// What a master in packet mode is told of its terminal (TIOCPKT_*, ioctl_tty(2)).
namespace terminal_change {
inline constexpr std::uint8_t input_flushed = 1;
inline constexpr std::uint8_t output_flushed = 2;
inline constexpr std::uint8_t stopped = 4;
inline constexpr std::uint8_t started = 8;
inline constexpr std::uint8_t no_flow_keys = 16;  ///< ^S and ^Q mean nothing special any more
inline constexpr std::uint8_t flow_keys = 32;
}  // namespace terminal_change

/// The screen of a terminal.
class Screen {
  public:
    /// Takes what it can and returns how much; 0: none now. Any context; never waits longer than a slow line
    /// takes.
    virtual std::size_t write(std::span<const char> text) = 0;

    /// A program took some of what was typed: there may be room for more. No lock held.
    virtual void input_taken() {}

    /// A program opened the terminal, or closed it; `files`: how many files lead to it now. No lock held.
    virtual void opened_or_closed(unsigned files) { static_cast<void>(files); }

    /// `changes`: of terminal_change. The terminal's lock is held.
    virtual void changed(std::uint8_t changes) { static_cast<void>(changes); }

  protected:
    ~Screen() = default;
};

/// A terminal. The screen outlives it: `keeper`, if there is one, owns the screen.
class Terminal final : public RefCounted, private TerminalEffects {
  public:
    Terminal(Screen& screen, DeviceNumber number, Ref<RefCounted> keeper = nullptr);

    /// What was typed; what there is no room for is lost. Any context but NMI.
    void type(std::span<const char> text);
    /// The same, but takes only what there is room for, and returns how much.
    std::size_t offer(std::span<const char> text);

    /// Whether offer() takes anything.
    [[nodiscard]] bool has_room() const { return has_room_.load(std::memory_order_acquire); }

    /// The line is gone: readers get an end of file, the session SIGHUP, requests eio. For good.
    void hang_up();
    /// Writers may go on: the screen has room again.
    void room_again();

    [[nodiscard]] DeviceNumber number() const { return number_; }

    /// Makes it the controlling terminal of the running session's leader where it has none and this one is
    /// nobody's (open without O_NOCTTY).
    void adopt_session();

    /// The session it controls; 0: none.
    [[nodiscard]] int session() const { return session_.load(std::memory_order_acquire); }

    /// A session's leader has ended: SIGHUP and SIGCONT to the foreground, and nobody's from now on.
    void leave_session(int session);

    /// The same as OpenFile's, for the file below.
    Outcome<std::size_t> read(Target& target, bool nonblocking);
    Outcome<std::size_t> write(Source& source, bool nonblocking);
    Outcome<std::uint64_t> ioctl(std::uint32_t request, IoctlArgument& argument);
    [[nodiscard]] std::uint32_t readiness();

    /// The group in the foreground; 0: none.
    [[nodiscard]] int foreground() const { return foreground_.load(std::memory_order_acquire); }

    /// Called by the files that lead here, as they come and go.
    void add_file();
    void drop_file();

    [[nodiscard]] PollQueue& poll_queue() { return poll_queue_; }

    /// The next one in the list of all, whose lock is held.
    [[nodiscard]] Terminal* next() const { return next_; }

  protected:
    ~Terminal() override;

  private:
    void echo(std::span<const char> text) override;
    void signal(int number) override;
    void flushed() override;

    Outcome<> foreground_only(int number);
    Outcome<> wait_for_input(bool nonblocking);
    Outcome<> put_on_screen(std::span<const char> text, bool nonblocking, bool& shown);
    Outcome<std::uint64_t> set_settings(std::uint32_t request, IoctlArgument& argument);
    Outcome<std::uint64_t> job_ioctl(std::uint32_t request, IoctlArgument& argument);
    void wake();
    /// What those who wait look at; the line's lock is held.
    void note(const LineDiscipline& line);
    /// Of terminal_change::flow_keys and no_flow_keys, what a change of settings amounts to; 0: nothing.
    [[nodiscard]] static std::uint8_t flow_change(const struct termios& before, const struct termios& after);

    Screen& screen_;
    Ref<RefCounted> keeper_;
    const DeviceNumber number_;
    task::Guarded<LineDiscipline, task::Rank::terminal> line_;
    Atomic<bool> readable_{false};
    Atomic<bool> has_room_{true};
    Atomic<bool> hung_up_{false};
    Atomic<bool> stopped_{false};
    Atomic<std::uint32_t> rooms_{0};  ///< how often the screen said it has room again
    Atomic<unsigned> files_{0};
    Atomic<int> session_{0};
    Atomic<int> foreground_{0};
    Atomic<WindowSize> window_{};
    task::WaitQueue readers_;
    task::WaitQueue writers_;
    PollQueue poll_queue_;
    Terminal* next_ = nullptr;  ///< in the list of all
};

/// The running process's controlling terminal; empty: none.
[[nodiscard]] Ref<Terminal> controlling_terminal();
/// The terminal that controls a session; empty: none.
[[nodiscard]] Ref<Terminal> terminal_of_session(int session);
/// The leader of a session has ended: its terminal is nobody's, and the foreground gets SIGHUP and SIGCONT.
void end_session(int session);
/// A terminal that may become one.
[[nodiscard]] Outcome<Ref<OpenFile>> open_terminal(const Location& here, std::uint32_t flags,
                                                   Ref<Terminal> terminal);

}  // namespace pv::fs
