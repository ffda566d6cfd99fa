// What QEMU is asked for.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "plugin/places.hpp"

#include <string_view>

namespace pv::plugin {
namespace {

/// Of what is no memory of the guest's: nobody's.
constinit std::atomic<std::uint8_t> no_mark = 0;
/// Of registers of devices that are followed: each access is looked at.
constinit std::atomic<std::uint8_t> register_mark =
    translation::mark_owned_store | translation::mark_owned_load;

const translation::PageFilter nothing_owed;

}  // namespace

Places::Places(unsigned cpus) : cpus_(cpus) {
    for (Cpu& cpu : cpus_) {
        cpu.owed_ = &nothing_owed;
    }
}

void Places::forget(unsigned cpu) {
    Cpu& mine = cpus_[cpu];
    mine.epoch_ += Cpu::one_epoch;
    if (mine.epoch_ == 0) {
        mine.epoch_ = Cpu::one_epoch;
        mine.places_.fill({});
    }
}

const GuestMemory::Found& Places::memory() {
    std::call_once(sought_, [&] {
        found_ = GuestMemory::find();
        if (found_.reason == trace::RingUnseen::none) {
            marks_ = std::make_shared<translation::FrameMarks>(found_.memory.limit());
        }
    });
    return found_;
}

const std::shared_ptr<translation::FrameMarks>& Places::marks() {
    static_cast<void>(memory());
    return marks_;
}

std::optional<Place> Places::ask(unsigned cpu, qemu_plugin_meminfo_t info, std::uint64_t linear) {
    Cpu& mine = cpus_[cpu];
    const std::uint64_t page = linear / ownership::page_size;
    std::uint64_t& other = mine.others_[page % Cpu::other_pages];
    const qemu_plugin_hwaddr* found = other == page + 1 ? nullptr : qemu_plugin_get_hwaddr(info, linear);
    if (found == nullptr) {
        return std::nullopt;
    }
    const std::uint64_t physical = qemu_plugin_hwaddr_phys_addr(found);
    Place place{.key = page | mine.epoch_,
                .mark = &no_mark,
                .physical = physical - physical % ownership::page_size,
                .region = {},
                .is_registers = false};
    if (qemu_plugin_hwaddr_is_io(found)) {
        const char* const name = qemu_plugin_hwaddr_device_name(found);
        const std::string_view region = name == nullptr ? std::string_view{} : name;
        place.region = ownership::region_of(region);
        if (place.region == ownership::Region::other) {
            // What has no name is nobody's, and may be a device's next time.
            other = region.empty() || region.starts_with("anon") ? 0 : page + 1;
            return std::nullopt;
        }
        place.is_registers = true;
        place.mark = &register_mark;
    } else if (const auto& frames = marks(); frames != nullptr) {
        place.mark = &frames->at(physical);
    }
    mine.places_[page % Cpu::pages] = place;
    return place;
}

}  // namespace pv::plugin
