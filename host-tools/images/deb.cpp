// Reads .deb files: an archive in an archive.
// SPDX-License-Identifier: MIT
#include "images/deb.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <map>
#include <memory>

#include "images/archive.hpp"
#include "images/paths.hpp"

namespace pv::images {
namespace {

constexpr std::size_t block_size = 65536;
constexpr std::size_t most_members = 200'000;

std::unexpected<Error> wrong(const std::string& owner, const std::string& what) {
    return fail(
        ExitStatus::usage, fmt::format("package {}: {}", owner, what),
        "a package of Debian's is not like that: remove it from the cache, so that it is fetched again");
}

// The inner archive's bytes are the current member of the outer one.
struct Inner {
    archive* outer;
    std::vector<char> buffer = std::vector<char>(block_size);
};

la_ssize_t read_inner(archive* self, void* data, const void** bytes) {
    auto* inner = static_cast<Inner*>(data);
    const la_ssize_t got = archive_read_data(inner->outer, inner->buffer.data(), inner->buffer.size());
    if (got < 0) {
        archive_set_error(self, archive_errno(inner->outer), "%s", complaint(inner->outer).c_str());
        return ARCHIVE_FATAL;
    }
    *bytes = inner->buffer.data();
    return got;
}

std::string text_of(const char* text) {
    return text == nullptr ? std::string() : std::string(text);
}

Result<Node> read_node(archive* reader, archive_entry* entry, const std::string& path,
                       const std::string& owner, std::uint64_t& budget,
                       const std::map<std::string, Node>& seen) {
    const auto mode = static_cast<unsigned>(archive_entry_perm(entry)) & 07777U;
    if (const char* first = archive_entry_hardlink(entry); first != nullptr) {
        const std::string target = image_path(first, true).value_or("");
        const auto found = seen.find(target);
        if (found == seen.end()) {
            return wrong(owner, fmt::format("'{}' is a hard link to '{}', which is not in it", path, first));
        }
        return found->second;
    }
    switch (archive_entry_filetype(entry)) {
        case AE_IFDIR:
            return directory(mode, owner);
        case AE_IFLNK: {
            std::string target = text_of(archive_entry_symlink(entry));
            if (target.empty() || target.size() > 4'095 || target.find('\0') != std::string::npos) {
                return wrong(owner, fmt::format("'{}' is a link to nowhere", path));
            }
            return symlink(std::move(target), owner);
        }
        case AE_IFREG: {
            std::string data =
                PV_TRY(read_data(reader, budget, fmt::format("'{}' of package {}", path, owner)));
            budget -= data.size();
            return file(std::move(data), mode, owner);
        }
        default:
            return wrong(owner, fmt::format("'{}' is neither file, folder nor link", path));
    }
}

Result<> open_inner(const Reader& reader, Inner& inner, const std::string& owner) {
    archive_read_support_filter_all(reader.get());
    archive_read_support_format_tar(reader.get());
    if (archive_read_open(reader.get(), &inner, nullptr, read_inner, nullptr) != ARCHIVE_OK) {
        return wrong(owner, complaint(reader.get()));
    }
    return {};
}

Result<Members> read_members(archive* outer, const std::string& owner, std::uint64_t& budget) {
    const Reader reader(archive_read_new());
    Inner inner{.outer = outer};
    PV_TRY(open_inner(reader, inner, owner));
    Members members;
    std::map<std::string, Node> seen;
    archive_entry* entry = nullptr;
    int state = ARCHIVE_OK;
    while ((state = archive_read_next_header(reader.get(), &entry)) == ARCHIVE_OK || state == ARCHIVE_WARN) {
        // Names that are not the locale's are only had as UTF-8.
        const char* plain = archive_entry_pathname(entry);
        const std::string name = text_of(plain == nullptr ? archive_entry_pathname_utf8(entry) : plain);
        Result<std::string> path = image_path(name, true);
        if (!path.has_value()) {
            return wrong(owner, path.error().message);
        }
        // The root, and folders that are links into /usr in an image.
        if (*path == "/" || (archive_entry_filetype(entry) == AE_IFDIR && parent_of(*path) == "/" &&
                             is_merged(name_of(*path)))) {
            continue;
        }
        if (members.size() >= most_members) {
            return wrong(owner, fmt::format("more than {} files", most_members));
        }
        Node node = PV_TRY(read_node(reader.get(), entry, *path, owner, budget, seen));
        if (node.kind == Node::Kind::file) {
            seen.insert_or_assign(*path, node);
        }
        members.emplace_back(*std::move(path), std::move(node));
    }
    if (state != ARCHIVE_EOF) {
        return wrong(owner, complaint(reader.get()));
    }
    return members;
}

Result<std::string> read_script(archive* outer, const std::string& owner) {
    constexpr std::uint64_t most = 1U << 20;
    const Reader reader(archive_read_new());
    Inner inner{.outer = outer};
    PV_TRY(open_inner(reader, inner, owner));
    archive_entry* entry = nullptr;
    int state = ARCHIVE_OK;
    while ((state = archive_read_next_header(reader.get(), &entry)) == ARCHIVE_OK || state == ARCHIVE_WARN) {
        if (text_of(archive_entry_pathname(entry)) == "./postinst") {
            return read_data(reader.get(), most, fmt::format("the postinst of package {}", owner));
        }
    }
    return state == ARCHIVE_EOF ? Result<std::string>() : wrong(owner, complaint(reader.get()));
}

// Leaves `outer` at the member of the package whose name begins with `name`.
Result<> open_member(const Reader& outer, const std::filesystem::path& path, std::string_view name,
                     const std::string& owner) {
    archive_read_support_format_ar(outer.get());
    if (archive_read_open_filename(outer.get(), path.c_str(), block_size) != ARCHIVE_OK) {
        return wrong(owner, fmt::format("'{}': {}", path.string(), complaint(outer.get())));
    }
    archive_entry* entry = nullptr;
    int state = ARCHIVE_OK;
    while ((state = archive_read_next_header(outer.get(), &entry)) == ARCHIVE_OK) {
        if (text_of(archive_entry_pathname(entry)).starts_with(name)) {
            return {};
        }
    }
    return wrong(owner, state == ARCHIVE_EOF
                            ? fmt::format("'{}' has no {}", path.string(), name)
                            : fmt::format("'{}': {}", path.string(), complaint(outer.get())));
}

}  // namespace

Result<Members> read_deb(const std::filesystem::path& path, const std::string& owner, std::uint64_t& budget) {
    const Reader outer(archive_read_new());
    PV_TRY(open_member(outer, path, "data.tar", owner));
    return read_members(outer.get(), owner, budget);
}

Result<std::string> read_postinst(const std::filesystem::path& path, const std::string& owner) {
    const Reader outer(archive_read_new());
    PV_TRY(open_member(outer, path, "control.tar", owner));
    return read_script(outer.get(), owner);
}

}  // namespace pv::images
