// Writes a judged sample trace and its HTML report: sample KIND TRACE PAGE REPORT. Kinds: stall, pass, idle,
// hostile, large.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <cstdio>
#include <string_view>

#include "report/html.hpp"
#include "sample_trace.hpp"
#include "store/trace.hpp"

namespace {

pv::Result<> make(std::string_view kind, const char* trace_path, const char* page, const char* report) {
    pv::test::SampleOptions options;
    if (kind == "pass") {
        options.findings = false;
    } else if (kind == "idle") {
        options.findings = false;
        options.idle = 20'000'000;
    } else if (kind == "hostile") {
        options.hostile = true;
    } else if (kind == "large") {
        options = {.findings = true,
                   .hostile = false,
                   .events = 1'000'000,
                   .commands = 150'000,
                   .queues = 8,
                   .cpus = 8};
    } else if (kind != "stall") {
        return pv::fail(pv::ExitStatus::usage, "unknown kind of sample");
    }
    PV_TRY(pv::test::write_sample_trace(trace_path, options));
    pv::store::Trace trace = PV_TRY(pv::store::Trace::open(trace_path));
    return pv::report::html(trace, report, {.page = page, .trace_path = "trace.db"});
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 5) {
        fmt::print(stderr, "usage: sample KIND TRACE PAGE REPORT\n");
        return 2;
    }
    const pv::Result<> made = make(argv[1], argv[2], argv[3], argv[4]);
    if (!made) {
        fmt::print(stderr, "{}\n{}\n", made.error().message, made.error().hint);
        return 1;
    }
    return 0;
}
