// Arbitrary bytes as an initramfs archive: whatever it holds, nothing outside its root changes.
// SPDX-License-Identifier: MIT
#include "fs/newc.hpp"

#include <cstdint>
#include <cstdlib>

#include "fs/operations.hpp"
#include "fs/tmpfs.hpp"

namespace {

using namespace pv::fs;

std::uint64_t entries(Node& directory) {
    std::uint64_t count = 0;
    (void)directory.list(0, [&](const DirectoryEntry&) {
        ++count;
        return true;
    });
    return count;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto node = create_tmpfs({.pages = 256, .nodes = 64});
    if (!node) {
        return 0;
    }
    const auto mount = Mount::create(*node, "tmpfs", "none", {});
    if (!mount) {
        return 0;
    }
    const Location root{*mount, *node};
    const Caller caller{kernel_credentials, root, root};
    const auto made = make_directory(caller, "in", 0755);
    const auto inside = resolve(caller, "in");
    if (!made || !inside) {
        std::abort();
    }
    UnpackReport report;
    const auto result = unpack_newc(std::as_bytes(std::span(data, size)), *inside, report);
    if (result.has_value() != (report.reason == nullptr)) {
        std::abort();
    }
    // ".", ".." and "in": nothing came beside it.
    if (entries(**node) != 3) {
        std::abort();
    }
    return 0;
}
