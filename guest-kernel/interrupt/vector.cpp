// The table of device interrupt vectors.
// SPDX-License-Identifier: MIT
#include "interrupt/vector.hpp"

#include <array>
#include <atomic>

#include "base/log.hpp"
#include "interrupt/delivery.hpp"
#include "task/lock.hpp"

namespace pv::interrupt {
namespace {

struct Slot {
    std::atomic<std::uint64_t> count{0};
    std::string_view name;
    Handler handler = nullptr;
    void* context = nullptr;
    bool reported = false;  // a spurious interrupt on it was logged
};

constexpr std::size_t slots_count =
    last_device_vector - first_device_vector + 1;  // what the CPU has, no less

constinit task::Guarded<std::array<Slot, slots_count>, task::Rank::interrupt> slots;
constinit std::atomic<std::uint64_t> spurious{0};

bool is_device_vector(std::uint8_t number) {
    return number >= first_device_vector && number <= last_device_vector;
}

}  // namespace

Result<Vector> Vector::allocate(std::string_view name, Handler handler, void* context) {
    if (handler == nullptr) {
        return fail(Error::invalid_argument);
    }
    return slots.with([&](auto& table) -> Result<Vector> {
        for (std::size_t i = 0; i < table.size(); ++i) {
            Slot& slot = table[i];
            if (slot.handler == nullptr) {
                slot.name = name;
                slot.context = context;
                slot.handler = handler;
                slot.count.store(0, std::memory_order_relaxed);
                slot.reported = false;
                return Vector(static_cast<std::uint8_t>(first_device_vector + i));
            }
        }
        return fail(Error::no_space);
    });
}

Vector::~Vector() {
    if (number_ != 0) {
        slots.with([&](auto& table) {
            Slot& slot = table[number_ - first_device_vector];
            slot.handler = nullptr;
            slot.context = nullptr;
        });
    }
}

Message Vector::message() const {
    return message_for(number_);
}

std::uint64_t Vector::count() const {
    return number_ == 0
               ? 0
               : slots.unguarded()[number_ - first_device_vector].count.load(std::memory_order_relaxed);
}

std::uint64_t spurious_count() {
    return spurious.load(std::memory_order_relaxed);
}

void dispatch(std::uint8_t number) {
    Handler handler = nullptr;
    void* context = nullptr;
    bool report = false;
    if (is_device_vector(number)) {
        slots.with([&](auto& table) {
            Slot& slot = table[number - first_device_vector];
            slot.count.fetch_add(1, std::memory_order_relaxed);
            handler = slot.handler;
            context = slot.context;
            report = handler == nullptr && !std::exchange(slot.reported, true);
        });
    }
    if (handler != nullptr) {
        handler(context);
        return;
    }
    spurious.fetch_add(1, std::memory_order_relaxed);
    if (report) {
        log::warning("interrupt on vector {:#x}, which nobody owns; further ones are only counted", number);
    }
}

}  // namespace pv::interrupt
