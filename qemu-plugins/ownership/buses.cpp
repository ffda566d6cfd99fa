// Mappings are kept for devices whose bus addresses are no physical ones; for all others there is nothing to
// know.
// SPDX-License-Identifier: MIT
#include "ownership/buses.hpp"

#include <algorithm>
#include <iterator>

#include "paravane/marker.h"

namespace pv::ownership {

Buses::Function* Buses::function(std::uint64_t bdf) {
    if (functions_.size() >= most_devices && !functions_.contains(bdf)) {
        return nullptr;
    }
    return &functions_[bdf];
}

void Buses::marker(std::uint16_t number, std::span<const std::uint64_t, 6> args) {
    const bool concerns =
        number == PV_MARKER_device || number == PV_MARKER_dma_map || number == PV_MARKER_dma_unmap;
    Function* const found = concerns ? function(args[0]) : nullptr;
    if (found == nullptr) {
        return;
    }
    if (number == PV_MARKER_device) {
        found->registers = args[2];
        found->length = args[3];
    } else if (number == PV_MARKER_dma_map) {
        const std::uint64_t bus = args[2];
        const std::uint64_t physical = args[3];
        const std::uint64_t length = args[4];
        const bool known = physical != PV_PHYSICAL_UNKNOWN && length <= ~bus;
        found->is_translated = found->is_translated || (known && bus != physical);
        if (found->is_translated && known && found->mappings.size() < most_mappings) {
            found->mappings.insert_or_assign(bus, Mapping{physical, length});
        }
    } else {
        found->mappings.erase(args[2]);
    }
}

void Buses::forget() {
    functions_.clear();
    iommu_ = false;
}

const Buses::Function* Buses::find(std::uint64_t registers) const {
    const auto found =
        std::ranges::find_if(functions_, [&](const auto& entry) { return entry.second.holds(registers); });
    return found == functions_.end() ? nullptr : &found->second;
}

bool Buses::is_at(std::uint64_t bdf, std::uint64_t address) const {
    const auto found = functions_.find(bdf);
    return found != functions_.end() && found->second.holds(address);
}

Buses::Way Buses::way(const Route& route) const {
    if (route.around) {
        return Way::physical;
    }
    if (const Function* told = find(route.registers); told != nullptr) {
        return told->is_translated ? Way::mapped : Way::physical;
    }
    return iommu_ ? Way::unknown : Way::physical;
}

Buses::Piece Buses::resolve(const Route& route, std::uint64_t bus, std::uint64_t length) const {
    const Way taken = way(route);
    if (taken != Way::mapped) {
        return taken == Way::physical ? Piece{bus, length} : Piece{};
    }
    const Function* const told = find(route.registers);
    const auto after = told->mappings.upper_bound(bus);
    if (after == told->mappings.begin()) {
        return {};
    }
    const auto& [begin, mapping] = *std::prev(after);
    const std::uint64_t offset = bus - begin;
    if (offset >= mapping.length) {
        return {};
    }
    return {mapping.physical + offset, std::min(length, mapping.length - offset)};
}

bool BusMemory::read(std::uint64_t bus, std::span<std::byte> target) const {
    while (!target.empty()) {
        const Buses::Piece piece = buses_.resolve(route_, bus, target.size());
        const auto length = static_cast<std::size_t>(piece.length);
        if (length == 0 || !memory_.read(piece.physical, target.first(length))) {
            return false;
        }
        target = target.subspan(length);
        bus += length;
    }
    return true;
}

}  // namespace pv::ownership
