// One network interface: a device under lwIP, with its addresses.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "base/atomic.hpp"
#include "base/result.hpp"
#include "net/address.hpp"
#include "net/device.hpp"
#include "task/wait_queue.hpp"

extern "C" {
#include "lwip/netif.h"
}

namespace pv::net {

/// Where an interface's IPv4 address comes from; IPv6 addresses come by themselves (RFC 4862).
struct Addressing {
    std::optional<Ip4Network> address;  ///< nothing: DHCP
    Ip4 gateway;
};

/// Everything is called on the network's thread, inside port::guarded, unless said otherwise.
class Interface {
  public:
    /// What another thread may look at.
    struct View {
        Atomic<bool> link{false};
        Atomic<std::uint32_t> address{0};  ///< IPv4, first byte highest; 0: none
        Atomic<std::uint32_t> gateway{0};
        Atomic<bool> routed6{false};  ///< a global IPv6 address is preferred
        task::WaitQueue changed;      ///< woken when one of these changes
    };

    /// Takes the device over. Errors: out_of_memory. Any thread.
    [[nodiscard]] static Result<std::unique_ptr<Interface>> create(std::unique_ptr<Device> device,
                                                                   const Addressing& addressing);

    /// Adds it to lwIP and begins to ask for addresses. Errors: no_space (lwIP has no more interfaces).
    Result<> start(Waker& waker);

    /// Takes frames in, up to a budget. Whether there were any.
    bool poll();

    /// Once a few times a second: the device's own tick, the link, addresses that came.
    void tick();

    /// Takes it from lwIP; the device still has to be shut down.
    void stop();

    /// On the network's thread.
    void print_status();

    [[nodiscard]] Device& device() { return *device_; }

    [[nodiscard]] View& view() { return view_; }

  private:
    Interface(std::unique_ptr<Device> device, const Addressing& addressing);

    static err_t set_up(netif* lower);
    static err_t output(netif* lower, pbuf* frame);
    static void changed(netif* lower);

    static Interface& of(netif* lower) { return *static_cast<Interface*>(lower->state); }

    void take(const Frame& frame);
    void publish_addresses();

    std::unique_ptr<Device> device_;
    Addressing addressing_;
    netif lower_{};
    View view_;
    std::array<char, 16> host_name_{};
    std::array<std::array<std::uint8_t, 16>, LWIP_IPV6_NUM_ADDRESSES> said6_{};
    Atomic<std::uint64_t> no_memory_{0};  ///< frames dropped for want of memory
    std::uint64_t refused_ = 0;           ///< frames lwIP did not take
    bool started_ = false;
};

}  // namespace pv::net
