// Addresses of calls are compared as linked: what runs is that, plus how far the kernel moved itself.
// SPDX-License-Identifier: MIT
#include "plugin/calls.hpp"

#include <algorithm>
#include <cstring>
#include <tuple>

#include "paravane/marker.h"

namespace pv::plugin {
namespace {

// include/linux/dma-direction.h.
constexpr std::uint64_t linux_to_device = 1;
constexpr std::uint64_t linux_from_device = 2;

// include/linux/scatterlist.h: flags in the lowest bits of page_link; the pointer is above them.
constexpr std::uint64_t list_chain = 1;
constexpr std::uint64_t list_end = 2;
constexpr std::uint64_t list_flags = 3;

constexpr unsigned page_shift = 12;
constexpr std::uint64_t largest_order = 10;                 // MAX_ORDER, MAX_PAGE_ORDER: 4 MiB
constexpr std::uint64_t most_folios = 31;                   // PAGEVEC_SIZE, and more than it ever was
constexpr std::uint64_t mapping_error = ~std::uint64_t{0};  // DMA_MAPPING_ERROR

std::uint64_t direction_of(std::uint64_t direction) {
    return direction == linux_to_device     ? PV_DMA_TO_DEVICE
           : direction == linux_from_device ? PV_DMA_FROM_DEVICE
                                            : PV_DMA_BIDIRECTIONAL;
}

}  // namespace

/// Its bytes as linked, except for 32-bit addresses, which moved with the kernel. As it moves by multiples of
/// `grain`, the first difference within one is in its third byte or its fourth.
bool Calls::is_anchor_code(std::uint64_t pc, const ReadMemory& code) const {
    const auto& linked = profile_.anchor_bytes;
    std::array<std::uint8_t, std::tuple_size_v<Profile::Bytes>> found{};
    for (std::size_t i = 0; i < found.size(); ++i) {
        const auto byte = code(pc + i, 1);
        if (!byte) {
            return false;
        }
        found.at(i) = static_cast<std::uint8_t>(*byte);
    }
    const auto word = [](const Profile::Bytes& bytes, std::size_t at) {
        std::uint32_t value = 0;
        std::memcpy(&value, bytes.data() + at, sizeof value);
        return value;
    };
    const auto moved = static_cast<std::uint32_t>(pc - profile_.anchor);
    for (std::size_t i = 0; i < found.size();) {
        if (found.at(i) == linked.at(i)) {
            ++i;
            continue;
        }
        const auto is_address = [&](std::size_t before) {
            return i >= before && i - before + sizeof moved <= found.size() &&
                   word(found, i - before) == word(linked, i - before) + moved;
        };
        if (is_address(2)) {
            i += 2;
        } else if (is_address(3)) {
            i += 1;
        } else {
            return false;
        }
    }
    return true;
}

bool Calls::is_anchor(std::uint64_t pc, const ReadMemory& code) {
    if (!may_be_anchor(pc)) {
        return false;
    }
    if (!is_anchor_code(pc, code)) {
        return false;
    }
    const std::scoped_lock hold(lock_);
    sites_.clear();
    under_way_.fill({});
    first_page_ = 0;
    memory_begin_ = 0;
    slide_.store(pc - profile_.anchor, std::memory_order_release);
    return true;
}

std::optional<std::uint64_t> Calls::slide() const {
    const std::uint64_t slide = slide_.load(std::memory_order_acquire);
    return slide == unknown ? std::nullopt : std::optional(slide);
}

const Call* Calls::begins(std::uint64_t pc) const {
    const auto moved = slide();
    if (!moved) {
        return nullptr;
    }
    const auto found = std::ranges::lower_bound(profile_.calls, pc - *moved, {}, &Call::address);
    return found != profile_.calls.end() && found->address == pc - *moved ? &*found : nullptr;
}

bool Calls::returns(std::uint64_t pc) const {
    if (!slide()) {
        return false;
    }
    const std::scoped_lock hold(lock_);
    return sites_.contains(pc);
}

void Calls::begin(const Call& call, const Registers6& registers, const ReadMemory& read, CallSink& sink) {
    if (call.releases()) {
        release(call, registers, read, sink);
        return;
    }
    if (!call.at_return()) {
        carry_out(call, registers, read, sink);
        return;
    }
    const auto site = read(registers.stack, 8);
    if (!site) {
        lose();
        return;
    }
    const std::uint64_t begun = call.shoots_down() ? sink.shootdown_begin() : 0;
    const std::scoped_lock hold(lock_);
    if (sites_.size() < most_sites || sites_.contains(*site)) {
        sites_.insert(*site);
    }
    const std::uint64_t stack = registers.stack + 8;
    // One at the same place of the same stack is over, and its return was not seen.
    auto room = std::ranges::find_if(
        under_way_, [&](const UnderWay& one) { return one.call != nullptr && one.stack == stack; });
    if (room != under_way_.end()) {
        lose();
    } else {
        room = std::ranges::find(under_way_, nullptr, &UnderWay::call);
    }
    if (room == under_way_.end()) {
        lose();
        return;
    }
    *room = {&call, stack, *site, registers.arguments, begun};
}

void Calls::end(std::uint64_t pc, const Registers6& registers, const ReadMemory& read, CallSink& sink) {
    UnderWay ended;
    {
        const std::scoped_lock hold(lock_);
        const auto found = std::ranges::find_if(under_way_, [&](const UnderWay& one) {
            return one.call != nullptr && one.site == pc && one.stack == registers.stack;
        });
        if (found == under_way_.end()) {
            return;  // code that is reached in other ways too
        }
        ended = *found;
        *found = {};
    }
    if (ended.call->shoots_down()) {
        end_shootdown(ended, read, sink);
        return;
    }
    carry_out(*ended.call, {ended.arguments, registers.stack, registers.result}, read, sink);
}

std::optional<std::uint64_t> Calls::value(const Operand& operand, const Registers6& registers,
                                          const ReadMemory& read) const {
    switch (operand.where) {
        case Operand::Where::argument:
            return registers.arguments.at(operand.index);
        case Operand::Where::pointed:
            return read(registers.arguments.at(operand.index), 8);
        case Operand::Where::result:
            return registers.result;
        case Operand::Where::none:
            break;
    }
    return std::nullopt;
}

std::optional<std::uint64_t> Calls::bdf(std::uint64_t device, const ReadMemory& read) const {
    const Layout& layout = profile_.layout;
    const auto type = read(device + layout.device_bus, 8);
    if (!type || *type != profile_.pci_type + slide().value_or(0)) {
        return std::nullopt;
    }
    const std::uint64_t function = device - layout.pci_device;
    const auto bus = read(function + layout.pci_bus, 8);
    const auto devfn = read(function + layout.pci_devfn, 4);
    const auto number = bus ? read(*bus + layout.bus_number, 1) : std::nullopt;
    if (!devfn || !number) {
        return std::nullopt;
    }
    return *number << 8 | (*devfn & 0xff);
}

std::optional<std::uint64_t> Calls::variable(std::atomic<std::uint64_t>& known, std::uint64_t address,
                                             const ReadMemory& read) {
    if (const std::uint64_t value = known.load(std::memory_order_relaxed); value != 0) {
        return value;
    }
    const auto value = read(address + slide().value_or(0), 8);
    known.store(value.value_or(0), std::memory_order_relaxed);
    return value;
}

std::uint64_t Calls::physical(std::optional<std::uint64_t> page, std::uint64_t offset,
                              const ReadMemory& read) {
    const auto first = page ? variable(first_page_, profile_.pages, read) : std::nullopt;
    if (!first || *page < *first) {
        return PV_PHYSICAL_UNKNOWN;
    }
    return ((*page - *first) / profile_.layout.page_size << page_shift) + offset;
}

bool Calls::list(std::uint64_t entry, std::uint64_t count, const ReadMemory& read,
                 const std::function<void(std::uint64_t, std::uint64_t, std::uint64_t)>& each) {
    const Layout& layout = profile_.layout;
    for (std::uint64_t i = 0; i < count; ++i) {
        const auto page = read(entry + layout.list_page, 8);
        const auto offset = read(entry + layout.list_offset, 4);
        const auto length = read(entry + layout.list_length, 4);
        const auto bus = read(entry + layout.list_bus, 8);
        const auto bus_length = read(entry + layout.list_bus_length, 4);
        if (i >= most_entries || !page || !offset || !length || !bus || !bus_length) {
            return false;
        }
        if (*bus_length == 0) {
            return true;  // entries that were joined have fewer bus addresses than pages
        }
        // Which pages joined entries have is not followed.
        each(*bus,
             *length == *bus_length ? physical(*page & ~list_flags, *offset, read) : PV_PHYSICAL_UNKNOWN,
             *bus_length);
        if ((*page & list_end) != 0) {
            return true;
        }
        entry += layout.list_size;
        const auto next = read(entry + layout.list_page, 8);
        if (next && (*next & list_chain) != 0) {
            entry = *next & ~list_flags;
        }
    }
    return true;
}

void Calls::release(const Call& call, const Registers6& registers, const ReadMemory& read, CallSink& sink) {
    if (call.deed == Deed::release_folios) {
        if (!release_folios(registers.arguments.at(call.batch.index), read, sink)) {
            lose();
        }
        return;
    }
    const std::uint64_t order =
        call.order.given() ? registers.arguments.at(call.order.index) & 0xffff'ffff : 0;  // an unsigned int
    const std::uint64_t begin = physical(registers.arguments.at(call.page.index), 0, read);
    if (order > largest_order || begin == PV_PHYSICAL_UNKNOWN) {
        lose();
        return;
    }
    sink.release(begin, std::uint64_t{1} << (page_shift + order));
}

bool Calls::release_folios(std::uint64_t batch, const ReadMemory& read, CallSink& sink) {
    const Layout& layout = profile_.layout;
    const auto count = read(batch + layout.batch_count, 1);
    if (!count || *count > most_folios) {
        return false;
    }
    for (std::uint64_t i = 0; i < *count; ++i) {
        const auto folio = read(batch + layout.batch_folios + i * 8, 8);
        const auto flags = folio ? read(*folio + layout.folio_flags, 8) : std::nullopt;
        const std::uint64_t begin = physical(folio, 0, read);
        if (!flags || begin == PV_PHYSICAL_UNKNOWN) {
            return false;
        }
        const bool is_large = (*flags >> (layout.head_bit & 63) & 1) != 0;
        const auto order = is_large ? read(*folio + layout.folio_order, 1) : std::optional<std::uint64_t>(0);
        if (!order || *order > largest_order) {
            return false;
        }
        sink.release(begin, std::uint64_t{1} << (page_shift + *order));
    }
    return true;
}

void Calls::end_shootdown(const UnderWay& ended, const ReadMemory& read, CallSink& sink) {
    const Registers6 registers{ended.arguments, ended.stack, 0};
    if (ended.call->deed == Deed::shootdown_kernel) {
        const std::uint64_t begin = value(ended.call->first, registers, read).value_or(0);
        const std::uint64_t end = value(ended.call->last, registers, read).value_or(~std::uint64_t{0});
        if (begin < end) {
            sink.kernel_shootdown_end(ended.begun, begin, end - begin);
        }
        return;
    }
    const auto space = value(ended.call->space, registers, read);
    const auto first = value(ended.call->first, registers, read);
    const auto last = value(ended.call->last, registers, read);
    const auto shift = value(ended.call->shift, registers, read);
    // No table lies at address 0.
    const std::uint64_t root =
        space ? read(*space + profile_.layout.space_root, 8).value_or(0) : std::uint64_t{0};
    const std::uint64_t memory = variable(memory_begin_, profile_.memory, read).value_or(0);
    if (!first || !last || !shift || memory == 0 || root < memory) {
        lose();
        return;
    }
    // With longer strides one page of each is forgotten: which ones have to be is not followed.
    if ((*shift & 0xff) == page_shift && *first < *last) {
        sink.shootdown_end(ended.begun, root - memory, *first, *last - *first);
    }
}

void Calls::carry_out(const Call& call, const Registers6& registers, const ReadMemory& read, CallSink& sink) {
    if (call.failure && registers.result == *call.failure && call.at_return()) {
        return;
    }
    const auto device = value(call.device, registers, read);
    const auto address = device ? bdf(*device, read) : std::nullopt;
    if (!address) {
        return;  // not a PCI device: nothing outside tells of its accesses
    }
    // Without one: both ways, which is Linux's 0.
    const std::uint64_t direction = direction_of(value(call.direction, registers, read).value_or(0));
    const auto one = [&](std::uint64_t bus, std::uint64_t frame, std::uint64_t length) {
        if (call.deed == Deed::unmap || call.deed == Deed::unmap_list) {
            sink.unmap(*address, bus, length);
        } else {
            sink.map(*address, bus, frame, length, direction);
        }
    };
    bool whole = false;
    switch (call.deed) {
        case Deed::map:
        case Deed::unmap: {
            const auto bus = value(call.bus, registers, read);
            const auto length = value(call.length, registers, read);
            whole = bus && length;
            if (whole && *bus != mapping_error) {
                one(*bus,
                    physical(value(call.page, registers, read),
                             value(call.offset, registers, read).value_or(0), read),
                    *length);
            }
            break;
        }
        case Deed::map_list:
        case Deed::unmap_list: {
            const auto entry = value(call.list, registers, read);
            const auto count = value(call.count, registers, read);
            // An int: negative ones are errors.
            const auto entries = static_cast<std::int32_t>(count.value_or(0));
            whole = entry && count &&
                    (entries <= 0 || list(*entry, static_cast<std::uint64_t>(entries), read, one));
            break;
        }
        case Deed::map_table: {
            if (static_cast<std::uint32_t>(registers.result) != 0) {
                return;  // an error
            }
            const auto table = value(call.table, registers, read);
            const auto entry = table ? read(*table + profile_.layout.table_list, 8) : std::nullopt;
            const auto count = table ? read(*table + profile_.layout.table_count, 4) : std::nullopt;
            whole = entry && count && list(*entry, *count, read, one);
            break;
        }
        case Deed::release:
        case Deed::release_folios:
        case Deed::shootdown:
        case Deed::shootdown_kernel:
            return;  // are no device's
    }
    if (!whole) {
        lose();
    }
}

}  // namespace pv::plugin
