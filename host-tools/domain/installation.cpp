// Finds files and programs.
// SPDX-License-Identifier: MIT
#include "domain/installation.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <sstream>

namespace pv::domain {

namespace fs = std::filesystem;

fs::path library_dir() {
    if (const char* chosen = std::getenv("PARAVANE_LIBDIR"); chosen != nullptr && chosen[0] != '\0') {
        return fs::absolute(chosen);
    }
    std::error_code problem;
    const fs::path self = fs::read_symlink("/proc/self/exe", problem);
    return self.parent_path().parent_path() / "lib" / "paravane";
}

Result<fs::path> installed(std::string_view file) {
    const fs::path path = library_dir() / file;
    std::error_code problem;
    if (!fs::is_regular_file(path, problem)) {
        return fail(ExitStatus::unavailable, fmt::format("'{}' is missing", path.string()),
                    "build or install paravane completely, or set PARAVANE_LIBDIR to the folder that has it");
    }
    return path;
}

Result<fs::path> find_program(const std::string& program, std::string_view package) {
    const char* path = std::getenv("PATH");
    std::istringstream folders(path == nullptr ? "/usr/sbin:/usr/bin:/sbin:/bin" : path);
    for (std::string folder; std::getline(folders, folder, ':');) {
        const fs::path candidate = fs::path(folder) / program;
        std::error_code problem;
        if (fs::is_regular_file(candidate, problem) && ::access(candidate.c_str(), X_OK) == 0) {
            return fs::absolute(candidate);
        }
    }
    return fail(ExitStatus::unavailable, fmt::format("'{}' is not installed", program),
                fmt::format("apt-get install {}", package));
}

Result<fs::path> find_qemu() {
    if (const char* chosen = std::getenv("PARAVANE_QEMU"); chosen != nullptr && chosen[0] != '\0') {
        if (::access(chosen, X_OK) != 0) {
            return fail(ExitStatus::unavailable,
                        fmt::format("PARAVANE_QEMU names '{}', which is no program", chosen),
                        "unset it, or set it to qemu-system-x86_64's path");
        }
        return fs::absolute(chosen);
    }
    return find_program("qemu-system-x86_64",
                        "qemu-system-x86 (9.1 or newer; Debian 12: -t bookworm-backports)");
}

}  // namespace pv::domain
