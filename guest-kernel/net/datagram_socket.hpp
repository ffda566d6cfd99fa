// Datagram sockets: over UDP (udp(7)), and for echo requests (icmp(7)).
// SPDX-License-Identifier: MIT
#pragma once

#include "base/atomic.hpp"
#include "net/datagram_core.hpp"
#include "net/inet_socket.hpp"

namespace pv::net {

/// Error: enomem.
[[nodiscard]] Outcome<Ref<fs::OpenFile>> create_datagram_socket(Ref<DatagramCore> core, std::uint32_t flags);

class DatagramSocket final : public InetSocket {
  public:
    Outcome<> bind_address(const fs::SocketAddress& address) override;
    Outcome<> connect_address(const fs::SocketAddress& address) override;
    Outcome<> listen(int backlog, const fs::SocketOwner& owner) override;
    Outcome<Ref<fs::OpenFile>> accept(bool nonblocking, std::uint32_t flags,
                                      fs::SocketAddress& peer) override;
    Outcome<std::size_t> send(fs::Source& source, const fs::SocketAddress* to, fs::Ancillary& ancillary,
                              std::uint32_t flags) override;
    Outcome<> receive(fs::Target& target, std::uint32_t flags, fs::Received& received) override;
    Outcome<> shutdown(int how) override;
    fs::SocketAddress name() override;
    Outcome<fs::SocketAddress> peer_name() override;

    bool is_listening() override { return false; }

    int take_error() override { return core_->take_error(); }

    int protocol() const override;
    void options_changed() override;
    std::uint32_t poll(fs::Watcher* watcher) override;
    Outcome<std::uint64_t> ioctl(std::uint32_t request, fs::IoctlArgument& argument) override;

    ~DatagramSocket() override { core_->release(); }

  protected:
    InetOptions& inet_options() override { return core_->options; }

    void push_options() override { core_->push(); }

    bool has_name() override;

  private:
    friend Outcome<Ref<fs::OpenFile>> create_datagram_socket(Ref<DatagramCore>, std::uint32_t);

    DatagramSocket(std::uint32_t flags, Ref<DatagramCore> core)
        : InetSocket(core->family, fs::SocketType::datagram, flags), core_(std::move(core)) {
        core_->file_number.store(number(), std::memory_order_relaxed);
    }

    /// False: nothing more is read.
    [[nodiscard]] std::optional<fs::PacketInfo> arrival_of(const Datagram& datagram);
    Outcome<bool> wait_for_datagram(std::uint32_t flags, Deadline until);

    const Ref<DatagramCore> core_;
    Atomic<bool> reading_closed_{false};
    Atomic<bool> writing_closed_{false};
};

}  // namespace pv::net
