// An event of the trace in words.
// SPDX-License-Identifier: MIT
#include "report/event_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <span>
#include <string_view>
#include <utility>

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

// A word for each number from 0 on, as abi/paravane/marker.h has them.
using Words = std::span<const std::string_view>;

Words words_of(trace::Kind kind, std::string_view name) {
    using trace::Kind;
    static constexpr auto directions =
        std::to_array<std::string_view>({"", "to device", "from device", "bidirectional"});
    static constexpr auto operations = std::to_array<std::string_view>(
        {"other", "read", "write", "flush", "discard", "write zeroes", "admin"});
    static constexpr auto devices = std::to_array<std::string_view>(
        {"other", "nvme", "virtio-blk", "virtio-net", "virtio-rng", "virtio-console"});
    static constexpr auto queues = std::to_array<std::string_view>(
        {"", "submission queue", "completion queue", "split virtqueue", "packed virtqueue"});
    static constexpr auto waits =
        std::to_array<std::string_view>({"", "register", "wait queue", "memory", "idle"});
    static constexpr auto protections = std::to_array<std::string_view>({"", "code", "table", "private"});
    static constexpr auto wait_results = std::to_array<std::string_view>({"satisfied", "timed out"});
    static constexpr auto abort_results =
        std::to_array<std::string_view>({"aborted", "goes on", "refused", "no answer"});
    static constexpr auto recovery_results = std::to_array<std::string_view>({"serves again", "given up"});
    static constexpr auto steps =
        std::to_array<std::string_view>({"", "abort", "wait", "queue", "reset", "dead"});
    static constexpr auto reasons =
        std::to_array<std::string_view>({"", "overdue", "fatal", "gone", "protocol", "useless"});
    static constexpr auto resets = std::to_array<std::string_view>({"set-up", "recovery", "shutdown"});
    if (!trace::is_marker(kind)) {
        return {};
    }
    if (name == "direction") {
        return directions;
    }
    if (name == "operation") {
        return operations;
    }
    if (name == "kind") {
        return kind == Kind::marker_device           ? Words(devices)
               : kind == Kind::marker_wait_begin     ? Words(waits)
               : kind == Kind::marker_memory_protect ? Words(protections)
                                                     : Words(queues);
    }
    if (name == "step") {
        return steps;
    }
    if (name == "reason") {
        return kind == Kind::marker_device_reset ? Words(resets)
               : kind == Kind::marker_dma_fault  ? Words()
                                                 : Words(reasons);
    }
    if (name == "result") {
        return kind == Kind::marker_wait_end            ? Words(wait_results)
               : kind == Kind::marker_command_abort_end ? Words(abort_results)
                                                        : Words(recovery_results);
    }
    return {};
}

// What a person reads instead of `text`, the plain form of `value`.
std::string meaning(trace::Kind kind, std::string_view name, std::uint64_t value, std::string text) {
    const Words words = words_of(kind, name);
    if (value < words.size() && !words[value].empty()) {
        return std::string(words[value]);
    }
    // Nanoseconds, in every marker that has them.
    if (trace::is_marker(kind) && (name == "deadline" || name == "overdue" || name == "slack")) {
        return value == std::numeric_limits<std::uint64_t>::max()
                   ? "never"
                   : duration_text(static_cast<std::int64_t>(value / 1000));
    }
    // As the details of findings and the guest's console write it.
    return name == "command" && value >= 10 ? hex_text(value) : std::move(text);
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
    const trace::KindInfo* info = trace::find(event.kind);
    for (const auto& [name, value] : PV_TRY(arguments(trace, devices, event))) {
        std::string words = value;
        for (std::size_t i = 0; info != nullptr && i < info->args.size(); ++i) {
            if (info->args[i] == name) {
                words = meaning(event.kind, name, event.args[i], value);
            }
        }
        result += fmt::format("{}{} {}", result.empty() ? "" : " ", name, words);
    }
    return result;
}

}  // namespace pv::report
