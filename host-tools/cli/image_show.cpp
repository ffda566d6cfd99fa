// `paravane image show`: what is in an image.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <array>
#include <memory>

#include "base/terminal.hpp"
#include "cli/interrupt.hpp"
#include "cli/recipe_guest.hpp"
#include "cli/subcommand.hpp"
#include "images/cpio.hpp"
#include "images/store.hpp"

namespace pv::cli {
namespace {

namespace fs = std::filesystem;

struct Options {
    std::string image;
    bool files = false;
};

constexpr std::array examples = {
    Example{"paravane image show shell", "the command, the packages and their versions"},
    Example{"paravane image show shell --files", "every file"},
    Example{"paravane image show mine.cpio --files", "of an image in a file"},
};
constexpr std::array statuses = {
    StatusMeaning{ExitStatus::pass, "shown"},
    StatusMeaning{ExitStatus::usage, "no such recipe or image, or one that cannot be read"},
    StatusMeaning{ExitStatus::unavailable, "the image had to be built, and could not be"},
    StatusMeaning{ExitStatus::interrupted, "interrupted (128 + signal)"},
};

// One line as `ls -l` has it: mode, size or device, path, a link's target.
std::string line_of(const std::string& path, const images::Node& node) {
    using Kind = images::Node::Kind;
    char kind = '-';
    std::string size = fmt::format("{}", node.content == nullptr ? 0 : node.content->size());
    std::string target;
    switch (node.kind) {
        case Kind::directory:
            kind = 'd';
            break;
        case Kind::file:
            break;
        case Kind::symlink:
            kind = 'l';
            target = " -> " + node.target;
            break;
        case Kind::character_device:
            kind = 'c';
            size = fmt::format("{},{}", node.major, node.minor);
            break;
    }
    return escape_for_terminal(fmt::format("{}{:04o} {:>9} {}{}", kind, node.mode, size, path, target));
}

// The words of a start, quoted where a shell would need it.
std::string command_of(const std::string& records) {
    std::string command;
    for (std::size_t begin = 0; begin < records.size();) {
        const std::size_t end = std::min(records.find('\0', begin), records.size());
        if (records[begin] == 'A') {
            const std::string word = records.substr(begin + 1, end - begin - 1);
            const bool plain = !word.empty() && word.find_first_of(" '\"\\$`\n") == std::string::npos;
            command +=
                fmt::format("{}{}", command.empty() ? "" : " ", plain ? word : fmt::format("'{}'", word));
        }
        begin = end + 1;
    }
    return command;
}

Result<ExitStatus> show(const Options& options) {
    catch_interrupts();
    std::error_code problem;
    fs::path image = options.image;
    const bool is_recipe = images::looks_like_recipe(options.image, recipes_dir());
    if (is_recipe || !fs::exists(image, problem)) {
        const images::Recipe recipe = PV_TRY(read_named_recipe(options.image));
        const images::BuildOptions how = PV_TRY(build_options());
        image = PV_TRY(build_image(recipe, how, false)).image;
    }
    const auto nodes = PV_TRY(images::read_image(image));
    if (options.files) {
        for (const auto& [path, node] : nodes) {
            fmt::print("{}\n", line_of(path, node));
        }
        return ExitStatus::pass;
    }
    std::uint64_t bytes = 0;
    for (const auto& [path, node] : nodes) {
        bytes += node.content == nullptr ? 0 : node.content->size();
    }
    fmt::print("image     {}\nentries   {}, {} KiB in files\n", escape_for_terminal(image.string()),
               nodes.size(), (bytes + 1023) / 1024);
    for (const auto& [path, node] : nodes) {
        if (node.content == nullptr) {
            continue;
        }
        if (path == PV_IMAGE_RECIPE_START) {
            fmt::print("command   {}\n", escape_for_terminal(command_of(*node.content)));
        } else if (path == PV_IMAGE_PACKAGES && !node.content->empty()) {
            fmt::print("packages\n{}",
                       escape_for_terminal(*node.content, {.max_bytes = 1 << 20, .keep_newlines = true}));
        }
    }
    return ExitStatus::pass;
}

Action define(CLI::App& app) {
    auto options = std::make_shared<Options>();
    app.add_option("IMAGE", options->image, "A recipe's name or path, or an image's file")->required();
    app.add_flag("--files", options->files, "List every entry: mode, size, path, a link's target");
    return [options] { return show(*options); };
}

}  // namespace

const Subcommand& image_show_subcommand() {
    static const Subcommand subcommand{
        .name = "image show",
        .summary = "Show what is in an image",
        .description =
            "Shows the command, the number of entries and the packages with their versions, or every file. A "
            "recipe's image is built first when it is not in the cache. Files are read as they are: any newc "
            "archive that is not compressed.",
        .examples = examples,
        .statuses = statuses,
        .define = define,
    };
    return subcommand;
}

}  // namespace pv::cli
