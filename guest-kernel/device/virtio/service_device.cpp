// A virtio device whose queues carry commands: brought up, what its recovery does with it, put to rest again.
// SPDX-License-Identifier: MIT
#include "device/virtio/service_device.hpp"

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

constexpr std::uint16_t configuration_vector = 0;

}  // namespace

ServiceDevice::ServiceDevice(pci::Function function, std::string_view prefix, unsigned number,
                             const Patience& patience)
    : name_length_{format::to(name_, "{}{}", prefix, number).size()},
      pci_{function, ServiceDevice::name()},
      patience_{patience} {}

ServiceDevice::~ServiceDevice() = default;

// The order of steps is 3.1.1's.
Result<> ServiceDevice::find(marker::DeviceKind kind) {
    const Transport found = PV_TRY(Transport::find(pci_));
    transport_.reset(new (std::nothrow) Transport{found});
    if (transport_ == nullptr) {
        return fail(Error::out_of_memory);
    }
    marker::device(marker_device(), kind, transport_->registers().address, transport_->registers().size);
    taken_ = true;
    return reset(marker::ResetReason::set_up);
}

Result<> ServiceDevice::agree(std::uint64_t wanted) {
    transport_->add_status(DeviceStatus::acknowledge);
    transport_->add_status(DeviceStatus::driver);
    features_ = PV_TRY(transport_->negotiate(wanted, Feature::version_1));
    return {};
}

std::size_t ServiceDevice::entries_of(std::size_t index, std::size_t most) const {
    return std::bit_floor(
        std::min<std::size_t>(transport_->queue_size_limit(static_cast<std::uint16_t>(index)), most));
}

Result<> ServiceDevice::add_queue(std::unique_ptr<ServiceQueue> queue) {
    if (const Result<> room = queues_.reserve(queues_.size() + 1); !room) {
        queue->release(true);  // the device was not told of it
        return room;
    }
    return queues_.push_back(std::move(queue));
}

Result<> ServiceDevice::watch() {
    recovery_ = PV_TRY(Recovery::create(*this));
    return pci_.enable_msix();
}

Result<> ServiceDevice::add_vector(Result<interrupt::Vector> vector) {
    if (!vector) {
        return fail(vector.error());
    }
    const std::size_t entry = vectors_.size();
    PV_TRY(vectors_.push_back(std::move(*vector)));
    return pci_.set_vector(entry, vectors_[entry].message());
}

Result<> ServiceDevice::enter_service() {
    pci_.set_bus_mastering(true);
    PV_TRY(start_device());
    for (auto& queue : queues_) {
        queue->on_trouble([](void* recovery) { static_cast<Recovery*>(recovery)->look(); }, recovery_.get());
    }
    listener_.store(recovery_.get(), std::memory_order_release);
    return {};
}

Result<> ServiceDevice::start_device() {
    PV_TRY(transport_->set_configuration_vector(configuration_vector));
    for (std::size_t i = 0; i < queues_.size(); ++i) {
        const auto entries = static_cast<std::uint16_t>(queues_[i]->entries());
        queues_[i]->set_doorbell(PV_TRY(transport_->enable_queue(queues_[i]->identity().number, entries,
                                                                 queues_[i]->announce(), vector_of(i))));
    }
    transport_->add_status(DeviceStatus::driver_ok);
    return transport_->health() == Health::good ? Result<>{} : fail(Error::device_failed);
}

Result<> ServiceDevice::bring_back() {
    const std::uint64_t before = features_;
    PV_TRY(agree(before));
    if (features_ != before) {
        features_ = before;
        log::error("{}: offers less than before the reset", name());
        return fail(Error::device_failed);
    }
    PV_TRY(same_as_before());
    return start_device();
}

void ServiceDevice::raise_configuration(void* device) {
    if (Recovery* recovery = static_cast<ServiceDevice*>(device)->listener_.load(std::memory_order_acquire)) {
        recovery->configuration_interrupt();
    }
}

void ServiceDevice::raise_all(void* device) {
    auto& self = *static_cast<ServiceDevice*>(device);
    for (auto& queue : self.queues_) {
        queue->interrupt();
    }
    // Nothing says what the one interrupt was about: of the configuration only a bad end is looked for.
    if (self.transport_->health() != Health::good) {
        raise_configuration(device);
    }
}

block::CommandCounts ServiceDevice::counts() {
    block::CommandCounts sum;
    for (auto& queue : queues_) {
        sum.add(queue->counts());
    }
    return sum;
}

void ServiceDevice::print_status(StatusLines& lines) {
    std::uint64_t lies = 0;
    for (auto& queue : queues_) {
        queue->print_status(lines);
        lies += queue->lies();
    }
    if (recovery_ != nullptr) {
        lines.add("{}: {}; {} recoveries, {} resets, {} lies", name(), recovery_->state(), recovery_->begun(),
                  recovery_->resets(), lies);
    }
}

bool ServiceDevice::lied() {
    bool lied = false;
    for (auto& queue : queues_) {
        lied = queue->lied() || lied;
    }
    return lied;
}

std::optional<Instant> ServiceDevice::overdue_since() {
    std::optional<Instant> since;
    for (auto& queue : queues_) {
        const auto one = queue->overdue_since();
        since = one && (!since || *one < *since) ? one : since;
    }
    return since;
}

void ServiceDevice::suspend() {
    for (auto& queue : queues_) {
        queue->suspend();
    }
}

void ServiceDevice::resume() {
    for (auto& queue : queues_) {
        queue->resume();
    }
}

Result<> ServiceDevice::reset(marker::ResetReason reason) {
    marker::device_reset(marker_device(), reason);
    const Result<> quiet = transport_->reset(Deadline::after(patience_.reset));
    if (!quiet) {
        log::error("{}: {}", name(),
                   quiet.error() == Error::timed_out ? "its reset is not done in time" : "it is gone");
    }
    return quiet;
}

void ServiceDevice::empty(Error error) {
    for (auto& queue : queues_) {
        // What it answered before the reset is in the ring still.
        queue->interrupt();
        queue->fail_all(error);
        queue->renew();
    }
}

void ServiceDevice::close(std::string_view why) {
    log::error("{}: given up: {}", name(), why);
    for (auto& queue : queues_) {
        queue->close({});
    }
}

bool ServiceDevice::confined() const {
    return iommu::domain_of(marker_device()) != nullptr;
}

void ServiceDevice::cut_off() {
    for (std::size_t i = 0; i < vectors_.size(); ++i) {
        pci_.mask_vector(i);
    }
    pci_.disable_msix();
    pci_.set_bus_mastering(false);
}

bool ServiceDevice::settle(Deadline deadline) {
    bool settled = true;
    for (auto& queue : queues_) {
        if (!queue->settle(deadline) || queue->owed() != 0) {
            log::error("{}: {} requests are still owed on queue {}", name(), queue->owed(),
                       queue->identity().number);
            settled = false;
        }
    }
    return settled;
}

void ServiceDevice::shut_down(Deadline deadline) {
    if (!taken_) {
        return;
    }
    taken_ = false;
    // While it waits, the recovery goes on.
    if (!settle(deadline)) {
        log::error("{}: it is reset with them", name());
    }
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
