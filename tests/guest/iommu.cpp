// LEDGER C6, C21: a device reaches what it was given, and nothing else, and nothing any longer than it was
// given.
// SPDX-License-Identifier: MIT
#include "device/iommu/machine.hpp"

#include <algorithm>
#include <cstring>
#include <memory>

#include "base/log.hpp"
#include "boot/tests.hpp"
#include "device/dma/mapping.hpp"
#include "device/iommu/registry.hpp"
#include "device/pci/machine.hpp"
#include "dma_engine.hpp"
#include "memory/device_map.hpp"
#include "task/thread.hpp"

namespace pv::guest_test {
namespace {

using namespace literals;

constexpr std::byte pattern{0x5a};
constexpr std::byte untouched{0xc3};

/// The machine's IOMMU, and an engine behind it.
std::unique_ptr<DmaEngine> start() {
    const auto functions = pci::find_functions();
    PV_EXPECT(functions.has_value());
    iommu::start(*functions);
    auto engine = DmaEngine::find(*functions);
    PV_EXPECT(engine.has_value());
    return engine ? std::move(*engine) : nullptr;
}

dma::Pages filled(std::size_t length, std::byte value) {
    auto pages = dma::Pages::allocate(length);
    PV_EXPECT(pages.has_value());
    std::memset(pages->bytes().data(), static_cast<int>(value), pages->bytes().size());
    return *pages;
}

bool all(const dma::Pages& pages, std::byte value) {
    return std::ranges::all_of(pages.bytes(), [=](std::byte b) { return b == value; });
}

/// Fills the engine's buffer with `pattern`, through memory it was given for that.
void load(const DmaEngine& engine) {
    const dma::Pages source = filled(page_size, pattern);
    auto mapping = dma::Mapping::map(engine.device(), source, 0, page_size, dma::Direction::to_device);
    PV_EXPECT(mapping.has_value());
    PV_EXPECT(engine.fetch(mapping->bus().value(), page_size).has_value());
    mapping->unmap();
}

struct Granted {
    dma::Pages pages;
    dma::Mapping mapping;
};

/// A page that the engine may use, and does.
Granted grant(const DmaEngine& engine) {
    Granted granted{filled(page_size, untouched), {}};
    auto mapping =
        dma::Mapping::map(engine.device(), granted.pages, 0, page_size, dma::Direction::bidirectional);
    PV_EXPECT(mapping.has_value());
    granted.mapping = std::move(*mapping);
    PV_EXPECT(engine.store(granted.mapping.bus().value(), page_size).has_value());
    PV_EXPECT(!iommu::confined() || all(granted.pages, pattern));
    return granted;
}

/// What must be so after the engine was refused something.
void expect_cut_off(const DmaEngine& engine, Granted granted) {
    iommu::Domain* domain = iommu::domain_of(engine.device());
    PV_EXPECT(domain != nullptr);
    // A virtio-iommu's faults are looked for, every few milliseconds.
    const Deadline deadline = Deadline::after(2_s);
    while (domain != nullptr && !domain->stopped() && !deadline.expired()) {
        task::sleep(1_ms);
    }
    PV_EXPECT(domain != nullptr && domain->faults() >= 1 && domain->stopped());
    // Cut off also from what it was given, which still is its own.
    std::memset(granted.pages.bytes().data(), static_cast<int>(untouched), page_size);
    PV_EXPECT(engine.store(granted.mapping.bus().value(), page_size).has_value());
    PV_EXPECT(all(granted.pages, untouched));
    granted.mapping.unmap();
    const dma::Pages pages = filled(page_size, untouched);
    const auto refused = dma::Mapping::map(engine.device(), pages, 0, page_size, dma::Direction::to_device);
    PV_EXPECT(!refused && refused.error() == Error::device_failed);
}

}  // namespace

PV_GUEST_TEST(iommu_device_reaches_what_it_was_given) {
    const auto engine = start();
    PV_EXPECT(iommu::confined());
    load(*engine);
    // More pages than one table's entry covers, and none of them where the device is told they are.
    const dma::Pages target = filled(8 * page_size, untouched);
    auto mapping =
        dma::Mapping::map(engine->device(), target, 16, 7 * page_size, dma::Direction::from_device);
    PV_EXPECT(mapping.has_value() && mapping->bus().value() != target.physical().value() + 16);
    PV_EXPECT(engine->store(mapping->bus().value() + 4 * page_size - 16 + 100, 200).has_value());
    mapping->unmap();
    const auto written = target.bytes().subspan(4 * page_size + 100, 200);
    PV_EXPECT(std::ranges::all_of(written, [](std::byte b) { return b == pattern; }));
    PV_EXPECT(std::ranges::count(target.bytes(), pattern) == 200);
    PV_EXPECT(iommu::domain_of(engine->device())->faults() == 0);
    PV_EXPECT(iommu::domain_of(engine->device())->in_use() == 0);
}

PV_GUEST_TEST(iommu_device_is_kept_from_what_it_was_not_given) {
    const auto engine = start();
    load(*engine);
    Granted granted = grant(*engine);
    const dma::Pages target = filled(page_size, untouched);
    PV_EXPECT(engine->store(target.physical().value(), page_size).has_value());
    PV_EXPECT(all(target, untouched));
    expect_cut_off(*engine, std::move(granted));
}

PV_GUEST_TEST(iommu_device_is_kept_from_what_another_was_given) {
    const auto engine = start();
    load(*engine);
    Granted granted = grant(*engine);
    // Domains give out the same addresses: the last page is at one that the engine has nothing at.
    const dma::Pages target = filled(4 * page_size, untouched);
    marker::Device other{};
    for (std::uint32_t number = 0; number < 0x100; ++number) {
        const marker::Device candidate{number};
        if (candidate != engine->device() && iommu::domain_of(candidate) != nullptr) {
            other = candidate;
        }
    }
    auto mapping = dma::Mapping::map(other, target, 0, 4 * page_size, dma::Direction::bidirectional);
    PV_EXPECT(mapping.has_value());
    PV_EXPECT(engine->store(mapping->bus().value() + 3 * page_size, page_size).has_value());
    PV_EXPECT(all(target, untouched));
    mapping->unmap();
    expect_cut_off(*engine, std::move(granted));
}

// The device used the mapping before, so the IOMMU remembers it: only an invalidation makes it forget.
PV_GUEST_TEST(iommu_device_is_kept_from_what_was_taken_back) {
    const auto engine = start();
    load(*engine);
    Granted granted = grant(*engine);
    const dma::Pages target = filled(page_size, untouched);
    auto mapping = dma::Mapping::map(engine->device(), target, 0, page_size, dma::Direction::bidirectional);
    const std::uint64_t bus = mapping->bus().value();
    PV_EXPECT(engine->store(bus, page_size).has_value());
    PV_EXPECT(all(target, pattern));
    mapping->unmap();
    std::memset(target.bytes().data(), static_cast<int>(untouched), page_size);
    PV_EXPECT(engine->store(bus, page_size).has_value());
    PV_EXPECT(all(target, untouched));
    expect_cut_off(*engine, std::move(granted));
}

PV_GUEST_TEST(iommu_device_is_kept_from_writing_what_it_may_read) {
    const auto engine = start();
    load(*engine);
    Granted granted = grant(*engine);
    const dma::Pages target = filled(page_size, untouched);
    auto mapping = dma::Mapping::map(engine->device(), target, 0, page_size, dma::Direction::to_device);
    PV_EXPECT(engine->store(mapping->bus().value(), page_size).has_value());
    PV_EXPECT(all(target, untouched));
    mapping->unmap();
    expect_cut_off(*engine, std::move(granted));
}

// Booted with test_rmrr: the firmware's own, at its own addresses, and nothing beside it.
PV_GUEST_TEST(iommu_reserved_memory_is_kept) {
    const auto engine = start();
    constexpr PhysicalAddress firmware{0xf'f000};
    const auto expected = memory::map_firmware(firmware, page_size);
    PV_EXPECT(expected.has_value() &&
              !std::ranges::all_of(*expected, [](std::byte b) { return b == untouched; }));
    PV_EXPECT(engine->fetch(firmware.value(), page_size).has_value());
    Granted granted{filled(page_size, untouched), {}};
    granted.mapping =
        *dma::Mapping::map(engine->device(), granted.pages, 0, page_size, dma::Direction::bidirectional);
    PV_EXPECT(engine->store(granted.mapping.bus().value(), page_size).has_value());
    PV_EXPECT(std::ranges::equal(granted.pages.bytes(), *expected));
    PV_EXPECT(iommu::domain_of(engine->device())->faults() == 0);
    load(*engine);
    PV_EXPECT(engine->store(0x200'0000, page_size).has_value());  // RAM, whatever firmware said of it
    expect_cut_off(*engine, std::move(granted));
}

// A thousand times as many addresses as the device is ever given at once: none is lost on the way.
PV_GUEST_TEST(iommu_addresses_come_back) {
    const auto engine = start();
    iommu::Domain* domain = iommu::domain_of(engine->device());
    const dma::Pages pages = filled(64 * page_size, untouched);
    std::uint64_t highest = 0;
    for (int round = 0; round < 2000; ++round) {
        const std::size_t length = (static_cast<std::size_t>(round) % 64 + 1) * page_size;
        auto mapping = dma::Mapping::map(engine->device(), pages, 0, length, dma::Direction::to_device);
        auto second = dma::Mapping::map(engine->device(), pages, 0, page_size, dma::Direction::to_device);
        PV_EXPECT(mapping.has_value() && second.has_value());
        highest = std::max(highest, second->bus().value());
        mapping->unmap();
        second->unmap();
    }
    PV_EXPECT(domain->in_use() == 0);
    PV_EXPECT(highest - (std::uint64_t{1} << 32) < 1024 * page_size);
    PV_EXPECT(domain->faults() == 0);
}

}  // namespace pv::guest_test
