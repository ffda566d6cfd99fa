// Callbacks of loads and stores, and the lines of the probe.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "plugin/ownership_probe.hpp"

#include <algorithm>
#include <string_view>

#include "plugin/line.hpp"
#include "plugin/memory_hooks.hpp"
#include "plugin/site.hpp"

namespace pv::plugin {
namespace {

using ownership::Access;
using ownership::Actor;

void write(Line& line) {
    qemu_plugin_outs(line.finish());
}

Line at(std::string_view name, const Actor& actor) {
    Line line{name};
    line.decimal("cpu", actor.cpu).hex("pc", actor.pc);
    return line;
}

void write_unseen(std::uint64_t registers, trace::OwnershipUnseen reason) {
    Line line{"paravane_ownership_unseen"};
    write(line.hex("registers", registers).decimal("reason", static_cast<std::uint64_t>(reason)));
}

class Lines final : public ownership::Sink {
  public:
    void command(const ownership::Command& command, std::int64_t age) override {
        Line line = at("paravane_buffer_command", command.given);
        line.decimal("command", command.number).hex("registers", command.registers);
        line.decimal("queue", command.queue).decimal("id", command.id);
        write(line.decimal("age", static_cast<std::uint64_t>(std::max<std::int64_t>(age, 0))));
    }

    void race(const Actor& actor, const ownership::Command& command, const Access& access,
              const ownership::Range& range) override {
        Line line = at("paravane_buffer_race", actor);
        line.decimal("command", command.number).hex("address", access.linear);
        line.hex("physical", access.physical).hex("buffer", range.buffer);
        line.decimal("length", range.buffer_length);
        const trace::BufferAccess packed{access.is_store, range.role, static_cast<std::uint8_t>(access.size)};
        write(line.hex("access", packed.pack()));
    }

    void unseen(std::uint64_t registers, trace::OwnershipUnseen reason) override {
        write_unseen(registers, reason);
    }
};

/// The one there is: QEMU's callbacks get one pointer, and that holds the instruction's address.
OwnershipProbe* probe = nullptr;

void on_first_instruction(unsigned, void*) {
    probe->on_reset();
}

Actor actor_of(unsigned cpu, const void* userdata) {
    return {cpu, Site::unpack(userdata).pc, wall_microseconds()};
}

/// What was stored to registers, or loaded from them. Nothing there is longer than 64 bits.
std::uint64_t value_of(qemu_plugin_meminfo_t info) {
    const qemu_plugin_mem_value value = qemu_plugin_mem_get_value(info);
    switch (value.type) {
        case QEMU_PLUGIN_MEM_VALUE_U8:
            return value.data.u8;
        case QEMU_PLUGIN_MEM_VALUE_U16:
            return value.data.u16;
        case QEMU_PLUGIN_MEM_VALUE_U32:
            return value.data.u32;
        case QEMU_PLUGIN_MEM_VALUE_U64:
            return value.data.u64;
        default:
            return value.data.u128.low;
    }
}

}  // namespace

OwnershipProbe::OwnershipProbe(Places& places) : places_(places), sink_(std::make_unique<Lines>()) {
    probe = this;
}

void OwnershipProbe::watch_reset(qemu_plugin_tb* block) {
    constexpr std::uint64_t reset_vector = 0xffff'fff0;  // SDM vol. 3A, 10.1.4
    if (qemu_plugin_tb_vaddr(block) == reset_vector) {
        qemu_plugin_register_vcpu_tb_exec_cb(block, on_first_instruction, QEMU_PLUGIN_CB_NO_REGS, nullptr);
    }
}

ownership::Tracker* OwnershipProbe::begin() {
    if (sought_.load(std::memory_order_acquire)) {
        return tracker_.load(std::memory_order_acquire);
    }
    const std::scoped_lock guard(lock_);
    if (sought_.load(std::memory_order_relaxed)) {
        return owner_.get();
    }
    const GuestMemory::Found& found = places_.memory();
    if (qemu_plugin_mem_get_value == nullptr) {
        write_unseen(0, trace::OwnershipUnseen::no_values);
    } else if (found.reason != trace::RingUnseen::none) {
        write_unseen(0, found.reason == trace::RingUnseen::no_memory
                            ? trace::OwnershipUnseen::no_memory
                            : trace::OwnershipUnseen::unknown_layout);
    } else {
        owner_ = std::make_unique<ownership::Tracker>(found.memory, *sink_, places_.marks());
        write_totals();  // all zero: says that the probe is on, and since when
        loads_matter_.store(&owner_->loads_matter(), std::memory_order_release);
        tracker_.store(owner_.get(), std::memory_order_release);
    }
    sought_.store(true, std::memory_order_release);
    return owner_.get();
}

void OwnershipProbe::marker(std::uint16_t number, std::span<const std::uint64_t, 6> args) {
    if (ownership::Tracker* const tracker = begin(); tracker != nullptr) {
        const std::scoped_lock guard(lock_);
        tracker->marker(number, args);
    }
}

void OwnershipProbe::on_reset() {
    if (ownership::Tracker* const tracker = tracker_.load(std::memory_order_acquire); tracker != nullptr) {
        const std::scoped_lock guard(lock_);
        tracker->reset();
    }
}

void OwnershipProbe::look(unsigned cpu, qemu_plugin_meminfo_t info, std::uint64_t linear,
                          const void* userdata, bool is_store, const Place& place) {
    const ownership::Tracker* const tracker = begin();
    if (tracker == nullptr) {
        return;
    }
    const std::size_t size = std::size_t{1} << qemu_plugin_mem_size_shift(info);
    const std::uint64_t in_page = linear % ownership::page_size;
    Access access{linear, place.physical + in_page, size, is_store};
    if (place.is_registers) {
        look_at_registers(actor_of(cpu, userdata), place.region, info, access);
        return;
    }
    access.size = std::min<std::size_t>(size, ownership::page_size - in_page);
    const auto concerns = [&] {
        return is_store ? tracker->concerns_store(access.physical) : tracker->concerns_load(access.physical);
    };
    if (concerns()) {
        look_at_memory(actor_of(cpu, userdata), access);
    }
    if (access.size == size) {
        return;
    }
    const std::uint64_t rest = linear + access.size;
    if (const auto next = places_.ask(cpu, info, rest); next && !next->is_registers) {
        access = {rest, next->physical, size - access.size, is_store};
        if (concerns()) {
            look_at_memory(actor_of(cpu, userdata), access);
        }
    }
}

void OwnershipProbe::look_at_registers(const Actor& actor, ownership::Region region,
                                       qemu_plugin_meminfo_t info, const Access& access) {
    const std::uint64_t value = value_of(info);
    const std::scoped_lock guard(lock_);
    owner_->registers(actor, region, access, value);
}

void OwnershipProbe::look_at_memory(const Actor& actor, const Access& access) {
    const std::scoped_lock guard(lock_);
    owner_->access(actor, access);
}

void OwnershipProbe::finish() {
    const std::scoped_lock guard(lock_);
    if (owner_ != nullptr) {
        write_totals();
    }
}

void OwnershipProbe::write_totals() const {
    const ownership::Totals& totals = owner_->totals();
    Line line{"paravane_ownership"};
    line.decimal("commands", totals.commands).decimal("buffers", totals.buffers);
    line.decimal("checked", totals.checked).decimal("races", totals.races);
    write(line.decimal("skipped", totals.skipped));
}

}  // namespace pv::plugin
