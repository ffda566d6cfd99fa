// Disks that programs may open: names and numbers as Linux gives them, and who uses one right now.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <optional>

#include "base/atomic.hpp"
#include "base/deadline.hpp"
#include "base/errno.hpp"
#include "block/device.hpp"
#include "fs/disk_view.hpp"
#include "task/lock.hpp"
#include "task/wait_queue.hpp"

namespace pv::block {

/// One disk, from its publication until the machine ends; the device behind it may go before. Any thread.
class Published {
  public:
    /// Programs never see more.
    static constexpr std::size_t most = 64;

    /// Holds the device while somebody works on it. False in tests for: it was withdrawn.
    class Use {
      public:
        explicit Use(Published& disk) : disk_(disk), device_(disk.enter()) {}

        Use(const Use&) = delete;
        Use& operator=(const Use&) = delete;

        ~Use() { disk_.leave(); }

        explicit operator bool() const { return device_ != nullptr; }

        Device* operator->() const { return device_; }

        Device& operator*() const { return *device_; }

      private:
        Published& disk_;
        Device* device_;
    };

    [[nodiscard]] const fs::DiskFacts& facts() const { return *facts_; }

    /// Whether a request found that the device was given up, or it was withdrawn: nothing can be opened then.
    [[nodiscard]] bool gone() const { return gone_.load(std::memory_order_relaxed); }

    void set_gone() { gone_.store(true, std::memory_order_relaxed); }

    /// Held while blocks are read to be written with some of their bytes changed, and by all writes that go
    /// past no rule of alignment: so no write loses another's bytes. Not by direct writes, as on Linux.
    task::Mutex writers{task::Rank::block_device};

    /// Before others know of it.
    void begin(Device& device, const fs::DiskFacts& facts);
    /// No request begins any more; waits for those that run. Error: timed_out (the device must stay).
    [[nodiscard]] Result<> withdraw(Deadline deadline);

  private:
    [[nodiscard]] Device* enter();
    void leave();

    std::optional<fs::DiskFacts> facts_;  ///< there from begin() on
    Atomic<Device*> device_{nullptr};
    Atomic<unsigned> users_{0};
    Atomic<bool> gone_{false};
    task::WaitQueue idle_;
};

/// Registers the block devices' drivers and lets fs/ ask for them; reads the option disk-deadline. Once,
/// before any disk is published. Error: busy.
[[nodiscard]] Result<> start_publishing();

/// Makes `device` one that programs may open, under the next name of its kind: nvmeCnN as it calls itself,
/// vda, vdb... for virtio-blk. It stays until withdraw_all. Error: no_space (there are `most` already).
[[nodiscard]] Result<> publish(Device& device);

/// No program begins a request on any of them any more; waits for those under way. Error: timed_out: devices
/// are still used, and must stay.
[[nodiscard]] Result<> withdraw_all(Deadline deadline);

/// nullptr: there is no such disk.
[[nodiscard]] Published* find_published(fs::DeviceNumber number);

/// How long one request of a program may take: the option disk-deadline, or ten seconds. Settled by
/// start_publishing.
[[nodiscard]] Duration program_patience();

}  // namespace pv::block
