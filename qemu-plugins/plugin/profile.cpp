// One line each: words, then numbers or KEY=PLACE.
// SPDX-License-Identifier: MIT
#include "plugin/profile.hpp"

#include <algorithm>
#include <charconv>

namespace pv::plugin {
namespace {

constexpr std::string_view first_line = "paravane-profile 1";
constexpr std::size_t most_calls = 256;

struct Key {
    std::string_view name;
    std::uint64_t Layout::* member;
};

constexpr std::array<Key, 20> offsets{
    {{"device-bus", &Layout::device_bus},   {"pci-device", &Layout::pci_device},
     {"pci-bus", &Layout::pci_bus},         {"pci-devfn", &Layout::pci_devfn},
     {"bus-number", &Layout::bus_number},   {"list-page", &Layout::list_page},
     {"list-offset", &Layout::list_offset}, {"list-length", &Layout::list_length},
     {"list-bus", &Layout::list_bus},       {"list-bus-length", &Layout::list_bus_length},
     {"table-list", &Layout::table_list},   {"table-count", &Layout::table_count},
     {"page-size", &Layout::page_size},     {"list-size", &Layout::list_size},
     {"batch-count", &Layout::batch_count}, {"batch-folios", &Layout::batch_folios},
     {"folio-flags", &Layout::folio_flags}, {"folio-order", &Layout::folio_order},
     {"head-bit", &Layout::head_bit},       {"space-root", &Layout::space_root}}};

struct Place {
    std::string_view name;
    Operand Call::* member;
};

constexpr std::array<Place, 15> places{{{"device", &Call::device},
                                        {"bus", &Call::bus},
                                        {"length", &Call::length},
                                        {"page", &Call::page},
                                        {"offset", &Call::offset},
                                        {"direction", &Call::direction},
                                        {"list", &Call::list},
                                        {"table", &Call::table},
                                        {"count", &Call::count},
                                        {"order", &Call::order},
                                        {"batch", &Call::batch},
                                        {"space", &Call::space},
                                        {"first", &Call::first},
                                        {"last", &Call::last},
                                        {"shift", &Call::shift}}};

struct DeedName {
    std::string_view name;
    Deed deed;
};

constexpr std::array<DeedName, 9> deeds{{{"map", Deed::map},
                                         {"unmap", Deed::unmap},
                                         {"map-list", Deed::map_list},
                                         {"map-table", Deed::map_table},
                                         {"unmap-list", Deed::unmap_list},
                                         {"release", Deed::release},
                                         {"release-folios", Deed::release_folios},
                                         {"shootdown", Deed::shootdown},
                                         {"shootdown-kernel", Deed::shootdown_kernel}}};

std::string_view word(std::string_view& line) {
    const std::size_t end = line.find(' ');
    const std::string_view found = line.substr(0, end);
    line.remove_prefix(end == std::string_view::npos ? line.size() : end + 1);
    return found;
}

template <class T>
std::optional<T> number(std::string_view text) {
    const bool hex = text.starts_with("0x");
    T value = 0;
    const char* end = text.data() + text.size();
    const auto [rest, problem] = std::from_chars(text.data() + (hex ? 2 : 0), end, value, hex ? 16 : 10);
    return problem == std::errc() && rest == end ? std::optional(value) : std::nullopt;
}

std::optional<Operand> operand(std::string_view text) {
    if (text == "result") {
        return Operand{Operand::Where::result, 0};
    }
    const bool pointed = text.starts_with('*');
    const auto index = number<unsigned>(text.substr(pointed ? 1 : 0));
    if (!index || *index > 5) {
        return std::nullopt;
    }
    return Operand{pointed ? Operand::Where::pointed : Operand::Where::argument,
                   static_cast<std::uint8_t>(*index)};
}

bool read_bytes(std::string_view text, Profile::Bytes& bytes) {
    for (std::size_t i = 0; i < bytes.size() && text.size() == 2 * bytes.size(); ++i) {
        const std::string_view two = text.substr(2 * i, 2);
        const auto [rest, problem] = std::from_chars(two.data(), two.data() + 2, bytes[i], 16);
        if (problem != std::errc() || rest != two.data() + 2) {
            return false;
        }
    }
    return text.size() == 2 * bytes.size();
}

/// What the deed cannot do without.
bool is_whole(const Call& call) {
    switch (call.deed) {
        case Deed::map:
        case Deed::unmap:
            return call.device.given() && call.bus.given() && call.length.given();
        case Deed::map_list:
        case Deed::unmap_list:
            return call.device.given() && call.list.given() && call.count.given();
        case Deed::map_table:
            return call.device.given() && call.table.given();
        case Deed::release:
            return call.page.where == Operand::Where::argument &&
                   (!call.order.given() || call.order.where == Operand::Where::argument);
        case Deed::release_folios:
            return call.batch.where == Operand::Where::argument;
        case Deed::shootdown:
            return call.space.given() && call.first.given() && call.last.given() && call.shift.given();
        case Deed::shootdown_kernel:
            return call.first.given() == call.last.given();
    }
    return false;
}

bool read_call(std::string_view line, Call& call) {
    const auto address = number<std::uint64_t>(word(line));
    const auto deed = std::ranges::find(deeds, word(line), &DeedName::name);
    if (!address || deed == deeds.end()) {
        return false;
    }
    call.address = *address;
    call.deed = deed->deed;
    while (!line.empty()) {
        const std::string_view pair = word(line);
        const std::size_t equals = pair.find('=');
        if (equals == std::string_view::npos) {
            return false;
        }
        const std::string_view value = pair.substr(equals + 1);
        if (pair.substr(0, equals) == "fails-with") {
            const auto result = number<std::int64_t>(value);
            if (!result) {
                return false;
            }
            call.failure = static_cast<std::uint64_t>(*result);
            continue;
        }
        const auto place = std::ranges::find(places, pair.substr(0, equals), &Place::name);
        const auto where = operand(value);
        if (place == places.end() || !where) {
            return false;
        }
        call.*(place->member) = *where;
    }
    return is_whole(call);
}

bool read_line(std::string_view line, Profile& profile) {
    const std::string_view what = word(line);
    if (what == "name") {
        profile.name = line.substr(0, 64);
        return true;
    }
    if (what == "anchor") {
        profile.anchor = number<std::uint64_t>(word(line)).value_or(0);
        return profile.anchor != 0 && read_bytes(line, profile.anchor_bytes);
    }
    if (what == "call") {
        Call call;
        if (profile.calls.size() >= most_calls || !read_call(line, call)) {
            return false;
        }
        profile.calls.push_back(call);
        return true;
    }
    const std::string_view key = word(line);
    const auto value = number<std::uint64_t>(line);
    if (!value) {
        return false;
    }
    if (what == "variable" && (key == "pci-type" || key == "pages" || key == "memory")) {
        (key == "pages" ? profile.pages : key == "memory" ? profile.memory : profile.pci_type) = *value;
        return true;
    }
    const auto offset = std::ranges::find(offsets, key, &Key::name);
    if (what != "offset" || offset == offsets.end()) {
        return false;
    }
    profile.layout.*(offset->member) = *value;
    return true;
}

}  // namespace

std::expected<Profile, std::string> parse_profile(std::string_view text) {
    Profile profile;
    std::size_t number = 0;
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        if (++number == 1 ? line != first_line : !line.empty() && !read_line(line, profile)) {
            return std::unexpected("line " + std::to_string(number) + " of the profile is not understood");
        }
    }
    if (profile.anchor == 0 || profile.calls.empty() || profile.layout.list_size == 0 ||
        profile.layout.page_size == 0 || profile.pci_type == 0 || profile.pages == 0) {
        return std::unexpected(
            std::string("the profile is not whole: anchor, variables, sizes and calls are needed"));
    }
    const auto needs_memory = [](const Call& call) { return call.deed == Deed::shootdown; };
    if (profile.memory == 0 && std::ranges::any_of(profile.calls, needs_memory)) {
        return std::unexpected(std::string("the profile has shootdowns, and not where memory is mapped"));
    }
    std::ranges::sort(profile.calls, {}, &Call::address);
    return profile;
}

}  // namespace pv::plugin
