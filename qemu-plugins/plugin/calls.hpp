// Follows the calls of a profile: where the kernel runs, what it calls, and what that means.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <unordered_set>
#include <vector>

#include "plugin/profile.hpp"

namespace pv::plugin {

/// Reads `size` bytes (at most 8) of the guest's virtual memory, little-endian; nothing where it has none.
using ReadMemory = std::function<std::optional<std::uint64_t>(std::uint64_t address, std::size_t size)>;

/// What the calls mean: as the markers dma_map and dma_unmap say it, and as the shadow of translation wants
/// it.
class CallSink {
  public:
    virtual ~CallSink() = default;
    /// `physical`: of the first byte, PV_PHYSICAL_UNKNOWN where that is not known; `direction`:
    /// pv_dma_direction.
    virtual void map(std::uint64_t device, std::uint64_t bus, std::uint64_t physical, std::uint64_t length,
                     std::uint64_t direction) = 0;
    virtual void unmap(std::uint64_t device, std::uint64_t bus, std::uint64_t length) = 0;
    /// Frames are given back.
    virtual void release(std::uint64_t physical, std::uint64_t length) = 0;
    /// A shootdown begins. The answer is given back when it is over.
    virtual std::uint64_t shootdown_begin() = 0;
    /// `root`: physical address of the tables.
    virtual void shootdown_end(std::uint64_t begun, std::uint64_t root, std::uint64_t address,
                               std::uint64_t length) = 0;
    /// The same of the kernel's, in all tables.
    virtual void kernel_shootdown_end(std::uint64_t begun, std::uint64_t address, std::uint64_t length) = 0;
};

/// What a vCPU has when it executes the first instruction of a call, or the one after it.
struct Registers6 {
    std::array<std::uint64_t, 6> arguments{};
    std::uint64_t stack = 0;   ///< rsp
    std::uint64_t result = 0;  ///< rax
};

/// Any vCPU may call, with QEMU translating on several. Bounded: a guest that forges calls costs room for a
/// number of them. What does not fit, or whose memory cannot be read, is counted.
class Calls {
  public:
    static constexpr std::size_t most_under_way = 512;
    static constexpr std::size_t most_sites = 4'096;
    static constexpr std::uint64_t most_entries = 4'096;  ///< of a list
    /// KASLR moves a kernel by multiples of this (CONFIG_PHYSICAL_ALIGN is that much at least) ...
    static constexpr std::uint64_t grain = 0x20'0000;
    /// ... within this range (arch/x86: KERNEL_IMAGE_SIZE from __START_KERNEL_map on).
    static constexpr std::uint64_t image_begin = 0xffff'ffff'8000'0000;
    static constexpr std::uint64_t image_end = 0xffff'ffff'c000'0000;

    explicit Calls(Profile profile) : profile_(std::move(profile)) {}

    [[nodiscard]] const Profile& profile() const { return profile_; }

    /// Whether the anchor can lie at `pc`.
    [[nodiscard]] bool may_be_anchor(std::uint64_t pc) const {
        return pc >= image_begin && pc < image_end && (pc - profile_.anchor) % grain == 0;
    }

    /// A vCPU executes the instruction at `pc`. True when it is the anchor's: the kernel runs moved by what
    /// is from now on the slide, and everything learnt before is forgotten.
    [[nodiscard]] bool is_anchor(std::uint64_t pc, const ReadMemory& code);

    /// How far the kernel moved itself; nothing before the anchor was seen.
    [[nodiscard]] std::optional<std::uint64_t> slide() const;

    /// The call that begins at `pc`; nullptr when none does.
    [[nodiscard]] const Call* begins(std::uint64_t pc) const;

    /// Whether a call returned, or will return, to `pc`.
    [[nodiscard]] bool returns(std::uint64_t pc) const;

    /// A vCPU executes the first instruction of `call`.
    void begin(const Call& call, const Registers6& registers, const ReadMemory& read, CallSink& sink);

    /// The same for one that releases(): only the arguments that it names need be there.
    void release(const Call& call, const Registers6& registers, const ReadMemory& read, CallSink& sink);

    /// A vCPU executes the instruction at `pc`, to which calls return.
    void end(std::uint64_t pc, const Registers6& registers, const ReadMemory& read, CallSink& sink);

    /// One more call that could not be followed.
    void lose() { lost_.fetch_add(1, std::memory_order_relaxed); }

    /// Calls that could not be followed.
    [[nodiscard]] std::uint64_t lost() const { return lost_.load(std::memory_order_relaxed); }

  private:
    struct UnderWay {
        const Call* call = nullptr;  ///< nullptr: free
        std::uint64_t stack = 0;     ///< after its return
        std::uint64_t site = 0;
        std::array<std::uint64_t, 6> arguments{};
        std::uint64_t begun = 0;  ///< what the sink said of a shootdown
    };

    [[nodiscard]] bool is_anchor_code(std::uint64_t pc, const ReadMemory& code) const;
    void carry_out(const Call& call, const Registers6& registers, const ReadMemory& read, CallSink& sink);
    bool release_folios(std::uint64_t batch, const ReadMemory& read, CallSink& sink);
    void end_shootdown(const UnderWay& ended, const ReadMemory& read, CallSink& sink);
    std::optional<std::uint64_t> value(const Operand& operand, const Registers6& registers,
                                       const ReadMemory& read) const;
    /// The PCI address of a struct device; nothing for one of another bus.
    std::optional<std::uint64_t> bdf(std::uint64_t device, const ReadMemory& read) const;
    std::uint64_t physical(std::optional<std::uint64_t> page, std::uint64_t offset, const ReadMemory& read);
    /// What stands in a variable of the kernel that keeps its value once memory is managed.
    std::optional<std::uint64_t> variable(std::atomic<std::uint64_t>& known, std::uint64_t address,
                                          const ReadMemory& read);
    bool list(
        std::uint64_t entry, std::uint64_t count, const ReadMemory& read,
        const std::function<void(std::uint64_t bus, std::uint64_t physical, std::uint64_t length)>& each);

    Profile profile_;
    std::atomic<std::uint64_t> slide_ = unknown;
    std::atomic<std::uint64_t> lost_ = 0;
    std::atomic<std::uint64_t> first_page_ = 0;    ///< its struct page; 0: not known yet
    std::atomic<std::uint64_t> memory_begin_ = 0;  ///< where all memory is mapped; 0: not known yet
    mutable std::mutex lock_;
    std::array<UnderWay, most_under_way> under_way_;
    std::unordered_set<std::uint64_t> sites_;

    static constexpr std::uint64_t unknown = ~std::uint64_t{0};
};

}  // namespace pv::plugin
