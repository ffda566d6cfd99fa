// Executing a program: a new address space, its stack, its first registers.
// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

#include "base/errno.hpp"
#include "base/vector.hpp"
#include "fs/open_file.hpp"
#include "task/process.hpp"

namespace pv::linux {

/// The strings a program starts with, one after the other, each with its zero.
class Strings {
  public:
    /// As Linux: a quarter of the stack's limit, and 128 KiB for one of them.
    static constexpr std::size_t bytes_max = 2U << 20;
    static constexpr std::size_t string_max = 128U << 10;

    /// Errors: e2big, enomem.
    [[nodiscard]] Outcome<> add(std::string_view text);
    [[nodiscard]] Outcome<> add_user(UserAddress text);

    [[nodiscard]] std::size_t count() const { return count_; }

    [[nodiscard]] std::span<const char> bytes() const { return bytes_; }

  private:
    Outcome<> reserve(std::size_t more);

    Vector<char> bytes_;
    std::size_t count_ = 0;
};

/// What is executed.
struct Program {
    Ref<fs::OpenFile> file;
    std::string_view path;  ///< as it was named
    Strings arguments;
    Strings environment;
};

/// Replaces what the running thread's process is by the program: from the point where nothing can fail any
/// more on, the old one is gone. `frame` gets the first registers. Scripts ("#!") are followed. Errors: as
/// execve(2).
[[nodiscard]] Outcome<> execute(task::UserThread& self, Program& program, arch::TrapFrame& frame);

/// What paths of the process are resolved with; keeps copies of root and current directory.
struct Resolver {
    explicit Resolver(const task::UserThread& thread);

    fs::Location root;
    fs::Location start;
    std::array<fs::GroupId, task::Identity::groups_max> groups;
    fs::Credentials who;

    [[nodiscard]] fs::Caller caller() const { return {who, root, start}; }
};

}  // namespace pv::linux
