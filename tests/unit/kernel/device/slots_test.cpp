// Slots against a port of our own making: what is pressed, pulled, slow, or not there.
// SPDX-License-Identifier: MIT
#include "device/pci/slots.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <mutex>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "task/thread.hpp"

namespace pv::pci {
namespace {

using namespace literals;
using Bits = SlotRegisters;

constexpr Address port_address{0, 0, 0x10, 0};
constexpr Address card_address{0, 1, 0, 0};
constexpr std::size_t express = 0x40;

// A port at 00:10.0 that leads to bus 1, and one function there. Its slot's status clears bits by writing 1.
class FakePort final : public ConfigSpace {
  public:
    FakePort() {
        put(0x00, 0x1b36);
        put(0x06, 0x10);
        put(0x18, 0x0100);
        put(0x1a, 0x0001);
        put(0x34, express);
        put(express, 0x0010);
        put(express + Bits::flags, Bits::flags_slot);
        put(express + Bits::capabilities,
            static_cast<std::uint16_t>(Bits::has_power_controller | Bits::hot_plug_capable));
        put(express + Bits::capabilities + 2, 16U << (Bits::number_shift - 16));
        put(express + Bits::status, Bits::occupied);
    }

    ~FakePort() = default;

    std::uint32_t read(Address address, std::size_t offset, unsigned width) override {
        const std::scoped_lock hold(lock);
        const std::uint32_t none = width == 4 ? 0xffffffff : (1U << width * 8) - 1;
        if (address == card_address) {
            return card_there ? 0x1234 : none;
        }
        if (address != port_address || offset + width > bytes.size()) {
            return none;
        }
        std::uint32_t value = 0;
        std::memcpy(&value, bytes.data() + offset, width);
        if (offset == express + Bits::status) {
            put(express + Bits::status, static_cast<std::uint16_t>(value | std::exchange(after_read, 0)));
        }
        return value;
    }

    void write(Address address, std::size_t offset, unsigned width, std::uint32_t value) override {
        const std::scoped_lock hold(lock);
        if (address != port_address) {
            return;
        }
        if (offset == express + Bits::status) {
            put(offset, static_cast<std::uint16_t>(get(offset) & ~(value & Bits::events)));
            return;
        }
        const std::uint16_t old = get(offset);
        std::memcpy(bytes.data() + offset, &value, width);
        if (offset == Registers::command.offset && (value & Registers::command_memory) == 0) {
            log.emplace_back("leads on to nothing");
        }
        if (offset == express + Bits::control) {
            controls.push_back(static_cast<std::uint16_t>(value));
            if (completes) {
                raise(Bits::command_completed);
            }
            if ((value & ~old & Bits::power_off) != 0) {
                log.emplace_back("power off");
                pull();
            }
        }
    }

    // Gives the port an interrupt of one vector, whose table is at its first BAR.
    void put_msix(const void* table) {
        constexpr std::size_t msix = 0x80;
        const auto address = reinterpret_cast<std::uintptr_t>(table) | 2U << 1;  // 64 bits wide
        std::memcpy(bytes.data() + 0x10, &address, sizeof address);
        put(0x04, Registers::command_memory);
        put(express, static_cast<std::uint16_t>(msix << 8 | get(express)));
        put(msix, static_cast<std::uint16_t>(CapabilityId::msix));
    }

    // Under the lock, or before there are threads.
    void put(std::size_t offset, std::uint16_t value) { std::memcpy(bytes.data() + offset, &value, 2); }

    std::uint16_t get(std::size_t offset) {
        std::uint16_t value = 0;
        std::memcpy(&value, bytes.data() + offset, 2);
        return value;
    }

    void raise(std::uint16_t event) {
        put(express + Bits::status, static_cast<std::uint16_t>(get(express + Bits::status) | event));
    }

    void pull() {
        card_there = false;
        put(express + Bits::status,
            static_cast<std::uint16_t>((get(express + Bits::status) & ~Bits::occupied) |
                                       Bits::presence_changed));
    }

    template <class Function>
    auto locked(Function&& function) {
        const std::scoped_lock hold(lock);
        return function();
    }

    std::mutex lock;
    std::array<std::uint8_t, 256> bytes{};
    bool card_there = true;
    bool completes = true;
    std::uint16_t after_read = 0;
    std::vector<std::uint16_t> controls;
    std::vector<std::string> log;
};

// A driver that lets go some time after it was asked, or never.
class FakeDriver final : public Occupant {
  public:
    FakeDriver(FakePort& port, bool obeys) : port_{port}, obeys_{obeys} {}

    [[nodiscard]] std::string_view name() const override { return "driver"; }

    [[nodiscard]] Function function() const override { return {port_, card_address}; }

    void look() override {
        port_.locked([&] { port_.log.emplace_back("look"); });
        dead_ = true;
    }

    void leave(Duration) override {
        port_.locked([&] { port_.log.emplace_back("leave"); });
        left_ = true;
    }

    [[nodiscard]] bool dead() const override {
        if (left_ && obeys_ && ++asked_ == 3) {
            port_.locked([&] { port_.log.emplace_back("let go"); });
            dead_ = true;
        }
        return dead_;
    }

  private:
    FakePort& port_;
    bool obeys_;
    bool left_ = false;
    mutable int asked_ = 0;
    mutable bool dead_ = false;
};

std::optional<Slot> slot_of(FakePort& port) {
    return Slot::of(Function{port, port_address});
}

TEST(SlotTest, PortsWithoutOneAreLeftAlone) {
    FakePort port;
    ASSERT_TRUE(slot_of(port));
    EXPECT_EQ(slot_of(port)->number(), 16U);
    EXPECT_TRUE(slot_of(port)->leads_to(card_address));
    EXPECT_FALSE(slot_of(port)->leads_to(Address{0, 2, 0, 0}));
    EXPECT_FALSE(slot_of(port)->leads_to(Address{1, 1, 0, 0}));
    port.put(express + Bits::flags, 0);
    EXPECT_FALSE(slot_of(port));
    port.put(express + Bits::flags, Bits::flags_slot);
    port.put(express + Bits::capabilities, Bits::has_power_controller);
    EXPECT_FALSE(slot_of(port));
    port.put(0x34, 0);
    EXPECT_FALSE(slot_of(port));
}

TEST(SlotTest, OnlyEventsThatWereSeenAreCleared) {
    FakePort port;
    Slot slot = *slot_of(port);
    port.raise(Bits::presence_changed | Bits::command_completed);
    port.after_read = Bits::attention;  // between the read and the write that clears
    EXPECT_EQ(slot.take_events(), Bits::presence_changed);
    EXPECT_EQ(slot.take_events(), Bits::attention);
    EXPECT_EQ(slot.take_events(), 0U);
    port.bytes.fill(0xff);  // the port itself is gone
    EXPECT_EQ(slot.take_events(), 0U);
    EXPECT_FALSE(slot.occupied());
}

TEST(SlotTest, PowerAndLightGoOffTogetherAndNothingElseChanges) {
    FakePort port;
    Slot slot = *slot_of(port);
    slot.begin();
    const std::uint16_t before = port.get(express + Bits::control);
    EXPECT_NE(before & Bits::interrupts, 0U);
    ASSERT_TRUE(slot.show(Slot::Light::blinks));
    port.controls.clear();
    ASSERT_TRUE(slot.power_off());
    ASSERT_EQ(port.controls.size(), 1U);
    EXPECT_EQ(port.controls[0], before | Bits::power_off | Bits::power_indicator_off);
    EXPECT_FALSE(slot.occupied());
}

TEST(SlotTest, ACommandThatIsNeverCompletedEndsInTime) {
    FakePort port;
    port.completes = false;
    const Instant begun = now();
    EXPECT_EQ(slot_of(port)->show(Slot::Light::on).error(), Error::timed_out);
    EXPECT_GE(now() - begun, 1_s);
}

class SlotsTest : public testing::Test {
  protected:
    void start(bool obeys) {
        ASSERT_TRUE(slots.take({.address = port_address, .bridge = true}, {port, port_address}));
        ASSERT_EQ(slots.count(), 1U);
        ASSERT_TRUE(slots.add(std::make_unique<FakeDriver>(port, obeys)));
        ASSERT_TRUE(slots.start());
    }

    std::vector<std::string> wait_for(const std::string& last) {
        const Deadline deadline = Deadline::after(20_s);
        while (!deadline.expired() &&
               port.locked([&] { return port.log.empty() || port.log.back() != last; })) {
            task::sleep(1_ms);
        }
        slots.stop();
        return port.log;
    }

    FakePort port;
    Slots slots{300_ms};
};

// A driver that writes to its doorbell meanwhile would not be heard.
TEST_F(SlotsTest, ThePortLeadsOnToTheCardAllTheTimeThatItIsUsed) {
    alignas(16) std::array<std::byte, 16> table{};
    port.put_msix(table.data());
    ASSERT_TRUE(slots.take({.address = port_address, .bridge = true}, {port, port_address}));
    EXPECT_EQ(port.log, (std::vector<std::string>{"leads on to nothing"}));
    port.log.clear();
    ASSERT_TRUE(slots.add(std::make_unique<FakeDriver>(port, true)));
    ASSERT_TRUE(slots.start());
    slots.stop();
    EXPECT_EQ(port.log, std::vector<std::string>{});
    EXPECT_NE(port.get(0x82) & MsixRegisters::control_enable, MsixRegisters::control_enable);
    EXPECT_NE(table, decltype(table){});  // a message was written: the interrupt was in use
}

TEST_F(SlotsTest, APressOfTheButtonLetsGoAndThenPowersOff) {
    start(true);
    port.locked([&] { port.raise(Bits::attention); });
    EXPECT_EQ(wait_for("power off"), (std::vector<std::string>{"leave", "let go", "power off"}));
}

TEST_F(SlotsTest, ADriverThatDoesNotLetGoLosesItsPower) {
    start(false);
    port.locked([&] { port.raise(Bits::attention); });
    EXPECT_EQ(wait_for("look"), (std::vector<std::string>{"leave", "power off", "look"}));
}

TEST_F(SlotsTest, WhatIsPulledIsLookedAt) {
    start(true);
    port.locked([&] { port.pull(); });
    EXPECT_EQ(wait_for("look"), (std::vector<std::string>{"look"}));
}

TEST_F(SlotsTest, WhatIsGoneWithoutAWordIsLookedAt) {
    start(true);
    port.locked([&] { port.card_there = false; });
    EXPECT_EQ(wait_for("look"), (std::vector<std::string>{"look"}));
}

TEST_F(SlotsTest, APressAtAnEmptySlotIsNothing) {
    port.pull();
    port.card_there = true;  // for the driver's sake
    start(true);
    port.locked([&] { port.raise(Bits::attention); });
    const Deadline deadline = Deadline::after(20_s);
    while (!deadline.expired() &&
           port.locked([&] { return (port.get(express + Bits::status) & Bits::attention) != 0; })) {
        task::sleep(1_ms);
    }
    slots.stop();
    EXPECT_FALSE(deadline.expired());
    EXPECT_TRUE(port.log.empty());
}

}  // namespace
}  // namespace pv::pci
