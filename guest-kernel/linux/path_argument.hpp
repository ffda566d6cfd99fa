// A path as a program gives it: copied once, with where it begins.
// SPDX-License-Identifier: MIT
#pragma once

#include <fcntl.h>

#include <array>
#include <memory>
#include <optional>
#include <string_view>

#include "fs/open_file.hpp"
#include "fs/path.hpp"
#include "linux/call.hpp"
#include "linux/exec.hpp"

namespace pv::linux {

/// The path of a call.
class PathArgument {
  public:
    /// With `is_scope` the directory counts for absolute paths, too. Error: efault, enametoolong, enoent
    /// (empty, and `may_be_empty` is not set), ebadf, enotdir (`directory`), enomem.
    Outcome<> read(Call& call, int directory, UserString path, bool may_be_empty = false,
                   bool is_scope = false);

    [[nodiscard]] std::string_view text() const {
        return {long_ != nullptr ? long_.get() : short_.data(), length_};
    }

    [[nodiscard]] fs::Caller caller() const { return resolver_->caller(); }

  private:
    Outcome<> read_text(UserString path);

    std::optional<Resolver> resolver_;
    std::size_t length_ = 0;
    std::array<char, 128> short_;   ///< holds most
    std::unique_ptr<char[]> long_;  ///< fs::path_max bytes for the others
};

}  // namespace pv::linux
