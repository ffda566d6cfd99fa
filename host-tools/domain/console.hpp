// The guest's serial console: every byte to a bounded file, optionally to whoever watches, and input to it.
// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace pv::domain {

/// How much of a console is kept: its first bytes in the file, its last ones in memory until the end, when
/// they are put behind a line that says how much is missing. A guest may print without end.
inline constexpr std::size_t console_head = std::size_t{8} << 20;
inline constexpr std::size_t console_tail = std::size_t{64} << 10;

class Console {
  public:
    /// Called in the console's thread with what the guest printed, as it came: hostile bytes.
    using OnOutput = std::function<void(std::string_view)>;

    /// Listens at `socket` for the guest's serial port and starts writing to `file`.
    static Result<std::unique_ptr<Console>> listen(const std::filesystem::path& socket,
                                                   const std::filesystem::path& file, OnOutput on_output);

    Console(const Console&) = delete;
    Console& operator=(const Console&) = delete;
    /// Ends the thread; what was read is in the file.
    ~Console();

    /// Gives the guest input; returns how many of the bytes it took: fewer than all when no guest is
    /// connected yet, or it does not read. Never waits.
    std::size_t type(std::string_view bytes);

    /// Waits for the guest's end to close, at most `limit`, then finishes the file.
    void finish(std::chrono::milliseconds limit);

    /// The last bytes, at most console_tail, as they came.
    [[nodiscard]] std::string tail() const;

  private:
    struct State;
    explicit Console(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace pv::domain
