// Accesses are judged in two steps: what the device has ended meanwhile is taken back first.
// SPDX-License-Identifier: MIT
#include "ownership/tracker.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "ownership/nvme.hpp"
#include "ownership/virtio.hpp"
#include "paravane/marker.h"

namespace pv::ownership {
namespace {

/// Pieces may take a sixty-fourth of the guest's memory.
std::size_t most_ranges(std::uint64_t memory) {
    return static_cast<std::size_t>(std::max<std::uint64_t>(memory / 64 / sizeof(Range), 4'096));
}

}  // namespace

Region region_of(std::string_view name) {
    constexpr std::string_view common = "virtio-pci-common-";
    if (name == "nvme") {
        return Region::nvme;
    }
    if (name == "intel_iommu") {
        return Region::vtd;
    }
    if (!name.starts_with(common)) {
        return Region::other;
    }
    return name.substr(common.size()) == "virtio-iommu" ? Region::virtio_iommu : Region::virtio;
}

Tracker::Tracker(const plugin::GuestMemory& memory, Sink& sink,
                 std::shared_ptr<translation::FrameMarks> marks)
    : memory_(memory),
      sink_(sink),
      ranges_(memory.limit(), most_ranges(memory.size()), std::move(marks)),
      commands_(1) {}

Tracker::~Tracker() = default;

void Tracker::access(const Actor& actor, const Access& access) {
    std::array<Device*, 8> used_by{};
    std::array<Device*, 8> handed_to{};
    const auto note = [](std::array<Device*, 8>& list, Device* device) {
        const auto place = std::ranges::find_if(
            list, [&](const Device* other) { return other == device || other == nullptr; });
        if (place != list.end()) {
            *place = device;
        }
    };
    ranges_.overlapping(access.physical, access.size, [&](std::uint32_t index) {
        const Range& range = ranges_.at(index);
        if (range.role == BufferRole::none) {
            if (access.is_store) {
                note(handed_to, devices_[range.owner].get());
            }
        } else if (access.is_store || range.role == BufferRole::from_device) {
            note(used_by, commands_[range.owner].device);
        }
    });
    if (used_by[0] != nullptr) {
        ++totals_.checked;
        for (Device* device : used_by) {
            if (device != nullptr) {
                device->settle();
            }
        }
        judge(actor, access);
    }
    for (Device* device : handed_to) {
        if (device != nullptr) {
            device->rung(actor, access);
        }
    }
    consider_loads();
}

void Tracker::judge(const Actor& actor, const Access& access) {
    ranges_.overlapping(access.physical, access.size, [&](std::uint32_t index) {
        Range& range = ranges_.at(index);
        const bool breaks =
            range.role != BufferRole::none && (access.is_store || range.role == BufferRole::from_device);
        bool& told = access.is_store ? range.told_store : range.told_load;
        if (!breaks || told) {
            return;
        }
        told = true;
        if (++totals_.races > most_races) {
            return;
        }
        Command& command = commands_[range.owner];
        if (!command.told) {
            command.told = true;
            sink_.command(command, actor.time - command.given.time);
        }
        sink_.race(actor, command, access, range);
    });
}

Device* Tracker::made(Region region, std::uint64_t registers) {
    if (devices_.size() >= most_devices) {
        ++totals_.skipped;
        return nullptr;
    }
    if (region == Region::nvme) {
        devices_.push_back(std::make_unique<Nvme>(*this, registers));
    } else {
        devices_.push_back(std::make_unique<Virtio>(*this, registers));
    }
    kinds_.push_back(region);
    return devices_.back().get();
}

Device* Tracker::device(Region region, std::uint64_t physical, std::uint64_t& offset) {
    const std::uint64_t page = physical - physical % page_size;
    for (std::size_t i = 0; i < devices_.size(); ++i) {
        const std::uint64_t base = devices_[i]->registers();
        // A controller's doorbells have a page of their own behind its registers.
        if (kinds_[i] == region && (page == base || (region == Region::nvme && page == base + page_size))) {
            offset = physical - base;
            return devices_[i].get();
        }
    }
    offset = physical - page;
    // Nobody rings before the queues of administration are told of: what is written there is no doorbell.
    constexpr std::uint64_t configuration = 0x14;
    constexpr std::uint64_t admin_queues = 0x24;
    constexpr std::uint64_t behind_them = 0x38;
    const bool begins = region == Region::virtio || offset == configuration ||
                        (offset >= admin_queues && offset < behind_them);
    return begins ? made(region, page) : nullptr;
}

void Tracker::registers(const Actor& actor, Region region, const Access& access, std::uint64_t value) {
    const std::uint64_t in_page = access.physical % page_size;
    if (region == Region::vtd || region == Region::virtio_iommu) {
        constexpr std::uint64_t global_command = 0x18;  // VT-d 11.4.4: bit 31 turns translation on
        constexpr std::uint64_t device_status = 0x14;   // Virtio 1.2, 4.1.4.3: bit 2 is DRIVER_OK
        if (access.is_store && region == Region::vtd && in_page == global_command) {
            buses_.set_iommu((value >> 31 & 1) != 0);
        } else if (access.is_store && region == Region::virtio_iommu && in_page == device_status) {
            buses_.set_iommu((value & 4) != 0);
        }
        return;
    }
    std::uint64_t offset = 0;
    if (region == Region::other || (!access.is_store && region == Region::nvme)) {
        return;
    }
    if (Device* const found = device(region, access.physical, offset); found == nullptr) {
        return;
    } else if (access.is_store) {
        found->stored(actor, offset, access.size, value);
    } else {
        found->loaded(offset, access.size, value);
    }
    consider_loads();
}

void Tracker::marker(std::uint16_t number, std::span<const std::uint64_t, 6> args) {
    buses_.marker(number, args);
    if (number != PV_MARKER_device_release && number != PV_MARKER_device_dead) {
        return;
    }
    for (const auto& device : devices_) {
        if (buses_.is_at(args[0], device->registers())) {
            device->quiet();
        }
    }
}

void Tracker::reset() {
    for (const auto& device : devices_) {
        device->quiet();
    }
    devices_.clear();
    kinds_.clear();
    buses_.forget();
    consider_loads();
}

std::uint32_t Tracker::begin(const Actor& actor, Device& device, std::uint32_t queue, std::uint32_t id) {
    std::uint32_t place = 0;
    if (free_commands_.empty() && commands_.size() > most_commands) {
        ++totals_.skipped;
        return 0;
    }
    if (free_commands_.empty()) {
        place = static_cast<std::uint32_t>(commands_.size());
        commands_.emplace_back();
    } else {
        place = free_commands_.back();
        free_commands_.pop_back();
    }
    commands_[place] = {.number = ++last_number_,
                        .registers = device.registers(),
                        .queue = queue,
                        .id = id,
                        .given = actor,
                        .device = &device,
                        .is_used = true};
    ++totals_.commands;
    return place;
}

void Tracker::end(std::uint32_t command) {
    ranges_.clear(commands_[command].ranges);
    commands_[command] = {};
    free_commands_.push_back(command);
}

bool Tracker::own(std::uint32_t command, const Buses::Route& route, std::uint64_t bus, std::uint64_t length,
                  BufferRole role) {
    ++totals_.buffers;
    while (length != 0) {
        const Buses::Piece piece = buses_.resolve(route, bus, length);
        if (piece.length == 0 ||
            !ranges_.add(command, commands_[command].ranges, piece.physical, piece.length, role)) {
            ++totals_.skipped;
            return false;
        }
        bus += piece.length;
        length -= piece.length;
    }
    return true;
}

std::uint32_t Tracker::own_piece(std::uint32_t command, std::uint64_t physical, std::uint64_t length,
                                 BufferRole role) {
    std::uint32_t& first = commands_[command].ranges;
    const std::uint32_t before = first;
    if (!ranges_.add(command, first, physical, length, role)) {
        ++totals_.skipped;
    }
    return first == before ? 0 : first;
}

void Tracker::give_back(std::uint32_t command, std::uint32_t range) {
    ranges_.remove(range, commands_[command].ranges);
}

void Tracker::watch(const Device& device, std::uint32_t& watched, std::uint64_t physical,
                    std::uint64_t length) {
    const auto place =
        std::ranges::find_if(devices_, [&](const auto& other) { return other.get() == &device; });
    const auto index = static_cast<std::uint32_t>(place - devices_.begin());
    if (!ranges_.add(index, watched, physical, length, BufferRole::none)) {
        ++totals_.skipped;
    }
}

void Tracker::unwatch(std::uint32_t& watched) {
    ranges_.clear(watched);
}

void Tracker::consider_loads() {
    const bool matter = ranges_.written() != 0 ||
                        std::ranges::any_of(devices_, [](const auto& device) { return device->is_set_up(); });
    loads_matter_.store(matter, std::memory_order_relaxed);
}

}  // namespace pv::ownership
