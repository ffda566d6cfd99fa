// A UDP socket of a program: lwIP's side of it.
// SPDX-License-Identifier: MIT
#pragma once

#include "net/datagram_core.hpp"

struct udp_pcb;

namespace pv::net {

class UdpCore final : public DatagramCore {
  public:
    /// Error: enomem.
    [[nodiscard]] static Outcome<Ref<DatagramCore>> create(std::uint16_t family);

    [[nodiscard]] int protocol() const override;
    [[nodiscard]] Outcome<> check(std::span<const std::byte> bytes, const Endpoint* to) override;

  private:
    friend struct UdpCallbacks;

    explicit UdpCore(std::uint16_t of_family) : DatagramCore(of_family) {}

    ~UdpCore() override = default;

    Outcome<> make_block();
    void note_names();
    Outcome<> bind_here(const Endpoint& local) override;
    Outcome<> connect_here(const Endpoint& remote) override;
    Outcome<> disconnect_here() override;
    Outcome<> send_here(std::span<const std::byte> bytes, const Endpoint* to,
                        const fs::PacketInfo* from) override;
    void apply_options() override;
    void drop_block(bool usable) override;

    udp_pcb* block_ = nullptr;  ///< the network's thread's; enlisted while there is one
    bool is_bound_ = false;
    bool has_address_ = false;  ///< the program gave one, not the way to the peer
};

}  // namespace pv::net
