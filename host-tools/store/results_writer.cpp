// Results replace their predecessors in one transaction.
// SPDX-License-Identifier: MIT
#include <array>
#include <utility>

#include "store/schema.hpp"
#include "store/trace.hpp"
#include "store/utf8.hpp"

namespace pv::store {
namespace {

constexpr std::size_t max_line = 4'096;
constexpr std::size_t max_detail = 1u << 20;

}  // namespace

struct ResultsWriter::State {
    sqlite3* database = nullptr;
    bool open = false;
    Statement rule, finding, evidence, command, timeline, device, verdict, meta;

    ~State() {
        if (open) {
            sqlite3_exec(database, "ROLLBACK", nullptr, nullptr, nullptr);
        }
    }

    /// Inserts one row; its rowid.
    Result<std::int64_t> insert(Statement& statement) const {
        PV_TRY(statement.run());
        return sqlite3_last_insert_rowid(database);
    }
};

ResultsWriter::ResultsWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}

ResultsWriter::ResultsWriter(ResultsWriter&&) noexcept = default;
ResultsWriter& ResultsWriter::operator=(ResultsWriter&&) noexcept = default;
ResultsWriter::~ResultsWriter() = default;

Result<ResultsWriter> Trace::replace_results() {
    if (mode_ != Mode::judge) {
        return fail(ExitStatus::usage, path_.string() + " was opened for reading only", "");
    }
    auto state = std::make_unique<ResultsWriter::State>();
    const std::array<std::pair<Statement ResultsWriter::State::*, const char*>, 8> statements = {{
        {&ResultsWriter::State::rule, "INSERT OR REPLACE INTO main.rule_result VALUES (?,?,?,?,?,?,?)"},
        {&ResultsWriter::State::finding, "INSERT INTO main.finding VALUES (NULL,?,?,?,?,?,?,?,?,?,?,?)"},
        {&ResultsWriter::State::evidence, "INSERT OR IGNORE INTO main.finding_event VALUES (?,?,?)"},
        {&ResultsWriter::State::command, "INSERT INTO main.command VALUES (NULL,?,?,?,?,?,?,?,?,?,?,?,?)"},
        {&ResultsWriter::State::timeline, "INSERT INTO main.timeline VALUES (NULL,?,?,?,?,?)"},
        {&ResultsWriter::State::device, "INSERT OR REPLACE INTO main.device VALUES (?,?,?,?)"},
        {&ResultsWriter::State::verdict, "INSERT INTO main.verdict VALUES (?,?,?)"},
        {&ResultsWriter::State::meta, "INSERT OR REPLACE INTO main.meta VALUES (?,?)"},
    }};
    for (const auto& [member, sql] : statements) {
        (*state).*member = PV_TRY(database_.prepare(sql));
    }
    PV_TRY(database_.execute("BEGIN IMMEDIATE"));
    state->database = database_.handle();
    state->open = true;
    PV_TRY(database_.execute(
        "DELETE FROM main.rule_result; DELETE FROM main.finding; DELETE FROM main.finding_event; "
        "DELETE FROM main.command; DELETE FROM main.timeline; DELETE FROM main.verdict;"));
    return ResultsWriter(std::move(state));
}

Result<> ResultsWriter::add(const RuleResult& result) {
    const std::string note = make_storable(result.note, max_detail);
    state_->rule.bind(1, std::string_view(result.rule)).bind(2, to_string(result.outcome));
    state_->rule.bind(3, result.observed).bind(4, std::string_view(result.unit)).bind(5, result.findings);
    state_->rule.bind(6, std::string_view(result.evidence)).bind(7, std::string_view(note));
    return state_->rule.run();
}

Result<std::int64_t> ResultsWriter::add(const Finding& finding) {
    const std::string title = make_storable(finding.title, max_line);
    const std::string detail = make_storable(finding.detail, max_detail);
    Statement& row = state_->finding;
    row.bind(1, std::string_view(finding.rule))
        .bind(2, to_string(finding.severity))
        .bind(3, finding.sequence);
    row.bind(4, finding.time).bind(5, finding.cpu).bind(6, finding.pc).bind(7, finding.bdf);
    row.bind(8, finding.address).bind(9, finding.length);
    row.bind(10, std::string_view(title)).bind(11, std::string_view(detail));
    const std::int64_t id = PV_TRY(state_->insert(row));
    for (const FindingEvent& event : finding.events) {
        state_->evidence.bind(1, id).bind(2, event.sequence).bind(3, std::string_view(event.role));
        PV_TRY(state_->evidence.run());
    }
    return id;
}

Result<std::int64_t> ResultsWriter::add(const Command& command) {
    Statement& row = state_->command;
    row.bind(1, command.bdf).bind(2, std::int64_t{command.queue}).bind(3, std::int64_t{command.command});
    row.bind(4, std::string_view(command.operation)).bind(5, command.bytes).bind(6, command.lba);
    row.bind(7, command.submitted).bind(8, command.deadline).bind(9, command.timed_out);
    row.bind(10, command.completed).bind(11, command.status).bind(12, std::string_view(command.outcome));
    return state_->insert(row);
}

Result<> ResultsWriter::add(const TimelineEntry& entry) {
    const std::string detail = make_storable(entry.detail, max_line);
    state_->timeline.bind(1, entry.sequence).bind(2, entry.time).bind(3, entry.bdf);
    state_->timeline.bind(4, std::string_view(entry.what)).bind(5, std::string_view(detail));
    return state_->timeline.run();
}

Result<> ResultsWriter::add(const Device& device) {
    const std::string name = make_storable(device.name, max_line);
    const std::string detail = make_storable(device.detail, max_line);
    state_->device.bind(1, std::int64_t{device.bdf}).bind(2, std::string_view(name));
    state_->device.bind(3, std::string_view(device.kind)).bind(4, std::string_view(detail));
    return state_->device.run();
}

Result<> ResultsWriter::set(const Verdict& verdict) {
    const std::string reason = make_storable(verdict.reason, max_detail);
    state_->verdict.bind(1, to_string(verdict.verdict)).bind(2, std::int64_t{verdict.exit_status});
    state_->verdict.bind(3, std::string_view(reason));
    return state_->verdict.run();
}

Result<> ResultsWriter::set_meta(std::string_view key, std::string_view value) {
    const std::string stored = make_storable(value, max_detail);
    return state_->meta.bind(1, key).bind(2, std::string_view(stored)).run();
}

Result<> ResultsWriter::commit() {
    const int code = sqlite3_exec(state_->database, "COMMIT", nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) {
        return std::unexpected(sqlite_error(code, sqlite3_db_filename(state_->database, "main"),
                                            sqlite3_errmsg(state_->database)));
    }
    state_->open = false;
    return {};
}

}  // namespace pv::store
