// The regions of an address space: which addresses mean what. Nothing here touches a page table.
// SPDX-License-Identifier: MIT
#pragma once

#include <boost/intrusive/set.hpp>
#include <cstdint>
#include <memory>

#include "base/address.hpp"
#include "base/function_ref.hpp"
#include "base/ref.hpp"
#include "base/result.hpp"
#include "memory/page_source.hpp"

namespace pv::memory {

/// What a program may do. Writable and executable at once exists only where the machine was told to allow it
/// (allow_writable_code): regions are refused before.
struct Rights {
    bool read = false;
    bool write = false;
    bool execute = false;

    [[nodiscard]] constexpr bool any() const { return read || write || execute; }

    friend constexpr bool operator==(Rights, Rights) = default;
};

/// What people are told a region is for.
enum class Purpose : std::uint8_t { other, heap, stack, vdso, vvar };

/// What a program said of a region's pages (madvise(2)).
struct Advice {
    enum class Large : std::uint8_t { unsaid, wanted, unwanted };
    enum class AtFork : std::uint8_t { copied, left_out, zeroed };

    Large large = Large::unsaid;
    AtFork at_fork = AtFork::copied;

    friend constexpr bool operator==(Advice, Advice) = default;
};

/// What a region's pages are. Two regions side by side with equal contents are one.
struct Contents {
    Rights rights;
    Rights rights_max{true, true, true};  ///< what mprotect may give, but for reading
    bool shared = false;                  ///< with other address spaces, after fork too
    bool grows_down = false;
    Purpose purpose = Purpose::other;
    Advice advice;
    Ref<PageSource> source;    ///< none: zero-filled memory of its own
    std::uint64_t offset = 0;  ///< of the region's first page in the source, in pages
};

/// [begin, end), whole pages. Owned by its RegionMap.
class Region
    : public boost::intrusive::set_base_hook<boost::intrusive::link_mode<boost::intrusive::normal_link>> {
  public:
    Region(UserAddress begin, UserAddress end, Contents contents)
        : begin_(begin), end_(end), contents_(std::move(contents)) {}

    [[nodiscard]] UserAddress begin() const { return begin_; }

    [[nodiscard]] UserAddress end() const { return end_; }

    [[nodiscard]] std::uint64_t size() const { return end_ - begin_; }

    [[nodiscard]] const Contents& contents() const { return contents_; }

    [[nodiscard]] bool contains(UserAddress address) const { return begin_ <= address && address < end_; }

    /// The page of the source that `address`, inside the region, shows.
    [[nodiscard]] std::uint64_t source_page(UserAddress address) const {
        return contents_.offset + (address - begin_) / page_size;
    }

  private:
    friend class RegionMap;

    UserAddress begin_;
    UserAddress end_;
    Contents contents_;
};

/// What of a region is in memory.
struct RegionPages {
    std::uint64_t all = 0;     ///< pages
    std::uint64_t large = 0;   ///< those that one entry of the tables maps together with others
    std::uint64_t own = 0;     ///< those of no file
    std::uint64_t shared = 0;  ///< those mapped more than once
    std::uint64_t share = 0;   ///< bytes, each page's divided by how often it is mapped
};

/// Not synchronised. All addresses are page-aligned.
class RegionMap {
  public:
    RegionMap() = default;
    RegionMap(const RegionMap&) = delete;
    RegionMap& operator=(const RegionMap&) = delete;

    ~RegionMap() { clear(); }

    /// The region around `address`, nullptr when there is none.
    [[nodiscard]] Region* find(UserAddress address);
    /// The first region that ends above `address`.
    [[nodiscard]] Region* first_above(UserAddress address);
    [[nodiscard]] Region* next(Region& region);
    [[nodiscard]] Region* previous(Region& region);

    /// Adds a region where there is none (PV_ASSERT), as one with its neighbours where they are alike. Error:
    /// out_of_memory.
    Result<> add(UserAddress begin, UserAddress end, const Contents& contents);
    /// Adds one like `region`, of another map, above all there are (PV_ASSERT). Error: out_of_memory.
    Result<> append(const Region& region);
    /// Makes `address` a border: no region lies on both sides of it. Error: out_of_memory.
    Result<> split(UserAddress address);
    /// Removes what lies in [begin, end), which are borders.
    void remove(UserAddress begin, UserAddress end);
    /// Calls `change` for the contents of the regions in [begin, end), which are borders, and joins what is
    /// alike then.
    void change(UserAddress begin, UserAddress end, FunctionRef<void(Contents&)> change);
    /// Lets a region begin lower. [begin, region.begin()) is free.
    void extend_down(Region& region, UserAddress begin);
    void clear();

    /// Whether no region lies in [begin, end).
    [[nodiscard]] bool is_free(UserAddress begin, UserAddress end);
    /// The highest free range of `size` bytes in [low, high). Error: out_of_memory.
    [[nodiscard]] Result<UserAddress> find_gap(std::uint64_t size, UserAddress low, UserAddress high);

    [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

    [[nodiscard]] std::size_t count() const { return regions_.size(); }

  private:
    struct Begin {
        using type = UserAddress;

        const UserAddress& operator()(const Region& region) const { return region.begin_; }
    };

    using Set = boost::intrusive::set<Region, boost::intrusive::key_of_value<Begin>>;

    /// Joins `region` with the one after it where they are alike.
    void join_next(Region& region);
    void join_around(UserAddress begin, UserAddress end);
    void destroy(Region& region);

    Set regions_;
    std::uint64_t bytes_ = 0;
};

}  // namespace pv::memory
