// A chain is the device's from the moment its index is stored; what the used ring names is the driver's
// again.
// SPDX-License-Identifier: MIT
#include "ownership/virtio.hpp"

#include <algorithm>

namespace pv::ownership {
namespace {

// Virtio 1.2, 4.1.4.3: offsets in the common configuration.
enum Field : std::uint64_t {
    driver_feature_select = 0x08,
    driver_feature = 0x0c,
    device_status = 0x14,
    queue_select = 0x16,
    queue_size = 0x18,
    queue_enable = 0x1c,
    queue_descriptors = 0x20,
    queue_driver = 0x28,
    queue_device = 0x30,
    queue_reset = 0x3a,
};

constexpr std::uint64_t status_driver_ok = 4;
constexpr unsigned feature_ring_packed = 34;
constexpr unsigned feature_in_order = 35;

/// 2.7.8: an element of the used ring.
struct Used {
    std::uint32_t head;
    std::uint32_t length;
};

/// How many ends of chains that were not seen to begin are remembered.
constexpr std::size_t most_early = 64;

/// Puts `size` bytes of `value` where they belong in a register of 64 bits.
void put(std::uint64_t& target, std::uint64_t at, std::size_t size, std::uint64_t value) {
    const std::uint64_t mask = size >= 8 ? ~std::uint64_t{0} : (std::uint64_t{1} << 8 * size) - 1;
    target = (target & ~(mask << 8 * at)) | (value & mask) << 8 * at;
}

}  // namespace

/// Gives the device what one doorbell's chains are made of.
class Virtio::Taker final : public plugin::RingSink {
  public:
    Taker(Virtio& device, Queue& queue, const Actor& actor) : device_(device), queue_(queue), actor_(actor) {}

    void entry(const plugin::Ring&, std::uint16_t chain, std::uint64_t address,
               std::uint32_t length) override {
        own(chain, address, length, BufferRole::descriptor);
    }

    void descriptor(const plugin::Ring&, std::uint16_t chain, std::uint64_t address, std::uint32_t length,
                    bool device_writes) override {
        own(chain, address, length, device_writes ? BufferRole::from_device : BufferRole::to_device);
    }

    void indirect(const plugin::Ring&, std::uint16_t chain, std::uint64_t address,
                  std::uint32_t length) override {
        own(chain, address, length, BufferRole::list);
    }

    void request(const plugin::Ring&, std::uint16_t, pv_operation, std::uint64_t, std::uint32_t) override {
        command_ = 0;
        early_ = UINT32_MAX;
    }

    void fault(const plugin::Ring&, std::uint16_t, trace::RingFault, std::uint64_t) override { command_ = 0; }

    void unseen(const plugin::Ring&, trace::RingUnseen) override { device_.tracker().skip(); }

  private:
    void own(std::uint16_t chain, std::uint64_t address, std::uint64_t length, BufferRole role) {
        if (command_ == 0 && !is_early(chain)) {
            static_cast<void>(
                device_.end(queue_, chain));  // given twice: of the first nothing is known any more
            command_ = device_.tracker().begin(actor_, device_,
                                               static_cast<std::uint32_t>(queue_.ring.number), chain);
            if (command_ == 0) {
                return;
            }
            queue_.commands[chain] = command_;
            chain_ = chain;
        }
        if (command_ != 0 && chain_ == chain) {
            static_cast<void>(device_.tracker().own(command_, device_.route(), address, length, role));
        }
    }

    bool is_early(std::uint16_t chain) {
        if (early_ == chain) {
            return true;
        }
        const auto place = std::ranges::find(queue_.early, chain);
        if (place == queue_.early.end()) {
            return false;
        }
        queue_.early.erase(place);
        early_ = chain;
        return true;
    }

    Virtio& device_;
    Queue& queue_;
    const Actor& actor_;
    std::uint32_t command_ = 0;  ///< of the chain that is followed
    std::uint32_t chain_ = 0;
    std::uint32_t early_ = UINT32_MAX;
};

void Virtio::stored(const Actor&, std::uint64_t offset, std::size_t size, std::uint64_t value) {
    if (offset == driver_feature_select) {
        feature_page_ = static_cast<std::uint32_t>(value);
    } else if (offset == driver_feature && feature_page_ < 2) {
        put(features_, std::uint64_t{4} * feature_page_, 4, value);
    } else if (offset == device_status) {
        const bool begins = (value & 0xff) != 0 && (value & status_driver_ok) == 0;
        if ((value & 0xff) == 0) {
            quiet();
        }
        set_up_ = begins;
    } else if (offset == queue_select) {
        selected_ = static_cast<std::uint16_t>(value);
    } else if (queues_.size() >= most_queues && !queues_.contains(selected_)) {
        tracker().skip();
    } else if (offset == queue_size) {
        queues_[selected_].ring.entries = static_cast<std::uint16_t>(value);
    } else if (offset == queue_enable && (value & 0xffff) == 1) {
        enable(queues_[selected_]);
    } else if (offset == queue_reset && (value & 0xffff) == 1) {
        disable(queues_[selected_]);
    } else if (offset >= queue_descriptors && offset < queue_driver) {
        put(queues_[selected_].ring.descriptors, offset - queue_descriptors, size, value);
    } else if (offset >= queue_driver && offset < queue_device) {
        put(queues_[selected_].ring.driver_area, offset - queue_driver, size, value);
    } else if (offset >= queue_device && offset < queue_device + 8) {
        put(queues_[selected_].used, offset - queue_device, size, value);
    }
}

void Virtio::loaded(std::uint64_t offset, std::size_t, std::uint64_t value) {
    // A driver that is content with the size it finds does not write it.
    const bool known = queues_.contains(selected_) && queues_[selected_].ring.entries != 0;
    if (offset == queue_size && !known && queues_.size() < most_queues) {
        queues_[selected_].ring.entries = static_cast<std::uint16_t>(value);
    }
}

void Virtio::enable(Queue& queue) {
    disable(queue);
    queue.ring.number = selected_;
    queue.ring.next_available = 0;
    queue.next_used = 0;
    const auto unseen = [&](trace::OwnershipUnseen reason) {
        if (!is_unseen_) {
            is_unseen_ = true;
            tracker().sink().unseen(registers(), reason);
        }
    };
    if (!plugin::is_ring_size(queue.ring.entries) || (features_ >> feature_ring_packed & 1) != 0 ||
        (features_ >> feature_in_order & 1) != 0) {
        unseen(trace::OwnershipUnseen::ring);
        return;
    }
    if (tracker().buses().way(route()) == Buses::Way::unknown) {
        unseen(trace::OwnershipUnseen::translated);
        return;
    }
    // 2.7.6: the available ring's index is behind its flags.
    constexpr std::uint64_t index = 2;
    const Buses::Piece place =
        tracker().buses().resolve(route(), queue.ring.driver_area + index, sizeof(std::uint16_t));
    if (place.length != sizeof(std::uint16_t)) {
        tracker().skip();
        return;
    }
    tracker().watch(*this, queue.watched, place.physical, place.length);
    queue.enabled = true;
}

void Virtio::disable(Queue& queue) {
    tracker().unwatch(queue.watched);
    for (const auto& [head, command] : queue.commands) {
        tracker().end(command);
    }
    queue.commands.clear();
    queue.early.clear();
    queue.enabled = false;
}

void Virtio::quiet() {
    for (auto& [number, queue] : queues_) {
        disable(queue);
    }
    queues_.clear();
    features_ = 0;
    set_up_ = false;
    is_unseen_ = false;
}

void Virtio::settle() {
    for (auto& [number, queue] : queues_) {
        if (queue.enabled) {
            settle(queue);
        }
    }
}

void Virtio::settle(Queue& queue) {
    const auto index = memory().value<std::uint16_t>(queue.used + 2);
    // While nothing is owed, what stands there may be of the queue's last life.
    if (!index || queue.commands.empty()) {
        return;
    }
    const auto ended = static_cast<std::uint16_t>(*index - queue.next_used);
    if (ended > queue.ring.entries) {
        // Some elements are written over: whose chains they ended is not known.
        for (const auto& [head, command] : queue.commands) {
            tracker().end(command);
        }
        queue.commands.clear();
        queue.next_used = *index;
        return;
    }
    for (; queue.next_used != *index; ++queue.next_used) {
        const std::uint64_t slot = queue.next_used % queue.ring.entries;
        if (const auto used = memory().value<Used>(queue.used + 4 + sizeof(Used) * slot)) {
            const auto head = static_cast<std::uint16_t>(used->head);
            if (!end(queue, head)) {
                queue.early.push_back(head);
            }
            if (queue.early.size() > most_early) {
                queue.early.pop_front();
            }
        }
    }
}

bool Virtio::end(Queue& queue, std::uint16_t head) {
    const auto found = queue.commands.find(head);
    if (found == queue.commands.end()) {
        return false;
    }
    tracker().end(found->second);
    queue.commands.erase(found);
    return true;
}

void Virtio::rung(const Actor& actor, const Access& access) {
    for (auto& [number, queue] : queues_) {
        const Buses::Piece place = queue.enabled
                                       ? tracker().buses().resolve(route(), queue.ring.driver_area + 2, 2)
                                       : Buses::Piece{};
        if (place.length == 2 && access.physical < place.physical + 2 &&
            place.physical < access.physical + access.size) {
            settle(queue);
            take(actor, queue);
        }
    }
}

void Virtio::take(const Actor& actor, Queue& queue) {
    if (const auto index = memory().value<std::uint16_t>(queue.ring.driver_area + 2)) {
        Taker taker{*this, queue, actor};
        decode(queue.ring, *index, memory(), taker);
        settle(queue);
    }
}

}  // namespace pv::ownership
