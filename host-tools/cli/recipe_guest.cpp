// Recipes as guests.
// SPDX-License-Identifier: MIT
#include "cli/recipe_guest.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "base/terminal.hpp"
#include "cli/interrupt.hpp"
#include "cli/progress.hpp"
#include "domain/installation.hpp"
#include "images/store.hpp"
#include "paravane/image.h"

namespace pv::cli {

namespace fs = std::filesystem;

fs::path recipes_dir() {
    return domain::library_dir() / "recipes";
}

Result<images::Recipe> read_named_recipe(const std::string& word) {
    const fs::path path = PV_TRY(images::find_recipe(word, recipes_dir()));
    return images::read_recipe(path);
}

Result<images::BuildOptions> build_options() {
    images::BuildOptions options;
    options.cache = PV_TRY(images::cache_dir());
    options.init = PV_TRY(domain::installed("init"));
    return options;
}

Result<images::Built> build_image(const images::Recipe& recipe, const images::BuildOptions& options,
                                  bool quiet) {
    Progress progress(!quiet);
    images::Work work;
    work.say = [&](std::string_view line) { progress.show(fmt::format("image {}: {}", recipe.name, line)); };
    work.cancel = interrupt_fd();
    Result<images::Built> built = images::build(recipe, options, work);
    progress.clear();
    if (interrupt_count() > 0) {
        return std::unexpected(interrupted());
    }
    return built;
}

std::string recipe_command_line(const images::Recipe& recipe, bool ours) {
    // A panic is the end, not a picture that stays; what a kernel says while a command runs would be in its
    // output.
    const std::string line = ours ? "loglevel=error" : "console=ttyS0 quiet loglevel=3 panic=-1";
    // --kernel may name another build of ours; Linux has no such option, and leaves it to the first program.
    return recipe.writable_code ? line + " writable-code=allow" : line;
}

std::vector<std::string> notes_in(std::string_view console) {
    constexpr std::string_view mark = PV_IMAGE_NOTE;
    std::vector<std::string> notes;
    for (std::size_t begin = 0; begin < console.size();) {
        const std::size_t end = std::min(console.find('\n', begin), console.size());
        std::string_view line = console.substr(begin, end - begin);
        line = line.substr(0, line.find('\r'));
        if (line.starts_with(mark)) {
            notes.push_back(escape_for_terminal(line.substr(mark.size())));
        }
        begin = end + 1;
    }
    return notes;
}

images::Start start_at_terminal() {
    images::Start start;
    const bool input = ::isatty(STDIN_FILENO) == 1;
    const bool output = ::isatty(STDOUT_FILENO) == 1;
    start.input = input ? images::Input::terminal : images::Input::pipe;
    start.output_is_pipe = !output;
    winsize size{};
    if ((input || output) && ::ioctl(output ? STDOUT_FILENO : STDIN_FILENO, TIOCGWINSZ, &size) == 0 &&
        size.ws_row != 0 && size.ws_col != 0) {
        start.console = {size.ws_row, size.ws_col};
    }
    const char* terminal = std::getenv("TERM");
    const auto plain = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
               c == '+' || c == '.';
    };
    const std::string name = terminal == nullptr ? "" : terminal;
    if (output && !name.empty() && name.size() <= 64 && std::ranges::all_of(name, plain)) {
        start.environment["TERM"] = name;
    }
    return start;
}

images::Start start_unattended() {
    images::Start start;
    start.input = images::Input::none;
    return start;
}

}  // namespace pv::cli
