// The views: one a kind from the table of kinds, and the joined ones.
// SPDX-License-Identifier: MIT
#include "store/views.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "paravane/trace_event.hpp"

namespace pv::store {
namespace {

using trace::Kind;

constexpr int number(Kind kind) {
    return static_cast<int>(kind);
}

bool is_text(std::string_view argument) {
    return argument.ends_with("_text");
}

/// Arguments that people read in hexadecimal: addresses, register values, QEMU's objects.
bool is_hexadecimal(std::string_view argument) {
    static constexpr auto names = std::to_array<std::string_view>(
        {"address",     "value",           "region",    "space",     "prp1",
         "prp2",        "element",         "bus",       "physical",  "ring",
         "object",      "backend",         "node",      "doorbells", "event_indexes",
         "driver_area", "device_area",     "registers", "flags",     "features",
         "version",     "deadline_address"});
    return std::ranges::find(names, argument) != names.end();
}

/// virtio events name QEMU's objects `device` and `queue`; elsewhere these are a BDF and a number.
bool is_object(const trace::KindInfo& info, std::string_view argument) {
    return info.log_name.starts_with("virt") && (argument == "device" || argument == "queue");
}

std::string bdf_text(std::string_view column) {
    return fmt::format("printf('%02x:%02x.%x', {0} >> 8 & 255, {0} >> 3 & 31, {0} & 7)", column);
}

std::string string_of(std::string_view column) {
    return fmt::format("(SELECT text FROM main.string WHERE id = {})", column);
}

/// "name=value name=value" of one kind's arguments, as an SQL expression.
std::string arguments_text(const trace::KindInfo& info) {
    std::string expression;
    for (std::size_t i = 0; i < info.args.size() && info.args[i] != "_"; ++i) {
        const std::string column = fmt::format("a{}", i);
        const std::string_view argument = info.args[i];
        std::string value;
        if (is_text(argument)) {
            value = fmt::format("quote({})", string_of(column));
        } else if (argument == "bdf" || (argument == "device" && !is_object(info, argument))) {
            value = bdf_text(column);
        } else if (is_hexadecimal(argument) || is_object(info, argument)) {
            value = fmt::format("printf('0x%x', {})", column);
        } else {
            value = column;
        }
        expression +=
            fmt::format("{}'{}{}=' || ifnull({}, '')", i == 0 ? "" : " || ", i == 0 ? "" : " ",
                        is_text(argument) ? argument.substr(0, argument.size() - 5) : argument, value);
    }
    return expression.empty() ? "''" : expression;
}

std::string event_text() {
    std::string names;
    std::string arguments;
    for (const trace::KindInfo& info : trace::kinds) {
        names += fmt::format(" WHEN {} THEN '{}'", number(info.kind), info.name);
        arguments += fmt::format(" WHEN {} THEN {}", number(info.kind), arguments_text(info));
    }
    return fmt::format(
        "SELECT seq, time, cpu, pc, kind, CASE kind{} ELSE 'kind ' || kind END AS name, CASE kind{} ELSE "
        "printf('0x%x 0x%x 0x%x 0x%x 0x%x 0x%x', a0, a1, a2, a3, a4, a5) END AS arguments FROM main.event",
        names, arguments);
}

std::string marker() {
    std::string names;
    std::string arguments;
    for (const trace::KindInfo& info : trace::kinds) {
        if (trace::is_marker(info.kind)) {
            names += fmt::format(" WHEN {} THEN '{}'", number(info.kind), info.name.substr(7));
            arguments += fmt::format(" WHEN {} THEN {}", number(info.kind), arguments_text(info));
        }
    }
    return fmt::format(
        "SELECT seq, time, cpu, pc, CASE kind{} ELSE 'marker ' || (kind - {}) END AS name, CASE kind{} END "
        "AS "
        "arguments, a0, a1, a2, a3, a4, a5 FROM main.event WHERE kind > {}",
        names, trace::marker_base, arguments, trace::marker_base);
}

std::string mapping() {
    return fmt::format(
        "WITH ended AS MATERIALIZED (SELECT seq, time, pc, a0, a1 FROM main.event WHERE kind = {1}) "
        "SELECT m.a0 AS bdf, d.name AS device, m.a1 AS mapping, m.a2 AS bus, m.a3 AS physical, m.a4 AS "
        "length, "
        "CASE m.a5 WHEN {2} THEN 'to device' WHEN {3} THEN 'from device' WHEN {4} THEN 'both' END AS "
        "direction, "
        "m.seq AS mapped_seq, m.time AS mapped_time, m.cpu AS mapped_cpu, m.pc AS mapped_pc, "
        "e.seq AS unmapped_seq, e.time AS unmapped_time, e.pc AS unmapped_pc "
        "FROM main.event AS m LEFT JOIN ended AS e ON e.a0 = m.a0 AND e.a1 = m.a1 "
        "LEFT JOIN main.device AS d ON d.bdf = m.a0 WHERE m.kind = {0}",
        number(Kind::marker_dma_map), number(Kind::marker_dma_unmap), static_cast<int>(PV_DMA_TO_DEVICE),
        static_cast<int>(PV_DMA_FROM_DEVICE), static_cast<int>(PV_DMA_BIDIRECTIONAL));
}

std::string dma() {
    return fmt::format(
        "SELECT seq, time, cpu, 'address space' AS source, a0 AS space, a1 AS address, a2 AS length, "
        "CASE a3 WHEN 0 THEN 'to device' ELSE 'from device' END AS direction FROM main.event WHERE kind = {} "
        "UNION ALL SELECT seq, time, cpu, 'nvme', NULL, a0, a1, NULL FROM main.event WHERE kind = {} "
        "ORDER BY seq",
        number(Kind::dma_access), number(Kind::nvme_map_address));
}

std::string fault() {
    return fmt::format(
        "SELECT b.seq, b.time, (SELECT min(e.seq) FROM main.event AS e WHERE e.kind = {1} AND e.seq > b.seq "
        "AND "
        "e.a0 = b.a0 AND e.a1 = b.a1 AND e.a2 = b.a2) AS end_seq, b.a0 AS disk, b.a1 AS operation, "
        "b.a2 AS \"offset\", b.a3 AS length, {2} AS detail FROM main.event AS b WHERE b.kind = {0}",
        number(Kind::fault_begin), number(Kind::fault_end), string_of("b.a4"));
}

View kind_view(const trace::KindInfo& info) {
    std::string select = "SELECT seq, time, cpu, pc";
    std::string description;
    for (std::size_t i = 0; i < info.args.size() && info.args[i] != "_"; ++i) {
        const std::string column = fmt::format("a{}", i);
        select +=
            fmt::format(", {} AS \"{}\"", is_text(info.args[i]) ? string_of(column) : column, info.args[i]);
    }
    select += fmt::format(" FROM main.event WHERE kind = {}", number(info.kind));
    if (trace::is_marker(info.kind)) {
        description = fmt::format("marker {} (paravane/marker.h)", info.name.substr(7));
    } else if (info.log_name.starts_with("paravane_")) {
        description = fmt::format("line {} of the plugin or the tool", info.log_name);
    } else if (info.log_name == "guest_error") {
        description = "what a device of QEMU's says about its driver";
    } else {
        description =
            fmt::format("QEMU's trace event {}{}", info.log_name, info.log_name.ends_with('_') ? "*" : "");
    }
    return {std::string(info.name), std::move(description), std::move(select), true};
}

std::vector<View> make_views() {
    std::vector<View> list = {
        {"event_text", "every event, its name and its arguments in words", event_text()},
        {"mmio", "register reads and writes, memory-mapped and port, in order",
         fmt::format(
             "SELECT seq, time, cpu, pc, CASE kind WHEN {0} THEN 'read' ELSE 'write' END AS operation, "
             "a0 AS address, a1 AS value, a2 AS size, a3 AS region, {2} AS region_text FROM main.event WHERE "
             "kind IN ({0}, {1})",
             number(Kind::mmio_read), number(Kind::mmio_write), string_of("a4"))},
        {"dma", "memory that devices used, through QEMU's generic layer and by NVMe commands", dma()},
        {"mapping", "each DMA mapping of the guest's, with where it began and ended", mapping()},
        {"marker", "every marker, its arguments in words", marker()},
        {"fault", "each injected fault", fault()},
        {"command_latency",
         "commands as the analysis put them together, with device name and microseconds taken",
         fmt::format(
             "SELECT c.id, ifnull(d.name, {}) AS device, c.queue, c.command, c.operation, c.bytes, c.lba, "
             "c.submitted, c.completed - c.submitted AS latency, c.deadline - c.submitted AS allowed, "
             "c.timed_out, c.status, c.outcome FROM main.command AS c LEFT JOIN main.device AS d ON d.bdf = "
             "c.bdf",
             bdf_text("c.bdf"))},
        {"finding_evidence", "the events that prove each finding, in words",
         "SELECT f.finding, g.rule, f.seq, f.role, e.time, e.cpu, e.pc, e.name, e.arguments FROM "
         "main.finding_event AS f JOIN main.finding AS g ON g.id = f.finding LEFT JOIN (" +
             event_text() + ") AS e ON e.seq = f.seq"},
    };
    for (const trace::KindInfo& info : trace::kinds) {
        list.push_back(kind_view(info));
    }
    return list;
}

}  // namespace

const std::vector<View>& views() {
    static const std::vector<View> list = make_views();
    return list;
}

}  // namespace pv::store
