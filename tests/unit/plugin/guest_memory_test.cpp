// Where guest RAM is found, and where it ends.
// SPDX-License-Identifier: MIT
#include "plugin/guest_memory.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <ostream>
#include <string>
#include <vector>

namespace pv::plugin {
namespace {

using trace::RingUnseen;

constexpr std::uint64_t gib = 1ULL << 30;

/// A line of /proc/self/maps for `size` bytes of a memfd.
std::string mapped(std::uint64_t base, std::uint64_t size, std::uint64_t offset = 0,
                   const char* permissions = "rw-s", int inode = 1044) {
    std::array<char, 200> line;
    snprintf(line.data(), line.size(),
             "%lx-%lx %s %08lx 00:01 %d                      /memfd:memory-backend-memfd (deleted)\n", base,
             base + size, permissions, offset, inode);
    return line.data();
}

const std::string other =
    "55d0c0000000-55d0c0001000 r--p 00000000 08:01 1234   /usr/bin/qemu-system-x86_64\n";

std::string command_line(std::initializer_list<std::string> arguments) {
    std::string joined{"qemu-system-x86_64"};
    for (const std::string& argument : arguments) {
        joined += '\0' + argument;
    }
    return joined + '\0';
}

struct Layout {
    const char* machine;
    std::uint64_t size;
    std::uint64_t low;
};

void PrintTo(const Layout& layout, std::ostream* out) {
    *out << layout.machine << ", " << layout.size << " bytes";
}

class PluginLayout : public testing::TestWithParam<Layout> {};

TEST_P(PluginLayout, FollowsTheMachine) {
    const auto [machine, size, low] = GetParam();
    const auto found = GuestMemory::find(other + mapped(0x7f0000000000, size) + other,
                                         command_line({"-m", "1", "-machine", machine, "-kernel", "k"}));
    ASSERT_EQ(found.reason, RingUnseen::none);
    EXPECT_EQ(found.memory.size(), size);
    EXPECT_EQ(found.memory.low(), low);
}

INSTANTIATE_TEST_SUITE_P(
    All, PluginLayout,
    testing::Values(Layout{"q35", 256 << 20, 256 << 20}, Layout{"q35,accel=tcg", 2 * gib, 2 * gib},
                    Layout{"pc-q35-10.0", 0xb0000000, 2 * gib}, Layout{"type=q35", 8 * gib, 2 * gib},
                    Layout{"pc", 3 * gib, 3 * gib}, Layout{"pc-i440fx-9.2", 4 * gib, 3 * gib},
                    Layout{"microvm", 3 * gib, 3 * gib}, Layout{"microvm", 4 * gib, 3 * gib}));

TEST(PluginMemory, SaysWhyItIsOfNoUse) {
    const std::string q35 = command_line({"-machine", "q35"});
    const std::string good = mapped(0x7f0000000000, gib);
    EXPECT_EQ(GuestMemory::find(other, q35).reason, RingUnseen::no_memory);
    EXPECT_EQ(GuestMemory::find("", q35).reason, RingUnseen::no_memory);
    EXPECT_EQ(GuestMemory::find(mapped(0x7f0000000000, gib, 0, "rw-p"), q35).reason, RingUnseen::no_memory);
    EXPECT_EQ(GuestMemory::find(good + mapped(0x7e0000000000, gib, 0, "rw-s", 7), q35).reason,
              RingUnseen::no_memory)
        << "two backends: which one is where is not known";
    EXPECT_EQ(GuestMemory::find("garbage /memfd:memory-backend-memfd\n", q35).reason, RingUnseen::no_memory);
    EXPECT_EQ(GuestMemory::find(good, command_line({"-machine", "q35,max-ram-below-4g=1G"})).reason,
              RingUnseen::unknown_layout);
    EXPECT_EQ(GuestMemory::find(good, command_line({"-M", "xenpvh"})).reason, RingUnseen::unknown_layout);
    EXPECT_EQ(GuestMemory::find(
                  good, command_line({"-machine", "q35", "-numa", "node,memdev=a", "-numa", "node,memdev=b"}))
                  .reason,
              RingUnseen::unknown_layout);
}

TEST(PluginMemory, PiecesOfOneMappingAreOne) {
    const auto found = GuestMemory::find(mapped(0x7f0000000000, gib) + mapped(0x7f0000000000 + gib, gib, gib),
                                         command_line({"-machine", "q35"}));
    ASSERT_EQ(found.reason, RingUnseen::none);
    EXPECT_EQ(found.memory.size(), 2 * gib);
    EXPECT_EQ(GuestMemory::find(mapped(0x7f0000000000, gib) + mapped(0x7f0000000000 + 2 * gib, gib, gib),
                                command_line({"-machine", "q35"}))
                  .reason,
              RingUnseen::no_memory);
}

TEST(PluginMemory, FindsThisProcesssOwn) {
    const int descriptor = memfd_create("memory-backend-memfd", MFD_CLOEXEC);
    ASSERT_EQ(ftruncate(descriptor, 1 << 20), 0);
    void* memory = mmap(nullptr, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    ASSERT_NE(memory, MAP_FAILED);
    std::memcpy(static_cast<char*>(memory) + 0x1234, "mine", 4);
    const auto found = GuestMemory::find();
    ASSERT_EQ(found.reason, RingUnseen::none);
    std::array<char, 4> text{};
    EXPECT_TRUE(found.memory.read(0x1234, std::as_writable_bytes(std::span{text})));
    EXPECT_EQ(std::memcmp(text.data(), "mine", 4), 0);
    munmap(memory, 1 << 20);
    close(descriptor);
}

TEST(PluginMemory, ReadsOnlyWhatIsRam) {
    std::vector<std::byte> ram(8192, std::byte{1});
    ram[4096] = std::byte{2};  // the first beyond the split
    const GuestMemory memory{ram.data(), ram.size(), 4096};
    std::array<std::byte, 16> target{};
    EXPECT_TRUE(memory.read(0, target));
    EXPECT_TRUE(memory.read(4080, target));
    EXPECT_FALSE(memory.read(4081, target)) << "no read across the split";
    EXPECT_FALSE(memory.read(4096, target)) << "the PCI hole";
    EXPECT_TRUE(memory.read(4 * gib, target));
    EXPECT_EQ(target[0], std::byte{2});
    EXPECT_TRUE(memory.read(4 * gib + 4080, target));
    EXPECT_FALSE(memory.read(4 * gib + 4081, target));
    EXPECT_FALSE(memory.read(4 * gib - 1, target));
    EXPECT_FALSE(memory.read(UINT64_MAX, target));
    EXPECT_FALSE(memory.read(UINT64_MAX - 15, target));
    EXPECT_FALSE(GuestMemory{}.read(0, target));
}

}  // namespace
}  // namespace pv::plugin
