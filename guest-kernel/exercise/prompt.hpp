// What somebody types on the console while the kernel works, and what it answers.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <string_view>

#include "base/atomic.hpp"
#include "base/result.hpp"
#include "base/status_lines.hpp"
#include "task/thread.hpp"
#include "task/wait_queue.hpp"

namespace pv::exercise {

/// How many mappings of devices were made, are live, in quarantine, and abandoned: one line.
void print_mappings(StatusLines& lines);

/// A thread that looks at the console four times a second and carries out the lines that come in:
///   status   for each queue of each disk: commands outstanding, the oldest, counts, latencies; and how many
///            mappings are live and in quarantine
/// Lines are 64 characters at most; what is longer, or unknown, gets an answer that says so.
class Prompt {
  public:
    /// Prints the status of what there is; on the prompt's thread.
    using PrintStatus = void (*)(void* context);

    /// `context` outlives it. Errors: out_of_memory.
    [[nodiscard]] static Result<std::unique_ptr<Prompt>> create(PrintStatus print, void* context);

    /// Ends the thread, within a second.
    ~Prompt();
    Prompt(const Prompt&) = delete;
    Prompt& operator=(const Prompt&) = delete;

  private:
    Prompt(PrintStatus print, void* context) : print_{print}, context_{context} {}

    void serve();
    void take(char c);
    void carry_out(std::string_view line);

    PrintStatus print_;
    void* context_;
    std::array<char, 64> line_{};
    std::size_t length_ = 0;  ///< beyond its size: the line is too long
    Atomic<bool> stopping_{false};
    task::WaitQueue wake_;
    task::Thread thread_;
};

}  // namespace pv::exercise
