// A virtio PCI device for tests: registers that act at once, a thread behind its queues, faults and lies on
// demand.
// SPDX-License-Identifier: MIT
#include "fake_virtio.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>

#include "device/virtio/regs.hpp"
#include "hosted/control.hpp"

namespace pv::virtio {
namespace {

constexpr std::size_t length = 0x4000;
constexpr std::size_t notify = 0x1000;
constexpr std::size_t configuration = 0x2000;
constexpr std::size_t table = 0x3000;
constexpr std::size_t multiplier = 4;

std::byte* memory(std::uint64_t bus) {
    return reinterpret_cast<std::byte*>(bus);
}

template <class T>
T load(const void* place) {
    return std::atomic_ref{*static_cast<T*>(const_cast<void*>(place))}.load();
}

template <class T>
void store(void* place, T value) {
    std::atomic_ref{*static_cast<T*>(place)}.store(value);
}

}  // namespace

FakeVirtio::FakeVirtio(const FakeShape& initial)
    : shape{initial},
      memory_{static_cast<std::byte*>(std::aligned_alloc(length, length))},
      queues_(initial.queues),
      disk_(std::min<std::uint64_t>(initial.sectors, 65536) * sector_size) {
    std::memset(memory_.get(), 0, length);
    const auto address = reinterpret_cast<std::uintptr_t>(memory_.get());
    config_.put16(0x00, pci_vendor);
    config_.put16(0x02, shape.device_id);
    config_.set_bar(0, ~static_cast<std::uint32_t>(length - 1), 4, static_cast<std::uint32_t>(address));
    config_.set_bar(1, 0xffffffff, 0, static_cast<std::uint32_t>(address >> 32));
    std::vector<std::pair<std::uint8_t, std::uint8_t>> capabilities{{0x40, 0x11}, {0x50, 0x09}, {0x64, 0x09}};
    if (shape.configuration_length != 0) {
        capabilities.emplace_back(0x78, 0x09);
    }
    config_.set_capabilities(capabilities);
    config_.put16(0x42, static_cast<std::uint16_t>(shape.vectors - 1));
    config_.put32(0x44, table);
    const auto structure = [&](std::size_t at, Structure type, std::size_t offset, std::size_t size) {
        config_.put8(at + 2, 20);
        config_.put8(at + 3, static_cast<std::uint8_t>(type));
        config_.put8(at + 4, 0);
        config_.put32(at + 8, static_cast<std::uint32_t>(offset));
        config_.put32(at + 12, static_cast<std::uint32_t>(size));
    };
    structure(0x50, Structure::common, 0, CommonRegisters::minimum_length);
    structure(0x64, Structure::notify, notify, 0x100);
    config_.put32(0x64 + 16, multiplier);
    structure(0x78, Structure::device, configuration, shape.configuration_length);
    hosted::model_registers(memory_.get(), length, this);
    thread_ = std::thread{[this] { run(); }};
}

FakeVirtio::~FakeVirtio() {
    stopping_ = true;
    thread_.join();
    hosted::model_registers(memory_.get(), length, nullptr);
}

std::uint64_t FakeVirtio::read_register(std::size_t offset, unsigned width) {
    using Common = CommonRegisters;
    if (gone) {
        return ~std::uint64_t{0};
    }
    const std::scoped_lock guard(lock_);
    if (offset >= configuration && offset < table) {
        std::array<std::byte, 0x40> bytes{};
        const auto put = [&](std::size_t at, auto value) {
            std::memcpy(bytes.data() + at, &value, sizeof value);
        };
        put(0x00, shape.sectors);
        put(0x08, shape.size_max);
        put(0x0c, shape.seg_max);
        put(0x14, shape.block_size);
        put(0x22, shape.configured_queues);
        put(0x24, shape.range_sectors);
        put(0x28, shape.ranges);
        put(0x30, shape.range_sectors);
        put(0x34, shape.ranges);
        std::uint64_t value = 0;
        std::memcpy(&value, bytes.data() + (offset - configuration), width);
        return value;
    }
    if (offset >= notify) {
        std::uint64_t value = 0;
        std::memcpy(&value, memory_.get() + offset, width);
        return value;
    }
    const Queue* queue = selected_ < queues_.size() ? &queues_[selected_] : nullptr;
    switch (offset) {
        case Common::device_feature.offset:
            return feature_half_ < 2 ? shape.features >> 32 * feature_half_ & 0xffffffff : 0;
        case Common::config_vector.offset:
            return config_vector_;
        case Common::queue_count.offset:
            return shape.queues;
        case Common::device_status.offset:
            return status_;
        case Common::config_generation.offset:
            generation_ = static_cast<std::uint8_t>(generation_ + (restless ? 1 : 0));
            return generation_;
        case Common::queue_size.offset:
            return queue == nullptr ? 0 : (queue->size != 0 ? queue->size : shape.entries);
        case Common::queue_vector.offset:
            return queue == nullptr ? Common::no_vector : queue->vector;
        case Common::queue_enable.offset:
            return queue != nullptr && queue->enabled ? 1 : 0;
        case Common::queue_notify_offset.offset:
            return selected_;
        default:
            return 0;
    }
}

void FakeVirtio::write_register(std::size_t offset, unsigned width, std::uint64_t value) {
    if (gone) {
        return;
    }
    if (offset >= notify && offset < configuration) {
        // With a queue's lock held, which an interrupt takes: so nothing of ours is locked here.
        if (value < kicked_.size()) {
            ++kicks;
            kicked_[value] = true;
        }
        return;
    }
    const std::scoped_lock guard(lock_);
    if (offset >= table) {
        std::memcpy(memory_.get() + offset, &value, width);
    } else if (offset < notify) {
        write_common(offset, value);
    }
}

void FakeVirtio::write_common(std::size_t offset, std::uint64_t value) {
    using Common = CommonRegisters;
    const auto vector = [&](std::uint64_t asked) {
        return static_cast<std::uint16_t>(asked < shape.vectors ? asked : Common::no_vector);
    };
    switch (offset) {
        case Common::device_feature_select.offset:
            feature_half_ = static_cast<std::uint32_t>(value);
            return;
        case Common::driver_feature_select.offset:
            driver_half_ = static_cast<std::uint32_t>(value);
            return;
        case Common::driver_feature.offset:
            if (driver_half_ < 2) {
                features_ &= ~(std::uint64_t{0xffffffff} << 32 * driver_half_);
                features_ |= value << 32 * driver_half_;
            }
            return;
        case Common::config_vector.offset:
            config_vector_ = vector(value);
            return;
        case Common::device_status.offset:
            if (value == 0) {
                reset();
            } else if ((value & DeviceStatus::features_ok) != 0 && never_back) {
                status_ = static_cast<std::uint8_t>(value & (0xff ^ DeviceStatus::features_ok));
            } else {
                status_ = static_cast<std::uint8_t>(value);
            }
            return;
        case Common::queue_select.offset:
            selected_ = static_cast<std::uint16_t>(value);
            return;
        default:
            break;
    }
    if (selected_ >= queues_.size()) {
        return;
    }
    Queue& queue = queues_[selected_];
    const auto low = [&](std::uint64_t& place) { place = (place & ~std::uint64_t{0xffffffff}) | value; };
    const auto high = [&](std::uint64_t& place) { place = (place & 0xffffffff) | value << 32; };
    switch (offset) {
        case Common::queue_size.offset:
            queue.size = static_cast<std::uint16_t>(value);
            break;
        case Common::queue_vector.offset:
            queue.vector = vector(value);
            break;
        case Common::queue_enable.offset:
            queue.enabled = true;
            used_queues_.insert(selected_);
            break;
        case Common::queue_descriptors_low.offset:
            low(queue.table);
            break;
        case Common::queue_descriptors_high.offset:
            high(queue.table);
            break;
        case Common::queue_driver_low.offset:
            low(queue.driver);
            break;
        case Common::queue_driver_high.offset:
            high(queue.driver);
            break;
        case Common::queue_device_low.offset:
            low(queue.device);
            break;
        case Common::queue_device_high.offset:
            high(queue.device);
            break;
        default:
            break;
    }
}

void FakeVirtio::reset() {
    if (never_quiet) {
        return;
    }
    resets += (status_ & DeviceStatus::driver_ok) != 0 ? 1 : 0;
    status_ = 0;
    features_ = 0;
    config_vector_ = CommonRegisters::no_vector;
    queues_.assign(shape.queues, Queue{});
    held_.clear();
    raised_.clear();
    for (auto& kicked : kicked_) {
        kicked = false;
    }
}

void FakeVirtio::run() {
    while (!stopping_) {
        if (!gone) {
            const std::scoped_lock guard(lock_);
            for (std::size_t i = 0; i < queues_.size() && (status_ & DeviceStatus::driver_ok) != 0; ++i) {
                if (queues_[i].enabled && i < kicked_.size() && kicked_[i].exchange(false)) {
                    serve(static_cast<std::uint16_t>(i), queues_[i]);
                }
            }
        }
        deliver();
        std::this_thread::sleep_for(std::chrono::microseconds(20));
    }
}

/// Until the queue is empty: who makes something available later tells, or is told that it need not.
void FakeVirtio::serve(std::uint16_t number, Queue& queue) {
    do {
        while (auto chain = pop(queue)) {
            handle(number, queue, std::move(*chain));
        }
    } while (rearm(queue));
}

std::optional<FakeVirtio::Chain> FakeVirtio::pop(Queue& queue) {
    Chain chain;
    std::uint64_t indirect = 0;
    std::size_t indirect_length = 0;
    const auto add = [&](std::uint64_t address, std::uint32_t bytes, std::uint16_t flags) {
        if ((flags & Descriptor::flag_indirect) != 0) {
            indirect = address;
            indirect_length = bytes / sizeof(Descriptor);
        } else {
            chain.parts.push_back({memory(address), bytes, (flags & Descriptor::flag_device_writes) != 0});
        }
    };
    if (packed()) {
        const auto* ring = reinterpret_cast<const PackedDescriptor*>(memory(queue.table));
        const auto flags_at = [&](std::uint16_t place) { return load<std::uint16_t>(&ring[place].flags); };
        const std::uint16_t first = flags_at(queue.available);
        const bool available = ((first & PackedDescriptor::flag_available) != 0) == queue.available_wrap &&
                               ((first & PackedDescriptor::flag_used) != 0) != queue.available_wrap;
        if (!available) {
            return std::nullopt;
        }
        chain.descriptors = 0;
        while (true) {
            const PackedDescriptor& one = ring[queue.available];
            const std::uint16_t flags = flags_at(queue.available);
            add(one.address, one.length, flags);
            chain.id = one.id;
            ++chain.descriptors;
            queue.available = static_cast<std::uint16_t>(queue.available + 1);
            if (queue.available == queue.size) {
                queue.available = 0;
                queue.available_wrap = !queue.available_wrap;
            }
            if ((flags & Descriptor::flag_next) == 0 || chain.descriptors > queue.size) {
                break;
            }
        }
        const auto* inner = reinterpret_cast<const PackedDescriptor*>(memory(indirect));
        for (std::size_t i = 0; i < indirect_length; ++i) {
            add(inner[i].address, inner[i].length, inner[i].flags);
        }
        return chain;
    }
    const std::byte* driver = memory(queue.driver);
    if (load<std::uint16_t>(driver + 2) == queue.available) {
        return std::nullopt;
    }
    const std::size_t slot = queue.available++ % queue.size;
    chain.id = load<std::uint16_t>(driver + sizeof(RingHeader) + 2 * slot);
    const auto* descriptors = reinterpret_cast<const Descriptor*>(memory(queue.table));
    std::uint16_t index = chain.id;
    if ((descriptors[index].flags & Descriptor::flag_indirect) != 0) {
        descriptors = reinterpret_cast<const Descriptor*>(memory(descriptors[index].address));
        index = 0;
    }
    while (chain.parts.size() < 128) {
        add(descriptors[index].address, descriptors[index].length, descriptors[index].flags);
        if ((descriptors[index].flags & Descriptor::flag_next) == 0) {
            break;
        }
        index = descriptors[index].next;
    }
    return chain;
}

/// Asks for a doorbell at the next thing that is made available; true when there is something already.
bool FakeVirtio::rearm(Queue& queue) {
    if (packed()) {
        if (event_index()) {
            auto* event = reinterpret_cast<EventSuppression*>(memory(queue.device));
            store<std::uint16_t>(
                &event->descriptor,
                static_cast<std::uint16_t>(queue.available | (queue.available_wrap ? 0x8000 : 0)));
            store<std::uint16_t>(&event->flags, EventSuppression::at_descriptor);
        }
        const auto* ring = reinterpret_cast<const PackedDescriptor*>(memory(queue.table));
        const auto flags = load<std::uint16_t>(&ring[queue.available].flags);
        return ((flags & PackedDescriptor::flag_available) != 0) == queue.available_wrap &&
               ((flags & PackedDescriptor::flag_used) != 0) != queue.available_wrap;
    }
    if (event_index()) {
        store<std::uint16_t>(memory(queue.device) + sizeof(RingHeader) + sizeof(UsedElement) * queue.size,
                             queue.available);
    }
    return load<std::uint16_t>(memory(queue.driver) + 2) != queue.available;
}

void FakeVirtio::handle(std::uint16_t number, Queue& queue, Chain chain) {
    BlockHeader header{};
    if (is_block()) {
        std::memcpy(static_cast<void*>(&header), chain.parts.front().memory, sizeof header);
    }
    const auto type = static_cast<BlockRequest>(header.type.get());
    ++seen_[type];
    const FakeAnswer decided = judge_ ? judge_(number, type, header.sector) : FakeAnswer{};
    if (decided.fate == FakeFate::hold) {
        held_.push_back({number, std::move(chain)});
        return;
    }
    std::uint32_t written = 1;
    std::uint8_t status = decided.status;
    if (status == 0 && decided.fate != FakeFate::underfill) {
        status = carry_out(chain, written);
    }
    if (is_block()) {
        *chain.parts.back().memory = std::byte{status};
    }
    if (decided.fate == FakeFate::overfill) {
        written += 4096;
    }
    answer(queue, chain, written);
    if (decided.fate == FakeFate::twice) {
        answer(queue, chain, written);
    }
}

std::uint8_t FakeVirtio::carry_out(const Chain& chain, std::uint32_t& written) {
    if (!is_block()) {
        const Part& part = chain.parts.front();
        written = part.writes ? std::min(static_cast<std::uint32_t>(part.length), shape.gives) : 0;
        if (!part.writes) {
            text_.append(reinterpret_cast<const char*>(part.memory), part.length);
        }
        for (std::uint32_t i = 0; i < written; ++i) {
            part.memory[i] = static_cast<std::byte>(i * 37 + 11);
        }
        return 0;
    }
    const auto* header = reinterpret_cast<const BlockHeader*>(chain.parts.front().memory);
    const auto type = static_cast<BlockRequest>(header->type.get());
    std::uint64_t offset = header->sector * sector_size;
    constexpr std::uint8_t failed = 1;
    if (type == BlockRequest::discard || type == BlockRequest::write_zeroes) {
        BlockRange range;
        std::memcpy(&range, chain.parts.at(1).memory, sizeof range);
        offset = range.sector * sector_size;
        const std::size_t bytes = std::size_t{range.sectors} * sector_size;
        if (header->sector != 0 || chain.parts[1].length != sizeof range || offset + bytes > disk_.size() ||
            range.sectors > shape.range_sectors) {
            return failed;
        }
        std::fill_n(disk_.begin() + static_cast<std::ptrdiff_t>(offset), bytes, std::byte{});
        return 0;
    }
    for (std::size_t i = 1; i + 1 < chain.parts.size(); ++i) {
        const Part& part = chain.parts[i];
        if (offset + part.length > disk_.size()) {
            return failed;
        }
        if (part.writes) {
            std::memcpy(part.memory, disk_.data() + offset, part.length);
            written += static_cast<std::uint32_t>(part.length);
        } else {
            std::memcpy(disk_.data() + offset, part.memory, part.length);
        }
        offset += part.length;
    }
    return 0;
}

void FakeVirtio::answer(Queue& queue, const Chain& chain, std::uint32_t written) {
    push(queue, chain.id, chain.descriptors, written);
}

void FakeVirtio::push(Queue& queue, std::uint16_t id, std::uint16_t descriptors, std::uint32_t bytes) {
    bool wanted = true;
    if (packed()) {
        auto* ring = reinterpret_cast<PackedDescriptor*>(memory(queue.table));
        const std::uint16_t at = queue.used;
        ring[at].id = id;
        ring[at].length = bytes;
        store<std::uint16_t>(
            &ring[at].flags,
            queue.used_wrap ? PackedDescriptor::flag_available | PackedDescriptor::flag_used : 0);
        const bool wrap = queue.used_wrap;
        queue.used = static_cast<std::uint16_t>(queue.used + descriptors);
        if (queue.used >= queue.size) {
            queue.used = static_cast<std::uint16_t>(queue.used - queue.size);
            queue.used_wrap = !queue.used_wrap;
        }
        const auto* event = reinterpret_cast<const EventSuppression*>(memory(queue.driver));
        const auto flags = load<std::uint16_t>(&event->flags);
        const auto asked = load<std::uint16_t>(&event->descriptor);
        if (flags == EventSuppression::at_descriptor) {
            const bool same = ((asked & EventSuppression::wrap) != 0) == wrap;
            const std::uint16_t place = asked & 0x7fff;
            wanted = same ? place >= at && place < at + descriptors
                          : place + std::size_t{queue.size} < std::size_t{at} + descriptors;
        } else {
            wanted = flags == EventSuppression::enable;
        }
    } else {
        std::byte* device = memory(queue.device);
        auto* ring = reinterpret_cast<UsedElement*>(device + sizeof(RingHeader));
        ring[queue.used % queue.size] = UsedElement{id, bytes};
        const std::uint16_t before = queue.used++;
        store<std::uint16_t>(device + 2, queue.used);
        if (event_index()) {
            wanted = load<std::uint16_t>(memory(queue.driver) + sizeof(RingHeader) +
                                         2 * std::size_t{queue.size}) == before;
        }
    }
    if (wanted) {
        collect(queue.vector);
    }
}

void FakeVirtio::collect(std::uint16_t vector) {
    if (vector < shape.vectors && !mute) {
        raised_.push_back(vector);
    }
}

void FakeVirtio::deliver() {
    std::vector<interrupt::Message> messages;
    {
        const std::scoped_lock guard(lock_);
        for (const std::uint16_t vector : raised_) {
            const std::byte* entry = memory_.get() + table + std::size_t{16} * vector;
            if ((load<std::uint32_t>(entry + 12) & 1) == 0) {
                messages.push_back({load<std::uint64_t>(entry), load<std::uint32_t>(entry + 8)});
            }
        }
        raised_.clear();
    }
    for (const auto& message : messages) {
        ++interrupts;
        hosted::raise(message);
    }
}

void FakeVirtio::judge(Judge judge) {
    const std::scoped_lock guard(lock_);
    judge_ = std::move(judge);
}

void FakeVirtio::release() {
    const std::scoped_lock guard(lock_);
    for (Held& one : std::exchange(held_, {})) {
        std::uint32_t written = 1;
        const std::uint8_t status = carry_out(one.chain, written);
        if (is_block()) {
            *one.chain.parts.back().memory = std::byte{status};
        }
        answer(queues_[one.queue], one.chain, written);
    }
}

void FakeVirtio::lie(std::uint16_t queue, std::uint32_t id, std::uint32_t bytes) {
    const std::scoped_lock guard(lock_);
    if (queues_[queue].enabled) {
        push(queues_[queue], static_cast<std::uint16_t>(id), 1, bytes);
    }
}

void FakeVirtio::jump(std::uint16_t queue, std::uint16_t by) {
    const std::scoped_lock guard(lock_);
    if (queues_[queue].enabled && !packed()) {
        queues_[queue].used = static_cast<std::uint16_t>(queues_[queue].used + by);
        store<std::uint16_t>(memory(queues_[queue].device) + 2, queues_[queue].used);
        collect(queues_[queue].vector);
    }
}

void FakeVirtio::resize(std::uint64_t sectors) {
    const std::scoped_lock guard(lock_);
    shape.sectors = sectors;
    ++generation_;
    collect(config_vector_);
}

void FakeVirtio::need_reset() {
    const std::scoped_lock guard(lock_);
    status_ |= DeviceStatus::needs_reset;
    collect(config_vector_);
}

std::size_t FakeVirtio::held() {
    const std::scoped_lock guard(lock_);
    return held_.size();
}

std::size_t FakeVirtio::seen(BlockRequest type) {
    const std::scoped_lock guard(lock_);
    return seen_[type];
}

std::set<std::uint16_t> FakeVirtio::used_queues() {
    const std::scoped_lock guard(lock_);
    return used_queues_;
}

std::uint64_t FakeVirtio::driver_features() {
    const std::scoped_lock guard(lock_);
    return features_;
}

std::string FakeVirtio::text() {
    const std::scoped_lock guard(lock_);
    return text_;
}

std::byte FakeVirtio::content(std::uint64_t offset) {
    const std::scoped_lock guard(lock_);
    return disk_.at(offset);
}

}  // namespace pv::virtio
