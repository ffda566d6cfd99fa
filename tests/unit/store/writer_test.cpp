// The writer: what is appended is read back, bit for bit, and what a killed or starved writer leaves is
// valid.
// SPDX-License-Identifier: MIT
#include "store/writer.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <limits>

#include "store/trace.hpp"
#include "support/temporary.hpp"

namespace pv::store {
namespace {

using trace::Event;
using trace::Kind;

Event mmio(std::int64_t time, std::uint64_t value) {
    return {.time = time,
            .kind = Kind::mmio_write,
            .cpu = 1,
            .args = {0xfebf'4000, value, 4, 0x5653'0306'd690, 1}};
}

TEST(Writer, round_trips_every_field_of_every_kind) {
    const test::TemporaryFolder folder;
    std::vector<Event> written;
    Writer writer = *Writer::create(folder / "t.db");
    for (const trace::KindInfo& info : trace::kinds) {
        Event event{.time = std::ssize(written), .kind = info.kind, .cpu = 3, .pc = 0xffff'ffff'8010'1234};
        for (std::size_t i = 0; i < trace::argument_count(info.kind); ++i) {
            event.args[i] = std::numeric_limits<std::uint64_t>::max() - i;
        }
        written.push_back(event);
        ASSERT_TRUE(writer.append(event));
    }
    written.push_back(
        {.time = 1'000, .kind = static_cast<Kind>(60'000), .args = {1, 2, 3, 4, 5, 6}});  // newer
    ASSERT_TRUE(writer.append(written.back()));
    ASSERT_TRUE(writer.finish());

    Trace trace = *Trace::open(folder / "t.db");
    EXPECT_TRUE(trace.is_whole());
    EXPECT_EQ(trace.event_count(), std::ssize(written));
    std::size_t at = 0;
    ASSERT_TRUE(trace.for_each_event({}, [&](const Event& event) {
        ASSERT_LT(at, written.size());
        EXPECT_EQ(event.sequence, static_cast<std::int64_t>(at) + 1);
        EXPECT_EQ(event.time, written[at].time);
        EXPECT_EQ(event.kind, written[at].kind);
        EXPECT_EQ(event.cpu, written[at].cpu);
        EXPECT_EQ(event.pc, written[at].pc);
        EXPECT_EQ(event.args, written[at].args);
        ++at;
    }));
    EXPECT_EQ(at, written.size());
}

TEST(Writer, interns_hostile_text_as_valid_bounded_utf8) {
    const test::TemporaryFolder folder;
    Writer writer = *Writer::create(folder / "t.db");
    EXPECT_EQ(writer.intern(""), 0U);
    const std::uint64_t plain = writer.intern("apic-msi");
    EXPECT_EQ(writer.intern("apic-msi"), plain);
    const std::uint64_t broken = writer.intern(std::string_view("a\0b\xff\xc0\x80\xed\xa0\x80z", 10));
    const std::uint64_t euro = writer.intern("\xe2\x82\xac");
    const std::uint64_t tall = writer.intern(std::string(5'000, 'x'));
    const std::uint64_t split = writer.intern(std::string(1'023, 'x') + "\xe2\x82\xac");
    ASSERT_TRUE(writer.finish());

    Trace trace = *Trace::open(folder / "t.db");
    EXPECT_EQ(*trace.text(plain), "apic-msi");
    const std::string r = "\xef\xbf\xbd";
    EXPECT_EQ(*trace.text(broken), "a" + r + "b" + r + r + r + r + r + r + "z");
    EXPECT_EQ(*trace.text(euro), "\xe2\x82\xac");
    EXPECT_EQ(*trace.text(tall), std::string(Writer::max_text, 'x'));
    EXPECT_EQ(*trace.text(split), std::string(1'023, 'x'));
    EXPECT_EQ(*trace.text(0), "");
    EXPECT_EQ(*trace.text(999'999), "");
}

TEST(Writer, keeps_its_memory_of_strings_bounded_and_their_ids_right) {
    const test::TemporaryFolder folder;
    Writer writer = *Writer::create(folder / "t.db");
    std::vector<std::pair<std::uint64_t, std::string>> sampled;
    for (int i = 0; i < 140'000; ++i) {
        const std::string text = "text " + std::to_string(i);
        const std::uint64_t id = writer.intern(text);
        if (i % 10'007 == 0) {
            sampled.emplace_back(id, text);
        }
    }
    ASSERT_TRUE(writer.finish());
    Trace trace = *Trace::open(folder / "t.db");
    for (const auto& [id, text] : sampled) {
        EXPECT_EQ(*trace.text(id), text);
    }
}

TEST(Writer, leaves_a_valid_trace_when_killed) {
    const test::TemporaryFolder folder;
    const std::filesystem::path path = folder / "t.db";
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        Writer writer = *Writer::create(path);
        for (std::int64_t i = 0; i < Writer::transaction_events * 2 + 40'000; ++i) {
            if (!writer.append(mmio(i, static_cast<std::uint64_t>(i)))) {
                ::_exit(1);
            }
        }
        ::kill(::getpid(), SIGKILL);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
    ASSERT_TRUE(std::filesystem::exists(path.string() + "-journal"));

    Result<Trace> trace = Trace::open(path);
    ASSERT_TRUE(trace) << trace.error().message;
    EXPECT_FALSE(trace->is_whole());
    EXPECT_EQ(trace->event_count() % Writer::transaction_events, 0);
    EXPECT_GE(trace->event_count(), Writer::transaction_events);
    std::int64_t count = 0;
    ASSERT_TRUE(trace->for_each_event({}, [&](const Event& event) {
        EXPECT_EQ(event.args[1], static_cast<std::uint64_t>(event.time));
        ++count;
    }));
    EXPECT_EQ(count, trace->event_count());
}

TEST(Writer, says_so_when_it_cannot_write_and_leaves_a_valid_trace) {
    const test::TemporaryFolder folder;
    const std::filesystem::path path = folder / "t.db";
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        // A file-size limit fails write() in the middle of the load, as a full disk does.
        ::signal(SIGXFSZ, SIG_IGN);
        const rlimit limit{6 << 20, 6 << 20};
        ::setrlimit(RLIMIT_FSIZE, &limit);
        Writer writer = *Writer::create(path);
        Result<> result;
        for (std::int64_t i = 0; i < 2'000'000 && result; ++i) {
            result = writer.append(mmio(i, static_cast<std::uint64_t>(i)));
        }
        const bool clear =
            !result && result.error().message.find("cannot") == 0 && !result.error().hint.empty();
        const bool stays = !writer.append(mmio(0, 0)) && !writer.finish() && !writer.set_meta("a", "b") &&
                           writer.intern("new") == 0;
        ::_exit(clear && stays ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);

    Result<Trace> trace = Trace::open(path);
    ASSERT_TRUE(trace) << trace.error().message;
    EXPECT_FALSE(trace->is_whole());
    EXPECT_GT(trace->event_count(), 0);
    std::int64_t count = 0;
    ASSERT_TRUE(trace->for_each_event({}, [&](const Event&) { ++count; }));
    EXPECT_EQ(count, trace->event_count());
}

TEST(Writer, commits_when_time_has_passed) {
    const test::TemporaryFolder folder;
    Writer writer = *Writer::create(folder / "t.db");
    ASSERT_TRUE(writer.append(mmio(1, 1)));
    EXPECT_EQ(Trace::open(folder / "t.db")->event_count(), 0);
    ::usleep((Writer::transaction_milliseconds + 50) * 1'000);
    ASSERT_TRUE(writer.checkpoint());
    EXPECT_EQ(Trace::open(folder / "t.db")->event_count(), 1);
}

TEST(Writer, refuses_to_overwrite_what_is_there) {
    const test::TemporaryFolder folder;
    {
        ASSERT_TRUE(Writer::create(folder / "t.db"));
    }
    const Result<Writer> again = Writer::create(folder / "t.db");
    ASSERT_FALSE(again);
    EXPECT_NE(again.error().message.find("exists"), std::string::npos);
    EXPECT_TRUE(Writer::create(folder / "t.db", Overwrite::yes));

    std::ofstream(folder / "letter") << "Dear all,\n";
    EXPECT_FALSE(Writer::create(folder / "letter", Overwrite::yes));
    EXPECT_EQ(std::filesystem::file_size(folder / "letter"), 10U);
    EXPECT_FALSE(Writer::create(folder.path(), Overwrite::yes));
    EXPECT_FALSE(Writer::create(folder / "no/such/folder.db"));
}

}  // namespace
}  // namespace pv::store
