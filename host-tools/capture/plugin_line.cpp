// Key and value pairs, named as the table of kinds names them.
// SPDX-License-Identifier: MIT
#include "capture/plugin_line.hpp"

#include <algorithm>
#include <string>

#include "capture/scanner.hpp"

namespace pv::capture {
namespace {

using trace::Event;
using trace::Kind;

constexpr std::size_t max_arguments = 6;

/// What a line of the kind has at least: a later minor version of the markers may have added arguments, and
/// logs of an older one are read all the same.
std::size_t arguments_needed(Kind kind) {
    return kind == Kind::marker_hello ? 4 : trace::argument_count(kind);
}

/// "cpu N pc N number N args N N N": as many as the marker has, at most six.
bool read_marker(Scanner& scanner, Event& event) {
    std::uint64_t number = 0;
    if (!scanner.literal("cpu ") || !scanner.cpu(event.cpu) || !scanner.literal(" pc ") ||
        !scanner.number(event.pc) || !scanner.literal(" number ") || !scanner.number(number) || number == 0 ||
        number > 0xffff) {
        return false;
    }
    std::size_t count = 0;
    if (scanner.literal(" args")) {
        while (!scanner.empty()) {
            if (count == max_arguments || !scanner.literal(" ") || !scanner.number(event.args[count])) {
                return false;
            }
            ++count;
        }
    }
    event.kind = static_cast<Kind>(trace::marker_base + static_cast<int>(number));
    const bool known = trace::find(event.kind) != nullptr;
    return scanner.empty() && (!known || count >= arguments_needed(event.kind));
}

int hex_digit(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/// A text in quotes, its \xHH undone.
bool read_quoted(Scanner& scanner, std::string& text) {
    if (!scanner.literal("'")) {
        return false;
    }
    while (!scanner.empty()) {
        const std::string_view rest = scanner.rest();
        if (rest.front() == '\'') {
            scanner.skip(1);
            return true;
        }
        if (rest.front() == '\\') {
            const int high = rest.size() >= 4 && rest[1] == 'x' ? hex_digit(rest[2]) : -1;
            const int low = rest.size() >= 4 ? hex_digit(rest[3]) : -1;
            if (high < 0 || low < 0) {
                return false;
            }
            text += static_cast<char>(high << 4 | low);
            scanner.skip(4);
        } else {
            text += rest.front();
            scanner.skip(1);
        }
    }
    return false;
}

/// Position of the argument that `key` names; max_arguments where there is none.
std::size_t position_of(const trace::KindInfo& info, std::string_view key) {
    for (std::size_t i = 0; i < max_arguments && info.args[i] != "_"; ++i) {
        const std::string_view name = info.args[i];
        if (name == key || (name.ends_with("_text") && name.substr(0, name.size() - 5) == key)) {
            return i;
        }
    }
    return max_arguments;
}

}  // namespace

bool read_plugin_line(std::string_view name, std::string_view fields, Event& event,
                      const Parser::Intern& intern) {
    Scanner scanner(fields);
    if (name == "paravane_marker") {
        return read_marker(scanner, event);
    }
    const auto info = std::ranges::find(trace::kinds, name, &trace::KindInfo::log_name);
    if (info == trace::kinds.end()) {
        return false;
    }
    event.kind = info->kind;
    unsigned missing = (1U << trace::argument_count(info->kind)) - 1;
    std::string text;
    for (bool first = true; !scanner.empty(); first = false) {
        if (!first && !scanner.literal(" ")) {
            return false;
        }
        const std::string_view rest = scanner.rest();
        const std::size_t space = rest.find(' ');
        if (space == 0 || space == std::string_view::npos) {
            return false;
        }
        const std::string_view key = rest.substr(0, space);
        scanner.skip(space + 1);
        const std::size_t position = position_of(*info, key);
        const bool is_text = scanner.rest().starts_with('\'');
        std::uint64_t value = 0;
        text.clear();
        if (key == "cpu" && position == max_arguments) {
            if (!scanner.cpu(event.cpu)) {
                return false;
            }
            continue;
        }
        if (is_text ? !read_quoted(scanner, text) : !scanner.number(value)) {
            return false;
        }
        if (position < max_arguments) {
            if (is_text != info->args[position].ends_with("_text")) {
                return false;
            }
            event.args[position] = is_text ? intern(text) : value;
            missing &= ~(1U << position);
        } else if (key == "pc" && !is_text) {
            event.pc = value;
        }
    }
    return missing == 0 && (event.kind != Kind::cpu_start || event.cpu >= 0);
}

}  // namespace pv::capture
