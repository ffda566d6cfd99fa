// VT-d's interrupt remapping table: which interrupt of which device may become which vector.
// SPDX-License-Identifier: MIT
#include "device/iommu/interrupt_table.hpp"

#include <array>
#include <new>

#include "arch/processor.hpp"
#include "base/atomic.hpp"
#include "memory/direct_map.hpp"

namespace pv::iommu {
namespace {

constexpr std::uint64_t extended_mode = 1U << 11;  // IRTA_REG.EIME
constexpr unsigned destination_shift = 12;         // of a message's address (Intel SDM vol. 3, 11.11.1)

}  // namespace

Result<std::unique_ptr<InterruptTable>> InterruptTable::create(InvalidationQueue& queue, bool coherent,
                                                               bool extended) {
    TableFrames table = PV_TRY(TableFrames::allocate(entries * sizeof(spec::InterruptEntry)));
    if (!coherent) {
        arch::write_back(table.bytes().data(), entries * sizeof(spec::InterruptEntry));
    }
    std::unique_ptr<InterruptTable> made{new (std::nothrow)
                                             InterruptTable{queue, coherent, extended, std::move(table)}};
    if (made == nullptr) {
        return fail(Error::out_of_memory);
    }
    auto& owners = made->owners_.unguarded();
    owners.reset(new (std::nothrow) Owner[entries]);
    if (owners == nullptr) {
        return fail(Error::out_of_memory);
    }
    return made;
}

std::uint64_t InterruptTable::register_value() const {
    return table_.address().value() | (extended_ ? extended_mode : 0) | size_field;
}

void InterruptTable::write(std::size_t index, std::uint64_t low, std::uint64_t high) {
    auto& entry = memory::to_pointer<spec::InterruptEntry>(table_.address())[index];
    // Never valid half written: the present bit is in the lower half, and goes first or comes last.
    entry.low = 0;
    std::atomic_thread_fence(std::memory_order_release);
    entry.high = high;
    std::atomic_thread_fence(std::memory_order_release);
    entry.low = low;
    if (!coherent_) {
        arch::write_back(&entry, sizeof entry);
    }
}

Result<interrupt::Message> InterruptTable::set(marker::Device device, std::size_t source,
                                               const interrupt::Message& message) {
    const std::uint64_t destination = message.address >> destination_shift & 0xff;
    const std::uint64_t low = spec::interrupt_present |
                              std::uint64_t{message.data & 0xff} << spec::interrupt_vector_shift |
                              destination << (extended_ ? spec::interrupt_destination_shift
                                                        : spec::interrupt_xapic_destination_shift);
    const std::uint64_t high = spec::interrupt_verify_source | (static_cast<std::uint32_t>(device) & 0xffff);
    const auto index = owners_.with([&](auto& owners) -> Result<std::uint16_t> {
        std::size_t chosen = entries;
        for (std::size_t i = 0; i < entries; ++i) {
            if (owners[i].source == source && owners[i].device == device) {
                chosen = i;
                break;
            }
            if (chosen == entries && owners[i].source == Owner::unused) {
                chosen = i;
            }
        }
        if (chosen == entries) {
            return fail(Error::no_space);
        }
        owners[chosen] = {device, static_cast<std::uint32_t>(source)};
        write(chosen, low, high);
        return static_cast<std::uint16_t>(chosen);
    });
    if (!index) {
        return fail(index.error());
    }
    PV_TRY(queue_.run(std::array{spec::invalidate_interrupt_entry(*index)}));
    return interrupt::Message{spec::remappable_message_address(*index), 0};
}

void InterruptTable::clear(marker::Device device) {
    const bool any = owners_.with([&](auto& owners) {
        bool found = false;
        for (std::size_t i = 0; i < entries; ++i) {
            if (owners[i].source != Owner::unused && owners[i].device == device) {
                owners[i] = Owner{};
                write(i, 0, 0);
                found = true;
            }
        }
        return found;
    });
    if (any) {
        (void)queue_.run(std::array{spec::invalidate_interrupt_entries()});  // a failure is on the console
    }
}

}  // namespace pv::iommu
