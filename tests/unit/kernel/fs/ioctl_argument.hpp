// An ioctl's argument in the test's own memory.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstring>

#include "fs/open_file.hpp"

namespace pv::fs::test {

class Argument final : public IoctlArgument {
  public:
    explicit Argument(std::span<std::byte> bytes) : bytes_(bytes) {}

    explicit Argument(std::uint64_t value) : value_(value) {}

    std::uint64_t value() const override { return value_; }

    Outcome<> read(std::span<std::byte> to) override {
        if (to.size() > bytes_.size()) {
            return fail(Errno::efault);
        }
        std::memcpy(to.data(), bytes_.data(), to.size());
        return {};
    }

    Outcome<> write(std::span<const std::byte> from) override {
        if (from.size() > bytes_.size()) {
            return fail(Errno::efault);
        }
        std::memcpy(bytes_.data(), from.data(), from.size());
        return {};
    }

  private:
    std::uint64_t value_ = 0;
    std::span<std::byte> bytes_;
};

}  // namespace pv::fs::test
