// Bulk load: prepared inserts in large transactions, a rollback journal so that a killed writer leaves a
// valid file.
// SPDX-License-Identifier: MIT
#include "store/writer.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <fstream>
#include <optional>
#include <string>
#include <unordered_map>

#include "store/schema.hpp"
#include "store/sqlite.hpp"
#include "store/utf8.hpp"

namespace pv::store {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t max_cached_strings =
    65'536;  // with max_text: at most 64 MiB, in practice a few hundred KiB
constexpr std::size_t max_cached_bytes = 16u << 20;

/// Lets string_view look up std::string keys.
struct TextHash {
    using is_transparent = void;

    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};

/// Makes room for a new trace at `path`.
Result<> clear_the_way(const std::filesystem::path& path, Overwrite overwrite) {
    std::error_code error;
    const auto status = std::filesystem::symlink_status(path, error);
    if (!std::filesystem::exists(status)) {
        return {};
    }
    if (overwrite == Overwrite::no) {
        return fail(ExitStatus::usage, fmt::format("{} exists already", path.string()),
                    "give another name, or remove it first");
    }
    const bool plain = std::filesystem::is_regular_file(status);
    if (plain && std::filesystem::file_size(path, error) != 0) {
        // SQLite's header: magic at 0, application id big-endian at 68
        // (https://sqlite.org/fileformat.html, 1.3).
        std::array<char, 72> header{};
        std::ifstream(path, std::ios::binary).read(header.data(), header.size());
        if (std::string_view(header.data(), 15) != "SQLite format 3" ||
            std::string_view(header.data() + 68, 4) != "PVTR") {
            return fail(ExitStatus::usage,
                        fmt::format("{} is not a trace, so it is not overwritten", path.string()),
                        "give another name");
        }
    }
    if (!plain || !std::filesystem::remove(path, error)) {
        return fail(ExitStatus::usage, fmt::format("cannot replace {}", path.string()), "give another name");
    }
    std::filesystem::remove(path.string() + "-journal", error);
    return {};
}

}  // namespace

struct Writer::State {
    std::filesystem::path path;
    Database database;
    Statement insert_event;
    Statement insert_string;
    std::unordered_map<std::string, std::uint64_t, TextHash, std::equal_to<>> strings;
    std::size_t string_bytes = 0;
    std::uint64_t next_string = 1;
    std::int64_t events = 0;
    std::int64_t events_in_transaction = 0;
    bool in_transaction = false;
    bool finished = false;
    Clock::time_point transaction_began;
    std::optional<Error> failed;

    Result<> begin();
    Result<> commit();
    Result<> note(Result<> result);
    Result<> insert(const trace::Event& event);
};

/// Keeps the first failure: after it the file must stay as the last commit left it.
Result<> Writer::State::note(Result<> result) {
    if (!result && !failed) {
        failed = result.error();
        sqlite3_exec(database.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
        in_transaction = false;
    }
    return result;
}

Result<> Writer::State::begin() {
    if (failed) {
        return std::unexpected(*failed);
    }
    if (!in_transaction) {
        PV_TRY(note(database.execute("BEGIN")));
        in_transaction = true;
        events_in_transaction = 0;
        transaction_began = Clock::now();
    }
    return {};
}

Result<> Writer::State::commit() {
    if (failed) {
        return std::unexpected(*failed);
    }
    if (in_transaction) {
        PV_TRY(note(database.execute("COMMIT")));
        in_transaction = false;
    }
    return {};
}

Result<> Writer::State::insert(const trace::Event& event) {
    // The C interface by hand: this is the one place where a call more or less a row can be measured.
    sqlite3_stmt* row = insert_event.handle();
    sqlite3_bind_int64(row, 1, events + 1);
    sqlite3_bind_int64(row, 2, event.time);
    sqlite3_bind_int(row, 3, static_cast<int>(event.kind));
    if (event.cpu >= 0) {
        sqlite3_bind_int(row, 4, event.cpu);
    } else {
        sqlite3_bind_null(row, 4);
    }
    if (event.pc != 0) {
        sqlite3_bind_int64(row, 5, static_cast<sqlite3_int64>(event.pc));
    } else {
        sqlite3_bind_null(row, 5);
    }
    const std::size_t arguments = trace::argument_count(event.kind);
    for (std::size_t i = 0; i < event.args.size(); ++i) {
        const int parameter = static_cast<int>(i) + 6;
        if (i < arguments) {
            sqlite3_bind_int64(row, parameter, static_cast<sqlite3_int64>(event.args[i]));
        } else {
            sqlite3_bind_null(row, parameter);
        }
    }
    const int code = sqlite3_step(row);
    sqlite3_reset(row);
    if (code != SQLITE_DONE) {
        return note(std::unexpected(database.error(code)));
    }
    return {};
}

Writer::Writer(std::unique_ptr<State> state) : state_(std::move(state)) {}

Writer::Writer(Writer&&) noexcept = default;
Writer& Writer::operator=(Writer&&) noexcept = default;

Writer::~Writer() {
    if (state_ != nullptr) {
        static_cast<void>(
            state_->commit());  // a failure has been reported, or the file stays as last committed
    }
}

Result<Writer> Writer::create(const std::filesystem::path& path, Overwrite overwrite) {
    PV_TRY(clear_the_way(path, overwrite));
    auto state = std::make_unique<State>();
    state->path = path;
    state->database = PV_TRY(Database::open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE));
    Database& database = state->database;
    sqlite3_busy_timeout(database.handle(), 5'000);
    // The journal keeps a killed process's file valid; not syncing means a crash of the host itself may not.
    // 16 KiB pages: fewer of them to allocate and to journal in an append-only load.
    PV_TRY(database.execute(
        "PRAGMA page_size = 16384; PRAGMA journal_mode = TRUNCATE; PRAGMA synchronous = OFF; "
        "PRAGMA cache_size = -8192;"));
    PV_TRY(create_schema(database));
    state->insert_event = PV_TRY(database.prepare("INSERT INTO event VALUES (?,?,?,?,?,?,?,?,?,?,?)"));
    state->insert_string = PV_TRY(database.prepare("INSERT INTO string VALUES (?,?)"));
    return Writer(std::move(state));
}

Result<> Writer::append(const trace::Event& event) {
    State& state = *state_;
    if (!state.in_transaction) {
        PV_TRY(state.begin());
    }
    PV_TRY(state.insert(event));
    ++state.events;
    if (++state.events_in_transaction >= transaction_events) {
        return state.commit();
    }
    if (state.events_in_transaction % 1'024 == 0) {
        return checkpoint();
    }
    return {};
}

std::uint64_t Writer::intern(std::string_view text) {
    State& state = *state_;
    text = text.substr(0, std::min(text.size(), max_text + 4));  // what make_storable cuts, before it copies
    if (text.empty()) {
        return 0;
    }
    if (const auto found = state.strings.find(text); found != state.strings.end()) {
        return found->second;
    }
    if (state.failed || !state.begin()) {
        return 0;
    }
    const std::string stored = make_storable(text, max_text);
    const std::uint64_t id = state.next_string++;
    state.insert_string.bind(1, id).bind(2, std::string_view(stored));
    if (!state.note(state.insert_string.run())) {
        return 0;
    }
    if (state.strings.size() >= max_cached_strings || state.string_bytes >= max_cached_bytes) {
        state.strings.clear();  // the same text may now get a second id; memory stays bounded
        state.string_bytes = 0;
    }
    state.strings.emplace(text, id);
    state.string_bytes += text.size();
    return id;
}

Result<> Writer::set_meta(std::string_view key, std::string_view value) {
    PV_TRY(state_->begin());
    Statement statement = PV_TRY(state_->database.prepare("INSERT OR REPLACE INTO meta VALUES (?,?)"));
    const std::string stored = make_storable(value, 1u << 20);
    PV_TRY(state_->note(statement.bind(1, key).bind(2, std::string_view(stored)).run()));
    return state_->finished ? state_->commit() : Result<>{};
}

Result<> Writer::add_device(const Device& device) {
    PV_TRY(state_->begin());
    Statement statement = PV_TRY(state_->database.prepare("INSERT OR REPLACE INTO device VALUES (?,?,?,?)"));
    const std::string name = make_storable(device.name, max_text);
    const std::string detail = make_storable(device.detail, max_text);
    statement.bind(1, std::int64_t{device.bdf}).bind(2, std::string_view(name));
    statement.bind(3, std::string_view(device.kind)).bind(4, std::string_view(detail));
    PV_TRY(state_->note(statement.run()));
    return state_->finished ? state_->commit() : Result<>{};
}

Result<> Writer::add_symbol(const Symbol& symbol) {
    PV_TRY(state_->begin());
    Statement statement = PV_TRY(state_->database.prepare("INSERT OR IGNORE INTO symbol VALUES (?,?,?)"));
    const std::string name = make_storable(symbol.name, max_text);
    statement.bind(1, symbol.address).bind(2, symbol.size).bind(3, std::string_view(name));
    return state_->note(statement.run());
}

Result<> Writer::checkpoint() {
    State& state = *state_;
    if (state.failed) {
        return std::unexpected(*state.failed);
    }
    if (state.in_transaction &&
        Clock::now() - state.transaction_began >= std::chrono::milliseconds(transaction_milliseconds)) {
        return state.commit();
    }
    return {};
}

Result<> Writer::finish() {
    State& state = *state_;
    PV_TRY(state.commit());
    if (state.finished) {
        return {};
    }
    PV_TRY(state.begin());
    PV_TRY(state.note(create_indexes(state.database)));
    PV_TRY(set_meta("events", std::to_string(state.events)));
    PV_TRY(set_meta(meta_whole, "1"));
    PV_TRY(state.commit());
    state.finished = true;
    return {};
}

std::int64_t Writer::event_count() const {
    return state_->events;
}

const std::filesystem::path& Writer::path() const {
    return state_->path;
}

}  // namespace pv::store
