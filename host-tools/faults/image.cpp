// QEMU's locking (block/file-posix.c): byte 100+n locked shared = permission n is used; 200+n = it is not
// shared.
// SPDX-License-Identifier: MIT
#include "faults/image.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace pv::faults {
namespace {

// BLK_PERM_CONSISTENT_READ is bit 0, BLK_PERM_WRITE bit 1.
constexpr off_t used_read = 100, used_write = 101, unshared_write = 201;

bool lock(int descriptor, off_t byte) {
    struct flock wanted{};

    wanted.l_type = F_RDLCK;
    wanted.l_whence = SEEK_SET;
    wanted.l_start = byte;
    wanted.l_len = 1;
    return fcntl(descriptor, F_OFD_SETLK, &wanted) == 0;
}

/// Whether another open file description holds a lock on that byte.
bool held_elsewhere(int descriptor, off_t byte) {
    struct flock asked{};

    asked.l_type = F_WRLCK;
    asked.l_whence = SEEK_SET;
    asked.l_start = byte;
    asked.l_len = 1;
    return fcntl(descriptor, F_OFD_GETLK, &asked) == 0 && asked.l_type != F_UNLCK;
}

/// As a writer that shares with nobody who writes, or as a reader.
bool take_locks(int descriptor, bool read_only) {
    if (read_only) {
        return lock(descriptor, used_read) && !held_elsewhere(descriptor, used_write);
    }
    return lock(descriptor, used_read) && lock(descriptor, used_write) && lock(descriptor, unshared_write) &&
           !held_elsewhere(descriptor, used_write) && !held_elsewhere(descriptor, unshared_write);
}

std::unexpected<Error> refused(const std::filesystem::path& path, int error) {
    switch (error) {
        case ENOENT:
            return fail(ExitStatus::usage, fmt::format("disk image '{}' is not there", path.native()),
                        "create it, as in: truncate -s 64M FILE");
        case EACCES:
        case EPERM:
        case EROFS:
            return fail(
                ExitStatus::usage,
                fmt::format("disk image '{}' cannot be opened: {}", path.native(), std::strerror(error)),
                "give this user access to it, or use it read-only");
        default:
            return fail(
                ExitStatus::usage,
                fmt::format("disk image '{}' cannot be opened: {}", path.native(), std::strerror(error)),
                "name a raw disk image or a block device");
    }
}

}  // namespace

Result<Image> Image::open(const std::filesystem::path& path, bool read_only) {
    const int descriptor = ::open(path.c_str(), (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) {
        return refused(path, errno);
    }
    Image image{descriptor, 0, false};

    struct stat status{};

    if (fstat(descriptor, &status) != 0) {
        return refused(path, errno);
    }
    if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode)) {
        return refused(path, S_ISDIR(status.st_mode) ? EISDIR : EINVAL);
    }
    if (!take_locks(descriptor, read_only)) {
        return fail(ExitStatus::usage,
                    fmt::format("disk image '{}' is in use by another program", path.native()),
                    "end the virtual machine that uses it, or give this one a copy");
    }
    // Of a block device too, where st_size is 0.
    const off_t end = lseek(descriptor, 0, SEEK_END);
    if (end < 0) {
        return refused(path, errno);
    }
    if (end == 0) {
        return fail(ExitStatus::usage, fmt::format("disk image '{}' is empty", path.native()),
                    "give it a size, as in: truncate -s 64M FILE");
    }
    image.size_ = static_cast<std::uint64_t>(end);
    return image;
}

Result<Image> Image::memory(std::uint64_t size) {
    const int descriptor = memfd_create("paravane-disk", MFD_CLOEXEC);
    Image image{descriptor, size, true};
    if (size == 0 || size > INT64_MAX || descriptor < 0 ||
        ftruncate(descriptor, static_cast<off_t>(size)) != 0) {
        return fail(ExitStatus::usage, fmt::format("no disk of {} bytes can be had in memory", size),
                    "use a smaller one, or an image file");
    }
    return image;
}

Image::~Image() {
    if (descriptor_ >= 0) {
        close(descriptor_);
    }
}

}  // namespace pv::faults
