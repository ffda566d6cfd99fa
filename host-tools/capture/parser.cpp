// A line's header, then its first word decides: one of QEMU's formats, a line of the plugin's, or nothing we
// use.
// SPDX-License-Identifier: MIT
#include "capture/parser.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

#include "capture/formats.hpp"
#include "capture/plugin_line.hpp"
#include "capture/scanner.hpp"

namespace pv::capture {
namespace {

using trace::Event;
using trace::Kind;

constexpr std::int64_t microseconds_per_second = 1'000'000;
constexpr std::int64_t clock_step = microseconds_per_second;
constexpr std::uint64_t max_seconds = 1ULL << 40;
constexpr std::string_view plugin_prefix = "paravane_";
constexpr std::size_t sample_length = 160;

/// Finds a format by the line's first word. Names differ in their last eight bytes or their length, nearly
/// always.
class FormatTable {
  public:
    FormatTable() {
        for (std::size_t i = 0; i < formats.size(); ++i) {
            std::uint8_t* slot = &slots_[slot_of(formats[i].name)];
            next_[i] = *slot;
            *slot = static_cast<std::uint8_t>(i + 1);
        }
    }

    [[nodiscard]] const Format* find(std::string_view name) const {
        if (name.size() < 8) {
            return nullptr;
        }
        for (std::size_t i = slots_[slot_of(name)]; i != 0; i = next_[i - 1]) {
            if (formats[i - 1].name == name) {
                return &formats[i - 1];
            }
        }
        return nullptr;
    }

  private:
    static_assert(std::ranges::all_of(formats, [](const Format& format) { return format.name.size() >= 8; }));
    static_assert(formats.size() < 255);

    static std::size_t slot_of(std::string_view name) {
        std::uint64_t tail = 0;
        std::memcpy(&tail, name.data() + name.size() - 8, 8);
        return ((tail + name.size()) * 0x9e37'79b9'7f4a'7c15) >> 56;
    }

    std::array<std::uint8_t, 256> slots_{};  ///< index into formats, plus one
    std::array<std::uint8_t, formats.size()> next_{};
};

const FormatTable& format_table() {
    static const FormatTable table;
    return table;
}

/// Takes one field off the line. `following`: what comes after it.
bool read_field(Scanner& scanner, const Step& step, const Step& following, Event& event,
                const Parser::Intern& intern) {
    std::uint64_t value = 0;
    bool good = false;
    switch (step.field) {
        case Field::none:
            return true;
        case Field::decimal:
            good = scanner.decimal(value);
            break;
        case Field::hexadecimal:
            good = scanner.hexadecimal(value);
            break;
        case Field::bare_hex:
            good = scanner.digits(value, 16);
            break;
        case Field::pointer:
            good = scanner.pointer(value);
            break;
        case Field::cpu:
            return scanner.cpu(event.cpu);
        case Field::bdf:
            good = scanner.bdf(value);
            break;
        case Field::text: {
            const std::string_view rest = scanner.rest();
            // A name may hold a quote: a literal that ends the line is looked for from the end.
            const std::size_t length =
                following.field == Field::none ? rest.rfind(following.literal) : rest.find(following.literal);
            if (length == std::string_view::npos) {
                return false;
            }
            const std::string_view text = rest.substr(0, length);
            if (std::memchr(text.data(), '@', text.size()) != nullptr && holds_header(text)) {
                return false;
            }
            scanner.skip(length);
            value = step.argument == unused ? 0 : intern(text);
            good = true;
            break;
        }
    }
    if (good && step.argument != unused) {
        event.args[static_cast<std::size_t>(step.argument)] = value;
    }
    return good;
}

bool read_format(const Format& format, std::string_view rest, Event& event, const Parser::Intern& intern) {
    static constexpr Step nothing;
    Scanner scanner(rest);
    event.kind = format.kind;
    for (std::size_t i = 0; i < format.count; ++i) {
        const Step& step = format.steps[i];
        const Step& following = i + 1 < format.count ? format.steps[i + 1] : nothing;
        if (!scanner.literal(step.literal) || !read_field(scanner, step, following, event, intern)) {
            return false;
        }
    }
    return scanner.empty();
}

/// true: `word` is what is left of a name we know after its end was torn off.
bool is_torn_name(std::string_view word) {
    return plugin_prefix.starts_with(word) ||
           std::ranges::any_of(formats,
                               [word](const Format& format) { return format.name.starts_with(word); }) ||
           std::ranges::any_of(families,
                               [word](const Family& family) { return family.prefix.starts_with(word); });
}

bool is_event_name(std::string_view word) {
    return word.size() >= 3 && std::ranges::all_of(word, [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
           });
}

}  // namespace

std::string printable(std::string_view line) {
    static constexpr std::string_view hex = "0123456789abcdef";
    std::string text;
    for (const char c : line.substr(0, sample_length)) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte >= 0x20 && byte < 0x7f) {
            text += c;
        } else {
            text += "\\x";
            text += hex[byte >> 4];
            text += hex[byte & 15];
        }
    }
    return text + (line.size() > sample_length ? "..." : "");
}

std::int64_t Parser::relative_time(std::int64_t microseconds) {
    if (!started_) {
        started_ = true;
        origin_ = microseconds;
    }
    std::int64_t time = microseconds - origin_;
    if (time < last_time_) {
        ++statistics_.time_reversals;
        if (time < last_time_ - clock_step) {
            origin_ = microseconds - last_time_;  // the host's clock was set back: go on from here
        }
        time = last_time_;
    }
    last_time_ = time;
    return time;
}

Parser::Class Parser::parse_plain(std::string_view line, Event& event) {
    event.time = last_time_;
    Scanner scanner(line);
    // system/memory.c, memory_region_access_valid: "Invalid read at addr 0xFF, size 4, region 'nvme', reason:
    // rejected"
    if (scanner.literal("Invalid ")) {
        const bool write = scanner.rest().starts_with("write");
        const std::size_t reason = scanner.rest().rfind("', reason: ");
        if ((scanner.literal("write at addr ") || scanner.literal("read at addr ")) &&
            scanner.hexadecimal(event.args[0]) && scanner.literal(", size ") &&
            scanner.digits(event.args[1]) && scanner.literal(", region '") &&
            reason != std::string_view::npos && is_clean_text(line)) {
            const std::string_view rest = scanner.rest();
            const std::size_t end = rest.rfind("', reason: ");
            if (end != std::string_view::npos) {
                event.kind = Kind::invalid_access;
                event.args[2] = write ? 1 : 0;
                event.args[3] = intern_(rest.substr(0, end));
                event.args[4] = intern_(rest.substr(end + 11));
                return Class::event;
            }
        }
        event.args = {};
    }
    const char first = line.front();
    const bool begins_like_text = (first >= 'a' && first <= 'z') || (first >= 'A' && first <= 'Z');
    if (!begins_like_text || !is_clean_text(line)) {
        return Class::not_understood;
    }
    event.kind = Kind::guest_error;
    event.args[0] = intern_(line);
    return Class::event;
}

Parser::Class Parser::parse(std::string_view line, Event& event) {
    if (line.empty()) {
        return Class::ignored;
    }
    if (line.size() > max_line) {
        return Class::not_understood;
    }
    if (line.front() < '0' || line.front() > '9') {
        return parse_plain(line, event);
    }
    Scanner scanner(line);
    std::uint64_t process = 0;
    std::uint64_t seconds = 0;
    std::uint32_t microseconds = 0;
    if (!scanner.digits(process) || !scanner.literal("@") || !scanner.digits(seconds) ||
        !scanner.literal(".") || !scanner.digits(microseconds) || !scanner.literal(":") ||
        seconds > max_seconds || microseconds >= microseconds_per_second) {
        return Class::not_understood;
    }
    const std::string_view rest = scanner.rest();
    const std::string_view word = rest.substr(0, rest.find(' '));
    const std::string_view fields = rest.substr(std::min(word.size() + 1, rest.size()));

    bool understood = false;
    if (const Format* format = format_table().find(word)) {
        understood = read_format(*format, fields, event, intern_);
    } else if (word.starts_with(plugin_prefix)) {
        understood = read_plugin_line(word, fields, event, intern_);
    } else if (const auto family = std::ranges::find_if(
                   families, [word](const Family& candidate) { return word.starts_with(candidate.prefix); });
               family != families.end() && is_event_name(word) && !fields.empty() && is_clean_text(fields)) {
        event.kind = family->kind;
        event.args[0] = intern_(word);
        event.args[1] = intern_(fields);
        understood = true;
    } else if (is_event_name(word) && !is_torn_name(word) && is_clean_text(fields)) {
        return Class::ignored;
    }
    if (!understood) {
        return Class::not_understood;
    }
    event.time = relative_time(static_cast<std::int64_t>(seconds) * microseconds_per_second + microseconds);
    return Class::event;
}

std::optional<Event> Parser::feed(std::string_view line) {
    if (!line.empty() && line.back() == '\r') {
        line.remove_suffix(1);
    }
    ++statistics_.lines;
    Event event;
    switch (parse(line, event)) {
        case Class::event:
            ++statistics_.events;
            if (event.kind == Kind::lost) {
                statistics_.lost += std::max<std::uint64_t>(event.args[0], 1);
            } else if (event.kind == Kind::plugin_goodbye) {
                statistics_.lost += event.args[1];
            }
            return event;
        case Class::ignored:
            ++statistics_.ignored;
            return std::nullopt;
        case Class::not_understood:
            break;
    }
    ++statistics_.not_understood;
    if (statistics_.samples.size() < max_samples) {
        statistics_.samples.push_back(printable(line));
    }
    return std::nullopt;
}

void Parser::refuse(std::string_view beginning) {
    ++statistics_.lines;
    ++statistics_.not_understood;
    if (statistics_.samples.size() < max_samples) {
        statistics_.samples.push_back(printable(beginning));
    }
}

}  // namespace pv::capture
