// Lists of pieces of a program's memory.
// SPDX-License-Identifier: MIT
#include "linux/vector_io.hpp"

#include <algorithm>

namespace pv::linux {

Outcome<> UserPieces::read(UserAddress at, std::uint64_t count) {
    if (count > count_max) {
        return fail(Errno::einval);
    }
    PV_TRY(as_outcome(pieces_.reserve(count)));
    const UserPointer<const Piece> list(at.value());
    for (std::uint64_t i = 0; i < count; ++i) {
        Piece piece = PV_TRY((list + i).read());
        if (static_cast<std::int64_t>(piece.length) < 0) {
            return fail(Errno::einval);
        }
        piece.length = std::min(piece.length, length_max - left_);
        left_ += piece.length;
        PV_TRY(as_outcome(pieces_.push_back(piece)));
    }
    return {};
}

}  // namespace pv::linux
