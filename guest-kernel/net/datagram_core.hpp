// A socket of a program for datagrams: what its kinds have in common of lwIP's side of it and of what both
// sides share.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>

#include "base/atomic.hpp"
#include "fs/poll.hpp"
#include "net/endpoint.hpp"
#include "net/inet_options.hpp"
#include "net/sockets.hpp"
#include "task/lock.hpp"
#include "task/wait_queue.hpp"

struct pbuf;

namespace pv::net {

/// What came, waiting for its reader.
struct Datagram
    : boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::normal_link>> {
    std::unique_ptr<std::byte[]> bytes;
    std::size_t size = 0;
    Endpoint from;
    Endpoint to;            ///< its address only
    int interface = 0;      ///< where it came in
    std::uint8_t hops = 0;  ///< left when it came: TTL, hop limit
};

/// As TcpCore: lwIP's control block is the network's thread's, the queue is shared.
class DatagramCore : public SocketCore {
  public:
    struct State {
        boost::intrusive::list<Datagram, boost::intrusive::constant_time_size<false>> inbox;
        std::size_t held = 0;  ///< bytes, with what each costs besides
        Endpoint local;
        Endpoint remote;
    };

    // Threads of programs; each waits for the network's thread, for nobody else. All have error enetdown.

    /// Errors: einval (it has a name), eaddrinuse, eaddrnotavail, enobufs.
    [[nodiscard]] Outcome<> bind(const Endpoint& local);
    /// Errors: enetunreach, enobufs.
    [[nodiscard]] Outcome<> connect(const Endpoint& remote);
    [[nodiscard]] Outcome<> disconnect();
    /// `to`: nullptr for the peer it is connected to. Errors: edestaddrreq, enetunreach, eacces (a broadcast
    /// address without SO_BROADCAST), enobufs. `from`: unless nullptr, whose address it says it comes from,
    /// and the interface it leaves by (0: any); einval or enetunreach (not an address of this machine's),
    /// enodev.
    [[nodiscard]] Outcome<> send(std::span<const std::byte> bytes, const Endpoint* to,
                                 const fs::PacketInfo* from);

    // Threads of programs; nothing is waited for.

    /// As IPPROTO_UDP.
    [[nodiscard]] virtual int protocol() const = 0;
    /// Whether a datagram may be sent at all, to a port if it names one. Errors: einval, emsgsize.
    [[nodiscard]] virtual Outcome<> check(std::span<const std::byte> bytes, const Endpoint* to) = 0;

    /// The file is gone.
    void release();
    /// An option changed.
    void push();

    [[nodiscard]] int take_error() { return error_.exchange(0, std::memory_order_acq_rel); }

    [[nodiscard]] int error() const { return error_.load(std::memory_order_acquire); }

    [[nodiscard]] bool has_datagram() const { return count_.load(std::memory_order_acquire) != 0; }

    [[nodiscard]] bool is_connected() const { return connected_.load(std::memory_order_acquire); }

    /// The oldest; nullptr: none. It stays until remove_first, which the same reader calls.
    [[nodiscard]] Datagram* first();
    void remove_first();

    void tell(std::uint32_t events);

    const std::uint16_t family;
    InetOptions options;
    Atomic<bool> broadcast{false};
    Atomic<std::uint32_t> receive_max{212'992};
    task::Guarded<State, task::Rank::socket> state;
    task::Mutex read_lock{task::Rank::file};
    task::WaitQueue queue;
    fs::PollQueue poll_queue;

    // The network's thread.
    void serve() override;
    void network_ends(bool usable) override;
    void unreachable(const Endpoint& local, const Endpoint& remote) override;
    SocketFacts facts() override;

  protected:
    explicit DatagramCore(std::uint16_t of_family);
    ~DatagramCore() override;

    /// A copy of `packet` from its byte `begin` on waits for its reader, if there is room; otherwise it is
    /// lost, as a network may lose it.
    void deliver(const pbuf& packet, std::size_t begin, const Endpoint& from);

    /// IPV6_V6ONLY.
    [[nodiscard]] bool is_only_v6() const { return options.only_v6.load(std::memory_order_relaxed); }

    void set_names(const Endpoint& local, const Endpoint& remote);

    void set_error(int error) { error_.store(error, std::memory_order_seq_cst); }

    void set_connected(bool connected) { connected_.store(connected, std::memory_order_release); }

    // The network's thread.
    virtual Outcome<> bind_here(const Endpoint& local) = 0;
    virtual Outcome<> connect_here(const Endpoint& remote) = 0;
    virtual Outcome<> disconnect_here() = 0;
    virtual Outcome<> send_here(std::span<const std::byte> bytes, const Endpoint* to,
                                const fs::PacketInfo* from) = 0;
    virtual void apply_options() = 0;
    /// It has a control block no more; `usable`: lwIP may still be called.
    virtual void drop_block(bool usable) = 0;

  private:
    Atomic<int> error_{0};
    Atomic<std::size_t> count_{0};
    Atomic<bool> connected_{false};
    Atomic<bool> released_{false};
};

}  // namespace pv::net
