// Reads numbers and words off the front of a line: strict, bounded, without allocation.
// SPDX-License-Identifier: MIT
#pragma once

#include <charconv>
#include <cstdint>
#include <string_view>

namespace pv::capture {

/// A view of what is left of a line. Every function takes what it names off the front, or returns false (and
/// then the rest is not meaningful any more).
class Scanner {
  public:
    explicit Scanner(std::string_view text) : at_(text.data()), end_(text.data() + text.size()) {}

    [[nodiscard]] bool empty() const { return at_ == end_; }

    [[nodiscard]] std::string_view rest() const { return {at_, static_cast<std::size_t>(end_ - at_)}; }

    void skip(std::size_t count) { at_ += count; }

    bool literal(std::string_view text) {
        if (!rest().starts_with(text)) {
            return false;
        }
        skip(text.size());
        return true;
    }

    /// Digits only; false on none or on more than `Number` holds.
    template <class Number>
    bool digits(Number& value, int base = 10) {
        if (empty() || *at_ == '-') {
            return false;
        }
        const auto [stop, error] = std::from_chars(at_, end_, value, base);
        at_ = stop;
        return error == std::errc();
    }

    bool decimal(std::uint64_t& value) {
        if (!empty() && *at_ == '-') {
            std::int64_t negative = 0;
            const auto [stop, error] = std::from_chars(at_, end_, negative);
            at_ = stop;
            value = static_cast<std::uint64_t>(negative);
            return error == std::errc();
        }
        return digits(value);
    }

    bool hexadecimal(std::uint64_t& value) { return literal("0x") && digits(value, 16); }

    bool pointer(std::uint64_t& value) {
        if (literal("(nil)")) {
            value = 0;
            return true;
        }
        return hexadecimal(value);
    }

    /// 0x and hexadecimal digits, or a decimal number.
    bool number(std::uint64_t& value) {
        return rest().starts_with("0x") ? hexadecimal(value) : decimal(value);
    }

    bool cpu(std::int32_t& value) {
        std::uint64_t number = 0;
        if (!decimal(number)) {
            return false;
        }
        const auto index = static_cast<std::int64_t>(number);
        if (index < -1 || index > max_cpu) {
            return false;
        }
        value = static_cast<std::int32_t>(index);
        return true;
    }

    /// bus:device.function in hexadecimal, as lspci prints it.
    bool bdf(std::uint64_t& value) {
        std::uint32_t bus = 0;
        std::uint32_t device = 0;
        std::uint32_t function = 0;
        if (!digits(bus, 16) || !literal(":") || !digits(device, 16) || !literal(".") ||
            !digits(function, 16) || bus > 0xff || device > 0x1f || function > 7) {
            return false;
        }
        value = bus << 8 | device << 3 | function;
        return true;
    }

    static constexpr std::int64_t max_cpu = 65'535;

  private:
    const char* at_;
    const char* end_;
};

/// true: somewhere in `text` stands what begins a line ("@SECONDS.MICROSECONDS:"): two lines ran into one.
[[nodiscard]] bool holds_header(std::string_view text);

/// true: printable text (UTF-8, tabs allowed) that does not hold a line's beginning.
[[nodiscard]] bool is_clean_text(std::string_view text);

}  // namespace pv::capture
