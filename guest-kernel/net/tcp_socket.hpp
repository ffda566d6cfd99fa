// Stream sockets over TCP (tcp(7)).
// SPDX-License-Identifier: MIT
#pragma once

#include "base/atomic.hpp"
#include "net/inet_socket.hpp"
#include "net/tcp_core.hpp"

namespace pv::net {

/// Error: enomem.
[[nodiscard]] Outcome<Ref<fs::OpenFile>> create_tcp_socket(std::uint16_t family, std::uint32_t flags);

class TcpSocket final : public InetSocket {
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

    bool is_listening() override { return core_->phase() == TcpPhase::listening; }

    int take_error() override { return core_->take_error(); }

    int protocol() const override;

    Outcome<std::size_t> get_option(int level, int name, std::span<std::byte> room) override;
    std::uint32_t poll(fs::Watcher* watcher) override;
    Outcome<std::uint64_t> ioctl(std::uint32_t request, fs::IoctlArgument& argument) override;

    ~TcpSocket() override { core_->release(); }

  protected:
    InetOptions& inet_options() override { return core_->options; }

    void push_options() override { core_->push(); }

    bool has_name() override;
    Outcome<> set_own_option(int name, int value) override;
    Outcome<int> get_own_option(int name) override;

  private:
    friend Outcome<Ref<fs::OpenFile>> create_tcp_socket(std::uint16_t, std::uint32_t);

    /// What a program has been told of its connect(2).
    enum class Stage : std::uint8_t { unconnected, connecting, connected };

    TcpSocket(std::uint32_t flags, Ref<TcpCore> core)
        : InetSocket(core->family, fs::SocketType::stream, flags), core_(std::move(core)) {
        core_->file_number.store(number(), std::memory_order_relaxed);
    }

    /// False: nothing more will come.
    Outcome<bool> wait_for_input(std::uint32_t flags, Deadline until);
    Outcome<> wait_for_room(std::uint32_t flags, Deadline until);
    /// Moves what is there; how many bytes.
    Outcome<std::size_t> take(fs::Target& target, std::size_t most, std::uint32_t flags);
    Outcome<std::size_t> put(fs::Source& source, ByteChunk& carrier);

    const Ref<TcpCore> core_;
    Atomic<Stage> stage_{Stage::unconnected};
};

}  // namespace pv::net
