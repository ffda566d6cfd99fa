// A virtio-net device (VIRTIO 1.2, section 5.1): brought up, its link, its queues, its recovery.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/atomic.hpp"
#include "base/result.hpp"
#include "base/vector.hpp"
#include "device/pci/device.hpp"
#include "device/virtio/net_control.hpp"
#include "device/virtio/net_receive.hpp"
#include "device/virtio/net_transmit.hpp"
#include "device/virtio/transport.hpp"
#include "interrupt/vector.hpp"
#include "net/device.hpp"

namespace pv::virtio {

/// Features taken where offered: MAC, STATUS, MTU, MRG_RXBUF, CSUM, GUEST_CSUM, CTRL_VQ, MQ, ACCESS_PLATFORM.
/// VERSION_1 is required.
///
/// RECOVERY. A frame the device holds for NetTransmit::deadline, an answer that cannot be, or
/// DEVICE_NEEDS_RESET: the device is reset, which is the only cancel there is, and its queues are made anew;
/// frames on their way are lost, as frames may be. A device that stays stuck is reset ever less often; one
/// whose reset fails, or whose registers read as all ones, is dead.
class Net final : public net::Device {
  public:
    /// Takes the function, resets the device and makes its queues. `number` gives its name, "net0", "net1"
    /// ... Threads only. On an error the device is quiet again, and the console says what went wrong.
    [[nodiscard]] static Result<std::unique_ptr<net::Device>> create(pci::Function function, unsigned number);

    ~Net() override;

    [[nodiscard]] std::string_view name() const override { return {name_.data(), name_length_}; }

    [[nodiscard]] net::MacAddress mac() const override { return mac_; }

    [[nodiscard]] std::size_t mtu() const override { return mtu_; }

    [[nodiscard]] bool link_up() const override { return link_ && !dead_.load(std::memory_order_seq_cst); }

    [[nodiscard]] bool sums_on_send() const override { return (features_ & NetFeature::sum_on_send) != 0; }

    void start(net::Waker& waker) override;
    Result<> send(std::size_t length, FunctionRef<net::SumRequest(std::span<std::byte>)> fill) override;
    void flush() override;
    std::size_t receive(std::size_t budget, FunctionRef<void(const net::Frame&)> take) override;
    bool arm() override;
    void tick() override;

    void look() override { on_configuration(this); }

    void leave(Duration patience) override;

    [[nodiscard]] bool dead() const override { return dead_.load(std::memory_order_acquire); }

    [[nodiscard]] net::Counters counters() const override;
    void print_status() override;
    void shut_down(Deadline deadline) override;

  private:
    struct Pair {
        std::unique_ptr<NetReceive> receive;
        std::unique_ptr<NetTransmit> transmit;
        interrupt::Vector vector;
    };

    Net(pci::Function function, unsigned number);

    [[nodiscard]] marker::Device marker_device() const { return pci_.function().address().marker(); }

    [[nodiscard]] Result<> bring_up();
    [[nodiscard]] Result<> reset(marker::ResetReason reason);
    /// From a device that was reset to one in service.
    [[nodiscard]] Result<> set_up();
    [[nodiscard]] Result<> read_configuration();
    [[nodiscard]] Result<> make_queues();
    [[nodiscard]] Result<> make_pair(std::size_t index);
    [[nodiscard]] Result<> allocate_vectors();
    void use_pairs();
    void read_link();
    void release_queues();

    [[nodiscard]] bool look_at_status();
    void look_for_lies();
    void look_for_stalls();
    void recover(marker::Reason why);
    void give_up(marker::Reason why);
    [[nodiscard]] bool depart();

    static void on_queue(void* self);
    static void on_configuration(void* self);

    std::array<char, 16> name_{};
    std::size_t name_length_ = 0;
    pci::Device pci_;
    std::unique_ptr<Transport> transport_;
    std::uint64_t features_ = 0;
    net::MacAddress mac_{};
    std::size_t mtu_ = net::largest_mtu;
    std::size_t most_pairs_ = 1;
    Vector<Pair> pairs_;
    std::size_t used_pairs_ = 1;  ///< of pairs_; the device sends to these
    std::unique_ptr<NetControlQueue> control_;
    interrupt::Vector configuration_vector_;
    Atomic<net::Waker*> waker_{nullptr};
    Atomic<bool> configuration_changed_{false};
    std::size_t next_ = 0;    ///< the pair that is received from first
    net::Counters before_{};  ///< of queues that are gone
    Instant slow_said_;
    Instant next_reset_;
    Duration backoff_;
    std::uint64_t recoveries_ = 0;
    std::uint64_t recovery_id_ = 0;
    std::uint64_t lies_ = 0;
    bool link_ = false;
    Atomic<bool> dead_{false};
    Atomic<std::uint64_t> leaves_by_{0};  ///< when it is to have left its slot at the latest; 0: it stays
    bool taken_ = false;
    bool vectors_ = false;
};

}  // namespace pv::virtio
