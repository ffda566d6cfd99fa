// Path resolution: links, permissions, mounts, and that nothing leads out of the root.
// SPDX-License-Identifier: MIT
#include "fs/path.hpp"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <random>
#include <thread>

#include "tree.hpp"

namespace pv::fs {
namespace {

using test::error_of;
using test::Tree;

std::string path_to(const Location& location, const Location& root) {
    std::array<char, path_max> room;
    return std::string(path_of(location, root, room).value());
}

TEST(Path, FindsAndRefuses) {
    Tree tree;
    ASSERT_TRUE(tree.make_directory("/a"));
    ASSERT_TRUE(tree.make_directory("/a/b"));
    ASSERT_TRUE(tree.put("/a/b/f", "x"));
    const Location file = tree.find("/a/b/f").value();
    for (const char* path : {"a/b/f", "//a///b//f", "/a/./b/../b/f", "/../../a/b/f", "/a/b/../../a/b/f"}) {
        EXPECT_EQ(tree.find(path), file) << path;
    }
    EXPECT_EQ(tree.find("/a/b/"), tree.find("/a/b"));
    EXPECT_EQ(tree.find("/.."), tree.root);
    EXPECT_EQ(error_of(tree.find("")), Errno::enoent);
    EXPECT_EQ(error_of(tree.find("/a/x/b")), Errno::enoent);
    EXPECT_EQ(error_of(tree.find("/a/b/f/")), Errno::enotdir);
    EXPECT_EQ(error_of(tree.find("/a/b/f/..")), Errno::enotdir);
    EXPECT_EQ(error_of(tree.find("/a/b/f/.")), Errno::enotdir);
    EXPECT_EQ(error_of(tree.find("/" + std::string(256, 'n'))), Errno::enametoolong);
    EXPECT_EQ(error_of(tree.find("/" + std::string(255, 'n'))), Errno::enoent);
    EXPECT_EQ(error_of(tree.find(std::string(4096, '/'))), Errno::enametoolong);
    EXPECT_EQ(tree.find(std::string(4095, '/')), tree.root);
}

TEST(Path, FollowsLinksAndStopsInCircles) {
    Tree tree;
    ASSERT_TRUE(tree.make_directory("/d"));
    ASSERT_TRUE(tree.put("/d/f", "found"));
    ASSERT_TRUE(make_symbolic_link(tree.caller(), "d/f", "/direct"));
    ASSERT_TRUE(make_symbolic_link(tree.caller(), "../d", "/d/back"));
    ASSERT_TRUE(make_symbolic_link(tree.caller(), "/d/back/", "/slash"));
    ASSERT_TRUE(make_symbolic_link(tree.caller(), "circle", "/circle"));
    EXPECT_EQ(tree.get("/direct"), "found");
    EXPECT_EQ(tree.get("/d/back/back/f"), "found");
    EXPECT_EQ(tree.get("/slash/f"), "found");
    EXPECT_EQ(error_of(tree.find("/circle")), Errno::eloop);
    EXPECT_EQ(error_of(tree.find("/direct/")), Errno::enotdir);
    EXPECT_TRUE(resolve(tree.caller(), "/circle", {.follow_last = false})->node->is_symbolic_link());
    EXPECT_EQ(error_of(resolve(tree.caller(), "/direct", {.no_links = true})), Errno::eloop);
    std::string target = "d/f";
    for (unsigned i = 0; i < link_depth_max + 1; ++i) {
        const std::string name = "l" + std::to_string(i);
        ASSERT_TRUE(make_symbolic_link(tree.caller(), target, name));
        target = name;
    }
    EXPECT_EQ(tree.get("/l" + std::to_string(link_depth_max - 1)), "found");
    EXPECT_EQ(error_of(tree.get("/l" + std::to_string(link_depth_max))), Errno::eloop);
}

TEST(Path, CreatesThroughDanglingLinksUnlessExclusive) {
    Tree tree;
    ASSERT_TRUE(tree.make_directory("/d"));
    ASSERT_TRUE(make_symbolic_link(tree.caller(), "d/new", "/link"));
    constexpr std::uint32_t make = open_flag::create | open_flag::write_only;
    EXPECT_EQ(error_of(open(tree.caller(), "/link", make | open_flag::exclusive, 0600)), Errno::eexist);
    EXPECT_EQ(error_of(open(tree.caller(), "/link", make | open_flag::no_follow, 0600)), Errno::eloop);
    EXPECT_TRUE(open(tree.caller(), "/link", make, 0600));
    EXPECT_TRUE(tree.find("/d/new"));
    EXPECT_EQ(error_of(open(tree.caller(), "/none/", make, 0600)), Errno::eisdir);
    EXPECT_EQ(error_of(open(tree.caller(), "/d", make, 0600)), Errno::eisdir);
}

TEST(Path, AsksPermissionOfEveryDirectory) {
    Tree tree;
    ASSERT_TRUE(tree.make_directory("/closed"));
    ASSERT_TRUE(tree.make_directory("/closed/in"));
    ASSERT_TRUE(tree.put("/closed/in/f", "x"));
    ASSERT_TRUE(change_mode(tree.caller(), tree.find("/closed").value(), 0700));
    tree.who = {.user = 1000, .group = 1000};
    EXPECT_EQ(error_of(tree.get("/closed/in/f")), Errno::eacces);
    EXPECT_EQ(error_of(tree.put("/closed/new", "")), Errno::eacces);
    EXPECT_EQ(error_of(change_mode(tree.caller(), tree.root, 0777)), Errno::eperm);
    ASSERT_TRUE(tree.put("/mine", "x"));
    tree.who = {.user = 1001, .group = 1001};
    EXPECT_EQ(error_of(remove(tree.caller(), "/mine", false)), Errno::eperm);  // sticky
    EXPECT_EQ(error_of(open(tree.caller(), "/mine", open_flag::write_only, 0)), Errno::eacces);
    EXPECT_EQ(tree.get("/mine"), "x");
}

TEST(Path, CrossesMountsBothWays) {
    Tree tree;
    ASSERT_TRUE(tree.make_directory("/m"));
    ASSERT_TRUE(tree.put("/m/below", ""));
    ASSERT_TRUE(mount(tree.find("/m").value(), create_tmpfs({}).value(), "tmpfs", "none", {}));
    EXPECT_EQ(error_of(tree.find("/m/below")), Errno::enoent);
    ASSERT_TRUE(tree.make_directory("/m/in"));
    EXPECT_EQ(tree.find("/m/in/../.."), tree.root);
    EXPECT_EQ(path_to(tree.find("/m/in").value(), tree.root), "/m/in");
    EXPECT_EQ(error_of(remove(tree.caller(), "/m", true)), Errno::ebusy);
    EXPECT_EQ(error_of(rename(tree.caller(), "/m", tree.caller(), "/n", {})), Errno::ebusy);
    EXPECT_EQ(error_of(make_link(tree.caller(), tree.root, "/m/x")), Errno::exdev);
    EXPECT_EQ(error_of(resolve(tree.caller(), "/m/in", {.no_mounts = true})), Errno::exdev);
    ASSERT_TRUE(remount(tree.find("/m").value(), {.read_only = true}));
    EXPECT_EQ(error_of(tree.put("/m/f", "")), Errno::erofs);
    ASSERT_TRUE(unmount(tree.find("/m").value()));
    EXPECT_TRUE(tree.find("/m/below"));
    EXPECT_EQ(error_of(unmount(tree.find("/m").value())), Errno::einval);
}

TEST(Path, SaysWhereThingsAre) {
    Tree tree;
    ASSERT_TRUE(tree.make_directory("/a"));
    ASSERT_TRUE(tree.make_directory("/a/b"));
    ASSERT_TRUE(tree.put("/a/b/f", ""));
    const Location file = tree.find("/a/b/f").value();
    EXPECT_EQ(path_to(file, tree.root), "/a/b/f");
    EXPECT_EQ(path_to(tree.root, tree.root), "/");
    EXPECT_EQ(path_to(file, tree.find("/a").value()), "/b/f");
    EXPECT_EQ(path_to(tree.root, tree.find("/a").value()), "(unreachable)/");
    ASSERT_TRUE(rename(tree.caller(), "/a/b", tree.caller(), "/c", {}));
    EXPECT_EQ(path_to(file, tree.root), "/c/f");
    std::array<char, 3> little;
    EXPECT_EQ(error_of(path_of(file, tree.root, little)), Errno::erange);
}

// Random trees with directories, links of all kinds and "..": whatever path is resolved from within a jail,
// the answer lies in it, whether the walk starts at the jail's root or at a directory in it.
TEST(LedgerPath, NothingLeadsOutOfTheRoot) {
    std::mt19937 random(5);
    const auto pick = [&](unsigned n) { return static_cast<unsigned>(random() % n); };
    unsigned resolved = 0;
    for (int round = 0; round < 60; ++round) {
        Tree tree;
        ASSERT_TRUE(tree.make_directory("/jail"));
        ASSERT_TRUE(tree.make_directory("/out"));
        ASSERT_TRUE(tree.put("/out/secret", ""));
        const auto random_path = [&] {
            static constexpr std::array parts{"..", "..", "..", ".", "a", "b", "c", "l", "out", "jail"};
            std::string path = pick(2) == 0 ? "/" : "";
            for (unsigned i = pick(8) + 1; i > 0; --i) {
                path += std::string(parts[pick(parts.size())]) + "/";
            }
            if (pick(2) == 0) {
                path.pop_back();
            }
            return path.empty() ? std::string("..") : path;
        };
        const Location jail = tree.find("/jail").value();
        for (int i = 0; i < 60; ++i) {
            // The tree grows from outside and from inside.
            const Caller maker{kernel_credentials, pick(2) == 0 ? jail : tree.root, jail};
            if (pick(2) == 0) {
                (void)make_directory(maker, random_path(), 0755);
            } else {
                (void)make_symbolic_link(maker, random_path(), random_path());
            }
        }
        std::vector<Location> starts{jail};
        for (int i = 0; i < 300; ++i) {
            const Caller prisoner{kernel_credentials, jail,
                                  starts[pick(static_cast<unsigned>(starts.size()))]};
            const std::string path = random_path();
            const auto found = resolve(prisoner, path);
            if (!found) {
                continue;
            }
            ++resolved;
            ASSERT_FALSE(path_to(*found, jail).starts_with("(")) << path;
            if (found->node->is_directory()) {
                starts.push_back(*found);
            }
        }
        // A directory from outside, handed in: it can be used, and nothing leads up from it.
        const Location out = tree.find("/out").value();
        const Caller guest{kernel_credentials, jail, out};
        EXPECT_TRUE(resolve(guest, "secret"));
        EXPECT_EQ(error_of(resolve(guest, "..")), Errno::enoent);
        EXPECT_EQ(error_of(resolve(guest, "../out/secret")), Errno::enoent);
    }
    EXPECT_GT(resolved, 3000U);
}

// While directories are moved into the jail and out of it, a prisoner walks up from them.
TEST(LedgerPath, NothingLeadsOutOfTheRootWhileDirectoriesMove) {
    Tree tree;
    for (const char* path : {"/jail", "/jail/x", "/jail/x/y", "/jail/x/y/z", "/outside"}) {
        ASSERT_TRUE(tree.make_directory(path));
    }
    ASSERT_TRUE(tree.put("/secret", ""));
    const Location jail = tree.find("/jail").value();
    std::atomic<bool> stop{false};
    std::thread mover([&] {
        while (!stop) {
            (void)rename(tree.caller(), "/jail/x/y", tree.caller(), "/outside/y", {});
            (void)rename(tree.caller(), "/outside/y", tree.caller(), "/jail/x/y", {});
        }
    });
    unsigned found_up = 0;
    unsigned refused = 0;
    const Location outside = tree.find("/outside").value();
    const Location deep = tree.find("/jail/x/y/z").value_or(tree.find("/outside/y/z").value_or(jail));
    for (int i = 0; i < 20'000; ++i) {
        const Caller prisoner{kernel_credentials, jail, deep};
        const auto up = resolve(prisoner, "../..");
        found_up += up.has_value() ? 1U : 0U;
        refused += up.has_value() ? 0U : 1U;
        ASSERT_FALSE(up.has_value() && *up == outside);
        for (const char* path : {"../../../secret", "../../secret", "../../../../secret"}) {
            ASSERT_FALSE(resolve(prisoner, path).has_value()) << path;
        }
    }
    stop = true;
    mover.join();
    EXPECT_GT(found_up + refused, 0U);
}

}  // namespace
}  // namespace pv::fs
