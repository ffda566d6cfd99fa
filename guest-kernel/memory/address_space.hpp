// One program's address space: regions, and the pages that faults bring in.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <span>

#include "arch/x86_64/user_tables.hpp"
#include "base/address.hpp"
#include "base/errno.hpp"
#include "base/function_ref.hpp"
#include "base/ref.hpp"
#include "memory/regions.hpp"
#include "task/lock.hpp"

namespace pv::memory {

enum class UserAccess : std::uint8_t { read, write, fetch };

/// What became of a fault.
enum class Resolution : std::uint8_t {
    resolved,       ///< try again
    unmapped,       ///< nothing is there
    denied,         ///< something is, and does not allow it
    beyond_source,  ///< past the end of the file
    out_of_memory,
};

/// What is to be mapped. Whole pages.
struct MapRequest {
    UserAddress hint{};  ///< 0: anywhere
    std::uint64_t length = 0;
    bool fixed = false;    ///< at `hint` and nowhere else
    bool replace = false;  ///< what is there goes; without it a fixed request fails with eexist
    Contents contents;
};

/// Lets programs have memory that is writable and executable at once, as compilers that run inside programs
/// want it. Once, before the first program; never taken back.
void allow_writable_code();
/// Whether a program may have these rights at all: not write and execute together, unless they are allowed.
[[nodiscard]] bool are_allowed(Rights rights);

/// LOCKING. One sleeping lock guards regions and tables. It is held while a page comes from its PageSource,
/// and never while a program's memory is touched. Whoever asks for rights that are not allowed gets eacces.
class AddressSpace final : public RefCounted {
  public:
    /// Lowest address that may be mapped: a null pointer with an offset finds nothing.
    static constexpr UserAddress lowest{0x1'0000};
    /// A stack grows to this many bytes.
    static constexpr std::uint64_t stack_max = 8ULL << 20;
    static constexpr std::size_t regions_max = 65530;

    /// `entropy`: where things go that may go anywhere. Error: out_of_memory.
    static Result<Ref<AddressSpace>> create(std::uint64_t entropy);

    /// Whoever runs in it has it loaded (arch/x86_64/user_mode.hpp).
    [[nodiscard]] const Ref<arch::UserTables>& tables() const { return tables_; }

    /// What belongs to all that run in it and ends with it (io_setup(2)); a fork has none.
    task::Guarded<Ref<RefCounted>, task::Rank::ipc> companion;

    /// Bytes it may have in all, of heap and of a growing stack (getrlimit(2)). Any thread; fork keeps them.
    struct Limits {
        std::uint64_t all = ~0ULL;
        std::uint64_t heap = ~0ULL;
        std::uint64_t stack = stack_max;
    };

    void set_limits(const Limits& limits);

    // Errors are those Linux gives: einval, enomem, eexist, eacces, efault.
    Outcome<UserAddress> map(const MapRequest& request);
    Outcome<> unmap(UserAddress begin, std::uint64_t length);
    /// Takes out what is left of the segment (PageSource::is_segment) that was mapped at `begin`, and returns
    /// it. Error: einval: there is none.
    Outcome<Ref<PageSource>> unmap_segment(UserAddress begin);
    Outcome<> protect(UserAddress begin, std::uint64_t length, Rights rights);
    /// Makes [old, old + old_length) new_length long, elsewhere if it must and `may_move`, or at `target`
    /// (unless 0).
    Outcome<UserAddress> remap(UserAddress old, std::uint64_t old_length, std::uint64_t new_length,
                               bool may_move, UserAddress target);
    /// Drops the pages: the next look finds zeros, or the file's. Error: einval (the clock's page among
    /// them).
    Outcome<> discard(UserAddress begin, std::uint64_t length);
    /// Calls `change` for what is mapped in the range: it changes what is said of it, or refuses. Errors:
    /// einval, enomem (there is a gap: all else is changed), what `change` fails with (nothing more is).
    Outcome<> advise(UserAddress begin, std::uint64_t length, FunctionRef<Outcome<>(Contents&)> change);
    /// Whether it may have large pages: fork keeps it.
    void set_large_pages(bool allowed);
    [[nodiscard]] bool has_large_pages();
    /// Whether all pages from `begin`, the beginning of one, are mapped.
    [[nodiscard]] bool is_covered(UserAddress begin, std::uint64_t length);
    /// Where the heap begins, once, when a program is loaded.
    void start_heap(UserAddress begin);
    /// Moves the heap's end, and tells where it is: unmoved when it cannot be.
    UserAddress set_break(UserAddress end);

    Resolution resolve(UserAddress address, UserAccess access);

    /// Whether the page there is in memory. Error: enomem, where nothing is mapped.
    Outcome<bool> is_present(UserAddress page);

    /// Where a byte lies whoever shares it: in this space, or in a frame (`space` 0).
    struct Place {
        std::uint64_t space = 0;
        std::uint64_t address = 0;
    };

    /// Error: efault, when nothing is there.
    Outcome<Place> locate(UserAddress address);

    // What the kernel itself does to a space, loaded or not, whatever the rights are; private pages are
    // copied first. Error: efault (nothing is mapped there), enomem.
    Outcome<> poke(UserAddress to, std::span<const std::byte> from);
    Outcome<> peek(std::span<std::byte> to, UserAddress from);

    /// A space of the same contents; private pages are shared until one writes. Error: enomem.
    Outcome<Ref<AddressSpace>> fork();

    /// Takes everything out. The last thread in it is the caller, or nobody is.
    void clear();

    /// The highest free range of `size` bytes below what is mapped by itself. Error: enomem.
    Outcome<UserAddress> find_gap(std::uint64_t size);

    /// Calls `visit` for each region in order, with the lock held: it touches no program's memory.
    void for_each(FunctionRef<void(const Region&)> visit);

    /// The same, with the pages of each counted.
    void for_each_counted(FunctionRef<void(const Region&, const RegionPages&)> visit);

    struct Statistics {
        std::uint64_t mapped = 0;    ///< bytes
        std::uint64_t resident = 0;  ///< pages
        std::uint64_t tables = 0;    ///< frames of page tables
    };

    [[nodiscard]] Statistics statistics();

  private:
    explicit AddressSpace(Ref<arch::UserTables> tables, UserAddress top)
        : tables_(std::move(tables)), top_(top) {}

    ~AddressSpace() override { clear(); }

    // The lock is held in all of these.
    [[nodiscard]] bool has_room(std::uint64_t more) const;
    Outcome<UserAddress> choose(const MapRequest& request);
    Outcome<> cut(UserAddress begin, UserAddress end);
    Outcome<> change_rights(UserAddress begin, UserAddress end, Rights rights);
    RegionPages count(const Region& region);
    void drop_pages(UserAddress begin, UserAddress end);
    template <class F>
    UserAddress for_regions(UserAddress begin, UserAddress end, F&& f);
    Region* region_for_fault(UserAddress address);
    bool bring_in_large(const Region& region, UserAddress page);
    Resolution bring_in(Region& region, UserAddress page, bool write);
    Resolution unshare(Region& region, UserAddress page, arch::UserPage old);
    Outcome<arch::UserPage> page_for(UserAddress address, bool write);
    Outcome<> copy_into(AddressSpace& child);

    Ref<arch::UserTables> tables_;
    UserAddress top_;  ///< mappings without a wish go below
    Limits limits_;
    bool has_large_pages_ = true;
    UserAddress heap_begin_{};
    UserAddress heap_end_{};
    RegionMap regions_;
    task::Mutex lock_{task::Rank::user_space};
};

}  // namespace pv::memory
