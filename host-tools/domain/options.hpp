// Options as QEMU writes them: words between commas, a comma in a word doubled.
// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace pv::domain {

/// The words of `text`, at least one, which may be empty.
inline std::vector<std::string> split_options(std::string_view text) {
    std::vector<std::string> words(1);
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != ',') {
            words.back() += text[i];
        } else if (i + 1 < text.size() && text[i + 1] == ',') {
            words.back() += ',';
            ++i;
        } else {
            words.emplace_back();
        }
    }
    return words;
}

}  // namespace pv::domain
