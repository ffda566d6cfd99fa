// `paravane query`: asks a trace in SQL.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "base/file.hpp"
#include "base/terminal.hpp"
#include "cli/query_output.hpp"
#include "cli/subcommand.hpp"
#include "store/query.hpp"
#include "store/trace.hpp"

namespace pv::cli {
namespace {

constexpr std::size_t longest_query = std::size_t{1} << 20;

struct Options {
    std::string trace;
    std::string sql;
    std::vector<std::string> hexadecimal;
    std::int64_t limit = -1;
    bool csv = false;
    bool json = false;
    bool views = false;
};

constexpr std::array examples = {
    Example{"paravane query --views trace.db", "list the views and their columns"},
    Example{
        "paravane query trace.db 'SELECT region_text, count(*) AS n FROM mmio GROUP BY 1 ORDER BY n DESC'",
        "which devices' registers were used most"},
    Example{"paravane query --hex bus trace.db 'SELECT * FROM mapping WHERE unmapped_seq IS NULL'",
            "DMA mappings that were never ended"},
    Example{"paravane query --json trace.db 'SELECT * FROM finding' | jq '.[].title'",
            "read findings with a program"},
};
constexpr std::array statuses = {
    StatusMeaning{ExitStatus::pass, "the query was answered, perhaps with no rows"},
    StatusMeaning{ExitStatus::usage, "wrong arguments, no trace, or a query that is not understood"},
};

/// stdout is data: a reader of the pipe that has seen enough (`| head`) ends this program quietly, as it does
/// others.
Result<> list_views(store::Trace& trace) {
    for (const store::Queryable& item : PV_TRY(store::queryables(trace))) {
        fmt::print("{}: {}\n    {}\n", item.name, item.description, fmt::join(item.columns, ", "));
    }
    return {};
}

Result<ExitStatus> query(const Options& options) {
    store::Trace trace = PV_TRY(store::Trace::open(options.trace));
    if (!trace.is_whole() && is_terminal(STDERR_FILENO)) {
        fmt::print(stderr, "paravane: the recording of this trace did not finish: events may be missing\n");
    }
    if (options.views) {
        PV_TRY(list_views(trace));
        return ExitStatus::pass;
    }
    std::string sql = options.sql;
    if (sql == "-") {
        sql = PV_TRY(read_open(STDIN_FILENO, "the query on standard input", longest_query));
    }
    store::Statement statement = PV_TRY(store::prepare_query(trace, sql));
    QueryOutput output;
    output.format = options.csv ? QueryFormat::csv : options.json ? QueryFormat::json : QueryFormat::table;
    output.limit = options.limit;
    output.hexadecimal.insert(options.hexadecimal.begin(), options.hexadecimal.end());
    output.to_terminal = is_terminal(STDOUT_FILENO);
    PV_TRY(write_rows(statement, output, stdout));
    return ExitStatus::pass;
}

Action define(CLI::App& app) {
    auto options = std::make_shared<Options>();
    app.add_option("TRACE", options->trace, "The trace, as `paravane check` or `paravane record` wrote it")
        ->required();
    app.add_option("SQL", options->sql, "One statement that reads; - reads it from standard input");
    CLI::Option* csv =
        app.add_flag("--csv", options->csv, "Print comma-separated values (RFC 4180), a header first");
    app.add_flag("--json", options->json, "Print an array of objects")->excludes(csv);
    app.add_option("--limit", options->limit, "Print at most this many rows")
        ->type_name("N")
        ->check(CLI::NonNegativeNumber);
    app.add_option("--hex", options->hexadecimal, "Print these columns in hexadecimal, unsigned")
        ->type_name("COLUMN,...")
        ->delimiter(',')
        ->allow_extra_args(false);
    app.add_flag("--views", options->views, "List views and tables with their columns");
    return [options] { return query(*options); };
}

}  // namespace

const Subcommand& query_subcommand() {
    static const Subcommand subcommand{
        .name = "query",
        .summary = "Ask a trace in SQL",
        .description =
            "Answers one SQL statement from a trace. Use the views: one for each kind of event with its "
            "arguments as "
            "columns (mmio_write, nvme_completion, marker_dma_map, ...), and joined ones (event_text, mmio, "
            "dma, "
            "mapping, marker, command_latency, finding_evidence). docs/trace.md describes them.\n\n"
            "Times are microseconds since the first event; 64-bit values are stored as signed integers with "
            "the same "
            "bits, so an address of the kernel shows as a negative number unless --hex names its column. The "
            "trace "
            "is only read, also one that comes from elsewhere: nothing in the file is run.",
        .examples = examples,
        .statuses = statuses,
        .define = define,
    };
    return subcommand;
}

}  // namespace pv::cli
