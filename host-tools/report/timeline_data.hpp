// What the page's time line draws, collected in one pass over commands and one over events, in bounded
// memory.
// SPDX-License-Identifier: MIT
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "report/bins.hpp"
#include "report/summary.hpp"
#include "store/trace.hpp"

namespace pv::report {

/// What is drawn at most; beyond it the page aggregates and says so. The page stays at a few megabytes.
struct TimelineLimits {
    std::size_t bars = 6'000;           ///< commands drawn one by one
    std::size_t bad = 1'000;            ///< of those, commands that ended badly: kept before any other
    std::size_t marks = 2'000;          ///< events besides commands
    std::size_t marks_of_a_kind = 200;  ///< of one kind
    std::size_t spans = 500;            ///< injected faults
    std::size_t queues = 24;            ///< lanes a device; the rest share one
    std::size_t devices = 16;
    std::size_t cpus = 16;
    std::size_t pieces = 512;  ///< activity: pieces of the run
};

class TimelineData {
  public:
    TimelineData(store::Trace& trace, const Summary& summary, const TimelineLimits& limits = {});

    /// `series`: the command's position among the latencies.
    void add(const store::Command& command, std::size_t series);
    Result<> add(const trace::Event& event);

    /// The object "timeline" of the page's data (see web/src/timeline_chart.js). Call once, at the end.
    nlohmann::ordered_json timeline();
    /// The commands drawn, for the chart of latencies over time: [series, submitted, latency, outcome] each.
    [[nodiscard]] nlohmann::ordered_json points() const;
    /// The lane a finding is pinned to.
    [[nodiscard]] std::size_t lane_of(const store::Finding& finding) const;

    /// Microseconds: nothing drawn lies beyond.
    [[nodiscard]] std::int64_t end() const { return end_; }

    /// How many commands were seen, and how many are drawn.
    [[nodiscard]] std::size_t commands() const { return commands_; }

    [[nodiscard]] std::size_t drawn() const { return bars_.size(); }

  private:
    enum class Group : std::uint8_t { guest, faults, device, cpu };

    struct Lane {
        Group group = Group::guest;
        std::int64_t major = 0;   ///< PCI address or vCPU
        std::int64_t minor = -1;  ///< queue; -1: the device itself
        auto operator<=>(const Lane&) const = default;
    };

    struct Bar {
        Lane lane;
        std::size_t series = 0;
        std::int64_t start = 0;
        std::int64_t end = -1;  ///< -1: never
        std::size_t operation = 0;
        std::size_t outcome = 0;
        std::uint32_t command = 0;
        std::optional<std::uint64_t> bytes;
        std::optional<std::uint64_t> lba;
        std::optional<std::int64_t> deadline;
        std::optional<std::uint64_t> status;
        std::int64_t id = 0;

        [[nodiscard]] std::int64_t length() const { return end < 0 ? INT64_MAX : end - start; }
    };

    /// Of the commands that began in a piece: how many, and the slowest.
    struct Piece {
        std::uint64_t count = 0;
        std::optional<Bar> slowest;
        void merge(const Piece& other);
    };

    struct Count {
        std::uint64_t count = 0;

        void merge(const Count& other) { count += other.count; }
    };

    struct Mark {
        Lane lane;
        std::int64_t time = 0;
        std::string what;
        std::string detail;
        std::int64_t sequence = 0;
        Weight weight = Weight::notice;
    };

    struct Span {
        std::int64_t start = 0;
        std::int64_t end = -1;
        std::string what;
        std::string detail;
    };

    Lane device_lane(std::int64_t bdf, std::int64_t queue);
    Lane cpu_lane(std::int32_t cpu);
    std::int64_t moment(std::int64_t time);
    [[nodiscard]] bool has_room(const std::string& kind) const;
    void add_mark(Mark mark, const std::string& kind);
    Result<> add_fault(const trace::Event& event);
    void select_bars();
    [[nodiscard]] std::string name_of(const Lane& lane) const;
    [[nodiscard]] std::size_t position(const Lane& lane) const;

    store::Trace& trace_;
    const Summary& summary_;
    TimelineLimits limits_;
    std::map<Lane, std::uint64_t> lanes_;  ///< and how much happened on each
    std::map<std::int64_t, std::set<std::int64_t>> queues_;
    std::vector<Bar> bars_;
    bool all_bars_ = true;  ///< bars_ still holds every command
    std::vector<Bar> bad_;
    std::map<Lane, Bins<Piece>> pieces_;
    std::map<Lane, Bins<Count>> activity_;
    std::vector<Mark> marks_;
    std::map<std::string, std::size_t, std::less<>> marks_of_a_kind_;
    std::size_t marks_dropped_ = 0;
    std::vector<Span> spans_;
    std::set<std::int64_t> told_;  ///< events the analysis put on the time line itself
    std::vector<std::string> operations_;
    std::vector<std::string> outcomes_;
    std::size_t commands_ = 0;
    std::int64_t end_ = 0;
};

}  // namespace pv::report
