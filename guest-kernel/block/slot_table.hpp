// Commands in flight: each under an id the device sees, told from its predecessors by a generation.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

namespace pv::block {

/// Name of one command. `wire` is what the device is given and must give back.
struct CommandId {
    std::uint16_t wire = 0;
    std::uint64_t generation = 0;  ///< counts the commands of the queue; never comes round in a guest's life

    /// As the markers carry it (abi/paravane/marker.h, command_submit).
    [[nodiscard]] constexpr std::uint64_t marker() const { return generation << 16 | wire; }

    bool operator==(const CommandId&) const = default;
};

/// Where the ids of a table leave room, the low bits of the generation travel in them too, so that a stale or
/// invented completion is known as such even when its slot is in use again.
enum class Generations : std::uint8_t {
    on_wire,    ///< id = generation << slot bits | slot; 0xffff is never used (NVMe reserves it)
    host_only,  ///< id = slot (a virtqueue's id is a descriptor index)
};

/// Fixed table of at most `Capacity` (a power of two) commands in flight. A device's word never indexes it
/// unchecked: `find` answers nullptr for whatever is not outstanding. Not synchronised: its owner's lock is.
template <class Payload, std::size_t Capacity>
class SlotTable {
    static_assert(Capacity >= 2 && Capacity <= 32768 && (Capacity & (Capacity - 1)) == 0);

  public:
    static constexpr std::size_t capacity = Capacity;

    /// Uses `limit` slots (clamped to 1 ... Capacity): what the device's queue has room for. The first
    /// command is of the generation after `generation`.
    explicit constexpr SlotTable(Generations generations, std::size_t limit = Capacity,
                                 std::uint64_t generation = 0)
        : generation_{generation},
          generations_{generations},
          limit_{limit < 1 ? 1 : (limit > Capacity ? Capacity : limit)} {
        for (std::size_t i = 0; i < limit_; ++i) {
            queue_[i] = static_cast<std::uint16_t>(i);
        }
        free_ = limit_;
    }

    /// Takes the slot that was free the longest (an id rests as long as possible); nullopt when all are busy.
    [[nodiscard]] constexpr std::optional<CommandId> acquire() {
        if (free_ == 0) {
            return std::nullopt;
        }
        const std::uint16_t slot = queue_[head_];
        head_ = (head_ + 1) % Capacity;
        --free_;
        ++generation_;
        if (generations_ == Generations::on_wire && wire(slot) == reserved) {
            ++generation_;
        }
        const CommandId id{wire(slot), generation_};
        slots_[slot].id = id;
        slots_[slot].busy = true;
        return id;
    }

    /// The command outstanding under `wire`, or nullptr: unknown, finished, or of an earlier generation.
    [[nodiscard]] constexpr Payload* find(std::uint16_t wire) {
        Slot* slot = lookup(wire);
        return slot == nullptr ? nullptr : &slot->payload;
    }

    /// Same, for the exact generation.
    [[nodiscard]] constexpr Payload* find(CommandId id) {
        Slot* slot = lookup(id.wire);
        return slot == nullptr || slot->id != id ? nullptr : &slot->payload;
    }

    /// Full name of what is outstanding under `wire`.
    [[nodiscard]] constexpr std::optional<CommandId> name(std::uint16_t wire) const {
        const Slot* slot = const_cast<SlotTable*>(this)->lookup(wire);
        return slot == nullptr ? std::nullopt : std::optional{slot->id};
    }

    /// Slot of an id, for what is laid out per slot (PRP lists, indirect tables): 0 ... limit - 1.
    [[nodiscard]] static constexpr std::size_t slot_of(CommandId id) { return id.wire & (Capacity - 1); }

    /// Ends `id`; its payload is reset. False when it was not outstanding (nothing changes then).
    constexpr bool release(CommandId id) {
        Slot* slot = lookup(id.wire);
        if (slot == nullptr || slot->id != id) {
            return false;
        }
        slot->busy = false;
        slot->payload = Payload{};
        queue_[(head_ + free_) % Capacity] = static_cast<std::uint16_t>(slot_of(id));
        ++free_;
        return true;
    }

    [[nodiscard]] constexpr std::size_t outstanding() const { return limit_ - free_; }

    [[nodiscard]] constexpr std::size_t limit() const { return limit_; }

    /// Calls `function(CommandId, Payload&)` for each outstanding command; it may release the one it is
    /// given.
    template <class Function>
    constexpr void for_each(Function&& function) {
        for (std::size_t i = 0; i < limit_; ++i) {
            if (slots_[i].busy) {
                function(slots_[i].id, slots_[i].payload);
            }
        }
    }

  private:
    static constexpr std::uint16_t reserved = 0xffff;

    struct Slot {
        CommandId id;
        bool busy = false;
        Payload payload{};
    };

    [[nodiscard]] constexpr std::uint16_t wire(std::uint16_t slot) const {
        if (generations_ == Generations::on_wire) {
            return static_cast<std::uint16_t>(generation_ * Capacity | slot);
        } else {
            return slot;
        }
    }

    [[nodiscard]] constexpr Slot* lookup(std::uint16_t wire) {
        const std::size_t index = generations_ == Generations::on_wire ? wire & (Capacity - 1) : wire;
        if (index >= limit_ || !slots_[index].busy || slots_[index].id.wire != wire) {
            return nullptr;
        }
        return &slots_[index];
    }

    std::array<Slot, Capacity> slots_{};
    std::array<std::uint16_t, Capacity> queue_{};  ///< free slots, a ring from head_
    std::uint64_t generation_;
    Generations generations_;
    std::size_t limit_;
    std::size_t head_ = 0;
    std::size_t free_ = 0;
};

}  // namespace pv::block
