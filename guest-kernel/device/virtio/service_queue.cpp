// A virtqueue in service: how the device is told, what it is caught at, how it begins anew and ends.
// SPDX-License-Identifier: MIT
#include "device/virtio/service_queue.hpp"

#include "base/log.hpp"

namespace pv::virtio {

QueueAreas ServiceQueue::announce() {
    const QueueAreas told = areas();
    marker::queue_areas(identity().device, identity().number, told.driver, told.device);
    marker::queue_create(identity().device, kind(), identity().number, entries(), told.table);
    announced_ = true;
    return told;
}

void ServiceQueue::on_trouble(Trouble function, void* context) {
    locked([&] {
        trouble_ = function;
        trouble_context_ = context;
    });
}

bool ServiceQueue::lied() {
    bool lied = false;
    locked([&] { lied = lied_; });
    return lied;
}

std::uint64_t ServiceQueue::lies() {
    std::uint64_t lies = 0;
    locked([&] { lies = lies_; });
    return lies;
}

void ServiceQueue::mark_available(std::uint16_t index) {
    marker::doorbell(identity().device, kind(), identity().number, index);
}

void ServiceQueue::tell() {
    if (trouble_ != nullptr) {
        trouble_(trouble_context_);
    }
}

void ServiceQueue::lie() {
    ++lies_;
    if (!lied_) {
        lied_ = true;
        tell();
    }
}

void ServiceQueue::broken() {
    if (!lied_) {
        log::error("{}: the ring of queue {} says what cannot be: nothing is taken from it any more",
                   identity().name, identity().number);
        lie();
    }
}

void ServiceQueue::mark_deleted() {
    if (announced_) {
        announced_ = false;
        marker::queue_delete(identity().device, kind(), identity().number);
    }
}

void ServiceQueue::renew() {
    locked([&] {
        mark_deleted();
        restart();
        lied_ = false;
    });
}

void ServiceQueue::release(bool quiet) {
    // A handler of an interrupt that was under way when the vector was masked comes too late from here on.
    close({});
    if (quiet) {
        end_all();
        mark_deleted();
    } else {
        log::error("{}: the memory of queue {} and of {} requests stays in quarantine for good",
                   identity().name, identity().number, owed());
    }
    end_memory(quiet);
}

void ServiceQueue::end(std::initializer_list<dma::Buffer*> buffers, bool quiet) {
    for (dma::Buffer* buffer : buffers) {
        if (*buffer && quiet) {
            buffer->release();
        } else if (*buffer) {
            buffer->quarantine();
        }
    }
}

}  // namespace pv::virtio
