// Descriptors and opening.
// SPDX-License-Identifier: MIT
#include "base/file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

namespace pv {

void Descriptor::reset(int descriptor) {
    if (descriptor_ >= 0) {
        ::close(descriptor_);
    }
    descriptor_ = descriptor;
}

Result<Descriptor> open_file(const std::filesystem::path& path, int flags, std::string_view what) {
    Descriptor file(::open(path.c_str(), flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    if (file) {
        return file;
    }
    const int problem = errno;
    switch (problem) {
        case ENOENT:
        case ENOTDIR:
            return fail(ExitStatus::usage, fmt::format("{} '{}' does not exist", what, path.string()),
                        "check the path; it is relative to the current directory");
        case EACCES:
        case EPERM:
        case EROFS:
            return fail(
                ExitStatus::usage,
                fmt::format("{} '{}' cannot be opened for {}: {}", what, path.string(),
                            (flags & O_ACCMODE) == O_RDONLY ? "reading" : "writing", std::strerror(problem)),
                "check its permissions, or run as the user who owns it");
        default:
            return fail(ExitStatus::usage, fmt::format("{} '{}' cannot be opened: {}", what, path.string(),
                                                       std::strerror(problem)));
    }
}

Result<Descriptor> open_regular(const std::filesystem::path& path, int flags, std::string_view what) {
    Descriptor file = PV_TRY(open_file(path, flags, what));

    struct stat status{};

    if (::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
        return fail(ExitStatus::usage, fmt::format("{} '{}' is not a regular file", what, path.string()),
                    S_ISDIR(status.st_mode) ? "it is a directory: name a file in it" : "name a file");
    }
    return file;
}

Result<std::string> read_regular(const std::filesystem::path& path, std::string_view what, std::size_t most) {
    const Descriptor file = PV_TRY(open_regular(path, O_RDONLY, what));

    struct stat facts{};

    if (::fstat(file.get(), &facts) != 0 || facts.st_size < 0 ||
        static_cast<std::uint64_t>(facts.st_size) > most) {
        return fail(ExitStatus::usage,
                    fmt::format("{} '{}' has more than {} bytes", what, path.string(), most));
    }
    std::string data(static_cast<std::size_t>(facts.st_size), '\0');
    std::size_t have = 0;
    while (have < data.size()) {
        const ssize_t got = ::read(file.get(), data.data() + have, data.size() - have);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return fail(ExitStatus::usage, fmt::format("{} '{}' cannot be read: {}", what, path.string(),
                                                       got < 0 ? std::strerror(errno) : "it became shorter"));
        }
        have += static_cast<std::size_t>(got);
    }
    return data;
}

}  // namespace pv
