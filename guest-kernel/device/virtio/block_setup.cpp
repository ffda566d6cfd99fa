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

Result<> Block::bring_up() {
    PV_TRY(find(marker::DeviceKind::virtio_blk));
    PV_TRY(agree(wanted_features | (options_.packed ? Feature::ring_packed : 0) |
                 (options_.event_index ? Feature::event_index : 0)));
    configuration_ = PV_TRY(read_configuration());
    PV_TRY(watch());
    PV_TRY(make_queues(configuration_));
    PV_TRY(make_vectors());
    PV_TRY(enter_service());
    const RequestShape& shape = queue(0).shape();
    log::info("{}: {} blocks of {} bytes ({} MiB), {} blocks a request, {} requests at once{}{}{}{}{}",
              name(), geometry_.blocks, geometry_.block_size, geometry_.bytes() >> 20,
              geometry_.command_blocks, shape.slots, shape.indirect ? ", indirect descriptors" : "",
              geometry_.write_cache ? ", write cache" : "",
              geometry_.zero_blocks != 0 ? ", write zeroes" : "",
              geometry_.discard_blocks != 0 ? ", discard" : "",
              has(Feature::access_platform) ? ", platform access" : "");
    log::info("{}: {} {} queues of {} entries for {} CPUs, {} vectors{}", name(), queue_count(),
              has(Feature::ring_packed) ? "packed" : "split", shape.entries, arch::cpu_count(),
              vector_count(), has(Feature::event_index) ? ", event indexes" : "");
    return {};
}

Result<BlockConfiguration> Block::read_configuration() const {
    return transport().configuration(BlockRegisters::minimum_length, [&](const mmio::Window& window) {
        using Registers = BlockRegisters;
        const auto field = [&](std::uint64_t feature, std::size_t needed, auto where) {
            return has(feature) && window.length() >= needed ? window.read(where) : 0;
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
        if (has(Feature::blk_multi_queue) && window.length() >= Registers::queue_count_length) {
            read.queues = window.read(Registers::queue_count);
        }
        return read;
    });
}

Result<> Block::make_queues(const BlockConfiguration& configuration) {
    const std::size_t vectors = std::max<std::size_t>(pci().vector_count(), 2) - 1;
    const std::size_t wanted =
        std::min<std::size_t>({arch::cpu_count(), vectors, std::max<std::size_t>(configuration.queues, 1)});
    const RingKind kind{.packed = has(Feature::ring_packed), .event_index = has(Feature::event_index)};
    const RequestShape shape =
        PV_TRY(request_shape(entries_of(0, largest_queue), has(Feature::indirect_descriptors),
                             configuration.seg_max, configuration.size_max, block::maximum_in_flight));
    geometry_ = PV_TRY(geometry_of(configuration, features(), shape.transfer()));
    for (std::size_t i = 0; i < wanted && (i == 0 || entries_of(i, largest_queue) >= shape.entries); ++i) {
        auto queue = BlockQueue::create({name(), marker_device(), static_cast<std::uint16_t>(i)}, shape,
                                        geometry_.block_size, kind, patience().command);
        if (!queue) {
            if (i != 0) {
                break;  // memory for fewer queues than there are CPUs: they share
            }
            return fail(queue.error());
        }
        PV_TRY(add_queue(std::move(*queue)));
    }
    return {};
}

Result<> Block::make_vectors() {
    ServiceDevice* const device = this;  // what the two about the whole device are given
    if (pci().vector_count() == 1) {
        return add_vector(interrupt::Vector::allocate("virtio-blk", raise_all, device));
    }
    PV_TRY(add_vector(interrupt::Vector::allocate("virtio-blk configuration", raise_configuration, device)));
    for (std::size_t i = 0; i < queue_count(); ++i) {
        PV_TRY(add_vector(interrupt::Vector::allocate("virtio-blk queue", raise_queue, &queue(i),
                                                      static_cast<unsigned>(i))));
    }
    return {};
}

std::uint16_t Block::vector_of(std::size_t queue) const {
    return static_cast<std::uint16_t>(vector_count() > 1 ? queue + 1 : 0);
}

Result<> Block::same_as_before() {
    BlockConfiguration current = PV_TRY(read_configuration());
    // Larger is a change like another; smaller, or of other limits, is another device.
    if (current.capacity >= geometry_.blocks * (geometry_.block_size / sector_size)) {
        current.capacity = configuration_.capacity;
    }
    if (current != configuration_) {
        log::error("{}: not what it was before the reset", name());
        return fail(Error::device_failed);
    }
    return {};
}

}  // namespace pv::virtio
