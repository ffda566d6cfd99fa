// Who owns which bytes: devices found by the registers that are written, commands taken from their rings, and
// accesses of processors judged against them.
// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "ownership/buses.hpp"
#include "ownership/ranges.hpp"
#include "plugin/guest_memory.hpp"

namespace pv::ownership {

/// Who does something: the instruction, and when.
struct Actor {
    unsigned cpu = 0;
    std::uint64_t pc = 0;
    std::int64_t time = 0;  ///< microseconds
};

/// What a processor does to memory, within one frame.
struct Access {
    std::uint64_t linear = 0;
    std::uint64_t physical = 0;
    std::size_t size = 0;  ///< bytes
    bool is_store = false;
};

class Device;

/// Memory given to a device, until the device says that it is done.
struct Command {
    std::uint64_t number = 0;     ///< from 1
    std::uint64_t registers = 0;  ///< of the device
    std::uint32_t queue = 0;
    std::uint32_t id = 0;  ///< as the device sees it: NVMe's command, a chain's head
    Actor given;
    Device* device = nullptr;
    std::uint32_t ranges = 0;  ///< the first of Ranges
    bool is_used = false;      ///< this place of the pool
    bool told = false;
};

/// Where what is found goes. Each is one line of the trace (abi/paravane/trace_event.hpp).
class Sink {
  public:
    virtual ~Sink() = default;
    /// Before the first line that names `command`.
    virtual void command(const Command& command, std::int64_t age) = 0;
    virtual void race(const Actor& actor, const Command& command, const Access& access,
                      const Range& range) = 0;
    virtual void unseen(std::uint64_t registers, trace::OwnershipUnseen reason) = 0;
};

struct Totals {
    std::uint64_t commands = 0;  ///< that were given memory, or a descriptor
    std::uint64_t buffers = 0;   ///< they were given
    std::uint64_t checked = 0;   ///< accesses that were looked at because of them
    std::uint64_t races = 0;
    std::uint64_t skipped = 0;  ///< what there was no room to follow, or lay at an address that is not known
};

/// What a processor writes when it writes a device's registers, by the name of QEMU's region.
enum class Region : std::uint8_t { other, nvme, virtio, virtio_iommu, vtd };

[[nodiscard]] Region region_of(std::string_view name);

class Tracker;

/// One device whose rings are followed.
class Device {
  public:
    Device(Tracker& tracker, std::uint64_t registers) : tracker_(tracker), registers_(registers) {}

    Device(const Device&) = delete;
    Device& operator=(const Device&) = delete;
    virtual ~Device() = default;

    [[nodiscard]] std::uint64_t registers() const { return registers_; }

    /// Takes back what the device is done with, as its rings say now.
    virtual void settle() = 0;

    /// A word was stored that hands something to the device.
    virtual void rung(const Actor& actor, const Access& access) = 0;

    /// The device is quiet: all it had is the processors' again.
    virtual void quiet() = 0;

    /// A register was stored to, or loaded from; `offset` from registers().
    virtual void stored(const Actor& actor, std::uint64_t offset, std::size_t size, std::uint64_t value) = 0;
    virtual void loaded(std::uint64_t offset, std::size_t size, std::uint64_t value) = 0;

    /// The driver still sets it up: what it loads from registers counts.
    [[nodiscard]] virtual bool is_set_up() const { return false; }

  protected:
    [[nodiscard]] Tracker& tracker() const { return tracker_; }

  private:
    Tracker& tracker_;
    std::uint64_t registers_;
};

/// One caller at a time, but for what is said to be for any thread.
class Tracker {
  public:
    static constexpr std::size_t most_devices = 64;
    static constexpr std::size_t most_commands = 262'144;  ///< outstanding; further ones are skipped
    static constexpr std::size_t most_races = 256;         ///< lines; further ones are counted

    /// `marks`, for the limit of `memory`, may be shared with others; nullptr: it gets its own.
    Tracker(const plugin::GuestMemory& memory, Sink& sink,
            std::shared_ptr<translation::FrameMarks> marks = nullptr);
    Tracker(const Tracker&) = delete;
    Tracker& operator=(const Tracker&) = delete;
    ~Tracker();

    /// For any thread: false for most accesses that nothing has to be looked at for.
    [[nodiscard]] bool concerns_store(std::uint64_t physical) const {
        return ranges_.stores().contains(physical);
    }

    [[nodiscard]] bool concerns_load(std::uint64_t physical) const {
        return ranges_.loads().contains(physical);
    }

    /// For any thread: false while no load of any processor matters.
    [[nodiscard]] const std::atomic<bool>& loads_matter() const { return loads_matter_; }

    /// After an access to RAM that concerns_*().
    void access(const Actor& actor, const Access& access);

    /// After an access to registers.
    void registers(const Actor& actor, Region region, const Access& access, std::uint64_t value);

    void marker(std::uint16_t number, std::span<const std::uint64_t, 6> args);

    /// The machine starts anew.
    void reset();

    [[nodiscard]] const Totals& totals() const { return totals_; }

    // --- for devices
    [[nodiscard]] const Buses& buses() const { return buses_; }

    [[nodiscard]] const plugin::GuestMemory& memory() const { return memory_; }

    [[nodiscard]] Sink& sink() { return sink_; }

    /// A place for a command that begins now, valid until end(); 0 where there is no room.
    std::uint32_t begin(const Actor& actor, Device& device, std::uint32_t queue, std::uint32_t id);
    void end(std::uint32_t command);

    /// [bus, bus + length) belongs to the device for the time of the command. False where not all of it could
    /// be owned: nothing more of this command should be tried.
    bool own(std::uint32_t command, const Buses::Route& route, std::uint64_t bus, std::uint64_t length,
             BufferRole role);

    /// The same for one piece, which give_back may end earlier; 0 where it could not be owned.
    std::uint32_t own_piece(std::uint32_t command, std::uint64_t physical, std::uint64_t length,
                            BufferRole role);
    void give_back(std::uint32_t command, std::uint32_t range);

    /// Stores to [physical, physical + length) are told to the device, as rung(). Until unwatch().
    void watch(const Device& device, std::uint32_t& watched, std::uint64_t physical, std::uint64_t length);
    void unwatch(std::uint32_t& watched);

    /// What loads matter may have changed.
    void consider_loads();

    void skip() { ++totals_.skipped; }

  private:
    Device* device(Region region, std::uint64_t physical, std::uint64_t& offset);
    Device* made(Region region, std::uint64_t registers);
    void judge(const Actor& actor, const Access& access);

    const plugin::GuestMemory& memory_;
    Sink& sink_;
    Ranges ranges_;
    Buses buses_;
    std::vector<std::unique_ptr<Device>> devices_;
    std::vector<Region> kinds_;  ///< of devices_
    std::vector<Command> commands_;
    std::vector<std::uint32_t> free_commands_;
    Totals totals_;
    std::uint64_t last_number_ = 0;
    std::atomic<bool> loads_matter_ = false;
};

}  // namespace pv::ownership
