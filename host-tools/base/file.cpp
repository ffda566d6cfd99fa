// Descriptors and opening.
// SPDX-License-Identifier: MIT
#include "base/file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/size.hpp"

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

Result<std::string> read_open(int descriptor, std::string_view name, std::size_t most, std::string hint) {
    std::string data;
    std::array<char, 65536> room{};
    while (data.size() <= most) {
        const ssize_t got = ::read(descriptor, room.data(), room.size());
        if (got == 0) {
            return data;
        }
        if (got > 0) {
            data.append(room.data(), static_cast<std::size_t>(got));
        } else if (errno != EINTR) {
            return fail(ExitStatus::usage, fmt::format("{} cannot be read: {}", name, std::strerror(errno)));
        }
    }
    return fail(ExitStatus::usage, fmt::format("{} has more than {}", name, format_size(most)),
                std::move(hint));
}

Result<std::string> read_regular(const std::filesystem::path& path, std::string_view what, std::size_t most,
                                 std::string hint) {
    const Descriptor file = PV_TRY(open_regular(path, O_RDONLY, what));
    return read_open(file.get(), fmt::format("{} '{}'", what, path.string()), most, std::move(hint));
}

}  // namespace pv
