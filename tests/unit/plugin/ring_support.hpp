// Guest memory in a vector, and a sink that writes down what it is told.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "plugin/ring.hpp"

namespace pv::plugin::test {

class Memory final : public MemoryReader {
  public:
    explicit Memory(std::size_t size) : bytes(size) {}

    bool read(std::uint64_t physical, std::span<std::byte> target) const override {
        ++reads;
        if (physical > bytes.size() || target.size() > bytes.size() - physical) {
            return false;
        }
        std::memcpy(target.data(), bytes.data() + physical, target.size());
        return true;
    }

    template <class T>
    void put(std::uint64_t at, const T& value) {
        std::memcpy(bytes.data() + at, &value, sizeof value);
    }

    std::vector<std::byte> bytes;
    mutable std::size_t reads = 0;
};

class Log final : public RingSink {
  public:
    void descriptor(const Ring&, std::uint16_t chain, std::uint64_t address, std::uint32_t length,
                    bool device_writes) override {
        ++descriptors;
        say("descriptor", chain, address, length, device_writes);
    }

    void indirect(const Ring&, std::uint16_t chain, std::uint64_t address, std::uint32_t length) override {
        say("indirect", chain, address, length);
    }

    void request(const Ring&, std::uint16_t chain, pv_operation operation, std::uint64_t sector,
                 std::uint32_t count) override {
        say("request", chain, static_cast<std::uint64_t>(operation), sector, count);
    }

    void fault(const Ring&, std::uint16_t chain, trace::RingFault fault, std::uint64_t value) override {
        say("fault", chain, static_cast<std::uint64_t>(fault), value);
    }

    void unseen(const Ring& ring, trace::RingUnseen reason) override {
        say("unseen", ring.bdf, ring.number, static_cast<std::uint64_t>(reason));
    }

    template <class... N>
    void say(const char* what, N... numbers) {
        if (lines.size() >= 1'000) {
            return;
        }
        std::string line = what;
        ((line += ' ' + std::to_string(numbers)), ...);
        lines.push_back(std::move(line));
    }

    std::vector<std::string> lines;
    std::size_t descriptors = 0;
};

}  // namespace pv::plugin::test
