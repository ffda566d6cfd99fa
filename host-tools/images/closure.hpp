// Puts an image together: what the recipe names, and what that needs to run.
// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

#include "images/pool.hpp"
#include "images/recipe.hpp"
#include "images/tree.hpp"

namespace pv::images {

struct Assembled {
    Tree tree;
    std::vector<std::string> packages;  ///< names of those that brought something
    std::vector<std::string> notes;     ///< one line each: what whole packages have and will not run
};

/// The image of `recipe`. `whole` are the packages taken whole; what `recipe.programs` names comes with its
/// closure: the interpreters and libraries (ELF's PT_INTERP, DT_NEEDED through DT_RUNPATH and Debian's
/// default folders; scripts' first lines) of everything in the image, from `pool`. `init` is the program
/// /init. Errors: usage: a package has no such file; a library, an interpreter, a link's target or the
/// command is in none of the packages: named with who needs it.
Result<Assembled> assemble(const Recipe& recipe, const std::vector<std::string>& whole, Pool& pool,
                           std::string init);

}  // namespace pv::images
