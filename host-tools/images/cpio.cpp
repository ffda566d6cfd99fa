// Writes and reads newc with libarchive.
// SPDX-License-Identifier: MIT
#include "images/cpio.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/file.hpp"
#include "images/archive.hpp"
#include "images/paths.hpp"

namespace pv::images {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view magic = "070701";
constexpr std::string_view trailer = "TRAILER!!!";
constexpr off_t header_size = 110;
constexpr std::int64_t first_added_inode = 0x40000000;
constexpr std::uint64_t most_read = std::uint64_t{4} << 30;

std::unexpected<Error> cannot_write(const fs::path& path, std::string_view why) {
    return fail(ExitStatus::unavailable, fmt::format("image '{}' cannot be written: {}", path.string(), why),
                "is the folder there and writable, and the disk not full?");
}

// Written beside its place and renamed; gone when it is not finished.
class NewFile {
  public:
    static Result<NewFile> create(const fs::path& place) {
        std::error_code problem;
        const fs::file_status there = fs::status(place, problem);
        if (fs::exists(there) && !fs::is_regular_file(there)) {
            return fail(ExitStatus::usage,
                        fmt::format("'{}' is no file that an image can replace", place.string()),
                        "name a file: -o image.cpio");
        }
        NewFile result;
        result.place_ = place;
        result.path_ = place.string() + ".XXXXXX";
        result.file_ = Descriptor(::mkostemp(result.path_.data(), O_CLOEXEC));
        if (!result.file_) {
            result.path_.clear();
            return cannot_write(place, std::strerror(errno));
        }
        // mkostemp lets nobody else read it; other files of the user's are as his umask says.
        const mode_t mask = ::umask(0);
        ::umask(mask);
        ::fchmod(result.file_.get(), 0666 & ~mask);
        return result;
    }

    NewFile(NewFile&& other) noexcept
        : place_(std::move(other.place_)),
          path_(std::exchange(other.path_, {})),
          file_(std::move(other.file_)) {}

    NewFile& operator=(NewFile&&) = delete;
    NewFile(const NewFile&) = delete;
    NewFile& operator=(const NewFile&) = delete;

    ~NewFile() {
        if (!path_.empty()) {
            ::unlink(path_.c_str());
        }
    }

    [[nodiscard]] int descriptor() const { return file_.get(); }

    Result<> finish() {
        if (::rename(path_.c_str(), place_.c_str()) != 0) {
            return cannot_write(place_, std::strerror(errno));
        }
        path_.clear();
        return {};
    }

  private:
    NewFile() = default;
    fs::path place_;
    std::string path_;
    Descriptor file_;
};

class Archive {
  public:
    Archive(int descriptor, std::int64_t first_inode, std::int64_t time)
        : writer_(archive_write_new()), inode_(first_inode), time_(time) {
        archive_write_set_format_cpio_newc(writer_.get());
        archive_write_set_bytes_per_block(writer_.get(), 1 << 20);
        archive_write_set_bytes_in_last_block(writer_.get(), 1);
        good_ = archive_write_open_fd(writer_.get(), descriptor) == ARCHIVE_OK;
    }

    void add(const std::string& path, const Node& node) {
        if (!good_) {
            return;
        }
        const Entry entry(archive_entry_new());
        archive_entry* raw = entry.get();
        archive_entry_set_pathname(raw, path.c_str() + 1);
        archive_entry_set_ino64(raw, inode_++);
        archive_entry_set_nlink(raw, node.kind == Node::Kind::directory ? 2 : 1);
        archive_entry_set_mtime(raw, time_, 0);
        archive_entry_set_uid(raw, 0);
        archive_entry_set_gid(raw, 0);
        archive_entry_set_dev(raw, 0);
        archive_entry_set_size(raw, 0);
        switch (node.kind) {
            case Node::Kind::directory:
                archive_entry_set_filetype(raw, AE_IFDIR);
                break;
            case Node::Kind::file:
                archive_entry_set_filetype(raw, AE_IFREG);
                archive_entry_set_size(raw, static_cast<la_int64_t>(node.content->size()));
                break;
            case Node::Kind::symlink:
                archive_entry_set_filetype(raw, AE_IFLNK);
                archive_entry_set_symlink(raw, node.target.c_str());
                break;
            case Node::Kind::character_device:
                archive_entry_set_filetype(raw, AE_IFCHR);
                archive_entry_set_rdevmajor(raw, node.major);
                archive_entry_set_rdevminor(raw, node.minor);
                break;
        }
        archive_entry_set_perm(raw, node.mode & 07777U);
        good_ = archive_write_header(writer_.get(), raw) == ARCHIVE_OK;
        if (good_ && node.kind == Node::Kind::file && !node.content->empty()) {
            good_ = archive_write_data(writer_.get(), node.content->data(), node.content->size()) ==
                    static_cast<la_ssize_t>(node.content->size());
        }
    }

    Result<> finish(const fs::path& path) {
        good_ = good_ && archive_write_close(writer_.get()) == ARCHIVE_OK;
        return good_ ? Result<>{} : cannot_write(path, complaint(writer_.get()));
    }

  private:
    Writer writer_;
    std::int64_t inode_;
    std::int64_t time_;
    bool good_ = false;
};

// Where the last entry of an image of ours begins: the file ends with it.
Result<off_t> find_trailer(int image, const fs::path& path) {
    struct stat status{};

    std::string end(512, '\0');
    if (::fstat(image, &status) == 0 && status.st_size >= header_size) {
        const off_t from = std::max<off_t>(0, status.st_size - static_cast<off_t>(end.size()));
        const ssize_t got = ::pread(image, end.data(), end.size(), from);
        end.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
        const std::size_t name = end.rfind(trailer);
        if (name != std::string::npos && name >= static_cast<std::size_t>(header_size) &&
            end.substr(name - static_cast<std::size_t>(header_size)).starts_with(magic)) {
            return from + static_cast<off_t>(name) - header_size;
        }
    }
    return fail(ExitStatus::usage,
                fmt::format("'{}' is no image made here, or only a part of one", path.string()),
                "`paravane image build` makes it anew");
}

}  // namespace

Result<> write_image(const Tree& tree, const fs::path& path, std::int64_t time) {
    NewFile output = PV_TRY(NewFile::create(path));
    Archive archive(output.descriptor(), 1, time);
    for (const auto& [place, node] : tree.nodes()) {
        archive.add(place, node);
    }
    PV_TRY(archive.finish(path));
    return output.finish();
}

Result<> copy_image(const fs::path& image, const fs::path& to,
                    const std::vector<std::pair<std::string, Node>>& more) {
    const Descriptor input = PV_TRY(open_regular(image, O_RDONLY, "image"));
    const off_t end = PV_TRY(find_trailer(input.get(), image));
    NewFile output = PV_TRY(NewFile::create(to));
    for (off_t copied = 0; copied < end;) {
        const ssize_t put =
            ::sendfile(output.descriptor(), input.get(), &copied, static_cast<std::size_t>(end - copied));
        if (put <= 0) {
            return cannot_write(to, put == 0 ? "the image became shorter" : std::strerror(errno));
        }
    }
    Archive archive(output.descriptor(), first_added_inode, 0);
    for (const auto& [place, node] : more) {
        archive.add(place, node);
    }
    PV_TRY(archive.finish(to));
    return output.finish();
}

Result<std::vector<std::pair<std::string, Node>>> read_image(const fs::path& path) {
    const Descriptor input = PV_TRY(open_regular(path, O_RDONLY, "image"));
    const Reader reader(archive_read_new());
    archive_read_support_format_cpio(reader.get());
    const auto damaged = [&](const std::string& what) {
        return fail(ExitStatus::usage, fmt::format("image '{}' cannot be read: {}", path.string(), what),
                    "an image is an archive as `cpio -H newc` makes it, not compressed");
    };
    if (archive_read_open_fd(reader.get(), input.get(), 1 << 20) != ARCHIVE_OK) {
        return damaged(complaint(reader.get()));
    }
    std::vector<std::pair<std::string, Node>> nodes;
    std::uint64_t left = most_read;
    archive_entry* entry = nullptr;
    int state = ARCHIVE_OK;
    while ((state = archive_read_next_header(reader.get(), &entry)) == ARCHIVE_OK) {
        const char* name = archive_entry_pathname(entry);
        const char* target = archive_entry_symlink(entry);
        Node node;
        node.mode = static_cast<unsigned>(archive_entry_perm(entry)) & 07777U;
        switch (archive_entry_filetype(entry)) {
            case AE_IFDIR:
                break;
            case AE_IFLNK:
                node.kind = Node::Kind::symlink;
                node.target = target == nullptr ? "" : target;
                break;
            case AE_IFCHR:
                node.kind = Node::Kind::character_device;
                node.major = static_cast<unsigned>(archive_entry_rdevmajor(entry));
                node.minor = static_cast<unsigned>(archive_entry_rdevminor(entry));
                break;
            default: {
                std::string data =
                    PV_TRY(read_data(reader.get(), left, fmt::format("image '{}'", path.string())));
                left -= data.size();
                node = file(std::move(data), node.mode);
            }
        }
        nodes.emplace_back(fmt::format("/{}", name == nullptr ? "?" : name), std::move(node));
    }
    if (state != ARCHIVE_EOF) {
        return damaged(complaint(reader.get()));
    }
    return nodes;
}

}  // namespace pv::images
