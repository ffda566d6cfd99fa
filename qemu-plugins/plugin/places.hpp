// Where linear pages lie in the guest's memory, as each vCPU last saw it: what every load and store asks
// first.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "ownership/ranges.hpp"
#include "ownership/tracker.hpp"
#include "plugin/guest_memory.hpp"
#include "plugin/qemu_api.hpp"
#include "translation/frame_set.hpp"
#include "translation/obligations.hpp"

namespace pv::plugin {

/// Where one linear page lies. `mark` is what is known of its frame (translation::mark_*), `others` what lies
/// in no frame of memory.
struct alignas(32) Place {
    std::uint64_t key = 0;  ///< the page, with the epoch above its 52 bits
    const std::atomic<std::uint8_t>* mark = nullptr;
    std::uint64_t physical = 0;  ///< of the page
    ownership::Region region{};  ///< of registers
    bool is_registers = false;

    /// Whether some of `marks` is set for its frame.
    [[nodiscard]] bool has(std::uint8_t marks) const {
        return (mark->load(std::memory_order_relaxed) & marks) != 0;
    }
};

class Places {
  public:
    /// No access is longer. One that begins so near to a page's end may go on in the next.
    static constexpr std::uint64_t longest_access = 32;

    /// Those of one vCPU. Only its own callbacks read and write them.
    class alignas(64) Cpu {
      public:
        /// Where the page of `linear` lies, and with it all of an access there; nullptr where that has to be
        /// asked for.
        [[nodiscard]] const Place* find(std::uint64_t linear) const {
            const std::uint64_t page = linear / ownership::page_size;
            const Place& found = places_[page % pages];
            return found.key == (page | epoch_) &&
                           linear % ownership::page_size <= ownership::page_size - longest_access
                       ? &found
                       : nullptr;
        }

        /// For most pages false that this vCPU owes nothing for (translation::Tracker::may_cover).
        [[nodiscard]] bool may_owe(std::uint64_t linear) const {
            return owed_.load(std::memory_order_relaxed)->may_contain(linear);
        }

      private:
        friend class Places;

        static constexpr std::size_t pages = 512;
        static constexpr std::size_t other_pages = 16;
        static constexpr std::uint64_t one_epoch = std::uint64_t{1} << 52;

        std::uint64_t epoch_ = one_epoch;  ///< never 0
        std::atomic<const translation::PageFilter*> owed_ = nullptr;
        /// Linear pages of registers that do not matter, each plus one: kept over epochs. QEMU 10.0 aborts
        /// when it is asked for a page of registers while another processor changes the map of memory, and a
        /// local APIC is written all the time.
        std::array<std::uint64_t, other_pages> others_{};
        std::array<Place, pages> places_{};
    };

    explicit Places(unsigned cpus);

    /// By number, as long as this lives.
    [[nodiscard]] const Cpu* cpus() const { return cpus_.data(); }

    /// Asks QEMU where `linear` lies, and remembers it. Nothing where nothing is that matters: registers of
    /// devices that are not followed. Only within the callback of an access there.
    [[nodiscard]] std::optional<Place> ask(unsigned cpu, qemu_plugin_meminfo_t info, std::uint64_t linear);

    /// For any thread. `filter` lives as long as this; until it is set, nothing is owed.
    void set_filter(unsigned cpu, const translation::PageFilter& filter) {
        cpus_[cpu].owed_.store(&filter, std::memory_order_release);
    }

    /// The vCPU changes what its linear addresses mean.
    void forget(unsigned cpu);

    /// The guest's memory, sought when it is first asked for: QEMU makes the machine after it loaded plugins.
    const GuestMemory::Found& memory();

    /// Of that memory; nullptr where there is none.
    const std::shared_ptr<translation::FrameMarks>& marks();

  private:
    std::vector<Cpu> cpus_;
    std::once_flag sought_;
    GuestMemory::Found found_;
    std::shared_ptr<translation::FrameMarks> marks_;
};

}  // namespace pv::plugin
