// The probe `tlb`: watches loads and stores, tells the shadow of translation, writes what it finds.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>

#include "plugin/guest_memory.hpp"
#include "plugin/places.hpp"
#include "plugin/qemu_api.hpp"
#include "translation/tracker.hpp"

namespace pv::plugin {

/// Page tables as GuestMemory has them.
class TableMemory final : public translation::Memory {
  public:
    explicit TableMemory(const GuestMemory& memory) : memory_(memory) {}

    [[nodiscard]] const std::uint64_t* table(std::uint64_t physical) const override {
        // Page tables are aligned in the guest, and guest memory is page-aligned here.
        return reinterpret_cast<const std::uint64_t*>(memory_.at(physical, translation::page_size));
    }

  private:
    GuestMemory memory_;
};

/// Any vCPU may call. One lock guards the shadow; what most accesses need is asked without it.
class TranslationProbe {
  public:
    /// `instructions`: how many a vCPU has executed. `grace` in milliseconds.
    TranslationProbe(unsigned cpus, std::uint64_t grace, std::function<std::uint64_t(unsigned)> instructions,
                     Places& places);

    TranslationProbe(const TranslationProbe&) = delete;
    TranslationProbe& operator=(const TranslationProbe&) = delete;

    /// Before a vCPU first needs it: QEMU makes the machine after it loaded plugins.
    void control(unsigned cpu, std::uint64_t pc, unsigned number, const translation::Control& now,
                 bool no_flush);
    void invlpg(unsigned cpu, std::uint64_t pc, std::uint64_t linear);
    void marker(unsigned cpu, std::uint64_t pc, std::uint16_t number, std::span<const std::uint64_t, 6> args);
    /// A program runs: the kernel has its tables as they shall be.
    void user_mode(unsigned cpu, std::uint64_t pc);

    // --- what a profile tells (docs/profiles.md)
    /// From here on one tells of frames given back and of shootdowns.
    void believe_profile();

    /// `flag` is read by generated code of programs: run_program() follows where it is not 0.
    void set_flag(qemu_plugin_u64 flag) { flag_ = flag; }

    /// Without a lock: whether release() has anything to do.
    [[nodiscard]] bool may_be_owed(std::uint64_t physical, std::uint64_t length) const {
        const translation::Tracker* tracker = tracker_.load(std::memory_order_acquire);
        return tracker != nullptr && tracker->may_be_owed(physical, length);
    }

    void release(unsigned cpu, std::uint64_t pc, std::uint64_t physical, std::uint64_t length);
    /// How many changes there were so far.
    [[nodiscard]] std::uint64_t changes();
    void shootdown_over(unsigned cpu, std::uint64_t pc, std::uint64_t changes, std::uint64_t root,
                        std::uint64_t address, std::uint64_t length);
    void kernel_shootdown_over(unsigned cpu, std::uint64_t pc, std::uint64_t changes, std::uint64_t address,
                               std::uint64_t length);
    /// A vCPU begins a block of a program's code, and its flag was set.
    void run_program(unsigned cpu, std::uint64_t pc);

    /// The totals, when QEMU ends.
    void finish();

    // --- for the callbacks of accesses; `userdata` is the instruction's Site
    /// An access for whose page Places::may_owe().
    void look(unsigned cpu, qemu_plugin_meminfo_t info, std::uint64_t linear, const void* userdata,
              bool is_store);
    /// A store to a frame with a table in it.
    void store(unsigned cpu, qemu_plugin_meminfo_t info, std::uint64_t physical, const void* userdata);

  private:
    [[nodiscard]] translation::Actor actor(unsigned cpu, std::uint64_t pc) const;
    bool begin(unsigned cpu);
    void write_totals() const;
    void write_told() const;
    void flag_holders();

    unsigned cpus_;
    translation::Limits limits_;
    std::function<std::uint64_t(unsigned)> instructions_;
    Places& places_;
    std::mutex lock_;
    std::unique_ptr<translation::Sink> sink_;
    std::unique_ptr<translation::Memory> memory_;
    std::unique_ptr<translation::Tracker> owner_;
    std::atomic<translation::Tracker*> tracker_ = nullptr;  ///< owner_'s, once it is made
    qemu_plugin_u64 flag_{};
    bool believes_profile_ = false;
    bool sought_ = false;
    bool said_not_long_mode_ = false;
};

}  // namespace pv::plugin
