// What the files of /proc/PID say.
// SPDX-License-Identifier: MIT
#include <algorithm>

#include "fs/proc_tree.hpp"
#include "fs/terminal.hpp"

namespace pv::fs::proc {
namespace {

/// Processor time is told in hundredths of a second (sysconf(_SC_CLK_TCK)).
std::uint64_t ticks(Duration span) {
    return span.to_milliseconds() / 10;
}

Outcome<ProcessFacts> facts_of(Subject subject) {
    return process_view().facts(subject.process, subject.thread);
}

std::string_view name_of(const ProcessFacts& facts) {
    const auto end = std::ranges::find(facts.name, '\0');
    return {facts.name.data(), static_cast<std::size_t>(end - facts.name.begin())};
}

Outcome<> write_stat(Subject subject, Text& text) {
    const ProcessFacts f = PV_TRY(facts_of(subject));
    std::uint64_t terminal_number = 0;
    int foreground = -1;
    if (const Ref<Terminal> terminal = terminal_of_session(f.session)) {
        terminal_number = terminal->number().encoded();
        foreground = terminal->foreground();
    }
    text.add("{} ({}) {} {} {} {} {} {}", f.id, name_of(f), f.state, f.parent, f.group, f.session,
             terminal_number, foreground);
    // no flags; faults, none of which waits for a disk, and times, of it and of its children
    text.add(" 0 {} {} 0 0 {} {} {} {}", f.faults, f.children_faults, ticks(f.ran.user()),
             ticks(f.ran.system), ticks(f.children_ran.user()), ticks(f.children_ran.system));
    constexpr int usual_priority = 20;
    const int priority = f.real_time_priority > 0 ? -1 - f.real_time_priority : usual_priority + f.nice;
    text.add(" {} {} {} 0 {}", priority, f.nice, f.threads, ticks(f.started.since_boot()));
    text.add(" {} {} {}", f.mapped, f.resident, ~0ULL >> 1);
    // addresses of code and stack are nobody's business
    text.add(" 0 0 0 0 0 {} {} {} {} 0 0 0", f.pending & 0x7fff'ffff, f.blocked & 0x7fff'ffff,
             f.ignored & 0x7fff'ffff, f.caught & 0x7fff'ffff);
    // no processor
    text.add(" {} 0 {} {} 0 0 0 0 0 0 0 0 0 0 0\n", f.exit_signal, f.real_time_priority, f.policy);
    return {};
}

Outcome<> write_statm(Subject subject, Text& text) {
    const ProcessFacts f = PV_TRY(facts_of(subject));
    text.add("{} {} 0 0 0 {} 0\n", f.mapped / page_size, f.resident, f.mapped / page_size);
    return {};
}

std::string_view state_text(char state) {
    switch (state) {
        case 'R':
            return "R (running)";
        case 'T':
            return "T (stopped)";
        case 't':
            return "t (tracing stop)";
        case 'Z':
            return "Z (zombie)";
        default:
            return "S (sleeping)";
    }
}

void add_signals(Text& text, const ProcessFacts& f) {
    text.add("SigQ:\t0/{}\nSigPnd:\t{:016x}\nShdPnd:\t{:016x}\n", f.limits[11][0], f.pending,
             f.shared_pending);
    text.add("SigBlk:\t{:016x}\nSigIgn:\t{:016x}\nSigCgt:\t{:016x}\n", f.blocked, f.ignored, f.caught);
}

void add_capabilities(Text& text, const ProcessFacts& f) {
    const auto& [inheritable, permitted, effective, bounding, ambient] = f.capabilities;
    text.add("CapInh:\t{:016x}\nCapPrm:\t{:016x}\nCapEff:\t{:016x}\n", inheritable, permitted, effective);
    text.add("CapBnd:\t{:016x}\nCapAmb:\t{:016x}\nNoNewPrivs:\t{}\n", bounding, ambient,
             f.no_new_privileges ? 1 : 0);
    text.append("Seccomp:\t0\n");
}

void add_processors(Text& text) {
    const unsigned count = process_view().processors();
    text.append("Cpus_allowed:\t");
    for (unsigned left = (count + 31) / 32; left > 0; --left) {
        const unsigned here = std::min(count - (left - 1) * 32, 32U);
        const std::uint64_t mask = (1ULL << here) - 1;
        text.add("{:0x}", mask);
        text.append(left > 1 ? "," : "\n");
    }
    text.append("Cpus_allowed_list:\t0");
    if (count > 1) {
        text.add("-{}", count - 1);
    }
    text.append("\n");
}

Outcome<> write_status(Subject subject, Text& text) {
    const ProcessFacts f = PV_TRY(facts_of(subject));
    const auto descriptors = process_view().descriptors(subject.process);
    text.add("Name:\t{}\nUmask:\t0", name_of(f));
    add_octal(text, f.umask);
    text.add("\nState:\t{}\nTgid:\t{}\nNgid:\t0\nPid:\t{}\nPPid:\t{}\nTracerPid:\t{}\n", state_text(f.state),
             f.process, f.id, f.parent, f.tracer);
    text.add("Uid:\t{}\t{}\t{}\t{}\n", f.users[0], f.users[1], f.users[2], f.users[3]);
    text.add("Gid:\t{}\t{}\t{}\t{}\n", f.groups[0], f.groups[1], f.groups[2], f.groups[3]);
    text.add("FDSize:\t{}\nGroups:\t", descriptors ? (*descriptors)->room() : 0U);
    for (const GroupId group : std::span(f.other_groups).first(f.other_group_count)) {
        text.add("{} ", group);
    }
    text.add("\nNStgid:\t{}\nNSpid:\t{}\nNSpgid:\t{}\nNSsid:\t{}\n", f.process, f.id, f.group, f.session);
    if (f.state != 'Z') {
        text.add("VmPeak:\t{:>8} kB\nVmSize:\t{:>8} kB\nVmLck:\t       0 kB\n", f.mapped / 1024,
                 f.mapped / 1024);
        text.add("VmHWM:\t{:>8} kB\nVmRSS:\t{:>8} kB\nRssAnon:\t{:>8} kB\n", kib(f.resident), kib(f.resident),
                 kib(f.resident));
        text.add("VmData:\t{:>8} kB\nVmPTE:\t{:>8} kB\nVmSwap:\t       0 kB\n", f.mapped / 1024,
                 kib(f.tables));
    }
    text.add("Threads:\t{}\n", f.threads);
    add_signals(text, f);
    add_capabilities(text, f);
    add_processors(text);
    text.add("voluntary_ctxt_switches:\t{}\nnonvoluntary_ctxt_switches:\t0\n", f.switches);
    return {};
}

Outcome<> write_comm(Subject subject, Text& text) {
    text.add("{}\n", name_of(PV_TRY(facts_of(subject))));
    return {};
}

// At most this much of an area is shown: arguments and environment are bounded by exec.
constexpr std::uint64_t area_max = 4ULL << 20;

Outcome<> write_area(Subject subject, MemoryArea which, Text& text) {
    PV_TRY(facts_of(subject));
    const auto range = process_view().area(subject.process, which);
    if (!range) {
        return {};  // a zombie has none
    }
    auto [at, end] = *range;
    if (end < at || end - at > area_max) {
        return fail(Errno::eio);
    }
    std::array<char, 512> piece;
    while (at < end) {
        const std::size_t part = std::min<std::uint64_t>(piece.size(), end - at);
        if (!process_view().peek(subject.process, std::as_writable_bytes(std::span(piece).first(part)), at)) {
            break;  // the program has unmapped it
        }
        text.append({piece.data(), part});
        at = at + part;
    }
    return {};
}

Outcome<> write_command_line(Subject subject, Text& text) {
    return write_area(subject, MemoryArea::arguments, text);
}

Outcome<> write_environment(Subject subject, Text& text) {
    return write_area(subject, MemoryArea::environment, text);
}

Outcome<> write_auxiliary(Subject subject, Text& text) {
    return write_area(subject, MemoryArea::auxiliary, text);
}

Outcome<> write_limits(Subject subject, Text& text) {
    struct Kind {
        std::string_view name;
        std::string_view unit;
    };

    static constexpr std::array<Kind, 16> kinds{{{"Max cpu time", "seconds"},
                                                 {"Max file size", "bytes"},
                                                 {"Max data size", "bytes"},
                                                 {"Max stack size", "bytes"},
                                                 {"Max core file size", "bytes"},
                                                 {"Max resident set", "bytes"},
                                                 {"Max processes", "processes"},
                                                 {"Max open files", "files"},
                                                 {"Max locked memory", "bytes"},
                                                 {"Max address space", "bytes"},
                                                 {"Max file locks", "locks"},
                                                 {"Max pending signals", "signals"},
                                                 {"Max msgqueue size", "bytes"},
                                                 {"Max nice priority", ""},
                                                 {"Max realtime priority", ""},
                                                 {"Max realtime timeout", "us"}}};
    const ProcessFacts f = PV_TRY(facts_of(subject));
    text.append("Limit                     Soft Limit           Hard Limit           Units     \n");
    for (std::size_t i = 0; i < kinds.size(); ++i) {
        text.add("{:<25} ", kinds[i].name);
        for (const std::uint64_t value : f.limits[i]) {
            if (value == ~0ULL) {
                text.append("unlimited            ");
            } else {
                text.add("{:<20} ", value);
            }
        }
        text.add("{:<10}\n", kinds[i].unit);
    }
    return {};
}

Outcome<> write_zero(Subject subject, Text& text) {
    PV_TRY(facts_of(subject));
    text.append("0\n");
    return {};
}

Outcome<> write_nothing(Subject subject, Text&) {
    PV_TRY(facts_of(subject));
    return {};
}

// Nobody is chosen by a number here: what is written means nothing, and is no error.
Outcome<> take_anything(Subject, std::string_view) {
    return {};
}

Outcome<> write_wait_channel(Subject subject, Text& text) {
    PV_TRY(facts_of(subject));
    text.append("0");
    return {};
}

Outcome<> write_control_group(Subject subject, Text& text) {
    PV_TRY(facts_of(subject));
    text.append("0::/\n");
    return {};
}

Outcome<> write_io(Subject subject, Text& text) {
    const ProcessFacts f = PV_TRY(facts_of(subject));
    if (!process_view().may_look_into(subject.process)) {
        return fail(Errno::eacces);
    }
    text.add("rchar: {}\nwchar: {}\nsyscr: {}\nsyscw: {}\n", f.io.read, f.io.written, f.io.reads,
             f.io.writes);
    text.add("read_bytes: {}\nwrite_bytes: {}\ncancelled_write_bytes: 0\n", f.io.disk_read,
             f.io.disk_written);
    return {};
}

Outcome<> write_scheduling(Subject subject, Text& text) {
    const ProcessFacts f = PV_TRY(facts_of(subject));
    text.add("{} 0 {}\n", f.ran.total.to_nanoseconds(), f.switches);
    return {};
}

constexpr ProcessEntry entries[] = {
    {"stat", write_stat},
    {"statm", write_statm},
    {"status", write_status},
    {"comm", write_comm},
    {"cmdline", write_command_line},
    {"environ", write_environment, 0400},
    {"auxv", write_auxiliary, 0400},
    {"maps", write_maps},
    {"smaps", write_counted_maps},
    {"smaps_rollup", write_counted_memory},
    {"limits", write_limits},
    {"mounts", write_mounts},
    {"mountinfo", write_mount_info},
    {"oom_score", write_zero},
    {"oom_score_adj", write_zero, 0644, take_anything},
    {"oom_adj", write_zero, 0644, take_anything},
    {"wchan", write_wait_channel},
    {"cgroup", write_control_group},
    {"schedstat", write_scheduling},
    {"io", write_io, 0400},
    {"stack", write_nothing, 0400},
};

}  // namespace

constinit const std::span<const ProcessEntry> process_entries = entries;

}  // namespace pv::fs::proc
