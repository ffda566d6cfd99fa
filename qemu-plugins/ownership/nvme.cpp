// Registers, doorbells, and the life of a command between its two queues.
// SPDX-License-Identifier: MIT
#include "ownership/nvme.hpp"

#include <algorithm>
#include <cstring>

namespace pv::ownership {
namespace {

// NVMe 2.0, 3.1.3.
enum Register : std::uint64_t {
    configuration = 0x14,
    admin_queue_sizes = 0x24,
    admin_submission = 0x28,
    admin_completion = 0x30,
    end_of_registers = 0x40,
};

constexpr std::size_t most_early = 64;

// 5.1: opcodes of administration.
enum : std::uint8_t {
    delete_submission = 0x00,
    create_submission = 0x01,
    delete_completion = 0x04,
    create_completion = 0x05,
    identify = 0x06,
    doorbell_buffers = 0x7c,
};

}  // namespace

std::uint32_t Nvme::word(std::size_t offset) const {
    std::uint32_t value = 0;
    std::memcpy(&value, &file_.at(offset), sizeof value);
    return value;
}

std::uint64_t Nvme::whole(std::uint64_t bus, std::uint64_t length) const {
    const Buses::Piece piece = tracker().buses().resolve(route(), bus, length);
    return piece.length == length ? piece.physical : 0;
}

void Nvme::stored(const Actor& actor, std::uint64_t offset, std::size_t size, std::uint64_t value) {
    if (offset >= doorbells) {
        settle();
        doorbell(actor, (offset - doorbells) / 4, static_cast<std::uint32_t>(value));
        settle();
        return;
    }
    if (offset >= end_of_registers || size > 8 || offset + size > end_of_registers) {
        return;
    }
    std::memcpy(&file_.at(offset), &value, size);
    if (offset == configuration) {
        configure(static_cast<std::uint32_t>(value));
    }
}

void Nvme::configure(std::uint32_t value) {
    const bool enable = (value & 1) != 0;
    const bool shutdown = (value >> 14 & 3) != 0;
    if (!enable || shutdown || !enabled_) {
        quiet();
    }
    if (enable && !enabled_) {
        page_ = std::uint64_t{page_size} << (value >> 7 & 15);
        is_unseen_ = tracker().buses().way(route()) == Buses::Way::unknown;
        if (is_unseen_) {
            tracker().sink().unseen(registers(), trace::OwnershipUnseen::translated);
        } else {
            const auto address = [&](std::size_t low) {
                return word(low) | std::uint64_t{word(low + 4)} << 32;
            };
            const std::uint32_t sizes = word(admin_queue_sizes);
            const std::uint32_t submissions = (sizes & 0xfff) + 1;
            const std::uint32_t completions = (sizes >> 16 & 0xfff) + 1;
            const std::uint64_t entries = whole(address(admin_submission), submissions * sizeof(Entry));
            const std::uint64_t ends = whole(address(admin_completion), completions * sizeof(Completion));
            if (entries != 0 && ends != 0) {
                completion_[0] = {.base = ends, .size = completions};
                submission_[0].base = entries;
                submission_[0].size = submissions;
                submission_[0].slots.resize(submissions);
            } else {
                tracker().skip();
            }
        }
    }
    enabled_ = enable;
}

void Nvme::quiet() {
    for (auto& [number, queue] : submission_) {
        release(queue);
    }
    submission_.clear();
    completion_.clear();
    admin_.clear();
    tracker().unwatch(watched_);
    shadow_ = 0;
}

void Nvme::release(Submission& queue) {
    for (const auto& [id, outstanding] : queue.commands) {
        tracker().end(outstanding.command);
    }
    queue.commands.clear();
    std::ranges::fill(queue.slots, Slot{});
}

void Nvme::doorbell(const Actor& actor, std::uint64_t number, std::uint32_t value) {
    // 3.1.3.24: the tail of queue y is word 2y, the head of completion queue y word 2y + 1.
    if (number % 2 == 0 && number / 2 <= UINT16_MAX) {
        submitted(actor, static_cast<std::uint16_t>(number / 2), value);
    }
}

void Nvme::submitted(const Actor& actor, std::uint16_t number, std::uint32_t tail) {
    const auto found = submission_.find(number);
    if (found == submission_.end() || tail >= found->second.size) {
        return;
    }
    Submission& queue = found->second;
    while (queue.tail != tail) {
        const std::uint32_t slot = queue.tail;
        queue.tail = (slot + 1) % queue.size;
        take(actor, number, queue, slot);
    }
}

void Nvme::take(const Actor& actor, std::uint16_t number, Submission& queue, std::uint32_t slot) {
    Entry entry{};
    const std::uint64_t place = queue.base + std::uint64_t{slot} * sizeof entry;
    if (!tracker().memory().read(place, std::as_writable_bytes(std::span{&entry, 1}))) {
        tracker().skip();
        return;
    }
    if (const auto early = std::ranges::find(queue.early, entry.id); early != queue.early.end()) {
        queue.early.erase(early);
        return;
    }
    end(queue, entry.id);  // an id that is used twice: of the first one nothing is known any more
    const std::uint32_t command = tracker().begin(actor, *this, number, entry.id);
    if (command == 0) {
        return;
    }
    queue.commands[entry.id] = {command, slot};
    queue.slots[slot] = {command, tracker().own_piece(command, place, sizeof entry, BufferRole::descriptor)};
    // 5.1 and NVM 3: the lowest bits of an opcode say which way its data go.
    const std::uint64_t length = number == 0 ? admin_data(entry) : data(entry);
    const unsigned way = entry.opcode & 3;
    if (length != 0 && way != 0) {
        own_data(command, entry, length, (way & 2) != 0 ? BufferRole::from_device : BufferRole::to_device);
    }
    const bool means_something = entry.opcode <= create_completion || entry.opcode == doorbell_buffers ||
                                 (entry.opcode == identify && (entry.dword10 & 0xff) == 0);
    if (number == 0 && means_something) {
        admin_[entry.id] = entry;
    }
}

std::uint64_t Nvme::admin_data(const Entry& entry) const {
    constexpr std::uint8_t get_log_page = 0x02;
    if (entry.opcode == identify) {
        return 4096;
    }
    if (entry.opcode == get_log_page) {
        return (std::uint64_t{entry.dword10 >> 16 | (entry.dword11 & 0xffff) << 16} + 1) * 4;
    }
    // Queues and doorbells in memory are shared. Whether a feature has data depends on the feature.
    return 0;
}

std::uint64_t Nvme::data(const Entry& entry) const {
    constexpr std::uint8_t write = 0x01, read = 0x02, compare = 0x05, dataset = 0x09;
    if (entry.opcode == write || entry.opcode == read || entry.opcode == compare) {
        const auto known = namespaces_.find(entry.namespace_id);
        const Blocks blocks = known == namespaces_.end() ? Blocks{} : known->second;
        return (std::uint64_t{entry.dword12 & 0xffff} + 1) * (blocks.size + blocks.metadata);
    }
    if (entry.opcode == dataset) {
        return (std::uint64_t{entry.dword10 & 0xff} + 1) * 16;
    }
    return 0;
}

void Nvme::rung(const Actor& actor, const Access& access) {
    settle();
    const std::uint64_t begin = std::max(access.physical, shadow_);
    const std::uint64_t end = std::min(access.physical + access.size, shadow_ + page_);
    for (std::uint64_t at = begin & ~std::uint64_t{3}; shadow_ != 0 && at < end; at += 4) {
        std::uint32_t value = 0;
        if (tracker().memory().read(at, std::as_writable_bytes(std::span{&value, 1}))) {
            doorbell(actor, (at - shadow_) / 4, value);
        }
    }
    settle();
}

void Nvme::settle() {
    // By number: what an end means (a queue that is made, or goes) may change the map.
    for (auto queue = completion_.begin(); queue != completion_.end();) {
        const std::uint16_t number = queue->first;
        drain(number, queue->second);
        queue = completion_.upper_bound(number);
    }
}

/// While nothing is, what stands in the queue may be of its last life: Linux clears a queue that it uses
/// again after the controller has made it.
bool Nvme::is_owed(std::uint16_t completion) const {
    return std::ranges::any_of(submission_, [&](const auto& entry) {
        return entry.second.completion == completion && !entry.second.commands.empty();
    });
}

void Nvme::drain(std::uint16_t number, CompletionQueue& queue) {
    for (std::uint32_t most = queue.size; most != 0 && is_owed(number); --most) {
        Completion entry{};
        const std::uint64_t place = queue.base + std::uint64_t{queue.head} * sizeof entry;
        if (!tracker().memory().read(place, std::as_writable_bytes(std::span{&entry, 1})) ||
            ((entry.status & 1) != 0) != queue.phase) {
            return;
        }
        if (++queue.head == queue.size) {
            queue.head = 0;
            queue.phase = !queue.phase;
        }
        completed(number, entry);
    }
}

void Nvme::completed(std::uint16_t number, const Completion& completion) {
    // What stands there is in the guest's hands: only queue 0 may end what makes and deletes queues.
    const auto found = submission_.find(completion.queue);
    if (found == submission_.end() || found->second.completion != number) {
        return;
    }
    Submission& queue = found->second;
    fetched(queue, completion.head);
    if (!queue.commands.contains(completion.id)) {
        queue.early.push_back(completion.id);
        if (queue.early.size() > most_early) {
            queue.early.pop_front();
        }
        return;
    }
    end(queue, completion.id);
    if (const auto admin = admin_.find(completion.id); completion.queue == 0 && admin != admin_.end()) {
        const Entry entry = admin->second;
        admin_.erase(admin);
        if (completion.status >> 1 == 0) {
            succeeded(entry);
        }
    }
}

void Nvme::fetched(Submission& queue, std::uint32_t head) {
    if (head >= queue.size) {
        return;
    }
    const std::uint32_t submitted = (queue.tail + queue.size - queue.head) % queue.size;
    const std::uint32_t passed = (head + queue.size - queue.head) % queue.size;
    if (passed > submitted) {
        return;  // entries whose doorbell is still to be seen
    }
    for (; queue.head != head; queue.head = (queue.head + 1) % queue.size) {
        Slot& slot = queue.slots[queue.head];
        if (slot.range != 0) {
            tracker().give_back(slot.command, slot.range);
        }
        slot = {};
    }
}

void Nvme::end(Submission& queue, std::uint16_t id) {
    const auto found = queue.commands.find(id);
    if (found == queue.commands.end()) {
        return;
    }
    // Its entry may still count as not fetched: that piece goes with the command.
    const Outstanding ended = found->second;
    if (queue.slots[ended.slot].command == ended.command) {
        queue.slots[ended.slot] = {};
    }
    tracker().end(ended.command);
    queue.commands.erase(found);
}

void Nvme::remove_submission(std::uint16_t number) {
    if (const auto found = submission_.find(number); found != submission_.end()) {
        release(found->second);
        submission_.erase(found);
    }
}

void Nvme::succeeded(const Entry& entry) {
    const auto number = static_cast<std::uint16_t>(entry.dword10);
    const std::uint32_t size = (entry.dword10 >> 16) + 1;
    if (entry.opcode == identify) {
        read_namespace(entry);
    } else if (entry.opcode == delete_submission && number != 0) {
        remove_submission(number);
    } else if (entry.opcode == delete_completion && number != 0) {
        completion_.erase(number);
    } else if (entry.opcode == create_completion && number != 0 && completion_.size() <= most_queues) {
        if (const std::uint64_t base = whole(entry.pointer1, size * sizeof(Completion)); base != 0) {
            completion_[number] = {.base = base, .size = size};
        }
    } else if (entry.opcode == create_submission && number != 0) {
        remove_submission(number);
        if (submission_.size() > most_queues) {
            tracker().skip();
            return;
        }
        if (const std::uint64_t base = whole(entry.pointer1, size * sizeof(Entry)); base != 0) {
            Submission& queue = submission_[number];
            queue.base = base;
            queue.size = size;
            queue.completion = static_cast<std::uint16_t>(entry.dword11 >> 16);
            queue.slots.resize(size);
        }
    } else if (entry.opcode == doorbell_buffers) {
        // 5.8: doorbells in memory, one page laid out as the registers are.
        shadow_ = whole(entry.pointer1, page_);
        tracker().unwatch(watched_);
        if (shadow_ != 0) {
            tracker().watch(*this, watched_, shadow_, page_);
        }
    }
}

void Nvme::read_namespace(const Entry& entry) {
    // NVM 4.1.5.1: FLBAS at 26 names one of the formats at 128: metadata's bytes (16 bits), log2 of a
    // block's.
    const BusMemory from = memory();
    const auto formatted = from.value<std::uint8_t>(entry.pointer1 + 26);
    if (!formatted || namespaces_.size() >= 1'024) {
        return;
    }
    const unsigned index = (*formatted & 15U) | (*formatted >> 5 & 3U) << 4;
    const auto format = from.value<std::uint32_t>(entry.pointer1 + 128 + std::uint64_t{4} * index);
    const unsigned shift = format.value_or(0) >> 16 & 0xff;
    if (shift >= 9 && shift <= 16) {
        const bool together = (*formatted >> 4 & 1) != 0;
        namespaces_[entry.namespace_id] = {1U << shift, together ? *format & 0xffff : 0};
    }
}

}  // namespace pv::ownership
