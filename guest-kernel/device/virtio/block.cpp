// A virtio-blk device: brought up, its geometry, its requests, and put to rest again.
// SPDX-License-Identifier: MIT
#include "device/virtio/block.hpp"

#include <bit>
#include <new>
#include <utility>

#include "base/format.hpp"
#include "base/log.hpp"
#include "device/virtio/spec.hpp"

namespace pv::virtio {
namespace {

using namespace literals;

/// The specification states no time for a reset; a device that takes longer is given up.
constexpr Duration reset_deadline = 2_s;
constexpr std::uint16_t request_queue = 0;
constexpr std::uint16_t vector_index = 0;
constexpr std::size_t largest_queue = 256;
constexpr std::size_t largest_block = 65536;
constexpr std::uint64_t failure_log_limit = 8;

constexpr std::uint64_t wanted_features =
    Feature::blk_size_max | Feature::blk_seg_max | Feature::blk_read_only | Feature::blk_block_size |
    Feature::blk_flush | Feature::indirect_descriptors | Feature::access_platform;

void raise(void* queue) {
    static_cast<BlockQueue*>(queue)->interrupt();
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
    return block::Geometry{.blocks = blocks,
                           .block_size = block_size,
                           .alignment = 4,
                           .command_blocks = transfer / block_size,
                           .write_cache = (features & Feature::blk_flush) != 0,
                           .read_only = (features & Feature::blk_read_only) != 0};
}

Block::Block(pci::Function function, unsigned number)
    : name_length_{format::to(name_, "virtio-blk{}", number).size()}, pci_{function, Block::name()} {}

Block::~Block() = default;

Result<std::unique_ptr<block::Controller>> Block::create(pci::Function function, unsigned number) {
    std::unique_ptr<Block> block{new (std::nothrow) Block{function, number}};
    if (block == nullptr) {
        return fail(Error::out_of_memory);
    }
    if (const Result<> up = block->bring_up(); !up) {
        log::error("{}: not usable: {}", block->name(), up.error());
        block->shut_down(Deadline::after(1_s));
        return fail(up.error());
    }
    return std::unique_ptr<block::Controller>{std::move(block)};
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
    transport_->add_status(DeviceStatus::acknowledge);
    transport_->add_status(DeviceStatus::driver);
    const std::uint64_t features = PV_TRY(transport_->negotiate(wanted_features, Feature::version_1));
    const BlockConfiguration configuration = PV_TRY(read_configuration());

    const std::size_t entries =
        std::bit_floor(std::min<std::size_t>(transport_->queue_size_limit(request_queue), largest_queue));
    const bool indirect = (features & Feature::indirect_descriptors) != 0;
    const RequestShape shape = PV_TRY(request_shape(
        entries, indirect, (features & Feature::blk_seg_max) != 0 ? configuration.seg_max : 0,
        (features & Feature::blk_size_max) != 0 ? configuration.size_max : 0, block::maximum_in_flight));
    geometry_ = PV_TRY(geometry_of(configuration, features, shape.transfer()));

    queue_ =
        PV_TRY(BlockQueue::create({name(), marker_device(), request_queue}, shape, geometry_.block_size));
    PV_TRY(pci_.enable_msix());
    vector_ = PV_TRY(interrupt::Vector::allocate("virtio-blk queue", raise, queue_.get()));
    PV_TRY(pci_.set_vector(vector_index, vector_.message()));
    pci_.set_bus_mastering(true);
    queue_->set_doorbell(PV_TRY(transport_->enable_queue(
        request_queue, static_cast<std::uint16_t>(shape.entries), queue_->announce(), vector_index)));
    transport_->add_status(DeviceStatus::driver_ok);
    log::info("{}: {} blocks of {} bytes ({} MiB), {} blocks a request, {} requests at once{}{}{}", name(),
              geometry_.blocks, geometry_.block_size, geometry_.bytes() >> 20, geometry_.command_blocks,
              shape.slots, indirect ? ", indirect descriptors" : "",
              geometry_.write_cache ? ", write cache" : "",
              (features & Feature::access_platform) != 0 ? ", platform access" : "");
    return {};
}

Result<> Block::reset(marker::ResetReason reason) {
    marker::device_reset(marker_device(), reason);
    const Result<> quiet = transport_->reset(Deadline::after(reset_deadline));
    if (!quiet) {
        log::error("{}: its reset is not done after {}", name(), reset_deadline);
    }
    return quiet;
}

Result<BlockConfiguration> Block::read_configuration() const {
    return transport_->configuration(BlockRegisters::minimum_length, [](const mmio::Window& window) {
        const bool full = window.length() >= BlockRegisters::full_length;
        return BlockConfiguration{
            .capacity = static_cast<std::uint64_t>(window.read(BlockRegisters::capacity_high)) << 32 |
                        window.read(BlockRegisters::capacity_low),
            .size_max = full ? window.read(BlockRegisters::size_max) : 0,
            .seg_max = full ? window.read(BlockRegisters::seg_max) : 0,
            .block_size = full ? window.read(BlockRegisters::block_size) : 0};
    });
}

Result<block::Ticket> Block::start(const block::Work& work) {
    block::Submission submission{.operation = work.operation,
                                 .first = work.first,
                                 .blocks = work.blocks,
                                 .request = work.request,
                                 .deadline = work.deadline,
                                 .attempt = work.attempt};
    const auto room = work.wait ? BlockQueue::Room::wait : BlockQueue::Room::now;
    if (work.data == nullptr) {
        return queue_->start(BlockRequest::flush, std::move(submission), room);
    }
    const bool writes = work.operation == marker::Operation::write;
    submission.data =
        PV_TRY(dma::Mapping::map(marker_device(), work.data->pages, work.data->offset, work.data->length,
                                 block::data_direction(writes), work.room_until()));
    transport_->misbehave();
    return queue_->start(writes ? BlockRequest::write : BlockRequest::read, std::move(submission), room);
}

Result<> Block::finish(block::Ticket ticket) {
    const auto outcome = queue_->wait(ticket.id);
    if (!outcome) {
        if (outcome.error() == Error::timed_out && (transport_->status() & DeviceStatus::needs_reset) != 0) {
            queue_->close("the device asks for a reset");
        }
        return fail(outcome.error());
    }
    if (outcome->status != static_cast<std::uint8_t>(BlockStatus::ok)) {
        if (failures_.fetch_add(1, std::memory_order_relaxed) < failure_log_limit) {
            log::warning("{}: the device failed a request: status {}", name(), outcome->status);
        }
        return fail(Error::io);
    }
    return {};
}

void Block::shut_down(Deadline deadline) {
    if (!taken_) {
        return;
    }
    taken_ = false;
    if (queue_ != nullptr && !queue_->settle(deadline)) {
        log::error("{}: {} requests are still owed; the device is reset with them", name(), queue_->owed());
    }
    const Result<> quiet = reset(marker::ResetReason::shutdown);
    pci_.mask_vector(vector_index);
    pci_.disable_msix();
    // Without bus mastering it cannot reach memory, even if it did not obey: all mappings may end.
    pci_.set_bus_mastering(false);
    marker::device_release(marker_device());
    if (queue_ != nullptr) {
        queue_->release();
    }
    log::info("{}: {}", name(), quiet ? "at rest" : "cut off from memory");
}

}  // namespace pv::virtio
