// Writing the HTML file: whole or not at all, never over something that is no report.
// SPDX-License-Identifier: MIT
#include "report/html.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <thread>

#include "fixture.hpp"

namespace {

using testing::HasSubstr;

constexpr const char* small_page =
    "<head><meta name=\"generator\" content=\"paravane report\"></head><script>@DATA@</script>";

class Html : public pv::test::ReportTest {
  protected:
    Html() { write("page.html", small_page); }

    pv::Result<> make(const std::string& name, bool force = false) {
        pv::store::Trace trace = std::filesystem::exists(path("trace.db")) ? open() : sample();
        return pv::report::html(trace, path(name),
                                {.page = path("page.html"), .trace_path = "trace.db", .force = force});
    }

    [[nodiscard]] std::size_t files() const {
        return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(path("")), {}));
    }
};

TEST_F(Html, PutsTheDataIntoThePage) {
    ASSERT_TRUE(make("report.html"));
    const std::string report = read("report.html");
    EXPECT_TRUE(report.starts_with("<head><meta")) << report.substr(0, 80);
    EXPECT_THAT(report, HasSubstr("<script>{\"title\":\"paravane-kernel.elf exercise\""));
    EXPECT_TRUE(report.ends_with("}</script>"));
    EXPECT_EQ(report.find("@DATA@"), std::string::npos);
}

TEST_F(Html, IsReadableAsTheUserMask) {
    const mode_t mask = ::umask(027);
    ASSERT_TRUE(make("report.html"));
    ::umask(mask);

    struct stat status{};

    ASSERT_EQ(::stat(path("report.html").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0640U);
}

TEST_F(Html, ReplacesAReport) {
    ASSERT_TRUE(make("report.html"));
    const std::size_t before = files();
    ASSERT_TRUE(make("report.html"));
    EXPECT_EQ(files(), before);
}

TEST_F(Html, LeavesAnotherFileAloneUnlessForced) {
    write("disk.img", "a guest's only disk");
    const pv::Result<> refused = make("disk.img");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().status, pv::ExitStatus::usage);
    EXPECT_THAT(refused.error().message, HasSubstr("exists and is not a report"));
    EXPECT_EQ(read("disk.img"), "a guest's only disk");
    ASSERT_TRUE(make("disk.img", true));
    EXPECT_THAT(read("disk.img"), HasSubstr("\"title\""));
}

TEST_F(Html, FollowsALink) {
    ASSERT_TRUE(make("report.html"));
    std::filesystem::create_symlink(path("report.html"), path("link.html"));
    ASSERT_TRUE(make("link.html"));
    EXPECT_TRUE(std::filesystem::is_symlink(path("link.html")));
}

TEST_F(Html, WritesToAFifo) {
    ASSERT_EQ(::mkfifo(path("fifo").c_str(), 0600), 0);
    std::string received;
    std::jthread reader([&] { received = read("fifo"); });
    ASSERT_TRUE(make("fifo"));
    reader.join();
    EXPECT_THAT(received, HasSubstr("\"title\""));
}

TEST_F(Html, SaysThatTheDiskIsFull) {
    pv::store::Trace trace = sample();
    const pv::Result<> written = pv::report::html(trace, "/dev/full", {.page = path("page.html")});
    ASSERT_FALSE(written);
    EXPECT_EQ(written.error().status, pv::ExitStatus::unavailable);
    EXPECT_THAT(written.error().message, HasSubstr("No space left"));
}

TEST_F(Html, LeavesNothingBehindWhenItCannotWrite) {
    const pv::Result<> written = make("no/such/directory/report.html");
    ASSERT_FALSE(written);
    EXPECT_EQ(written.error().status, pv::ExitStatus::usage);
    const pv::Result<> directory = make("");
    ASSERT_FALSE(directory);
    EXPECT_THAT(directory.error().message, HasSubstr("is a directory"));
    EXPECT_EQ(files(), 2U);  // the page and the trace
}

TEST_F(Html, SaysThatThePageIsMissing) {
    for (const char* content : {"", "no placeholder", "@DATA@ and @DATA@"}) {
        write("page.html", content);
        const pv::Result<> written = make("report.html");
        ASSERT_FALSE(written);
        EXPECT_EQ(written.error().status, pv::ExitStatus::unavailable);
        EXPECT_FALSE(std::filesystem::exists(path("report.html")));
    }
}

}  // namespace
