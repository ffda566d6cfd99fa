// Callbacks carry a call or an address; whose probe it is, is known: there is one.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "plugin/profile_probe.hpp"

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>

#include "paravane/marker.h"
#include "plugin/site.hpp"

namespace pv::plugin {
namespace {

ProfileProbe* only = nullptr;

constexpr std::size_t stack_pointer = 4;  // in the encoding's order

/// Of the vCPU whose callback runs.
std::optional<std::uint64_t> read_guest(GByteArray* room, std::uint64_t address, std::size_t size) {
    g_byte_array_set_size(room, 0);
    if (!qemu_plugin_read_memory_vaddr(address, room, size) || room->len < size) {
        return std::nullopt;
    }
    std::uint64_t value = 0;
    std::memcpy(&value, room->data, size);
    return value;
}

void write(unsigned cpu, std::uint64_t pc, std::uint16_t number, std::array<std::uint64_t, 6> arguments,
           std::size_t count) {
    Line line{"paravane_marker"};
    line.decimal("cpu", cpu).hex("pc", pc).hex("number", number).word("args");
    for (std::size_t i = 0; i < count; ++i) {
        line.number(arguments.at(i), 16);
    }
    qemu_plugin_outs(line.finish());
}

/// Writes what calls mean for devices, as said where they are made; the rest is for the shadow of
/// translation.
class Markers final : public CallSink {
  public:
    Markers(unsigned cpu, std::uint64_t pc, TranslationProbe* translation)
        : cpu_(cpu), pc_(pc), translation_(translation) {}

    void map(std::uint64_t device, std::uint64_t bus, std::uint64_t physical, std::uint64_t length,
             std::uint64_t direction) override {
        write(cpu_, pc_, PV_MARKER_dma_map, {device, 0, bus, physical, length, direction}, 6);
    }

    void unmap(std::uint64_t device, std::uint64_t bus, std::uint64_t length) override {
        write(cpu_, pc_, PV_MARKER_dma_unmap, {device, 0, bus, length}, 4);
    }

    void release(std::uint64_t, std::uint64_t) override {}  // Releases tells of these

    std::uint64_t shootdown_begin() override { return translation_->changes(); }

    void shootdown_end(std::uint64_t begun, std::uint64_t root, std::uint64_t address,
                       std::uint64_t length) override {
        translation_->shootdown_over(cpu_, pc_, begun, root, address, length);
    }

    void kernel_shootdown_end(std::uint64_t begun, std::uint64_t address, std::uint64_t length) override {
        translation_->kernel_shootdown_over(cpu_, pc_, begun, address, length);
    }

  private:
    unsigned cpu_;
    std::uint64_t pc_;
    TranslationProbe* translation_;
};

/// For calls that give frames back: there are very many, and few that matter.
class Releases final : public CallSink {
  public:
    using Caller = std::function<std::uint64_t()>;

    Releases(unsigned cpu, const Caller& caller, TranslationProbe& translation)
        : cpu_(cpu), caller_(caller), translation_(translation) {}

    void map(std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t) override {}

    void unmap(std::uint64_t, std::uint64_t, std::uint64_t) override {}

    void release(std::uint64_t physical, std::uint64_t length) override {
        if (translation_.may_be_owed(physical, length)) {
            translation_.release(cpu_, caller_(), physical, length);
        }
    }

    std::uint64_t shootdown_begin() override { return 0; }

    void shootdown_end(std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t) override {}

    void kernel_shootdown_end(std::uint64_t, std::uint64_t, std::uint64_t) override {}

  private:
    unsigned cpu_;
    const Caller& caller_;
    TranslationProbe& translation_;
};

}  // namespace

std::expected<std::unique_ptr<ProfileProbe>, std::string> ProfileProbe::open(const std::string& file,
                                                                             const Registers& registers,
                                                                             RoomOf room) {
    std::ifstream stream(file);
    const std::string text{std::istreambuf_iterator<char>(stream), {}};
    if (!stream) {
        return std::unexpected("the profile cannot be read: " + file);
    }
    auto profile = parse_profile(text);
    if (!profile) {
        return std::unexpected(profile.error());
    }
    std::unique_ptr<ProfileProbe> probe(new ProfileProbe(*std::move(profile), registers, std::move(room)));
    only = probe.get();
    return probe;
}

void ProfileProbe::translate(qemu_plugin_tb* block) {
    const std::uint64_t begin = qemu_plugin_tb_vaddr(block);
    if (begin < Calls::image_begin && !calls_.slide()) {
        return;
    }
    const std::size_t count = qemu_plugin_tb_n_insns(block);
    for (std::size_t i = 0; i < count; ++i) {
        qemu_plugin_insn* instruction = qemu_plugin_tb_get_insn(block, i);
        const std::uint64_t pc = qemu_plugin_insn_vaddr(instruction);
        const Call* call = calls_.begins(pc);
        if (call != nullptr && translation_ == nullptr && call->is_about_translation()) {
            call = nullptr;
        }
        if (call != nullptr) {
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, call->releases() ? on_release : on_begin,
                                                   QEMU_PLUGIN_CB_R_REGS, const_cast<Call*>(call));
        } else if (calls_.returns(pc)) {
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_end, QEMU_PLUGIN_CB_R_REGS,
                                                   Site{pc, 0}.userdata());
        } else if (i == 0 && calls_.may_be_anchor(pc)) {
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_anchor, QEMU_PLUGIN_CB_R_REGS,
                                                   Site{pc, 0}.userdata());
        }
    }
}

void ProfileProbe::on_anchor(unsigned cpu, void* userdata) {
    const std::uint64_t pc = Site::unpack(userdata).pc;
    GByteArray* room = only->room_(cpu);
    const auto code = [room](std::uint64_t address, std::size_t size) {
        return read_guest(room, address, size);
    };
    if (!only->calls_.is_anchor(pc, code)) {
        return;
    }
    Line line{"paravane_profile"};
    line.decimal("cpu", cpu).hex("pc", pc).hex("slide", *only->calls_.slide());
    qemu_plugin_outs(line.finish());
    write(cpu, pc, PV_MARKER_hello, {PV_MARKER_VERSION, PV_FEATURE_DMA, 0, 0, *only->calls_.slide()}, 5);
    const auto& all = only->calls_.profile().calls;
    if (only->translation_ != nullptr && std::ranges::any_of(all, &Call::is_about_translation)) {
        only->translation_->believe_profile();
    }
}

void ProfileProbe::on_begin(unsigned cpu, void* userdata) {
    only->follow(cpu, static_cast<const Call*>(userdata), 0);
}

void ProfileProbe::on_end(unsigned cpu, void* userdata) {
    only->follow(cpu, nullptr, Site::unpack(userdata).pc);
}

void ProfileProbe::on_release(unsigned cpu, void* userdata) {
    const Call& call = *static_cast<const Call*>(userdata);
    GByteArray* room = only->room_(cpu);
    const ReadMemory read = [room](std::uint64_t address, std::size_t size) {
        return read_guest(room, address, size);
    };
    Registers6 registers;
    for (const Operand& operand : {call.page, call.order, call.batch}) {
        if (!operand.given()) {
            continue;
        }
        const auto value = read_register(only->registers_.argument(operand.index), room);
        if (!value) {
            only->calls_.lose();
            return;
        }
        registers.arguments.at(operand.index) = *value;
    }
    const Releases::Caller caller = [&] {
        const auto stack = read_register(only->registers_.general(stack_pointer), room);
        return (stack ? read(*stack, 8) : std::nullopt).value_or(1) - 1;
    };
    Releases releases(cpu, caller, *only->translation_);
    only->calls_.release(call, registers, read, releases);
}

void ProfileProbe::follow(unsigned cpu, const Call* begun, std::uint64_t pc) {
    GByteArray* room = room_(cpu);
    Registers6 registers;
    bool known = true;
    const auto take = [&](RegisterHandle handle, std::uint64_t& value) {
        const auto read = read_register(handle, room);
        known = known && read.has_value();
        value = read.value_or(0);
    };
    take(registers_.general(stack_pointer), registers.stack);
    take(registers_.general(0), registers.result);
    for (std::size_t i = 0; i < registers.arguments.size() && begun != nullptr; ++i) {
        take(registers_.argument(i), registers.arguments.at(i));
    }
    if (!known) {
        calls_.lose();
        return;
    }
    const ReadMemory read = [room](std::uint64_t address, std::size_t size) {
        return read_guest(room, address, size);
    };
    if (begun != nullptr) {
        const auto site = read(registers.stack, 8);
        Markers markers(cpu, site.value_or(1) - 1, translation_);
        calls_.begin(*begun, registers, read, markers);
    } else {
        Markers markers(cpu, pc - 1, translation_);
        calls_.end(pc, registers, read, markers);
    }
}

}  // namespace pv::plugin
