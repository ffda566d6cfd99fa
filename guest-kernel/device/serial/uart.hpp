// A 16550 UART as a console that is written to and never waited for without bound.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/deadline.hpp"
#include "base/format.hpp"

/// National Semiconductor PC16550D data sheet.
namespace pv::device::serial {

/// Register offsets.
enum class Register : std::uint8_t {
    data = 0,
    interrupt_enable = 1,
    fifo_control = 2,
    line_control = 3,
    modem_control = 4,
    line_status = 5,
};

inline constexpr std::uint8_t status_data_ready = 0x01;
inline constexpr std::uint8_t status_transmit_empty = 0x20;
inline constexpr unsigned fifo_depth = 16;

/// `Ports` has `std::uint8_t read(Register)` and `void write(Register, std::uint8_t)`. Not synchronised.
template <class Ports>
class Uart {
  public:
    constexpr explicit Uart(Ports ports) : ports_(ports) {}

    /// 115200 baud, 8 bits, no parity, FIFOs on, interrupts off.
    void initialize() {
        ports_.write(Register::interrupt_enable, 0);
        ports_.write(Register::line_control, 0x80);
        ports_.write(Register::data, 1);
        ports_.write(Register::interrupt_enable, 0);
        ports_.write(Register::line_control, 0x03);
        // Enabled, both emptied. The level at which an interrupt would come is 14 characters: a virtual port
        // takes no more than that level while nobody reads (one at a time with the lowest).
        ports_.write(Register::fifo_control, 0xc7);
        ports_.write(Register::modem_control, 0x03);
        credit_ = 0;
    }

    /// Writes `line` and a line end. While the port takes nothing, waits until `deadline` in all; then drops
    /// what is left, and from then on waits no more until the port takes characters again. Once it does, says
    /// how many were dropped.
    void write_line(std::string_view line, Deadline deadline) {
        if (dropped_ > 0 && !report_dropped(deadline)) {
            dropped_ += line.size() + 2;
            return;
        }
        for (std::size_t i = 0; i < line.size() + 2; ++i) {
            const char c = i < line.size() ? line[i] : i == line.size() ? '\r' : '\n';
            if (!put(c, deadline)) {
                dropped_ += line.size() + 2 - i;
                return;
            }
        }
    }

    /// The same for a machine's last words: also a port that took nothing before is waited for once more.
    void write_last_line(std::string_view line, Deadline deadline) {
        stuck_ = false;
        write_line(line, deadline);
    }

    /// Writes as much of `text` as the port takes until `deadline`, as it is; returns how much. Nothing is
    /// dropped: the caller has the rest. While the port takes nothing, only the first call waits.
    [[nodiscard]] std::size_t write(std::string_view text, Deadline deadline) {
        if (dropped_ > 0 && !report_dropped(deadline)) {
            return 0;
        }
        for (std::size_t i = 0; i < text.size(); ++i) {
            if (!put(text[i], deadline)) {
                return i;
            }
        }
        return text.size();
    }

    /// The next character that came in, nullopt when there is none. Never waits.
    [[nodiscard]] std::optional<char> read() {
        if ((ports_.read(Register::line_status) & status_data_ready) == 0) {
            return std::nullopt;
        }
        return static_cast<char>(ports_.read(Register::data));
    }

    [[nodiscard]] std::uint64_t dropped() const { return dropped_total_ + dropped_; }

  private:
    bool put(char c, Deadline deadline) {
        if (credit_ == 0 && !wait_until_empty(deadline)) {
            return false;
        }
        --credit_;
        ports_.write(Register::data, static_cast<std::uint8_t>(c));
        return true;
    }

    // When the holding register is empty, so is the FIFO: its whole depth can be written without looking
    // again.
    bool wait_until_empty(Deadline deadline) {
        // Counted as well as timed: there may be no clock yet.
        for (std::uint32_t polls = 0; polls < polls_max; ++polls) {
            if ((ports_.read(Register::line_status) & status_transmit_empty) != 0) {
                credit_ = fifo_depth;
                stuck_ = false;
                return true;
            }
            if (stuck_ || deadline.expired()) {
                break;
            }
        }
        stuck_ = true;
        return false;
    }

    bool report_dropped(Deadline deadline) {
        if (!wait_until_empty(deadline)) {
            return false;
        }
        char text[64];
        const std::string_view said = format::to(text, "\r\n[serial: {} characters dropped]\r\n", dropped_);
        for (const char c : said) {
            if (!put(c, deadline)) {
                return false;
            }
        }
        dropped_total_ += dropped_;
        dropped_ = 0;
        return true;
    }

    static constexpr std::uint32_t polls_max = 1'000'000;

    Ports ports_;
    unsigned credit_ = 0;
    bool stuck_ = false;
    std::uint64_t dropped_ = 0;  ///< not yet reported
    std::uint64_t dropped_total_ = 0;
};

}  // namespace pv::device::serial
