// `paravane image list`: the recipes that are installed, and their images.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>

#include "base/size.hpp"
#include "base/terminal.hpp"
#include "cli/recipe_guest.hpp"
#include "cli/subcommand.hpp"
#include "images/store.hpp"

namespace pv::cli {
namespace {

constexpr std::array examples = {
    Example{"paravane image list", "what `paravane run RECIPE` can start, and what is built already"},
};
constexpr std::array statuses = {
    StatusMeaning{ExitStatus::pass, "listed"},
    StatusMeaning{ExitStatus::usage, "a recipe that cannot be read"},
    StatusMeaning{ExitStatus::unavailable, "paravane is not installed completely"},
};

Result<ExitStatus> list() {
    const images::BuildOptions options = PV_TRY(build_options());
    const std::vector<std::string> names = images::recipe_names(recipes_dir());
    if (names.empty()) {
        return fail(ExitStatus::unavailable,
                    fmt::format("there are no recipes in '{}'", recipes_dir().string()),
                    "build or install paravane completely, or set PARAVANE_LIBDIR to the folder that has it");
    }
    std::size_t width = 0;
    for (const std::string& name : names) {
        width = std::max(width, name.size());
    }
    for (const std::string& name : names) {
        const images::Recipe recipe = PV_TRY(read_named_recipe(name));
        std::string state = "not built";
        if (const auto image = images::built_already(recipe, options)) {
            std::error_code problem;
            const std::uintmax_t kilobytes = std::filesystem::file_size(*image, problem) / 1024;
            state = fmt::format("{}.{} MiB", kilobytes / 1024, kilobytes % 1024 * 10 / 1024);
        }
        fmt::print("{:<{}}  {:>9}  {}\n", escape_for_terminal(name), width, state,
                   escape_for_terminal(recipe.description));
    }
    return ExitStatus::pass;
}

Action define(CLI::App& /*app*/) {
    return [] { return list(); };
}

}  // namespace

const Subcommand& image_list_subcommand() {
    static const Subcommand subcommand{
        .name = "image list",
        .summary = "List recipes and images",
        .description =
            "Lists the recipes that belong to paravane, one a line: name, size of the image in the cache (or "
            "`not built`: there is none, or the recipe or the lists of packages changed since), description.",
        .examples = examples,
        .statuses = statuses,
        .define = define,
    };
    return subcommand;
}

}  // namespace pv::cli
