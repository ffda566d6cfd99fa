// An NVMe controller for tests: a thread behind registers in memory, with a disk, and faults on demand.
// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "device/nvme/spec.hpp"
#include "device/pci/config.hpp"
#include "fake_config.hpp"

namespace pv::nvme {

/// What it says about itself. Changed before start(), or while it is disabled.
struct FakeShape {
    std::uint64_t queue_entries = 256;  ///< CAP.MQES + 1
    std::uint64_t timeout = 1;          ///< CAP.TO
    std::uint64_t stride = 0;           ///< CAP.DSTRD
    std::uint64_t command_sets = 1;     ///< CAP.CSS
    std::uint64_t page_min = 0;         ///< CAP.MPSMIN
    std::uint64_t page_max = 0;         ///< CAP.MPSMAX
    std::uint16_t vectors = 9;
    std::uint16_t io_queues = 8;
    std::uint8_t transfer = 5;  ///< MDTS: 128 KiB
    std::uint8_t entry_sizes = 0x66;
    std::uint16_t optional = 0x0c;  ///< ONCS
    std::uint16_t admin = 0;        ///< OACS
    std::uint8_t write_cache = 1;   ///< VWC
    std::uint32_t cache_on = 1;     ///< feature 06h
    std::uint64_t size = 2048;      ///< of each namespace, in blocks
    std::uint8_t block_shift = 9;
    std::uint16_t metadata = 0;
    std::vector<std::uint32_t> namespaces{1};
    char serial = 'A';
};

/// What becomes of one command.
enum class FakeFate : std::uint8_t {
    carry_out,
    hold,    ///< fetched, no answer until release() or the end of its queue
    aborts,  ///< for an Abort: it aborts what it names
};

struct FakeAnswer {
    FakeFate fate = FakeFate::carry_out;
    std::uint16_t status = 0;
    std::uint32_t result = 0;
};

class FakeNvme {
  public:
    explicit FakeNvme(const FakeShape& shape = {});
    ~FakeNvme();

    /// The function as a driver finds it.
    [[nodiscard]] pci::Function function() { return {config_, {.bus = 0, .device = 4}}; }

    /// Decides what becomes of a command; queue 0 is the admin queue. On the fake's thread.
    using Judge = std::function<FakeAnswer(std::uint16_t queue, const SubmissionEntry&)>;

    void judge(Judge judge);

    /// Answers everything it holds, after carrying it out.
    void release();

    /// Puts a completion into the ring of `queue`, whatever was asked for.
    void lie(std::uint16_t queue, std::uint16_t command, std::uint16_t status);

    /// How often a command of this opcode came in.
    [[nodiscard]] std::size_t seen(bool admin, std::uint8_t opcode);
    [[nodiscard]] std::vector<SubmissionEntry> commands(bool admin, std::uint8_t opcode);
    [[nodiscard]] std::size_t held();

    std::atomic<bool> never_ready{false};
    std::atomic<bool> never_quiet{false};
    std::atomic<bool> fatal{false};  ///< CSTS.CFS until the next reset
    std::atomic<bool> gone{false};   ///< all ones
    std::atomic<bool> deaf{false};   ///< does not fetch
    std::atomic<bool> mute{false};   ///< raises no interrupts
    std::atomic<unsigned> resets{0};
    std::atomic<std::uint64_t> rings{0};  ///< doorbell registers seen written, with shadows
    FakeShape shape;

  private:
    struct Completions {
        CompletionEntry* ring = nullptr;
        std::size_t entries = 0;
        std::size_t tail = 0;
        bool phase = true;
        std::uint16_t vector = 0;
    };

    struct Submissions {
        const SubmissionEntry* ring = nullptr;
        std::size_t entries = 0;
        std::size_t head = 0;
        std::uint16_t completions = 0;
    };

    struct Held {
        std::uint16_t queue;
        SubmissionEntry entry;
    };

    void run();
    void configure();
    void fetch();
    /// The tail of a queue as far as the controller knows it: with shadows, only once its register was
    /// written.
    std::uint32_t tail_of(std::uint16_t queue, const Submissions& known);
    void handle(std::uint16_t queue, const SubmissionEntry& entry);
    void answer(std::uint16_t queue, std::uint16_t command, std::uint16_t status, std::uint32_t result = 0);
    std::uint16_t admin(const SubmissionEntry& entry, std::uint32_t& result);
    std::uint16_t io(const SubmissionEntry& entry);
    void identify(const SubmissionEntry& entry);
    void drop(std::uint16_t queue, bool tell);
    template <class T>
    T& reg(std::size_t offset);
    template <class T>
    T load(std::size_t offset);
    template <class T>
    void store(std::size_t offset, T value);

    struct Free {
        void operator()(std::byte* memory) const { std::free(memory); }
    };

    std::unique_ptr<std::byte, Free> registers_;
    pci::FakeConfig config_;
    std::mutex lock_;  ///< what follows
    Judge judge_;
    std::map<std::uint16_t, Submissions> submissions_;
    std::map<std::uint16_t, Completions> completions_;
    std::vector<Held> held_;
    std::vector<std::pair<bool, SubmissionEntry>> log_;
    std::map<std::uint32_t, std::vector<std::byte>> disks_;
    std::uint32_t* shadows_ = nullptr;
    std::uint32_t* events_ = nullptr;
    bool enabled_ = false;
    std::atomic<bool> stopping_{false};
    std::thread thread_;
};

}  // namespace pv::nvme
