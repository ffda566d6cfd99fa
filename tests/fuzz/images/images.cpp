// Everything that making an image reads: recipes, packages, programs, archives, and what apt prints.
// SPDX-License-Identifier: MIT
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/file.hpp"
#include "images/apt.hpp"
#include "images/cpio.hpp"
#include "images/deb.hpp"
#include "images/elf.hpp"
#include "images/paths.hpp"
#include "images/recipe.hpp"

using namespace pv::images;

namespace {

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

// A path that an image takes is its own normal form, and leads nowhere else.
void require_normal(const std::string& path) {
    const auto again = image_path(path);
    require(again.has_value() && *again == path);
    require((path + "/").find("/../") == std::string::npos);
}

void read_as_file(const std::string& bytes, char what) {
    const pv::Descriptor file(::memfd_create("fuzz", MFD_CLOEXEC));
    require(::write(file.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
    const std::string path = "/proc/self/fd/" + std::to_string(file.get());
    if (what == 'd') {
        std::uint64_t budget = std::uint64_t{16} << 20;
        if (const auto members = read_deb(path, "it", budget); members.has_value()) {
            for (const auto& [place, node] : *members) {
                require_normal(place);
                require(node.kind != Node::Kind::character_device && node.mode <= 07777);
            }
        }
    } else {
        [[maybe_unused]] const auto nodes = read_image(path);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) {
        return 0;
    }
    // The first letter says what the rest is.
    const std::string bytes(data + 1, data + size);
    switch (data[0]) {
        case 'r':
            if (const auto recipe = parse_recipe(bytes, "/r.toml"); recipe.has_value()) {
                require(!recipe->command.empty());
                for (const auto& [path, file] : recipe->files) {
                    require_normal(path);
                }
                for (const auto& [path, target] : recipe->links) {
                    require_normal(path);
                }
            }
            break;
        case 'e':
            if (const auto needs = read_needs(bytes, "it"); needs.has_value() && *needs) {
                require((*needs)->interpreter.empty() || (*needs)->interpreter.front() == '/');
            }
            break;
        case 's':
            require(script_interpreter(bytes).find_first_of(" \t\n") == std::string::npos);
            break;
        case 'a':
            for (const PackageFile& file : parse_uris(bytes, "/c")) {
                require(file.archive.parent_path() == "/c" && is_package_name(file.name));
            }
            break;
        case 'd':
        case 'c':
            read_as_file(bytes, static_cast<char>(data[0]));
            break;
        default:
            if (const auto path = image_path(bytes, true); path.has_value()) {
                require_normal(*path);
            }
    }
    return 0;
}
