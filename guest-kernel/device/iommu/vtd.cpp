// A VT-d unit: root and context tables, queued invalidation, interrupt remapping, faults.
// SPDX-License-Identifier: MIT
#include "device/iommu/vtd.hpp"

#include <algorithm>
#include <new>

#include "arch/processor.hpp"
#include "base/log.hpp"
#include "device/iommu/registry.hpp"
#include "device/iommu/vtd_domain.hpp"
#include "device/mmio/poll.hpp"
#include "interrupt/delivery.hpp"
#include "memory/device_map.hpp"
#include "memory/direct_map.hpp"

namespace pv::iommu {
namespace {

using namespace literals;

constexpr Duration command_deadline = 1_s;
constexpr std::size_t register_bytes = page_size;
/// Above 4 GiB an address of a domain is never mistaken for one of memory, or for an interrupt.
constexpr std::uint64_t first_address = std::uint64_t{1} << 32;

void raise(void* unit) {
    static_cast<VtdUnit*>(unit)->take_faults();
}

constexpr std::uint16_t source_of(marker::Device device) {
    return static_cast<std::uint16_t>(static_cast<std::uint32_t>(device) & 0xffff);
}

}  // namespace

VtdUnit::VtdUnit(mmio::Window registers, TableFrames root)
    : registers_{registers},
      capability_{registers.read(Registers::capability)},
      extended_{registers.read(Registers::extended_capability)},
      root_{std::move(root)} {}

Result<std::unique_ptr<VtdUnit>> VtdUnit::create(PhysicalAddress registers, bool interrupts) {
    const VirtualAddress base = PV_TRY(memory::map_device(registers, register_bytes));
    const mmio::Window window{reinterpret_cast<volatile std::byte*>(base.value()), register_bytes, registers,
                              "VT-d"};
    TableFrames root = PV_TRY(TableFrames::allocate(page_size));
    std::unique_ptr<VtdUnit> unit{new (std::nothrow) VtdUnit{window, std::move(root)}};
    if (unit == nullptr) {
        return fail(Error::out_of_memory);
    }
    unit->interrupts_wanted_ = interrupts && unit->extended_.interrupt_remapping();
    PV_TRY(unit->check());
    if (!unit->extended_.coherent()) {
        arch::write_back(unit->root_.bytes().data(), page_size);
    }
    return unit;
}

Result<> VtdUnit::check() const {
    if (registers_.read(Registers::version) == ~0U || !extended_.queued_invalidation()) {
        log::error("VT-d: the unit at {} has no queued invalidation", registers_.physical());
        return fail(Error::not_supported);
    }
    if (table_levels() == 0) {
        log::error("VT-d: the unit at {} walks no table of 3 to 5 levels", registers_.physical());
        return fail(Error::not_supported);
    }
    const std::size_t records = capability_.fault_offset();
    if (records < Registers::minimum_length ||
        records + capability_.fault_records() * FaultRecord::bytes > registers_.length()) {
        log::error("VT-d: the unit at {} puts its fault records at {:#x}, outside its registers",
                   registers_.physical(), records);
        return fail(Error::corrupt);
    }
    return {};
}

unsigned VtdUnit::table_levels() const {
    // The fewest: each level is a read for every translation the unit has not cached. 39 bits are enough for
    // what the domains give out, as long as a device is not given half a TiB at once.
    for (const unsigned levels : {3U, 4U, 5U}) {
        if (capability_.walks(levels)) {
            return levels;
        }
    }
    return 0;
}

Result<> VtdUnit::command(std::uint32_t bit, bool on) {
    const std::uint32_t states = registers_.read(Registers::status) & GlobalCommand::states;
    registers_.write(Registers::command, on ? states | bit : states & ~bit);
    (void)PV_TRY(mmio::poll(registers_, Registers::status, Deadline::after(command_deadline),
                            [=](std::uint32_t status) { return ((status & bit) != 0) == on; }));
    return {};
}

Result<> VtdUnit::start_queue() {
    if ((registers_.read(Registers::status) & GlobalCommand::queued_invalidation) != 0) {
        PV_TRY(command(GlobalCommand::queued_invalidation, false));
    }
    queue_ = PV_TRY(InvalidationQueue::create(registers_));
    return command(GlobalCommand::queued_invalidation, true);
}

Result<> VtdUnit::start_interrupts() {
    interrupts_ =
        PV_TRY(InterruptTable::create(*queue_, extended_.coherent(),
                                      extended_.extended_interrupts() && interrupt::extended_destinations()));
    registers_.write(Registers::interrupt_table, interrupts_->register_value());
    PV_TRY(command(GlobalCommand::set_interrupt_table, true));
    PV_TRY(queue_->run(std::array{spec::invalidate_interrupt_entries()}));
    if ((registers_.read(Registers::status) & GlobalCommand::compatibility_format) != 0) {
        PV_TRY(command(GlobalCommand::compatibility_format, false));
    }
    return command(GlobalCommand::interrupt_remapping, true);
}

// The unit's own interrupt is not remapped (VT-d 4.0, 5.1.6).
Result<> VtdUnit::start_fault_events() {
    fault_vector_ = PV_TRY(interrupt::Vector::allocate("VT-d faults", raise, this));
    const interrupt::Message message = fault_vector_.message();
    for (std::size_t i = 0; i < capability_.fault_records(); ++i) {
        const Registers::ReadWrite<std::uint64_t> high{capability_.fault_offset() + i * FaultRecord::bytes +
                                                       8};
        registers_.write(high, FaultRecord::present);
    }
    registers_.write(Registers::fault_status, ~std::uint32_t{0});
    registers_.write(Registers::fault_data, message.data);
    registers_.write(Registers::fault_address, static_cast<std::uint32_t>(message.address));
    registers_.write(Registers::fault_address_high, static_cast<std::uint32_t>(message.address >> 32));
    registers_.write(Registers::fault_control, std::uint32_t{0});
    return {};
}

Result<> VtdUnit::enable() {
    PV_TRY(start_queue());
    registers_.write(Registers::root_table, root_.address().value());
    PV_TRY(command(GlobalCommand::set_root_table, true));
    PV_TRY(queue_->run(std::array{spec::invalidate_contexts(), spec::invalidate_translations()}));
    if (capability_.protected_memory()) {
        registers_.write(Registers::protected_memory, std::uint32_t{0});
    }
    PV_TRY(start_fault_events());
    if (interrupts_wanted_) {
        PV_TRY(start_interrupts());
    }
    PV_TRY(command(GlobalCommand::translation, true));
    log::info("VT-d: unit at {}, {}-level tables, {} fault records, interrupts {}", registers_.physical(),
              table_levels(), capability_.fault_records(), interrupts_wanted_ ? "remapped" : "not remapped");
    return {};
}

void VtdUnit::disable() {
    for (const std::uint32_t bit : {GlobalCommand::translation, GlobalCommand::interrupt_remapping,
                                    GlobalCommand::queued_invalidation}) {
        if ((registers_.read(Registers::status) & bit) != 0 && !command(bit, false)) {
            log::error("VT-d: the unit at {} does not let go of {:#x}", registers_.physical(), bit);
        }
    }
}

Result<spec::ContextEntry*> VtdUnit::context(marker::Device device) {
    const std::uint16_t source = source_of(device);
    const std::size_t bus = source >> 8;
    if (!contexts_[bus].valid()) {
        contexts_[bus] = PV_TRY(TableFrames::allocate(spec::functions_per_bus * sizeof(spec::ContextEntry)));
        if (!extended_.coherent()) {
            arch::write_back(contexts_[bus].bytes().data(), page_size);
        }
        auto& root = memory::to_pointer<spec::RootEntry>(root_.address())[bus];
        root.low = contexts_[bus].address().value() | spec::root_present;
        if (!extended_.coherent()) {
            arch::write_back(&root, sizeof root);
        }
    }
    return memory::to_pointer<spec::ContextEntry>(contexts_[bus].address()) + (source & 0xff);
}

Result<std::unique_ptr<Domain>> VtdUnit::attach(marker::Device device) {
    if (next_domain_ >= capability_.domains()) {
        return fail(Error::no_space);
    }
    PageTable table = PV_TRY(PageTable::create(table_levels(), extended_.coherent()));
    const auto number = static_cast<std::uint16_t>(next_domain_);
    const std::uint64_t limit = std::uint64_t{1}
                                << std::min(table.address_bits(), capability_.address_bits());
    const PhysicalAddress root = table.root();
    const unsigned levels = table.levels();
    spec::ContextEntry* entry = PV_TRY(context(device));
    std::unique_ptr<Domain> domain{new (std::nothrow) VtdDomain{*this, device, number, std::move(table),
                                                                usable_addresses(first_address, limit)}};
    if (domain == nullptr) {
        return fail(Error::out_of_memory);
    }
    ++next_domain_;
    entry->high = std::uint64_t{number} << spec::context_domain_shift | (levels - 2);
    entry->low = root.value() | spec::context_present;
    if (!extended_.coherent()) {
        arch::write_back(entry, sizeof *entry);
    }
    return domain;
}

Result<> VtdUnit::invalidate(std::uint16_t domain, std::uint64_t iova, std::size_t pages) {
    if (queue_ == nullptr) {
        return {};  // it translates nothing yet, and begins with nothing cached
    }
    // The smallest aligned block of pages that holds them all; one that is too large costs the whole domain.
    const std::uint64_t first = iova >> page_shift;
    const std::uint64_t last = first + pages - 1;
    unsigned order = 0;
    while (first >> order != last >> order) {
        ++order;
    }
    if (!capability_.invalidates_pages() || order > capability_.largest_order()) {
        return queue_->run(std::array{spec::invalidate_translations(domain)});
    }
    return queue_->run(
        std::array{spec::invalidate_pages(domain, (first >> order << order) << page_shift, order)});
}

Result<> VtdUnit::publish(std::uint16_t domain, std::uint64_t iova, std::size_t pages) {
    if (queue_ == nullptr) {
        return {};  // see invalidate
    }
    if (capability_.caching_mode()) {
        return invalidate(domain, iova, pages);
    }
    if (capability_.flushes_write_buffer()) {
        // Draining a domain's writes flushes the buffer as well (VT-d 4.0, 6.8).
        return queue_->run(std::array{spec::invalidate_translations(domain)});
    }
    return {};
}

void VtdUnit::block(marker::Device device, std::uint16_t domain) {
    const auto entry = context(device);
    if (!entry) {
        return;  // it never had one
    }
    (*entry)->low = spec::context_faults_not_processed;
    if (!extended_.coherent()) {
        arch::write_back(*entry, sizeof **entry);
    }
    const Result<> done = queue_->run(std::array{spec::invalidate_context(domain, source_of(device)),
                                                 spec::invalidate_translations(domain)});
    if (!done) {
        log::error("VT-d: what the unit remembers of a device that was cut off: {}", done.error());
    }
}

void VtdUnit::take_faults() {
    const std::size_t records = capability_.fault_records();
    for (std::size_t i = 0; i < records; ++i) {
        const std::size_t at = capability_.fault_offset() + i * FaultRecord::bytes;
        const Registers::ReadOnly<std::uint64_t> low{at};
        const Registers::ReadWrite<std::uint64_t> high{at + 8};
        const FaultRecord record{registers_.read(low), registers_.read(high)};
        if (!record.valid()) {
            continue;
        }
        registers_.write(high, FaultRecord::present);
        report_fault({.device = marker::Device{record.source()},
                      .address = record.is_interrupt() ? record.interrupt_index() : record.address(),
                      .reason = record.reason(),
                      .attempt = record.is_write() ? Attempt::write : Attempt::read,
                      .interrupt = record.is_interrupt(),
                      .words = vtd_reason(record.reason())});
    }
    const std::uint32_t status = registers_.read(Registers::fault_status);
    if ((status & FaultStatus::overflow) != 0) {
        registers_.write(Registers::fault_status, FaultStatus::overflow);
        log::warning("VT-d: more faults than the unit has records for");
    }
}

Result<interrupt::Message> VtdUnit::remap(marker::Device device, std::size_t source,
                                          const interrupt::Message& message) {
    if (interrupts_ == nullptr) {
        return message;
    }
    return interrupts_->set(device, source, message);
}

void VtdUnit::forget_interrupts(marker::Device device) {
    if (interrupts_ != nullptr) {
        interrupts_->clear(device);
    }
}

}  // namespace pv::iommu
