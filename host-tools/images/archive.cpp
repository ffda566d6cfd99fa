// What readers and writers of archives share.
// SPDX-License-Identifier: MIT
#include "images/archive.hpp"

#include <fmt/format.h>

#include <array>

#include "base/size.hpp"

namespace pv::images {

std::string complaint(archive* handle) {
    const char* words = archive_error_string(handle);
    return words == nullptr ? "damaged" : words;
}

Result<std::string> read_data(archive* reader, std::uint64_t most, const std::string& what) {
    std::string data;
    std::array<char, 65536> buffer{};
    for (;;) {
        const la_ssize_t got = archive_read_data(reader, buffer.data(), buffer.size());
        if (got < 0) {
            return fail(ExitStatus::usage, fmt::format("{} cannot be read: {}", what, complaint(reader)),
                        "remove the file, so that it is fetched again");
        }
        if (got == 0) {
            return data;
        }
        data.append(buffer.data(), static_cast<std::size_t>(got));
        if (data.size() > most) {
            return fail(ExitStatus::usage, fmt::format("{} has more than {}", what, format_size(most)),
                        "an image holds at most 2 GiB");
        }
    }
}

}  // namespace pv::images
