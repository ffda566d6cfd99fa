// A guest that is a recipe: its image, its kernel's words, and what its /init is told.
// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "images/build.hpp"
#include "images/recipe.hpp"
#include "images/start.hpp"

namespace pv::cli {

/// Where the installed recipes are.
std::filesystem::path recipes_dir();

/// The recipe that `word` names (images::find_recipe), read.
Result<images::Recipe> read_named_recipe(const std::string& word);

/// Cache and /init of this user and installation.
Result<images::BuildOptions> build_options();

/// Builds the recipe's image, or finds it; tells of it on a terminal (unless `quiet`), and ends at once on
/// Ctrl-C. catch_interrupts() was called.
Result<images::Built> build_image(const images::Recipe& recipe, const images::BuildOptions& options,
                                  bool quiet);

/// The command line a kernel gets for a recipe: few words, what it grants for ours, a console for Linux's.
std::string recipe_command_line(const images::Recipe& recipe, bool ours);

/// What our kernel said at its end that another recipe would have granted (PV_IMAGE_NOTE).
std::vector<std::string> notes_in(std::string_view console);

/// What /init is told by someone at this process's terminal: TERM, the window's size, and which of standard
/// input and output are pipes.
images::Start start_at_terminal();

/// What /init is told when nobody types: no input, and output as it is.
images::Start start_unattended();

}  // namespace pv::cli
