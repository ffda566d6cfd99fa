// Arguments are few and all checked: a misspelt probe would otherwise be evidence that silently lacks.
// SPDX-License-Identifier: MIT
#include "plugin/options.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

namespace pv::plugin {
namespace {

constexpr std::string_view expected_form =
    "expected probe=NAME[,NAME...], NAME: markers, control, rings, tlb, ownership, instructions; "
    "profile=FILE; "
    "grace=MILLISECONDS (for tlb)";

constexpr std::uint64_t longest_grace = 100'000;

struct Probe {
    std::string_view name;
    bool Options::* member;
};

constexpr std::array<Probe, 6> probes{{{"markers", &Options::markers},
                                       {"control", &Options::control},
                                       {"rings", &Options::rings},
                                       {"tlb", &Options::tlb},
                                       {"ownership", &Options::ownership},
                                       {"instructions", &Options::instructions}}};

std::string wrong(std::string_view what, std::string_view word) {
    return std::string{what} + " '" + std::string{word.substr(0, 60)} + "'; " + std::string{expected_form};
}

}  // namespace

std::expected<Options, std::string> parse_options(std::span<const char* const> arguments) {
    Options chosen{.markers = false, .control = false, .rings = false};
    bool any = false;
    for (const std::string_view argument : arguments) {
        const std::size_t equals = argument.find('=');
        const std::string_view key = argument.substr(0, equals);
        const std::string_view value =
            equals == std::string_view::npos ? std::string_view{} : argument.substr(equals + 1);
        if (key == "profile") {
            if (value.empty()) {
                return std::unexpected(wrong("no file in", argument));
            }
            chosen.profile = value;
            continue;
        }
        std::string_view list = value;
        if (key == "grace") {
            const auto [end, error] =
                std::from_chars(value.data(), value.data() + value.size(), chosen.grace);
            if (value.empty() || error != std::errc{} || end != value.data() + value.size() ||
                chosen.grace > longest_grace) {
                return std::unexpected(wrong("bad grace time", value));
            }
            continue;
        }
        if (key != "probe") {
            // QEMU turned ",control" into "control=on".
            if (!any || value != "on" || std::ranges::find(probes, key, &Probe::name) == probes.end()) {
                return std::unexpected(wrong("unknown argument", argument));
            }
            list = key;
        }
        while (true) {
            const std::size_t comma = list.find(',');
            const std::string_view name = list.substr(0, comma);
            const auto probe = std::ranges::find(probes, name, &Probe::name);
            if (probe == probes.end()) {
                return std::unexpected(wrong("unknown probe", name));
            }
            chosen.*(probe->member) = true;
            any = true;
            if (comma == std::string_view::npos) {
                break;
            }
            list.remove_prefix(comma + 1);
        }
    }
    if (!any) {
        Options standard;
        standard.profile = chosen.profile;
        standard.grace = chosen.grace;
        return standard;
    }
    if (chosen.rings && !chosen.markers) {
        return std::unexpected(
            "probe 'rings' needs 'markers': rings are decoded where markers tell of them; " +
            std::string{expected_form});
    }
    return chosen;
}

}  // namespace pv::plugin
