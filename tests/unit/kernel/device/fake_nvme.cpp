// An NVMe controller for tests: a thread behind registers in memory, with a disk, and faults on demand.
// SPDX-License-Identifier: MIT
#include "fake_nvme.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "device/nvme/regs.hpp"
#include "hosted/control.hpp"

namespace pv::nvme {
namespace {

constexpr std::size_t length = 0x4000;
constexpr std::size_t table = 0x2000;
constexpr std::uint16_t not_supported = 0x001;
constexpr std::uint16_t aborted_by_request = 0x007;
constexpr std::uint16_t aborted_by_deletion = 0x008;
constexpr std::uint16_t invalid_vector = 0x108;
constexpr std::uint16_t beyond_the_end = 0x080;

std::byte* memory(std::uint64_t bus) {
    return reinterpret_cast<std::byte*>(bus);
}

}  // namespace

FakeNvme::FakeNvme(const FakeShape& initial)
    : shape{initial}, registers_{static_cast<std::byte*>(std::aligned_alloc(length, length))} {
    std::memset(registers_.get(), 0, length);
    const auto address = reinterpret_cast<std::uintptr_t>(registers_.get());
    config_.set_bar(0, ~static_cast<std::uint32_t>(length - 1), 4, static_cast<std::uint32_t>(address));
    config_.set_bar(1, 0xffffffff, 0, static_cast<std::uint32_t>(address >> 32));
    config_.set_capabilities({{0x50, 0x11}});
    config_.put16(0x52, static_cast<std::uint16_t>(shape.vectors - 1));
    config_.put32(0x54, table);
    const std::uint64_t capabilities = (shape.queue_entries - 1) | shape.timeout << 24 | shape.stride << 32 |
                                       shape.command_sets << 37 | shape.page_min << 48 | shape.page_max << 52;
    store<std::uint64_t>(Registers::capabilities.offset, capabilities);
    thread_ = std::thread{[this] { run(); }};
}

FakeNvme::~FakeNvme() {
    stopping_ = true;
    thread_.join();
}

template <class T>
T& FakeNvme::reg(std::size_t offset) {
    return *reinterpret_cast<T*>(registers_.get() + offset);
}

template <class T>
T FakeNvme::load(std::size_t offset) {
    return std::atomic_ref{reg<T>(offset)}.load();
}

template <class T>
void FakeNvme::store(std::size_t offset, T value) {
    std::atomic_ref{reg<T>(offset)}.store(value);
}

void FakeNvme::judge(Judge judge) {
    const std::scoped_lock guard(lock_);
    judge_ = std::move(judge);
}

std::size_t FakeNvme::seen(bool admin, std::uint8_t opcode) {
    return commands(admin, opcode).size();
}

std::vector<SubmissionEntry> FakeNvme::commands(bool admin, std::uint8_t opcode) {
    const std::scoped_lock guard(lock_);
    std::vector<SubmissionEntry> found;
    for (const auto& [of_admin, entry] : log_) {
        if (of_admin == admin && entry.opcode == opcode) {
            found.push_back(entry);
        }
    }
    return found;
}

std::size_t FakeNvme::held() {
    const std::scoped_lock guard(lock_);
    return held_.size();
}

void FakeNvme::run() {
    while (!stopping_) {
        if (gone) {
            std::memset(registers_.get(), 0xff, length);
        } else {
            const std::scoped_lock guard(lock_);
            configure();
            if (enabled_ && !deaf) {
                fetch();
            }
        }
        std::this_thread::sleep_for(std::chrono::microseconds(20));
    }
}

void FakeNvme::configure() {
    const auto configuration = load<std::uint32_t>(Registers::configuration.offset);
    const bool wanted = (configuration & Configuration::enable) != 0;
    std::uint32_t status = 0;
    if (wanted && !enabled_ && !never_ready) {
        enabled_ = true;
        const auto sizes = load<std::uint32_t>(Registers::admin_queue_sizes.offset);
        submissions_[0] = {reinterpret_cast<const SubmissionEntry*>(
                               memory(load<std::uint64_t>(Registers::admin_submission.offset))),
                           (sizes & 0xfff) + std::size_t{1}, 0, 0};
        completions_[0] = {reinterpret_cast<CompletionEntry*>(
                               memory(load<std::uint64_t>(Registers::admin_completion.offset))),
                           (sizes >> 16) + std::size_t{1}, 0, true, 0};
    } else if (!wanted && enabled_ && !never_quiet) {
        enabled_ = false;
        ++resets;
        submissions_.clear();
        completions_.clear();
        held_.clear();
        shadows_ = events_ = nullptr;
        std::memset(registers_.get() + Registers::doorbells, 0, 0x1000);
    }
    if (!wanted) {
        fatal = false;  // whenever it was raised: a disabled controller has nothing to fail at
    }
    if (enabled_) {
        status |= Status::ready;
        status |= (configuration & Configuration::shutdown_mask) != 0 ? Status::shutdown_complete : 0;
    }
    status |= fatal ? Status::fatal : 0;
    store(Registers::status.offset, status);
}

void FakeNvme::fetch() {
    for (std::uint16_t number = 0; number <= shape.io_queues; ++number) {
        // A command may delete the queue it came from, or make another: look anew each time.
        while (true) {
            const auto queue = submissions_.find(number);
            if (queue == submissions_.end() || deaf) {
                break;
            }
            const std::uint32_t tail = tail_of(number, queue->second);
            if (queue->second.head == tail || tail >= queue->second.entries) {
                break;
            }
            const SubmissionEntry entry = queue->second.ring[queue->second.head];
            queue->second.head = (queue->second.head + 1) % queue->second.entries;
            handle(number, entry);
        }
    }
}

std::uint32_t FakeNvme::tail_of(std::uint16_t queue, const Submissions& known) {
    const std::size_t stride = std::size_t{4} << shape.stride;
    const std::size_t doorbell = Registers::doorbells + stride * 2 * queue;
    const auto written = load<std::uint32_t>(doorbell);
    if (queue == 0 || shadows_ == nullptr) {
        return written;
    }
    constexpr std::uint32_t asleep = 0xffffffff;
    const std::size_t word = stride * 2 * queue / 4;
    if (written != asleep) {
        ++rings;
        store(doorbell, asleep);
    } else if (std::atomic_ref{events_[word]}.load() == known.head) {
        return static_cast<std::uint32_t>(
            known.head);  // it was told that a ring is wanted, and there was none
    }
    const auto tail = std::atomic_ref{shadows_[word]}.load();
    if (tail == known.head) {
        // About to sleep: says so, then looks once more.
        std::atomic_ref{events_[word]}.store(tail);
        return std::atomic_ref{shadows_[word]}.load();
    }
    return tail;
}

void FakeNvme::handle(std::uint16_t queue, const SubmissionEntry& entry) {
    log_.emplace_back(queue == 0, entry);
    const FakeAnswer judged = judge_ ? judge_(queue, entry) : FakeAnswer{};
    if (judged.fate == FakeFate::hold) {
        held_.push_back({queue, entry});
        return;
    }
    if (judged.fate == FakeFate::aborts) {
        const std::uint32_t what = entry.dword10;
        const auto found = std::ranges::find_if(held_, [&](const Held& one) {
            return one.queue == (what & 0xffff) && one.entry.command == what >> 16;
        });
        if (found != held_.end()) {
            answer(found->queue, found->entry.command, aborted_by_request);
            held_.erase(found);
        }
        answer(queue, entry.command, 0, 0);
        return;
    }
    std::uint16_t status = judged.status;
    std::uint32_t result = judged.result;
    if (status == 0) {
        status = queue == 0 ? admin(entry, result) : io(entry);
    }
    answer(queue, entry.command, status, result);
}

void FakeNvme::answer(std::uint16_t queue, std::uint16_t command, std::uint16_t status,
                      std::uint32_t result) {
    const auto submissions = submissions_.find(queue);
    if (submissions == submissions_.end()) {
        return;
    }
    const auto found = completions_.find(submissions->second.completions);
    if (found == completions_.end()) {
        return;
    }
    Completions& ring = found->second;
    CompletionEntry& entry = ring.ring[ring.tail];
    entry.result = result;
    entry.submission_head = static_cast<std::uint16_t>(submissions->second.head);
    entry.submission_queue = queue;
    entry.command = command;
    const auto word = static_cast<std::uint16_t>(status << 1 | (ring.phase ? 1 : 0));
    std::atomic_ref{*reinterpret_cast<std::uint16_t*>(&entry.status)}.store(word, std::memory_order_release);
    ring.tail = (ring.tail + 1) % ring.entries;
    ring.phase = ring.tail == 0 ? !ring.phase : ring.phase;
    const std::size_t vector = table + ring.vector * std::size_t{16};
    if (!mute && (load<std::uint32_t>(vector + 12) & 1) == 0) {
        const std::uint64_t address =
            static_cast<std::uint64_t>(load<std::uint32_t>(vector + 4)) << 32 | load<std::uint32_t>(vector);
        hosted::raise({address, load<std::uint32_t>(vector + 8)});
    }
}

void FakeNvme::drop(std::uint16_t queue, bool tell) {
    std::erase_if(held_, [&](const Held& one) {
        if (one.queue != queue) {
            return false;
        }
        if (tell) {
            answer(queue, one.entry.command, aborted_by_deletion);
        }
        return true;
    });
}

std::uint16_t FakeNvme::admin(const SubmissionEntry& entry, std::uint32_t& result) {
    const auto number = static_cast<std::uint16_t>(entry.dword10 & 0xffff);
    const std::size_t entries = (entry.dword10 >> 16) + std::size_t{1};
    const std::size_t doorbell = Registers::doorbells + (std::size_t{8} << shape.stride) * number;
    switch (static_cast<AdminOpcode>(entry.opcode)) {
        case AdminOpcode::identify:
            identify(entry);
            return 0;
        case AdminOpcode::set_features:
            result = static_cast<std::uint32_t>(shape.io_queues - 1) << 16 |
                     static_cast<std::uint32_t>(shape.io_queues - 1);
            return 0;
        case AdminOpcode::get_features:
            result = shape.cache_on;
            return 0;
        case AdminOpcode::create_completion_queue:
            if (entry.dword11 >> 16 >= shape.vectors) {
                return invalid_vector;
            }
            completions_[number] = {reinterpret_cast<CompletionEntry*>(memory(entry.prp1)), entries, 0, true,
                                    static_cast<std::uint16_t>(entry.dword11 >> 16)};
            return 0;
        case AdminOpcode::create_submission_queue:
            if (!completions_.contains(static_cast<std::uint16_t>(entry.dword11 >> 16))) {
                return not_supported;
            }
            store<std::uint32_t>(doorbell, 0);
            submissions_[number] = {reinterpret_cast<const SubmissionEntry*>(memory(entry.prp1)), entries, 0,
                                    static_cast<std::uint16_t>(entry.dword11 >> 16)};
            return 0;
        case AdminOpcode::delete_submission_queue:
            // Half of what it held it says goodbye to, the other half it forgets: both are allowed.
            drop(number, number % 2 == 1);
            submissions_.erase(number);
            return 0;
        case AdminOpcode::delete_completion_queue:
            completions_.erase(number);
            return 0;
        case AdminOpcode::abort:
            result = 1;
            return 0;
        case AdminOpcode::doorbell_buffer:
            shadows_ = reinterpret_cast<std::uint32_t*>(memory(entry.prp1));
            events_ = reinterpret_cast<std::uint32_t*>(memory(entry.prp2));
            return 0;
        default:
            return not_supported;
    }
}

void FakeNvme::identify(const SubmissionEntry& entry) {
    std::byte* page = memory(entry.prp1);
    std::memset(page, 0, 4096);
    switch (static_cast<IdentifyStructure>(std::uint32_t{entry.dword10})) {
        case IdentifyStructure::controller: {
            auto& data = *reinterpret_cast<IdentifyController*>(page);
            data.serial.fill(' ');
            data.serial[0] = shape.serial;
            data.maximum_transfer = shape.transfer;
            data.submission_entry_sizes = shape.entry_sizes;
            data.completion_entry_sizes = 0x44;
            data.optional_commands = shape.optional;
            data.optional_admin_commands = shape.admin;
            data.volatile_write_cache = shape.write_cache;
            break;
        }
        case IdentifyStructure::active_namespaces: {
            auto& list = *reinterpret_cast<NamespaceList*>(page);
            for (std::size_t i = 0; i < shape.namespaces.size(); ++i) {
                list.ids[i] = shape.namespaces[i];
            }
            break;
        }
        case IdentifyStructure::name_space: {
            auto& data = *reinterpret_cast<IdentifyNamespace*>(page);
            data.size = shape.size;
            data.formats[0].data_shift = shape.block_shift;
            data.formats[0].metadata_bytes = shape.metadata;
            break;
        }
    }
}

std::uint16_t FakeNvme::io(const SubmissionEntry& entry) {
    std::vector<std::byte>& disk = disks_[entry.name_space];
    disk.resize(shape.size << shape.block_shift);
    const std::uint64_t first = static_cast<std::uint64_t>(entry.dword11) << 32 | entry.dword10;
    const std::uint64_t blocks = (entry.dword12 & 0xffff) + std::uint64_t{1};
    const std::size_t bytes = blocks << shape.block_shift;
    switch (static_cast<IoOpcode>(entry.opcode)) {
        case IoOpcode::flush:
        case IoOpcode::dataset_management:
            return 0;
        case IoOpcode::write_zeroes:
            std::fill_n(disk.begin() + static_cast<std::ptrdiff_t>(first << shape.block_shift), bytes,
                        std::byte{0});
            return 0;
        case IoOpcode::read:
        case IoOpcode::write:
            break;
    }
    if (first + blocks > shape.size || bytes > (std::size_t{4096} << shape.transfer)) {
        return beyond_the_end;
    }
    std::size_t done = 0;
    std::size_t page = 0;
    const std::size_t in_first = 4096 - entry.prp1 % 4096;
    const std::size_t pages = bytes <= in_first ? 1 : 1 + (bytes - in_first + 4095) / 4096;
    while (done < bytes) {
        std::uint64_t bus = entry.prp1;
        if (page != 0) {
            bus = pages == 2 ? std::uint64_t{entry.prp2}
                             : std::uint64_t{reinterpret_cast<const le64*>(memory(entry.prp2))[page - 1]};
        }
        const std::size_t part = std::min(bytes - done, 4096 - static_cast<std::size_t>(bus % 4096));
        std::byte* there = disk.data() + (first << shape.block_shift) + done;
        if (static_cast<IoOpcode>(entry.opcode) == IoOpcode::read) {
            std::memcpy(memory(bus), there, part);
        } else {
            std::memcpy(there, memory(bus), part);
        }
        done += part;
        ++page;
    }
    return 0;
}

void FakeNvme::release() {
    const std::scoped_lock guard(lock_);
    for (const Held& one : std::exchange(held_, {})) {
        std::uint32_t result = 0;
        const std::uint16_t status = one.queue == 0 ? admin(one.entry, result) : io(one.entry);
        answer(one.queue, one.entry.command, status, result);
    }
}

void FakeNvme::lie(std::uint16_t queue, std::uint16_t command, std::uint16_t status) {
    const std::scoped_lock guard(lock_);
    answer(queue, command, status);
}

}  // namespace pv::nvme
