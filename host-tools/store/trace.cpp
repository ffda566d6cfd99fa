// Opening a trace that may come from anywhere, and streaming what it holds.
// SPDX-License-Identifier: MIT
#include "store/trace.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <utility>

#include "store/schema.hpp"

namespace pv::store {
namespace {

constexpr const char* trace_hint = "give a file that `paravane record` or `paravane check --output` wrote";
constexpr std::int64_t max_cpu = 1 << 20;
constexpr std::uint64_t unsized_symbol_reach = 1u << 20;
constexpr std::size_t max_cached_texts = 4'096;
constexpr int most_slides = 100'000;  // boots

/// Looks at the header before SQLite does (https://sqlite.org/fileformat.html, 1.3): magic; write and read
/// version 1, because a file in WAL mode would make SQLite write beside it even for reading.
Result<> check_header(const std::filesystem::path& path) {
    std::error_code error;
    const auto status = std::filesystem::status(path, error);
    if (!std::filesystem::exists(status)) {
        return fail(ExitStatus::usage, fmt::format("there is no trace {}", path.string()), trace_hint);
    }
    if (!std::filesystem::is_regular_file(status)) {
        return fail(ExitStatus::usage, fmt::format("{} is not a file", path.string()), trace_hint);
    }
    std::array<char, 100> header{};
    std::ifstream file(path, std::ios::binary);
    if (!file) {
        return fail(ExitStatus::usage, fmt::format("{} may not be read", path.string()),
                    "check its permissions");
    }
    file.read(header.data(), header.size());
    if (file.gcount() != 100 ||
        std::string_view(header.data(), 16) != std::string_view("SQLite format 3\0", 16) || header[18] != 1 ||
        header[19] != 1) {
        return fail(ExitStatus::usage, fmt::format("{} is not a trace", path.string()), trace_hint);
    }
    return {};
}

/// true: a writer that was killed left a journal that must be played back first.
Result<bool> needs_recovery(Database& database) {
    const int code =
        sqlite3_exec(database.handle(), "SELECT 1 FROM main.sqlite_schema", nullptr, nullptr, nullptr);
    if (code == SQLITE_OK) {
        return false;
    }
    if (code == SQLITE_READONLY_ROLLBACK || code == SQLITE_READONLY_RECOVERY) {
        return true;
    }
    return std::unexpected(database.error(code));
}

Error damaged(const Statement& statement, std::string_view what) {
    const char* file = sqlite3_db_filename(sqlite3_db_handle(statement.handle()), "main");
    return {ExitStatus::usage, fmt::format("{} is damaged: {}", file == nullptr ? "the trace" : file, what),
            "record the trace again"};
}

/// A column as a narrower number; outside its range the file is damaged.
template <class T>
Result<T> narrow(const Statement& row, int column, std::string_view name) {
    const std::int64_t value = row.integer(column);
    if (!std::in_range<T>(value)) {
        return std::unexpected(damaged(row, fmt::format("{} {} is out of range", name, value)));
    }
    return static_cast<T>(value);
}

template <class T>
std::optional<T> optional_column(const Statement& row, int column) {
    if (row.is_null(column)) {
        return std::nullopt;
    }
    return static_cast<T>(row.integer(column));
}

Result<std::optional<std::uint32_t>> bdf_column(const Statement& row, int column) {
    if (row.is_null(column)) {
        return std::nullopt;
    }
    return PV_TRY(narrow<std::uint32_t>(row, column, "device address"));
}

template <class Parse>
auto word_column(const Statement& row, int column, Parse parse)
    -> Result<typename decltype(parse(std::string_view()))::value_type> {
    const auto value = parse(row.text(column));
    if (!value) {
        return std::unexpected(
            damaged(row, "an outcome, severity or verdict is none of the documented words"));
    }
    return *value;
}

}  // namespace

Result<Trace> Trace::open(const std::filesystem::path& path, Mode mode) {
    PV_TRY(check_header(path));
    const int flags = mode == Mode::judge ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;
    Database database = PV_TRY(Database::open(path, flags));
    PV_TRY(distrust(database));
    if (PV_TRY(needs_recovery(database))) {
        {
            Database writable = PV_TRY(Database::open(path, SQLITE_OPEN_READWRITE));
            PV_TRY(distrust(writable));
            (void)PV_TRY(needs_recovery(writable));
        }
        database = PV_TRY(Database::open(path, flags));
        PV_TRY(distrust(database));
        (void)PV_TRY(needs_recovery(database));
    }
    const int minor = PV_TRY(verify_schema(database));
    PV_TRY(create_temporary_views(database));

    Trace trace(path, std::move(database));
    trace.mode_ = mode;
    trace.schema_minor_ = minor;
    trace.whole_ = PV_TRY(trace.meta(meta_whole)).value_or("") == "1";
    Statement last = PV_TRY(trace.prepare("SELECT ifnull(max(seq), 0) FROM main.event"));
    (void)PV_TRY(last.step());
    trace.event_count_ = last.integer(0);
    if (trace.event_count_ < 0) {
        return std::unexpected(damaged(last, "an event has a negative number"));
    }
    return trace;
}

Result<std::map<std::string, std::string>> Trace::meta() {
    std::map<std::string, std::string> values;
    Statement rows = PV_TRY(prepare("SELECT key, value FROM main.meta LIMIT 10000"));
    while (PV_TRY(rows.step())) {
        values.emplace(rows.text(0), rows.text(1));
    }
    return values;
}

Result<std::optional<std::string>> Trace::meta(std::string_view key) {
    Statement rows = PV_TRY(prepare("SELECT value FROM main.meta WHERE key = ?"));
    rows.bind(1, key);
    if (PV_TRY(rows.step())) {
        return std::string(rows.text(0));
    }
    return std::nullopt;
}

Result<std::vector<Device>> Trace::devices() {
    std::vector<Device> devices;
    Statement rows =
        PV_TRY(prepare("SELECT bdf, name, kind, detail FROM main.device ORDER BY bdf LIMIT 65536"));
    while (PV_TRY(rows.step())) {
        devices.push_back({PV_TRY(narrow<std::uint32_t>(rows, 0, "device address")),
                           std::string(rows.text(1)), std::string(rows.text(2)), std::string(rows.text(3))});
    }
    return devices;
}

// A kernel tells by its hello, at each boot, or its profile did so right before.
Result<std::uint64_t> Trace::slide_at(std::int64_t sequence) {
    if (!slides_) {
        std::vector<Slide> slides;
        bool is_profiled = false;
        Statement rows = PV_TRY(prepare(fmt::format(
            "SELECT seq, CASE kind WHEN {0} THEN a0 END, ifnull(a4, 0) FROM main.event WHERE kind IN ({0}, "
            "{1}) ORDER BY seq LIMIT {2}",
            static_cast<int>(trace::Kind::profile), static_cast<int>(trace::Kind::marker_hello),
            most_slides)));
        while (PV_TRY(rows.step())) {
            if (!rows.is_null(1)) {
                slides.push_back({rows.integer(0), rows.unsigned_integer(1)});
            } else if (rows.unsigned_integer(2) != 0 || !is_profiled) {
                slides.push_back({rows.integer(0), rows.unsigned_integer(2)});
            }
            is_profiled = !rows.is_null(1);
        }
        slides_ = std::move(slides);
    }
    const auto next = std::ranges::upper_bound(*slides_, sequence, {}, &Slide::sequence);
    return next == slides_->begin() ? 0 : std::prev(next)->bytes;
}

Result<std::optional<Symbol>> Trace::symbol(std::uint64_t address, std::int64_t sequence) {
    const std::uint64_t slide = PV_TRY(slide_at(sequence));
    address -= slide;
    Statement rows = PV_TRY(prepare(
        "SELECT address, size, name FROM main.symbol WHERE address <= ? ORDER BY address DESC LIMIT 1"));
    rows.bind(1, address);
    if (!PV_TRY(rows.step())) {
        return std::nullopt;
    }
    Symbol symbol{rows.unsigned_integer(0), rows.unsigned_integer(1), std::string(rows.text(2))};
    const std::uint64_t reach = symbol.size != 0 ? symbol.size : unsized_symbol_reach;
    if (address - symbol.address >= reach) {
        return std::nullopt;
    }
    symbol.address += slide;
    return symbol;
}

Result<std::string> Trace::text(std::uint64_t id) {
    if (id == 0) {
        return std::string();
    }
    if (const auto cached = texts_.find(id); cached != texts_.end()) {
        return cached->second;
    }
    Statement rows = PV_TRY(prepare("SELECT text FROM main.string WHERE id = ?"));
    std::string text;
    if (PV_TRY(rows.bind(1, id).step())) {
        text = std::string(rows.text(0).substr(0, Writer::max_text));
    }
    if (texts_.size() >= max_cached_texts) {
        texts_.clear();
    }
    texts_.emplace(id, text);
    return text;
}

Result<EventCursor> Trace::events(const EventFilter& filter) {
    std::string sql =
        "SELECT seq, time, kind, cpu, pc, a0, a1, a2, a3, a4, a5 FROM main.event WHERE seq BETWEEN ? AND ?";
    if (filter.kinds.size() == 1) {
        sql += fmt::format(" AND kind = {}",
                           static_cast<int>(filter.kinds.front()));  // the index keeps seq's order
    } else if (!filter.kinds.empty()) {
        // The unary plus keeps SQLite from the index, whose rows it would have to sort in memory.
        sql += " AND +kind IN (";
        for (std::size_t i = 0; i < filter.kinds.size(); ++i) {
            sql += fmt::format("{}{}", i == 0 ? "" : ",", static_cast<int>(filter.kinds[i]));
        }
        sql += ')';
    }
    sql += " ORDER BY seq";
    Statement statement = PV_TRY(prepare(sql));
    statement.bind(1, filter.from).bind(2, filter.to);
    return EventCursor(std::move(statement));
}

Result<bool> EventCursor::next(trace::Event& event) {
    if (!PV_TRY(statement_.step())) {
        return false;
    }
    const Statement& row = statement_;
    event.sequence = row.integer(0);
    event.time = row.integer(1);
    const std::int64_t kind = row.integer(2);
    const std::int64_t cpu = row.is_null(3) ? -1 : row.integer(3);
    if (event.sequence < 1 || event.time < 0 || kind < 1 || !std::in_range<std::int32_t>(kind) || cpu < -1 ||
        cpu > max_cpu) {
        return std::unexpected(
            damaged(row, fmt::format("event {} has a time, kind or cpu that cannot be", event.sequence)));
    }
    event.kind = static_cast<trace::Kind>(kind);
    event.cpu = static_cast<std::int32_t>(cpu);
    event.pc = row.unsigned_integer(4);
    for (std::size_t i = 0; i < event.args.size(); ++i) {
        event.args[i] = row.unsigned_integer(static_cast<int>(i) + 5);
    }
    return true;
}

Result<std::optional<trace::Event>> Trace::event(std::int64_t sequence) {
    EventCursor cursor = PV_TRY(events({.from = sequence, .to = sequence, .kinds = {}}));
    trace::Event event;
    if (PV_TRY(cursor.next(event))) {
        return event;
    }
    return std::nullopt;
}

Result<std::vector<RuleResult>> Trace::rule_results() {
    std::vector<RuleResult> results;
    Statement rows =
        PV_TRY(prepare("SELECT rule, outcome, observed, unit, findings, evidence, note FROM "
                       "main.rule_result ORDER BY rule LIMIT 10000"));
    while (PV_TRY(rows.step())) {
        const auto outcome = PV_TRY(word_column(rows, 1, parse_outcome));
        results.push_back({.rule = std::string(rows.text(0)),
                           .outcome = outcome,
                           .observed = rows.unsigned_integer(2),
                           .unit = std::string(rows.text(3)),
                           .findings = rows.unsigned_integer(4),
                           .evidence = std::string(rows.text(5)),
                           .note = std::string(rows.text(6))});
    }
    return results;
}

Result<std::vector<Finding>> Trace::findings(std::int64_t limit, std::int64_t after) {
    std::vector<Finding> findings;
    Statement rows = PV_TRY(
        prepare("SELECT id, rule, severity, seq, time, cpu, pc, bdf, address, length, title, detail FROM "
                "main.finding WHERE id > ? ORDER BY id LIMIT ?"));
    Statement evidence =
        PV_TRY(prepare("SELECT seq, role FROM main.finding_event WHERE finding = ? ORDER BY seq LIMIT 1000"));
    rows.bind(1, after).bind(2, limit);
    while (PV_TRY(rows.step())) {
        Finding finding;
        finding.id = rows.integer(0);
        finding.rule = rows.text(1);
        finding.severity = PV_TRY(word_column(rows, 2, parse_severity));
        finding.sequence = rows.integer(3);
        finding.time = rows.integer(4);
        if (!rows.is_null(5)) {
            finding.cpu = PV_TRY(narrow<std::int32_t>(rows, 5, "cpu"));
        }
        finding.pc = optional_column<std::uint64_t>(rows, 6);
        finding.bdf = PV_TRY(bdf_column(rows, 7));
        finding.address = optional_column<std::uint64_t>(rows, 8);
        finding.length = optional_column<std::uint64_t>(rows, 9);
        finding.title = rows.text(10);
        finding.detail = rows.text(11);
        evidence.bind(1, finding.id);
        while (PV_TRY(evidence.step())) {
            finding.events.push_back({evidence.integer(0), std::string(evidence.text(1))});
        }
        evidence.reset();
        findings.push_back(std::move(finding));
    }
    return findings;
}

Result<std::int64_t> Trace::finding_count() {
    Statement rows = PV_TRY(prepare("SELECT count(*) FROM main.finding"));
    (void)PV_TRY(rows.step());
    return rows.integer(0);
}

Result<std::vector<Command>> Trace::commands(std::int64_t limit, std::int64_t after) {
    std::vector<Command> commands;
    Statement rows = PV_TRY(prepare(
        "SELECT id, bdf, queue, command, operation, bytes, lba, submitted, deadline, timed_out, completed, "
        "status, outcome FROM main.command WHERE id > ? ORDER BY id LIMIT ?"));
    rows.bind(1, after).bind(2, limit);
    while (PV_TRY(rows.step())) {
        Command command;
        command.id = rows.integer(0);
        command.bdf = PV_TRY(bdf_column(rows, 1));
        command.queue = PV_TRY(narrow<std::uint32_t>(rows, 2, "queue"));
        command.command = PV_TRY(narrow<std::uint32_t>(rows, 3, "command id"));
        command.operation = rows.text(4);
        command.bytes = optional_column<std::uint64_t>(rows, 5);
        command.lba = optional_column<std::uint64_t>(rows, 6);
        command.submitted = rows.integer(7);
        command.deadline = optional_column<std::int64_t>(rows, 8);
        command.timed_out = optional_column<std::int64_t>(rows, 9);
        command.completed = optional_column<std::int64_t>(rows, 10);
        command.status = optional_column<std::uint64_t>(rows, 11);
        command.outcome = rows.text(12);
        commands.push_back(std::move(command));
    }
    return commands;
}

Result<std::vector<TimelineEntry>> Trace::timeline(std::int64_t limit) {
    std::vector<TimelineEntry> entries;
    Statement rows =
        PV_TRY(prepare("SELECT seq, time, bdf, what, detail FROM main.timeline ORDER BY seq, id LIMIT ?"));
    rows.bind(1, limit);
    while (PV_TRY(rows.step())) {
        const auto bdf = PV_TRY(bdf_column(rows, 2));
        entries.push_back(
            {rows.integer(0), rows.integer(1), bdf, std::string(rows.text(3)), std::string(rows.text(4))});
    }
    return entries;
}

Result<std::optional<Verdict>> Trace::verdict() {
    Statement rows = PV_TRY(prepare("SELECT verdict, exit_status, reason FROM main.verdict"));
    if (!PV_TRY(rows.step())) {
        return std::nullopt;
    }
    const auto verdict = PV_TRY(word_column(rows, 0, parse_verdict));
    const auto status = PV_TRY(narrow<std::uint8_t>(rows, 1, "exit status"));
    return Verdict{verdict, status, std::string(rows.text(2))};
}

}  // namespace pv::store
