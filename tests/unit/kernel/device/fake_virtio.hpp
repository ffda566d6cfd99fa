// A virtio PCI device for tests: registers that act at once, a thread behind its queues, faults and lies on
// demand.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "device/pci/config.hpp"
#include "device/virtio/spec.hpp"
#include "fake_config.hpp"
#include "hosted/registers.hpp"

namespace pv::virtio {

inline constexpr std::uint64_t fake_features =
    Feature::version_1 | Feature::indirect_descriptors | Feature::event_index | Feature::blk_flush |
    Feature::blk_block_size | Feature::blk_seg_max | Feature::blk_multi_queue | Feature::blk_discard |
    Feature::blk_write_zeroes;

/// What it says about itself. Changed before the driver comes, or while it is reset.
struct FakeShape {
    std::uint64_t features = fake_features;
    std::uint16_t device_id = 0x1042;
    std::uint64_t sectors = 4096;
    std::uint32_t size_max = 0;
    std::uint32_t seg_max = 126;
    std::uint32_t block_size = 512;
    std::uint16_t configured_queues = 2;  ///< what the configuration says
    std::uint16_t queues = 2;             ///< what there are
    std::uint16_t entries = 64;
    std::uint16_t vectors = 4;
    std::uint32_t range_sectors = 1024;
    std::uint32_t ranges = 1;
    std::size_t configuration_length = 0x40;
    std::uint32_t gives = 4096;  ///< bytes at once, of a source of entropy
};

/// What becomes of one request.
enum class FakeFate : std::uint8_t {
    carry_out,
    hold,       ///< no answer until release() or the reset
    overfill,   ///< carried out, with a length of more than there was room for
    underfill,  ///< said to be good, with nothing written
    twice,      ///< answered twice
};

struct FakeAnswer {
    FakeFate fate = FakeFate::carry_out;
    std::uint8_t status = 0;
};

class FakeVirtio final : private hosted::Registers {
  public:
    explicit FakeVirtio(const FakeShape& shape = {});
    ~FakeVirtio();

    [[nodiscard]] pci::Function function() { return {config_, {.bus = 0, .device = 5}}; }

    using Judge = std::function<FakeAnswer(std::uint16_t queue, BlockRequest type, std::uint64_t sector)>;

    /// Decides what becomes of a request. On the fake's thread.
    void judge(Judge judge);

    /// Answers everything it holds, after carrying it out.
    void release();

    /// Says that chain `id` of `queue` is done, whatever was asked for.
    void lie(std::uint16_t queue, std::uint32_t id, std::uint32_t length);

    /// Its capacity from now on, with the interrupt for a change of the configuration.
    void resize(std::uint64_t sectors);

    /// DEVICE_NEEDS_RESET, with the same interrupt.
    void need_reset();

    /// Moves the used index of a split `queue` by `by`, with nothing in between.
    void jump(std::uint16_t queue, std::uint16_t by);

    [[nodiscard]] std::size_t held();
    /// Requests of this type that came in.
    [[nodiscard]] std::size_t seen(BlockRequest type);
    /// Queues that were in use at some time, and features the driver took.
    [[nodiscard]] std::set<std::uint16_t> used_queues();
    [[nodiscard]] std::uint64_t driver_features();
    [[nodiscard]] std::byte content(std::uint64_t offset);
    /// What was written to it, of a console.
    [[nodiscard]] std::string text();

    std::atomic<bool> never_quiet{false};  ///< the status never reads 0 again
    std::atomic<bool> never_back{false};   ///< refuses features after the next reset
    std::atomic<bool> gone{false};         ///< all ones
    std::atomic<bool> mute{false};         ///< raises no interrupts
    std::atomic<bool> restless{false};     ///< its configuration changes with every look
    std::atomic<unsigned> resets{0};       ///< of a device that was in service
    std::atomic<std::uint64_t> kicks{0};
    std::atomic<std::uint64_t> interrupts{0};
    FakeShape shape;

  private:
    struct Part {
        std::byte* memory;
        std::size_t length;
        bool writes;
    };

    struct Chain {
        std::uint16_t id = 0;
        std::uint16_t descriptors = 1;
        std::vector<Part> parts;
    };

    struct Queue {
        bool enabled = false;
        std::uint16_t size = 0;
        std::uint16_t vector = 0xffff;
        std::uint64_t table = 0;
        std::uint64_t driver = 0;
        std::uint64_t device = 0;
        std::uint16_t available = 0;  ///< split: index; packed: place
        std::uint16_t used = 0;
        bool available_wrap = true;
        bool used_wrap = true;
    };

    struct Held {
        std::uint16_t queue;
        Chain chain;
    };

    [[nodiscard]] std::uint64_t read_register(std::size_t offset, unsigned width) override;
    void write_register(std::size_t offset, unsigned width, std::uint64_t value) override;
    void write_common(std::size_t offset, std::uint64_t value);
    void reset();

    [[nodiscard]] bool packed() const { return (features_ & Feature::ring_packed) != 0; }

    [[nodiscard]] bool event_index() const { return (features_ & Feature::event_index) != 0; }

    void run();
    void serve(std::uint16_t number, Queue& queue);
    [[nodiscard]] std::optional<Chain> pop(Queue& queue);
    [[nodiscard]] bool rearm(Queue& queue);
    void handle(std::uint16_t number, Queue& queue, Chain chain);

    [[nodiscard]] bool is_block() const {
        return device_type(pci_vendor, shape.device_id) == DeviceType::block;
    }

    std::uint8_t carry_out(const Chain& chain, std::uint32_t& written);
    void answer(Queue& queue, const Chain& chain, std::uint32_t written);
    void push(Queue& queue, std::uint16_t id, std::uint16_t descriptors, std::uint32_t length);
    void collect(std::uint16_t vector);
    void deliver();

    struct Free {
        void operator()(std::byte* memory) const { std::free(memory); }
    };

    std::unique_ptr<std::byte, Free> memory_;
    pci::FakeConfig config_;
    std::array<std::atomic<bool>, 8> kicked_{};
    std::mutex lock_;  ///< what follows
    Judge judge_;
    std::uint8_t status_ = 0;
    std::uint8_t generation_ = 0;
    std::uint32_t feature_half_ = 0;
    std::uint32_t driver_half_ = 0;
    std::uint64_t features_ = 0;
    std::uint16_t selected_ = 0;
    std::uint16_t config_vector_ = 0xffff;
    std::vector<Queue> queues_;
    std::vector<Held> held_;
    std::map<BlockRequest, std::size_t> seen_;
    std::set<std::uint16_t> used_queues_;
    std::vector<std::byte> disk_;
    std::string text_;
    std::vector<std::uint16_t> raised_;  ///< vectors to raise once the lock is not held
    std::atomic<bool> stopping_{false};
    std::thread thread_;
};

}  // namespace pv::virtio
