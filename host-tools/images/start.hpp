// What /init starts: the records of abi/paravane/image.h, and a run's own put into an image.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "images/recipe.hpp"
#include "paravane/image.h"

namespace pv::images {

/// Where the command's input comes from.
enum class Input : std::uint8_t {
    terminal,  ///< the console
    pipe,      ///< the console's bytes, through a pipe, up to `end_of_input`
    none,      ///< /dev/null
};

/// Ends the input of a pipe, after a line's end; twice, anywhere.
inline constexpr char end_of_input = 4;

struct Start {
    std::vector<std::string> command;  ///< empty: what the recipe says
    std::map<std::string, std::string> environment;
    std::string directory;                                 ///< empty: what the recipe says
    std::optional<std::pair<unsigned, unsigned>> console;  ///< rows, columns
    Input input = Input::terminal;
    bool output_is_pipe = false;  ///< the command's output is no terminal

    [[nodiscard]] bool unattended() const { return input == Input::none; }
};

/// The recipe's command with its environment; PATH and HOME are always there.
Start recipe_start(const Recipe& recipe);

/// As /init reads it.
std::string start_records(const Start& start);

/// Copies the image at `image`, made by write_image(), to the new file `to`, with `start` as its run's
/// records. Errors: usage: that is no image of ours; unavailable: no space; a record longer than /init takes.
Result<> copy_with_start(const std::filesystem::path& image, const std::filesystem::path& to,
                         const Start& start);

}  // namespace pv::images
