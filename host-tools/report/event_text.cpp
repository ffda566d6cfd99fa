// An event of the trace in words.
// SPDX-License-Identifier: MIT
#include "report/event_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <string_view>

#include "base/terminal.hpp"
#include "report/format.hpp"

namespace pv::report {
namespace {

// What is counted rather than addressed. Everything else of ten and more is shown in hexadecimal.
constexpr auto decimal = std::to_array<std::string_view>({"size",
                                                          "length",
                                                          "bytes",
                                                          "blocks",
                                                          "sectors",
                                                          "sector",
                                                          "lba",
                                                          "count",
                                                          "entries",
                                                          "cpus",
                                                          "in_count",
                                                          "out_count",
                                                          "descriptors",
                                                          "prps",
                                                          "transfer_length",
                                                          "command",
                                                          "mapping",
                                                          "wait",
                                                          "request",
                                                          "deadline",
                                                          "overdue",
                                                          "slack",
                                                          "head",
                                                          "tail",
                                                          "index",
                                                          "chain",
                                                          "lines",
                                                          "lost",
                                                          "markers",
                                                          "nsid",
                                                          "last_entry",
                                                          "completion_queue",
                                                          "vector",
                                                          "bar"});

std::string plain(std::string_view name, std::uint64_t value) {
    if (value == std::numeric_limits<std::uint64_t>::max()) {
        return "-1";
    }
    const bool counted = std::ranges::find(decimal, name) != decimal.end();
    return value < 10 || counted ? fmt::to_string(value) : hex_text(value);
}

}  // namespace

std::string kind_text(trace::Kind kind) {
    const trace::KindInfo* info = trace::find(kind);
    return info == nullptr ? fmt::format("kind {}", static_cast<std::int32_t>(kind))
                           : std::string(info->name);
}

Result<std::vector<std::pair<std::string, std::string>>> arguments(store::Trace& trace,
                                                                   const std::vector<store::Device>& devices,
                                                                   const trace::Event& event) {
    std::vector<std::pair<std::string, std::string>> result;
    const trace::KindInfo* info = trace::find(event.kind);
    for (std::size_t i = 0; info != nullptr && i < info->args.size(); ++i) {
        const std::string_view name = info->args[i];
        const std::uint64_t value = event.args[i];
        if (name == "_") {
            continue;
        }
        if (name.ends_with("_text")) {
            const std::string text = PV_TRY(trace.text(value));
            result.emplace_back(name.substr(0, name.size() - 5),
                                fmt::format("\"{}\"", escape_for_terminal(text, {.max_bytes = 300})));
        } else if (name == "bdf" || (name == "device" && trace::is_marker(event.kind))) {
            result.emplace_back("device", device_text(devices, static_cast<std::uint32_t>(value)));
        } else {
            result.emplace_back(name, plain(name, value));
        }
    }
    return result;
}

Result<std::string> arguments_text(store::Trace& trace, const std::vector<store::Device>& devices,
                                   const trace::Event& event) {
    std::string result;
    for (const auto& [name, value] : PV_TRY(arguments(trace, devices, event))) {
        result += fmt::format("{}{} {}", result.empty() ? "" : " ", name, value);
    }
    return result;
}

}  // namespace pv::report
