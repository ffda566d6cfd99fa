// ACPI tables as firmware writes them, and as it should not.
// SPDX-License-Identifier: MIT
#include "acpi/tables.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <cstdlib>
#include <new>
#include <random>
#include <utility>

#include "acpi/machine.hpp"
#include "hosted/control.hpp"

namespace {

// Vectors of the kernel get their memory here: how much is out, and how many more have some before one has
// none.
thread_local long vectors_out = 0;
thread_local long vectors_left = -1;  ///< below 0: all have some

}  // namespace

void* operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
    if (vectors_left >= 0 && vectors_left-- == 0) {
        return nullptr;
    }
    void* memory = nullptr;
    if (posix_memalign(&memory, std::max(static_cast<std::size_t>(alignment), sizeof(void*)), size) != 0) {
        return nullptr;
    }
    ++vectors_out;
    return memory;
}

void operator delete(void* memory, std::align_val_t) noexcept {
    vectors_out -= memory != nullptr ? 1 : 0;
    std::free(memory);
}

namespace pv::acpi {
namespace {

using namespace testing;
using ::testing::Contains;
using ::testing::HasSubstr;

constexpr PhysicalAddress rsdp_at{0x1000};

Bytes madt() {
    Bytes body;
    append(body, le32(0xfee0'0000));
    append(body, le32(1));
    append(body, spec::MadtLocalApic{{0, 8}, 0, 0, 1});
    append(body, spec::MadtLocalApic{{0, 8}, 1, 7, 1});
    append(body, spec::MadtLocalX2Apic{{9, 16}, 0, 300, 1, 2});
    append(body, spec::MadtIoApic{{1, 12}, 0, 0, 0xfec0'0000, 0});
    append(body, spec::MadtOverride{{2, 10}, 0, 9, 9, 0xd});
    append(body, spec::MadtEntry{0x7f, 2});  // of a kind nobody knows
    append(body, spec::MadtLocalApicAddress{{5, 12}, 0, 0xfee0'1000});
    return body;
}

Bytes mcfg() {
    Bytes body(8);
    append(body, spec::McfgEntry{0xb000'0000, 0, 0, 255, 0});
    append(body, spec::McfgEntry{0xc000'0000, 1, 0, 15, 0});
    return body;
}

Bytes fadt() {
    Bytes body(244 - sizeof(spec::Header));
    const auto set = [&](std::size_t offset, auto value) {
        std::memcpy(body.data() + offset - sizeof(spec::Header), &value, sizeof value);
    };
    set(spec::fadt_dsdt, le32(0x7000));
    set(spec::fadt_pm1a_control, le32(0x604));
    set(spec::fadt_pm_timer, le32(0x608));
    set(spec::fadt_century, std::uint8_t{0x32});
    set(spec::fadt_flags, le32(spec::fadt_flag_timer_32_bit | spec::fadt_flag_reset_supported));
    set(spec::fadt_reset_register, spec::GenericAddress{1, 8, 0, 0, 0xcf9});
    set(spec::fadt_reset_value, std::uint8_t{0xf});
    return body;
}

Bytes dsdt() {
    Bytes body;
    for (const int b : std::initializer_list<int>{0x10, 0x20, 0x08, '_', 'S', '5', '_', 0x12, 0x06, 0x04,
                                                  0x0a, 0x05, 0x01, 0x00, 0x00, 0x00}) {
        body.push_back(static_cast<std::byte>(b));
    }
    return body;
}

Bytes dmar() {
    Bytes body;
    append(body, std::uint8_t{38});
    append(body, std::uint8_t{1});
    body.resize(12);
    append(body, spec::Drhd{{0, 16}, 1, 0, 0, 0xfed9'0000});
    return body;
}

class AcpiTest : public ::testing::Test {
  protected:
    AcpiTest() {
        hosted::take_log();
        machine_.put(0x3000, table("APIC", madt()));
        machine_.put(0x4000, table("MCFG", mcfg()));
        machine_.put(0x5000, table("FACP", fadt()));
        machine_.put(0x6000, table("DMAR", dmar()));
        machine_.put(0x7000, table("DSDT", dsdt()));
        machine_.put_roots({0x3000, 0x4000, 0x5000, 0x6000});
    }

    ~AcpiTest() override { EXPECT_EQ(machine_.mapped(), 0) << "something stayed mapped"; }

    // Changes bytes of a table and makes its checksum right again.
    void patch(std::uint64_t address, std::size_t offset, std::initializer_list<int> values) {
        Bytes& bytes = machine_.at(address);
        for (const int value : values) {
            bytes.at(offset++) = static_cast<std::byte>(value);
        }
        fix_checksum(bytes, header_checksum, bytes.size());
    }

    Machine machine_;
};

TEST_F(AcpiTest, ReadsAnOrdinaryMachine) {
    const auto tables = parse(rsdp_at, machine_);
    ASSERT_TRUE(tables);
    EXPECT_EQ(tables->refused, 0U);
    ASSERT_EQ(tables->processors.size(), 3U);
    EXPECT_EQ(tables->processors[1].apic_id, 7U);
    EXPECT_EQ(tables->processors[2].apic_id, 300U);
    EXPECT_TRUE(tables->processors[0].enabled);
    EXPECT_EQ(tables->local_apic, PhysicalAddress(0xfee0'1000));
    ASSERT_EQ(tables->io_apics.size(), 1U);
    EXPECT_EQ(tables->io_apics[0].address, PhysicalAddress(0xfec0'0000));
    ASSERT_EQ(tables->overrides.size(), 1U);
    EXPECT_FALSE(tables->overrides[0].active_low);
    EXPECT_TRUE(tables->overrides[0].level_triggered);
    ASSERT_EQ(tables->ecam.size(), 2U);
    EXPECT_EQ(tables->ecam[0].base, PhysicalAddress(0xb000'0000));
    EXPECT_EQ(tables->ecam[1].last_bus, 15);
    ASSERT_TRUE(tables->fixed);
    EXPECT_EQ(tables->fixed->pm1a_control, 0x604);
    EXPECT_EQ(tables->fixed->pm_timer, 0x608);
    EXPECT_TRUE(tables->fixed->pm_timer_32_bit);
    EXPECT_EQ(tables->fixed->century_register, 0x32);
    EXPECT_EQ(tables->fixed->reset_port, 0xcf9);
    EXPECT_EQ(tables->fixed->sleep_type_s5_a, 5);
    EXPECT_EQ(tables->fixed->sleep_type_s5_b, 1);
    ASSERT_EQ(tables->remapping.size(), 1U);
    EXPECT_TRUE(tables->remapping[0].includes_all);
    EXPECT_TRUE(tables->interrupt_remapping);
}

TEST_F(AcpiTest, NoRootIsAnError) {
    EXPECT_EQ(parse(PhysicalAddress(0), machine_).error(), Error::not_found);
    EXPECT_EQ(parse(PhysicalAddress(0x3000), machine_).error(), Error::not_found);
    machine_.at(0x1000)[20] ^= std::byte{1};  // only the extended part: the RSDT, which is not there
    EXPECT_EQ(parse(rsdp_at, machine_).error(), Error::corrupt);
    machine_.at(0x1000)[9] ^= std::byte{1};
    EXPECT_EQ(parse(rsdp_at, machine_).error(), Error::corrupt);
}

TEST_F(AcpiTest, ABadTableIsLeftOutAndTheOthersCount) {
    machine_.at(0x4000)[50] ^= std::byte{1};
    const auto tables = parse(rsdp_at, machine_);
    ASSERT_TRUE(tables);
    EXPECT_EQ(tables->refused, 1U);
    EXPECT_TRUE(tables->ecam.empty());
    EXPECT_EQ(tables->processors.size(), 3U);
    EXPECT_THAT(hosted::take_log(), Contains(HasSubstr("wrong checksum")));
}

TEST_F(AcpiTest, LengthsThatLie) {
    for (const auto& length : {std::initializer_list<int>{0, 0, 0, 0}, {35, 0, 0, 0}, {255, 255, 255, 127}}) {
        patch(0x6000, 4, length);
        const auto tables = parse(rsdp_at, machine_);
        ASSERT_TRUE(tables);
        EXPECT_EQ(tables->refused, 1U);
        EXPECT_TRUE(tables->remapping.empty());
    }
}

TEST_F(AcpiTest, EntriesThatLie) {
    patch(0x3000, sizeof(spec::Madt) + 1, {0});  // length 0 would never end
    auto tables = parse(rsdp_at, machine_);
    ASSERT_TRUE(tables);
    EXPECT_TRUE(tables->processors.empty());
    EXPECT_EQ(tables->refused, 1U);
    patch(0x3000, sizeof(spec::Madt) + 1, {255});
    EXPECT_TRUE(parse(rsdp_at, machine_)->processors.empty());
    patch(0x3000, sizeof(spec::Madt) + 1, {4, 0, 0, 0x7f, 4});  // too short for its type
    tables = parse(rsdp_at, machine_);
    EXPECT_EQ(tables->refused, 1U);
    EXPECT_EQ(tables->processors.size(), 2U);
}

TEST_F(AcpiTest, TwoProcessorsWithOneId) {
    patch(0x3000, sizeof(spec::Madt) + 8 + 3, {0});
    const auto tables = parse(rsdp_at, machine_);
    ASSERT_TRUE(tables);
    EXPECT_EQ(tables->processors.size(), 2U);
    EXPECT_EQ(tables->refused, 1U);
}

TEST_F(AcpiTest, EcamThatCannotBe) {
    patch(0x4000, spec::mcfg_entries + 10, {9, 3});  // first bus above last
    EXPECT_EQ(parse(rsdp_at, machine_)->ecam.size(), 1U);
    patch(0x4000, spec::mcfg_entries + 10, {0, 255});
    patch(0x4000, spec::mcfg_entries + 2, {1});  // not aligned to a bus
    EXPECT_EQ(parse(rsdp_at, machine_)->ecam.size(), 1U);
    patch(0x4000, spec::mcfg_entries, {0, 0, 0, 0xb0});
    patch(0x4000, spec::mcfg_entries + 16 + 8, {0});  // both are segment 0 now
    EXPECT_EQ(parse(rsdp_at, machine_)->ecam.size(), 1U);
}

TEST_F(AcpiTest, APortBeyondIoSpace) {
    patch(0x5000, spec::fadt_pm1a_control, {0, 0, 1, 0});
    const auto tables = parse(rsdp_at, machine_);
    ASSERT_TRUE(tables->fixed);
    EXPECT_EQ(tables->fixed->pm1a_control, 0);
    EXPECT_EQ(tables->refused, 1U);
}

TEST_F(AcpiTest, ASecondTableOfAKind) {
    machine_.put_roots({0x3000, 0x3000, 0x9999'0000});
    const auto tables = parse(rsdp_at, machine_);
    ASSERT_TRUE(tables);
    EXPECT_EQ(tables->processors.size(), 3U);
    EXPECT_EQ(tables->refused, 2U);
}

// Every byte of every table wrong in turn, with a right checksum: an answer each time, never a crash.
/// A remapping unit that names one device behind a bridge: 00:1c.0, then function 0.1 of its bus.
Bytes dmar_with_scope(std::uint8_t scope_length, std::uint8_t device) {
    Bytes body;
    append(body, std::uint8_t{38});
    append(body, std::uint8_t{0});
    body.resize(12);
    append(body, spec::Drhd{{0, 26}, 0, 0, 0, 0xfed9'0000});
    append(body, spec::DeviceScope{spec::scope_endpoint, scope_length, 0, 0, 0});
    append(body, spec::PathStep{device, 0});
    append(body, spec::PathStep{0, 1});
    append(body, spec::Drhd{{0, 16}, spec::drhd_include_all, 0, 0, 0xfed9'1000});
    return body;
}

TEST_F(AcpiTest, RemappingUnitsNameTheirDevices) {
    machine_.put(0x6000, table("DMAR", dmar_with_scope(10, 0x1c)));
    const auto tables = parse(rsdp_at, machine_);
    ASSERT_TRUE(tables);
    ASSERT_EQ(tables->remapping.size(), 2U);
    EXPECT_FALSE(tables->interrupt_remapping);
    EXPECT_FALSE(tables->remapping[0].includes_all);
    ASSERT_EQ(tables->remapping[0].scopes.size(), 1U);
    const DeviceScope& scope = tables->remapping[0].scopes[0];
    EXPECT_FALSE(scope.bridge);
    ASSERT_EQ(scope.path.size(), 2U);
    EXPECT_EQ(scope.path[0].device, 0x1c);
    EXPECT_EQ(scope.path[1].function, 1);
    EXPECT_TRUE(tables->remapping[1].includes_all);
    EXPECT_EQ(tables->remapping[1].registers, PhysicalAddress(0xfed9'1000));
}

Bytes dmar_with_reserved(std::uint64_t first, std::uint64_t last, std::uint8_t device = 8,
                         bool scope = true) {
    Bytes body = dmar();
    append(body,
           spec::Rmrr{{spec::dmar_rmrr, scope ? std::uint16_t{32} : std::uint16_t{24}}, 0, 0, first, last});
    if (scope) {
        append(body, spec::DeviceScope{spec::scope_endpoint, 8, 0, 0, 0});
        append(body, spec::PathStep{device, 0});
    }
    return body;
}

// Each allocation fails in turn: an answer that says so, and nothing kept.
TEST_F(AcpiTest, LedgerEachAllocationFails) {
    machine_.put(0x6000, table("DMAR", dmar_with_scope(10, 0x1c)));
    const long before = vectors_out;
    long nth = 0;
    for (bool was_refused = true; was_refused; ++nth) {
        ASSERT_LT(nth, 100);
        hosted::take_log();
        vectors_left = nth;
        const auto tables = parse(rsdp_at, machine_);
        was_refused = std::exchange(vectors_left, -1) < 0;
        EXPECT_EQ(machine_.mapped(), 0) << "allocation " << nth;
        if (!tables) {
            EXPECT_EQ(tables.error(), Error::out_of_memory);
            EXPECT_EQ(vectors_out, before) << "allocation " << nth;
        }
        EXPECT_EQ(tables.has_value(), !was_refused) << "allocation " << nth;
    }
    EXPECT_EQ(vectors_out, before);
    EXPECT_GT(nth, 5);
}

TEST_F(AcpiTest, ReservedMemoryIsRead) {
    machine_.put(0x6000, table("DMAR", dmar_with_reserved(0x7f00'0000, 0x7f01'ffff)));
    const auto tables = parse(rsdp_at, machine_);
    ASSERT_TRUE(tables);
    EXPECT_EQ(tables->refused, 0U);
    ASSERT_EQ(tables->reserved.size(), 1U);
    EXPECT_EQ(tables->reserved[0].begin, 0x7f00'0000U);
    EXPECT_EQ(tables->reserved[0].end, 0x7f02'0000U);
    ASSERT_EQ(tables->reserved[0].scopes.size(), 1U);
    EXPECT_EQ(tables->reserved[0].scopes[0].path[0].device, 8);
}

// One lie anywhere, and the whole table is left out: half a description would confine half the devices.
TEST_F(AcpiTest, AMalformedDmarIsLeftOutWhole) {
    std::vector<Bytes> wrong = {dmar_with_scope(0, 1),  dmar_with_scope(6, 1),  dmar_with_scope(9, 1),
                                dmar_with_scope(11, 1), dmar_with_scope(12, 1), dmar_with_scope(10, 32)};
    Bytes overlong = dmar();
    append(overlong, spec::DmarEntry{0, 400});
    Bytes twice = dmar();
    append(twice, spec::Drhd{{0, 16}, 1, 0, 0, 0xfed9'0000});
    Bytes unaligned = dmar();
    append(unaligned, spec::Drhd{{0, 16}, 1, 0, 0, 0xfed9'1008});
    Bytes far = dmar();
    append(far, spec::Drhd{{0, 16}, 1, 0, 0, 1ULL << 60});
    Bytes endless = dmar();
    append(endless, spec::DmarEntry{0, 0});
    Bytes cut = dmar();
    append(cut, spec::DmarEntry{spec::dmar_rmrr, 4});
    wrong.insert(wrong.end(),
                 {dmar_with_reserved(0x1008, 0x1fff), dmar_with_reserved(0x1000, 0x1ffe),
                  dmar_with_reserved(0x2000, 0x1fff), dmar_with_reserved(0x2000, 0xfff),
                  dmar_with_reserved(0x1000, ~0ULL), dmar_with_reserved(0x1000, (1ULL << 52) + 0xfff),
                  dmar_with_reserved(0x1000, 0x1fff, 32), dmar_with_reserved(0x1000, 0x1fff, 8, false), cut});
    wrong.insert(wrong.end(), {overlong, twice, unaligned, far, endless, Bytes(4)});
    for (const Bytes& body : wrong) {
        hosted::take_log();
        machine_.put(0x6000, table("DMAR", body));
        const auto tables = parse(rsdp_at, machine_);
        ASSERT_TRUE(tables);
        EXPECT_EQ(tables->refused, 1U);
        EXPECT_TRUE(tables->remapping.empty());
        EXPECT_TRUE(tables->reserved.empty());
        EXPECT_EQ(tables->processors.size(), 3U) << "the others count";
        const auto lines = hosted::take_log();
        ASSERT_EQ(lines.size(), 1U);
        EXPECT_NE(lines[0].find("DMAR: "), std::string::npos);
        EXPECT_NE(lines[0].find("the IOMMU is left off"), std::string::npos);
    }
}

Bytes viot(std::uint16_t output, std::uint16_t first, std::uint16_t last, std::uint16_t nodes) {
    Bytes body;
    append(body, le16{nodes});
    append(body, le16{48});
    body.resize(12);
    append(body, spec::ViotPciUnit{{spec::viot_pci_unit, 0, 16}, 0, 0x00f0, 0});
    append(body, spec::ViotPciRange{{spec::viot_pci_range, 0, 24}, 0x100, 0, 0, first, last, output, {}});
    return body;
}

TEST_F(AcpiTest, VirtioIommusAreRead) {
    machine_.put(0x6000, table("VIOT", viot(48, 0, 0xffff, 2)));
    const auto tables = parse(rsdp_at, machine_);
    ASSERT_TRUE(tables);
    EXPECT_EQ(tables->refused, 0U);
    ASSERT_EQ(tables->translated.size(), 1U);
    EXPECT_EQ(tables->translated[0].first, 0U);
    EXPECT_EQ(tables->translated[0].last, 0xffffU);
    EXPECT_EQ(tables->translated[0].endpoint, 0x100U);
    EXPECT_EQ(tables->translated[0].unit, 0xf0U);
}

TEST_F(AcpiTest, AMalformedViotIsLeftOutWhole) {
    for (const Bytes& body : {viot(0, 0, 0xffff, 2), viot(64, 0, 0xffff, 2), viot(0xffff, 0, 0xffff, 2),
                              viot(48, 2, 1, 2), viot(48, 0, 0xffff, 3), Bytes(8)}) {
        machine_.put(0x6000, table("VIOT", body));
        const auto tables = parse(rsdp_at, machine_);
        ASSERT_TRUE(tables);
        EXPECT_EQ(tables->refused, 1U);
        EXPECT_TRUE(tables->translated.empty());
    }
}

TEST_F(AcpiTest, AnyByteWrong) {
    std::mt19937 random(3);
    for (const std::uint64_t address :
         std::initializer_list<std::uint64_t>{0x2000, 0x3000, 0x4000, 0x5000, 0x6000, 0x7000}) {
        const Bytes original = machine_.at(address);
        for (std::size_t i = 0; i < original.size(); ++i) {
            patch(address, i, {static_cast<int>(random() % 256)});
            const auto tables = parse(rsdp_at, machine_);
            if (tables) {
                EXPECT_LE(tables->processors.size(), 3U);
            }
            machine_.at(address) = original;
        }
    }
    hosted::take_log();
}

}  // namespace
}  // namespace pv::acpi
