// An echo socket of a program (ping): lwIP's side of it. Its port is the identifier of its echo requests, of
// which it gets the replies (icmp(7)).
// SPDX-License-Identifier: MIT
#pragma once

#include "net/datagram_core.hpp"

struct raw_pcb;

namespace pv::net {

class EchoCore final : public DatagramCore {
  public:
    /// Error: enomem.
    [[nodiscard]] static Outcome<Ref<DatagramCore>> create(std::uint16_t family);

    [[nodiscard]] int protocol() const override;
    /// Echo requests only.
    [[nodiscard]] Outcome<> check(std::span<const std::byte> bytes, const Endpoint* to) override;

  private:
    friend struct EchoCallbacks;

    explicit EchoCore(std::uint16_t of_family) : DatagramCore(of_family) {}

    ~EchoCore() override = default;

    Outcome<> make_block();
    /// Takes this identifier, or any one if it is 0. Error: eaddrinuse.
    Outcome<> identify(std::uint16_t wanted);
    Outcome<> bind_here(const Endpoint& local) override;
    Outcome<> connect_here(const Endpoint& remote) override;
    Outcome<> disconnect_here() override;
    Outcome<> send_here(std::span<const std::byte> bytes, const Endpoint* to,
                        const fs::PacketInfo* from) override;
    void apply_options() override;
    void drop_block(bool usable) override;

    // The network's thread's.
    raw_pcb* block_ = nullptr;  ///< enlisted while there is one
    Endpoint local_;
    Endpoint remote_;
    bool is_bound_ = false;
};

}  // namespace pv::net
