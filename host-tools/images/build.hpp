// Builds an image from a recipe, or finds it in the cache.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "images/apt.hpp"
#include "images/process.hpp"
#include "images/recipe.hpp"

namespace pv::images {

struct BuildOptions {
    std::filesystem::path cache;   ///< store.hpp, cache_dir()
    std::filesystem::path init;    ///< the program /init
    bool update = false;           ///< fetch the lists of packages first, and build anew
    std::filesystem::path output;  ///< where else the image goes; empty: nowhere
};

struct Built {
    std::filesystem::path image;          ///< in the cache
    bool fresh = false;                   ///< it was built now
    std::vector<std::string> notes = {};  ///< of a fresh one: what whole packages have and will not run
};

/// Makes sure that the cache has the image of `recipe` as it is now, and copies it to `output`. A cached
/// image is taken when the recipe, the files beside it, /init and the lists of packages are the same as when
/// it was built. The bytes depend on the recipe, the packages' versions, /init and SOURCE_DATE_EPOCH (0
/// without it) alone. Errors: as the parts say; interrupted when the user gives up: then nothing is left but
/// packages that were fetched whole.
Result<Built> build(const Recipe& recipe, const BuildOptions& options, const Work& work);

/// The cached image of `recipe`, when there is one that is up to date. Waits for nobody.
std::optional<std::filesystem::path> built_already(const Recipe& recipe, const BuildOptions& options);

}  // namespace pv::images
