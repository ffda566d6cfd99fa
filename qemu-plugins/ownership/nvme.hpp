// NVMe controllers: queues as the driver makes them, commands as it submits them, ends as completion queues
// tell.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <unordered_map>
#include <vector>

#include "ownership/tracker.hpp"

namespace pv::ownership {

/// NVMe 2.0: registers 3.1.3, queues 3.3.3 and 4.1, PRP 4.1.1, SGL 4.1.2, commands of base 5 and NVM 3.
class Nvme final : public Device {
  public:
    static constexpr std::uint64_t doorbells = 0x1000;
    static constexpr std::size_t most_queues =
        128;  ///< what says that one was made lies in the guest's hands

    Nvme(Tracker& tracker, std::uint64_t registers) : Device(tracker, registers) {}

    void settle() override;
    void rung(const Actor& actor, const Access& access) override;
    void quiet() override;
    void stored(const Actor& actor, std::uint64_t offset, std::size_t size, std::uint64_t value) override;

    void loaded(std::uint64_t, std::size_t, std::uint64_t) override {}

  private:
    /// 4.1: what of an entry of 64 bytes matters here.
    struct Entry {
        std::uint8_t opcode, flags;
        std::uint16_t id;
        std::uint32_t namespace_id;
        std::uint64_t unused, metadata;
        std::uint64_t pointer1, pointer2;  ///< PRP 1 and 2, or the first SGL descriptor
        std::uint32_t dword10, dword11, dword12, dword13, dword14, dword15;
    };

    static_assert(sizeof(Entry) == 64);

    /// 4.2: an entry of a completion queue.
    struct Completion {
        std::uint32_t result, unused;
        std::uint16_t head, queue, id, status;
    };

    static_assert(sizeof(Completion) == 16);

    struct Slot {
        std::uint32_t command = 0;
        std::uint32_t range = 0;  ///< its entry's piece, until the controller has fetched it
    };

    struct Outstanding {
        std::uint32_t command = 0;
        std::uint32_t slot = 0;
    };

    struct Submission {
        std::uint64_t base = 0;  ///< physical
        std::uint32_t size = 0;  ///< entries
        std::uint16_t completion = 0;
        std::uint32_t tail = 0;  ///< the first slot that is not submitted
        std::uint32_t head = 0;  ///< the first slot that may not be fetched yet
        std::vector<Slot> slots;
        std::unordered_map<std::uint16_t, Outstanding> commands;  ///< by id
        std::deque<std::uint16_t> early;                          ///< completed before they were taken
    };

    struct CompletionQueue {
        std::uint64_t base = 0;  ///< physical
        std::uint32_t size = 0;
        std::uint32_t head = 0;
        bool phase = true;  ///< of an entry that is new
    };

    void configure(std::uint32_t value);
    void doorbell(const Actor& actor, std::uint64_t number, std::uint32_t value);
    void submitted(const Actor& actor, std::uint16_t number, std::uint32_t tail);
    void take(const Actor& actor, std::uint16_t number, Submission& queue, std::uint32_t slot);
    [[nodiscard]] bool is_owed(std::uint16_t completion) const;
    void drain(std::uint16_t number, CompletionQueue& queue);
    void completed(std::uint16_t number, const Completion& completion);
    void fetched(Submission& queue, std::uint32_t head);
    void end(Submission& queue, std::uint16_t id);
    void release(Submission& queue);
    void remove_submission(std::uint16_t number);
    void succeeded(const Entry& entry);
    void read_namespace(const Entry& entry);

    [[nodiscard]] std::uint64_t admin_data(const Entry& entry) const;
    [[nodiscard]] std::uint64_t data(const Entry& entry) const;
    void own_data(std::uint32_t command, const Entry& entry, std::uint64_t length, BufferRole role);
    void own_pages(std::uint32_t command, const Entry& entry, std::uint64_t length, BufferRole role);
    void own_list(std::uint32_t command, std::uint64_t list, std::uint64_t length, BufferRole role);
    void own_segments(std::uint32_t command, const Entry& entry, BufferRole role);

    [[nodiscard]] Buses::Route route() const { return {registers(), false}; }

    [[nodiscard]] BusMemory memory() const { return {tracker().memory(), tracker().buses(), route()}; }

    [[nodiscard]] std::uint32_t word(std::size_t offset) const;
    /// Physical address of all `length` bytes at `bus`; 0 where they are not together, or not known.
    [[nodiscard]] std::uint64_t whole(std::uint64_t bus, std::uint64_t length) const;

    std::array<std::byte, 64> file_{};  ///< registers as they were written
    bool enabled_ = false;
    bool is_unseen_ = false;  ///< and that was said
    std::uint64_t page_ = page_size;
    std::map<std::uint16_t, Submission> submission_;
    std::map<std::uint16_t, CompletionQueue> completion_;
    std::unordered_map<std::uint16_t, Entry> admin_;  ///< outstanding ones whose success means something

    struct Blocks {
        std::uint32_t size = 512;
        std::uint32_t metadata = 0;  ///< bytes of each block that lie in the same buffer
    };

    std::map<std::uint32_t, Blocks> namespaces_;
    std::uint64_t shadow_ = 0;  ///< physical address of the doorbells in memory; 0: there are none
    std::uint32_t watched_ = 0;
};

}  // namespace pv::ownership
