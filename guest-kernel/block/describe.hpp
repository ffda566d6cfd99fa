// How commands read on the console.
// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

#include "base/marker.hpp"

namespace pv::block {

constexpr std::string_view to_string(marker::Operation operation) {
    switch (operation) {
        case marker::Operation::other:
            return "command";
        case marker::Operation::read:
            return "read";
        case marker::Operation::write:
            return "write";
        case marker::Operation::flush:
            return "flush";
        case marker::Operation::discard:
            return "discard";
        case marker::Operation::write_zeroes:
            return "write zeroes";
        case marker::Operation::admin:
            return "admin command";
    }
    return "command";
}

}  // namespace pv::block
