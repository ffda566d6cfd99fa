// Descriptors with one owner, and opening files with errors a person can act on.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.hpp"

namespace pv {

/// Owns a file descriptor; -1 is none.
class Descriptor {
  public:
    Descriptor() = default;

    explicit Descriptor(int descriptor) : descriptor_(descriptor) {}

    Descriptor(Descriptor&& other) noexcept : descriptor_(other.release()) {}

    Descriptor& operator=(Descriptor&& other) noexcept {
        reset(other.release());
        return *this;
    }

    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;

    ~Descriptor() { reset(); }

    [[nodiscard]] int get() const { return descriptor_; }

    [[nodiscard]] explicit operator bool() const { return descriptor_ >= 0; }

    int release() { return std::exchange(descriptor_, -1); }

    void reset(int descriptor = -1);

  private:
    int descriptor_ = -1;
};

/// Opens `path` (close-on-exec, never as controlling terminal, never blocking on a FIFO). `what` names it in
/// the error: "kernel". Errors: usage: not there, not permitted.
Result<Descriptor> open_file(const std::filesystem::path& path, int flags, std::string_view what);

/// As open_file; refuses what is not a regular file.
Result<Descriptor> open_regular(const std::filesystem::path& path, int flags, std::string_view what);

/// All that an open file, pipe or terminal gives up to its end, at most `most` bytes. `name` names it in the
/// error: "kernel 'x'". Errors: usage: longer, or not to be read; `hint` goes with the first.
Result<std::string> read_open(int descriptor, std::string_view name, std::size_t most, std::string hint = {});

/// The same of a regular file. Errors: also those of open_regular.
Result<std::string> read_regular(const std::filesystem::path& path, std::string_view what, std::size_t most,
                                 std::string hint = {});

}  // namespace pv
