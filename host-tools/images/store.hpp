// Where recipes come from and images stay: this user's cache, one builder at a time.
// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/file.hpp"
#include "images/process.hpp"

namespace pv::images {

/// PARAVANE_CACHE, else paravane below XDG_CACHE_HOME or ~/.cache. Errors: unavailable: none of them is set.
Result<std::filesystem::path> cache_dir();

/// The recipe a word names: a path when it has a '/' or ends in .toml, else the installed
/// `recipes`/WORD.toml. Errors: usage: no such recipe; the hint names those there are.
Result<std::filesystem::path> find_recipe(const std::string& word, const std::filesystem::path& recipes);

/// The installed recipes' names, sorted.
std::vector<std::string> recipe_names(const std::filesystem::path& recipes);

/// True when `word` is to be taken as a recipe: it names an installed one, or is a path that ends in .toml.
bool looks_like_recipe(const std::string& word, const std::filesystem::path& recipes);

/// Waits for the lock of the folder (made if it is missing), which lasts as long as the descriptor. Errors:
/// unavailable: not writable; interrupted.
Result<Descriptor> lock_cache(const std::filesystem::path& folder, const Work& work);

/// The cached image of the recipe at `path`, and beside it, with another extension, what it was made from.
std::filesystem::path cached_image(const std::filesystem::path& cache, const std::filesystem::path& recipe);

}  // namespace pv::images
