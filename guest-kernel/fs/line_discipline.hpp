// A terminal's line discipline: from keys to lines and signals, from a program's output to the screen's.
// SPDX-License-Identifier: MIT
#pragma once

#include <asm/termbits.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>

namespace pv::fs {

/// What input leads to besides bytes to read.
class TerminalEffects {
  public:
    /// Shown to whoever types; already as the screen wants it.
    virtual void echo(std::span<const char> text) = 0;
    /// For the foreground group: SIGINT, SIGQUIT, SIGTSTP.
    virtual void signal(int number) = 0;

    /// What was typed before is gone.
    virtual void flushed() {}

  protected:
    ~TerminalEffects() = default;
};

/// termios(3) with ISIG, ICANON, ECHO*, IXON, ICRNL and their kin; the names of its flags are termios's.
/// Holds what was typed: at most `capacity` bytes, of which a program sees whole lines only while ICANON is
/// on. Not synchronised, allocates nothing.
class LineDiscipline {
  public:
    static constexpr std::size_t capacity = 4096;

    LineDiscipline();

    [[nodiscard]] const struct termios& settings() const { return settings_; }

    /// Turning ICANON off makes all that was typed readable, turning it on makes it a line.
    void set(const struct termios& settings);

    /// Whether one more byte finds room. In canonical mode it does while no line is complete, for then only a
    /// key can help: what is too much for one line is lost.
    [[nodiscard]] bool has_room() const {
        return count_ + 1 < capacity || ((settings_.c_lflag & ICANON) != 0 && lines_ == 0);
    }

    /// One byte from the keyboard.
    void take(char c, TerminalEffects& effects);

    /// How many bytes a read gets now: in canonical mode up to the end of the first line, its end included.
    /// An end of file that stands first counts as nothing to get, and is_readable() says so.
    [[nodiscard]] std::size_t available() const;
    /// Whether a read returns at once, with something or with an end of file. Without ICANON: VMIN bytes.
    [[nodiscard]] bool is_readable() const;
    /// Takes up to `room.size()` bytes of one line. An end of file is taken with what comes before it.
    std::size_t read(std::span<char> room);

    /// A program's byte as the screen gets it: at most 8 bytes, put into `room`.
    std::size_t show(char c, std::span<char, 8> room);

    /// TCFLSH of input.
    void flush();

    /// ^S was typed and no ^Q since: output waits.
    [[nodiscard]] bool is_stopped() const { return stopped_; }

    void set_stopped(bool stopped) { stopped_ = stopped; }

  private:
    struct Cell {
        char c = 0;
        bool ends_line = false;
        bool is_end_of_file = false;
    };

    [[nodiscard]] bool has(tcflag_t flags, tcflag_t flag) const { return (flags & flag) != 0; }

    [[nodiscard]] bool is_key(char c, unsigned which) const;

    [[nodiscard]] Cell& cell(std::size_t index) { return cells_[(first_ + index) % capacity]; }

    [[nodiscard]] const Cell& cell(std::size_t index) const { return cells_[(first_ + index) % capacity]; }

    void take_canonical(char c, TerminalEffects& effects);
    bool take_signal(char c, TerminalEffects& effects);
    void put(Cell cell);
    void echo(char c, TerminalEffects& effects);
    void erase_one(TerminalEffects& effects);
    void erase_word(TerminalEffects& effects);

    [[nodiscard]] std::size_t editable() const { return count_ - committed_; }

    struct termios settings_{};
    std::array<Cell, capacity> cells_{};
    std::size_t first_ = 0;
    std::size_t count_ = 0;
    std::size_t committed_ = 0;  ///< of them, those whose line has ended
    std::size_t lines_ = 0;      ///< ends of lines among the committed
    unsigned column_ = 0;        ///< of the screen, for tabs
    bool next_is_literal_ = false;
    bool stopped_ = false;
};

}  // namespace pv::fs
