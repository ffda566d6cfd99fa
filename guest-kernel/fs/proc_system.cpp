// What the files of /proc about the whole machine say.
// SPDX-License-Identifier: MIT
#include <algorithm>

#include "fs/aio_context.hpp"
#include "fs/disk_view.hpp"
#include "fs/ipc_view.hpp"
#include "fs/network_view.hpp"
#include "fs/proc_tree.hpp"
#include "fs/system_name.hpp"
#include "fs/tmpfs.hpp"
#include "memory/frames.hpp"
#include "memory/heap.hpp"
#include "random/pool.hpp"
#include "task/thread.hpp"

namespace pv::fs::proc {
namespace {

std::uint64_t ticks(Duration span) {
    return span.to_milliseconds() / 10;
}

Outcome<> write_memory(Text& text) {
    const memory::FrameStatistics frames = memory::frame_statistics();
    const memory::HeapStatistics heap = memory::heap_statistics();
    const std::uint64_t files = tmpfs_pages();
    const std::uint64_t slabs = heap.slabs * (memory::slab_bytes / 1024);
    const auto line = [&](std::string_view name, std::uint64_t value) { add_kib(text, name, value); };
    line("MemTotal", kib(frames.total));
    line("MemFree", kib(frames.free));
    line("MemAvailable", kib(frames.free));
    line("Buffers", 0);
    line("Cached", kib(files));
    line("SwapCached", 0);
    line("Active", 0);
    line("Inactive", 0);
    line("SwapTotal", 0);
    line("SwapFree", 0);
    line("Dirty", 0);
    line("Writeback", 0);
    line("Mapped", 0);
    line("Shmem", kib(files));
    line("AnonHugePages", kib(process_view().load().large_pages));
    line("Slab", slabs);
    line("SReclaimable", 0);
    line("SUnreclaim", slabs);
    return {};
}

/// Times of all processors together, or of one.
void add_processor(Text& text, std::string_view name, Duration all, Duration idle) {
    text.add("{} {} 0 0 {} 0 0 0 0 0 0\n", name, ticks(all - idle), ticks(idle));
}

Outcome<> write_stat(Text& text) {
    ProcessView& view = process_view();
    const Duration up = now().since_boot();
    const unsigned count = view.processors();
    Duration idle;
    std::uint64_t switches = 0;
    for (unsigned i = 0; i < count; ++i) {
        const ProcessorFacts facts = view.processor(i);
        idle = idle + facts.idle;
        switches += facts.switches;
    }
    add_processor(text, "cpu ", up * count, idle);
    for (unsigned i = 0; i < count; ++i) {
        std::array<char, 12> name;
        add_processor(text, format::to(name, "cpu{}", i), up, view.processor(i).idle);
    }
    const LoadFacts load = view.load();
    const std::int64_t booted = wall_time().seconds - static_cast<std::int64_t>(up.to_milliseconds() / 1000);
    text.add("intr {}\nctxt {}\nbtime {}\nprocesses {}\nprocs_running {}\nprocs_blocked 0\n",
             interrupts_so_far(), switches, booted, load.forks, std::max(load.runnable, 1U));
    return {};
}

void add_seconds(Text& text, Duration span) {
    text.add("{}.{:02}", span.to_milliseconds() / 1000, span.to_milliseconds() / 10 % 100);
}

Outcome<> write_uptime(Text& text) {
    ProcessView& view = process_view();
    Duration idle;
    for (unsigned i = 0; i < view.processors(); ++i) {
        idle = idle + view.processor(i).idle;
    }
    add_seconds(text, now().since_boot());
    text.append(" ");
    add_seconds(text, idle);
    text.append("\n");
    return {};
}

Outcome<> write_load(Text& text) {
    const LoadFacts load = process_view().load();
    constexpr unsigned fraction_bits = 16;
    constexpr std::uint64_t one = 1U << fraction_bits;
    for (const std::uint64_t average : load.averages) {
        const std::uint64_t rounded = average + one / 200;
        text.add("{}.{:02} ", rounded >> fraction_bits, (rounded & (one - 1)) * 100 >> fraction_bits);
    }
    text.add("{}/{} {}\n", std::max(load.runnable, 1U), load.threads, load.last_id);
    return {};
}

Outcome<> write_file_systems(Text& text) {
    text.append("nodev\ttmpfs\nnodev\tproc\nnodev\tsysfs\nnodev\tdevpts\nnodev\tpipefs\nnodev\tsockfs\n");
    return {};
}

Outcome<> write_version(Text& text) {
    text.add("Linux version {} (paravane) {}\n", system_name::release, system_name::version);
    return {};
}

Outcome<> write_devices(Text& text) {
    text.append(
        "Character devices:\n  1 mem\n  4 ttyS\n  5 /dev/tty\n  5 /dev/console\n  5 /dev/ptmx\n136 pts\n\n"
        "Block devices:\n");
    text.add("{} virtblk\n{} blkext\n", virtio_disk_major, extended_disk_major);
    return {};
}

Outcome<> write_partitions(Text& text) {
    DiskFacts disk;
    for (std::size_t i = 0; tell_disk(i, disk); ++i) {
        if (i == 0) {
            text.append("major minor  #blocks  name\n\n");
        }
        text.add("{:>4}  {:>7} {:>10} {}\n", disk.number.major, disk.number.minor, disk.bytes / 1024,
                 disk.name.text());
    }
    return {};
}

Outcome<> write_swaps(Text& text) {
    text.append("Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
    return {};
}

Outcome<> write_paging(Text& text) {
    const memory::FrameStatistics frames = memory::frame_statistics();
    text.add("nr_free_pages {}\npgpgin 0\npgpgout 0\npswpin 0\npswpout 0\n", frames.free);
    return {};
}

Outcome<> write_host_name(Text& text) {
    text.add("{}\n", system_name::host().view());
    return {};
}

Outcome<> write_release(Text& text) {
    text.add("{}\n", system_name::release);
    return {};
}

Outcome<> write_kind(Text& text) {
    text.append("Linux\n");
    return {};
}

Outcome<> write_build(Text& text) {
    text.add("{}\n", system_name::version);
    return {};
}

Outcome<> write_domain(Text& text) {
    text.add("{}\n", system_name::domain().view());
    return {};
}

template <std::uint64_t value>
Outcome<> write_number(Text& text) {
    text.add("{}\n", value);
    return {};
}

Outcome<> write_empty(Text&) {
    return {};
}

/// A random UUID, version 4 (RFC 9562, section 5.4).
Outcome<> write_uuid(Text& text) {
    std::array<std::byte, 16> bytes;
    if (!random::take(bytes)) {
        return fail(Errno::eagain);
    }
    bytes[6] = (bytes[6] & std::byte{0x0f}) | std::byte{0x40};
    bytes[8] = (bytes[8] & std::byte{0x3f}) | std::byte{0x80};
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        text.append(i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "");
        text.add("{:02x}", static_cast<unsigned>(bytes[i]));
    }
    text.append("\n");
    return {};
}

// The same as long as the machine runs.
Outcome<> write_boot_id(Text& text) {
    static constinit task::Guarded<std::array<char, 37>, task::Rank::leaf> kept{};
    Text fresh;
    PV_TRY(write_uuid(fresh));
    const std::array<char, 37> id = kept.with([&](std::array<char, 37>& all) {
        if (all[0] == '\0' && fresh.text().size() == all.size()) {
            std::ranges::copy(fresh.text(), all.begin());
        }
        return all;
    });
    text.append({id.data(), id.size()});
    return {};
}

constexpr StaticEntry random_entries[] = {
    {"boot_id", write_boot_id},
    {"uuid", write_uuid},
    {"entropy_avail", write_number<256>},
    {"poolsize", write_number<256>},
};

// A line's worth: what follows is not looked at.
std::string_view line_of(std::string_view text) {
    return text.substr(0, text.find('\n'));
}

Outcome<> take_host_name(std::string_view text) {
    system_name::set_host(system_name::Changeable(line_of(text)));
    return {};
}

Outcome<> take_domain(std::string_view text) {
    system_name::set_domain(system_name::Changeable(line_of(text)));
    return {};
}

constexpr StaticEntry kernel_entries[] = {
    {"hostname", write_host_name, {}, 0644, take_host_name},
    {"osrelease", write_release},
    {"ostype", write_kind},
    {"version", write_build},
    {"domainname", write_domain, {}, 0644, take_domain},
    {"pid_max", write_number<4'194'304>},
    {"threads-max", write_number<2'097'152>},
    {"ngroups_max", write_number<32>},
    {"cap_last_cap", write_number<40>},
    {"sched_rr_timeslice_ms", write_number<task::round_robin_turn.to_milliseconds()>},
    {"sched_rt_period_us", write_number<task::real_time_period.to_microseconds()>},
    {"sched_rt_runtime_us", write_number<task::real_time_share.to_microseconds()>},
    {"random", nullptr, random_entries, 0555},
};

constexpr StaticEntry memory_entries[] = {
    {"overcommit_memory", write_number<1>},
    {"max_map_count", write_number<65530>},
    {"mmap_min_addr", write_number<65536>},
    {"swappiness", write_number<0>},
};

Outcome<> write_file_count(Text& text) {
    text.add("{}\t0\t{}\n", OpenFile::count(), OpenFile::open_max);
    return {};
}

template <NetworkText which>
Outcome<> write_network_text(Text& text) {
    return write_network(which, text);
}

constexpr StaticEntry network_entries[] = {
    {"dev", write_network_text<NetworkText::devices>},
    {"route", write_network_text<NetworkText::routes>},
    {"pnp", write_network_text<NetworkText::name_servers>},
    {"tcp", write_network_text<NetworkText::tcp>},
    {"tcp6", write_network_text<NetworkText::tcp6>},
    {"udp", write_network_text<NetworkText::udp>},
    {"udp6", write_network_text<NetworkText::udp6>},
};

template <IpcText which>
Outcome<> write_ipc_text(Text& text) {
    return write_ipc(which, text);
}

constexpr StaticEntry ipc_entries[] = {
    {"msg", write_ipc_text<IpcText::queues>},
    {"sem", write_ipc_text<IpcText::semaphores>},
    {"shm", write_ipc_text<IpcText::segments>},
};

Outcome<> write_request_count(Text& text) {
    text.add("{}\n", AioContext::requests());
    return {};
}

constexpr StaticEntry file_entries[] = {
    {"aio-max-nr", write_number<AioContext::requests_max>}, {"aio-nr", write_request_count},
    {"file-max", write_number<OpenFile::open_max>},         {"file-nr", write_file_count},
    {"nr_open", write_number<DescriptorTable::count_max>},  {"pipe-max-size", write_number<1'048'576>},
};

constexpr StaticEntry settings_entries[] = {
    {"kernel", nullptr, kernel_entries, 0555},
    {"vm", nullptr, memory_entries, 0555},
    {"fs", nullptr, file_entries, 0555},
};

constexpr StaticEntry entries[] = {
    {"meminfo", write_memory},
    {"stat", write_stat},
    {"uptime", write_uptime},
    {"loadavg", write_load},
    {"cpuinfo", write_processors},
    {"filesystems", write_file_systems},
    {"version", write_version},
    {"devices", write_devices},
    {"partitions", write_partitions},
    {"interrupts", write_interrupts},
    {"cmdline", write_kernel_command_line},
    {"swaps", write_swaps},
    {"vmstat", write_paging},
    {"modules", write_empty},
    {"mounts", nullptr, {}, 0777, nullptr, "self/mounts"},
    {"sys", nullptr, settings_entries, 0555},
    {"net", nullptr, network_entries, 0555},
    {"sysvipc", nullptr, ipc_entries, 0555},
};

}  // namespace

constinit const std::span<const StaticEntry> system_entries = entries;

}  // namespace pv::fs::proc
