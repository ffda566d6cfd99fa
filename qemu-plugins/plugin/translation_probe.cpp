// Callbacks of loads and stores, and the lines of the probe.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "plugin/translation_probe.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include "paravane/marker.h"
#include "plugin/line.hpp"
#include "plugin/memory_hooks.hpp"
#include "plugin/site.hpp"

namespace pv::plugin {
namespace {

using translation::Actor;
using translation::Change;

Line at(std::string_view name, unsigned cpu, std::uint64_t pc) {
    Line line{name};
    line.decimal("cpu", cpu).hex("pc", pc);
    return line;
}

void write(Line& line) {
    qemu_plugin_outs(line.finish());
}

class Lines final : public translation::Sink {
  public:
    void change(const Change& change, std::int64_t age) override {
        Line line = at("paravane_table_change", change.cpu, change.pc);
        line.decimal("change", change.number)
            .hex("address", change.linear)
            .hex("old_entry", change.old_entry);
        line.hex("new_entry", change.new_entry).decimal("level", change.level);
        write(line.decimal("age", static_cast<std::uint64_t>(std::max<std::int64_t>(age, 0))));
    }

    void stale_use(const Actor& actor, const Change& change, std::uint64_t linear, std::uint64_t used,
                   unsigned access) override {
        Line line = at("paravane_tlb_stale_use", actor.cpu, actor.pc);
        line.decimal("change", change.number).hex("address", linear).hex("used", used);
        write(line.decimal("access", access));
    }

    void missed(const Actor& actor, const Change& change, std::uint64_t linear, unsigned holder,
                std::uint64_t shootdown, bool structure, std::uint64_t use) override {
        Line line = at("paravane_tlb_missed", actor.cpu, actor.pc);
        line.decimal("change", change.number).hex("address", linear).decimal("holder", holder);
        write(line.hex("shootdown", shootdown).decimal("structure", structure ? 1 : 0).hex("use", use));
    }

    void freed(const Actor& actor, const Change& change, std::uint64_t linear, unsigned holder,
               std::uint64_t physical, bool structure, std::uint64_t use) override {
        Line line = at("paravane_tlb_freed", actor.cpu, actor.pc);
        line.decimal("change", change.number).hex("address", linear).decimal("holder", holder);
        write(line.hex("physical", physical).decimal("structure", structure ? 1 : 0).hex("use", use));
    }

    void global_kept(unsigned cpu, std::uint64_t pc, const Change& change, std::uint64_t linear,
                     std::uint64_t shootdown) override {
        Line line = at("paravane_tlb_global_kept", cpu, pc);
        write(line.decimal("change", change.number).hex("address", linear).hex("shootdown", shootdown));
    }

    void fault(const Actor& actor, trace::TableFault fault, std::uint64_t linear, std::uint64_t entry,
               unsigned level, std::uint64_t other) override {
        Line line = at("paravane_table_entry", actor.cpu, actor.pc);
        line.decimal("fault", static_cast<std::uint64_t>(fault)).hex("address", linear).hex("entry", entry);
        write(line.decimal("level", level).hex("other", other));
    }
};

void unseen(trace::TranslationUnseen reason) {
    Line line{"paravane_translation_unseen"};
    write(line.decimal("reason", static_cast<std::uint64_t>(reason)));
}

}  // namespace

TranslationProbe::TranslationProbe(unsigned cpus, std::uint64_t grace,
                                   std::function<std::uint64_t(unsigned)> instructions, Places& places)
    : cpus_(cpus), instructions_(std::move(instructions)), places_(places), sink_(std::make_unique<Lines>()) {
    constexpr std::uint64_t instructions_per_millisecond = 50;
    constexpr std::uint64_t fewest_instructions = 1'000;
    limits_.grace = static_cast<std::int64_t>(grace * 1000);
    limits_.grace_instructions = std::max(grace * instructions_per_millisecond, fewest_instructions);
}

Actor TranslationProbe::actor(unsigned cpu, std::uint64_t pc) const {
    return {cpu, pc, wall_microseconds(), instructions_(cpu)};
}

bool TranslationProbe::begin(unsigned cpu) {
    if (cpu >= cpus_) {
        return false;
    }
    if (!sought_) {
        sought_ = true;
        const GuestMemory::Found& found = places_.memory();
        if (found.reason != trace::RingUnseen::none) {
            unseen(found.reason == trace::RingUnseen::no_memory ? trace::TranslationUnseen::no_memory
                                                                : trace::TranslationUnseen::unknown_layout);
            return false;
        }
        memory_ = std::make_unique<TableMemory>(found.memory);
        // Shadows of tables may take a sixteenth of the guest's memory.
        limits_.tables = static_cast<std::size_t>(std::max<std::uint64_t>(
            found.memory.size() / 16 / sizeof(translation::Table), std::uint64_t{512}));
        owner_ = std::make_unique<translation::Tracker>(*memory_, found.memory.limit(), cpus_, *sink_,
                                                        limits_, instructions_, places_.marks());
        for (unsigned each = 0; each < cpus_; ++each) {
            places_.set_filter(each, owner_->filter(each));
        }
        write_totals();  // all zero: says that the probe is on, and since when
        tracker_.store(owner_.get(), std::memory_order_release);
    }
    return owner_ != nullptr;
}

void TranslationProbe::control(unsigned cpu, std::uint64_t pc, unsigned number,
                               const translation::Control& now, bool no_flush) {
    const std::scoped_lock guard(lock_);
    if (now.translates() && !now.long_mode && !said_not_long_mode_) {
        said_not_long_mode_ = true;
        unseen(trace::TranslationUnseen::not_long_mode);
    }
    if (!now.is_followed() && owner_ == nullptr) {
        return;
    }
    if (begin(cpu)) {
        owner_->control(actor(cpu, pc), number, now, no_flush);
    }
}

void TranslationProbe::invlpg(unsigned cpu, std::uint64_t pc, std::uint64_t linear) {
    const std::scoped_lock guard(lock_);
    if (owner_ != nullptr && cpu < cpus_) {
        owner_->invlpg(actor(cpu, pc), linear);
    }
}

void TranslationProbe::marker(unsigned cpu, std::uint64_t pc, std::uint16_t number,
                              std::span<const std::uint64_t, 6> args) {
    const bool concerns = number == PV_MARKER_shootdown_begin || number == PV_MARKER_shootdown_end ||
                          number == PV_MARKER_frames_release || number == PV_MARKER_memory_protect ||
                          number == PV_MARKER_memory_unprotect;
    if (!concerns) {
        return;
    }
    const std::scoped_lock guard(lock_);
    if (owner_ == nullptr || cpu >= cpus_) {
        return;
    }
    switch (number) {
        case PV_MARKER_shootdown_begin:
            owner_->shootdown_begin(args[0], args[1], args[2], args[3]);
            break;
        case PV_MARKER_shootdown_end:
            owner_->shootdown_end(actor(cpu, pc), args[0], args[1]);
            break;
        case PV_MARKER_frames_release:
            owner_->release(actor(cpu, pc), args[0], args[1]);
            break;
        case PV_MARKER_memory_protect:
            owner_->protect(args[0], args[1], args[2]);
            if (args[2] == PV_PROTECT_CODE) {
                owner_->arm_with_next_tables();
            }
            break;
        default:
            owner_->unprotect(actor(cpu, pc), args[0], args[1]);
            break;
    }
}

void TranslationProbe::user_mode(unsigned cpu, std::uint64_t pc) {
    const std::scoped_lock guard(lock_);
    if (owner_ != nullptr && cpu < cpus_ && !owner_->is_armed()) {
        owner_->arm(actor(cpu, pc), false);
    }
}

void TranslationProbe::believe_profile() {
    const std::scoped_lock guard(lock_);
    believes_profile_ = true;
    if (owner_ != nullptr) {
        write_told();
    }
}

void TranslationProbe::flag_holders() {
    for (unsigned cpu = 0; cpu < cpus_; ++cpu) {
        if (owner_->owes_programs(cpu)) {
            qemu_plugin_u64_set(flag_, cpu, 1);
        }
    }
}

void TranslationProbe::release(unsigned cpu, std::uint64_t pc, std::uint64_t physical, std::uint64_t length) {
    const std::scoped_lock guard(lock_);
    owner_->promise_release(actor(cpu, pc), physical, length);
    flag_holders();
}

std::uint64_t TranslationProbe::changes() {
    const std::scoped_lock guard(lock_);
    return owner_ != nullptr ? owner_->changes() : 0;
}

void TranslationProbe::shootdown_over(unsigned cpu, std::uint64_t pc, std::uint64_t changes,
                                      std::uint64_t root, std::uint64_t address, std::uint64_t length) {
    const std::scoped_lock guard(lock_);
    if (owner_ != nullptr) {
        owner_->promise_shootdown(actor(cpu, pc), changes, root, address, length);
        flag_holders();
    }
}

void TranslationProbe::kernel_shootdown_over(unsigned cpu, std::uint64_t pc, std::uint64_t changes,
                                             std::uint64_t address, std::uint64_t length) {
    const std::scoped_lock guard(lock_);
    if (owner_ != nullptr) {
        owner_->promise_kernel_shootdown(actor(cpu, pc), changes, address, length);
    }
}

void TranslationProbe::run_program(unsigned cpu, std::uint64_t pc) {
    qemu_plugin_u64_set(flag_, cpu, 0);
    const std::scoped_lock guard(lock_);
    if (owner_ != nullptr && cpu < cpus_) {
        owner_->run_program(actor(cpu, pc));
    }
}

void TranslationProbe::look(unsigned cpu, qemu_plugin_meminfo_t info, std::uint64_t linear,
                            const void* userdata, bool is_store) {
    const qemu_plugin_hwaddr* place = qemu_plugin_get_hwaddr(info, linear);
    if (place == nullptr) {
        return;
    }
    const bool is_io = qemu_plugin_hwaddr_is_io(place);
    const std::uint64_t physical = qemu_plugin_hwaddr_phys_addr(place);
    const std::scoped_lock guard(lock_);
    const bool is_table = is_store && !is_io && owner_->holds_table(physical);
    const bool covers = owner_->covers(cpu, linear);
    if (!covers && !is_table) {
        return;
    }
    const Actor by = actor(cpu, Site::unpack(userdata).pc);
    if (covers) {
        owner_->access(by, linear, is_store, physical);
    }
    if (is_table) {
        owner_->store(by, physical, std::size_t{1} << qemu_plugin_mem_size_shift(info));
    }
}

void TranslationProbe::store(unsigned cpu, qemu_plugin_meminfo_t info, std::uint64_t physical,
                             const void* userdata) {
    const std::scoped_lock guard(lock_);
    owner_->store(actor(cpu, Site::unpack(userdata).pc), physical,
                  std::size_t{1} << qemu_plugin_mem_size_shift(info));
}

void TranslationProbe::finish() {
    const std::scoped_lock guard(lock_);
    if (owner_ == nullptr) {
        return;
    }
    for (unsigned cpu = 0; cpu < cpus_; ++cpu) {
        const translation::Flushes& flushes = owner_->flushes(cpu);
        if (flushes.pages + flushes.whole != 0) {
            Line line{"paravane_tlb_flushes"};
            line.decimal("cpu", cpu).decimal("pages", flushes.pages).decimal("whole", flushes.whole);
            write(line.decimal("needless", flushes.needless));
        }
    }
    write_totals();
    if (believes_profile_) {
        write_told();
    }
}

void TranslationProbe::write_told() const {
    const translation::Totals totals = owner_->totals();
    Line line{"paravane_translation_profile"};
    line.decimal("frames", totals.frames).decimal("shootdowns", totals.promised);
    write(line.decimal("held", totals.held));
}

void TranslationProbe::write_totals() const {
    const translation::Totals totals = owner_->totals();
    Line line{"paravane_translation"};
    line.decimal("changes", totals.changes).decimal("taken", totals.taken).decimal("checked", totals.checked);
    line.decimal("shootdowns", totals.shootdowns).decimal("entries", totals.entries);
    write(line.decimal("skipped", totals.skipped));
}

}  // namespace pv::plugin
