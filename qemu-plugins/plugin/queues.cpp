// Queues live from queue_areas to queue_delete or the device's reset; each obstacle is said once a queue.
// SPDX-License-Identifier: MIT
#include "plugin/queues.hpp"

#include <algorithm>

namespace pv::plugin {

using trace::RingUnseen;

bool Queues::concerns(std::uint16_t marker, std::span<const std::uint64_t, 6> args) {
    switch (marker) {
        case PV_MARKER_device:
        case PV_MARKER_device_release:
        case PV_MARKER_device_reset:
        case PV_MARKER_queue_areas:
            return true;
        case PV_MARKER_dma_map:  // device, mapping, bus, physical, ...: translated or not
            return args[2] != args[3];
        case PV_MARKER_queue_create:
        case PV_MARKER_queue_delete:
        case PV_MARKER_doorbell:
            return args[1] == PV_QUEUE_VIRTIO_SPLIT || args[1] == PV_QUEUE_VIRTIO_PACKED;
        default:
            return false;
    }
}

void Queues::on_marker(std::uint16_t marker, std::span<const std::uint64_t, 6> args, RingSink& sink) {
    const std::scoped_lock hold{lock_};
    switch (marker) {
        case PV_MARKER_device:
            if (Device* taken = device(args[0], true); taken != nullptr) {
                taken->kind = args[1];
            }
            forget_queues(args[0]);
            break;
        case PV_MARKER_device_release:
        case PV_MARKER_device_reset:
            forget_queues(args[0]);
            break;
        case PV_MARKER_dma_map:
            if (Device* mapped = device(args[0], true); mapped != nullptr) {
                mapped->translated = true;
            }
            break;
        case PV_MARKER_queue_areas:
            set_areas(args);
            break;
        case PV_MARKER_queue_create:
            create(args, sink);
            break;
        case PV_MARKER_queue_delete:
            if (Queue* gone = queue(args[0], args[2], false); gone != nullptr) {
                *gone = Queue{};
            }
            break;
        case PV_MARKER_doorbell:
            doorbell(args, sink);
            break;
        default:
            break;
    }
}

Queues::Device* Queues::device(std::uint64_t bdf, bool make) {
    const auto same = [&](const Device& d) { return d.used && d.bdf == bdf; };
    if (const auto found = std::ranges::find_if(devices_, same); found != devices_.end()) {
        return &*found;
    }
    const auto free = std::ranges::find(devices_, false, &Device::used);
    if (!make || free == devices_.end()) {
        return nullptr;
    }
    *free = Device{.bdf = bdf, .used = true};
    return &*free;
}

Queues::Queue* Queues::queue(std::uint64_t bdf, std::uint64_t number, bool make) {
    const auto same = [&](const Queue& q) { return q.used && q.ring.bdf == bdf && q.ring.number == number; };
    if (const auto found = std::ranges::find_if(queues_, same); found != queues_.end()) {
        return &*found;
    }
    const auto free = std::ranges::find(queues_, false, &Queue::used);
    if (!make || free == queues_.end()) {
        return nullptr;
    }
    *free = Queue{};
    free->ring.bdf = bdf;
    free->ring.number = number;
    free->used = true;
    return &*free;
}

void Queues::forget_queues(std::uint64_t bdf) {
    for (Queue& q : queues_) {
        if (q.used && q.ring.bdf == bdf) {
            q = Queue{};
        }
    }
}

void Queues::set_areas(std::span<const std::uint64_t, 6> args) {
    if (Queue* q = queue(args[0], args[1], true); q != nullptr) {
        q->ring.driver_area = args[2];
        q->has_areas = true;
    }
}

void Queues::create(std::span<const std::uint64_t, 6> args, RingSink& sink) {
    Queue* q = queue(args[0], args[2], true);
    if (q == nullptr) {
        Ring refused;
        refused.bdf = args[0];
        refused.number = args[2];
        sink.unseen(refused, RingUnseen::too_many_queues);
        return;
    }
    const Device* owner = device(args[0], false);
    q->created = true;
    q->unseen = RingUnseen::none;
    q->ring.next_available = 0;
    q->ring.descriptors = args[4];
    q->ring.entries = is_ring_size(args[3]) ? static_cast<std::uint32_t>(args[3]) : 0;
    q->ring.block_requests = owner != nullptr && owner->kind == PV_DEVICE_VIRTIO_BLK;
    if (args[1] != PV_QUEUE_VIRTIO_SPLIT) {
        q->unseen = RingUnseen::not_split;
    } else if (q->ring.entries == 0) {
        q->unseen = RingUnseen::bad_size;
    } else if (!q->has_areas) {
        q->unseen = RingUnseen::no_areas;
    } else {
        q->unseen = obstacle(*q);
    }
    if (q->unseen != RingUnseen::none) {
        sink.unseen(q->ring, q->unseen);
    }
}

void Queues::doorbell(std::span<const std::uint64_t, 6> args, RingSink& sink) {
    Queue* q = queue(args[0], args[2], false);
    if (q == nullptr || !q->created || q->unseen != RingUnseen::none) {
        return;
    }
    // A mapping made since the queue was may have shown that addresses are translated.
    q->unseen = obstacle(*q);
    if (q->unseen != RingUnseen::none) {
        sink.unseen(q->ring, q->unseen);
        return;
    }
    decode(q->ring, args[3], found_.memory, sink);
}

RingUnseen Queues::obstacle(const Queue& q) {
    if (const Device* owner = device(q.ring.bdf, false); owner != nullptr && owner->translated) {
        return RingUnseen::translated;
    }
    if (!sought_) {
        found_ = find_();
        sought_ = true;
    }
    return found_.reason;
}

}  // namespace pv::plugin
