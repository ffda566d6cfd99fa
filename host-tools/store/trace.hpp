// Reads a trace, event by event and result by result, and replaces its results. The file may come from
// anywhere.
// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <vector>

#include "base/error.hpp"
#include "paravane/trace_event.hpp"
#include "store/results.hpp"
#include "store/sqlite.hpp"
#include "store/writer.hpp"

namespace pv::store {

/// Which events to stream. Both ends count.
struct EventFilter {
    std::int64_t from = 1;
    std::int64_t to = std::numeric_limits<std::int64_t>::max();
    std::vector<trace::Kind> kinds;  ///< empty: all
};

/// Streams events in sequence order. Holds one row, whatever the trace's length.
class EventCursor {
  public:
    /// true: `event` holds the next one; false: no more. An event this version cannot hold (a file from
    /// elsewhere: cpu or kind out of range) is an error, not a guess.
    [[nodiscard]] Result<bool> next(trace::Event& event);

  private:
    friend class Trace;

    explicit EventCursor(Statement statement) : statement_(std::move(statement)) {}

    Statement statement_;
};

/// Replaces the results of a trace in one transaction: rule_result, finding, finding_event, command,
/// timeline, verdict. Destroyed without commit(), the old results stay. Events may be streamed from the same
/// Trace meanwhile.
class ResultsWriter {
  public:
    ResultsWriter(ResultsWriter&&) noexcept;
    ResultsWriter& operator=(ResultsWriter&&) noexcept;
    ~ResultsWriter();

    [[nodiscard]] Result<> add(const RuleResult& result);
    [[nodiscard]] Result<std::int64_t> add(const Finding& finding);  ///< its id; `finding.id` is not read
    [[nodiscard]] Result<std::int64_t> add(const Command& command);  ///< its id; `command.id` is not read
    [[nodiscard]] Result<> add(const TimelineEntry& entry);
    [[nodiscard]] Result<> add(
        const Device& device);  ///< replaces one with the same bdf; stays when results are replaced
    [[nodiscard]] Result<> set(const Verdict& verdict);
    [[nodiscard]] Result<> set_meta(std::string_view key, std::string_view value);
    [[nodiscard]] Result<> commit();

  private:
    friend class Trace;
    struct State;
    explicit ResultsWriter(std::unique_ptr<State> state);

    std::unique_ptr<State> state_;
};

/// An open trace. One thread at a time. Nothing in the file is trusted: wrong magic or version is refused,
/// its triggers and views are switched off, its schema must be the documented one, numbers are range-checked.
class Trace {
  public:
    enum class Mode : std::uint8_t {
        read,   ///< never writes (except to roll back what a killed writer left behind)
        judge,  ///< replace_results() may be called
    };

    [[nodiscard]] static Result<Trace> open(const std::filesystem::path& path, Mode mode = Mode::read);

    [[nodiscard]] const std::filesystem::path& path() const { return path_; }

    [[nodiscard]] int schema_minor() const { return schema_minor_; }

    /// false: the writer did not finish (killed, disk full): events may be missing at the end.
    [[nodiscard]] bool is_whole() const { return whole_; }

    /// The highest sequence number: sequences have no gaps.
    [[nodiscard]] std::int64_t event_count() const { return event_count_; }

    [[nodiscard]] Result<std::map<std::string, std::string>> meta();
    [[nodiscard]] Result<std::optional<std::string>> meta(std::string_view key);
    [[nodiscard]] Result<std::vector<Device>> devices();
    /// The symbol that covers `address` as an event sees it: the nearest below, within its size (within 1 MiB
    /// where that is not known). Symbols have the addresses at which a kernel was linked; what is returned is
    /// moved by as much as the kernel had moved itself at event `sequence`.
    [[nodiscard]] Result<std::optional<Symbol>> symbol(std::uint64_t address, std::int64_t sequence);
    /// An interned text; empty for 0 and for an id that does not exist. Guest-chosen: escape it when shown.
    [[nodiscard]] Result<std::string> text(std::uint64_t id);

    [[nodiscard]] Result<EventCursor> events(const EventFilter& filter = {});
    [[nodiscard]] Result<std::optional<trace::Event>> event(std::int64_t sequence);

    /// Calls `callback(event)` for each, in order. The callback returns nothing, or bool (false ends the
    /// stream), or Result<> (an error ends it and is returned).
    template <std::invocable<const trace::Event&> Callback>
    [[nodiscard]] Result<> for_each_event(const EventFilter& filter, Callback&& callback) {
        EventCursor cursor = PV_TRY(events(filter));
        trace::Event event;
        while (PV_TRY(cursor.next(event))) {
            using Answer = std::invoke_result_t<Callback&, const trace::Event&>;
            if constexpr (std::is_void_v<Answer>) {
                callback(event);
            } else if constexpr (std::is_same_v<Answer, bool>) {
                if (!callback(event)) {
                    return {};
                }
            } else {
                PV_TRY(callback(event));
            }
        }
        return {};
    }

    [[nodiscard]] Result<ResultsWriter> replace_results();
    [[nodiscard]] Result<std::vector<RuleResult>> rule_results();
    /// At most `limit` findings with their events, in id order, after `after`.
    [[nodiscard]] Result<std::vector<Finding>> findings(std::int64_t limit = 1'000, std::int64_t after = 0);
    [[nodiscard]] Result<std::int64_t> finding_count();
    /// At most `limit` commands in id order, after `after`: page through a large trace.
    [[nodiscard]] Result<std::vector<Command>> commands(std::int64_t limit = 10'000, std::int64_t after = 0);
    [[nodiscard]] Result<std::vector<TimelineEntry>> timeline(std::int64_t limit = 10'000);
    [[nodiscard]] Result<std::optional<Verdict>> verdict();  ///< nothing: not judged yet

    /// For queries of one's own (the report's aggregates, `paravane query`). The documented views are there
    /// as this program defines them, whatever the file says.
    [[nodiscard]] Result<Statement> prepare(std::string_view sql) { return database_.prepare(sql); }

    [[nodiscard]] Database& database() { return database_; }

  private:
    Trace(std::filesystem::path path, Database database)
        : path_(std::move(path)), database_(std::move(database)) {}

    std::filesystem::path path_;
    Database database_;
    Mode mode_ = Mode::read;
    int schema_minor_ = 0;
    bool whole_ = false;
    std::int64_t event_count_ = 0;
    std::unordered_map<std::uint64_t, std::string> texts_;  ///< bounded cache of text()

    /// How far the kernel runs from where it was linked, from an event on.
    struct Slide {
        std::int64_t sequence = 0;
        std::uint64_t bytes = 0;
    };

    [[nodiscard]] Result<std::uint64_t> slide_at(std::int64_t sequence);

    std::optional<std::vector<Slide>> slides_;  ///< in order; read when first needed
};

}  // namespace pv::store
