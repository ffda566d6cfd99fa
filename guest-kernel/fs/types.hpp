// The vocabulary of files: who asks, what a node is, its attributes; values as Linux's interface has them.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/capability.hpp"
#include "base/errno.hpp"
#include "base/wall_time.hpp"

namespace pv::fs {

// fs/abi_values.cpp holds every number here to the headers of the system-call interface when it is compiled.

/// Longest name in a directory, and longest path, its terminating zero counted (NAME_MAX, PATH_MAX).
inline constexpr std::size_t name_max = 255;
inline constexpr std::size_t path_max = 4096;
/// Symbolic links followed in one resolution; one more is ELOOP (path_resolution(7)).
inline constexpr unsigned link_depth_max = 40;

using UserId = std::uint32_t;
using GroupId = std::uint32_t;

/// On whose behalf something is done. A view: valid while the caller's own credentials are.
struct Credentials {
    UserId user = 0;                    ///< the file system user id
    GroupId group = 0;                  ///< the file system group id
    std::span<const GroupId> groups{};  ///< supplementary ones
    CapabilitySet capabilities{};       ///< those that take effect

    [[nodiscard]] bool has(Capability capability) const { return capabilities.has(capability); }

    /// Whether it is the owner's, or has CAP_FOWNER instead.
    [[nodiscard]] bool owns(UserId id) const { return id == user || has(Capability::fowner); }

    /// Whether it may set the set-group-id bit of what belongs to that group.
    [[nodiscard]] bool may_set_group_id(GroupId id) const { return is_in(id) || has(Capability::fsetid); }

    [[nodiscard]] bool is_in(GroupId id) const {
        if (id == group) {
            return true;
        }
        for (const GroupId other : groups) {
            if (other == id) {
                return true;
            }
        }
        return false;
    }
};

/// The kernel itself.
inline constexpr Credentials kernel_credentials{.capabilities = CapabilitySet::all()};

/// As in the upper four bits of st_mode.
enum class NodeType : std::uint16_t {
    none = 0,  ///< of files that no directory has: eventfd(2) and its kin
    fifo = 0x1000,
    character_device = 0x2000,
    directory = 0x4000,
    block_device = 0x6000,
    regular = 0x8000,
    symbolic_link = 0xa000,
    socket = 0xc000,
};

/// Permission bits, set-id bits and sticky bit: the lower twelve bits of st_mode.
using Mode = std::uint16_t;
inline constexpr Mode mode_mask = 07777;
inline constexpr Mode set_user_id = 04000;
inline constexpr Mode set_group_id = 02000;
inline constexpr Mode sticky = 01000;

/// What is wanted of a node; bits as access(2) has them.
enum class Access : std::uint8_t { execute = 1, write = 2, read = 4 };

[[nodiscard]] constexpr unsigned bits(Access a) {
    return static_cast<unsigned>(a);
}

/// A device's number, 12 bits of major and 20 of minor.
struct DeviceNumber {
    std::uint32_t major = 0;
    std::uint32_t minor = 0;

    friend constexpr bool operator==(DeviceNumber, DeviceNumber) = default;

    /// As st_dev, st_rdev and mknod have it.
    [[nodiscard]] constexpr std::uint64_t encoded() const {
        return (minor & 0xffU) | (std::uint64_t{major & 0xfffU} << 8) | (std::uint64_t{minor & ~0xffU} << 12);
    }

    static constexpr DeviceNumber decode(std::uint64_t number) {
        return {static_cast<std::uint32_t>((number >> 8) & 0xfff),
                static_cast<std::uint32_t>((number & 0xff) | ((number >> 12) & 0xf'ff00))};
    }
};

/// What stat(2) tells.
struct Attributes {
    NodeType type = NodeType::regular;
    Mode mode = 0;
    std::uint64_t number = 0;  ///< inode number, one to a node of a file system
    std::uint64_t device = 0;  ///< the file system's number, DeviceNumber::encoded
    std::uint64_t links = 1;
    UserId user = 0;
    GroupId group = 0;
    DeviceNumber special{};    ///< what a device node stands for
    std::uint64_t size = 0;    ///< bytes
    std::uint64_t blocks = 0;  ///< of 512 bytes that it takes
    std::uint32_t block_size = 4096;
    Timestamp accessed{};
    Timestamp modified{};
    Timestamp changed{};
    Timestamp born{};

    /// st_mode.
    [[nodiscard]] constexpr std::uint32_t full_mode() const {
        return static_cast<std::uint32_t>(type) | mode;
    }
};

/// Changes of attributes: what is there is changed. The owner of the rule who may do so is fs/access.hpp.
struct AttributeChange {
    std::optional<Mode> mode{};
    std::optional<UserId> user{};
    std::optional<GroupId> group{};
    std::optional<Timestamp> accessed{};
    std::optional<Timestamp> modified{};
};

/// What statfs(2) tells.
struct FileSystemStatus {
    std::uint64_t type = 0;  ///< its magic number
    std::uint64_t block_size = 4096;
    std::uint64_t blocks = 0;
    std::uint64_t blocks_free = 0;
    std::uint64_t nodes = 0;
    std::uint64_t nodes_free = 0;
    std::uint64_t flags = 0;  ///< ST_RDONLY and its kin
};

/// Bits of open(2)'s flags, in their own words. The access mode is read through readable and writable below.
namespace open_flag {
inline constexpr std::uint32_t access_mask = 3;
inline constexpr std::uint32_t read_only = 0;
inline constexpr std::uint32_t write_only = 1;
inline constexpr std::uint32_t read_write = 2;
inline constexpr std::uint32_t create = 0100;
inline constexpr std::uint32_t exclusive = 0200;
inline constexpr std::uint32_t no_controlling_terminal = 0400;
inline constexpr std::uint32_t truncate = 01000;
inline constexpr std::uint32_t append = 02000;
inline constexpr std::uint32_t nonblock = 04000;
inline constexpr std::uint32_t data_sync = 010000;
inline constexpr std::uint32_t async = 020000;
inline constexpr std::uint32_t direct = 040000;
inline constexpr std::uint32_t large_file = 0100000;
inline constexpr std::uint32_t directory = 0200000;
inline constexpr std::uint32_t no_follow = 0400000;
inline constexpr std::uint32_t no_access_time = 01000000;
inline constexpr std::uint32_t close_on_exec = 02000000;
inline constexpr std::uint32_t sync = 04000000;
inline constexpr std::uint32_t path_only = 010000000;
inline constexpr std::uint32_t temporary = 020000000;  ///< O_TMPFILE without O_DIRECTORY's bit
/// What F_SETFL may change, and F_GETFL shows beside the access mode.
inline constexpr std::uint32_t status_mask = append | nonblock | async | direct | no_access_time;
/// What matters at open only, and F_GETFL does not show.
inline constexpr std::uint32_t creation_mask = create | exclusive | no_controlling_terminal | truncate;
}  // namespace open_flag

[[nodiscard]] constexpr bool is_readable(std::uint32_t flags) {
    const std::uint32_t mode = flags & open_flag::access_mask;
    return mode == open_flag::read_only || mode == open_flag::read_write;
}

[[nodiscard]] constexpr bool is_writable(std::uint32_t flags) {
    const std::uint32_t mode = flags & open_flag::access_mask;
    return mode == open_flag::write_only || mode == open_flag::read_write;
}

}  // namespace pv::fs
