// What programs need comes with them, and what is missing is named with who needs it.
// SPDX-License-Identifier: MIT
#include "images/closure.hpp"

#include <elf.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "images/elf.hpp"
#include "making.hpp"

namespace pv::images {
namespace {

using test::make_elf;
using test::make_package;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* loader = "/lib64/ld-linux-x86-64.so.2";
constexpr const char* libraries = "./lib/x86_64-linux-gnu/";

class Closure : public testing::Test {
  protected:
    void package(const std::string& name, const std::vector<test::Member>& members,
                 const std::string& postinst = {}) {
        packages_.push_back(make_package(folder_.path(), name, members, postinst));
    }

    /// A package with one library, which is an alternative of libmany.so.
    void add_one_of_many(const std::string& name, int priority) {
        const std::string path = "/usr/lib/x86_64-linux-gnu/" + name + "/libmany.so";
        package(name, {{"." + path, file(make_elf("", {}), 0644)}},
                fmt::format("update-alternatives --install /usr/lib/x86_64-linux-gnu/libmany.so many {} {}\n",
                            path, priority));
    }

    Result<Assembled> assembled(const std::string& text, const std::vector<std::string>& whole = {}) {
        const Recipe recipe = parse_recipe("command = ['/bin/tool']\n" + text, "r.toml").value();
        Pool pool(packages_, work_);
        return assemble(recipe, whole, pool, "init");
    }

    // A loader, a library, and the library that one needs.
    void add_libraries() {
        package("libc", {{"./lib/x86_64-linux-gnu/ld.so", file(make_elf("", {}), 0755)},
                         {"./lib64/ld-linux-x86-64.so.2", symlink("/lib/x86_64-linux-gnu/ld.so")}});
        package("libone",
                {{"./usr/lib/x86_64-linux-gnu/libone.so.1", symlink("libone.so.1.5")},
                 {"./usr/lib/x86_64-linux-gnu/libone.so.1.5", file(make_elf("", {"libtwo.so"}), 0644)}});
        package("libtwo", {{std::string(libraries) + "libtwo.so", file(make_elf("", {}), 0644)},
                           {"./usr/share/libtwo", file("not needed", 0644)}});
    }

    test::Folder folder_;
    Work work_;
    std::vector<PackageFile> packages_;
};

TEST_F(Closure, libraries_of_libraries_and_the_links_to_them_come_along) {
    add_libraries();
    package("tool", {{"./bin/tool", file(make_elf(loader, {"libone.so.1"}), 0755)},
                     {"./bin/other", file("x", 0755)}});
    const auto image = assembled("[programs]\ntool = ['/bin/tool']\n");
    ASSERT_TRUE(image.has_value()) << image.error().message;
    for (const char* path :
         {"/usr/bin/tool", "/usr/lib64/ld-linux-x86-64.so.2", "/usr/lib/x86_64-linux-gnu/ld.so",
          "/usr/lib/x86_64-linux-gnu/libone.so.1", "/usr/lib/x86_64-linux-gnu/libone.so.1.5",
          "/usr/lib/x86_64-linux-gnu/libtwo.so", "/init", "/dev/console", "/usr"}) {
        EXPECT_NE(image->tree.find(path), nullptr) << path;
    }
    EXPECT_EQ(image->tree.find("/usr/bin/other"), nullptr);
    EXPECT_EQ(image->tree.find("/usr/share/libtwo"), nullptr);
    EXPECT_THAT(image->packages, ElementsAre("libc", "libone", "libtwo", "tool"));
}

TEST_F(Closure, a_library_that_is_an_alternative_comes_with_its_link) {
    add_libraries();
    add_one_of_many("many", 10);
    package("tool", {{"./bin/tool", file(make_elf(loader, {"libmany.so"}), 0755)}});
    const auto image = assembled("[programs]\ntool = ['/bin/tool']\n");
    ASSERT_TRUE(image.has_value()) << image.error().message;
    EXPECT_EQ(image->tree.resolve("/usr/lib/x86_64-linux-gnu/libmany.so"),
              "/usr/lib/x86_64-linux-gnu/many/libmany.so");
    EXPECT_THAT(image->packages, Contains("many"));
}

TEST_F(Closure, of_several_alternatives_the_one_with_the_highest_priority_has_the_link) {
    add_libraries();
    add_one_of_many("first", 10);
    add_one_of_many("second", 40);
    add_one_of_many("third", 20);
    package("tool",
            {{"./bin/tool", file(make_elf(loader, {"libmany.so"}), 0755)}, {"./bin/more", file("x", 0755)}},
            "update-alternatives --install /bin/called called /bin/more 3\n"
            "update-alternatives --install /bin/called called /bin/tool 4\n");
    const auto image = assembled("[programs]\ntool = ['/bin/tool']\n", {"third", "second", "first"});
    ASSERT_TRUE(image.has_value()) << image.error().message;
    EXPECT_EQ(image->tree.resolve("/usr/lib/x86_64-linux-gnu/libmany.so"),
              "/usr/lib/x86_64-linux-gnu/second/libmany.so");
    const auto without =
        assembled("allow-missing = ['libmany.so']\nexclude = ['/usr/lib/x86_64-linux-gnu/second/*']\n",
                  {"third", "second", "first", "tool"});
    ASSERT_TRUE(without.has_value()) << without.error().message;
    EXPECT_EQ(without->tree.resolve("/usr/bin/called"), "/usr/bin/tool");
}

TEST_F(Closure, alternatives_lead_to_what_is_in_the_image_and_replace_nothing) {
    add_libraries();
    const std::string tool =
        "update-alternatives --install /usr/bin/called called /usr/bin/tool 5 "
        "--slave /usr/share/man/called man /usr/share/man/tool "
        "--slave /usr/bin/own own /usr/bin/tool --slave /bin/file file /bin/tool "
        "--slave /usr/share/called share /usr/bin/tool\n";
    package("tool",
            {{"./bin/tool", file(make_elf(loader, {}), 0755)}, {"./usr/share/man/tool", file("how", 0644)}},
            tool);
    package("zfile", {{"./usr/bin/file", file(make_elf(loader, {}), 0755)}});
    const auto image = assembled(
        "exclude = ['/usr/share/called']\n[programs]\ntool = ['/bin/tool']\nzfile = "
        "['/usr/bin/file']\n[links]\n"
        "'/usr/bin/own' = '/init'\n");
    ASSERT_TRUE(image.has_value()) << image.error().message;
    EXPECT_EQ(image->tree.resolve("/usr/bin/called"), "/usr/bin/tool");
    EXPECT_EQ(image->tree.resolve("/usr/bin/own"), "/init");
    EXPECT_EQ(image->tree.resolve("/usr/bin/file"), "/usr/bin/file");
    EXPECT_EQ(image->tree.find("/usr/share/man/called"), nullptr) << "its page is not in the image";
    EXPECT_EQ(image->tree.find("/usr/share/called"), nullptr) << "excluded";
}

TEST_F(Closure, a_library_is_found_beside_the_program_by_its_run_path) {
    add_libraries();
    package("tool", {{"./usr/bin/tool", file(make_elf(loader, {"libown.so"}, "$ORIGIN/../lib/tool"), 0755)},
                     {"./usr/lib/tool/libown.so", file(make_elf("", {}), 0644)}});
    const auto image = assembled("[programs]\ntool = ['/usr/bin/tool']\n");
    ASSERT_TRUE(image.has_value()) << image.error().message;
    EXPECT_NE(image->tree.find("/usr/lib/tool/libown.so"), nullptr);
}

TEST_F(Closure, a_missing_library_is_named_with_who_needs_it) {
    add_libraries();
    package("libthree", {{"./usr/lib/libthree.so", file(make_elf("", {"libgone.so.7"}), 0644)}});
    package("tool", {{"./bin/tool", file(make_elf(loader, {"libthree.so"}), 0755)}});
    const auto image = assembled("[programs]\ntool = ['/bin/tool']\n");
    ASSERT_FALSE(image.has_value());
    EXPECT_THAT(image.error().message,
                AllOf(HasSubstr("'libgone.so.7'"), HasSubstr("'/usr/lib/libthree.so' of package libthree")));
    EXPECT_TRUE(
        assembled("allow-missing = ['libgone.so.7']\n[programs]\ntool = ['/bin/tool']\n").has_value());
}

TEST_F(Closure, a_missing_loader_program_or_interpreter_is_named) {
    package("tool", {{"./bin/tool", file(make_elf(loader, {}), 0755)},
                     {"./bin/script", file("#! /usr/bin/perl -w\n", 0755)}});
    EXPECT_THAT(assembled("[programs]\ntool = ['/bin/tool']\n").error().message,
                AllOf(HasSubstr(loader), HasSubstr("'/usr/bin/tool' of package tool")));
    EXPECT_THAT(assembled("allow-missing = ['/lib64/ld-linux-x86-64.so.2']\n[programs]\ntool = ['/bin/*']\n")
                    .error()
                    .message,
                AllOf(HasSubstr("'/usr/bin/perl'"), HasSubstr("'/usr/bin/script' of package tool")));
    EXPECT_THAT(assembled("[programs]\ntool = ['/bin/none']\n").error().message,
                AllOf(HasSubstr("'/usr/bin/none'"), HasSubstr("package tool")));
}

TEST_F(Closure, the_command_and_the_targets_of_links_must_be_there) {
    package("tool", {{"./bin/tool", file("static", 0755)}, {"./bin/data", file("data", 0644)}});
    EXPECT_TRUE(assembled("[programs]\ntool = ['/bin/tool']\n").has_value());
    EXPECT_THAT(assembled("[programs]\ntool = ['/bin/data']\n").error().message,
                HasSubstr("command '/bin/tool'"));
    EXPECT_THAT(assembled("[programs]\ntool = ['/bin/tool']\n[links]\n'/bin/sh' = 'dash'\n").error().message,
                AllOf(HasSubstr("'/usr/bin/sh'"), HasSubstr("'dash'")));
    EXPECT_TRUE(
        assembled("[links]\n'/bin/tool' = 'other'\n[files]\n'/bin/other' = { text = 'x', mode = '0755' }\n")
            .has_value());
}

TEST_F(Closure, whole_packages_come_without_what_is_excluded_and_scripts_without_interpreter_are_noted) {
    package("tool", {{"./bin/tool", file("static", 0755)},
                     {"./bin/script", file("#!/usr/bin/perl\n", 0755)},
                     {"./usr/share/doc/tool/copyright", file("text", 0644)},
                     {"./etc/tool.conf", file("theirs", 0644)}});
    const auto image =
        assembled("packages = ['tool']\n[files]\n'/etc/tool.conf' = { text = 'ours' }\n", {"tool"});
    ASSERT_TRUE(image.has_value()) << image.error().message;
    EXPECT_NE(image->tree.find("/usr/bin/script"), nullptr);
    EXPECT_EQ(image->tree.find("/usr/share/doc/tool/copyright"), nullptr);
    EXPECT_EQ(*image->tree.find("/etc/tool.conf")->content, "ours");
    ASSERT_EQ(image->notes.size(), 1U);
    EXPECT_THAT(image->notes[0],
                AllOf(HasSubstr("/usr/bin/perl"), HasSubstr("'/usr/bin/script' of package tool")));
}

TEST_F(Closure, what_a_whole_package_lacks_is_noted_but_what_the_command_lacks_is_an_error) {
    package("tool", {{"./bin/tool", file("static", 0755)},
                     {"./bin/other", file(make_elf(loader, {"libgone.so.7"}), 0755)}});
    const auto image = assembled("packages = ['tool']\n", {"tool"});
    ASSERT_TRUE(image.has_value()) << image.error().message;
    EXPECT_THAT(image->notes,
                Contains(AllOf(HasSubstr("libgone.so.7"), HasSubstr("'/usr/bin/other' of package tool"))));
    package("tool", {{"./bin/tool", file(make_elf(loader, {"libgone.so.7"}), 0755)}});
    EXPECT_THAT(assembled("packages = ['tool']\nallow-missing = ['/lib64/ld-linux-x86-64.so.2']\n", {"tool"})
                    .error()
                    .message,
                AllOf(HasSubstr("'libgone.so.7'"), HasSubstr("'/usr/bin/tool' of package tool")));
}

// As `objcopy --only-keep-debug` leaves a program: headers that lead to places the file does not have.
TEST_F(Closure, symbols_kept_apart_need_nothing) {
    std::string symbols = make_elf(loader, {"libgone.so.7"});
    Elf64_Ehdr header{};
    std::memcpy(&header, symbols.data(), sizeof header);
    for (std::size_t i = 0; i < header.e_phnum; ++i) {
        Elf64_Phdr segment{};
        char* const at = symbols.data() + header.e_phoff + i * sizeof segment;
        std::memcpy(&segment, at, sizeof segment);
        segment.p_offset += segment.p_type == PT_DYNAMIC || segment.p_type == PT_INTERP ? 1U << 20 : 0U;
        std::memcpy(at, &segment, sizeof segment);
    }
    EXPECT_FALSE(read_needs(symbols, "it").has_value());
    Elf64_Shdr sections[2]{};
    sections[1].sh_type = SHT_NOBITS;
    sections[1].sh_flags = SHF_ALLOC | SHF_EXECINSTR;
    header.e_shoff = symbols.size();
    header.e_shnum = 2;
    header.e_shentsize = sizeof sections[0];
    std::memcpy(symbols.data(), &header, sizeof header);
    symbols.append(reinterpret_cast<const char*>(sections), sizeof sections);
    const auto needs = read_needs(symbols, "it");
    ASSERT_TRUE(needs.has_value()) << needs.error().message;
    EXPECT_EQ(*needs, std::nullopt);
}

TEST_F(Closure, damaged_programs_are_errors_and_foreign_ones_are_left_alone) {
    const std::string good = make_elf(loader, {"libone.so.1"});
    for (std::size_t length = 4; length < good.size(); length += 3) {
        [[maybe_unused]] const auto either = read_needs(good.substr(0, length), "it");
    }
    for (std::size_t at = 0; at < good.size(); ++at) {
        std::string bent = good;
        bent[at] = static_cast<char>(0xff);
        [[maybe_unused]] const auto either = read_needs(bent, "it");
    }
    EXPECT_FALSE(read_needs(good.substr(0, 100), "it").has_value());
    std::string foreign = good;
    foreign[18] = 40;  // e_machine: EM_ARM
    EXPECT_EQ(read_needs(foreign, "it").value(), std::nullopt);
    EXPECT_EQ(script_interpreter("#! /bin/sh -e\n"), "/bin/sh");
    EXPECT_EQ(script_interpreter("#!/bin/sh"), "/bin/sh");
    EXPECT_EQ(script_interpreter("#!sh\n"), "");
    EXPECT_EQ(script_interpreter("#!"), "");
}

}  // namespace
}  // namespace pv::images
