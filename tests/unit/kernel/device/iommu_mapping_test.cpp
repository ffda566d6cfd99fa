// LEDGER C6, C15, C21: a mapping behind an IOMMU: its address, and the order in which it ends.
// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <map>
#include <memory>

#include "device/dma/buffer.hpp"
#include "device/dma/mapping.hpp"
#include "device/iommu/registry.hpp"
#include "hosted/control.hpp"

namespace pv::iommu {
namespace {

constexpr marker::Device device{0x80};
constexpr marker::Device other{0x88};
constexpr std::uint64_t base = std::uint64_t{1} << 32;

/// A unit that keeps what it was told, and can be told to fail.
class FakeDomain final : public Domain {
  public:
    explicit FakeDomain(marker::Device of) : Domain{of, {base, base + 64 * page_size}} {}

    std::map<std::uint64_t, std::uint64_t> entries;  ///< page to frame
    bool forgets = true;                             ///< what was removed
    bool cut = false;
    std::size_t markers_at_removal = 0;

  protected:
    Result<> enter(std::uint64_t iova, PhysicalAddress physical, std::size_t pages,
                   marker::Direction) override {
        for (std::size_t i = 0; i < pages; ++i) {
            if (!entries.emplace(iova + i * page_size, physical.value() + i * page_size).second) {
                return fail(Error::busy);
            }
        }
        return {};
    }

    Result<> remove(std::uint64_t iova, std::size_t pages) override {
        for (const auto& marker : hosted::take_markers()) {
            markers_at_removal += marker.number == PV_MARKER_dma_unmap ? 1U : 0U;
        }
        if (!forgets) {
            return fail(Error::timed_out);
        }
        for (std::size_t i = 0; i < pages; ++i) {
            entries.erase(iova + i * page_size);
        }
        return {};
    }

    void cut_off() override { cut = true; }
};

class IommuMappingTest : public testing::Test {
  protected:
    void SetUp() override {
        auto made = std::make_unique<FakeDomain>(device);
        domain_ = made.get();
        ASSERT_TRUE(devices_.push_back({device, nullptr, std::move(made)}));
        confine(&devices_);
        (void)hosted::take_markers();
        (void)hosted::take_log();
    }

    void TearDown() override { confine(nullptr); }

    Vector<Attached> devices_;
    FakeDomain* domain_ = nullptr;
    dma::Pages pages_ = *dma::Pages::allocate(4 * page_size);
};

TEST_F(IommuMappingTest, GivesAnAddressOfTheDomain) {
    auto mapping = dma::Mapping::map(device, pages_, 0x1010, 0x1000, dma::Direction::to_device);
    ASSERT_TRUE(mapping);
    EXPECT_EQ(mapping->bus().value(), base + 0x10);
    EXPECT_EQ(domain_->entries.size(), 2U);
    EXPECT_EQ(domain_->entries.at(base), pages_.physical().value() + 0x1000);
    const auto marks = hosted::take_markers();
    ASSERT_EQ(marks.size(), 1U);
    EXPECT_EQ(marks[0].args[2], base + 0x10);
    EXPECT_EQ(marks[0].args[3], pages_.physical().value() + 0x1010);
    mapping->unmap();
    EXPECT_TRUE(domain_->entries.empty());
    EXPECT_EQ(domain_->in_use(), 0U);
}

TEST_F(IommuMappingTest, WhatFirmwareReservedStaysWhereItIs) {
    ASSERT_TRUE(domain_->keep({0x1000, 0x4000}));
    ASSERT_TRUE(domain_->keep({0x3000, 0x5000}));  // shares a page with the first
    EXPECT_EQ(domain_->entries, (std::map<std::uint64_t, std::uint64_t>{
                                    {0x1000, 0x1000}, {0x2000, 0x2000}, {0x3000, 0x3000}, {0x4000, 0x4000}}));
    EXPECT_EQ(domain_->keep({base + page_size, base + 2 * page_size}).error(), Error::out_of_range);
    EXPECT_EQ(domain_->entries.size(), 4U);
    auto mapping = dma::Mapping::map(device, pages_, 0, page_size, dma::Direction::to_device);
    ASSERT_TRUE(mapping);
    EXPECT_EQ(mapping->bus().value(), base);
}

TEST_F(IommuMappingTest, EndsInTheUnitBeforeItIsSaidToHaveEnded) {
    auto mapping = dma::Mapping::map(device, pages_, 0, 100, dma::Direction::to_device);
    mapping->unmap();
    EXPECT_EQ(domain_->markers_at_removal, 0U);
    const auto marks = hosted::take_markers();
    ASSERT_EQ(marks.size(), 1U);
    EXPECT_EQ(marks[0].number, static_cast<std::uint32_t>(PV_MARKER_dma_unmap));
}

TEST_F(IommuMappingTest, WhatTheUnitDoesNotForgetIsKeptForGood) {
    const dma::Statistics before = dma::statistics();
    domain_->forgets = false;
    std::byte* memory = nullptr;
    {
        const dma::Pages pages = *dma::Pages::allocate(page_size);
        memory = pages.bytes().data();
        auto mapping = dma::Mapping::map(device, pages, 0, 100, dma::Direction::from_device);
        mapping->unmap();
    }
    EXPECT_EQ(dma::statistics().abandoned, before.abandoned + 1);
    memory[0] = std::byte{1};  // still there: the address sanitizer would say if it were not
    EXPECT_TRUE(hosted::take_markers().empty()) << "it did not end, and is not said to have";
    // Its address is not given out again.
    domain_->forgets = true;
    auto next = dma::Mapping::map(device, pages_, 0, 100, dma::Direction::to_device);
    ASSERT_TRUE(next);
    EXPECT_EQ(next->bus().value(), base + page_size);
    next->unmap();
}

// Another CPU that got the address before the marker was out would mark its own mapping first.
TEST_F(IommuMappingTest, TheEndOfAMappingIsSaidBeforeItsAddressCanBeGivenOutAgain) {
    const BusAddress bus = *domain_->map(PhysicalAddress{page_size}, 1, dma::Direction::to_device);
    const std::uint64_t in_use = domain_->in_use();
    std::uint64_t when_said = 0;
    ASSERT_TRUE(domain_->unmap(bus, 1, [&] { when_said = domain_->in_use(); }));
    EXPECT_EQ(when_said, in_use);
    EXPECT_TRUE(domain_->entries.empty());
    EXPECT_EQ(domain_->in_use(), in_use - page_size);
}

TEST_F(IommuMappingTest, AddressesRunOutPolitelyAndComeBack) {
    dma::Pages large = *dma::Pages::allocate(64 * page_size);
    auto all = dma::Mapping::map(device, large, 0, 64 * page_size, dma::Direction::to_device);
    ASSERT_TRUE(all);
    EXPECT_EQ(dma::Mapping::map(device, pages_, 0, 1, dma::Direction::to_device).error(),
              Error::out_of_memory);
    all->unmap();
    auto again = dma::Mapping::map(device, pages_, 0, 1, dma::Direction::to_device);
    ASSERT_TRUE(again);
    again->unmap();
}

TEST_F(IommuMappingTest, ADeviceWithoutADomainIsGivenNothing) {
    EXPECT_EQ(dma::Mapping::map(other, pages_, 0, 1, dma::Direction::to_device).error(),
              Error::not_supported);
}

TEST_F(IommuMappingTest, AFaultIsReportedAndCutsTheDeviceOff) {
    report_fault({.device = device,
                  .address = 0x7000,
                  .reason = 5,
                  .attempt = Attempt::write,
                  .interrupt = false,
                  .words = vtd_reason(5)});
    EXPECT_TRUE(domain_->cut);
    EXPECT_TRUE(domain_->stopped());
    const auto marks = hosted::take_markers();
    ASSERT_EQ(marks.size(), 1U);
    EXPECT_EQ(marks[0].number, static_cast<std::uint32_t>(PV_MARKER_dma_fault));
    EXPECT_EQ(marks[0].args, (std::array<std::uint64_t, 6>{0x80, 5, 0x7000, 1, 0, 0}));
    const auto lines = hosted::take_log();
    ASSERT_EQ(lines.size(), 2U);
    EXPECT_NE(lines[0].find("device 00:10.0 may not write 0x7000: not mapped for writing"),
              std::string::npos);
    EXPECT_NE(lines[1].find("cut off"), std::string::npos);
    EXPECT_EQ(dma::Mapping::map(device, pages_, 0, 1, dma::Direction::to_device).error(),
              Error::device_failed);
}

TEST_F(IommuMappingTest, BuffersEndAsMappingsDo) {
    auto buffer = dma::Buffer::allocate(device, 3 * page_size, dma::Direction::bidirectional);
    ASSERT_TRUE(buffer);
    EXPECT_EQ(buffer->bus().value(), base);
    EXPECT_EQ(domain_->entries.size(), 3U);
    buffer->release();
    EXPECT_TRUE(domain_->entries.empty());
}

}  // namespace
}  // namespace pv::iommu
