// What is read out of maintainers' scripts.
// SPDX-License-Identifier: MIT
#include "images/alternatives.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "images/deb.hpp"
#include "making.hpp"

namespace pv::images {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(Alternatives, lines_that_go_on_and_those_that_follow) {
    EXPECT_THAT(read_alternatives(R"(#!/bin/sh
set -e
if [ "$1" = "configure" ]; then   # it's a comment; update-alternatives --install /a a /b 1
        update-alternatives --quiet --install /usr/bin/awk awk /usr/bin/mawk 5 \
            --slave /usr/share/man/man1/awk.1.gz awk.1.gz "/usr/share/man/man1/mawk.1.gz" \
            --slave /usr/bin/nawk nawk '/usr/bin/mawk' && true
fi
)"),
                ElementsAre(Alternative{"/usr/bin/awk", "/usr/bin/mawk", 5},
                            Alternative{"/usr/share/man/man1/awk.1.gz", "/usr/share/man/man1/mawk.1.gz", 5},
                            Alternative{"/usr/bin/nawk", "/usr/bin/mawk", 5}));
}

TEST(Alternatives, variables_and_loops) {
    EXPECT_THAT(read_alternatives(R"(
base=/opt/${none}x
base=/usr/lib/jvm/new priority=1711
tools='java jar' more="keytool"
for tool in $tools ${more}; do
    for end in .1 .2; do
        if [ -e $base ]; then update-alternatives --install "/usr/bin/$tool" $tool $base/bin/${tool}$end $priority; fi
    done
done
update-alternatives --install /usr/bin/last last $base/last 3
)"),
                ElementsAre(Alternative{"/usr/bin/java", "/usr/lib/jvm/new/bin/java.1", 1711},
                            Alternative{"/usr/bin/java", "/usr/lib/jvm/new/bin/java.2", 1711},
                            Alternative{"/usr/bin/jar", "/usr/lib/jvm/new/bin/jar.1", 1711},
                            Alternative{"/usr/bin/jar", "/usr/lib/jvm/new/bin/jar.2", 1711},
                            Alternative{"/usr/bin/keytool", "/usr/lib/jvm/new/bin/keytool.1", 1711},
                            Alternative{"/usr/bin/keytool", "/usr/lib/jvm/new/bin/keytool.2", 1711},
                            Alternative{"/usr/bin/last", "/usr/lib/jvm/new/last", 3}));
}

TEST(Alternatives, what_is_not_understood_is_left_out) {
    EXPECT_THAT(read_alternatives(R"(
update-alternatives --install /usr/bin/a a /usr/bin/$unknown 5
update-alternatives --install /usr/bin/a a /usr/bin/${known%x} 5
update-alternatives --install /usr/bin/a a `which a` 5
update-alternatives --install /usr/bin/a a /usr/bin/b
update-alternatives --install /usr/bin/a a /usr/bin/b many
update-alternatives --remove a /usr/bin/b
echo update-alternatives --install /usr/bin/a a /usr/bin/b 5
update-alternatives --install /usr/bin/c c /usr/bin/d 7 --slave /usr/bin/e e
)"),
                ElementsAre(Alternative{"/usr/bin/c", "/usr/bin/d", 7}));
}

TEST(Alternatives, hostile_scripts_cost_little) {
    std::string loops;
    for (int i = 0; i < 60; ++i) {
        loops += "for a" + std::to_string(i) + " in 1 2 3 4 5 6 7 8 9; do\n";
    }
    loops += "update-alternatives --install /a a /b 1\n";
    EXPECT_THAT(read_alternatives(loops), SizeIs(testing::Le(20'000U)));
    std::string doubling = "a=xxxxxxxxxxxxxxxx\n";
    for (int i = 0; i < 60; ++i) {
        doubling += "a=$a$a\n";
    }
    EXPECT_THAT(read_alternatives(doubling + "update-alternatives --install $a a /b 1\n"), IsEmpty());
    for (const char* text :
         {"", "'", "\"", "\\", "#", "for", "for a in", "for a in $", "done", "update-alternatives",
          "update-alternatives --install", "${", "$", "a=", "a=${", "for a in b; do", "\"\\"}) {
        EXPECT_THAT(read_alternatives(text), IsEmpty()) << text;
    }
}

TEST(Alternatives, the_script_comes_from_the_package) {
    const test::Folder folder;
    const PackageFile package = test::make_package(folder.path(), "pack", {}, "the script\n");
    EXPECT_EQ(read_postinst(package.archive, "pack").value(), "the script\n");
    const auto large = read_postinst(
        test::make_package(folder.path(), "large", {}, std::string(2U << 20, '#')).archive, "large");
    ASSERT_FALSE(large.has_value());
    EXPECT_THAT(large.error().message, testing::HasSubstr("the postinst of package large"));
}

}  // namespace
}  // namespace pv::images
