// Text from typed values into a bounded buffer: format strings checked at compile time, nothing allocated.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>

#include "base/address.hpp"
#include "base/time.hpp"

/// Placeholders: `{}` or `{:[<|>][#][0][width][x|d|c]}`. `#` writes 0x before hexadecimal, `0` pads numbers
/// with zeros, `<` and `>` align, width is at most 99. `{{` and `}}` are braces. Types: integers, bool, char,
/// text, pointers, addresses (0x by default), Duration (in a unit that suits it), and whatever has an
/// overload `format_argument(const T&)` that returns one of these.
namespace pv::format {

struct Argument {
    enum class Kind : std::uint8_t {
        boolean,
        character,
        signed_number,
        unsigned_number,
        address,
        text,
        duration
    };

    Kind kind = Kind::unsigned_number;
    std::uint64_t number = 0;
    std::string_view text;
};

template <class T>
constexpr Argument make_argument(const T& value) {
    using U = std::remove_cvref_t<T>;
    if constexpr (std::same_as<U, bool>) {
        return {Argument::Kind::boolean, value ? 1U : 0U, {}};
    } else if constexpr (std::same_as<U, char>) {
        return {Argument::Kind::character, static_cast<unsigned char>(value), {}};
    } else if constexpr (std::signed_integral<U>) {
        return {
            Argument::Kind::signed_number, static_cast<std::uint64_t>(static_cast<std::int64_t>(value)), {}};
    } else if constexpr (std::unsigned_integral<U>) {
        return {Argument::Kind::unsigned_number, value, {}};
    } else if constexpr (std::convertible_to<const T&, std::string_view>) {
        return {Argument::Kind::text, 0, std::string_view(value)};
    } else if constexpr (std::same_as<U, Duration>) {
        return {Argument::Kind::duration, value.to_nanoseconds(), {}};
    } else if constexpr (std::same_as<U, Instant>) {
        return {Argument::Kind::duration, value.since_boot().to_nanoseconds(), {}};
    } else if constexpr (std::same_as<U, PhysicalAddress> || std::same_as<U, VirtualAddress> ||
                         std::same_as<U, BusAddress>) {
        return {Argument::Kind::address, value.value(), {}};
    } else if constexpr (std::is_pointer_v<U>) {
        return {Argument::Kind::address, reinterpret_cast<std::uintptr_t>(value), {}};
    } else if constexpr (requires { format_argument(value); }) {
        return make_argument(format_argument(value));
    } else {
        static_assert(sizeof(T) == 0, "no format for this type: give it format_argument()");
    }
}

/// What stands in one placeholder.
struct Spec {
    bool left = false;
    bool right = false;
    bool prefix = false;
    bool zero = false;
    std::uint8_t width = 0;
    char type = 0;
};

/// Parses what follows the opening brace, through the closing one; false when it is not as described above.
constexpr bool parse_spec(std::string_view text, std::size_t& position, Spec& spec) {
    const auto peek = [&] { return position < text.size() ? text[position] : '\0'; };
    if (peek() == ':') {
        ++position;
        if (peek() == '<' || peek() == '>') {
            spec.left = peek() == '<';
            spec.right = !spec.left;
            ++position;
        }
        if (peek() == '#') {
            spec.prefix = true;
            ++position;
        }
        if (peek() == '0') {
            spec.zero = true;
            ++position;
        }
        unsigned width = 0;
        while (peek() >= '0' && peek() <= '9') {
            width = width * 10 + static_cast<unsigned>(peek() - '0');
            if (width > 99) {
                return false;
            }
            ++position;
        }
        spec.width = static_cast<std::uint8_t>(width);
        if (peek() == 'x' || peek() == 'd' || peek() == 'c') {
            spec.type = peek();
            ++position;
        }
    }
    if (peek() != '}') {
        return false;
    }
    ++position;
    return true;
}

// Not constexpr and never defined: reaching one while a format string is compiled is the error, and its name
// the message.
void error_malformed_placeholder();
void error_closing_brace_stands_alone();
void error_placeholders_do_not_match_arguments();

/// A literal whose placeholders were counted against the arguments when it was compiled.
template <class... Args>
class String {
  public:
    template <std::convertible_to<std::string_view> T>
    consteval String(const T& literal) : text_(literal) {  // NOLINT(google-explicit-constructor)
        std::size_t placeholders = 0;
        for (std::size_t i = 0; i < text_.size();) {
            const char c = text_[i++];
            if (c == '{') {
                if (i < text_.size() && text_[i] == '{') {
                    ++i;
                    continue;
                }
                Spec spec;
                if (!parse_spec(text_, i, spec)) {
                    error_malformed_placeholder();
                }
                ++placeholders;
            } else if (c == '}') {
                if (i >= text_.size() || text_[i] != '}') {
                    error_closing_brace_stands_alone();
                }
                ++i;
            }
        }
        if (placeholders != sizeof...(Args)) {
            error_placeholders_do_not_match_arguments();
        }
    }

    [[nodiscard]] constexpr std::string_view text() const { return text_; }

  private:
    std::string_view text_;
};

/// Appends to a buffer it does not own; what does not fit is dropped and `truncated()` says so.
class Writer {
  public:
    explicit Writer(std::span<char> buffer) : buffer_(buffer) {}

    void put(char c) {
        if (used_ < buffer_.size()) {
            buffer_[used_++] = c;
        } else {
            truncated_ = true;
        }
    }

    void put(std::string_view text) {
        for (const char c : text) {
            put(c);
        }
    }

    [[nodiscard]] std::string_view text() const { return {buffer_.data(), used_}; }

    [[nodiscard]] bool truncated() const { return truncated_; }

  private:
    std::span<char> buffer_;
    std::size_t used_ = 0;
    bool truncated_ = false;
};

/// The checked text with its arguments; a placeholder without argument writes nothing. Any context.
void write_arguments(Writer& writer, std::string_view text, std::span<const Argument> arguments);

template <class... Args>
void write(Writer& writer, String<std::type_identity_t<Args>...> format, const Args&... args) {
    const std::array<Argument, sizeof...(Args)> arguments{make_argument(args)...};
    write_arguments(writer, format.text(), arguments);
}

/// Formats into `buffer` and returns what was written, shortened to what fits.
template <class... Args>
std::string_view to(std::span<char> buffer, String<std::type_identity_t<Args>...> format,
                    const Args&... args) {
    Writer writer(buffer);
    write(writer, format, args...);
    return writer.text();
}

}  // namespace pv::format
