// Live and ended mappings by device and bus address.
// SPDX-License-Identifier: MIT
#include "checks/model/mappings.hpp"

#include <algorithm>
#include <limits>

namespace pv::checks {

using trace::Kind;

namespace {

std::uint64_t end_of(std::uint64_t address, std::uint64_t length) {
    const std::uint64_t end = address + length;
    return end < address ? std::numeric_limits<std::uint64_t>::max() : end;
}

}  // namespace

Mappings::Change Mappings::map(const trace::Event& event) {
    auto mapping = std::make_shared<Mapping>();
    mapping->bdf = static_cast<Bdf>(trace::get<Kind::marker_dma_map, "device">(event));
    mapping->id = trace::get<Kind::marker_dma_map, "mapping">(event);
    if (mapping->id == 0) {
        mapping->id = next_own_id_++;
    }
    mapping->bus = trace::get<Kind::marker_dma_map, "bus">(event);
    mapping->physical = trace::get<Kind::marker_dma_map, "physical">(event);
    mapping->length = trace::get<Kind::marker_dma_map, "length">(event);
    mapping->direction = static_cast<std::uint32_t>(trace::get<Kind::marker_dma_map, "direction">(event)) & 3;
    mapping->mapped = place_of(event);
    ++total_;

    Change change{MappingProblem::none, mapping};
    const auto earlier = live_.find(mapping->id);
    if (earlier != live_.end()) {
        change = {MappingProblem::id_in_use, earlier->second};
        auto ended = std::make_shared<Mapping>(*earlier->second);
        ended->unmapped = mapping->mapped;
        end(earlier->second);
        remember(spaces_[ended->bdf], ended);
    }
    if (live_.size() >= limits_.open_objects ||
        (spaces_.size() >= limits_.devices && !spaces_.contains(mapping->bdf))) {
        ++dropped_;
        return change;
    }
    add(mapping);
    if (!mapping->has_id()) {
        without_id_[{mapping->bdf, mapping->bus, mapping->length}].push_back(mapping->id);
    }
    return change;
}

void Mappings::add(const MappingPointer& mapping) {
    live_.insert_or_assign(mapping->id, mapping);
    spaces_[mapping->bdf].live.insert(mapping->bus, mapping->length, mapping);
    if (mapping->allows(true) && mapping->is_at_known_frames()) {
        writable_.insert(mapping->physical, mapping->length, mapping);
    }
}

std::uint64_t Mappings::without_id(const Range& range) const {
    const auto found = without_id_.find(range);
    return found == without_id_.end() ? 0 : found->second.front();
}

void Mappings::end(const MappingPointer& mapping) {
    spaces_[mapping->bdf].live.erase(mapping->bus, mapping->length, mapping);
    if (mapping->allows(true) && mapping->is_at_known_frames()) {
        writable_.erase(mapping->physical, mapping->length, mapping);
    }
    live_.erase(mapping->id);
}

Mappings::Change Mappings::unmap(const trace::Event& event) {
    const auto bdf = static_cast<Bdf>(trace::get<Kind::marker_dma_unmap, "device">(event));
    const std::uint64_t named = trace::get<Kind::marker_dma_unmap, "mapping">(event);
    const Range range{bdf, trace::get<Kind::marker_dma_unmap, "bus">(event),
                      trace::get<Kind::marker_dma_unmap, "length">(event)};
    const std::uint64_t id = named != 0 ? named : without_id(range);
    const auto found = live_.find(id);
    if (found == live_.end()) {
        const auto space = spaces_.find(bdf);
        if (space != spaces_.end()) {
            const auto ended = space->second.ended_by_id.find(id);
            if (ended != space->second.ended_by_id.end()) {
                return {MappingProblem::unmapped_twice, ended->second};
            }
            const MappingPointer same =
                named == 0 ? space->second.ended.find(std::get<1>(range), std::get<2>(range)) : nullptr;
            if (same != nullptr) {
                return {MappingProblem::unmapped_twice, same};
            }
        }
        return {MappingProblem::not_mapped, nullptr};
    }
    const MappingPointer mapping = found->second;
    if (const auto list = without_id_.find(range); named == 0 && list != without_id_.end()) {
        list->second.pop_front();
        if (list->second.empty()) {
            without_id_.erase(list);
        }
    }
    auto ended = std::make_shared<Mapping>(*mapping);
    ended->unmapped = place_of(event);
    end(mapping);
    remember(spaces_[mapping->bdf], ended);
    return {mapping->bdf == bdf ? MappingProblem::none : MappingProblem::wrong_device, ended};
}

void Mappings::remember(Space& space, const MappingPointer& mapping) {
    // The same range again and again (a buffer that is reused) needs to be remembered once.
    const MappingPointer same = space.ended.find(mapping->bus, mapping->length);
    if (same != nullptr) {
        space.ended.erase(same->bus, same->length, same);
    }
    space.ended.insert(mapping->bus, mapping->length, mapping);
    space.ended_by_id.insert_or_assign(mapping->id, mapping);
    space.ended_in_order.push_back(mapping);
    while (space.ended_in_order.size() > limits_.ended_mappings) {
        const MappingPointer& oldest = space.ended_in_order.front();
        space.ended.erase(oldest->bus, oldest->length, oldest);
        const auto by_id = space.ended_by_id.find(oldest->id);
        if (by_id != space.ended_by_id.end() && by_id->second == oldest) {
            space.ended_by_id.erase(by_id);
        }
        space.ended_in_order.pop_front();
    }
}

void Mappings::quarantine(const trace::Event& event) {
    const auto found = live_.find(trace::get<Kind::marker_dma_quarantine, "mapping">(event));
    if (found == live_.end()) {
        return;
    }
    const MappingPointer old = found->second;
    auto mapping = std::make_shared<Mapping>(*old);
    mapping->quarantined = place_of(event);
    end(old);
    add(mapping);
}

Coverage Mappings::cover(Bdf bdf, std::uint64_t address, std::uint64_t length, bool device_writes,
                         std::int64_t before) const {
    Coverage coverage;
    const auto space = spaces_.find(bdf);
    const std::uint64_t end = end_of(address, length);
    std::uint64_t at = address;
    while (at < end) {
        MappingPointer allowed;
        MappingPointer other_way;
        std::uint64_t allowed_end = at;
        std::uint64_t other_way_end = at;
        const auto consider = [&](std::uint64_t start, std::uint64_t size, const MappingPointer& mapping) {
            const std::uint64_t mapping_end = end_of(start, size);
            if (mapping->mapped.sequence < before) {
                if (mapping->allows(device_writes) && mapping_end > allowed_end) {
                    allowed = mapping;
                    allowed_end = mapping_end;
                } else if (!mapping->allows(device_writes) && mapping_end > other_way_end) {
                    other_way = mapping;
                    other_way_end = mapping_end;
                }
            }
            return allowed_end < end;
        };
        if (space != spaces_.end() && !space->second.live.overlapping(at, 1, consider)) {
            ++crowded_;
            return {};
        }
        if (allowed != nullptr) {
            at = std::min(allowed_end, end);
            continue;
        }
        if (other_way != nullptr) {
            if (coverage.wrong_direction == nullptr) {
                coverage.wrong_direction = other_way;
                coverage.wrong = at;
                coverage.wrong_length = std::min(other_way_end, end) - at;
            }
            at = std::min(other_way_end, end);
            continue;
        }
        // Not mapped: up to the next live mapping, or the end.
        std::uint64_t next = end;
        if (space != spaces_.end()) {
            const bool all = space->second.live.overlapping(
                                 at, end - at,
                                 [&](std::uint64_t start, std::uint64_t, const MappingPointer& mapping) {
                                     if (start > at && mapping->mapped.sequence < before) {
                                         next = std::min(next, start);
                                     }
                                     return true;
                                 }) &&
                             space->second.ended.overlapping(
                                 at, 1, [&](std::uint64_t, std::uint64_t, const MappingPointer& mapping) {
                                     if (coverage.ended == nullptr ||
                                         mapping->unmapped.sequence > coverage.ended->unmapped.sequence) {
                                         coverage.ended = mapping;
                                     }
                                     return true;
                                 });
            if (!all) {
                ++crowded_;
                return {};
            }
        }
        for (const auto& [other, memory] : spaces_) {
            if (other != bdf && coverage.of_other == nullptr) {
                memory.live.overlapping(at, 1,
                                        [&](std::uint64_t, std::uint64_t, const MappingPointer& mapping) {
                                            coverage.of_other = mapping;
                                            return false;
                                        });
            }
        }
        coverage.uncovered = at;
        coverage.uncovered_length = next - at;
        return coverage;
    }
    return coverage;
}

Coverage Mappings::cover_any(std::uint64_t address, std::uint64_t length, bool device_writes,
                             std::int64_t before) const {
    Coverage wrong_way;
    for (const auto& [bdf, space] : spaces_) {
        Coverage coverage = cover(bdf, address, length, device_writes, before);
        if (coverage.uncovered_length == 0 && coverage.wrong_direction == nullptr) {
            return {};
        }
        if (coverage.uncovered_length == 0) {
            wrong_way = coverage;
        }
    }
    return wrong_way.wrong_direction != nullptr ? wrong_way
                                                : cover(no_device, address, length, device_writes, before);
}

bool Mappings::covered_without(Bdf bdf, std::uint64_t address, std::uint64_t length,
                               const Mapping* except) const {
    const auto space = spaces_.find(bdf);
    if (space == spaces_.end()) {
        return false;
    }
    const std::uint64_t end = end_of(address, length);
    std::uint64_t at = address;
    while (at < end) {
        std::uint64_t reached = at;
        const bool all = space->second.live.overlapping(
            at, 1, [&](std::uint64_t start, std::uint64_t size, const MappingPointer& mapping) {
                if (mapping.get() != except) {
                    reached = std::max(reached, end_of(start, size));
                }
                return reached < end;
            });
        if (!all && reached == at) {
            ++crowded_;
            return true;
        }
        if (reached == at) {
            return false;
        }
        at = reached;
    }
    return true;
}

MappingPointer Mappings::shared_writable(const Mapping& mapping) const {
    MappingPointer shared;
    if (!mapping.is_at_known_frames()) {
        return shared;
    }
    const bool all = writable_.overlapping(mapping.physical, mapping.length,
                                           [&](std::uint64_t, std::uint64_t, const MappingPointer& other) {
                                               if (other->bdf != mapping.bdf) {
                                                   shared = other;
                                               }
                                               return shared == nullptr;
                                           });
    crowded_ += all ? 0 : 1;
    return shared;
}

std::vector<MappingPointer> Mappings::live(std::size_t most) const {
    std::vector<MappingPointer> mappings;
    mappings.reserve(live_.size());
    for (const auto& [id, mapping] : live_) {
        mappings.push_back(mapping);
    }
    std::ranges::sort(mappings, {}, [](const MappingPointer& mapping) { return mapping->mapped.sequence; });
    if (mappings.size() > most) {
        mappings.resize(most);
    }
    return mappings;
}

}  // namespace pv::checks
