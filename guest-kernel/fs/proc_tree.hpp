// procfs from the inside: the tables its directories are made from.
// SPDX-License-Identifier: MIT
#pragma once

#include <linux/magic.h>

#include <span>

#include "fs/proc.hpp"
#include "fs/process_view.hpp"
#include "fs/static_tree.hpp"

namespace pv::fs::proc {

/// Whose files they are.
struct Subject {
    int process = 0;
    int thread = 0;  ///< 0: the process as a whole
};

/// A file below /proc/PID.
struct ProcessEntry {
    std::string_view name;
    Outcome<> (*write)(Subject subject, Text& text);
    Mode mode = 0444;
    Outcome<> (*take)(Subject subject, std::string_view text) = nullptr;
};

extern const std::span<const StaticEntry> system_entries;
extern const std::span<const ProcessEntry> process_entries;

/// What a node of procfs is made with: numbers are 64-bit mixes, so that no two of them meet.
[[nodiscard]] SyntheticIdentity identity_of(std::uint64_t device, std::uint64_t number, Mode mode);

/// /proc/PID or /proc/PID/task/TID, in the directory that `above` is. Errors: enoent (no such process),
/// enomem.
[[nodiscard]] Outcome<Ref<SyntheticNode>> make_process_directory(const SyntheticIdentity& above,
                                                                 Subject subject);

// The directories fd and fdinfo of a process, and its links; proc_links.cpp.
[[nodiscard]] Outcome<Ref<SyntheticNode>> make_descriptor_directory(const SyntheticIdentity& identity,
                                                                    int process, bool info);
/// /proc/PID/mem; proc_memory.cpp.
[[nodiscard]] Outcome<Ref<SyntheticNode>> make_memory_file(const SyntheticIdentity& identity, int process);
/// `which`: exe, cwd or root.
[[nodiscard]] Outcome<Ref<SyntheticNode>> make_place_link(const SyntheticIdentity& identity, int process,
                                                          std::string_view which);

// Texts of proc_hardware.cpp and proc_mounts.cpp.
[[nodiscard]] Outcome<> write_processors(Text& text);
[[nodiscard]] Outcome<> write_interrupts(Text& text);
/// All that came since boot, on all processors.
[[nodiscard]] std::uint64_t interrupts_so_far();
[[nodiscard]] Outcome<> write_kernel_command_line(Text& text);
// Of proc_maps.cpp: maps, smaps and smaps_rollup.
[[nodiscard]] Outcome<> write_maps(Subject subject, Text& text);
[[nodiscard]] Outcome<> write_counted_maps(Subject subject, Text& text);
[[nodiscard]] Outcome<> write_counted_memory(Subject subject, Text& text);
[[nodiscard]] Outcome<> write_mounts(Subject subject, Text& text);
[[nodiscard]] Outcome<> write_mount_info(Subject subject, Text& text);

/// A place's path below the running process's root, as links and maps show it.
void add_path(Text& text, const Location& location);

/// What that many pages have.
[[nodiscard]] constexpr std::uint64_t kib(std::uint64_t pages) {
    return pages * (page_size / 1024);
}

/// A line of meminfo or smaps.
void add_kib(Text& text, std::string_view name, std::uint64_t value);

/// Digits of base eight, for flags and modes.
void add_octal(Text& text, std::uint64_t value);

}  // namespace pv::fs::proc
