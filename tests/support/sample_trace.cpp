// Judged traces made by hand for tests of the reports.
// SPDX-License-Identifier: MIT
#include "sample_trace.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <random>
#include <string_view>
#include <utility>

#include "paravane/trace_event.hpp"
#include "store/suppressions.hpp"
#include "store/trace.hpp"
#include "store/writer.hpp"

namespace pv::test {
namespace {

using trace::Event;
using trace::Kind;

constexpr std::int64_t stall_begin = 1'200'000;
constexpr std::int64_t stall_end = 3'700'000;

struct Maker {
    store::Writer& writer;
    const SampleOptions& options;

    [[nodiscard]] std::string_view text(std::string_view ordinary) const {
        return options.hostile ? std::string_view(hostile_text) : ordinary;
    }

    // The sequence number it was given.
    Result<std::int64_t> add(std::int64_t time, Kind kind, std::int32_t cpu, std::uint64_t pc,
                             std::initializer_list<std::uint64_t> arguments) {
        Event event{.time = time, .kind = kind, .cpu = cpu, .pc = pc};
        std::ranges::copy(arguments, event.args.begin());
        PV_TRY(writer.append(event));
        return writer.event_count();
    }
};

struct Proof {
    std::int64_t mapped = 0;
    std::int64_t unmapped = 0;
    std::int64_t access = 0;
};

// A mapping, its end, and a device's write after it.
Result<Proof> add_use_after_unmap(Maker& maker, std::int64_t time) {
    constexpr std::uint64_t pc = 0xffffffff80104210;
    Proof proof;
    proof.mapped =
        PV_TRY(maker.add(time - 900, Kind::marker_dma_map, 0, pc, {disk0, 77, 0x1f3000, 0x1f3000, 512, 2}));
    proof.unmapped =
        PV_TRY(maker.add(time - 40, Kind::marker_dma_unmap, 1, pc + 0x90, {disk0, 77, 0x1f3000, 512}));
    proof.access = PV_TRY(maker.add(time, Kind::dma_access, -1, 0, {0x55d0c0de1000, 0x1f3000, 512, 1}));
    return proof;
}

Result<Proof> add_events(Maker& maker) {
    const std::uint64_t region = maker.writer.intern(maker.text("nvme"));
    static_cast<void>(PV_TRY(maker.add(0, Kind::plugin_hello, -1, 0, {4, 0x10000, maker.options.cpus})));
    static_cast<void>(PV_TRY(
        maker.add(180'000, Kind::marker_hello, 0, 0xffffffff80100100, {0x10000, 0x1f, 500'000'000, 2})));
    static_cast<void>(PV_TRY(
        maker.add(200'000, Kind::marker_device, 0, 0xffffffff80100200, {disk0, 1, 0xfebd0000, 0x4000})));
    static_cast<void>(PV_TRY(
        maker.add(210'000, Kind::marker_device, 0, 0xffffffff80100240, {disk1, 2, 0xfebd4000, 0x1000})));
    std::mt19937_64 random(7);
    Proof proof;
    constexpr std::int64_t end = 4'600'000;
    bool stalled = false;
    bool broken = false;
    for (std::uint64_t i = 0; i < maker.options.events; ++i) {
        const auto time =
            static_cast<std::int64_t>(220'000 + i * static_cast<std::uint64_t>(end - 220'000) /
                                                    std::max<std::uint64_t>(maker.options.events, 1));
        if (maker.options.findings && !stalled && time >= stall_begin) {
            stalled = true;
            static_cast<void>(
                PV_TRY(maker.add(stall_begin, Kind::fault_begin, -1, 0,
                                 {0, 1, 4096, 4096, maker.writer.intern(maker.text("stall disk0 read"))})));
        }
        if (maker.options.findings && !broken && time >= stall_end) {
            broken = true;
            static_cast<void>(
                PV_TRY(maker.add(stall_end, Kind::fault_end, -1, 0,
                                 {0, 1, 4096, 4096, maker.writer.intern(maker.text("stall disk0 read"))})));
            proof = PV_TRY(add_use_after_unmap(maker, stall_end + 40));
        }
        const auto cpu = static_cast<std::int32_t>(random() % maker.options.cpus);
        // While the disk stalls the guest is quiet.
        if (maker.options.findings && time > stall_begin + 20'000 && time < stall_end && random() % 12 != 0) {
            continue;
        }
        static_cast<void>(
            PV_TRY(maker.add(std::max(time, proof.access == 0 ? time : stall_end + 40),
                             random() % 3 == 0 ? Kind::mmio_read : Kind::mmio_write, cpu, 0,
                             {0xfebd1000 + random() % 64 * 4, random() % 256, 4, 0x55d000001000, region})));
    }
    static_cast<void>(PV_TRY(maker.add(end, Kind::marker_goodbye, 0, 0xffffffff80100900, {0})));
    static_cast<void>(
        PV_TRY(maker.add(end + 1'000 + maker.options.idle, Kind::plugin_goodbye, -1, 0, {100, 0})));
    return proof;
}

Result<> add_commands(store::ResultsWriter& results, const SampleOptions& options) {
    std::mt19937_64 random(11);
    std::lognormal_distribution<double> latency(5.4, 0.6);
    for (std::uint64_t i = 0; i < options.commands; ++i) {
        const bool nvme = i % 5 != 0;
        store::Command command;
        command.bdf = nvme ? disk0 : disk1;
        command.queue =
            nvme ? static_cast<std::uint32_t>(1 + i % std::max<std::uint64_t>(options.queues, 1)) : 0;
        command.command = static_cast<std::uint32_t>(i % 1024);
        command.operation = i % 16 == 0 ? "flush" : i % 2 == 0 ? "write" : "read";
        if (command.operation != "flush") {
            command.bytes = 512U << random() % 8;
            command.lba = random() % 131072;
        }
        command.submitted =
            static_cast<std::int64_t>(230'000 + i * 4'300'000 / std::max<std::uint64_t>(options.commands, 1));
        command.deadline = command.submitted + 1'000'000;
        command.outcome = "completed";
        command.status = 0;
        command.completed = command.submitted + static_cast<std::int64_t>(
                                                    latency(random) * (command.operation == "flush" ? 4 : 1));
        if (options.findings && nvme && command.submitted > stall_begin && command.submitted < stall_end) {
            if (command.submitted < stall_begin + 40'000) {
                command.timed_out = command.submitted + 1'000'200;
                command.completed = std::nullopt;
                command.status = std::nullopt;
                command.outcome = command.submitted < stall_begin + 20'000 ? "timed out" : "reset";
            } else {
                continue;
            }
        }
        static_cast<void>(PV_TRY(results.add(command)));
    }
    return {};
}

Result<> add_rules(store::ResultsWriter& results, const SampleOptions& options) {
    const std::string note(options.hostile ? hostile_text : "needs the guest's promise to mark waits");
    const auto add = [&](std::string rule, store::Outcome outcome, std::uint64_t observed, std::string unit,
                         std::uint64_t findings, std::string why) {
        return results.add(store::RuleResult{.rule = std::move(rule),
                                             .outcome = outcome,
                                             .observed = observed,
                                             .unit = std::move(unit),
                                             .findings = findings,
                                             .evidence = "E M",
                                             .note = std::move(why)});
    };
    const auto held = [&](std::string rule, std::uint64_t observed, std::string unit) {
        return add(std::move(rule), store::Outcome::held, observed, std::move(unit), 0, "");
    };
    PV_TRY(held("dma-outside-mapping", 1204, "transfers"));
    PV_TRY(held("dma-direction", 1204, "transfers"));
    PV_TRY(held("dma-leak", 604, "mappings"));
    PV_TRY(held("cmd-lost", options.commands, "commands"));
    PV_TRY(held("flush-order", 12, "durable requests"));
    if (!options.findings) {
        return held("dma-after-unmap", 604, "mappings");
    }
    PV_TRY(add("dma-after-unmap", store::Outcome::broken, 604, "mappings", 1, ""));
    PV_TRY(add("cmd-deadline", store::Outcome::broken, 600, "commands", 3,
               "repetitions are folded into one finding"));
    return add("mmio-poll-unbounded", store::Outcome::not_observed, 0, "polls", 0, note);
}

Result<> add_findings(store::ResultsWriter& results, const SampleOptions& options, const Proof& proof) {
    const std::string extra = options.hostile ? " " + hostile_text : std::string();
    static_cast<void>(PV_TRY(results.add(store::Finding{
        .id = 0,
        .rule = "dma-after-unmap",
        .severity = store::Severity::error,
        .sequence = proof.access,
        .time = stall_end + 40,
        .cpu = std::nullopt,
        .pc = std::nullopt,
        .bdf = disk0,
        .address = 0x1f3000,
        .length = 512,
        .title =
            "dma-after-unmap: disk0 wrote 512 bytes at bus address 0x1f3000, 40 µs after it was unmapped" +
            extra,
        .detail =
            "access: a write of 512 bytes by disk0\nowner: mapping 77, from device, [0x1f3000, 0x1f3200)\n"
            "mapped at 0xffffffff80104210 nvme::Queue::map+0x40\nunmapped at 0xffffffff801042a0, when its "
            "command timed out" +
            extra,
        .events = {{proof.mapped, "mapped"}, {proof.unmapped, "unmapped"}, {proof.access, "access"}}})));
    static_cast<void>(PV_TRY(
        results.add(store::Finding{.id = 0,
                                   .rule = "cmd-deadline",
                                   .severity = store::Severity::warning,
                                   .sequence = proof.unmapped,
                                   .time = stall_begin + 1'000'400,
                                   .cpu = 1,
                                   .pc = 0xffffffff801042a0,
                                   .bdf = disk0,
                                   .address = std::nullopt,
                                   .length = std::nullopt,
                                   .title = "a read of disk0 was acted on 200 µs after its deadline, 3 times",
                                   .detail = "The slack this guest states is 500 ms.",
                                   .events = {{proof.unmapped, "before"}}})));
    return {};
}

Result<> add_timeline(store::ResultsWriter& results, const SampleOptions& options, const Proof& proof) {
    const auto entry = [&](std::int64_t time, std::string what, std::string detail) {
        return results.add(
            store::TimelineEntry{.sequence = proof.access,
                                 .time = time,
                                 .bdf = disk0,
                                 .what = std::move(what),
                                 .detail = options.hostile ? hostile_text : std::move(detail)});
    };
    PV_TRY(entry(stall_begin, "fault begin", "stall disk0 read"));
    PV_TRY(
        entry(stall_begin + 1'001'000, "timeout", "read of block 8, command 31, 200 µs after its deadline"));
    PV_TRY(entry(stall_begin + 1'020'000, "abort", "command 31 on queue 1"));
    PV_TRY(entry(stall_begin + 1'520'000, "reset", "controller disabled, 4 commands outstanding"));
    PV_TRY(entry(stall_end, "fault end", "stall disk0 read"));
    return entry(stall_end + 90'000, "enabled", "controller ready again");
}

Result<> add_results(const std::filesystem::path& path, const SampleOptions& options, const Proof& proof) {
    store::Trace trace = PV_TRY(store::Trace::open(path, store::Trace::Mode::judge));
    store::ResultsWriter results = PV_TRY(trace.replace_results());
    PV_TRY(add_commands(results, options));
    PV_TRY(add_rules(results, options));
    if (options.findings) {
        PV_TRY(add_findings(results, options, proof));
        PV_TRY(add_timeline(results, options, proof));
        PV_TRY(results.set(
            {.verdict = store::VerdictKind::fail,
             .exit_status = 1,
             .reason = options.hostile ? hostile_text : "2 rules broken: dma-after-unmap, cmd-deadline"}));
    } else {
        PV_TRY(results.set({.verdict = store::VerdictKind::pass, .exit_status = 0, .reason = ""}));
    }
    if (options.known) {
        using enum store::Suppression::State;
        const store::Suppressions known{
            .file = "known.toml",
            .entries =
                {{.rule = "dma-*", .place = "disk7", .reason = "was mended"},
                 {.rule = "cmd-*",
                  .place = "*",
                  .reason = options.hostile ? hostile_text : "the disk is stalled on purpose",
                  .expires = "2030-01-31",
                  .state = used,
                  .findings = 5},
                 {.rule = "*", .place = "*", .reason = "old", .expires = "2020-01-31", .state = expired}},
            .of_findings = {1}};
        PV_TRY(results.set_meta(store::suppressions_key, store::to_text(known)));
    }
    return results.commit();
}

}  // namespace

Result<> write_sample_trace(const std::filesystem::path& path, const SampleOptions& options) {
    store::Writer writer = PV_TRY(store::Writer::create(path));
    Maker maker{writer, options};
    PV_TRY(writer.add_device(
        {.bdf = disk0, .name = std::string(maker.text("disk0")), .kind = "nvme", .detail = "64 MiB"}));
    PV_TRY(writer.add_device(
        {.bdf = disk1, .name = "disk1", .kind = std::string(maker.text("virtio-blk")), .detail = "64 MiB"}));
    PV_TRY(writer.add_symbol({.address = 0xffffffff80104200,
                              .size = 0x200,
                              .name = std::string(maker.text("pv::nvme::Queue::map(pv::dma::Mapping&)"))}));
    const Proof proof = PV_TRY(add_events(maker));
    std::string console = "paravane 0.1.0\nVT-d: 2 devices, each in a domain of its own\n";
    for (int i = 0; i < 40; ++i) {
        console += fmt::format("exercise: disk0 block {} written and read back\r\n", i * 8);
    }
    if (options.hostile) {
        console += hostile_text + "\n";
    }
    console += "paravane: powering off, status 3\n";
    PV_TRY(writer.set_meta("guest", maker.text("paravane-kernel.elf exercise")));
    PV_TRY(writer.set_meta("command_line", "exercise=threads:4,blocks:256"));
    PV_TRY(writer.set_meta("cpus", "2"));
    PV_TRY(writer.set_meta("qemu", "10.0.2"));
    PV_TRY(writer.set_meta("outcome", "finished"));
    PV_TRY(writer.set_meta("ending", options.hostile ? hostile_text : "powered off, status 3"));
    PV_TRY(writer.set_meta("end", "powered off"));
    PV_TRY(writer.set_meta("guest_status", "3"));
    PV_TRY(writer.set_meta("console", console));
    PV_TRY(writer.set_meta("reproduce",
                           "paravane check --disk nvme:64M --fault 'stall disk0 read after 100 for 2s'"));
    PV_TRY(writer.finish());
    return add_results(path, options, proof);
}

}  // namespace pv::test
