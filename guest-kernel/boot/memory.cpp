// From the loader's memory map to page tables and frames.
// SPDX-License-Identifier: MIT
#include "boot/memory.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "arch/x86_64/image.hpp"
#include "arch/x86_64/page_table.hpp"
#include "arch/x86_64/registers.hpp"
#include "base/atomic.hpp"
#include "base/marker.hpp"
#include "base/panic.hpp"
#include "memory/buddy.hpp"
#include "memory/direct_map.hpp"
#include "memory/frames.hpp"
#include "memory/refusal.hpp"
#include "task/lock.hpp"

namespace pv::boot {
namespace {

using memory::Buddy;
using memory::Range;
using memory::to_pointer;

constexpr std::uint64_t first_mebibyte = 1ULL << 20;   // the firmware's; never given out
constexpr std::uint64_t boot_window_end = 1ULL << 30;  // what entry.S maps of the direct map
constexpr std::uint64_t boot_page = 2ULL << 20;

/// One run of RAM under management, described at its own beginning.
struct Zone {
    Zone* next;
    std::uint64_t metadata_frames;
    Atomic<std::uint32_t>* further_owners;  ///< one a frame of the run
    Buddy buddy;
};

struct Zones {
    Zone* first = nullptr;  ///< highest addresses first: low memory is spent last
};

// Set once at boot, then only read.
constinit std::span<const Range> ram_ranges;
constinit PhysicalAddress startup_page_at;
constinit Range module_bytes;  ///< the initramfs, as the loader placed it
constinit task::Guarded<Zones, task::Rank::frames> zones;
constinit Atomic<bool> scarce{false};
constinit Atomic<bool> low{false};
constinit Atomic<bool> plentiful{false};

// After each change; zones are few.
void note_scarcity(const Zones& list) {
    std::uint64_t total = 0;
    std::uint64_t free = 0;
    for (const Zone* zone = list.first; zone != nullptr; zone = zone->next) {
        total += zone->buddy.managed_count();
        free += zone->buddy.free_count();
    }
    const std::uint64_t reserve = std::clamp<std::uint64_t>(total / 64, 128, 4096);
    constexpr std::uint64_t of_births = 256;  // what those just born are about to touch
    scarce.store(free < reserve, std::memory_order_relaxed);
    low.store(free < reserve + std::max(reserve, of_births), std::memory_order_relaxed);
    plentiful.store(free > total / 2, std::memory_order_relaxed);
}

Range image() {
    return {arch::image_physical(pv_image_start).value(), arch::image_physical(pv_image_end).value()};
}

/// Gives out memory in order of address before there is an allocator; keeps all of it.
struct BootAllocator {
    Range free;
    std::uint64_t next = 0;

    std::uint64_t take(std::uint64_t bytes) {
        const std::uint64_t at = next;
        bytes = align_up(bytes, page_size);
        if (bytes > free.end - next || memory::is_refused()) {
            panic("not enough memory for the page tables: {} bytes more in {:#x}..{:#x}", bytes, free.begin,
                  free.end);
        }
        next += bytes;
        return at;
    }
};

// The largest piece of RAM below the boot window's end without the first MiB, the image and what the loader
// left.
Range room_for_boot(std::span<const memory::MapEntry> map, std::span<const Range> taken) {
    Range best;
    for (const memory::MapEntry& entry : map) {
        if (entry.type != memory::map_type_ram || entry.address >= boot_window_end) {
            continue;
        }
        const Range piece{std::max(entry.address, first_mebibyte),
                          std::min(entry.address + std::min(entry.size, boot_window_end), boot_window_end)};
        // It may begin where the piece does, or behind something taken, and ends before the next such thing.
        const auto consider = [&](std::uint64_t begin) {
            Range gap{align_up(begin, page_size), align_down(piece.end, page_size)};
            for (const Range& used : taken) {
                if (used.begin < used.end && used.end > gap.begin && used.begin < gap.end) {
                    gap.end = used.begin <= gap.begin ? gap.begin : align_down(used.begin, page_size);
                }
            }
            if (gap.begin < gap.end && gap.size() > best.size()) {
                best = gap;
            }
        };
        consider(piece.begin);
        for (const Range& used : taken) {
            if (used.end > piece.begin && used.end < piece.end) {
                consider(used.end);
            }
        }
    }
    return best;
}

class FinalTables {
  public:
    explicit FinalTables(BootAllocator& frames)
        : frames_(frames), table_(PhysicalAddress(frames.take(page_size))) {
        marker::memory_protect(table_.root(), page_size, marker::Protection::table);
        std::memset(to_pointer(table_.root()), 0, page_size);
    }

    void map_image() {
        marker::memory_protect(arch::image_physical(pv_text_start),
                               static_cast<std::uint64_t>(pv_rodata_end - pv_text_start),
                               marker::Protection::code);
        map_part(pv_text_start, pv_rodata_start, arch::Access::read_execute);
        map_part(pv_rodata_start, pv_rodata_end, arch::Access::read);
        // Data, without the guard page below each of the two boot stacks.
        map_part(pv_rodata_end, pv_boot_stack_guard, arch::Access::read_write);
        map_part(pv_boot_stack_guard + page_size, pv_early_ist_guard, arch::Access::read_write);
        map_part(pv_early_ist_guard + page_size, pv_image_end, arch::Access::read_write);
    }

    // RAM, read and write, never executable; the image's text and constants read-only there too.
    void map_ram(Range ram) {
        const Range fixed{arch::image_physical(pv_text_start).value(),
                          arch::image_physical(pv_rodata_end).value()};
        if (!fixed.overlaps(ram)) {
            map_direct(ram, arch::Access::read_write);
            return;
        }
        map_direct({ram.begin, std::max(ram.begin, fixed.begin)}, arch::Access::read_write);
        map_direct({std::max(ram.begin, fixed.begin), std::min(ram.end, fixed.end)}, arch::Access::read);
        map_direct({std::min(ram.end, fixed.end), ram.end}, arch::Access::read_write);
    }

    void use() { arch::use_kernel_page_table(table_); }

  private:
    void map(std::uint64_t at, std::uint64_t physical, std::uint64_t size, arch::Access access) {
        if (size == 0) {
            return;
        }
        const Result<> mapped = table_.map(
            VirtualAddress(at), PhysicalAddress(physical), size, access, arch::Cache::write_back,
            arch::Owner::kernel,
            [this]() -> Result<PhysicalAddress> { return PhysicalAddress(frames_.take(page_size)); });
        if (!mapped) {
            panic("cannot map {:#x} bytes at {:#x}: {}", size, at, mapped.error());
        }
    }

    void map_part(const char* begin, const char* end, arch::Access access) {
        map(arch::address_of(begin), arch::image_physical(begin).value(),
            static_cast<std::uint64_t>(end - begin), access);
    }

    void map_direct(Range range, arch::Access access) {
        map(memory::direct_map_base() + range.begin, range.begin, range.size(), access);
    }

    BootAllocator& frames_;
    arch::PageTable table_;
};

// The last whole page of RAM in the first 640 KiB, page 0 excepted.
PhysicalAddress find_startup_page(std::span<const Range> ranges) {
    constexpr std::uint64_t conventional_end = 640 << 10;
    std::uint64_t best = 0;
    for (const Range& range : ranges) {
        const std::uint64_t end = std::min(range.end, conventional_end);
        if (end > range.begin && end - range.begin >= page_size) {
            best = std::max(best, end - page_size);
        }
    }
    return PhysicalAddress(best);
}

// `range` without `hole`, as up to two ranges.
template <class F>
void without(Range range, Range hole, F&& visit) {
    if (!range.overlaps(hole)) {
        visit(range);
        return;
    }
    if (range.begin < hole.begin) {
        visit(Range{range.begin, hole.begin});
    }
    if (hole.end < range.end) {
        visit(Range{hole.end, range.end});
    }
}

// Puts a run of free RAM under management. Its first frames hold its books.
void add_zone(Zones& list, Range range) {
    const std::uint64_t frames = range.size() / page_size;
    const std::uint64_t counts_at = align_up(sizeof(Zone) + frames, sizeof(std::uint64_t));
    const std::uint64_t books =
        align_up(counts_at + frames * sizeof(Atomic<std::uint32_t>), page_size) / page_size;
    if (books >= frames) {
        return;  // a sliver whose books would fill it
    }
    std::byte* at = to_pointer(PhysicalAddress(range.begin));
    auto* states = reinterpret_cast<std::uint8_t*>(at + sizeof(Zone));
    std::memset(states, 0, frames);
    auto* counts = reinterpret_cast<Atomic<std::uint32_t>*>(at + counts_at);
    std::uninitialized_value_construct_n(counts, frames);
    const std::uint64_t first = range.begin / page_size;
    auto* zone = ::new (static_cast<void*>(at))
        Zone{list.first,
             books,
             counts,
             {first, {states, static_cast<std::size_t>(frames)}, memory::direct_map_base()}};
    zone->buddy.add(first + books, frames - books);
    list.first = zone;
}

// One of the entries of the PVH start info's module list (xen/include/public/arch-x86/hvm/start_info.h).
struct ModuleEntry {
    std::uint64_t address;
    std::uint64_t size;
    std::uint64_t command_line;
    std::uint64_t reserved;
};

static_assert(sizeof(ModuleEntry) == 32);

// The whole pages of the first module, if it lies where the boot window shows it.
Range find_module(const StartInfo& info) {
    if (info.module_count == 0 || info.modules == 0 || info.modules >= boot_window_end) {
        return {};
    }
    const auto& entry = *to_pointer<const ModuleEntry>(PhysicalAddress(info.modules));
    if (entry.size == 0 || entry.address == 0 || entry.address > memory::direct_map_size ||
        entry.size > memory::direct_map_size) {
        return {};
    }
    return {entry.address, entry.address + entry.size};
}

Range whole_pages(Range range) {
    return {align_down(range.begin, page_size), align_up(range.end, page_size)};
}

}  // namespace

void start_memory(const StartInfo& info) {
    if (info.version < 1 || info.memory_map_entries == 0) {
        panic("the loader gave no memory map (PVH start info version {})", info.version);
    }
    const std::span map(to_pointer<const memory::MapEntry>(PhysicalAddress(info.memory_map)),
                        info.memory_map_entries);
    // The boot window leaves out the image by whole 2 MiB pages.
    const Range image_pages{align_down(image().begin, boot_page), align_up(image().end, boot_page)};
    module_bytes = find_module(info);
    const Range module = whole_pages(module_bytes);
    const Range taken[] = {image_pages, {info.memory_map, info.memory_map + map.size_bytes()}, module};
    BootAllocator boot{room_for_boot(map, taken)};
    boot.next = boot.free.begin;

    const std::size_t ranges_max = 2 * map.size() + 1;
    auto* ranges = to_pointer<Range>(PhysicalAddress(boot.take(ranges_max * sizeof(Range))));
    const std::span<Range> usable = memory::usable_ram(map, memory::direct_map_size, {ranges, ranges_max});
    ram_ranges = usable;
    if (std::none_of(usable.begin(), usable.end(), [](const Range& r) {
            return r.begin <= module_bytes.begin && module_bytes.end <= r.end;
        })) {
        module_bytes = {};  // not where there is RAM: nothing to read there
    }

    FinalTables tables(boot);
    tables.map_image();
    startup_page_at = find_startup_page(usable);
    const Range startup{startup_page_at.value(),
                        startup_page_at.value() + (startup_page_at.value() == 0 ? 0 : page_size)};
    for (const Range& range : usable) {
        without(range, startup, [&](Range rest) { tables.map_ram(rest); });
    }
    tables.use();

    const Range boot_used{boot.free.begin, boot.next};
    zones.with([&](Zones& list) {
        for (Range range : usable) {
            range.begin = std::max(range.begin, first_mebibyte);
            if (range.begin >= range.end) {
                continue;
            }
            without(range, image(), [&](Range rest) {
                without(rest, boot_used, [&](Range free) {
                    without(free, module, [&](Range piece) { add_zone(list, piece); });
                });
            });
        }
    });
}

PhysicalAddress startup_page() {
    return startup_page_at;
}

std::span<const Range> ram() {
    return ram_ranges;
}

bool overlaps_ram(PhysicalAddress address, std::uint64_t length) {
    const Range range{address.value(), address.value() + length};
    return std::any_of(ram_ranges.begin(), ram_ranges.end(),
                       [&](const Range& r) { return r.overlaps(range); });
}

unsigned order_of_frames(PhysicalAddress address) {
    const std::uint64_t frame = address.value() / page_size;
    return zones.with([&](Zones& list) {
        for (Zone* zone = list.first; zone != nullptr; zone = zone->next) {
            if (const auto order = zone->buddy.order_of(frame)) {
                return *order;
            }
        }
        panic("{} is no block of frames that was given out", address);
    });
}

Result<PhysicalAddress> allocate_common(unsigned order) {
    return zones.with([&](Zones& list) -> Result<PhysicalAddress> {
        for (Zone* zone = list.first; zone != nullptr; zone = zone->next) {
            if (const auto frame = zone->buddy.allocate(order)) {
                note_scarcity(list);
                return PhysicalAddress(*frame * page_size);
            }
        }
        return fail(Error::out_of_memory);
    });
}

std::size_t allocate_common(std::span<PhysicalAddress> out) {
    return zones.with([&](Zones& list) {
        std::size_t count = 0;
        for (Zone* zone = list.first; zone != nullptr && count < out.size(); zone = zone->next) {
            while (count < out.size()) {
                const auto frame = zone->buddy.allocate(0);
                if (!frame) {
                    break;
                }
                out[count++] = PhysicalAddress(*frame * page_size);
            }
        }
        note_scarcity(list);
        return count;
    });
}

namespace {

void free_one(Zones& list, PhysicalAddress address, unsigned order) {
    for (Zone* zone = list.first; zone != nullptr; zone = zone->next) {
        if (address.is_aligned(page_size) && zone->buddy.free(address.value() / page_size, order)) {
            return;
        }
    }
    panic("free of frames {} (order {}), which were not given out", address, order);
}

// The zones themselves never change once they are there: only their books need the lock.
Buddy* buddy_of(PhysicalAddress frame) {
    for (Zone* zone = zones.unguarded().first; zone != nullptr; zone = zone->next) {
        if (frame.is_aligned(page_size) && zone->buddy.contains(frame.value() / page_size)) {
            return &zone->buddy;
        }
    }
    return nullptr;
}

}  // namespace

Atomic<std::uint32_t>& further_owners(PhysicalAddress frame) {
    const std::uint64_t number = frame.value() / page_size;
    for (const Zone* zone = zones.unguarded().first; zone != nullptr; zone = zone->next) {
        if (zone->buddy.contains(number)) {
            return zone->further_owners[number - zone->buddy.first()];
        }
    }
    panic("{} is no frame under management", frame);
}

std::span<const std::byte> initramfs() {
    if (module_bytes.begin == module_bytes.end) {
        return {};
    }
    return {to_pointer<const std::byte>(PhysicalAddress(module_bytes.begin)),
            static_cast<std::size_t>(module_bytes.size())};
}

void release_initramfs() {
    const Range pages = whole_pages(std::exchange(module_bytes, Range{}));
    if (pages.begin < pages.end) {
        zones.with([&](Zones& list) { add_zone(list, pages); });
    }
}

void free_common(PhysicalAddress address, unsigned order) {
    zones.with([&](Zones& list) {
        free_one(list, address, order);
        note_scarcity(list);
    });
}

void free_common(std::span<const PhysicalAddress> frames) {
    zones.with([&](Zones& list) {
        for (const PhysicalAddress frame : frames) {
            free_one(list, frame, 0);
        }
        note_scarcity(list);
    });
}

void split_common(PhysicalAddress address, unsigned order) {
    zones.with([&](Zones& list) {
        for (Zone* zone = list.first; zone != nullptr; zone = zone->next) {
            if (address.is_aligned(page_size) && zone->buddy.split(address.value() / page_size, order)) {
                return;
            }
        }
        panic("split of frames {} (order {}), which were not given out", address, order);
    });
}

bool mark_in_stock(PhysicalAddress frame) {
    Buddy* buddy = buddy_of(frame);
    return buddy != nullptr && buddy->mark_in_stock(frame.value() / page_size);
}

bool unmark_in_stock(PhysicalAddress frame) {
    Buddy* buddy = buddy_of(frame);
    return buddy != nullptr && buddy->unmark_in_stock(frame.value() / page_size);
}

bool is_memory_low() {
    return low.load(std::memory_order_relaxed);
}

bool is_memory_plentiful() {
    return plentiful.load(std::memory_order_relaxed);
}

bool is_memory_scarce() {
    return scarce.load(std::memory_order_relaxed);
}

memory::FrameStatistics common_statistics() {
    return zones.with([](Zones& list) {
        memory::FrameStatistics total;
        for (const Zone* zone = list.first; zone != nullptr; zone = zone->next) {
            total.total += zone->buddy.managed_count();
            total.free += zone->buddy.free_count();
            total.metadata += zone->metadata_frames;
            total.largest_order =
                std::max<std::uint64_t>(total.largest_order, zone->buddy.largest_free().value_or(0));
            total.highest = std::max(total.highest, PhysicalAddress(zone->buddy.end() * page_size));
        }
        return total;
    });
}

}  // namespace pv::boot
