// A TCP connection of a program: lwIP's side of it, and what both sides share.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "base/atomic.hpp"
#include "base/time.hpp"
#include "fs/poll.hpp"
#include "net/byte_queue.hpp"
#include "net/endpoint.hpp"
#include "net/inet_options.hpp"
#include "net/sockets.hpp"
#include "task/lock.hpp"
#include "task/wait_queue.hpp"

struct tcp_pcb;
struct pbuf;

namespace pv::net {

enum class TcpPhase : std::uint8_t {
    fresh,  ///< neither connected nor listening; it may have a name
    connecting,
    connected,
    listening,
    ended,  ///< was one of these; what came may still be read
};

/// How a connection fares (tcp(7), TCP_INFO). Times in microseconds, windows in bytes.
struct TcpMeasures {
    unsigned state = 0;            ///< as SocketFacts has it
    unsigned retransmissions = 0;  ///< of what is sent again and again now
    std::uint32_t timeout = 0;
    std::uint32_t round_trip = 0;
    std::uint32_t deviation = 0;
    std::uint32_t segment = 0;  ///< bytes of a full one
    std::uint32_t waiting = 0;  ///< segments that were sent, or are to be, and not acknowledged
    std::uint32_t congestion_window = 0;
    std::uint32_t threshold = 0;  ///< of slow start
};

/// OWNERSHIP. lwIP's control block is the network's thread's. Programs' threads put bytes into one queue and
/// take them from the other, under a spinlock, and copy from and to programs without it; the rest they ask
/// for (net/machine.hpp). What came is copied out of lwIP's packets as it comes, so that one who does not
/// read holds memory of his own socket, bounded by its window, and not what packets need.
class TcpCore final : public SocketCore {
  public:
    /// Bytes that wait for lwIP to take them.
    static constexpr std::size_t send_max = std::size_t{128} << 10;
    /// Connections that nobody accepted yet, one more as on Linux.
    static constexpr int backlog_max = 127;

    struct State {
        ByteQueue received;
        ByteQueue to_send;
        Endpoint local;
        Endpoint remote;
        Ref<TcpCore> first_pending;  ///< not accepted yet, oldest first
        TcpCore* last_pending = nullptr;
    };

    /// Error: enomem.
    [[nodiscard]] static Outcome<Ref<TcpCore>> create(std::uint16_t family);

    // Threads of programs; each waits for the network's thread, for nobody else. All have error enetdown.

    /// Errors: einval (it has a name), eaddrinuse, eaddrnotavail, enobufs.
    [[nodiscard]] Outcome<> bind(const Endpoint& local);
    /// Begins to connect: phase() says how it goes. In phase fresh or ended only. Errors: enetunreach,
    /// eaddrnotavail, eaddrinuse, enobufs, eisconn.
    [[nodiscard]] Outcome<> connect(const Endpoint& remote);
    /// Error: eaddrinuse, einval (connected).
    [[nodiscard]] Outcome<> listen(int backlog);
    /// Back to phase fresh, with whatever it was about cut off.
    void disconnect();

    /// shutdown(2) of a listener.
    void stop_listening() { disconnect(); }

    // Threads of programs; nothing is waited for.

    /// The oldest connection that nobody accepted; empty: there is none.
    [[nodiscard]] Ref<TcpCore> take_pending();
    /// Nothing more is written: what is queued is sent, then the end.
    void close_output();
    /// Nothing is read any more beyond what is there.
    void close_input();
    /// The program's file is gone: what is queued is still sent, within bounds.
    void release();
    /// Something was put into to_send, or an option changed.
    void push();
    /// `count` bytes of received were taken.
    void consumed(std::size_t count);

    /// A failure meanwhile, once.
    [[nodiscard]] int take_error() { return error_.exchange(0, std::memory_order_acq_rel); }

    [[nodiscard]] int error() const { return error_.load(std::memory_order_acquire); }

    [[nodiscard]] TcpPhase phase() const { return phase_.load(std::memory_order_acquire); }

    [[nodiscard]] std::size_t received() const { return received_.load(std::memory_order_acquire); }

    [[nodiscard]] std::size_t to_send() const { return to_send_.load(std::memory_order_acquire); }

    [[nodiscard]] bool has_room() const { return to_send() < send_max; }

    /// Enough that it is worth waking a writer.
    [[nodiscard]] bool has_much_room() const { return to_send() <= send_max / 2; }

    [[nodiscard]] bool has_pending() const { return pending_.load(std::memory_order_acquire) != 0; }

    [[nodiscard]] bool is_input_over() const { return input_over_.load(std::memory_order_acquire); }

    [[nodiscard]] bool is_output_over() const { return output_over_.load(std::memory_order_acquire); }

    /// What those who wait look at.
    void note(const State& now) {
        received_.store(now.received.size(), std::memory_order_release);
        to_send_.store(now.to_send.size(), std::memory_order_release);
    }

    void tell(std::uint32_t events);

    const std::uint16_t family;
    InetOptions options;
    task::Guarded<State, task::Rank::socket> state;
    task::Mutex read_lock{task::Rank::file};   ///< readers, one after the other
    task::Mutex write_lock{task::Rank::file};  ///< writers
    task::WaitQueue queue;
    fs::PollQueue poll_queue;

    // Of SocketCore: the network's thread.
    void serve() override;
    void network_ends(bool usable) override;

    void unreachable(const Endpoint&, const Endpoint&) override {}

    SocketFacts facts() override;
    /// What the connection measures now; zeros where there is none.
    [[nodiscard]] TcpMeasures measures();

  private:
    friend struct TcpCallbacks;

    explicit TcpCore(std::uint16_t of_family) : family(of_family) {}

    ~TcpCore() override;

    // The network's thread.
    Outcome<> make_block();
    void own(tcp_pcb* block);
    /// lwIP's block is not ours any more; returns it.
    tcp_pcb* disown();
    void drop_block();
    void apply_options();
    void note_names();
    Outcome<> bind_here(const Endpoint& local);
    Outcome<> connect_here(const Endpoint& remote);
    Outcome<> listen_here(int backlog);
    bool take(const pbuf& packet);
    [[nodiscard]] std::size_t room_in_lwip() const;
    /// Gives lwIP what the program wrote, as far as there is room; whether that was anything.
    bool send_queued();
    void write_queued();
    void tell_window();
    void end_output();
    void serve_released();
    void refuse_pending();
    void add_pending(Ref<TcpCore> fresh);
    void finish(int error);

    tcp_pcb* block_ = nullptr;  ///< the network's thread's; enlisted while there is one
    Endpoint bound_;            ///< the name the program gave, for the next block
    bool is_bound_ = false;
    bool end_sent_ = false;
    std::size_t held_ = 0;       ///< of what came, what counts against all sockets' budget
    Instant give_up_at_;         ///< once released
    Ref<TcpCore> next_pending_;  ///< guarded by the listener's state

    Atomic<TcpPhase> phase_{TcpPhase::fresh};
    Atomic<int> error_{0};
    Atomic<std::size_t> received_{0};
    Atomic<std::size_t> to_send_{0};
    Atomic<std::size_t> pending_{0};
    Atomic<std::size_t> consumed_{0};
    Atomic<bool> accepted_{false};
    Atomic<bool> input_over_{false};
    Atomic<bool> output_over_{false};
    Atomic<bool> released_{false};
};

}  // namespace pv::net
