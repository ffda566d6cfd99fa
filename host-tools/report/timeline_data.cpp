// What the page's time line draws, collected in bounded memory.
// SPDX-License-Identifier: MIT
#include "report/timeline_data.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/terminal.hpp"
#include "report/event_text.hpp"
#include "report/format.hpp"
#include "report/latency.hpp"

namespace pv::report {
namespace {

using Json = nlohmann::ordered_json;
using trace::Kind;

constexpr std::int64_t other = INT64_MAX;  // the lane that several share

// 31 years: far above any run, and exact in a JavaScript number.
constexpr std::int64_t longest = 1'000'000'000'000'000;

std::size_t intern(std::vector<std::string>& words, std::string_view word) {
    constexpr std::size_t most = 32;
    const std::string shown = escape_for_terminal(word, {.max_bytes = 40});
    const auto found = std::ranges::find(words, shown);
    if (found != words.end()) {
        return static_cast<std::size_t>(found - words.begin());
    }
    if (words.size() >= most) {
        return most - 1;
    }
    words.push_back(words.size() + 1 == most ? "other" : shown);
    return words.size() - 1;
}

template <class T>
Json or_null(const std::optional<T>& value) {
    return value ? Json(*value) : Json(nullptr);
}

// What is worth a mark of its own among the events, and how much it matters.
std::optional<Weight> mark_weight(Kind kind) {
    switch (kind) {
        case Kind::marker_hello:
        case Kind::marker_goodbye:
        case Kind::marker_device:
        case Kind::marker_device_release:
        case Kind::marker_device_reset:
        case Kind::plugin_hello:
        case Kind::plugin_goodbye:
        case Kind::cpu_start:
        case Kind::lifecycle:
        case Kind::nvme_enabled:
        case Kind::nvme_disabled:
        case Kind::nvme_shutdown:
        case Kind::nvme_reset:
            return Weight::notice;
        case Kind::marker_command_failed:
        case Kind::marker_command_refused:
        case Kind::marker_dma_quarantine:
        case Kind::marker_refused:
        case Kind::invalid_access:
        case Kind::guest_error:
        case Kind::nvme_error:
        case Kind::nvme_misuse:
        case Kind::ring_fault:
            return Weight::warning;
        case Kind::marker_command_timeout:
        case Kind::lost:
            return Weight::trouble;
        default:
            return std::nullopt;
    }
}

// Markers whose first argument is the device.
bool names_device(Kind kind) {
    const trace::KindInfo* info = trace::find(kind);
    return info != nullptr &&
           ((trace::is_marker(kind) && info->args[0] == "device") || info->args[0] == "bdf");
}

}  // namespace

void TimelineData::Piece::merge(const Piece& other_piece) {
    count += other_piece.count;
    if (other_piece.slowest && (!slowest || other_piece.slowest->length() > slowest->length())) {
        slowest = other_piece.slowest;
    }
}

TimelineData::TimelineData(store::Trace& trace, const Summary& summary, const TimelineLimits& limits)
    : trace_(trace), summary_(summary), limits_(limits) {
    intern(outcomes_, "completed");
    lanes_[{}] = 0;
    for (const store::Device& device : summary.devices) {
        lanes_.try_emplace(device_lane(device.bdf, -1), 0);
    }
    for (const store::TimelineEntry& entry : summary.timeline) {
        told_.insert(entry.sequence);
        Mark mark{.lane = entry.bdf ? device_lane(*entry.bdf, -1) : Lane{},
                  .time = moment(entry.time),
                  .what = escape_for_terminal(entry.what, {.max_bytes = 40}),
                  .detail = escape_for_terminal(entry.detail, {.max_bytes = 300}),
                  .sequence = entry.sequence,
                  .weight = weight_of(entry.what)};
        const std::string kind = "timeline " + mark.what;
        add_mark(std::move(mark), kind);
    }
}

std::int64_t TimelineData::moment(std::int64_t time) {
    const std::int64_t result = std::clamp<std::int64_t>(time, 0, longest);
    end_ = std::max(end_, result);
    return result;
}

TimelineData::Lane TimelineData::device_lane(std::int64_t bdf, std::int64_t queue) {
    const bool known = queues_.contains(bdf);
    if (!known && queues_.size() >= limits_.devices) {
        return {.group = Group::device, .major = other, .minor = -1};
    }
    std::set<std::int64_t>& queues = queues_[bdf];
    if (queue >= 0 && !queues.contains(queue)) {
        if (queues.size() >= limits_.queues) {
            return {.group = Group::device, .major = bdf, .minor = other};
        }
        queues.insert(queue);
    }
    return {.group = Group::device, .major = bdf, .minor = queue};
}

TimelineData::Lane TimelineData::cpu_lane(std::int32_t cpu) {
    return {.group = Group::cpu,
            .major = static_cast<std::size_t>(cpu) < limits_.cpus ? std::int64_t{cpu} : other,
            .minor = -1};
}

void TimelineData::add(const store::Command& command, std::size_t series) {
    Bar bar;
    // A command of an unknown device has a lane too: -1 sorts before every PCI address.
    bar.lane = device_lane(command.bdf ? static_cast<std::int64_t>(*command.bdf) : -1,
                           static_cast<std::int64_t>(command.queue));
    bar.series = series;
    bar.start = moment(command.submitted);
    if (command.completed || command.timed_out) {
        bar.end = std::max(moment(command.completed ? *command.completed : *command.timed_out), bar.start);
    }
    bar.operation = intern(operations_, command.operation);
    bar.outcome = intern(outcomes_, command.outcome);
    bar.command = command.command;
    bar.bytes = command.bytes;
    bar.lba = command.lba;
    bar.status = command.status;
    if (command.deadline) {
        bar.deadline = std::clamp<std::int64_t>(*command.deadline, 0, longest);
    }
    bar.id = command.id;

    ++commands_;
    ++lanes_[bar.lane];
    if (all_bars_) {
        bars_.push_back(bar);
        if (bars_.size() > limits_.bars) {
            all_bars_ = false;
            bars_ = {};
        }
    }
    if (bar.outcome != 0 && bad_.size() < limits_.bad) {
        bad_.push_back(bar);
    }
    Piece one{.count = 1, .slowest = bar};
    pieces_.try_emplace(bar.lane, limits_.pieces).first->second.at(bar.start).merge(one);
}

Result<> TimelineData::add(const trace::Event& event) {
    const std::int64_t time = moment(event.time);
    if (event.kind == Kind::mmio_read || event.kind == Kind::mmio_write) {
        if (event.cpu >= 0) {
            const Lane lane = cpu_lane(event.cpu);
            ++lanes_[lane];
            ++activity_.try_emplace(lane, limits_.pieces).first->second.at(time).count;
        }
        return {};
    }
    if (event.kind == Kind::fault_begin || event.kind == Kind::fault_end) {
        return add_fault(event);
    }
    const std::optional<Weight> weight = mark_weight(event.kind);
    if (!weight || told_.contains(event.sequence)) {
        return {};
    }
    const std::string what = kind_text(event.kind);
    Mark mark{
        .lane = {}, .time = time, .what = what, .detail = {}, .sequence = event.sequence, .weight = *weight};
    if (names_device(event.kind)) {
        mark.lane = device_lane(static_cast<std::uint32_t>(event.args[0]), -1);
    } else if (event.kind == Kind::cpu_start && event.cpu >= 0) {
        mark.lane = cpu_lane(event.cpu);
    }
    if (has_room(what)) {
        mark.detail = PV_TRY(arguments_text(trace_, summary_.devices, event));
    }
    add_mark(std::move(mark), what);
    return {};
}

bool TimelineData::has_room(const std::string& kind) const {
    const auto found = marks_of_a_kind_.find(kind);
    return marks_.size() < limits_.marks &&
           (found == marks_of_a_kind_.end() || found->second < limits_.marks_of_a_kind);
}

void TimelineData::add_mark(Mark mark, const std::string& kind) {
    ++lanes_[mark.lane];
    if (!has_room(kind)) {
        ++marks_dropped_;
        return;
    }
    ++marks_of_a_kind_[kind];
    if (mark.what.starts_with("marker_")) {
        mark.what.erase(0, std::string_view("marker_").size());
    }
    std::ranges::replace(mark.what, '_', ' ');
    marks_.push_back(std::move(mark));
}

Result<> TimelineData::add_fault(const trace::Event& event) {
    const Lane lane{.group = Group::faults, .major = 0, .minor = -1};
    const std::int64_t time = moment(event.time);
    const std::string detail = PV_TRY(arguments_text(trace_, summary_.devices, event));
    if (event.kind == Kind::fault_begin) {
        ++lanes_[lane];
        if (spans_.size() < limits_.spans) {
            spans_.push_back({.start = time, .end = -1, .what = "fault", .detail = detail});
        }
        return {};
    }
    const auto open =
        std::ranges::find_if(spans_, [&](const Span& span) { return span.end < 0 && span.detail == detail; });
    // An end whose words differ from its beginning's ends the oldest that is open.
    const auto oldest = open != spans_.end()
                            ? open
                            : std::ranges::find_if(spans_, [](const Span& span) { return span.end < 0; });
    if (oldest != spans_.end()) {
        oldest->end = time;
    }
    return {};
}

void TimelineData::select_bars() {
    if (!all_bars_) {
        std::map<std::int64_t, Bar> chosen;
        for (const Bar& bar : bad_) {
            chosen.emplace(bar.id, bar);
        }
        std::vector<Bar> slowest;
        for (const auto& [lane, pieces] : pieces_) {
            for (const Piece& piece : pieces.values()) {
                if (piece.slowest) {
                    slowest.push_back(*piece.slowest);
                }
            }
        }
        std::ranges::sort(slowest, std::greater<>(), &Bar::length);
        for (const Bar& bar : slowest) {
            if (chosen.size() >= limits_.bars) {
                break;
            }
            chosen.emplace(bar.id, bar);
        }
        bars_.clear();
        for (auto& [id, bar] : chosen) {
            bars_.push_back(bar);
        }
        all_bars_ = true;
    }
    for (Bar& bar : bars_) {
        bar.end = bar.end < 0 ? std::max(end_, bar.start) : bar.end;
    }
}

std::string TimelineData::name_of(const Lane& lane) const {
    switch (lane.group) {
        case Group::guest:
            return "guest";
        case Group::faults:
            return "injected faults";
        case Group::cpu:
            return lane.major == other ? "other vCPUs" : fmt::format("vCPU {}", lane.major);
        case Group::device:
            break;
    }
    const std::string device = lane.major == other ? "other devices"
                               : lane.major < 0
                                   ? "unknown device"
                                   : device_text(summary_.devices, static_cast<std::uint32_t>(lane.major));
    return lane.minor < 0        ? device
           : lane.minor == other ? device + " others"
                                 : fmt::format("{} q{}", device, lane.minor);
}

std::size_t TimelineData::position(const Lane& lane) const {
    const auto found = lanes_.find(lane);
    return found == lanes_.end() ? 0 : static_cast<std::size_t>(std::distance(lanes_.begin(), found));
}

std::size_t TimelineData::lane_of(const store::Finding& finding) const {
    if (finding.bdf) {
        const Lane lane{.group = Group::device, .major = *finding.bdf, .minor = -1};
        if (lanes_.contains(lane)) {
            return position(lane);
        }
    }
    return finding.cpu ? position({.group = Group::cpu, .major = *finding.cpu, .minor = -1}) : 0;
}

Json TimelineData::timeline() {
    const bool every_command = all_bars_;
    select_bars();
    std::map<Lane, std::uint64_t> drawn;
    Json bars = Json::array();
    for (const Bar& bar : bars_) {
        ++drawn[bar.lane];
        bars.push_back(
            Json::array({position(bar.lane), bar.start, bar.end, bar.operation, bar.outcome, bar.command,
                         or_null(bar.bytes), or_null(bar.lba), or_null(bar.deadline), or_null(bar.status)}));
    }
    Json density = Json::array();
    const auto add_density = [&](const Lane& lane, auto& pieces, std::string_view unit) {
        pieces.cover(end_);
        Json counts = Json::array();
        for (const auto& piece : pieces.values()) {
            counts.push_back(piece.count);
        }
        density.push_back({{"lane", position(lane)},
                           {"width", pieces.width()},
                           {"counts", std::move(counts)},
                           {"unit", unit}});
    };
    for (auto& [lane, pieces] : activity_) {
        add_density(lane, pieces, "register accesses");
    }
    for (auto& [lane, pieces] : pieces_) {
        if (!every_command) {
            add_density(lane, pieces, "commands");
        }
    }
    Json lanes = Json::array();
    for (const auto& [lane, total] : lanes_) {
        const bool queue = lane.group == Group::device && lane.minor >= 0;
        lanes.push_back({{"name", name_of(lane)},
                         {"kind", queue ? "queue" : "events"},
                         {"total", total},
                         {"drawn", drawn[lane]}});
    }
    Json marks = Json::array();
    for (const Mark& mark : marks_) {
        marks.push_back(Json::array({position(mark.lane), mark.time, mark.what, mark.detail, mark.sequence,
                                     static_cast<int>(mark.weight)}));
    }
    Json spans = Json::array();
    for (const Span& span : spans_) {
        const Lane lane{.group = Group::faults, .major = 0, .minor = -1};
        spans.push_back(Json::array(
            {position(lane), span.start, span.end < 0 ? end_ : span.end, span.what, span.detail}));
    }
    Json notes = Json::array();
    if (!every_command) {
        notes.push_back(
            fmt::format("{} of {} commands are drawn one by one: those that ended badly and the slowest of "
                        "each 1/{} of the run "
                        "on each queue. The bands behind them count all.",
                        count_text(bars_.size()), count_text(commands_), limits_.pieces));
    }
    if (marks_dropped_ > 0) {
        notes.push_back(fmt::format("{} more events of sorts already drawn {} times are left out.",
                                    count_text(marks_dropped_), limits_.marks_of_a_kind));
    }
    return {{"end", end_},
            {"lanes", std::move(lanes)},
            {"operations", operations_},
            {"outcomes", outcomes_},
            {"bars", std::move(bars)},
            {"density", std::move(density)},
            {"marks", std::move(marks)},
            {"spans", std::move(spans)},
            {"notes", std::move(notes)}};
}

Json TimelineData::points() const {
    Json points = Json::array();
    for (const Bar& bar : bars_) {
        points.push_back(Json::array({bar.series, bar.start, bar.end - bar.start, bar.outcome}));
    }
    return points;
}

}  // namespace pv::report
