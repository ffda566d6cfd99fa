// Disks that programs may open.
// SPDX-License-Identifier: MIT
#include "block/published.hpp"

#include "base/atomic.hpp"
#include "base/format.hpp"
#include "base/log.hpp"
#include "block/disk_file.hpp"
#include "boot/options.hpp"
#include "fs/dev.hpp"
#include "fs/devices.hpp"

namespace pv::block {
namespace {

using namespace literals;

/// Linux leaves room for 15 partitions behind each virtio-blk disk.
constexpr std::uint32_t virtio_minors = 16;
constexpr unsigned letters = 26;

constinit std::array<Published, Published::most> all;
constinit Atomic<std::size_t> count{0};
constinit Duration patience = 10_s;

class DiskClass final : public fs::DeviceClass {
  public:
    pv::Outcome<Ref<fs::OpenFile>> open(const fs::Location& here, fs::DeviceNumber number,
                                        std::uint32_t flags) override {
        Published* disk = find_published(number);
        if (disk == nullptr || disk->gone()) {
            return fail(Errno::enxio);
        }
        return open_disk(here, flags, *disk);
    }
};

constinit DiskClass disk_class;

bool tell(std::size_t index, fs::DiskFacts& facts) {
    if (index >= count.load(std::memory_order_acquire)) {
        return false;
    }
    facts = all[index].facts();
    return true;
}

void flush_all() {
    const std::size_t there = count.load(std::memory_order_acquire);
    for (std::size_t i = 0; i < there; ++i) {
        const Published::Use device(all[i]);
        if (device && !device->flush(Deadline::after(program_patience()))) {
            log::warning("sync: {}: what was written may not last", all[i].facts().name.text());
        }
    }
}

std::uint32_t published_of(std::uint32_t major) {
    std::uint32_t found = 0;
    for (std::size_t i = 0; i < count.load(std::memory_order_relaxed); ++i) {
        found += all[i].facts().number.major == major ? 1U : 0U;
    }
    return found;
}

// Linux's virtio-blk: vda to vdz, vdaa and on.
fs::Name virtio_name(std::uint32_t index) {
    std::array<char, 8> room;
    const auto letter = [](std::uint32_t i) { return static_cast<char>('a' + i % letters); };
    return fs::Name(index < letters ? format::to(room, "vd{}", letter(index))
                                    : format::to(room, "vd{}{}", letter(index / letters - 1), letter(index)));
}

}  // namespace

void Published::begin(Device& device, const fs::DiskFacts& facts) {
    facts_ = facts;
    device_.store(&device, std::memory_order_seq_cst);
}

// The count goes up before the device is looked at, and withdraw takes the device away before it looks at the
// count: one of the two sees the other.
Device* Published::enter() {
    users_.fetch_add(1, std::memory_order_seq_cst);
    return device_.load(std::memory_order_seq_cst);
}

void Published::leave() {
    if (users_.fetch_sub(1, std::memory_order_seq_cst) == 1 &&
        device_.load(std::memory_order_seq_cst) == nullptr) {
        idle_.wake_all();
    }
}

Result<> Published::withdraw(Deadline deadline) {
    set_gone();
    device_.store(nullptr, std::memory_order_seq_cst);
    return idle_.wait(deadline, [&] { return users_.load(std::memory_order_seq_cst) == 0; });
}

Result<> start_publishing() {
    for (const std::uint32_t major : {fs::extended_disk_major, fs::virtio_disk_major}) {
        if (!fs::register_device_class(fs::NodeType::block_device, major, disk_class)) {
            return fail(Error::busy);
        }
    }
    if (const auto text = boot::option("disk-deadline")) {
        if (const auto asked = boot::parse_duration(*text); asked && *asked > Duration()) {
            patience = *asked;
        }
    }
    fs::set_disk_teller(tell, flush_all);
    return {};
}

Result<> publish(Device& device) {
    const std::size_t index = count.load(std::memory_order_relaxed);
    if (index == Published::most) {
        return fail(Error::no_space);
    }
    const bool is_virtio = device.kind() == marker::DeviceKind::virtio_blk;
    const std::uint32_t major = is_virtio ? fs::virtio_disk_major : fs::extended_disk_major;
    const std::uint32_t order = published_of(major);
    const Geometry& shape = device.geometry();
    all[index].begin(device, {.name = is_virtio ? virtio_name(order) : fs::Name(device.name()),
                              .number = {major, is_virtio ? order * virtio_minors : order},
                              .bytes = shape.bytes(),
                              .block_size = static_cast<std::uint32_t>(shape.block_size),
                              .discard_bytes = shape.discard_blocks * shape.block_size,
                              .zero_bytes = shape.zero_blocks * shape.block_size,
                              .read_only = shape.read_only,
                              .write_cache = shape.write_cache});
    count.store(index + 1, std::memory_order_release);
    if (const pv::Outcome<> made = fs::add_disk_nodes(); !made) {
        log::warning("/dev/{}: not made: error {}", all[index].facts().name.text(), number(made.error()));
    }
    return {};
}

Result<> withdraw_all(Deadline deadline) {
    Result<> result;
    for (std::size_t i = 0; i < count.load(std::memory_order_acquire); ++i) {
        if (const Result<> one = all[i].withdraw(deadline); !one) {
            result = one;
        }
    }
    return result;
}

Published* find_published(fs::DeviceNumber number) {
    for (std::size_t i = 0; i < count.load(std::memory_order_acquire); ++i) {
        if (all[i].facts().number == number) {
            return &all[i];
        }
    }
    return nullptr;
}

Duration program_patience() {
    return patience;
}

}  // namespace pv::block
