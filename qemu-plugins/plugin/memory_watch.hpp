// Loads and stores of all vCPUs, for the probes that look at them.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>

#include "plugin/ownership_probe.hpp"
#include "plugin/places.hpp"
#include "plugin/qemu_api.hpp"
#include "plugin/translation_probe.hpp"

namespace pv::plugin {

/// Has the callbacks of loads and stores ask `places` and then the probes, of which one may be nullptr. All
/// live until QEMU is gone. Once, before the first block is translated.
void begin_watching(Places& places, TranslationProbe* translation, OwnershipProbe* ownership);

/// Hooks what the instruction at `pc` loads and stores.
void watch_memory(qemu_plugin_insn* instruction, std::uint64_t pc);

}  // namespace pv::plugin
