// Watches the functions of a profile, and writes what they mean as markers.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>

#include "plugin/calls.hpp"
#include "plugin/line.hpp"
#include "plugin/qemu_api.hpp"
#include "plugin/registers.hpp"
#include "plugin/translation_probe.hpp"

namespace pv::plugin {

/// Lives until QEMU is gone. `bytes` gives a vCPU's room for reading.
class ProfileProbe {
  public:
    using RoomOf = std::function<GByteArray*(unsigned cpu)>;

    /// Reads the file that `profile=` names. The error is one line.
    [[nodiscard]] static std::expected<std::unique_ptr<ProfileProbe>, std::string> open(
        const std::string& file, const Registers& registers, RoomOf room);

    /// Who is told of frames given back and of shootdowns; without one, these are not looked at.
    void tell(TranslationProbe& translation) { translation_ = &translation; }

    /// Every translation: puts callbacks on the few instructions that are watched.
    void translate(qemu_plugin_tb* block);

    /// Calls that could not be followed.
    [[nodiscard]] std::uint64_t lost() const { return calls_.lost(); }

  private:
    ProfileProbe(Profile profile, const Registers& registers, RoomOf room)
        : calls_(std::move(profile)), registers_(registers), room_(std::move(room)) {}

    static void on_anchor(unsigned cpu, void* userdata);
    static void on_begin(unsigned cpu, void* userdata);
    static void on_end(unsigned cpu, void* userdata);
    static void on_release(unsigned cpu, void* userdata);

    void follow(unsigned cpu, const Call* begun, std::uint64_t pc);

    Calls calls_;
    const Registers& registers_;
    RoomOf room_;
    TranslationProbe* translation_ = nullptr;
};

}  // namespace pv::plugin
