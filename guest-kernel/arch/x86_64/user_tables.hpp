// The page tables of one address space of a program: the lower half is its own, the upper half the kernel's.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "arch/x86_64/tlb.hpp"
#include "base/address.hpp"
#include "base/atomic.hpp"
#include "base/function_ref.hpp"
#include "base/ref.hpp"
#include "base/result.hpp"

/// Intel SDM vol. 3 chapter 4.5 (four-level paging), 4.10 (what processors remember).
namespace pv::arch {

/// Addresses of programs end here: one page below the middle of the address space, so that no instruction's
/// successor is a non-canonical address.
inline constexpr UserAddress user_end{0x0000'7fff'ffff'f000};

inline constexpr unsigned large_page_order = 9;
inline constexpr std::uint64_t large_page_size = std::uint64_t{page_size} << large_page_order;

struct UserPage {
    PhysicalAddress frame{};
    bool writable = false;
    bool executable = false;
    bool reachable = true;  ///< otherwise kept, and present for nobody: PROT_NONE
    bool large = false;     ///< one of those that one entry maps together, 2 MiB
};

/// Changed by one thread at a time (the address space's lock); read by the processors that have it loaded.
/// Whoever is an owner of the object keeps the tables' root; the pages go when the address space says so. A
/// processor that has the tables loaded is an owner too, also while it runs something else.
/// A large page's frames are one block of large_page_order with one owner. Where only some of them are to
/// change, they become single frames, each with a page of its own, first: that cannot fail, for a table is
/// kept in stock for each large page. Nothing is flushed then: both give the same, and forgetting one of the
/// pages forgets the large one (4.10.4.1).
class UserTables final : public RefCounted {
  public:
    /// Error: out_of_memory.
    static Result<Ref<UserTables>> create();

    /// Of the top level, for CR3.
    [[nodiscard]] PhysicalAddress root() const { return root_; }

    /// The page there; of a large one, the part there.
    [[nodiscard]] std::optional<UserPage> lookup(UserAddress address) const;

    /// Maps one page, where none is or in place of one (not a large one): then the caller flushes. It becomes
    /// the owner of the frame's owner's part. Error: out_of_memory, for a table.
    Result<> set(UserAddress address, UserPage page);

    /// Whether a large page may be set around `address`: no table is there.
    [[nodiscard]] bool has_room_for_large(UserAddress address) const;

    /// Maps a large page, where there is room for one or in place of one of the same frames. As set.
    Result<> set_large(UserAddress address, UserPage page);

    /// Makes single pages of all large ones that have a page in [begin, end).
    void split(UserAddress begin, UserAddress end);

    /// Takes the pages of [begin, end) out, makes all processors that may know them forget them, and only
    /// then calls `give_back` for each block of frames, with its order. Tables are given back where [floor,
    /// ceiling) has no other page: the range between the neighbours that stay. Error: timed_out, when a
    /// processor did not answer: the frames are then lost for good.
    Result<> remove(UserAddress begin, UserAddress end, UserAddress floor, UserAddress ceiling,
                    FunctionRef<void(PhysicalAddress, unsigned)> give_back);

    /// Calls `change` for each page of [begin, end), once for a large one; what it returns replaces the page
    /// (of the same size), nothing leaves it as it is. Makes single pages of a large one that lies in the
    /// range in part. Flushes nothing.
    void change(UserAddress begin, UserAddress end,
                FunctionRef<std::optional<UserPage>(UserAddress, UserPage)> change);

    /// Gives `child`, which has none there, the pages of [begin, end) as well: each frame has an owner more,
    /// and nobody may write it any more. Whether anybody could before: the caller flushes then. Error:
    /// out_of_memory, for a table; some are given then.
    Result<bool> share(UserTables& child, UserAddress begin, UserAddress end);

    /// Makes all processors that may have it loaded forget [begin, end). Error: timed_out.
    Result<> flush(UserAddress begin, UserAddress end) const;

    /// Pages mapped.
    [[nodiscard]] std::uint64_t pages() const { return pages_.load(std::memory_order_relaxed); }

    /// How many of them are parts of large ones.
    [[nodiscard]] std::uint64_t large_pages() const { return large_.load(std::memory_order_relaxed); }

    /// The same of all tables.
    [[nodiscard]] static std::uint64_t large_pages_of_all();

    /// Frames that hold tables.
    [[nodiscard]] std::uint64_t tables() const { return tables_.load(std::memory_order_relaxed); }

    /// The processor `cpu` is about to load it, or has loaded another one since. Any context.
    void enter(unsigned cpu);
    void leave(unsigned cpu);

  private:
    explicit UserTables(PhysicalAddress root) : root_(root) {}

    ~UserTables() override;

    /// What a removal gives back.
    struct Swept {
        FunctionRef<void(PhysicalAddress, unsigned)> give_back;
        std::uint64_t pages = 0;
        std::uint64_t large = 0;  ///< large pages
        std::uint64_t tables = 0;
    };

    Result<> ensure_table(std::uint64_t& entry);
    /// The entry of `level` for an address, with the tables above it. Error: out_of_memory.
    Result<std::uint64_t*> ensure_entry(UserAddress address, unsigned level);
    [[nodiscard]] std::uint64_t* find_large(UserAddress address) const;
    /// Makes `address` a border of pages: single ones of a large one that has it inside.
    void split_at(UserAddress address);
    void split_entry(std::uint64_t& entry);
    void count_large(std::uint64_t come, std::uint64_t gone);
    Result<> stock_table();
    PhysicalAddress take_stocked_table();
    bool mark(PhysicalAddress table, unsigned level, std::uint64_t base, std::uint64_t begin,
              std::uint64_t end, std::uint64_t floor, std::uint64_t ceiling);
    void sweep(PhysicalAddress table, unsigned level, std::uint64_t base, std::uint64_t begin,
               std::uint64_t end, bool goes, Swept& swept);
    [[nodiscard]] tlb::CpuSet users() const;

    PhysicalAddress root_;
    PhysicalAddress stock_{};       ///< tables in stock, each with the next one's address in its first entry
    bool has_lost_frames_ = false;  ///< a processor did not answer
    Atomic<std::uint64_t> pages_{0};
    Atomic<std::uint64_t> large_{0};  ///< pages that are parts of large ones
    Atomic<std::uint64_t> tables_{1};
    std::array<Atomic<std::uint64_t>, cpus_max / 64> users_{};  ///< processors, as bits
};

}  // namespace pv::arch
