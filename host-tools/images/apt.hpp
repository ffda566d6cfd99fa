// Packages from the machine's Debian mirror, with lists and a cache of our own: the machine's are never
// touched.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "images/process.hpp"

namespace pv::images {

/// A package as a file in the cache.
struct PackageFile {
    std::string name;
    std::string version;       ///< with its epoch
    std::string architecture;  ///< amd64, all
    std::uint64_t size = 0;    ///< of the archive, in bytes
    std::filesystem::path archive;
};

/// True for what can be a package's name (Debian Policy 5.6.1): at least two of a-z, 0-9, '+', '-', '.'; a
/// letter or digit first.
bool is_package_name(std::string_view name);

/// Understands what `apt-get --print-uris` prints: lines of 'URI' FILE SIZE HASH; other lines are passed
/// over.
std::vector<PackageFile> parse_uris(std::string_view output, const std::filesystem::path& folder);

/// One caller at a time: the folder is locked by whoever uses it (store.hpp).
class Apt {
  public:
    /// `folder` is made if it is missing. Errors: unavailable: it cannot be written.
    static Result<Apt> open(const std::filesystem::path& folder, const Work& work);

    /// Fetches the lists of packages from the machine's sources. Errors: unavailable, with what apt says.
    Result<> update();

    /// The first of the packages that `alternatives` names, divided by " | ", which the lists have. Errors:
    /// as get().
    Result<std::string> choose(const std::string& alternatives);

    /// `packages` and all that they depend on (not what they only recommend), as files of this cache, in
    /// apt's order; every one is there when this returns. Needs no network when lists and files are in the
    /// cache. Lists that are missing or lead to files that are gone are fetched anew, once. Errors: usage: no
    /// such package; unavailable: no network, no apt.
    Result<std::vector<PackageFile>> get(const std::vector<std::string>& packages);

    /// A word that changes whenever the lists do; empty without lists.
    [[nodiscard]] std::string lists_stamp() const;

  private:
    Apt(std::filesystem::path folder, const Work& work) : folder_(std::move(folder)), work_(&work) {}

    [[nodiscard]] Result<Outcome> run(std::vector<std::string> arguments, std::string_view what) const;
    [[nodiscard]] Result<std::vector<PackageFile>> resolve(const std::vector<std::string>& packages) const;
    [[nodiscard]] Result<> download(const std::vector<std::string>& packages) const;
    Result<std::vector<PackageFile>> try_get(const std::vector<std::string>& packages);

    std::filesystem::path folder_;
    const Work* work_;
    bool updated_ = false;
};

}  // namespace pv::images
