// All slots of this machine, and who uses what is in them.
// SPDX-License-Identifier: MIT
#include "device/pci/slots.hpp"

#include <new>
#include <utility>

#include "base/log.hpp"
#include "base/panic.hpp"
#include "device/pci/regs.hpp"

namespace pv::pci {
namespace {

using namespace literals;

constexpr Duration interval = 250_ms;  ///< between looks, for slots that say nothing
constexpr Duration patience = 2_s;     ///< what outstanding requests get to end

bool answers(const Occupant& occupant) {
    return occupant.function().read(Registers::vendor) != Registers::no_device;
}

}  // namespace

Result<> Slots::take(const Found& found, const Function& port) {
    const auto slot = found.bridge ? Slot::of(port) : std::nullopt;
    if (!slot) {
        return {};
    }
    std::unique_ptr<Place> place{new (std::nothrow) Place{*slot, port}};
    if (place == nullptr) {
        return fail(Error::out_of_memory);
    }
    place->occupied = place->slot.occupied();
    place->raises = place->device.enable_msix();
    return places_.push_back(std::move(place));
}

Result<> Slots::add(std::unique_ptr<Occupant> occupant) {
    for (auto& place : places_) {
        if (place->slot.leads_to(occupant->function().address())) {
            return place->occupants.push_back(std::move(occupant));
        }
    }
    return {};
}

Result<> Slots::start() {
    if (places_.empty()) {
        return {};
    }
    for (auto& place : places_) {
        const Result<> listens = listen(*place);
        log::info("slot {}: {}{}{}", place->slot.number(),
                  !place->occupied           ? "empty"
                  : place->occupants.empty() ? "in use by nobody"
                                             : place->occupants[0]->name(),
                  place->occupants.size() > 1 ? " and others" : "",
                  listens ? "" : "; it raises no interrupt, so it is looked at now and then");
        place->slot.begin();
        if (place->occupied) {
            (void)place->slot.show(Slot::Light::on);
        }
    }
    thread_ = PV_TRY(task::Thread::create(
        "slots", [](void* self) { static_cast<Slots*>(self)->serve(); }, this, task::Priority::high));
    return {};
}

Result<> Slots::listen(Place& place) {
    PV_TRY(place.raises);
    place.vector = PV_TRY(interrupt::Vector::allocate("slot", raise, this));
    return place.device.set_vector(place.slot.message(), place.vector.message());
}

void Slots::raise(void* slots) {
    static_cast<Slots*>(slots)->asked_.store(true, std::memory_order_release);
    static_cast<Slots*>(slots)->work_.wake_one();
}

void Slots::stop() {
    if (thread_.joinable()) {
        stopping_.store(true, std::memory_order_release);
        work_.wake_all();
        bool joined = false;
        // Several looks, because a machine that stood still uses up the whole of one.
        for (int look = 0; look < 4 && !joined; ++look) {
            joined = thread_.join(Deadline::after(longest_leave_ * 2)).has_value();
        }
        PV_ASSERT(joined);
        thread_ = task::Thread{};
    }
    for (auto& place : places_) {
        place->slot.end();
        place->device.disable_msix();
    }
    places_.clear();
}

void Slots::serve() {
    while (!stopping_.load(std::memory_order_acquire)) {
        (void)work_.wait(Deadline::after(interval), [&] {
            return asked_.load(std::memory_order_acquire) || stopping_.load(std::memory_order_acquire);
        });
        asked_.store(false, std::memory_order_relaxed);
        for (auto& place : places_) {
            if (!stopping_.load(std::memory_order_acquire)) {
                look_at(*place);
            }
        }
    }
}

void Slots::look_at(Place& place) {
    const std::uint16_t events = place.slot.take_events();
    if ((events & SlotRegisters::attention) != 0 && place.slot.occupied()) {
        empty(place);
    }
    for (auto& occupant : place.occupants) {
        if (!occupant->dead() && !answers(*occupant)) {
            log::warning("slot {}: {} is gone without a word", place.slot.number(), occupant->name());
            occupant->look();
        }
    }
    const bool occupied = place.slot.occupied();
    if (std::exchange(place.occupied, occupied) != occupied) {
        log::info("slot {}: {}", place.slot.number(),
                  occupied ? "something was put in; it is not used before the next start" : "empty");
    }
}

void Slots::empty(Place& place) {
    log::info("slot {}: the attention button was pressed: what is in it is let go of", place.slot.number());
    (void)place.slot.show(Slot::Light::blinks);
    for (auto& occupant : place.occupants) {
        occupant->leave(patience);
    }
    const Deadline deadline = Deadline::after(longest_leave_);
    for (auto& occupant : place.occupants) {
        while (!occupant->dead() && !deadline.expired()) {
            task::sleep(2_ms);
        }
        if (!occupant->dead()) {
            log::error("slot {}: {} does not let go in {}", place.slot.number(), occupant->name(),
                       longest_leave_);
        }
    }
    if (const Result<> off = place.slot.power_off(); !off) {
        log::error("slot {}: it cannot be powered off: {}", place.slot.number(), off.error());
        return;
    }
    log::info("slot {}: powered off", place.slot.number());
}

}  // namespace pv::pci
