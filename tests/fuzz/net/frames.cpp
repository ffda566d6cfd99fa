// Fuzz target: whatever the other end of a link sends, in frames of any length, to the whole of lwIP as the
// kernel uses it.
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <utility>

#include "net/interface.hpp"
#include "net/port/port.hpp"
#include "net/services.hpp"

extern "C" {
#include "lwip/timeouts.h"
}

namespace {

using namespace pv;

/// Frames of the input: two bytes of length (modulo what a link carries), then as many; the first bit vouches
/// for the sum.
class Link final : public net::Device {
  public:
    [[nodiscard]] std::string_view name() const override { return "fuzz0"; }

    [[nodiscard]] net::MacAddress mac() const override { return {0x52, 0x54, 0, 0x12, 0x34, 0x56}; }

    [[nodiscard]] std::size_t mtu() const override { return net::largest_mtu; }

    [[nodiscard]] bool link_up() const override { return true; }

    [[nodiscard]] bool sums_on_send() const override { return true; }

    void start(net::Waker&) override {}

    Result<> send(std::size_t length, FunctionRef<net::SumRequest(std::span<std::byte>)> fill) override {
        if (length > sent_.size()) {
            std::abort();
        }
        const net::SumRequest sum = fill(std::span{sent_}.first(length));
        // What a device is told to sum lies in the frame.
        if (sum.start != 0 && std::size_t{sum.start} + sum.offset + 2 > length) {
            std::abort();
        }
        return {};
    }

    void flush() override {}

    std::size_t receive(std::size_t budget, FunctionRef<void(const net::Frame&)> take) override {
        std::size_t count = 0;
        for (; count < budget && input_.size() > 2; ++count) {
            const std::size_t said =
                std::to_integer<std::size_t>(input_[0]) << 8 | std::to_integer<std::size_t>(input_[1]);
            const std::size_t length = std::min((said & 0x7fff) % 1600, input_.size() - 2);
            const std::array<std::span<const std::byte>, 1> parts{input_.subspan(2, length)};
            input_ = input_.subspan(2 + length);
            take(net::Frame{
                .parts = parts, .length = length, .sum_vouched = (said & 0x8000) != 0, .sum_partial = false});
        }
        return count;
    }

    bool arm() override { return false; }

    void tick() override {}

    void look() override {}

    void leave(Duration) override {}

    [[nodiscard]] bool dead() const override { return false; }

    [[nodiscard]] net::Counters counters() const override { return {}; }

    void print_status() override {}

    void shut_down(Deadline) override {}

    void give(std::span<const std::byte> input) { input_ = input; }

  private:
    std::span<const std::byte> input_;
    std::array<std::byte, net::largest_frame> sent_{};
};

struct World {
    net::Waker waker;
    Link* link = nullptr;
    std::unique_ptr<net::Interface> interface;

    World() {
        auto device = std::make_unique<Link>();
        link = device.get();
        interface = *net::Interface::create(std::move(device),
                                            {.address = net::Ip4Network{{{10, 0, 0, 2}}, 24}, .gateway = {}});
    }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    // Each input meets a stack that knows nothing of earlier ones, and leaves no packet behind.
    auto world = std::make_unique<World>();
    const bool whole = net::port::guarded([&] {
        net::port::start();
        if (!world->interface->start(world->waker)) {
            std::abort();
        }
        net::start_services();
        world->link->give(std::as_bytes(std::span{data, size}));
        while (world->interface->poll()) {
            sys_check_timeouts();
        }
        net::stop_services();
        world->interface->stop();
        net::port::finish();
    });
    if (!whole || net::port::memory().used != 0) {
        std::abort();
    }
    return 0;
}
