// Virtio devices: objects, queues and elements as QEMU's events show them.
// SPDX-License-Identifier: MIT
#include "checks/model/virtio.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "checks/model/registers.hpp"

namespace pv::checks {

using trace::Kind;

namespace {

/// VIRTQUEUE_MAX_SIZE: no element has more parts.
constexpr std::size_t max_element_parts = 1024;

}  // namespace

std::optional<VirtioWrite> virtio_write(const Devices& devices, const trace::Event& event) {
    const std::optional<RegisterUse> use = devices.register_use(event);
    if (!use || !use->write ||
        (use->region != Region::virtio_common && use->region != Region::virtio_legacy)) {
        return std::nullopt;
    }
    const bool legacy = use->region == Region::virtio_legacy;
    return VirtioWrite{use->bar->bdf, legacy, legacy ? use->offset : use->structure, use->value};
}

const VirtioDevice* Virtio::find(Bdf bdf) const {
    const auto found = functions_.find(bdf);
    return found == functions_.end() ? nullptr : &found->second;
}

void Virtio::see(const trace::Event& event) {
    if (some_resetting_) {
        settle_resets(event);
    }
    switch (event.kind) {
        case Kind::mmio_write:
            register_write(event);
            break;
        case Kind::virtio_status:
            set_status(event);
            break;
        case Kind::virtio_kick:
            kick(event);
            break;
        case Kind::virtqueue_pop:
            pop(event);
            break;
        case Kind::virtqueue_fill:
            fill(event);
            break;
        case Kind::virtio_blk_read:
            block_request(event, PV_OPERATION_READ);
            break;
        case Kind::virtio_blk_write:
            block_request(event, PV_OPERATION_WRITE);
            break;
        case Kind::virtio_blk_complete: {
            const auto element = elements_.find(trace::get<Kind::virtio_blk_complete, "element">(event));
            if (element != elements_.end()) {
                element->second.status = trace::get<Kind::virtio_blk_complete, "status">(event);
            }
            break;
        }
        default:
            break;
    }
}

void Virtio::register_write(const trace::Event& event) {
    const std::optional<VirtioWrite> write = virtio_write(devices_, event);
    if (!write) {
        return;
    }
    VirtioDevice& device = functions_[write->bdf];
    device.bdf = write->bdf;
    const std::uint64_t value = write->value;
    if (write->to_status()) {
        last_status_write_ = place_of(event);
        last_status_bdf_ = write->bdf;
        last_status_value_ = value & 0xff;
        return;
    }
    if (write->legacy) {
        return;
    }
    switch (write->offset) {
        case virtio_register::driver_feature_select:
            device.feature_page = static_cast<std::uint32_t>(value);
            break;
        case virtio_register::driver_feature:
            if (device.feature_page < 2) {
                const unsigned shift = device.feature_page * 32;
                device.features &= ~(std::uint64_t{0xffff'ffff} << shift);
                device.features |= (value & 0xffff'ffff) << shift;
            }
            break;
        case virtio_register::queue_select:
            device.queue_select = static_cast<std::uint32_t>(value & 0xffff);
            break;
        case virtio_register::queue_size:
            if (device.queue_sizes.size() < 65'536) {
                device.queue_sizes[device.queue_select] = static_cast<std::uint32_t>(value & 0xffff);
            }
            break;
        default:
            break;
    }
}

void Virtio::set_status(const trace::Event& event) {
    constexpr std::int64_t near = 64;  // events of other vCPUs may come between, but few
    const std::uint64_t object = trace::get<Kind::virtio_status, "device">(event);
    const std::uint64_t value = trace::get<Kind::virtio_status, "value">(event);
    const bool matches = last_status_write_ && event.sequence - last_status_write_.sequence <= near &&
                         last_status_value_ == value;
    // A reset also comes with the machine's; a function is learnt from a value that only a driver writes.
    if (matches && value != 0) {
        objects_.insert_or_assign(object, last_status_bdf_);
    }
    const auto known = objects_.find(object);
    if (known == objects_.end()) {
        return;
    }
    VirtioDevice& device = functions_[known->second];
    device.bdf = known->second;
    if (value == 0 && device.status != 0) {
        device.resetting = matches ? last_status_write_ : place_of(event);
        device.cut_off = ledger_.outstanding(known->second);
        some_resetting_ = true;
        device.features = 0;
        device.queue_sizes.clear();
    }
    device.status = static_cast<std::uint32_t>(value);
}

void Virtio::settle_resets(const trace::Event& event) {
    bool left = false;
    for (auto& [bdf, device] : functions_) {
        if (!device.resetting) {
            continue;
        }
        bool over = event.cpu >= 0 && event.cpu == device.resetting.cpu &&
                    event.sequence != device.resetting.sequence && event.kind != Kind::virtio_status;
        if (event.kind == Kind::mmio_read || event.kind == Kind::mmio_write) {
            const Bar* bar = devices_.find(event.args[0]);
            over = over || (bar != nullptr && bar->bdf == bdf);
        }
        if (!over) {
            left = true;
            continue;
        }
        const std::size_t cut_off = device.cut_off;
        const DeviceState* state = devices_.find_device(bdf);
        if (cut_off > 0 && (state == nullptr || !state->announced)) {
            signals_.timeline(
                device.resetting, bdf, "reset",
                fmt::format("device reset with {} request{} outstanding", cut_off, cut_off == 1 ? "" : "s"));
        }
        ledger_.reset(bdf, place_of(event));
        forget_elements(bdf);
        device.resetting = {};
    }
    some_resetting_ = left;
}

void Virtio::forget_elements(Bdf bdf) {
    std::erase_if(elements_, [&](const auto& entry) {
        const auto queue = queues_.find(entry.second.queue);
        const bool ours = queue != queues_.end() && queue->second.bdf == bdf;
        if (ours) {
            ledger_.end_transfers(entry.second.owner);
        }
        return ours;
    });
}

void Virtio::kick(const trace::Event& event) {
    constexpr std::size_t most = 65'536;
    const auto device = objects_.find(trace::get<Kind::virtio_kick, "device">(event));
    if (queues_.size() >= most) {
        return;
    }
    Queue& queue = queues_[trace::get<Kind::virtio_kick, "queue">(event)];
    queue.bdf = device == objects_.end() ? no_device : device->second;
    queue.index = static_cast<std::uint32_t>(trace::get<Kind::virtio_kick, "index">(event));
    const DeviceState* state = devices_.find_device(queue.bdf);
    queue.has_commands = queue.has_commands || (state != nullptr && state->kind == PV_DEVICE_VIRTIO_BLK);
}

void Virtio::access(const trace::Event& event) {
    if (accesses_.size() >= 4 * max_element_parts) {
        release_accesses(accesses_.size() - max_element_parts);
    }
    Transfer transfer;
    transfer.at = place_of(event);
    transfer.address = trace::get<Kind::dma_access, "address">(event);
    transfer.length = trace::get<Kind::dma_access, "length">(event);
    transfer.device_writes = trace::get<Kind::dma_access, "device_writes">(event) != 0;
    if (transfer.length != 0) {
        accesses_.push_back(transfer);
    }
}

void Virtio::release_accesses(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        // When such an access ends is not known: it is judged where it begins and not followed.
        signals_.transfer(accesses_[i]);
    }
    accesses_.erase(accesses_.begin(), accesses_.begin() + static_cast<std::ptrdiff_t>(count));
}

void Virtio::pop(const trace::Event& event) {
    const std::uint64_t pointer = trace::get<Kind::virtqueue_pop, "element">(event);
    const std::uint64_t queue_pointer = trace::get<Kind::virtqueue_pop, "queue">(event);
    const std::uint64_t parts = trace::get<Kind::virtqueue_pop, "in_count">(event) +
                                trace::get<Kind::virtqueue_pop, "out_count">(event);
    if (parts < accesses_.size()) {
        release_accesses(accesses_.size() - static_cast<std::size_t>(parts));
    }
    const auto known = queues_.find(queue_pointer);
    const Place at = place_of(event);
    Element element;
    element.queue = queue_pointer;
    Bdf bdf = no_device;
    if (known != queues_.end()) {
        Queue& queue = known->second;
        bdf = queue.bdf;
        // A network device's frames are commands where the guest says so; its receive buffers are none.
        queue.has_commands = queue.has_commands || ledger_.awaits(bdf, queue.index);
        if (queue.has_commands) {
            element.is_command = true;
            element.owner =
                ledger_.take_next({bdf, queue.index, queue.popped++, PV_OPERATION_OTHER, false}, at);
        }
    }
    if (!element.is_command) {
        element.owner = ledger_.anonymous();
    }
    for (Transfer transfer : std::exchange(accesses_, {})) {
        transfer.bdf = bdf;
        ledger_.begin_transfer(element.owner, transfer);
    }
    const auto earlier = elements_.find(pointer);
    if (earlier != elements_.end()) {
        ledger_.end_transfers(earlier->second.owner);
    }
    elements_.insert_or_assign(pointer, element);
}

void Virtio::block_request(const trace::Event& event, std::uint32_t operation) {
    static_assert(trace::argument(Kind::virtio_blk_read, "sectors") ==
                  trace::argument(Kind::virtio_blk_write, "sectors"));
    const std::uint64_t object = trace::get<Kind::virtio_blk_read, "device">(event);
    const auto element = elements_.find(trace::get<Kind::virtio_blk_read, "element">(event));
    if (element == elements_.end()) {
        return;
    }
    const auto queue = queues_.find(element->second.queue);
    if (queue != queues_.end() && !queue->second.has_commands) {
        // The first request of a device nobody named: from here on its elements are commands.
        queue->second.has_commands = true;
        static_cast<void>(object);
    }
    if (element->second.is_command) {
        ledger_.describe(element->second.owner, operation,
                         trace::get<Kind::virtio_blk_read, "sectors">(event) * 512,
                         trace::get<Kind::virtio_blk_read, "sector">(event));
    }
}

void Virtio::fill(const trace::Event& event) {
    const auto found = elements_.find(trace::get<Kind::virtqueue_fill, "element">(event));
    if (found == elements_.end()) {
        return;
    }
    const Element element = found->second;
    elements_.erase(found);
    if (element.is_command) {
        ledger_.complete(element.owner, element.status, place_of(event));
    } else {
        ledger_.end_transfers(element.owner);
    }
}

}  // namespace pv::checks
