// The line discipline. What it does with each key is termios(3).
// SPDX-License-Identifier: MIT
#include "fs/line_discipline.hpp"

#include <algorithm>
#include <utility>

#include "fs/signals.hpp"

namespace pv::fs {
namespace {

constexpr char control(char c) {
    return static_cast<char>(c & 0x1f);
}

bool is_continuation(char c) {
    return (static_cast<unsigned char>(c) & 0xc0) == 0x80;
}

bool is_control(char c) {
    const auto u = static_cast<unsigned char>(c);
    return u < 0x20 || u == 0x7f;
}

}  // namespace

LineDiscipline::LineDiscipline() {
    settings_.c_iflag = ICRNL | IXON | IUTF8;
    settings_.c_oflag = OPOST | ONLCR;
    settings_.c_cflag = B115200 | CS8 | CREAD | HUPCL | CLOCAL;
    settings_.c_lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN;
    settings_.c_cc[VINTR] = static_cast<cc_t>(control('C'));
    settings_.c_cc[VQUIT] = static_cast<cc_t>(control('\\'));
    settings_.c_cc[VERASE] = 0x7f;
    settings_.c_cc[VKILL] = static_cast<cc_t>(control('U'));
    settings_.c_cc[VEOF] = static_cast<cc_t>(control('D'));
    settings_.c_cc[VMIN] = 1;
    settings_.c_cc[VSTART] = static_cast<cc_t>(control('Q'));
    settings_.c_cc[VSTOP] = static_cast<cc_t>(control('S'));
    settings_.c_cc[VSUSP] = static_cast<cc_t>(control('Z'));
    settings_.c_cc[VREPRINT] = static_cast<cc_t>(control('R'));
    settings_.c_cc[VDISCARD] = static_cast<cc_t>(control('O'));
    settings_.c_cc[VWERASE] = static_cast<cc_t>(control('W'));
    settings_.c_cc[VLNEXT] = static_cast<cc_t>(control('V'));
}

bool LineDiscipline::is_key(char c, unsigned which) const {
    return settings_.c_cc[which] != 0 && static_cast<cc_t>(c) == settings_.c_cc[which];
}

void LineDiscipline::set(const struct termios& settings) {
    const bool was_canonical = has(settings_.c_lflag, ICANON);
    settings_ = settings;
    if (!has(settings_.c_iflag, IXON)) {
        stopped_ = false;
    }
    if (was_canonical && !has(settings_.c_lflag, ICANON)) {
        committed_ = count_;
    } else if (!was_canonical && has(settings_.c_lflag, ICANON) && count_ != 0) {
        committed_ = count_;
        if (!cell(count_ - 1).ends_line) {
            cell(count_ - 1).ends_line = true;
            ++lines_;
        }
    }
    next_is_literal_ = false;
}

void LineDiscipline::put(Cell cell) {
    this->cell(count_) = cell;
    ++count_;
    if (cell.ends_line) {
        committed_ = count_;
        ++lines_;
    } else if (!has(settings_.c_lflag, ICANON)) {
        committed_ = count_;
    }
}

void LineDiscipline::echo(char c, TerminalEffects& effects) {
    if (is_control(c) && c != '\n' && c != '\t' && has(settings_.c_lflag, ECHOCTL)) {
        const std::array<char, 2> text{'^', static_cast<char>(c ^ 0x40)};
        column_ += 2;
        effects.echo(text);
        return;
    }
    std::array<char, 8> room;
    effects.echo(std::span(room).first(show(c, room)));
}

bool LineDiscipline::take_signal(char c, TerminalEffects& effects) {
    int number = 0;
    if (is_key(c, VINTR)) {
        number = signals::interrupt;
    } else if (is_key(c, VQUIT)) {
        number = signals::quit;
    } else if (is_key(c, VSUSP)) {
        number = signals::keyboard_stop;
    } else {
        return false;
    }
    if (!has(settings_.c_lflag, NOFLSH)) {
        flush();
        effects.flushed();
    }
    stopped_ = false;
    if (has(settings_.c_lflag, ECHO)) {
        echo(c, effects);
    }
    effects.signal(number);
    return true;
}

void LineDiscipline::take(char c, TerminalEffects& effects) {
    if (has(settings_.c_iflag, ISTRIP)) {
        c = static_cast<char>(c & 0x7f);
    }
    const bool literal = std::exchange(next_is_literal_, false);
    if (!literal) {
        if (has(settings_.c_lflag, ISIG) && take_signal(c, effects)) {
            return;
        }
        if (has(settings_.c_iflag, IXON)) {
            if (is_key(c, VSTOP)) {
                stopped_ = true;
                return;
            }
            if (is_key(c, VSTART)) {
                stopped_ = false;
                return;
            }
        }
        if (c == '\r') {
            if (has(settings_.c_iflag, IGNCR)) {
                return;
            }
            c = has(settings_.c_iflag, ICRNL) ? '\n' : c;
        } else if (c == '\n' && has(settings_.c_iflag, INLCR)) {
            c = '\r';
        }
        if (has(settings_.c_lflag, ICANON)) {
            take_canonical(c, effects);
            return;
        }
    }
    // The last place is kept for the end of a line, without which nothing could be read.
    if (count_ + 1 < capacity) {
        put({.c = c});
        if (has(settings_.c_lflag, ECHO)) {
            echo(c, effects);
        }
    }
}

void LineDiscipline::take_canonical(char c, TerminalEffects& effects) {
    const bool echoes = has(settings_.c_lflag, ECHO);
    const bool extended = has(settings_.c_lflag, IEXTEN);
    if (extended && is_key(c, VLNEXT)) {
        next_is_literal_ = true;
        if (echoes && has(settings_.c_lflag, ECHOCTL)) {
            effects.echo(std::array{'^', '\b'});
        }
        return;
    }
    if (is_key(c, VERASE)) {
        erase_one(effects);
        return;
    }
    if (extended && is_key(c, VWERASE)) {
        erase_word(effects);
        return;
    }
    if (is_key(c, VKILL)) {
        while (editable() != 0) {
            erase_one(effects);
        }
        return;
    }
    if (is_key(c, VEOF)) {
        if (count_ < capacity) {
            put({.c = 0, .ends_line = true, .is_end_of_file = true});
        }
        return;
    }
    const bool ends = c == '\n' || is_key(c, VEOL) || (extended && is_key(c, VEOL2));
    if (count_ + (ends ? 0 : 1) >= capacity) {
        return;
    }
    put({.c = c, .ends_line = ends});
    if (echoes || (c == '\n' && has(settings_.c_lflag, ECHONL))) {
        echo(c, effects);
    }
}

void LineDiscipline::erase_one(TerminalEffects& effects) {
    if (editable() == 0) {
        return;
    }
    // A character of several bytes goes as a whole.
    while (has(settings_.c_iflag, IUTF8) && editable() > 1 && is_continuation(cell(count_ - 1).c)) {
        --count_;
    }
    const char c = cell(--count_).c;
    if (!has(settings_.c_lflag, ECHO)) {
        return;
    }
    if (!has(settings_.c_lflag, ECHOE)) {
        echo(settings_.c_cc[VERASE] == 0x7f ? '\x7f' : static_cast<char>(settings_.c_cc[VERASE]), effects);
        return;
    }
    const int width = is_control(c) && c != '\t' && has(settings_.c_lflag, ECHOCTL) ? 2 : 1;
    for (int i = 0; i < width; ++i) {
        effects.echo(std::array{'\b', ' ', '\b'});
        column_ -= column_ == 0 ? 0 : 1;
    }
}

void LineDiscipline::erase_word(TerminalEffects& effects) {
    const auto last_is_space = [&] {
        const char c = cell(count_ - 1).c;
        return c == ' ' || c == '\t';
    };
    while (editable() != 0 && last_is_space()) {
        erase_one(effects);
    }
    while (editable() != 0 && !last_is_space()) {
        erase_one(effects);
    }
}

std::size_t LineDiscipline::available() const {
    if (!has(settings_.c_lflag, ICANON)) {
        return committed_;
    }
    for (std::size_t i = 0; lines_ != 0 && i < committed_; ++i) {
        if (cell(i).ends_line) {
            return cell(i).is_end_of_file ? i : i + 1;
        }
    }
    return 0;
}

bool LineDiscipline::is_readable() const {
    if (has(settings_.c_lflag, ICANON)) {
        return lines_ != 0;
    }
    return committed_ >= std::max<std::size_t>(settings_.c_cc[VMIN], 1);
}

std::size_t LineDiscipline::read(std::span<char> room) {
    const bool canonical = has(settings_.c_lflag, ICANON);
    std::size_t done = 0;
    while (committed_ != 0 && (!canonical || lines_ != 0)) {
        const Cell& next = cell(0);
        // An end of file behind a full buffer's worth goes with it: else the next read would take it for one
        // of its own.
        if (done == room.size() && !(canonical && next.is_end_of_file && done != 0)) {
            break;
        }
        const bool ends = next.ends_line;
        if (!next.is_end_of_file) {
            room[done++] = next.c;
        }
        first_ = (first_ + 1) % capacity;
        --count_;
        --committed_;
        lines_ -= ends ? 1 : 0;
        if (canonical && ends) {
            break;
        }
    }
    return done;
}

std::size_t LineDiscipline::show(char c, std::span<char, 8> room) {
    if (!has(settings_.c_oflag, OPOST)) {
        room[0] = c;
        return 1;
    }
    switch (c) {
        case '\n':
            if (has(settings_.c_oflag, ONLCR)) {
                column_ = 0;
                room[0] = '\r';
                room[1] = '\n';
                return 2;
            }
            if (has(settings_.c_oflag, ONLRET)) {
                column_ = 0;
            }
            break;
        case '\r':
            if (has(settings_.c_oflag, ONOCR) && column_ == 0) {
                return 0;
            }
            if (has(settings_.c_oflag, OCRNL)) {
                c = '\n';
                break;
            }
            column_ = 0;
            break;
        case '\t': {
            const unsigned spaces = 8 - column_ % 8;
            column_ += spaces;
            if ((settings_.c_oflag & TABDLY) == XTABS) {
                std::fill_n(room.begin(), spaces, ' ');
                return spaces;
            }
            break;
        }
        case '\b':
            column_ -= column_ == 0 ? 0 : 1;
            break;
        default:
            column_ += is_control(c) || is_continuation(c) ? 0U : 1U;
            break;
    }
    room[0] = c;
    return 1;
}

void LineDiscipline::flush() {
    first_ = count_ = committed_ = lines_ = 0;
    next_is_literal_ = false;
}

}  // namespace pv::fs
