// Packages and programs made for tests: as hostile as wished.
// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "images/apt.hpp"
#include "images/tree.hpp"

namespace pv::images::test {

/// A folder that goes with the test.
class Folder {
  public:
    Folder();
    ~Folder();
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    [[nodiscard]] const std::filesystem::path& path() const { return path_; }

  private:
    std::filesystem::path path_;
};

/// A member of a package, with its name as it stands in the archive.
struct Member {
    std::string name;
    Node node;
    std::string hard_link = {};  ///< instead of the node
};

/// Writes a .deb with these members, and this script of its maintainer's.
PackageFile make_package(const std::filesystem::path& folder, const std::string& name,
                         const std::vector<Member>& members,
                         const std::string& postinst = "#!/bin/sh\ntouch /tmp/ran\n");

/// An x86-64 ELF file without code: an interpreter (none when empty), needed libraries, and a run path.
std::string make_elf(const std::string& interpreter, const std::vector<std::string>& needed,
                     const std::string& run_path = {});

void write_file(const std::filesystem::path& path, const std::string& bytes);
std::string read_file(const std::filesystem::path& path);

}  // namespace pv::images::test
