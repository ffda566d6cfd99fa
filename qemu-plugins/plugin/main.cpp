// The plugin as QEMU sees it: installs the callbacks that write what the guest does into QEMU's log.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <memory>
#include <span>
#include <string_view>

#include "plugin/guest_memory.hpp"
#include "plugin/handshake.hpp"
#include "plugin/instruction.hpp"
#include "plugin/line.hpp"
#include "plugin/memory_watch.hpp"
#include "plugin/options.hpp"
#include "plugin/ownership_probe.hpp"
#include "plugin/places.hpp"
#include "plugin/profile_probe.hpp"
#include "plugin/qemu_api.hpp"
#include "plugin/queues.hpp"
#include "plugin/registers.hpp"
#include "plugin/site.hpp"
#include "plugin/translation_probe.hpp"

extern "C" {
QEMU_PLUGIN_EXPORT int qemu_plugin_version = pv::plugin::oldest_api;
}

namespace pv::plugin {
namespace {

/// Bits of PerCpu::pending: what the next translation block of that vCPU has to see to.
enum : std::uint64_t { pending_start = 1, pending_control = 2 };

/// What belongs to one vCPU. Lives in a scoreboard, which QEMU zeroes, copies and moves: plain data only, and
/// no pointer to it is kept.
struct PerCpu {
    std::uint64_t pending;  ///< read by generated code before each block
    std::uint64_t held;     ///< read by generated code before each block of a program: run_program() is due
    GByteArray* bytes;
    std::uint64_t markers;
    std::uint64_t lost;
    std::uint64_t instructions;    ///< counted by generated code, a block at a time
    std::uint64_t control_site;    ///< the instruction, packed
    std::uint64_t control_source;  ///< what it writes
    std::uint64_t control_before;  ///< the register until then
    std::array<std::uint64_t, 7> unused;
};

/// Generated code multiplies by this at each block: a power of two makes that a shift.
static_assert(std::has_single_bit(sizeof(PerCpu)));

struct Plugin {
    Options options;
    Registers registers;
    std::atomic<bool> registers_known = false;
    Handshake handshake;
    std::unique_ptr<ProfileProbe> profile;          ///< nullptr without one
    std::unique_ptr<Places> places;                 ///< nullptr when neither of the next two was asked for
    std::unique_ptr<TranslationProbe> translation;  ///< nullptr when it was not asked for
    std::unique_ptr<OwnershipProbe> ownership;      ///< nullptr when it was not asked for
    Queues queues{[] { return GuestMemory::find(); }};
    qemu_plugin_scoreboard* cpus = nullptr;
    qemu_plugin_u64 pending{};
    qemu_plugin_u64 instructions{};
    qemu_plugin_u64 held{};
};

/// Made by qemu_plugin_install and kept until QEMU is gone: callbacks may run to the very end.
Plugin* plugin = nullptr;

PerCpu& of_cpu(unsigned cpu) {
    return *static_cast<PerCpu*>(qemu_plugin_scoreboard_find(plugin->cpus, cpu));
}

void write(Line& line) {
    qemu_plugin_outs(line.finish());
}

/// Begins a line about an instruction of a vCPU.
Line at(std::string_view name, unsigned cpu, std::uint64_t pc) {
    Line line{name};
    line.decimal("cpu", cpu).hex("pc", pc);
    return line;
}

/// Writes what a doorbell leads to.
class RingLines final : public RingSink {
  public:
    RingLines(unsigned cpu, std::uint64_t pc) : cpu_(cpu), pc_(pc) {}

    void descriptor(const Ring& ring, std::uint16_t chain, std::uint64_t address, std::uint32_t length,
                    bool device_writes) override {
        Line line = of(ring, "paravane_ring_descriptor");
        line.decimal("chain", chain).hex("address", address).decimal("length", length);
        write(line.decimal("device_writes", device_writes ? 1 : 0));
    }

    void indirect(const Ring& ring, std::uint16_t chain, std::uint64_t address,
                  std::uint32_t length) override {
        Line line = of(ring, "paravane_ring_indirect");
        write(line.decimal("chain", chain).hex("address", address).decimal("length", length));
    }

    void request(const Ring& ring, std::uint16_t chain, pv_operation operation, std::uint64_t sector,
                 std::uint32_t descriptors) override {
        Line line = of(ring, "paravane_ring_request");
        line.decimal("chain", chain).decimal("operation", operation).decimal("sector", sector);
        write(line.decimal("descriptors", descriptors));
    }

    void fault(const Ring& ring, std::uint16_t chain, trace::RingFault fault, std::uint64_t value) override {
        Line line = of(ring, "paravane_ring_fault");
        line.decimal("chain", chain).decimal("fault", static_cast<std::uint64_t>(fault));
        write(line.hex("value", value));
    }

    void unseen(const Ring& ring, trace::RingUnseen reason) override {
        Line line = of(ring, "paravane_ring_unseen");
        write(line.decimal("reason", static_cast<std::uint64_t>(reason)));
    }

  private:
    Line of(const Ring& ring, std::string_view name) const {
        Line line = at(name, cpu_, pc_);
        line.hex("bdf", ring.bdf).decimal("queue", ring.number);
        return line;
    }

    unsigned cpu_;
    std::uint64_t pc_;
};

void on_marker(unsigned cpu, void* userdata) {
    const Site site = Site::unpack(userdata);
    const std::uint16_t number = site.detail;
    PerCpu& state = of_cpu(cpu);
    std::array<std::uint64_t, 6> args{};
    const std::size_t count = marker_arguments(number);
    for (std::size_t i = 0; i < count; ++i) {
        const auto value = read_register(plugin->registers.argument(i), state.bytes);
        if (!value) {
            ++state.lost;
            return;
        }
        args[i] = *value;
    }
    const Handshake::Answer answer = plugin->handshake.judge(number, args[0]);
    if (answer != Handshake::Answer::take) {
        ++state.lost;
        if (answer == Handshake::Answer::refuse) {
            Line line = at("paravane_marker_refused", cpu, site.pc);
            write(line.hex("version", number == PV_MARKER_hello ? args[0] : 0));
        }
        return;
    }
    ++state.markers;
    Line line = at("paravane_marker", cpu, site.pc);
    line.hex("number", number);
    if (count != 0) {
        line.word("args");
        for (std::size_t i = 0; i < count; ++i) {
            line.number(args[i], 16);
        }
    }
    write(line);
    if (plugin->translation) {
        plugin->translation->marker(cpu, site.pc, number, args);
    }
    if (plugin->ownership) {
        plugin->ownership->marker(number, args);
    }
    if (plugin->options.rings && Queues::concerns(number, args)) {
        RingLines lines{cpu, site.pc};
        plugin->queues.on_marker(number, args, lines);
    }
}

/// Before `mov %reg, %crN`: notes what is about to happen. Whether it did, and what the processor made of the
/// value, shows when this vCPU's next block begins (the instruction ends its block).
void on_control_write(unsigned cpu, void* userdata) {
    const Site site = Site::unpack(userdata);
    const ControlWrite decoded = Site::control(site.detail);
    if (plugin->places) {
        plugin->places->forget(cpu);
    }
    PerCpu& state = of_cpu(cpu);
    const auto before = read_register(plugin->registers.control(decoded.number), state.bytes);
    const auto source = read_register(plugin->registers.general(decoded.source), state.bytes);
    if (!before || !source) {
        ++state.lost;
        return;
    }
    state.control_before = *before;
    state.control_source = *source;
    state.control_site = site.pack();
    state.pending |= pending_control;
}

/// Tells the shadow of translation what this vCPU translates by, after it wrote register `number`.
void follow_control(unsigned cpu, const Site& site, unsigned number) {
    PerCpu& state = of_cpu(cpu);
    const auto cr0 = read_register(plugin->registers.control(0), state.bytes);
    const auto cr3 = read_register(plugin->registers.control(3), state.bytes);
    const auto cr4 = read_register(plugin->registers.control(4), state.bytes);
    const auto long_mode = plugin->registers.is_long_mode(state.bytes);
    if (!cr0 || !cr3 || !cr4 || !long_mode) {
        ++state.lost;
        return;
    }
    const translation::Control now{.cr0 = *cr0, .cr3 = *cr3, .cr4 = *cr4, .long_mode = *long_mode};
    const bool no_flush = number == 3 && (state.control_source & translation::cr3_no_flush_bit) != 0;
    plugin->translation->control(cpu, site.pc, number, now, no_flush);
}

/// The first block after a vCPU started or wrote a control register; runs only when something is pending.
void on_pending(unsigned cpu, void* userdata) {
    const std::uint64_t here = Site::unpack(userdata).pc;
    PerCpu& state = of_cpu(cpu);
    const std::uint64_t pending = state.pending;
    state.pending = 0;
    if ((pending & pending_start) != 0 && plugin->options.control) {
        Line line = at("paravane_cpu_start", cpu, here);
        write(line);
    }
    if ((pending & pending_control) == 0) {
        return;
    }
    const Site site = Site::unpack(state.control_site);
    const ControlWrite decoded = Site::control(site.detail);
    const auto after = read_register(plugin->registers.control(decoded.number), state.bytes);
    if (!after) {
        ++state.lost;
        return;
    }
    // Elsewhere than at the next instruction, an exception or an interrupt came between. An exception of the
    // instruction itself leaves the register as it was; it was then not written, and no line says it was.
    const bool went_on = here == site.pc + Site::length(site.detail);
    if (!went_on && *after == state.control_before && state.control_source != state.control_before) {
        return;
    }
    if (plugin->translation) {
        follow_control(cpu, site, decoded.number);
    }
    if (plugin->options.control) {
        Line line = at("paravane_control_register", cpu, site.pc);
        write(line.decimal("number", decoded.number).hex("value", *after));
    }
}

void on_invlpg(unsigned cpu, void* userdata) {
    if (plugin->places) {
        plugin->places->forget(cpu);
    }
    const Site site = Site::unpack(userdata);
    PerCpu& state = of_cpu(cpu);
    const std::size_t length = Site::length(site.detail);
    // The operand needs more bytes than fit beside the address: they are read again where they stand.
    g_byte_array_set_size(state.bytes, 0);
    std::array<std::uint8_t, longest_instruction> code{};
    if (!qemu_plugin_read_memory_vaddr(site.pc, state.bytes, length) || state.bytes->len < length) {
        ++state.lost;
        return;
    }
    std::copy_n(state.bytes->data, length, code.begin());
    const auto context = plugin->registers.context(site.pc + length, state.bytes);
    const auto address = context ? invlpg_address(std::span{code}.first(length), *context) : std::nullopt;
    if (!address) {
        ++state.lost;
        return;
    }
    if (plugin->translation) {
        plugin->translation->invlpg(cpu, site.pc, *address);
    }
    if (plugin->options.control) {
        Line line = at("paravane_invlpg", cpu, site.pc);
        write(line.hex("address", *address));
    }
}

void on_program(unsigned cpu, void* userdata) {
    plugin->translation->run_program(cpu, Site::unpack(userdata).pc);
}

void on_sysret(unsigned cpu, void* userdata) {
    plugin->translation->user_mode(cpu, Site::unpack(userdata).pc);
}

/// Every translation: looks at each instruction once, and hooks the few that are watched.
void on_translation(qemu_plugin_id_t, qemu_plugin_tb* block) {
    if (plugin->profile) {
        plugin->profile->translate(block);
    }
    const bool tlb = plugin->translation != nullptr;
    const bool control = plugin->options.control || tlb || plugin->ownership != nullptr;
    if (plugin->ownership) {
        plugin->ownership->watch_reset(block);
    }
    if (control) {
        const Site site{qemu_plugin_tb_vaddr(block), 0};
        qemu_plugin_register_vcpu_tb_exec_cond_cb(block, on_pending, QEMU_PLUGIN_CB_R_REGS,
                                                  QEMU_PLUGIN_COND_NE, plugin->pending, 0, site.userdata());
    }
    constexpr std::uint64_t programs_end = 1ULL << 63;  // kernels that have profiles are above
    if (tlb && plugin->profile && qemu_plugin_tb_vaddr(block) < programs_end) {
        const Site site{qemu_plugin_tb_vaddr(block), 0};
        qemu_plugin_register_vcpu_tb_exec_cond_cb(block, on_program, QEMU_PLUGIN_CB_NO_REGS,
                                                  QEMU_PLUGIN_COND_NE, plugin->held, 0, site.userdata());
    }
    const std::size_t count = qemu_plugin_tb_n_insns(block);
    if (plugin->options.instructions || tlb) {
        qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(block, QEMU_PLUGIN_INLINE_ADD_U64,
                                                          plugin->instructions, count);
    }
    for (std::size_t i = 0; i < count; ++i) {
        qemu_plugin_insn* instruction = qemu_plugin_tb_get_insn(block, i);
        std::array<std::uint8_t, longest_instruction> bytes;
        const std::size_t length = qemu_plugin_insn_data(instruction, bytes.data(), bytes.size());
        const Bytes code = std::span{bytes}.first(length);
        const std::uint64_t pc = qemu_plugin_insn_vaddr(instruction);
        if (plugin->places) {
            watch_memory(instruction, pc);
        }
        if (const auto number = marker_number(code)) {
            if (plugin->options.markers) {
                qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_marker, QEMU_PLUGIN_CB_R_REGS,
                                                       Site{pc, *number}.userdata());
            }
        } else if (!control) {
            continue;
        } else if (const auto write_to = control_write(code)) {
            if (plugin->registers.is_watched(write_to->number)) {
                qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_control_write, QEMU_PLUGIN_CB_R_REGS,
                                                       Site::of(pc, *write_to, length).userdata());
            }
        } else if (is_invlpg(code)) {
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_invlpg, QEMU_PLUGIN_CB_R_REGS,
                                                   Site::of(pc, {}, length).userdata());
        } else if (tlb && is_sysret(code)) {
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_sysret, QEMU_PLUGIN_CB_NO_REGS,
                                                   Site{pc, 0}.userdata());
        }
    }
}

void on_cpu(qemu_plugin_id_t, unsigned cpu) {
    if (!plugin->registers_known.exchange(true)) {
        plugin->registers.find();
    }
    PerCpu& state = of_cpu(cpu);
    if (state.bytes == nullptr) {
        state.bytes = make_byte_array().release();
    }
    state.pending |= pending_start;
}

void on_exit(qemu_plugin_id_t, void*) {
    std::uint64_t markers = 0;
    std::uint64_t lost = 0;
    for (int cpu = 0; cpu < qemu_plugin_num_vcpus(); ++cpu) {
        const PerCpu& state = of_cpu(static_cast<unsigned>(cpu));
        markers += state.markers;
        lost += state.lost;
        if (plugin->options.instructions) {
            Line line{"paravane_instructions"};
            write(line.decimal("cpu", static_cast<std::uint64_t>(cpu)).decimal("count", state.instructions));
        }
    }
    if (plugin->profile) {
        lost += plugin->profile->lost();
    }
    if (plugin->translation) {
        plugin->translation->finish();
    }
    if (plugin->ownership) {
        plugin->ownership->finish();
    }
    Line line{"paravane_plugin_end"};
    write(line.decimal("markers", markers).decimal("lost", lost));
}

int refuse(const char* why) {
    std::fprintf(stderr, "libparavane-plugin: %s\n", why);
    return 1;
}

int install(qemu_plugin_id_t id, const qemu_info_t& info, std::span<const char* const> arguments) {
    if (info.version.cur < oldest_api || qemu_plugin_read_register == nullptr) {
        return refuse("this QEMU's plugin interface is too old: version 4, QEMU 9.1 or newer, is needed");
    }
    if (!info.system_emulation || std::string_view{info.target_name} != "x86_64") {
        return refuse("made for qemu-system-x86_64, and for no other target");
    }
    const auto options = parse_options(arguments);
    if (!options) {
        return refuse(options.error().c_str());
    }
    plugin = new Plugin;
    plugin->options = *options;
    plugin->cpus = qemu_plugin_scoreboard_new(sizeof(PerCpu));
    plugin->pending = qemu_plugin_u64{plugin->cpus, offsetof(PerCpu, pending)};
    plugin->instructions = qemu_plugin_u64{plugin->cpus, offsetof(PerCpu, instructions)};
    plugin->held = qemu_plugin_u64{plugin->cpus, offsetof(PerCpu, held)};
    if (!options->profile.empty()) {
        auto probe = ProfileProbe::open(options->profile, plugin->registers,
                                        [](unsigned cpu) { return of_cpu(cpu).bytes; });
        if (!probe) {
            return refuse(probe.error().c_str());
        }
        plugin->profile = *std::move(probe);
    }
    const auto cpus = static_cast<unsigned>(std::max(info.system.max_vcpus, 1));
    if (options->tlb || options->ownership) {
        plugin->places = std::make_unique<Places>(cpus);
    }
    if (options->tlb) {
        plugin->translation = std::make_unique<TranslationProbe>(
            cpus, options->grace, [](unsigned cpu) { return of_cpu(cpu).instructions; }, *plugin->places);
        plugin->translation->set_flag(plugin->held);
        if (plugin->profile) {
            plugin->profile->tell(*plugin->translation);
        }
    }
    if (options->ownership) {
        plugin->ownership = std::make_unique<OwnershipProbe>(*plugin->places);
    }
    if (plugin->places) {
        begin_watching(*plugin->places, plugin->translation.get(), plugin->ownership.get());
    }
    Line line{"paravane_plugin"};
    line.decimal("api_version", static_cast<std::uint64_t>(info.version.cur));
    line.hex("marker_version", PV_MARKER_VERSION);
    write(line.decimal("cpus", static_cast<std::uint64_t>(info.system.smp_vcpus)));
    qemu_plugin_register_vcpu_init_cb(id, on_cpu);
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    qemu_plugin_register_atexit_cb(id, on_exit, nullptr);
    return 0;
}

}  // namespace
}  // namespace pv::plugin

extern "C" QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t* info, int argc,
                                                      char** argv) {
    try {
        return pv::plugin::install(id, *info, std::span{argv, static_cast<std::size_t>(argc)});
    } catch (const std::exception& error) {
        return pv::plugin::refuse(error.what());
    }
}
