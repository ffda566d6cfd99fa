// The probe `ownership`: watches loads and stores, tells who owns which buffer, writes what it finds.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "ownership/tracker.hpp"
#include "plugin/guest_memory.hpp"
#include "plugin/qemu_api.hpp"

namespace pv::plugin {

/// Any vCPU may call. One lock guards the tracker; what most accesses need is asked without it.
class OwnershipProbe {
  public:
    explicit OwnershipProbe(unsigned cpus);

    OwnershipProbe(const OwnershipProbe&) = delete;
    OwnershipProbe& operator=(const OwnershipProbe&) = delete;

    /// Hooks what one instruction of a block loads and stores.
    void watch(qemu_plugin_insn* instruction, std::uint64_t pc);

    /// Hooks the instruction with which a machine begins.
    void watch_reset(qemu_plugin_tb* block);

    /// A vCPU changes what its linear addresses mean.
    void forget(unsigned cpu);

    void marker(std::uint16_t number, std::span<const std::uint64_t, 6> args);

    /// The totals, when QEMU ends.
    void finish();

    /// For QEMU's callbacks; `userdata` is the instruction's Site.
    void on_load(unsigned cpu, qemu_plugin_meminfo_t info, std::uint64_t linear, const void* userdata) {
        const ownership::Tracker* tracker = tracker_.load(std::memory_order_acquire);
        if (tracker != nullptr && tracker->loads_matter()) {
            const Place* known = place(cpu, linear);
            if (known == nullptr || known->is_looked_at || tracker->concerns_load(known->physical)) {
                look(cpu, info, linear, userdata, false);
            }
        }
    }

    void on_store(unsigned cpu, qemu_plugin_meminfo_t info, std::uint64_t linear, const void* userdata) {
        const ownership::Tracker* tracker = tracker_.load(std::memory_order_acquire);
        const Place* known = place(cpu, linear);
        if (known == nullptr || tracker == nullptr || known->is_looked_at ||
            tracker->concerns_store(known->physical)) {
            look(cpu, info, linear, userdata, true);
        }
    }

    void on_reset();

  private:
    /// Where one linear page lies. A page has 52 bits; the epoch stands above.
    struct Place {
        std::uint64_t key = 0;
        std::uint64_t physical = 0;  ///< of the page
        bool is_looked_at = false;   ///< registers, of which each access matters
        ownership::Region region{};
    };

    /// Those of a vCPU, until it changes its tables.
    struct alignas(64) Places {
        static constexpr std::size_t pages = 512;
        static constexpr std::uint64_t one_epoch = std::uint64_t{1} << 52;

        static constexpr std::size_t other_pages = 16;

        std::uint64_t epoch = one_epoch;  ///< never 0
        /// Linear pages of registers that do not matter, each plus one: kept over epochs. QEMU 10.0 aborts
        /// when it is asked for a page of registers while another processor changes the map of memory, and a
        /// local APIC is written all the time.
        std::array<std::uint64_t, other_pages> others{};
        std::array<Place, pages> places{};
    };

    /// No access is longer. One that begins so near to a page's end may go on in the next.
    static constexpr std::uint64_t longest_access = 32;

    /// Where the page of `linear` lies; nullptr where that has to be asked for.
    [[nodiscard]] const Place* place(unsigned cpu, std::uint64_t linear) const {
        if (cpu >= places_.size() || linear % ownership::page_size > ownership::page_size - longest_access) {
            return nullptr;
        }
        const Places& mine = places_[cpu];
        const std::uint64_t page = linear / ownership::page_size;
        const Place& found = mine.places[page % Places::pages];
        return found.key == (page | mine.epoch) ? &found : nullptr;
    }

    void look(unsigned cpu, qemu_plugin_meminfo_t info, std::uint64_t linear, const void* userdata,
              bool is_store);
    /// Asks QEMU where `linear` lies, and remembers it; nothing where nothing that matters is.
    [[nodiscard]] std::optional<Place> ask(unsigned cpu, qemu_plugin_meminfo_t info, std::uint64_t linear);
    void look_at_registers(const ownership::Actor& actor, ownership::Region region,
                           qemu_plugin_meminfo_t info, const ownership::Access& access);
    void look_at_memory(const ownership::Actor& actor, const ownership::Access& access);
    ownership::Tracker* begin();
    void write_totals() const;

    std::vector<Places> places_;
    std::mutex lock_;
    std::unique_ptr<ownership::Sink> sink_;
    std::unique_ptr<GuestMemory> memory_;
    std::unique_ptr<ownership::Tracker> owner_;
    std::atomic<ownership::Tracker*> tracker_ = nullptr;  ///< owner_'s, once it is made
    std::atomic<bool> sought_ = false;
};

}  // namespace pv::plugin
