// Requests to terminals: settings, window size, sessions and groups (ioctl_tty(2)).
// SPDX-License-Identifier: MIT
#include <asm/ioctls.h>

#include <cstring>

#include "fs/signals.hpp"
#include "fs/terminal.hpp"

namespace pv::fs {
namespace {

struct WireWindow {
    std::uint16_t rows;
    std::uint16_t columns;
    std::uint16_t width;
    std::uint16_t height;
};

static_assert(sizeof(WireWindow) == 8);

// Of TCFLSH's argument (asm-generic/termbits.h).
bool flushes_input(std::uint64_t queue) {
    return queue == TCIFLUSH || queue == TCIOFLUSH;
}

bool flushes_output(std::uint64_t queue) {
    return queue == TCOFLUSH || queue == TCIOFLUSH;
}

bool has_flow_keys(const struct termios& settings) {
    constexpr cc_t control_q = 'q' & 0x1f;
    constexpr cc_t control_s = 's' & 0x1f;
    return (settings.c_iflag & IXON) != 0 && settings.c_cc[VSTOP] == control_s &&
           settings.c_cc[VSTART] == control_q;
}

}  // namespace

std::uint8_t Terminal::flow_change(const struct termios& before, const struct termios& after) {
    if (has_flow_keys(before) == has_flow_keys(after)) {
        return 0;
    }
    return has_flow_keys(after) ? terminal_change::flow_keys : terminal_change::no_flow_keys;
}

Outcome<std::uint64_t> Terminal::set_settings(std::uint32_t request, IoctlArgument& argument) {
    PV_TRY(foreground_only(signals::background_write));
    struct termios settings{};
    PV_TRY(argument.read(writable_bytes_of(settings)));
    line_.with([&](LineDiscipline& line) {
        if (request == TCSETSF) {
            line.flush();
            screen_.changed(terminal_change::input_flushed);
        }
        const std::uint8_t flow = flow_change(line.settings(), settings);
        line.set(settings);
        note(line);
        if (flow != 0) {
            screen_.changed(flow);
        }
    });
    wake();
    return 0;
}

Outcome<std::uint64_t> Terminal::job_ioctl(std::uint32_t request, IoctlArgument& argument) {
    JobControl& jobs = current_job_control();
    const int own = jobs.session();
    if (request == TIOCSCTTY) {
        adopt_session();
        return session() == own && own != 0 ? Outcome<std::uint64_t>(0) : fail(Errno::eperm);
    }
    if (own == 0 || own != session()) {
        return fail(Errno::enotty);
    }
    switch (request) {
        case TIOCGPGRP: {
            const std::int32_t group = foreground_.load(std::memory_order_acquire);
            PV_TRY(argument.write(bytes_of(group)));
            return 0;
        }
        case TIOCSPGRP: {
            PV_TRY(foreground_only(signals::background_write));
            std::int32_t group = 0;
            PV_TRY(argument.read(writable_bytes_of(group)));
            if (group < 0) {
                return fail(Errno::einval);
            }
            const int of_group = jobs.session_of_group(group);
            if (of_group != own) {
                return fail(of_group == 0 ? Errno::esrch : Errno::eperm);
            }
            foreground_.store(group, std::memory_order_release);
            return 0;
        }
        case TIOCGSID: {
            const std::int32_t session = own;
            PV_TRY(argument.write(bytes_of(session)));
            return 0;
        }
        default:  // TIOCNOTTY
            if (jobs.leads_session()) {
                leave_session(own);
            }
            return 0;
    }
}

Outcome<std::uint64_t> Terminal::ioctl(std::uint32_t request, IoctlArgument& argument) {
    if (hung_up_.load(std::memory_order_acquire)) {
        return fail(request == TIOCSPGRP ? Errno::enotty : Errno::eio);
    }
    switch (request) {
        case TCGETS: {
            const struct termios settings =
                line_.with([](const LineDiscipline& line) { return line.settings(); });
            PV_TRY(argument.write(bytes_of(settings)));
            return 0;
        }
        case TCSETS:
        case TCSETSW:
        case TCSETSF:
            return set_settings(request, argument);
        case TIOCGWINSZ: {
            const WindowSize size = window_.load(std::memory_order_relaxed);
            const WireWindow wire{size.rows, size.columns, size.width, size.height};
            PV_TRY(argument.write(bytes_of(wire)));
            return 0;
        }
        case TIOCSWINSZ: {
            WireWindow wire{};
            PV_TRY(argument.read(writable_bytes_of(wire)));
            const WindowSize before = window_.exchange({wire.rows, wire.columns, wire.width, wire.height},
                                                       std::memory_order_seq_cst);
            if (before.rows != wire.rows || before.columns != wire.columns) {
                signal(signals::window_change);
            }
            return 0;
        }
        case TIOCINQ: {
            const auto count = static_cast<std::int32_t>(
                line_.with([](const LineDiscipline& line) { return line.available(); }));
            PV_TRY(argument.write(bytes_of(count)));
            return 0;
        }
        case TIOCOUTQ: {
            const std::int32_t none = 0;
            PV_TRY(argument.write(bytes_of(none)));
            return 0;
        }
        case TCFLSH:
            if (argument.value() > TCIOFLUSH) {
                return fail(Errno::einval);
            }
            line_.with([&](LineDiscipline& line) {
                if (flushes_input(argument.value())) {
                    line.flush();
                    screen_.changed(terminal_change::input_flushed);
                }
                if (flushes_output(argument.value())) {
                    screen_.changed(terminal_change::output_flushed);
                }
                note(line);
            });
            return 0;
        case TCXONC:
            if (argument.value() > TCION) {
                return fail(Errno::einval);
            }
            if (argument.value() == TCOOFF || argument.value() == TCOON) {
                const bool stop = argument.value() == TCOOFF;
                line_.with([&](LineDiscipline& line) {
                    line.set_stopped(stop);
                    note(line);
                });
                wake();
            }
            return 0;
        case TCSBRK:
        case TCSBRKP:
            return 0;  // what was written is out: there is no queue
        case TIOCSCTTY:
        case TIOCNOTTY:
        case TIOCGPGRP:
        case TIOCSPGRP:
        case TIOCGSID:
            return job_ioctl(request, argument);
        default:
            return fail(Errno::enotty);
    }
}

}  // namespace pv::fs
