// `paravane image build`: makes an initial file system from a recipe.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <array>
#include <memory>

#include "base/size.hpp"
#include "base/terminal.hpp"
#include "cli/interrupt.hpp"
#include "cli/recipe_guest.hpp"
#include "cli/subcommand.hpp"

namespace pv::cli {
namespace {

struct Options {
    std::string recipe;
    std::string output;
    bool update = false;
    bool quiet = false;
};

constexpr std::array examples = {
    Example{"paravane image build shell", "into the cache, where `paravane run shell` finds it"},
    Example{"paravane image build ./mine.toml -o mine.cpio",
            "a recipe of one's own, and the image as a file"},
    Example{"paravane image build sql --update", "with the packages' newest versions"},
};
constexpr std::array statuses = {
    StatusMeaning{ExitStatus::pass, "the image is there"},
    StatusMeaning{ExitStatus::usage,
                  "wrong arguments, a recipe that cannot be used, or something missing in its packages"},
    StatusMeaning{ExitStatus::unavailable, "no network, no space, or a program is not installed"},
    StatusMeaning{ExitStatus::interrupted,
                  "interrupted (128 + signal); packages fetched until then are kept"},
};

Result<ExitStatus> build(const Options& options) {
    catch_interrupts();
    const images::Recipe recipe = PV_TRY(read_named_recipe(options.recipe));
    images::BuildOptions how = PV_TRY(build_options());
    how.update = options.update;
    how.output = options.output;
    const images::Built built = PV_TRY(build_image(recipe, how, options.quiet));
    for (const std::string& note : built.notes) {
        fmt::print(stderr, "paravane: note: {}\n", escape_for_terminal(note));
    }
    const std::filesystem::path image =
        options.output.empty() ? built.image : std::filesystem::path(options.output);
    if (!options.quiet) {
        std::error_code problem;
        fmt::print("{}  {}{}\n", escape_for_terminal(image.string()),
                   format_size(std::filesystem::file_size(image, problem)),
                   built.fresh ? "" : ", up to date");
    }
    return ExitStatus::pass;
}

Action define(CLI::App& app) {
    auto options = std::make_shared<Options>();
    app.add_option("RECIPE", options->recipe, "A recipe's name, or its path")->required();
    app.add_option("-o,--output", options->output, "Write the image to this file as well")->type_name("FILE");
    app.add_flag("--update", options->update, "Fetch the lists of packages first, and build anew");
    app.add_flag("-q,--quiet", options->quiet, "Print errors and notes only");
    return [options] { return build(*options); };
}

}  // namespace

const Subcommand& image_build_subcommand() {
    static const Subcommand subcommand{
        .name = "image build",
        .summary = "Make an image from a recipe",
        .description =
            "Makes an initramfs (a newc archive) from a recipe: programs of Debian packages with the "
            "libraries "
            "and interpreters they need, or whole packages with what they depend on, files, links, and the "
            "command to start (docs/images.md). Packages are fetched from this machine's apt sources into a "
            "cache of paravane's own (PARAVANE_CACHE, else ~/.cache/paravane); nothing is installed, no "
            "script "
            "of a package runs, and root is not needed.\n\n"
            "The same recipe, packages and SOURCE_DATE_EPOCH give the same bytes. With lists and packages in "
            "the cache no network is needed.",
        .examples = examples,
        .statuses = statuses,
        .define = define,
    };
    return subcommand;
}

}  // namespace pv::cli
