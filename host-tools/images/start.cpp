// Writes the records of a start.
// SPDX-License-Identifier: MIT
#include "images/start.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "images/cpio.hpp"

namespace pv::images {
namespace {

constexpr std::size_t longest_record = 65'536;  // abi/paravane/image.h
constexpr std::size_t longest_file = std::size_t{1} << 20;

}  // namespace

Start recipe_start(const Recipe& recipe) {
    Start start;
    start.command = recipe.command;
    start.directory = recipe.directory;
    start.environment = {{"HOME", "/root"}, {"PATH", "/usr/sbin:/usr/bin:/sbin:/bin"}};
    for (const auto& [name, value] : recipe.environment) {
        start.environment[name] = value;
    }
    return start;
}

std::string start_records(const Start& start) {
    std::string records;
    const auto add = [&records](char key, std::string_view value) {
        records += key;
        records += value;
        records += '\0';
    };
    for (const std::string& word : start.command) {
        add('A', word);
    }
    for (const auto& [name, value] : start.environment) {
        add('E', fmt::format("{}={}", name, value));
    }
    if (!start.directory.empty()) {
        add('D', start.directory);
    }
    if (start.console) {
        add('S', fmt::format("{} {}", start.console->first, start.console->second));
    }
    if (start.input != Input::terminal) {
        add(start.input == Input::pipe ? 'I' : 'N', "");
    }
    if (start.output_is_pipe) {
        add('O', "");
    }
    return records;
}

Result<> copy_with_start(const std::filesystem::path& image, const std::filesystem::path& to,
                         const Start& start) {
    const auto too_long = [](const std::string& word) { return word.size() > longest_record - 2; };
    const std::string records = start_records(start);
    if (std::ranges::any_of(start.command, too_long) || records.size() > longest_file) {
        return fail(ExitStatus::usage, "the command is too long",
                    "a word has at most 65,534 bytes, all together 1 MiB");
    }
    return copy_image(image, to, {{PV_IMAGE_RUN_START, file(records, 0644)}});
}

}  // namespace pv::images
