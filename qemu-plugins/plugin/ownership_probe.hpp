// The probe `ownership`: watches loads and stores, tells who owns which buffer, writes what it finds.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>

#include "ownership/tracker.hpp"
#include "plugin/places.hpp"
#include "plugin/qemu_api.hpp"

namespace pv::plugin {

/// Any vCPU may call. One lock guards the tracker; what most accesses need is asked without it.
class OwnershipProbe {
  public:
    explicit OwnershipProbe(Places& places);

    OwnershipProbe(const OwnershipProbe&) = delete;
    OwnershipProbe& operator=(const OwnershipProbe&) = delete;

    /// Hooks the instruction with which a machine begins.
    void watch_reset(qemu_plugin_tb* block);

    void marker(std::uint16_t number, std::span<const std::uint64_t, 6> args);

    /// The totals, when QEMU ends.
    void finish();

    // --- for the callbacks of accesses; `userdata` is the instruction's Site
    /// False while no load of any processor matters.
    [[nodiscard]] bool loads_matter() const {
        return loads_matter_.load(std::memory_order_acquire)->load(std::memory_order_relaxed);
    }

    /// An access at `place` that may matter.
    void look(unsigned cpu, qemu_plugin_meminfo_t info, std::uint64_t linear, const void* userdata,
              bool is_store, const Place& place);

    void on_reset();

  private:
    void look_at_registers(const ownership::Actor& actor, ownership::Region region,
                           qemu_plugin_meminfo_t info, const ownership::Access& access);
    void look_at_memory(const ownership::Actor& actor, const ownership::Access& access);
    ownership::Tracker* begin();
    void write_totals() const;

    static constexpr std::atomic<bool> never = false;

    Places& places_;
    std::mutex lock_;
    std::unique_ptr<ownership::Sink> sink_;
    std::unique_ptr<ownership::Tracker> owner_;
    std::atomic<ownership::Tracker*> tracker_ = nullptr;  ///< owner_'s, once it is made
    std::atomic<const std::atomic<bool>*> loads_matter_ = &never;
    std::atomic<bool> sought_ = false;
};

}  // namespace pv::plugin
