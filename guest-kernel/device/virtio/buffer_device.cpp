// What the small virtio devices have in common: queues of single buffers, one interrupt, and the recovery.
// SPDX-License-Identifier: MIT
#include "device/virtio/buffer_device.hpp"

#include <algorithm>
#include <bit>
#include <new>
#include <utility>

#include "base/format.hpp"
#include "base/log.hpp"
#include "device/iommu/registry.hpp"
#include "device/virtio/spec.hpp"

namespace pv::virtio {
namespace {

constexpr std::uint16_t vector_index = 0;
constexpr std::size_t largest_queue = 64;

}  // namespace

BufferDevice::BufferDevice(pci::Function function, std::string_view prefix, unsigned number,
                           const Patience& patience)
    : name_length_{format::to(name_, "{}{}", prefix, number).size()},
      pci_{function, BufferDevice::name()},
      patience_{patience} {}

BufferDevice::~BufferDevice() = default;

// The order of steps is 3.1.1's.
Result<> BufferDevice::bring_up(marker::DeviceKind kind, std::uint16_t queues) {
    const Transport found = PV_TRY(Transport::find(pci_));
    transport_.reset(new (std::nothrow) Transport{found});
    if (transport_ == nullptr) {
        return fail(Error::out_of_memory);
    }
    marker::device(marker_device(), kind, transport_->registers().address, transport_->registers().size);
    taken_ = true;
    PV_TRY(reset(marker::ResetReason::set_up));
    features_ = PV_TRY(agree(Feature::event_index | Feature::access_platform));
    PV_TRY(queues_.reserve(queues));
    for (std::uint16_t i = 0; i < queues; ++i) {
        const std::size_t entries =
            std::bit_floor(std::min<std::size_t>(transport_->queue_size_limit(i), largest_queue));
        if (entries < 2) {
            log::error("{}: its queue {} has {} entries", name(), i, entries);
            return fail(Error::corrupt);
        }
        auto queue = PV_TRY(BufferQueue::create({name(), marker_device(), i}, entries,
                                                (features_ & Feature::event_index) != 0, patience_.command));
        PV_TRY(queues_.push_back(std::move(queue)));
    }
    recovery_ = PV_TRY(Recovery::create(*this));
    PV_TRY(pci_.enable_msix());
    vector_ = PV_TRY(interrupt::Vector::allocate("virtio device", raise, this));
    PV_TRY(pci_.set_vector(vector_index, vector_.message()));
    pci_.set_bus_mastering(true);
    PV_TRY(start_device());
    for (auto& queue : queues_) {
        queue->on_trouble([](void* recovery) { static_cast<Recovery*>(recovery)->look(); }, recovery_.get());
    }
    listener_.store(recovery_.get(), std::memory_order_release);
    return {};
}

Result<std::uint64_t> BufferDevice::agree(std::uint64_t wanted) {
    transport_->add_status(DeviceStatus::acknowledge);
    transport_->add_status(DeviceStatus::driver);
    return transport_->negotiate(wanted, Feature::version_1);
}

Result<> BufferDevice::start_device() {
    PV_TRY(transport_->set_configuration_vector(vector_index));
    for (auto& queue : queues_) {
        queue->set_doorbell(PV_TRY(transport_->enable_queue(queue->identity().number,
                                                            static_cast<std::uint16_t>(queue->entries()),
                                                            queue->announce(), vector_index)));
    }
    transport_->add_status(DeviceStatus::driver_ok);
    return transport_->health() == Health::good ? Result<>{} : fail(Error::device_failed);
}

Result<> BufferDevice::bring_back() {
    if (PV_TRY(agree(features_)) != features_) {
        log::error("{}: offers less than before the reset", name());
        return fail(Error::device_failed);
    }
    return start_device();
}

void BufferDevice::raise(void* device) {
    auto& self = *static_cast<BufferDevice*>(device);
    for (auto& queue : self.queues_) {
        queue->interrupt();
    }
    if (Recovery* recovery = self.listener_.load(std::memory_order_acquire);
        recovery != nullptr && self.transport_->health() != Health::good) {
        recovery->look();
    }
}

block::CommandCounts BufferDevice::counts() {
    block::CommandCounts sum;
    for (auto& queue : queues_) {
        sum.add(queue->counts());
    }
    return sum;
}

void BufferDevice::print_status() {
    for (auto& queue : queues_) {
        queue->print_status();
    }
    if (recovery_ != nullptr) {
        log::info("status: {}: {}; {} recoveries, {} resets", name(),
                  recovery_->dead()        ? "given up"
                  : recovery_->under_way() ? "a recovery is under way"
                                           : "in service",
                  recovery_->counts().begun.load(), recovery_->counts().resets.load());
    }
}

bool BufferDevice::lied() {
    bool lied = false;
    for (auto& queue : queues_) {
        lied = queue->lied() || lied;
    }
    return lied;
}

std::optional<Instant> BufferDevice::overdue_since() {
    std::optional<Instant> since;
    for (auto& queue : queues_) {
        const auto one = queue->overdue_since();
        since = one && (!since || *one < *since) ? one : since;
    }
    return since;
}

void BufferDevice::suspend() {
    for (auto& queue : queues_) {
        queue->suspend();
    }
}

void BufferDevice::resume() {
    for (auto& queue : queues_) {
        queue->resume();
    }
}

Result<> BufferDevice::reset(marker::ResetReason reason) {
    marker::device_reset(marker_device(), reason);
    const Result<> quiet = transport_->reset(Deadline::after(patience_.reset));
    if (!quiet) {
        log::error("{}: its reset: {}", name(), quiet.error());
    }
    return quiet;
}

void BufferDevice::empty(Error error) {
    for (auto& queue : queues_) {
        // What it answered before the reset is in the ring still.
        queue->interrupt();
        queue->fail_all(error);
        queue->renew();
    }
}

void BufferDevice::close(std::string_view why) {
    log::error("{}: given up: {}", name(), why);
    for (auto& queue : queues_) {
        queue->close({});
    }
}

bool BufferDevice::confined() const {
    return iommu::domain_of(marker_device()) != nullptr;
}

void BufferDevice::cut_off() {
    pci_.mask_vector(vector_index);
    pci_.disable_msix();
    pci_.set_bus_mastering(false);
}

bool BufferDevice::settle(Deadline deadline) {
    bool settled = true;
    for (auto& queue : queues_) {
        if (!queue->settle(deadline)) {
            log::error("{}: {} requests are still owed on queue {}", name(), queue->owed(),
                       queue->identity().number);
            settled = false;
        }
    }
    return settled;
}

void BufferDevice::shut_down(Deadline deadline) {
    if (!taken_) {
        return;
    }
    taken_ = false;
    (void)settle(deadline);
    listener_.store(nullptr, std::memory_order_release);
    for (auto& queue : queues_) {
        queue->on_trouble(nullptr, nullptr);
    }
    if (recovery_ != nullptr) {
        recovery_->stop();
    }
    const Result<> done = reset(marker::ResetReason::shutdown);
    const bool quiet = done || done.error() == Error::device_failed || confined();
    cut_off();
    marker::device_release(marker_device());
    for (auto& queue : queues_) {
        queue->release(quiet);
    }
    log::info("{}: {}", name(), quiet ? "at rest" : "did not stop: cut off from memory");
}

}  // namespace pv::virtio
