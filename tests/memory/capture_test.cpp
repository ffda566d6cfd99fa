// The tool's memory does not grow with the trace: three times the lines, the same peak.
// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "capture/session.hpp"
#include "store/trace.hpp"
#include "support/synthetic_log.hpp"
#include "support/temporary.hpp"

namespace pv::capture {
namespace {

/// Captures a log of `lines` lines, then streams it, in a process of its own; its peak resident memory in
/// KiB.
long peak_of(const std::filesystem::path& folder, std::uint64_t lines) {
    const std::string log = folder / "log";
    const std::uint64_t written = test::write_synthetic_log(log, lines);
    const pid_t child = ::fork();
    if (child == 0) {
        auto writer = store::Writer::create(folder / "t.db", store::Overwrite::yes);
        auto session = Session::start(::open(log.c_str(), O_RDONLY | O_CLOEXEC), *writer);
        const auto counts = (*session)->join(std::chrono::minutes(2));
        bool good = counts && counts->events == written && writer->finish();
        std::uint64_t seen = 0;
        auto trace = store::Trace::open(folder / "t.db");
        good = good && trace->for_each_event({}, [&](const trace::Event&) { ++seen; }) && seen == written;
        ::_exit(good ? 0 : 1);
    }
    int status = 0;
    rusage usage{};
    EXPECT_EQ(::wait4(child, &status, 0, &usage), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return usage.ru_maxrss;
}

TEST(Memory, does_not_grow_with_the_trace) {
    const test::TemporaryFolder folder;
    const long small = peak_of(folder.path(), 400'000);
    const long large = peak_of(folder.path(), 1'200'000);
    RecordProperty("kib_at_400000_lines", std::to_string(small));
    RecordProperty("kib_at_1200000_lines", std::to_string(large));
    EXPECT_LT(large, small + 8 * 1'024) << small << " KiB at 400,000 lines, " << large << " KiB at 1,200,000";
}

}  // namespace
}  // namespace pv::capture
