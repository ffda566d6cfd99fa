// Files of an image or of packages, in memory: nothing of them is ever written to the host's file system one
// by one.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace pv::images {

struct Node {
    enum class Kind : std::uint8_t { directory, file, symlink, character_device };

    Kind kind = Kind::directory;
    unsigned mode = 0755;                          ///< permission bits, 07777 at most
    std::shared_ptr<const std::string> content{};  ///< of a file
    std::string target{};                          ///< of a symbolic link, as it stands in it
    unsigned major = 0;                            ///< of a device
    unsigned minor = 0;
    std::string owner{};  ///< who brought it: a package's name, or empty for the recipe and this tool
};

Node directory(unsigned mode, std::string owner = {});
Node file(std::string content, unsigned mode, std::string owner = {});
Node symlink(std::string target, std::string owner = {});

/// Paths (paths.hpp) and what is there. Sorted by path: a folder comes before what is in it.
class Tree {
  public:
    using Nodes = std::map<std::string, Node, std::less<>>;

    /// Puts `node` at `path`, whose folder may lie behind links of this tree, and returns where it is. A
    /// folder that is there already, and the same file or link from elsewhere, are no conflict. Errors:
    /// usage: something else is there, naming both owners; a part of the path is no folder.
    Result<std::string> add(const std::string& path, Node node);

    /// Follows symbolic links, absolute ones from this tree's root, ".." never above it. `links`, when given,
    /// gets the paths of the links on the way. Empty when something on the way is missing, or after 40 links.
    [[nodiscard]] std::string resolve(std::string_view path, std::vector<std::string>* links = nullptr) const;

    /// Without following a link at the end or on the way.
    [[nodiscard]] const Node* find(std::string_view path) const;

    /// Takes out what is at `path` itself, which is no folder. Nothing happens where nothing is.
    void remove(std::string_view path);

    /// Adds folders (0755) above everything that has none.
    void complete();

    [[nodiscard]] const Nodes& nodes() const { return nodes_; }

    /// Bytes of all files.
    [[nodiscard]] std::uint64_t bytes() const;

  private:
    Nodes nodes_;
};

}  // namespace pv::images
