// A UDP socket of a program: lwIP's side of it, and what both sides share.
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

struct udp_pcb;

namespace pv::net {

/// What came, waiting for its reader.
struct Datagram
    : boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::normal_link>> {
    std::unique_ptr<std::byte[]> bytes;
    std::size_t size = 0;
    Endpoint from;
};

/// As TcpCore: lwIP's control block is the network's thread's, the queue is shared.
class UdpCore final : public SocketCore {
  public:
    /// Beyond these lengths a datagram is emsgsize.
    static constexpr std::size_t size_max_v4 = 65507;
    static constexpr std::size_t size_max_v6 = 65487;

    struct State {
        boost::intrusive::list<Datagram, boost::intrusive::constant_time_size<false>> inbox;
        std::size_t held = 0;  ///< bytes, with what each costs besides
        Endpoint local;
        Endpoint remote;
    };

    /// Error: enomem.
    [[nodiscard]] static Outcome<Ref<UdpCore>> create(std::uint16_t family);

    // Threads of programs; each waits for the network's thread, for nobody else. All have error enetdown.

    /// Errors: einval (it has a name), eaddrinuse, eaddrnotavail, enobufs.
    [[nodiscard]] Outcome<> bind(const Endpoint& local);
    /// Errors: enetunreach, enobufs.
    [[nodiscard]] Outcome<> connect(const Endpoint& remote);
    [[nodiscard]] Outcome<> disconnect();
    /// `to`: nullptr for the peer it is connected to. Errors: edestaddrreq, enetunreach, eacces (a broadcast
    /// address without SO_BROADCAST), enobufs.
    [[nodiscard]] Outcome<> send(std::span<const std::byte> bytes, const Endpoint* to);

    // Threads of programs; nothing is waited for.

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

  private:
    friend struct UdpCallbacks;

    explicit UdpCore(std::uint16_t of_family) : family(of_family) {}

    ~UdpCore() override;

    Outcome<> make_block();
    void drop_block();
    void apply_options();
    void note_names();
    Outcome<> bind_here(const Endpoint& local);
    Outcome<> connect_here(const Endpoint& remote);
    Outcome<> disconnect_here();
    Outcome<> send_here(std::span<const std::byte> bytes, const Endpoint* to);

    udp_pcb* block_ = nullptr;  ///< the network's thread's; enlisted while there is one
    bool is_bound_ = false;
    bool has_address_ = false;  ///< the program gave one, not the way to the peer

    Atomic<int> error_{0};
    Atomic<std::size_t> count_{0};
    Atomic<bool> connected_{false};
    Atomic<bool> released_{false};
};

}  // namespace pv::net
