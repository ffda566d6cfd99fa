// AF_NETLINK sockets.
// SPDX-License-Identifier: MIT
#include "net/netlink_socket.hpp"

#include <linux/netlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>

#include "base/atomic.hpp"
#include "fs/privilege.hpp"
#include "fs/wait.hpp"
#include "net/netlink_messages.hpp"

namespace pv::net {
namespace {

/// Answers that wait for one program at most, and the longest request.
constexpr std::size_t answers_max = 256;
constexpr std::size_t request_max = 16384;
constexpr int netlink_level = 270;  // SOL_NETLINK

constinit Atomic<std::uint32_t> last_port{0};

class NetlinkSocket final : public fs::Socket {
  public:
    NetlinkSocket(bool raw, std::uint32_t flags)
        : Socket(AF_NETLINK, raw ? fs::SocketType::raw : fs::SocketType::datagram, flags) {}

    Outcome<> bind_address(const fs::SocketAddress& address) override {
        const sockaddr_nl wanted = PV_TRY(read(address));
        if (wanted.nl_pid != 0) {
            std::uint32_t none = 0;
            if (!port_.compare_exchange_strong(none, wanted.nl_pid, std::memory_order_seq_cst) &&
                none != wanted.nl_pid) {
                return fail(Errno::einval);
            }
        }
        take_port();
        return {};
    }

    Outcome<> connect_address(const fs::SocketAddress& address) override {
        const sockaddr_nl peer = PV_TRY(read(address));
        if (peer.nl_pid != 0) {
            return fail(Errno::econnrefused);
        }
        take_port();
        return {};
    }

    Outcome<> listen(int, const fs::SocketOwner&) override { return fail(Errno::eopnotsupp); }

    Outcome<Ref<fs::OpenFile>> accept(bool, std::uint32_t, fs::SocketAddress&) override {
        return fail(Errno::eopnotsupp);
    }

    Outcome<std::size_t> send(fs::Source& source, const fs::SocketAddress* to, fs::Ancillary&,
                              std::uint32_t) override {
        if (to != nullptr && PV_TRY(read(*to)).nl_pid != 0) {
            return fail(Errno::econnrefused);  // another program's: there is nobody to talk to but the kernel
        }
        take_port();
        const std::size_t length = source.left();
        if (length > request_max) {
            return fail(Errno::emsgsize);
        }
        const std::unique_ptr<std::byte[]> request(new (std::nothrow) std::byte[length + 1]);
        if (request == nullptr) {
            return fail(Errno::enomem);
        }
        if (PV_TRY(source.take(std::span(request.get(), length))) < length) {
            return fail(Errno::efault);
        }
        PV_TRY(answer(std::span<const std::byte>(request.get(), length)));
        return length;
    }

    Outcome<> receive(fs::Target& target, std::uint32_t flags, fs::Received& received) override {
        while (true) {
            NetlinkAnswer answer;
            PV_TRY(next(flags, answer));
            if (answer.empty()) {
                continue;  // somebody else was faster
            }
            received.whole = answer.size();
            const std::size_t wanted = std::min(target.left(), answer.size());
            received.count =
                wanted == 0 ? 0 : PV_TRY(target.put(std::span<const std::byte>(answer.begin(), wanted)));
            received.flags = received.whole > received.count ? fs::message_flag::truncated : 0;
            received.from = address_of(0);
            return {};
        }
    }

    Outcome<> shutdown(int) override { return fail(Errno::eopnotsupp); }

    fs::SocketAddress name() override { return address_of(port_.load(std::memory_order_seq_cst)); }

    Outcome<fs::SocketAddress> peer_name() override { return address_of(0); }

    bool is_listening() override { return false; }

    int protocol() const override { return NETLINK_ROUTE; }

    // Groups may be joined; nothing is ever told to them.
    Outcome<> set_option(int level, int, std::span<const std::byte> value) override {
        return level != netlink_level       ? fail(Errno::enoprotoopt)
               : value.size() < sizeof(int) ? fail(Errno::einval)
                                            : Outcome<>();
    }

    std::uint32_t poll(fs::Watcher* watcher) override {
        if (watcher != nullptr) {
            poll_queue_.add(*watcher);
        }
        return fs::poll_event::writable |
               (waiting_.load(std::memory_order_seq_cst) != 0 ? fs::poll_event::readable : 0);
    }

  private:
    static Outcome<sockaddr_nl> read(const fs::SocketAddress& address) {
        sockaddr_nl value{};
        if (address.length < sizeof value || address.family() != AF_NETLINK) {
            return fail(Errno::einval);
        }
        std::memcpy(&value, address.bytes.data(), sizeof value);
        return value;
    }

    static fs::SocketAddress address_of(std::uint32_t port) {
        const sockaddr_nl value{.nl_family = AF_NETLINK, .nl_pad = 0, .nl_pid = port, .nl_groups = 0};
        fs::SocketAddress address;
        std::memcpy(address.bytes.data(), &value, sizeof value);
        address.length = sizeof value;
        return address;
    }

    // A number that no other such socket has: not a process's, which programs do not rely on.
    void take_port() {
        constexpr std::uint32_t negative = 0x8000'0000;
        std::uint32_t none = 0;
        if (port_.load(std::memory_order_seq_cst) == 0) {
            port_.compare_exchange_strong(none,
                                          negative | (last_port.fetch_add(1, std::memory_order_seq_cst) + 1),
                                          std::memory_order_seq_cst);
        }
    }

    Outcome<> answer(std::span<const std::byte> requests) {
        Vector<NetlinkAnswer> answers;
        while (requests.size() >= sizeof(nlmsghdr)) {
            nlmsghdr header{};
            std::memcpy(&header, requests.data(), sizeof header);
            if (header.nlmsg_len < sizeof header || header.nlmsg_len > requests.size()) {
                break;
            }
            PV_TRY(answer_netlink(requests.first(header.nlmsg_len), port_.load(std::memory_order_seq_cst),
                                  by_capable_ && fs::is_capable(Capability::net_admin), answers));
            if (answers.size() > answers_max) {
                return fail(Errno::enobufs);  // before more is collected than could be put
            }
            requests =
                requests.subspan(std::min<std::size_t>(NLMSG_ALIGN(header.nlmsg_len), requests.size()));
        }
        PV_TRY(put(answers));
        return {};
    }

    Outcome<> put(Vector<NetlinkAnswer>& answers) {
        const fs::MutexGuard guard(lock_);
        if (queue_.size() - first_ + answers.size() > answers_max) {
            return fail(Errno::enobufs);
        }
        for (NetlinkAnswer& answer : answers) {
            PV_TRY(as_outcome(queue_.push_back(std::move(answer))));
            waiting_.fetch_add(1, std::memory_order_seq_cst);
        }
        readers_.wake_all();
        poll_queue_.notify(fs::poll_event::readable);
        return {};
    }

    /// The next answer, taken out unless only looked at; empty where it went to another thread.
    Outcome<> next(std::uint32_t flags, NetlinkAnswer& answer) {
        if (waiting_.load(std::memory_order_seq_cst) == 0) {
            if (must_not_wait(flags)) {
                return fail(Errno::eagain);
            }
            PV_TRY(fs::wait_or_again(readers_, deadline(options().receive_timeout),
                                     [&] { return waiting_.load(std::memory_order_seq_cst) != 0; }));
        }
        const fs::MutexGuard guard(lock_);
        if (first_ == queue_.size()) {
            return {};
        }
        if ((flags & fs::message_flag::peek) != 0) {
            for (const std::byte byte : queue_[first_]) {
                PV_TRY(as_outcome(answer.push_back(byte)));
            }
            return {};
        }
        answer = std::move(queue_[first_++]);
        waiting_.fetch_sub(1, std::memory_order_seq_cst);
        if (first_ == queue_.size()) {
            queue_ = Vector<NetlinkAnswer>();
            first_ = 0;
        }
        return {};
    }

    /// Of who made it: a program that has less may not be made to use what it was given.
    const bool by_capable_ = fs::is_capable(Capability::net_admin);
    Atomic<std::uint32_t> port_{0};
    task::Mutex lock_{task::Rank::file};
    Vector<NetlinkAnswer> queue_;
    std::size_t first_ = 0;  ///< of those in the queue that were not taken yet
    Atomic<std::size_t> waiting_{0};
    task::WaitQueue readers_;
    fs::PollQueue poll_queue_;
};

}  // namespace

Outcome<Ref<fs::OpenFile>> create_netlink_socket(bool raw, int protocol, std::uint32_t flags) {
    if (protocol != NETLINK_ROUTE) {
        return fail(Errno::eprotonosupport);
    }
    auto* socket = new (std::nothrow) NetlinkSocket(raw, flags);
    if (socket == nullptr) {
        return fail(Errno::enomem);
    }
    return Ref<fs::OpenFile>::adopt(socket);
}

}  // namespace pv::net
