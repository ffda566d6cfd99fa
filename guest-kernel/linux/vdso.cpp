// The vdso: its pages, and what is told in the clock's page.
// SPDX-License-Identifier: MIT
#include "linux/vdso.hpp"

#include <array>
#include <cstring>
#include <new>
#include <span>

#include "arch/x86_64/clock.hpp"
#include "base/log.hpp"
#include "base/panic.hpp"
#include "memory/direct_map.hpp"
#include "memory/frame_owners.hpp"
#include "memory/frames.hpp"
#include "task/lock.hpp"
#include "vdso/clock_page.hpp"

// vdso/image.S
extern "C" const char pv_vdso_begin[], pv_vdso_end[];

namespace pv::linux {
namespace {

std::span<const char> shared_object() {
    return {pv_vdso_begin, static_cast<std::size_t>(pv_vdso_end - pv_vdso_begin)};
}

std::uint64_t object_size() {
    return align_up(shared_object().size(), page_size);
}

/// The clock's page, and the shared object's. The kernel owns each frame for good: an address space that lets
/// go of one never frees it, and a program that writes into the object, as a debugger does, gets a copy.
class VdsoPages final : public memory::PageSource {
  public:
    static Result<Ref<VdsoPages>> create() {
        auto pages = Ref<VdsoPages>::adopt(new (std::nothrow) VdsoPages);
        if (pages == nullptr || 1 + object_size() / page_size > frames_max) {
            return fail(Error::out_of_memory);
        }
        std::span<const char> left = shared_object();
        PV_TRY(pages->add({}));
        while (!left.empty()) {
            const std::size_t size = left.size() < page_size ? left.size() : page_size;
            PV_TRY(pages->add(left.first(size)));
            left = left.subspan(size);
        }
        return pages;
    }

    Result<PhysicalAddress> page(std::uint64_t index) override {
        if (index >= count_) {
            return fail(Error::out_of_range);
        }
        memory::add_owner(frames_[index]);
        return frames_[index];
    }

    [[nodiscard]] void* clock_page() const { return memory::to_pointer(frames_[0]); }

  private:
    static constexpr std::size_t frames_max = 4;

    VdsoPages() = default;

    ~VdsoPages() override {
        for (std::size_t i = 0; i < count_; ++i) {
            memory::drop_owner(frames_[i]);
        }
    }

    // A page that begins with `bytes`: nothing of what was in the frame before is left.
    Result<> add(std::span<const char> bytes) {
        const PhysicalAddress frame = PV_TRY(memory::allocate_frames(0));
        frames_[count_++] = frame;
        std::memset(memory::to_pointer(frame), 0, page_size);
        std::memcpy(memory::to_pointer(frame), bytes.data(), bytes.size());
        return {};
    }

    std::array<PhysicalAddress, frames_max> frames_{};
    std::size_t count_ = 0;
};

constinit Ref<VdsoPages> pages;
constinit task::Guarded<vdso::ClockPage*, task::Rank::leaf> clock_page{nullptr};

}  // namespace

Result<> start_vdso() {
    pages = PV_TRY(VdsoPages::create());
    auto* page = new (pages->clock_page()) vdso::ClockPage;
    vdso::rewrite(*page, [page] {
        if (const auto scale = arch::plain_clock_scale()) {
            page->origin.store(scale->origin, std::memory_order_release);
            page->multiplier.store(scale->multiplier, std::memory_order_release);
            page->is_usable.store(1, std::memory_order_release);
        }
        page->wall_offset.store(wall_offset(), std::memory_order_release);
    });
    clock_page.with([page](vdso::ClockPage*& shared) { shared = page; });
    return {};
}

std::uint64_t vdso_size() {
    return page_size + object_size();
}

Outcome<UserAddress> map_vdso(memory::AddressSpace& space, UserAddress begin) {
    memory::MapRequest clock;
    clock.hint = begin;
    clock.length = page_size;
    clock.fixed = true;
    clock.contents.rights = {true, false, false};
    clock.contents.rights_max = {true, false, false};
    clock.contents.purpose = memory::Purpose::vvar;
    clock.contents.source = pages;
    PV_TRY(space.map(clock));

    memory::MapRequest object;
    object.hint = begin + page_size;
    object.length = object_size();
    object.fixed = true;
    object.contents.rights = {true, false, true};
    object.contents.purpose = memory::Purpose::vdso;
    object.contents.source = pages;
    object.contents.offset = 1;
    PV_TRY(space.map(object));
    // Every C library reads it before anything else: here it costs no fault.
    for (std::uint64_t at = 0; at < object.length; at += page_size) {
        std::byte first{};
        PV_TRY(space.peek(std::span(&first, 1), object.hint + at));
    }
    return object.hint;
}

void set_wall_time_for_all(Timestamp time) {
    clock_page.with([&time](vdso::ClockPage*& page) {
        if (page == nullptr) {
            set_wall_time(time);
            return;
        }
        // While the page is being written, programs ask the kernel.
        vdso::rewrite(*page, [&] {
            set_wall_time(time);
            page->wall_offset.store(wall_offset(), std::memory_order_release);
        });
    });
}

}  // namespace pv::linux
