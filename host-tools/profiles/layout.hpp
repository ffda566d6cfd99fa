// Where members lie in a kernel's structures, by the type information it carries (BTF).
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.hpp"

struct btf;

namespace pv::profiles {

class Layout {
  public:
    /// `data`: the section .BTF. Errors: usage: none, or damaged.
    [[nodiscard]] static Result<Layout> read(std::string_view data);

    /// Bytes from the beginning of `struct structure` to `member`, which may lie in unnamed parts of it.
    /// Errors: usage: there is no such structure or member, or it is a bit field.
    [[nodiscard]] Result<std::uint64_t> offset(const std::string& structure, std::string_view member) const;

    /// The value of `name` of `enum enumeration`. Errors: usage: there is none.
    [[nodiscard]] Result<std::uint64_t> enumerator(const std::string& enumeration,
                                                   std::string_view name) const;

    /// Bytes of `struct structure`. Errors: usage: there is none.
    [[nodiscard]] Result<std::uint64_t> size(const std::string& structure) const;

  private:
    struct End {
        void operator()(btf* types) const;
    };

    explicit Layout(btf* types) : types_(types) {}

    std::unique_ptr<btf, End> types_;
};

}  // namespace pv::profiles
