// Everything the packages at hand have: searched by path, read one package at a time, and only as far as
// needed.
// SPDX-License-Identifier: MIT
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "images/alternatives.hpp"
#include "images/apt.hpp"
#include "images/deb.hpp"
#include "images/tree.hpp"

namespace pv::images {

/// Bytes that all files of an image's packages may have together.
inline constexpr std::uint64_t most_bytes = std::uint64_t{2} << 30;

/// An alternative with both paths as images have them (paths.hpp).
struct Offer {
    Alternative alternative;
    std::string owner;  ///< the package whose postinst has it
};

class Pool {
  public:
    /// `work` must live as long as the pool.
    Pool(std::vector<PackageFile> packages, const Work& work);

    /// The members of a package by name. Errors: as read_deb; usage when the pool has no such package;
    /// interrupted.
    Result<const Members*> members(const std::string& package);

    /// The first of `paths` that leads to something, as where it leads (Tree::resolve); empty when no package
    /// has any. `links` gets the links on the way. Reads packages, small ones first, until one has it.
    Result<std::string> find(std::span<const std::string> paths, std::vector<std::string>& links);

    /// What was read so far, in one tree; a link of the alternatives where nothing else is.
    [[nodiscard]] const Tree& tree() const { return tree_; }

    /// The alternatives of what was read so far whose paths are in the tree.
    [[nodiscard]] const std::vector<Offer>& offers() const { return offers_; }

    /// The package that brought a path of tree().
    [[nodiscard]] const PackageFile* owner(std::string_view path) const;

  private:
    Result<> read(const std::string& name);
    void offer(const Alternative& alternative, const std::string& owner);

    std::map<std::string, PackageFile, std::less<>> packages_;
    std::map<std::string, Members, std::less<>> read_;
    std::vector<std::string> unread_;  ///< the largest first
    Tree tree_;
    std::vector<Offer> offers_;
    std::map<std::string, int, std::less<>> links_;  ///< of alternatives in the tree, with their priorities
    std::uint64_t budget_ = most_bytes;
    const Work* work_;
};

}  // namespace pv::images
