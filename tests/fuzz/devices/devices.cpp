// Fuzz target: what a device may say. Its capability list and BARs, its used ring, its completion queue, its
// identify data: whatever the bytes, the drivers' readers end, stay inside, and believe nothing impossible.
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>

#include "device/nvme/namespace.hpp"
#include "device/nvme/queue_pair.hpp"
#include "device/pci/bar.hpp"
#include "device/pci/capability.hpp"
#include "device/virtio/block.hpp"
#include "device/virtio/packed_ring.hpp"
#include "device/virtio/split_ring.hpp"

namespace {

using namespace pv;

void require(bool condition) {
    if (!condition) {
        std::abort();
    }
}

/// A configuration space that answers from the input, and changes with every write.
class HostileConfig final : public pci::ConfigSpace {
  public:
    explicit HostileConfig(std::span<const std::uint8_t> input) {
        std::copy_n(input.begin(), std::min(input.size(), bytes_.size()), bytes_.begin());
    }

    ~HostileConfig() = default;

    std::uint32_t read(pci::Address, std::size_t offset, unsigned width) override {
        std::uint32_t value = 0xffffffff;
        if (offset + width <= bytes_.size()) {
            value = 0;
            std::memcpy(&value, bytes_.data() + offset, width);
        }
        return value;
    }

    void write(pci::Address, std::size_t offset, unsigned width, std::uint32_t value) override {
        if (offset + width <= bytes_.size()) {
            value &= masks_ = masks_ * 1664525 + bytes_[offset];
            std::memcpy(bytes_.data() + offset, &value, width);
        }
    }

  private:
    std::array<std::uint8_t, 256> bytes_{};
    std::uint32_t masks_ = 0xfffff000;
};

void configuration(std::span<const std::uint8_t> input) {
    HostileConfig config{input};
    const pci::Function function{config, pci::Address{}};
    pci::CapabilityWalk walk{function};
    int found = 0;
    while (const auto capability = walk.next()) {
        require(++found <= 48 && capability->offset >= 0x40 && capability->offset % 4 == 0);
    }
    for (unsigned index = 0; index <= pci::bar_count; ++index) {
        if (const auto bar = pci::probe_bar(function, index, {})) {
            require(bar->size != 0 && (bar->size & (bar->size - 1)) == 0);
            require(bar->address.value() != 0 && bar->address.value() % bar->size == 0);
        }
    }
}

void used_ring(std::span<const std::uint8_t> input) {
    constexpr std::size_t entries = 8;
    alignas(16) std::array<std::byte, virtio::SplitRing::table_bytes(entries)> table{};
    alignas(16) std::array<std::byte, virtio::SplitRing::available_bytes(entries)> available{};
    alignas(16) std::array<std::byte, virtio::SplitRing::used_bytes(entries)> used{};
    auto ring = *virtio::SplitRing::create(table, available, used, entries);
    std::size_t outstanding = 0;
    while (!input.empty()) {
        const std::size_t taken = std::min(input.size(), used.size());
        std::memcpy(used.data(), input.data(), taken);
        input = input.subspan(taken);
        if (outstanding < entries) {
            ring.make_available(static_cast<std::uint16_t>(outstanding++));
        }
        std::size_t seen = 0;
        while (ring.next_used(outstanding - std::min(seen, outstanding))) {
            require(++seen <= outstanding);
        }
    }
}

void packed_ring(std::span<const std::uint8_t> input) {
    constexpr std::size_t entries = 8;
    alignas(16) std::array<std::byte, virtio::PackedRing::table_bytes(entries)> table{};
    alignas(16) std::array<std::byte, virtio::PackedRing::event_bytes> driver{};
    alignas(16) std::array<std::byte, virtio::PackedRing::event_bytes> device{};
    auto ring = *virtio::PackedRing::create(table, driver, device, entries, true);
    std::array<bool, entries> out{};
    std::uint8_t next = 0;
    while (!input.empty()) {
        const std::size_t of_table = std::min(input.size(), table.size());
        std::memcpy(table.data(), input.data(), of_table);
        input = input.subspan(of_table);
        const std::size_t of_event = std::min(input.size(), device.size());
        std::memcpy(device.data(), input.data(), of_event);
        input = input.subspan(of_event);
        const auto id = static_cast<std::uint16_t>(next++ % entries);
        const std::array<virtio::Descriptor, 2> chain{};
        const bool made = ring.make_available(id, std::span{chain}.first(1 + id % 2)).has_value();
        require(!made || !out[id]);
        out[id] = out[id] || made;
        (void)ring.wants_doorbell();
        std::size_t seen = 0;
        while (const auto used = ring.next_used()) {
            require(++seen <= entries + 1);
            require(ring.broken() || (used->id < entries && out[used->id]));
            if (!ring.broken()) {
                out[used->id] = false;
            }
        }
        (void)ring.rearm();
    }
}

void completion_queue(std::span<const std::uint8_t> input) {
    constexpr std::size_t entries = 8;
    alignas(4096) static std::array<std::byte, 4096> submission;
    alignas(4096) static std::array<std::byte, 4096> completion;
    submission.fill(std::byte{});
    completion.fill(std::byte{});
    auto pair = *nvme::QueuePair::create(submission, completion, entries);
    while (!input.empty()) {
        const std::size_t taken = std::min(input.size(), entries * sizeof(nvme::CompletionEntry));
        std::memcpy(completion.data(), input.data(), taken);
        input = input.subspan(taken);
        (void)pair.push(nvme::SubmissionEntry{});
        for (std::size_t i = 0; i < entries; ++i) {
            const auto one = pair.next();
            if (!one) {
                break;
            }
            require(!one->sound || one->submission_head < entries);
            require(pair.completion_head() < entries && pair.submission_tail() < entries);
        }
    }
}

void geometry(std::span<const std::uint8_t> input) {
    static nvme::IdentifyNamespace data;
    data = {};
    std::memcpy(static_cast<void*>(&data), input.data(), std::min(input.size(), sizeof(data)));
    const std::size_t limit = nvme::transfer_limit(input.empty() ? 0 : input[0], 12);
    if (const auto shape = nvme::geometry_of(data, {.transfer = limit})) {
        require(shape->blocks != 0 && shape->block_size >= 512 && shape->command_blocks != 0);
        require(shape->command_blocks <= nvme::maximum_blocks);
        require(shape->bytes() / shape->block_size == shape->blocks);
    }
    virtio::BlockConfiguration configuration;
    std::uint64_t features = 0;
    if (input.size() >= sizeof(configuration) + sizeof(features)) {
        std::memcpy(&configuration, input.data(), sizeof(configuration));
        std::memcpy(&features, input.data() + sizeof(configuration), sizeof(features));
        if (const auto shape = virtio::geometry_of(configuration, features, 1 << 20)) {
            require(shape->command_blocks != 0 && shape->bytes() / shape->block_size == shape->blocks);
        }
        const auto chain = virtio::request_shape(configuration.capacity & 0xff, (features & 1) != 0,
                                                 configuration.seg_max, configuration.size_max, 128);
        require(!chain || (chain->segments != 0 && chain->segment_bytes % 512 == 0));
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) {
        return 0;
    }
    const std::span input{data + 1, size - 1};
    switch (data[0] % 5) {
        case 0:
            configuration(input);
            break;
        case 1:
            used_ring(input);
            break;
        case 2:
            completion_queue(input);
            break;
        case 4:
            packed_ring(input);
            break;
        default:
            geometry(input);
            break;
    }
    return 0;
}
