// /proc/PID/maps, smaps and smaps_rollup: what a process has mapped, and what of it is in memory (proc(5)).
// SPDX-License-Identifier: MIT
#include "fs/proc_tree.hpp"

namespace pv::fs::proc {
namespace {

void add_region(Text& text, const MappedRegion& region) {
    const std::size_t begin = text.text().size();
    Attributes attributes;
    if (region.file != nullptr && region.file->node() != nullptr) {
        attributes = region.file->node()->attributes();
    }
    const DeviceNumber device = DeviceNumber::decode(attributes.device);
    text.add("{:08x}-{:08x} {}{}{}{} {:08x} {:02x}:{:02x} {}", region.begin.value(), region.end.value(),
             region.read ? 'r' : '-', region.write ? 'w' : '-', region.execute ? 'x' : '-',
             region.shared ? 's' : 'p', region.offset, device.major, device.minor, attributes.number);
    if (region.file != nullptr || !region.purpose.empty()) {
        constexpr std::size_t name_column = 73;
        do {
            text.append(" ");
        } while (text.text().size() - begin < name_column && !text.failed());
    }
    if (region.file != nullptr && region.file->location().mount) {
        add_path(text, region.file->location());
    } else {
        text.append(region.purpose);
    }
    text.append("\n");
}

/// Of one region or of several.
struct Sums {
    memory::RegionPages pages;
    std::uint64_t clean = 0;         ///< pages, of files and not changed by this process alone
    std::uint64_t shared_clean = 0;  ///< pages
    std::uint64_t share_of_own = 0;  ///< bytes
};

Sums sums_of(const MappedRegion& region) {
    const memory::RegionPages& pages = region.pages;
    const bool is_of_file = region.file != nullptr;
    const std::uint64_t clean = pages.all - pages.own;
    // A region's shared pages are its file's, where it has one.
    return {pages, clean, is_of_file ? pages.shared : 0, is_of_file ? 0 : pages.share};
}

void add(Sums& sums, const Sums& more) {
    sums.pages.all += more.pages.all;
    sums.pages.large += more.pages.large;
    sums.pages.own += more.pages.own;
    sums.pages.shared += more.pages.shared;
    sums.pages.share += more.pages.share;
    sums.clean += more.clean;
    sums.shared_clean += more.shared_clean;
    sums.share_of_own += more.share_of_own;
}

void add_sums(Text& text, const Sums& sums, bool of_all) {
    const memory::RegionPages& pages = sums.pages;
    add_kib(text, "Rss", kib(pages.all));
    add_kib(text, "Pss", pages.share / 1024);
    add_kib(text, "Pss_Dirty", sums.share_of_own / 1024);
    if (of_all) {
        add_kib(text, "Pss_Anon", sums.share_of_own / 1024);
        add_kib(text, "Pss_File", (pages.share - sums.share_of_own) / 1024);
        add_kib(text, "Pss_Shmem", 0);
    }
    add_kib(text, "Shared_Clean", kib(sums.shared_clean));
    add_kib(text, "Shared_Dirty", kib(pages.shared - sums.shared_clean));
    add_kib(text, "Private_Clean", kib(sums.clean - sums.shared_clean));
    add_kib(text, "Private_Dirty", kib(pages.all - sums.clean - (pages.shared - sums.shared_clean)));
    add_kib(text, "Referenced", kib(pages.all));
    add_kib(text, "Anonymous", kib(pages.own));
    add_kib(text, "LazyFree", 0);
    add_kib(text, "AnonHugePages", kib(pages.large));
    add_kib(text, "ShmemPmdMapped", 0);
    add_kib(text, "FilePmdMapped", 0);
    add_kib(text, "Shared_Hugetlb", 0);
    add_kib(text, "Private_Hugetlb", 0);
    add_kib(text, "Swap", 0);
    add_kib(text, "SwapPss", 0);
    add_kib(text, "Locked", 0);
}

void add_flags(Text& text, const MappedRegion& region) {
    text.add("VmFlags: {}{}{}{}mr mw me \n", region.read ? "rd " : "", region.write ? "wr " : "",
             region.execute ? "ex " : "", region.shared ? "sh " : "");
}

// Calls `each` for the regions of a process that may be looked into; who has ended has none.
Outcome<> for_regions(Subject subject, bool counted, FunctionRef<void(const MappedRegion&)> each) {
    PV_TRY(process_view().facts(subject.process, subject.thread));
    if (!process_view().may_look_into(subject.process)) {
        return fail(Errno::eacces);
    }
    const Outcome<> listed = process_view().regions(subject.process, counted, each);
    return !listed && listed.error() == Errno::esrch ? Outcome<>() : listed;
}

}  // namespace

void add_kib(Text& text, std::string_view name, std::uint64_t value) {
    std::array<char, 24> label;
    text.add("{:<15} {:>8} kB\n", format::to(label, "{}:", name), value);
}

Outcome<> write_maps(Subject subject, Text& text) {
    return for_regions(subject, false, [&](const MappedRegion& region) { add_region(text, region); });
}

Outcome<> write_counted_maps(Subject subject, Text& text) {
    return for_regions(subject, true, [&](const MappedRegion& region) {
        add_region(text, region);
        add_kib(text, "Size", (region.end - region.begin) / 1024);
        add_kib(text, "KernelPageSize", page_size / 1024);
        add_kib(text, "MMUPageSize", page_size / 1024);
        add_sums(text, sums_of(region), false);
        add_flags(text, region);
    });
}

Outcome<> write_counted_memory(Subject subject, Text& text) {
    Sums sums;
    UserAddress begin{};
    UserAddress end{};
    PV_TRY(for_regions(subject, true, [&](const MappedRegion& region) {
        add(sums, sums_of(region));
        begin = begin.value() == 0 ? region.begin : begin;
        end = region.end;
    }));
    if (end.value() != 0) {
        text.add("{:08x}-{:08x} ---p 00000000 00:00 0                          [rollup]\n", begin.value(),
                 end.value());
        add_sums(text, sums, true);
    }
    return {};
}

}  // namespace pv::fs::proc
