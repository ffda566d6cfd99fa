// Several pieces of a program's memory as one source or target (readv(2), sendmsg(2)).
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>

#include "base/vector.hpp"
#include "linux/user_pointer.hpp"

namespace pv::linux {

/// The pieces in order, and how far one has come.
class UserPieces {
  public:
    static constexpr std::uint64_t count_max = 1024;          ///< UIO_MAXIOV
    static constexpr std::uint64_t length_max = 0x7fff'f000;  ///< what is beyond is cut off

    /// Copies the list of `count` struct iovec at `at`. Errors: efault, einval (too many, or a length that is
    /// negative), enomem.
    Outcome<> read(UserAddress at, std::uint64_t count);

    [[nodiscard]] std::size_t left() const { return left_; }

    /// Calls move(address, offset, length) for the next `count` bytes, piece by piece, until one is not moved
    /// whole. Returns how
    /// many were moved: fewer when a piece was not there; efault when none were.
    template <class F>
    Outcome<std::size_t> move(std::size_t count, F&& move) {
        std::size_t done = 0;
        while (done < count) {
            Piece& piece = pieces_[at_];
            const std::size_t part = std::min<std::uint64_t>(piece.length, count - done);
            const Outcome<std::size_t> moved =
                part == 0 ? Outcome<std::size_t>(0) : move(UserAddress(piece.address), done, part);
            if (!moved) {
                return done != 0 ? Outcome<std::size_t>(done) : moved;
            }
            done += *moved;
            left_ -= *moved;
            if (*moved < part) {
                break;
            }
            piece.address += part;
            piece.length -= part;
            at_ += piece.length == 0 ? 1 : 0;
        }
        return done;
    }

  private:
    struct Piece {
        std::uint64_t address;
        std::uint64_t length;
    };

    Vector<Piece> pieces_;
    std::size_t at_ = 0;
    std::size_t left_ = 0;
};

class VectorSource final : public fs::Source {
  public:
    /// As UserPieces::read.
    Outcome<> read(UserAddress at, std::uint64_t count) { return pieces_.read(at, count); }

    [[nodiscard]] std::size_t left() const override { return pieces_.left(); }

    [[nodiscard]] Outcome<std::size_t> take(std::span<std::byte> to) override {
        return pieces_.move(to.size(), [&](UserAddress from, std::size_t offset, std::size_t part) {
            return UserSource(from, part).take(to.subspan(offset, part));
        });
    }

  private:
    UserPieces pieces_;
};

class VectorTarget final : public fs::Target {
  public:
    Outcome<> read(UserAddress at, std::uint64_t count) { return pieces_.read(at, count); }

    [[nodiscard]] std::size_t left() const override { return pieces_.left(); }

    [[nodiscard]] Outcome<std::size_t> put(std::span<const std::byte> from) override {
        return pieces_.move(from.size(), [&](UserAddress to, std::size_t offset, std::size_t part) {
            return UserTarget(to, part).put(from.subspan(offset, part));
        });
    }

  private:
    UserPieces pieces_;
};

}  // namespace pv::linux
