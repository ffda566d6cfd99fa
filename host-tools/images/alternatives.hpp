// The alternatives that a package brings: links that Debian makes when it installs it
// (update-alternatives(1)), and that no archive has in it.
// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace pv::images {

struct Alternative {
    std::string link;  ///< as the script has it: "/usr/bin/awk"
    std::string path;  ///< where it leads: "/usr/bin/mawk"
    int priority = 0;  ///< the highest one has the link

    friend bool operator==(const Alternative&, const Alternative&) = default;
};

/// What a package's postinst would install, in its order, those that follow another (--slave) with its
/// priority. The script is only read: of the shell's language this knows words, quotes, plain variables and
/// `for`; branches are all taken, and a command with anything else in it is left out. Hostile text costs a
/// bounded time.
std::vector<Alternative> read_alternatives(std::string_view script);

}  // namespace pv::images
