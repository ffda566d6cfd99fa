// Where chance put the kernel, and that every address in its data followed.
// SPDX-License-Identifier: MIT
#include <array>
#include <cstring>

#include "arch/x86_64/back_trace.hpp"
#include "arch/x86_64/image.hpp"
#include "arch/x86_64/kernel_space.hpp"
#include "arch/x86_64/layout.hpp"
#include "arch/x86_64/page_table.hpp"
#include "arch/x86_64/stack.hpp"
#include "base/log.hpp"
#include "boot/options.hpp"
#include "boot/tests.hpp"
#include "memory/direct_map.hpp"
#include "memory/frames.hpp"

extern "C" {
extern const std::uint64_t pv_relocations_start[], pv_relocations_end[];
extern const char* const pv_user_access_begin[];
extern const char* const pv_user_access_end[];
}

namespace pv::guest_test {
namespace {

class Shape {
  public:
    constexpr Shape() = default;
    Shape(const Shape&) = delete;
    Shape& operator=(const Shape&) = delete;
    [[nodiscard]] virtual unsigned corners() const = 0;

  protected:
    ~Shape() = default;
};

class Triangle final : public Shape {
  public:
    [[nodiscard]] unsigned corners() const override { return 3; }
};

class Square final : public Shape {
  public:
    [[nodiscard]] unsigned corners() const override { return 4; }
};

unsigned twice(unsigned value) {
    return 2 * value;
}

unsigned thrice(unsigned value) {
    return 3 * value;
}

constinit const Triangle triangle;
constinit const Square square;
constinit const std::array<const Shape*, 2> shapes{&triangle, &square};
constinit std::array<unsigned (*)(unsigned), 2> functions{twice, thrice};

bool is_between(std::uint64_t address, const char* begin, const char* end) {
    return address >= arch::address_of(begin) && address < arch::address_of(end);
}

template <class Function>
std::uint64_t address_of_function(Function* function) {
    return reinterpret_cast<std::uintptr_t>(function);
}

// Calls `visit(address)` for each word that the linker said to relocate.
template <class Visit>
void for_each_relocated(Visit&& visit) {
    std::uint64_t at = 0;
    for (const std::uint64_t* entry = pv_relocations_start; entry != pv_relocations_end; ++entry) {
        if (*entry % 2 == 0) {
            at = *entry + arch::image_slide();
            visit(at);
            at += 8;
            continue;
        }
        for (unsigned bit = 1; bit < 64; ++bit, at += 8) {
            if ((*entry >> bit & 1) != 0) {
                visit(at);
            }
        }
    }
}

bool is_mapped(std::uint64_t address) {
    return arch::kernel_page_table().lookup(VirtualAddress(address)).has_value();
}

}  // namespace

PV_GUEST_TEST(place) {
    log::info("place: image {:#x} direct map {:#x} space {:#x} chance {}", arch::address_of(pv_image_start),
              memory::direct_map_base(), pv_layout.space_begin, static_cast<unsigned>(pv_layout.chance));
    PV_EXPECT((pv_layout.chance == arch::Chance::none) == boot::option("nokaslr").has_value());

    // What follows the image's place.
    PV_EXPECT(arch::image_slide() % (2 << 20) == 0);
    PV_EXPECT(arch::image_physical(pv_image_start) == arch::physical_image_begin);
    const auto first = arch::kernel_page_table().lookup(VirtualAddress(arch::address_of(pv_image_start)));
    PV_EXPECT(first && first->physical == arch::physical_image_begin && first->executable);
    if (arch::linked_image_begin + (arch::address_of(pv_image_end) - arch::address_of(pv_image_start)) <=
        arch::address_of(pv_image_start)) {
        PV_EXPECT(!is_mapped(arch::linked_image_begin));
    }

    // And the other places.
    const auto frames = memory::Frames::allocate(0);
    PV_EXPECT(frames.has_value());
    PV_EXPECT(reinterpret_cast<std::uintptr_t>(frames->bytes().data()) ==
              memory::direct_map_base() + frames->address().value());
    PV_EXPECT(memory::to_physical(frames->bytes().data()) == frames->address());
    const auto stack = arch::allocate_stack();
    PV_EXPECT(stack.has_value());
    PV_EXPECT(stack->top - pv_layout.space_begin <= arch::kernel_space_size);
    arch::free_stack(*stack);
}

PV_GUEST_TEST(relocated_pointers) {
    // The compiler must not know what these lead to.
    const Shape* const volatile* shape = shapes.data();
    PV_EXPECT(shape[0]->corners() == 3 && shape[1]->corners() == 4);
    std::uint64_t table = 0;
    std::memcpy(&table, &square, sizeof table);
    PV_EXPECT(is_between(table, pv_rodata_start, pv_rodata_end));
    unsigned (*volatile const* function)(unsigned) = functions.data();
    PV_EXPECT(function[0](21) == 42 && function[1](14) == 42);
    PV_EXPECT(arch::find_symbol(address_of_function(function[1])).name.find("thrice") !=
              std::string_view::npos);
    for (const char* const* entry = pv_user_access_begin; entry != pv_user_access_end; ++entry) {
        PV_EXPECT(is_between(arch::address_of(*entry), pv_text_start, pv_text_end));
    }

    std::uint64_t count = 0;
    std::uint64_t wrong = 0;
    for_each_relocated([&](std::uint64_t at) {
        ++count;
        std::uint64_t value = 0;
        std::memcpy(&value, reinterpret_cast<const void*>(at), sizeof value);
        // In data the kernel may have changed it since; constants hold addresses of the image, or its end.
        if (is_between(at, pv_rodata_start, pv_rodata_end) &&
            value - arch::address_of(pv_image_start) >
                arch::address_of(pv_image_end) - arch::address_of(pv_image_start)) {
            ++wrong;
            log::error("the constant at {:#x} leads to {:#x}, outside the image", at, value);
        }
    });
    log::info("relocated {} words", count);
    PV_EXPECT(count > 1'000 && wrong == 0);
}

}  // namespace pv::guest_test
