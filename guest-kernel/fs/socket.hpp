// Sockets as files: what calls on sockets need, whatever lies behind one (socket(7)).
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <optional>

#include "base/atomic.hpp"
#include "base/vector.hpp"
#include "fs/open_file.hpp"

namespace pv::fs {

/// A socket's name as programs give it: a family, then what belongs to it. At most sizeof(sockaddr_storage).
struct SocketAddress {
    static constexpr std::size_t size_max = 128;
    std::array<std::byte, size_max> bytes{};
    std::size_t length = 0;

    [[nodiscard]] std::span<const std::byte> view() const { return std::span(bytes).first(length); }

    /// The family; 0 where there is not even one.
    [[nodiscard]] std::uint16_t family() const;
};

enum class SocketType : std::uint8_t { stream = 1, datagram = 2, raw = 3, sequenced = 5 };

/// Who is at the other end (SO_PEERCRED, SCM_CREDENTIALS).
struct SocketOwner {
    int process = 0;
    UserId user = ~0U;
    GroupId group = ~0U;

    friend bool operator==(const SocketOwner&, const SocketOwner&) = default;
};

/// An address of this machine's and the interface it is at, of a datagram (IP_PKTINFO, IPV6_PKTINFO).
struct PacketInfo {
    std::array<std::uint8_t, 16> address{};  ///< in network order; IPv4's in the first four bytes
    int interface = 0;
    bool is_v6 = false;
};

/// What goes with data: open files, and who sent it.
struct Ancillary {
    static constexpr std::size_t files_max = 253;  ///< SCM_MAX_FD
    Vector<Ref<OpenFile>> files;
    SocketOwner sender;
    std::optional<PacketInfo> from;  ///< where a datagram is to say that it comes from
};

/// Bits of send's and recv's flags, as Linux has them.
namespace message_flag {
inline constexpr std::uint32_t peek = 2;
inline constexpr std::uint32_t truncated_ancillary = 8;
inline constexpr std::uint32_t truncated = 0x20;
inline constexpr std::uint32_t dont_wait = 0x40;
inline constexpr std::uint32_t end_of_record = 0x80;
inline constexpr std::uint32_t wait_all = 0x100;
inline constexpr std::uint32_t no_signal = 0x4000;
inline constexpr std::uint32_t close_on_exec = 0x4000'0000;
}  // namespace message_flag

/// How many hops a datagram had left (TTL, hop limit).
struct Hops {
    int left = 0;
    bool is_v6 = false;
};

/// What came.
struct Received {
    std::size_t count = 0;    ///< bytes put into the target
    std::size_t whole = 0;    ///< bytes of the whole message (recv with MSG_TRUNC)
    std::uint32_t flags = 0;  ///< of message_flag
    SocketAddress from;
    Ancillary ancillary;
    std::optional<Hops> hops;           ///< where they were asked for
    std::optional<PacketInfo> arrived;  ///< the same
};

/// Options all sockets have (SOL_SOCKET).
struct SocketOptions {
    Atomic<bool> pass_credentials{false};
    Atomic<std::uint64_t> receive_timeout{0};  ///< nanoseconds; 0: none
    Atomic<std::uint64_t> send_timeout{0};
    Atomic<std::uint32_t> send_buffer{212'992};
    Atomic<std::uint32_t> receive_buffer{212'992};
    Atomic<bool> reuse_address{false};
    Atomic<bool> reuse_port{false};
    Atomic<bool> keep_alive{false};
    Atomic<bool> broadcast{false};
    Atomic<bool> urgent_inline{false};  ///< SO_OOBINLINE: as everything is, for nothing is ever urgent here
    Atomic<std::int32_t> priority{0};   ///< SO_PRIORITY, which orders nothing
    Atomic<std::int32_t> linger{-1};    ///< SO_LINGER in seconds; negative: off
};

/// The open file of a socket. Errors of all calls are those of their manual pages.
class Socket : public OpenFile {
  public:
    [[nodiscard]] FileKind kind() const final { return FileKind::socket; }

    [[nodiscard]] bool sends_signals() const final { return true; }

    [[nodiscard]] std::uint16_t family() const { return family_; }

    [[nodiscard]] SocketType socket_type() const { return type_; }

    [[nodiscard]] SocketOptions& options() { return options_; }

    /// bind(2) and connect(2) of families whose addresses say all there is to know; an AF_UNIX one names a
    /// place in the program's file systems, so those have calls of their own. Error: eopnotsupp.
    [[nodiscard]] virtual Outcome<> bind_address(const SocketAddress& address);
    [[nodiscard]] virtual Outcome<> connect_address(const SocketAddress& address);
    [[nodiscard]] virtual Outcome<> listen(int backlog, const SocketOwner& owner) = 0;
    /// The next connection; waits for it unless `nonblocking`.
    [[nodiscard]] virtual Outcome<Ref<OpenFile>> accept(bool nonblocking, std::uint32_t flags,
                                                        SocketAddress& peer) = 0;
    /// `to`: nullptr for the one it is connected to. `flags` of message_flag. `ancillary` is moved from when
    /// something was sent.
    [[nodiscard]] virtual Outcome<std::size_t> send(Source& source, const SocketAddress* to,
                                                    Ancillary& ancillary, std::uint32_t flags) = 0;
    [[nodiscard]] virtual Outcome<> receive(Target& target, std::uint32_t flags, Received& received) = 0;
    /// `how`: 0 reading, 1 writing, 2 both.
    [[nodiscard]] virtual Outcome<> shutdown(int how) = 0;
    [[nodiscard]] virtual SocketAddress name() = 0;
    /// Error: enotconn.
    [[nodiscard]] virtual Outcome<SocketAddress> peer_name() = 0;

    /// SO_PEERCRED.
    [[nodiscard]] virtual SocketOwner peer_owner() { return {}; }

    [[nodiscard]] virtual bool is_listening() = 0;

    /// SO_ERROR: what went wrong meanwhile, once.
    [[nodiscard]] virtual int take_error() { return 0; }

    /// SO_PROTOCOL.
    [[nodiscard]] virtual int protocol() const { return 0; }

    /// One of SOL_SOCKET's options changed, which lie in options().
    virtual void options_changed() {}

    /// Options of other levels. Errors: enoprotoopt, einval (too short, or a value out of range), eopnotsupp
    /// (this family has none).
    [[nodiscard]] virtual Outcome<> set_option(int level, int name, std::span<const std::byte> value);
    /// Returns how many bytes of `room` were filled.
    [[nodiscard]] virtual Outcome<std::size_t> get_option(int level, int name, std::span<std::byte> room);

    Attributes attributes() override;
    std::string_view label(std::span<char> room) const override;

    [[nodiscard]] std::uint64_t number() const { return number_; }

    /// A number that no other socket has, for stat(2).
    [[nodiscard]] static std::uint64_t next_number();

  protected:
    Socket(std::uint16_t family, SocketType type, std::uint32_t flags, std::uint64_t number = next_number());

    Outcome<std::size_t> do_read(std::uint64_t& position, Target& target) override;
    Outcome<std::size_t> do_write(std::uint64_t& position, bool append, Source& source) override;

    /// Before programs know of it.
    void set_number(std::uint64_t number) { number_ = number; }

    /// Whether a call with these flags must not wait.
    [[nodiscard]] bool must_not_wait(std::uint32_t flags) const {
        return is_nonblocking() || (flags & message_flag::dont_wait) != 0;
    }

    /// Until when one that may wait does so.
    [[nodiscard]] static Deadline deadline(const Atomic<std::uint64_t>& timeout);

  private:
    const std::uint16_t family_;
    const SocketType type_;
    std::uint64_t number_;
    const Timestamp born_ = wall_time();
    SocketOptions options_;
};

}  // namespace pv::fs
