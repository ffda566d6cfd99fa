// A root file system for tests: tmpfs, a caller, and calls that say what they did in one line.
// SPDX-License-Identifier: MIT
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "fs/operations.hpp"
#include "fs/tmpfs.hpp"

namespace pv::fs::test {

struct Tree {
    explicit Tree(const TmpfsLimits& limits = {}) {
        Ref<Node> node = create_tmpfs(limits).value();
        Ref<Mount> mount = Mount::create(node, "tmpfs", "none", {}).value();
        root = Location{std::move(mount), std::move(node)};
    }

    [[nodiscard]] Caller caller() const { return {who, root, root}; }

    Outcome<> make_directory(std::string_view path) { return fs::make_directory(caller(), path, 0755); }

    /// Makes or replaces a file's contents.
    Outcome<> put(std::string_view path, std::string_view text) {
        const auto file = PV_TRY(
            fs::open(caller(), path, open_flag::create | open_flag::truncate | open_flag::write_only, 0644));
        static_cast<void>(PV_TRY(write(*file, text)));
        return {};
    }

    static Outcome<std::size_t> write(OpenFile& file, std::string_view text) {
        SpanSource source(std::as_bytes(std::span(text)));
        return file.write(source);
    }

    static Outcome<std::string> read(OpenFile& file, std::size_t count = 65536) {
        std::string text(count, '\0');
        SpanTarget target(std::as_writable_bytes(std::span(text)));
        text.resize(PV_TRY(file.read(target)));
        return text;
    }

    Outcome<std::string> get(std::string_view path) {
        const auto file = PV_TRY(fs::open(caller(), path, open_flag::read_only, 0));
        return read(*file);
    }

    [[nodiscard]] Outcome<Location> find(std::string_view path) const { return resolve(caller(), path); }

    Outcome<std::vector<std::string>> names(std::string_view path) {
        const auto file = PV_TRY(fs::open(caller(), path, open_flag::read_only | open_flag::directory, 0));
        std::vector<std::string> found;
        PV_TRY(file->list([&](const DirectoryEntry& entry) {
            found.emplace_back(entry.name);
            return true;
        }));
        return found;
    }

    Credentials who = kernel_credentials;
    Location root;
};

/// The error of an outcome; nothing where it is a success.
template <class T>
[[nodiscard]] std::optional<Errno> error_of(const Outcome<T>& outcome) {
    return outcome ? std::nullopt : std::optional(outcome.error());
}

}  // namespace pv::fs::test
