// x86-64 page tables: map, unmap, look up, walk. Write xor execute is in the type: no access is both.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>

#include "base/address.hpp"
#include "base/function_ref.hpp"
#include "base/result.hpp"

/// Intel SDM vol. 3 chapter 4.5 (four-level paging).
namespace pv::arch {

inline constexpr std::uint64_t memory_half = 0xffff'8000'0000'0000;  ///< the kernel's half begins here

enum class Access : std::uint8_t { read, read_write, read_execute };
enum class Cache : std::uint8_t { write_back, uncached };
enum class Owner : std::uint8_t { kernel, user };

struct Leaf {
    VirtualAddress address{};  ///< of the page's first byte
    PhysicalAddress physical{};
    std::uint64_t size = 0;
    bool writable = false;  ///< at all levels
    bool executable = false;
    bool user = false;
    bool uncached = false;
};

using FrameSource = FunctionRef<Result<PhysicalAddress>()>;

class PageTable {
  public:
    constexpr explicit PageTable(PhysicalAddress root) : root_(root) {}

    [[nodiscard]] PhysicalAddress root() const { return root_; }

    /// Maps `length` bytes with the largest pages that fit. All three are multiples of the page size. Tables
    /// come zero-filled from `frames`. Errors: invalid_argument (alignment, or something is mapped there),
    /// what `frames` fails with; then nothing of the range stays mapped. The caller serialises changes.
    Result<> map(VirtualAddress address, PhysicalAddress physical, std::uint64_t length, Access access,
                 Cache cache, Owner owner, FrameSource frames);
    /// Takes the range out and invalidates it on this CPU only: others follow with tlb::flush. Pages of the
    /// range are wholly inside it.
    void unmap(VirtualAddress address, std::uint64_t length);

    /// Takes everything around `address` out that one entry of the top level maps (512 GiB), and returns the
    /// table it led to, nothing when there was none. Invalidates nothing: first all CPUs forget everything,
    /// then free_tables gives the frames back.
    std::optional<PhysicalAddress> detach(VirtualAddress address);
    /// Calls `give_back` for the frame of each table under one that detach returned, that one included.
    static void free_tables(PhysicalAddress detached, FunctionRef<void(PhysicalAddress)> give_back);

    /// The page around `address`. Any context.
    [[nodiscard]] std::optional<Leaf> lookup(VirtualAddress address) const;
    /// Calls `visit` for every leaf, in order of address.
    void for_each(FunctionRef<void(const Leaf&)> visit) const;

  private:
    PhysicalAddress root_;
};

/// The kernel's own tables. Those of processes share its upper half, entry by entry of the top level.
[[nodiscard]] PageTable kernel_page_table();

/// Makes `table` the kernel's own, and loads it. Once, at boot.
void use_kernel_page_table(PageTable table);

}  // namespace pv::arch
