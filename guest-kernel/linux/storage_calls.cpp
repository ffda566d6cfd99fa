// Calls on file systems as wholes, and on attributes that no file here has.
// SPDX-License-Identifier: MIT
#include <asm/unistd.h>
#include <fcntl.h>

#include "fs/disk_view.hpp"
#include "fs/path.hpp"
#include "linux/descriptors.hpp"
#include "linux/path_argument.hpp"
#include "linux/table.hpp"

namespace pv::linux {
namespace {

/// struct statfs (asm/statfs.h), which the C library's header renames.
struct StatfsValue {
    std::int64_t type, block_size;
    std::uint64_t blocks, blocks_free, blocks_available, nodes, nodes_free;
    std::int32_t id[2];
    std::int64_t name_length, fragment_size, flags, spare[4];
};

static_assert(sizeof(StatfsValue) == 120);

StatfsValue value_of(const fs::FileSystemStatus& status) {
    StatfsValue value{};
    value.type = static_cast<std::int64_t>(status.type);
    value.block_size = value.fragment_size = static_cast<std::int64_t>(status.block_size);
    value.blocks = status.blocks;
    value.blocks_free = value.blocks_available = status.blocks_free;
    value.nodes = status.nodes;
    value.nodes_free = status.nodes_free;
    value.name_length = fs::name_max;
    value.flags = static_cast<std::int64_t>(status.flags);
    return value;
}

Value statfs(Call& call, UserString path, UserPointer<StatfsValue> result) {
    PathArgument where;
    PV_TRY(where.read(call, AT_FDCWD, path));
    const fs::Location location = PV_TRY(fs::resolve(where.caller(), where.text()));
    return done(result.write(value_of(location.node->file_system())));
}

Value fstatfs(Call& call, int descriptor, UserPointer<StatfsValue> result) {
    const auto file = PV_TRY(get_any(call, descriptor));
    if (file->node() == nullptr) {
        return fail(Errno::enosys);
    }
    return done(result.write(value_of(file->node()->file_system())));
}

// Extended attributes: the path is looked at, then there are none.
Value on_path(Call& call, UserString path, bool follow) {
    PathArgument where;
    PV_TRY(where.read(call, AT_FDCWD, path));
    PV_TRY(fs::resolve(where.caller(), where.text(), {.follow_last = follow}));
    return fail(Errno::eopnotsupp);
}

Value xattr(Call& call, UserString path) {
    return on_path(call, path, true);
}

Value lxattr(Call& call, UserString path) {
    return on_path(call, path, false);
}

Value fxattr(Call& call, int descriptor) {
    PV_TRY(get(call, descriptor));
    return fail(Errno::eopnotsupp);
}

Value fadvise64(Call& call, int descriptor, std::int64_t, std::int64_t length, int advice) {
    const auto file = PV_TRY(get(call, descriptor));
    constexpr int last = 5;
    if (advice < 0 || advice > last || length < 0) {
        return fail(Errno::einval);
    }
    if (file->node() == nullptr || file->node()->type() == fs::NodeType::fifo) {
        return fail(Errno::espipe);
    }
    return 0;
}

// What was written has reached files in memory, and disks, when the write ended: nothing is left to be begun.
Value sync_file_range(Call& call, int descriptor, std::int64_t offset, std::int64_t length,
                      std::uint32_t flags) {
    constexpr std::uint32_t known =
        SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
    const auto file = PV_TRY(get(call, descriptor));
    std::int64_t end = 0;
    if ((flags & ~known) != 0 || offset < 0 || length < 0 || __builtin_add_overflow(offset, length, &end)) {
        return fail(Errno::einval);
    }
    const bool has_storage = file->node() != nullptr && (file->node()->type() == fs::NodeType::regular ||
                                                         file->node()->type() == fs::NodeType::directory ||
                                                         file->node()->type() == fs::NodeType::block_device);
    return has_storage ? Value(0) : Value(fail(Errno::espipe));
}

Value sync(Call&) {
    fs::flush_disks();
    return 0;
}

constexpr Entry entries[] = {
    {__NR_statfs, "statfs", handler_of<statfs>},
    {__NR_fstatfs, "fstatfs", handler_of<fstatfs>},
    {__NR_fadvise64, "fadvise64", handler_of<fadvise64>},
    {__NR_sync, "sync", handler_of<sync>},
    {__NR_sync_file_range, "sync_file_range", handler_of<sync_file_range>},
    {__NR_getxattr, "getxattr", handler_of<xattr>, Support::partial,
     "files have no extended attributes (EOPNOTSUPP)"},
    {__NR_lgetxattr, "lgetxattr", handler_of<lxattr>, Support::partial,
     "files have no extended attributes (EOPNOTSUPP)"},
    {__NR_fgetxattr, "fgetxattr", handler_of<fxattr>, Support::partial,
     "files have no extended attributes (EOPNOTSUPP)"},
    {__NR_setxattr, "setxattr", handler_of<xattr>, Support::partial,
     "files have no extended attributes (EOPNOTSUPP)"},
    {__NR_lsetxattr, "lsetxattr", handler_of<lxattr>, Support::partial,
     "files have no extended attributes (EOPNOTSUPP)"},
    {__NR_fsetxattr, "fsetxattr", handler_of<fxattr>, Support::partial,
     "files have no extended attributes (EOPNOTSUPP)"},
    {__NR_listxattr, "listxattr", handler_of<xattr>, Support::partial,
     "files have no extended attributes (EOPNOTSUPP)"},
    {__NR_llistxattr, "llistxattr", handler_of<lxattr>, Support::partial,
     "files have no extended attributes (EOPNOTSUPP)"},
    {__NR_flistxattr, "flistxattr", handler_of<fxattr>, Support::partial,
     "files have no extended attributes (EOPNOTSUPP)"},
};

}  // namespace

constinit const std::span<const Entry> storage_calls = entries;

}  // namespace pv::linux
