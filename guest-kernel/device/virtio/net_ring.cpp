// A virtqueue of a network device.
// SPDX-License-Identifier: MIT
#include "device/virtio/net_ring.hpp"

#include <utility>

#include "base/atomic.hpp"
#include "device/dma/shared.hpp"

namespace pv::virtio {

Result<NetRing> NetRing::create(marker::Device device, std::uint16_t number, std::size_t entries) {
    using dma::Direction;
    const std::size_t table = SplitRing::table_bytes(entries);
    auto driver_area = PV_TRY(dma::UntoldBuffer::allocate(device, table + SplitRing::available_bytes(entries),
                                                          Direction::to_device));
    // The device writes it, and may read back what it wrote (QEMU changes single bits of its flags).
    auto device_area =
        PV_TRY(dma::UntoldBuffer::allocate(device, SplitRing::used_bytes(entries), Direction::bidirectional));
    const SplitRing ring =
        PV_TRY(SplitRing::create(driver_area->bytes().first(table), driver_area->bytes().subspan(table),
                                 device_area->bytes(), entries));
    return NetRing{device, number, ring, std::move(driver_area), std::move(device_area)};
}

NetRing::NetRing(marker::Device device, std::uint16_t number, SplitRing ring, dma::UntoldBuffer&& driver_area,
                 dma::UntoldBuffer&& device_area)
    : device_{device},
      number_{number},
      ring_{ring},
      untold_driver_area_{std::move(driver_area)},
      untold_device_area_{std::move(device_area)} {}

QueueAreas NetRing::announce() {
    driver_area_ = untold_driver_area_.take();
    device_area_ = untold_device_area_.take();
    announced_ = true;
    const QueueAreas areas{driver_area_.bus(), driver_area_.bus() + SplitRing::table_bytes(entries()),
                           device_area_.bus()};
    marker::queue_areas(device_, number_, areas.driver, areas.device);
    marker::queue_create(device_, marker::QueueKind::virtio_split, number_, entries(), areas.table);
    return areas;
}

RingHeader& NetRing::available() const {
    return *reinterpret_cast<RingHeader*>(driver_area_.bytes().data() + SplitRing::table_bytes(entries()));
}

const RingHeader& NetRing::used() const {
    return *reinterpret_cast<const RingHeader*>(device_area_.bytes().data());
}

void NetRing::ring_doorbell() {
    if (untold_ == 0) {
        return;
    }
    // The device first says that it wants to be told, then looks at the ring once more; this side does the
    // same in the other order, so one of them sees the other.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if ((dma::observe(used().flags) & ring_no_notify) != 0 && untold_ < entries() / 2) {
        return;
    }
    untold_ = 0;
    marker::doorbell(device_, marker::QueueKind::virtio_split, number_, ring_.available_index());
    doorbell_.ring(number_);
}

void NetRing::want_interrupts(bool wanted) {
    if (wanted == interrupts_) {
        return;
    }
    interrupts_ = wanted;
    dma::publish(available().flags, wanted ? std::uint16_t{0} : ring_no_interrupt);
    std::atomic_thread_fence(std::memory_order_seq_cst);
}

void NetRing::release() {
    if (std::exchange(announced_, false)) {
        marker::queue_delete(device_, marker::QueueKind::virtio_split, number_);
        driver_area_.release();
        device_area_.release();
    }
}

}  // namespace pv::virtio
