// Packages, honest and hostile.
// SPDX-License-Identifier: MIT
#include "images/deb.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "images/pool.hpp"
#include "making.hpp"

namespace pv::images {
namespace {

using test::make_package;
using ::testing::HasSubstr;

class Deb : public testing::Test {
  protected:
    Result<Members> read(const std::vector<test::Member>& members, std::uint64_t budget = most_bytes) {
        return read_deb(make_package(folder_.path(), "pack", members).archive, "pack", budget);
    }

    void refuses(const std::vector<test::Member>& members, const std::string& words) {
        const auto result = read(members);
        ASSERT_FALSE(result.has_value()) << words;
        EXPECT_THAT(result.error().message, AllOf(HasSubstr("pack"), HasSubstr(words)));
    }

    test::Folder folder_;
};

TEST_F(Deb, its_files_are_read_and_moved_into_usr) {
    const auto members = read({{"./", directory(0755)},
                               {"./bin/", directory(0755)},
                               {"./bin/tool", file("bytes", 04755)},
                               {"./bin/same", {}, "./bin/tool"},
                               {"./usr/bin/link", symlink("/etc/x")}});
    ASSERT_TRUE(members.has_value()) << members.error().message;
    ASSERT_EQ(members->size(), 3U);
    EXPECT_EQ((*members)[0].first, "/usr/bin/tool");
    EXPECT_EQ(*(*members)[0].second.content, "bytes");
    EXPECT_EQ((*members)[0].second.mode, 04755U);
    EXPECT_EQ(*(*members)[1].second.content, "bytes");
    EXPECT_EQ((*members)[2].second.target, "/etc/x");
}

TEST_F(Deb, paths_that_lead_out_are_refused) {
    refuses({{"../../etc/passwd", file("x", 0644)}}, "upwards");
    refuses({{"./usr/../../x", file("x", 0644)}}, "upwards");
}

TEST_F(Deb, devices_and_strange_links_are_refused) {
    Node device;
    device.kind = Node::Kind::character_device;
    refuses({{"./dev/mem", device}}, "neither file, folder nor link");
    refuses({{"./a", {}, "./not-there"}}, "hard link");
    refuses({{"./a", {}, "../../etc/passwd"}}, "hard link");
}

TEST_F(Deb, a_package_larger_than_the_budget_is_refused) {
    EXPECT_FALSE(read({{"./a", file(std::string(5'000, 'x'), 0644)}}, 4'999).has_value());
    EXPECT_TRUE(read({{"./a", file(std::string(5'000, 'x'), 0644)}}, 5'000).has_value());
}

TEST_F(Deb, a_cut_or_foreign_file_is_an_error_at_every_length) {
    const PackageFile package =
        make_package(folder_.path(), "pack", {{"./a", file(std::string(500, 'x'), 0644)}});
    const std::string whole = test::read_file(package.archive);
    std::uint64_t budget = most_bytes;
    // ar pads members: only its last bytes may be missing without a loss.
    for (std::size_t length = 0; length + 64 < whole.size(); length += 7) {
        test::write_file(package.archive, whole.substr(0, length));
        EXPECT_FALSE(read_deb(package.archive, "pack", budget).has_value()) << length;
    }
    for (std::size_t at = 60; at < whole.size(); at += 5) {
        std::string bent = whole;
        bent[at] = static_cast<char>(~bent[at]);
        test::write_file(package.archive, bent);
        [[maybe_unused]] const auto either = read_deb(package.archive, "pack", budget);
    }
}

}  // namespace
}  // namespace pv::images
