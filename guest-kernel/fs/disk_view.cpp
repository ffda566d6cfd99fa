// Who answers for disks.
// SPDX-License-Identifier: MIT
#include "fs/disk_view.hpp"

#include "base/atomic.hpp"

namespace pv::fs {
namespace {

constinit Atomic<DiskTeller> disk_teller{nullptr};
constinit Atomic<DiskFlusher> disk_flusher{nullptr};

}  // namespace

void set_disk_teller(DiskTeller teller, DiskFlusher flusher) {
    disk_flusher.store(flusher, std::memory_order_release);
    disk_teller.store(teller, std::memory_order_release);
}

bool tell_disk(std::size_t index, DiskFacts& facts) {
    const DiskTeller teller = disk_teller.load(std::memory_order_acquire);
    return teller != nullptr && teller(index, facts);
}

void flush_disks() {
    if (const DiskFlusher flusher = disk_flusher.load(std::memory_order_acquire); flusher != nullptr) {
        flusher();
    }
}

}  // namespace pv::fs
