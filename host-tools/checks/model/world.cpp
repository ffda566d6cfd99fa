// Feeds each event to the trackers it concerns.
// SPDX-License-Identifier: MIT
#include "checks/model/world.hpp"

#include <fmt/format.h>

#include <array>
#include <cstddef>
#include <cstdint>

namespace pv::checks {

using trace::Kind;

namespace {

/// By marker number: whether its first argument is a device.
constexpr auto about_device = [] {
    std::array<bool, 256> about{};
    for (const trace::KindInfo& info : trace::kinds) {
        const auto number = static_cast<std::int64_t>(info.kind) - trace::marker_base;
        if (number >= 0 && number < static_cast<std::int64_t>(about.size())) {
            about[static_cast<std::size_t>(number)] = info.args[0] == "device";
        }
    }
    return about;
}();

}  // namespace

bool World::admits(const trace::Event& event) {
    const auto number = static_cast<std::int64_t>(event.kind) - trace::marker_base;
    if (number < 0 || number >= static_cast<std::int64_t>(about_device.size()) ||
        !about_device[static_cast<std::size_t>(number)]) {
        return true;
    }
    const auto bdf = static_cast<Bdf>(event.args[0]);
    if (marked_.contains(bdf)) {
        return true;
    }
    if (marked_.size() >= most_devices_) {
        ++refused_;
        return false;
    }
    marked_.insert(bdf);
    return true;
}

std::string World::neglected() const {
    if (refused_ != 0) {
        return fmt::format("markers named more than {} devices", most_devices_);
    }
    if (mappings_.dropped() != 0 || ledger_.dropped() != 0) {
        return fmt::format("{} mappings and {} commands were more than are followed", mappings_.dropped(),
                           ledger_.dropped());
    }
    if (mappings_.crowded() != 0) {
        return fmt::format("too many mappings overlapped at one place in {} look-ups", mappings_.crowded());
    }
    return {};
}

void World::see(const trace::Event& event) {
    now_ = place_of(event);
    change_ = {};
    guest_.see(event);
    devices_.see(event);
    standstill_.see(event);
    nvme_.see(event);
    virtio_.see(event);
    ledger_.see(event);
    switch (event.kind) {
        case Kind::dma_access:
            if (!nvme_.claims_space(trace::get<Kind::dma_access, "space">(event), event)) {
                virtio_.access(event);
            }
            break;
        case Kind::marker_dma_map:
            change_ = mappings_.map(event);
            if (change_.mapping != nullptr && change_.problem == MappingProblem::none) {
                signals_.mapped(*change_.mapping);
            }
            break;
        case Kind::marker_dma_unmap:
            change_ = mappings_.unmap(event);
            if (change_.mapping != nullptr && change_.problem == MappingProblem::none) {
                signals_.unmapped(*change_.mapping);
            }
            break;
        case Kind::marker_dma_quarantine:
            mappings_.quarantine(event);
            break;
        case Kind::marker_device_reset:
        case Kind::fault_begin:
        case Kind::fault_end:
            mark(event);
            break;
        default:
            break;
    }
}

void World::mark(const trace::Event& event) {
    if (event.kind == Kind::marker_device_reset) {
        const auto bdf = static_cast<Bdf>(trace::get<Kind::marker_device_reset, "device">(event));
        const std::uint64_t reason = trace::get<Kind::marker_device_reset, "reason">(event);
        const std::size_t outstanding = ledger_.outstanding(bdf);
        if (reason == 1 || outstanding > 0) {
            signals_.timeline(now_, bdf, "reset",
                              fmt::format("{}, {} command{} outstanding",
                                          reason == 1   ? "recovery"
                                          : reason == 2 ? "shutdown"
                                                        : "set-up",
                                          outstanding, outstanding == 1 ? "" : "s"));
        }
        return;
    }
    fault(event);
}

void World::fault(const trace::Event& event) {
    const std::uint64_t disk = trace::get<Kind::fault_begin, "disk">(event);
    const std::uint64_t text = trace::get<Kind::fault_begin, "detail_text">(event);
    signals_.timeline(now_, devices_.named(fmt::format("disk{}", disk)),
                      event.kind == Kind::fault_begin ? "fault begin" : "fault end",
                      context_.text ? context_.text(text) : std::string());
}

void World::finish() {
    virtio_.flush_accesses();
    ledger_.finish();
}

}  // namespace pv::checks
