// Runs one request during which one rule is broken on purpose.
// SPDX-License-Identifier: MIT
#include "exercise/provoke.hpp"

#include <algorithm>

#include "base/log.hpp"
#include "device/dma/pages.hpp"
#include "memory/device_map.hpp"
#include "misbehave/device_fault.hpp"
#include "misbehave/misbehave.hpp"
#include "misbehave/tables.hpp"

namespace pv::exercise {
namespace {

using namespace literals;
using misbehave::Rule;

constexpr Duration deadline = 2_s;
/// Long enough that a PRP list is needed, and short enough for one command of any device.
constexpr std::size_t request_pages = 4;

/// A page of the kernel's goes: every CPU has to forget it. It is a register's that nobody touches here.
Result<> unmap_a_page(Rule rule) {
    constexpr PhysicalAddress interrupt_controller{0xfec0'0000};
    const VirtualAddress page = PV_TRY(memory::map_device(interrupt_controller, page_size));
    misbehave::arm(rule);
    memory::unmap_device(page, page_size);
    return {};
}

/// The request that gives the rule its occasion. Its outcome does not matter.
void occasion(block::Device& disk, Rule rule, const dma::Pages& pages) {
    const std::size_t block = disk.geometry().block_size;
    const bool several = rule == Rule::dma_descriptor;
    const std::size_t length = std::max(block, several ? request_pages * page_size : page_size);
    const block::Extent extent{pages, 0, length};
    Result<> result;
    switch (rule) {
        case Rule::flush_order:
            // Something must be there to be flushed.
            result = disk.write(0, extent, Deadline::after(deadline));
            misbehave::arm(rule);
            result = result ? disk.flush(Deadline::after(deadline)) : result;
            break;
        case Rule::cmd_duplicate:
            // No data: two commands under one id touch no memory that the first one's end gives back.
            misbehave::arm(rule);
            result = disk.flush(Deadline::after(deadline));
            break;
        case Rule::tlb_missed_shootdown:
        case Rule::tlb_missed_shootdown_early:
        case Rule::tlb_global_kept:
            result = unmap_a_page(rule);
            break;
        case Rule::dma_cpu_race_abort:
            // Where nobody else reads: a fault may hold it until the driver asks for its abort, long before
            // the caller's own time is over.
            misbehave::arm(rule);
            result =
                disk.read(disk.geometry().blocks - length / block, extent, Deadline::after(deadline * 10));
            break;
        default:
            if constexpr (misbehave::built_in) {
                if (misbehave::concerns_tables(rule)) {
                    result = misbehave::break_tables(rule);
                    break;
                }
            }
            misbehave::arm(rule);
            result = disk.read(0, extent, Deadline::after(deadline));
            break;
    }
    log::info("misbehave: the request ended: {}",
              result ? std::string_view{"good"} : to_string(result.error()));
}

}  // namespace

Result<> provoke(Disks& disks, std::string_view what) {
    if constexpr (!misbehave::built_in) {
        log::error("misbehave: this kernel has no misbehaviour; boot paravane-kernel-misbehave.elf");
        return fail(Error::not_supported);
    }
    const std::size_t colon = what.find(':');
    const std::string_view kind =
        colon == std::string_view::npos ? std::string_view{} : what.substr(colon + 1);
    const auto rule = misbehave::parse_rule(what.substr(0, colon));
    if (!rule || (!kind.empty() && kind != "nvme" && kind != "virtio-blk")) {
        log::error("misbehave: '{}': expected a rule's name, as dma-leak, and perhaps :nvme or :virtio-blk",
                   what);
        return fail(Error::invalid_argument);
    }
    block::Device* chosen = nullptr;
    disks.for_each([&](block::Device& disk) {
        const bool nvme = disk.kind() == marker::DeviceKind::nvme;
        if (chosen == nullptr && (kind.empty() || nvme == (kind == "nvme"))) {
            chosen = &disk;
        }
    });
    if (chosen == nullptr) {
        log::error("misbehave: no disk to do it with");
        return fail(Error::not_found);
    }
    const dma::Pages pages = PV_TRY(dma::Pages::allocate(
        std::max<std::size_t>(request_pages * page_size, chosen->geometry().block_size)));
    log::info("misbehave: {}: breaks {} now", chosen->name(), what);
    occasion(*chosen, *rule, pages);
    if (!misbehave::arm(Rule::none)) {
        log::error("misbehave: {}: nothing broke", what);
        return fail(Error::io);
    }
    return {};
}

Result<> choose_device_faults(std::string_view names) {
    if constexpr (!misbehave::built_in) {
        log::error("device-fault: this kernel has none; boot paravane-kernel-misbehave.elf");
        return fail(Error::not_supported);
    }
    for (std::string_view rest = names; !rest.empty();) {
        const std::string_view name = rest.substr(0, rest.find(','));
        const auto fault = misbehave::parse_device_fault(name);
        if (!fault) {
            log::error(
                "device-fault: '{}': expected lost-interrupt, silent-admin, never-ready or never-reset",
                name);
            return fail(Error::invalid_argument);
        }
        misbehave::choose(*fault);
        rest.remove_prefix(std::min(rest.size(), name.size() + 1));
    }
    log::info("device-fault: {} from here on", names);
    return {};
}

}  // namespace pv::exercise
