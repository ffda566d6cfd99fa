// A virtio-blk device, brought up, and brought back after a reset.
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <bit>
#include <new>
#include <utility>

#include "arch/processor.hpp"
#include "base/log.hpp"
#include "device/virtio/block.hpp"
#include "device/virtio/spec.hpp"

namespace pv::virtio {
namespace {

constexpr std::uint16_t configuration_vector = 0;
constexpr std::size_t largest_queue = 256;
constexpr std::size_t largest_block = 65536;
/// Sectors of one discard or write-zeroes: what a range can name is more (32 bits), and takes some devices
/// long.
constexpr std::uint32_t most_range_sectors = std::uint32_t{1} << 21;

constexpr std::uint64_t wanted_features =
    Feature::blk_size_max | Feature::blk_seg_max | Feature::blk_read_only | Feature::blk_block_size |
    Feature::blk_flush | Feature::blk_multi_queue | Feature::blk_discard | Feature::blk_write_zeroes |
    Feature::indirect_descriptors | Feature::access_platform;

/// Whole blocks a range of the device's may be about.
std::uint64_t range_blocks(std::uint32_t sectors, std::size_t block_size) {
    return std::min(sectors, most_range_sectors) / (block_size / sector_size);
}

}  // namespace

Result<block::Geometry> geometry_of(const BlockConfiguration& configuration, std::uint64_t features,
                                    std::size_t transfer) {
    const std::size_t block_size =
        (features & Feature::blk_block_size) != 0 ? configuration.block_size : sector_size;
    if (!std::has_single_bit(block_size) || block_size < sector_size || block_size > largest_block ||
        block_size > transfer || configuration.capacity > ~std::uint64_t{0} / sector_size) {
        return fail(Error::corrupt);
    }
    const std::uint64_t blocks = configuration.capacity / (block_size / sector_size);
    if (blocks == 0) {
        return fail(Error::not_found);
    }
    const bool discards = (features & Feature::blk_discard) != 0;
    const bool zeroes = (features & Feature::blk_write_zeroes) != 0;
    return block::Geometry{
        .blocks = blocks,
        .block_size = block_size,
        .alignment = 4,
        .command_blocks = transfer / block_size,
        .zero_blocks = zeroes ? range_blocks(configuration.write_zeroes_sectors, block_size) : 0,
        .discard_blocks = discards ? range_blocks(configuration.discard_sectors, block_size) : 0,
        .write_cache = (features & Feature::blk_flush) != 0,
        .read_only = (features & Feature::blk_read_only) != 0};
}

// The order of steps is 3.1.1's.
Result<> Block::bring_up() {
    const Transport found = PV_TRY(Transport::find(pci_));
    transport_.reset(new (std::nothrow) Transport{found});
    if (transport_ == nullptr) {
        return fail(Error::out_of_memory);
    }
    marker::device(marker_device(), marker::DeviceKind::virtio_blk, transport_->registers().address,
                   transport_->registers().size);
    taken_ = true;
    PV_TRY(reset(marker::ResetReason::set_up));
    features_ = PV_TRY(agree(wanted_features | (options_.packed ? Feature::ring_packed : 0) |
                             (options_.event_index ? Feature::event_index : 0)));
    configuration_ = PV_TRY(read_configuration());
    PV_TRY(pci_.enable_msix());
    PV_TRY(make_queues(configuration_));
    recovery_ = PV_TRY(Recovery::create(*this));
    PV_TRY(make_vectors());
    pci_.set_bus_mastering(true);
    PV_TRY(start_device());
    const auto look = [](void* recovery) { static_cast<Recovery*>(recovery)->look(); };
    for (auto& queue : queues_) {
        queue->on_trouble(look, recovery_.get());
    }
    listener_.store(recovery_.get(), std::memory_order_release);
    const RequestShape& shape = queues_[0]->shape();
    const auto has = [&](std::uint64_t feature) { return (features_ & feature) != 0; };
    log::info("{}: {} blocks of {} bytes ({} MiB), {} blocks a request, {} requests at once{}{}{}{}{}",
              name(), geometry_.blocks, geometry_.block_size, geometry_.bytes() >> 20,
              geometry_.command_blocks, shape.slots, shape.indirect ? ", indirect descriptors" : "",
              geometry_.write_cache ? ", write cache" : "",
              geometry_.zero_blocks != 0 ? ", write zeroes" : "",
              geometry_.discard_blocks != 0 ? ", discard" : "",
              has(Feature::access_platform) ? ", platform access" : "");
    log::info("{}: {} {} queues of {} entries for {} CPUs, {} vectors{}", name(), queues_.size(),
              has(Feature::ring_packed) ? "packed" : "split", shape.entries, arch::cpu_count(),
              vectors_.size(), has(Feature::event_index) ? ", event indexes" : "");
    return {};
}

Result<std::uint64_t> Block::agree(std::uint64_t wanted) {
    transport_->add_status(DeviceStatus::acknowledge);
    transport_->add_status(DeviceStatus::driver);
    return transport_->negotiate(wanted, Feature::version_1);
}

Result<BlockConfiguration> Block::read_configuration() const {
    return transport_->configuration(BlockRegisters::minimum_length, [&](const mmio::Window& window) {
        using Registers = BlockRegisters;
        const auto field = [&](std::uint64_t feature, std::size_t needed, auto where) {
            return (features_ & feature) != 0 && window.length() >= needed ? window.read(where) : 0;
        };
        BlockConfiguration read{
            .capacity = static_cast<std::uint64_t>(window.read(Registers::capacity_high)) << 32 |
                        window.read(Registers::capacity_low),
            .size_max = field(Feature::blk_size_max, Registers::full_length, Registers::size_max),
            .seg_max = field(Feature::blk_seg_max, Registers::full_length, Registers::seg_max),
            .block_size = field(Feature::blk_block_size, Registers::full_length, Registers::block_size)};
        if (field(Feature::blk_discard, Registers::ranges_length, Registers::discard_ranges) != 0) {
            read.discard_sectors = window.read(Registers::discard_sectors);
        }
        if (field(Feature::blk_write_zeroes, Registers::ranges_length, Registers::write_zeroes_ranges) != 0) {
            read.write_zeroes_sectors = window.read(Registers::write_zeroes_sectors);
        }
        if ((features_ & Feature::blk_multi_queue) != 0 && window.length() >= Registers::queue_count_length) {
            read.queues = window.read(Registers::queue_count);
        }
        return read;
    });
}

Result<> Block::make_queues(const BlockConfiguration& configuration) {
    const std::size_t vectors = std::max<std::size_t>(pci_.vector_count(), 2) - 1;
    const std::size_t wanted =
        std::min<std::size_t>({arch::cpu_count(), vectors, std::max<std::size_t>(configuration.queues, 1)});
    const RingKind kind{.packed = (features_ & Feature::ring_packed) != 0,
                        .event_index = (features_ & Feature::event_index) != 0};
    // The largest power of two: what a split ring needs, and a packed one may have.
    const auto entries_of = [&](std::size_t index) {
        return std::bit_floor(std::min<std::size_t>(
            transport_->queue_size_limit(static_cast<std::uint16_t>(index)), largest_queue));
    };
    const RequestShape shape =
        PV_TRY(request_shape(entries_of(0), (features_ & Feature::indirect_descriptors) != 0,
                             configuration.seg_max, configuration.size_max, block::maximum_in_flight));
    geometry_ = PV_TRY(geometry_of(configuration, features_, shape.transfer()));
    PV_TRY(queues_.reserve(wanted));
    for (std::size_t i = 0; i < wanted && (i == 0 || entries_of(i) >= shape.entries); ++i) {
        auto queue = BlockQueue::create({name(), marker_device(), static_cast<std::uint16_t>(i)}, shape,
                                        geometry_.block_size, kind, patience_.command);
        if (!queue) {
            if (i != 0) {
                break;  // memory for fewer queues than there are CPUs: they share
            }
            return fail(queue.error());
        }
        PV_TRY(queues_.push_back(std::move(*queue)));
    }
    return {};
}

Result<> Block::make_vectors() {
    const auto add = [this](Result<interrupt::Vector> vector) -> Result<> {
        if (!vector) {
            return fail(vector.error());
        }
        const std::size_t entry = vectors_.size();
        PV_TRY(vectors_.push_back(std::move(*vector)));
        return pci_.set_vector(entry, vectors_[entry].message());
    };
    if (pci_.vector_count() == 1) {
        return add(interrupt::Vector::allocate("virtio-blk", raise_all, this));
    }
    PV_TRY(add(interrupt::Vector::allocate("virtio-blk configuration", raise_configuration, this)));
    for (std::size_t i = 0; i < queues_.size(); ++i) {
        PV_TRY(add(interrupt::Vector::allocate("virtio-blk queue", raise_queue, queues_[i].get(),
                                               static_cast<unsigned>(i))));
    }
    return {};
}

std::uint16_t Block::vector_of(std::size_t queue) const {
    return static_cast<std::uint16_t>(vectors_.size() > 1 ? queue + 1 : 0);
}

Result<> Block::start_device() {
    PV_TRY(transport_->set_configuration_vector(configuration_vector));
    for (std::size_t i = 0; i < queues_.size(); ++i) {
        const auto index = static_cast<std::uint16_t>(i);
        const auto entries = static_cast<std::uint16_t>(queues_[i]->shape().entries);
        queues_[i]->set_doorbell(
            PV_TRY(transport_->enable_queue(index, entries, queues_[i]->announce(), vector_of(i))));
    }
    transport_->add_status(DeviceStatus::driver_ok);
    return transport_->health() == Health::good ? Result<>{} : fail(Error::device_failed);
}

Result<> Block::bring_back() {
    if (PV_TRY(agree(features_)) != features_) {
        log::error("{}: offers less than before the reset", name());
        return fail(Error::device_failed);
    }
    BlockConfiguration current = PV_TRY(read_configuration());
    // Larger is a change like another; smaller, or of other limits, is another device.
    if (current.capacity >= geometry_.blocks * (geometry_.block_size / sector_size)) {
        current.capacity = configuration_.capacity;
    }
    if (current != configuration_) {
        log::error("{}: not what it was before the reset", name());
        return fail(Error::device_failed);
    }
    return start_device();
}

}  // namespace pv::virtio
