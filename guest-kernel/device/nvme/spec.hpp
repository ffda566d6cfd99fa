// NVMe wire structures (NVM Express Base Specification 2.0; NVM Command Set Specification 1.0).
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/endian.hpp"

namespace pv::nvme {

/// Admin command opcodes (Base 2.0, figure 138).
enum class AdminOpcode : std::uint8_t {
    delete_submission_queue = 0x00,
    create_submission_queue = 0x01,
    delete_completion_queue = 0x04,
    create_completion_queue = 0x05,
    identify = 0x06,
    abort = 0x08,
    set_features = 0x09,
    get_features = 0x0a,
    doorbell_buffer = 0x7c,
};

/// I/O command opcodes (NVM Command Set 1.0, figure 19).
enum class IoOpcode : std::uint8_t {
    flush = 0x00,
    write = 0x01,
    read = 0x02,
    write_zeroes = 0x08,
    dataset_management = 0x09,
};

/// CNS of Identify: which structure is asked for (Base 2.0, figure 273).
enum class IdentifyStructure : std::uint32_t {
    name_space = 0x00,
    controller = 0x01,
    active_namespaces = 0x02,
};

/// Feature identifiers (Base 2.0, figure 316).
enum class Feature : std::uint32_t {
    volatile_write_cache = 0x06,
    queue_count = 0x07,
};

/// Submission queue entry, common format (Base 2.0, section 3.3.3.1, figure 87).
struct SubmissionEntry {
    std::uint8_t opcode = 0;
    std::uint8_t flags = 0;  ///< fused operation and PRP or SGL: 0 = neither fused nor SGL
    le16 command;            ///< CID
    le32 name_space;         ///< NSID
    le32 dword2, dword3;
    le64 metadata;
    le64 prp1, prp2;  ///< data pointer
    le32 dword10, dword11, dword12, dword13, dword14, dword15;
};

static_assert(sizeof(SubmissionEntry) == 64);

/// Completion queue entry (Base 2.0, section 3.3.3.2, figure 89).
struct CompletionEntry {
    le32 result;  ///< dword 0, command specific
    le32 dword1;
    le16 submission_head;
    le16 submission_queue;
    le16 command;
    le16 status;  ///< bit 0 is the phase tag; the rest is the status field
};

static_assert(sizeof(CompletionEntry) == 16);

/// Status field without the phase tag: SCT << 8 | SC, and the bits above.
inline constexpr std::uint16_t status_code_mask = 0x7ff;
inline constexpr std::uint16_t status_success = 0;
inline constexpr std::uint16_t status_aborted_by_request = 0x007;
inline constexpr std::uint16_t status_aborted_by_deletion = 0x008;

inline constexpr std::uint16_t optional_doorbell_buffer = 1U << 8;  // of OACS

/// ONCS: optional I/O commands (Base 2.0, figure 275).
struct OptionalCommands {
    static constexpr std::uint16_t dataset_management = 1U << 2;
    static constexpr std::uint16_t write_zeroes = 1U << 3;
};

/// Dataset Management (NVM Command Set 1.0, section 3.2.3): one range of it, and dword 11's attribute.
struct DatasetRange {
    le32 attributes;
    le32 blocks;
    le64 first;
};

static_assert(sizeof(DatasetRange) == 16);
inline constexpr std::uint32_t dataset_deallocate = 1U << 2;  // AD

/// Identify Controller (Base 2.0, section 5.17.2.1, figure 275): the fields a driver needs.
struct IdentifyController {
    le16 vendor, subsystem_vendor;
    std::array<char, 20> serial;   ///< ASCII, padded with blanks; the device's word: never trust it
    std::array<char, 40> model;    ///< same
    std::array<char, 8> firmware;  ///< same
    std::uint8_t recommended_burst;
    std::array<std::uint8_t, 3> oui;
    std::uint8_t multipath;
    std::uint8_t maximum_transfer;  ///< MDTS: power of two in units of CAP.MPSMIN; 0 = no limit
    std::array<std::uint8_t, 178> skipped1;
    le16 optional_admin_commands;  ///< OACS, byte 256: bit 8 = Doorbell Buffer Config
    std::uint8_t abort_limit;      ///< ACL, byte 258, 0's based: Abort commands at once
    std::array<std::uint8_t, 253> skipped2;
    std::uint8_t submission_entry_sizes;  ///< SQES, byte 512: low nibble = required, high = maximum
    std::uint8_t completion_entry_sizes;  ///< CQES, byte 513
    le16 maximum_commands;
    le32 namespaces;         ///< NN, byte 516
    le16 optional_commands;  ///< ONCS, byte 520
    std::array<std::uint8_t, 3> skipped3;
    std::uint8_t volatile_write_cache;  ///< VWC, byte 525: bit 0 = there is one
    std::array<std::uint8_t, 3570> skipped4;
};

static_assert(offsetof(IdentifyController, maximum_transfer) == 77);
static_assert(offsetof(IdentifyController, optional_admin_commands) == 256);
static_assert(offsetof(IdentifyController, abort_limit) == 258);
static_assert(offsetof(IdentifyController, submission_entry_sizes) == 512);
static_assert(offsetof(IdentifyController, namespaces) == 516);
static_assert(offsetof(IdentifyController, optional_commands) == 520);
static_assert(offsetof(IdentifyController, volatile_write_cache) == 525);
static_assert(sizeof(IdentifyController) == 4096);

/// LBA format (NVM Command Set 1.0, figure 98).
struct LbaFormat {
    le16 metadata_bytes;
    std::uint8_t data_shift;  ///< LBADS: block size as a power of two; below 9 is not supported
    std::uint8_t performance;
};

static_assert(sizeof(LbaFormat) == 4);

/// Identify Namespace (NVM Command Set 1.0, section 4.1.5.1, figure 97).
struct IdentifyNamespace {
    le64 size;  ///< NSZE, in blocks
    le64 capacity, used;
    std::uint8_t features;
    std::uint8_t format_count;    ///< NLBAF, 0's based
    std::uint8_t current_format;  ///< FLBAS: bits 3..0, and 6..5 above them; bit 4 = metadata inline
    std::array<std::uint8_t, 101> skipped1;
    std::array<LbaFormat, 64> formats;  ///< byte 128
    std::array<std::uint8_t, 3712> skipped2;
};

static_assert(offsetof(IdentifyNamespace, formats) == 128);
static_assert(sizeof(IdentifyNamespace) == 4096);

/// Active namespace identifiers (Base 2.0, section 5.17.2.2): ascending, ended by a zero.
struct NamespaceList {
    std::array<le32, 1024> ids;
};

static_assert(sizeof(NamespaceList) == 4096);

/// Blocks one Read or Write can name: NLB is 16 bits, 0's based (NVM Command Set 1.0, figure 48).
inline constexpr std::uint64_t maximum_blocks = 65536;

}  // namespace pv::nvme
