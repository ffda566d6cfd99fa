// Text from typed values: the part that is not a template.
// SPDX-License-Identifier: MIT
#include "base/format.hpp"

#include <charconv>

namespace pv::format {
namespace {

constexpr std::size_t digits_max = 24;  // 64 bits in decimal, sign included, with room

std::string_view digits(std::array<char, digits_max>& buffer, std::uint64_t value, int base) {
    const auto [end, error] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, base);
    static_cast<void>(error);  // 24 characters hold any 64-bit number in base 10 and 16
    return {buffer.data(), static_cast<std::size_t>(end - buffer.data())};
}

void pad(Writer& writer, std::size_t count, char c) {
    for (; count > 0; --count) {
        writer.put(c);
    }
}

void write_text(Writer& writer, std::string_view text, const Spec& spec) {
    const std::size_t padding = spec.width > text.size() ? spec.width - text.size() : 0;
    if (spec.right) {
        pad(writer, padding, ' ');
    }
    writer.put(text);
    if (!spec.right) {
        pad(writer, padding, ' ');
    }
}

void write_number(Writer& writer, std::string_view sign, std::string_view number, const Spec& spec) {
    const std::size_t length = sign.size() + number.size();
    const std::size_t padding = spec.width > length ? spec.width - length : 0;
    if (!spec.zero && !spec.left) {
        pad(writer, padding, ' ');
    }
    writer.put(sign);
    if (spec.zero && !spec.left) {
        pad(writer, padding, '0');
    }
    writer.put(number);
    if (spec.left) {
        pad(writer, padding, ' ');
    }
}

// In the largest unit that leaves at least one, with as many decimals as still say something.
void write_duration(Writer& writer, std::uint64_t ns, const Spec& spec) {
    struct Unit {
        std::uint64_t size;
        std::string_view name;
    };

    constexpr std::array units{Unit{1'000'000'000, " s"}, Unit{1'000'000, " ms"}, Unit{1'000, " us"}};
    std::array<char, 32> buffer;
    Writer text(buffer);
    std::array<char, digits_max> number;
    for (const Unit& unit : units) {
        if (ns >= unit.size) {
            const std::uint64_t thousandths = (ns % unit.size) / (unit.size / 1000);
            text.put(digits(number, ns / unit.size, 10));
            text.put('.');
            write_number(text, {}, digits(number, thousandths, 10), {.zero = true, .width = 3});
            text.put(unit.name);
            write_text(writer, text.text(), spec);
            return;
        }
    }
    text.put(digits(number, ns, 10));
    text.put(" ns");
    write_text(writer, text.text(), spec);
}

void write_one(Writer& writer, const Argument& argument, const Spec& spec) {
    std::array<char, digits_max> buffer;
    const bool hexadecimal = spec.type == 'x' || (argument.kind == Argument::Kind::address && spec.type == 0);
    const bool prefix = hexadecimal && (spec.prefix || argument.kind == Argument::Kind::address);
    switch (argument.kind) {
        case Argument::Kind::boolean:
            write_text(writer, argument.number != 0 ? "true" : "false", spec);
            return;
        case Argument::Kind::character: {
            const char c = static_cast<char>(argument.number);
            write_text(writer, std::string_view(&c, 1), spec);
            return;
        }
        case Argument::Kind::text:
            write_text(writer, argument.text, spec);
            return;
        case Argument::Kind::duration:
            write_duration(writer, argument.number, spec);
            return;
        case Argument::Kind::signed_number:
            if (!hexadecimal && static_cast<std::int64_t>(argument.number) < 0) {
                write_number(writer, "-", digits(buffer, 0 - argument.number, 10), spec);
                return;
            }
            [[fallthrough]];
        case Argument::Kind::unsigned_number:
        case Argument::Kind::address:
            write_number(writer, prefix ? "0x" : "", digits(buffer, argument.number, hexadecimal ? 16 : 10),
                         spec);
            return;
    }
}

}  // namespace

void write_arguments(Writer& writer, std::string_view text, std::span<const Argument> arguments) {
    std::size_t next = 0;
    for (std::size_t i = 0; i < text.size();) {
        const char c = text[i++];
        if ((c == '{' || c == '}') && i < text.size() && text[i] == c) {
            writer.put(c);
            ++i;
        } else if (c == '{') {
            Spec spec;
            if (parse_spec(text, i, spec) && next < arguments.size()) {
                write_one(writer, arguments[next++], spec);
            }
        } else {
            writer.put(c);
        }
    }
}

}  // namespace pv::format
