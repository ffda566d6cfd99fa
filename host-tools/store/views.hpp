// The views: what queries should use. Generated from the table of kinds, plus the joined ones a person wants.
// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

namespace pv::store {

struct View {
    std::string name;
    std::string description;  ///< one line
    std::string select;       ///< the SELECT it stands for; names only tables of the schema, with "main."
    bool of_a_kind = false;   ///< one kind of event with its arguments named; else a joined view
};

/// All views, the joined ones first, then one a kind in the order of the table.
[[nodiscard]] const std::vector<View>& views();

}  // namespace pv::store
