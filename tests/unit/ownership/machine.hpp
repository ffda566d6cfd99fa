// A machine as the tracker sees it: memory, a driver's stores and loads, and a device that ends commands.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "ownership/tracker.hpp"

namespace pv::ownership::test {

class Log final : public Sink {
  public:
    void command(const Command& command, std::int64_t age) override {
        lines.push_back("command " + std::to_string(command.queue) + " " + std::to_string(command.id) +
                        " given by " + std::to_string(command.given.pc) + " before " + std::to_string(age));
    }

    void race(const Actor& actor, const Command& command, const Access& access, const Range& range) override {
        constexpr const char* roles[] = {"none", "from", "to", "descriptor", "list"};
        lines.push_back(std::string(access.is_store ? "store " : "load ") +
                        roles[static_cast<std::size_t>(range.role)] + " of " + std::to_string(command.id) +
                        " at " + std::to_string(access.physical) + " by " + std::to_string(actor.cpu));
    }

    void unseen(std::uint64_t registers, trace::OwnershipUnseen reason) override {
        lines.push_back("unseen " + std::to_string(registers) + " " +
                        std::to_string(static_cast<unsigned>(reason)));
    }

    std::vector<std::string> lines;
};

class Machine {
  public:
    static constexpr std::uint64_t size = 1 << 20;
    static constexpr std::uint64_t device_pc = 0x100;

    template <class T>
    void put(std::uint64_t at, const T& value) {
        std::memcpy(bytes.data() + at, &value, sizeof value);
    }

    /// A processor stores: to memory, and the tracker is told as the probe would tell it.
    template <class T>
    void store(std::uint64_t at, const T& value, unsigned cpu = 0) {
        put(at, value);
        if (tracker.concerns_store(at)) {
            tracker.access({cpu, device_pc, ++time}, {at, at, sizeof value, true});
        }
    }

    void load(std::uint64_t at, std::size_t length, unsigned cpu = 0) {
        if (tracker.loads_matter() && tracker.concerns_load(at)) {
            tracker.access({cpu, device_pc, ++time}, {at, at, length, false});
        }
    }

    void write(Region region, std::uint64_t address, std::uint64_t value, std::size_t length = 4) {
        tracker.registers({0, device_pc, ++time}, region, {address, address, length, true}, value);
    }

    void read(Region region, std::uint64_t address, std::uint64_t value, std::size_t length) {
        if (tracker.loads_matter()) {
            tracker.registers({0, device_pc, ++time}, region, {address, address, length, false}, value);
        }
    }

    void mark(std::uint16_t number, const std::vector<std::uint64_t>& values) {
        std::array<std::uint64_t, 6> args{};
        std::copy(values.begin(), values.end(), args.begin());
        tracker.marker(number, args);
    }

    /// What was found since the last time.
    std::vector<std::string> told() { return std::exchange(log.lines, {}); }

    std::vector<std::byte> bytes = std::vector<std::byte>(size);
    plugin::GuestMemory memory{bytes.data(), size, size};
    Log log;
    Tracker tracker{memory, log};
    std::int64_t time = 0;
};

}  // namespace pv::ownership::test
