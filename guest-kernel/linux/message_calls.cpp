// Calls that send and receive: bytes, addresses, open files and credentials.
// SPDX-License-Identifier: MIT
#include <asm/unistd.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "linux/socket_address.hpp"
#include "linux/socket_common.hpp"
#include "linux/table.hpp"
#include "linux/time_values.hpp"
#include "linux/vector_io.hpp"

namespace pv::linux {
namespace {

constexpr std::uint64_t length_max = 0x7fff'f000;

/// struct msghdr.
struct HeaderValue {
    std::uint64_t name;
    std::int32_t name_length;
    std::uint32_t pad1;
    std::uint64_t pieces;
    std::uint64_t piece_count;
    std::uint64_t control;
    std::uint64_t control_length;
    std::int32_t flags;
    std::uint32_t pad2;
};

static_assert(sizeof(HeaderValue) == sizeof(msghdr));

/// struct cmsghdr.
struct ControlValue {
    std::uint64_t length;
    std::int32_t level;
    std::int32_t type;
};

static_assert(sizeof(ControlValue) == sizeof(cmsghdr));

struct CredentialsValue {
    std::int32_t process;
    std::uint32_t user;
    std::uint32_t group;
};

constexpr std::uint64_t control_max = 1U << 16;

// The descriptors of one SCM_RIGHTS.
Outcome<> add_files(Call& call, UserAddress at, std::uint64_t bytes, fs::Ancillary& ancillary) {
    if (bytes / sizeof(int) + ancillary.files.size() > fs::Ancillary::files_max) {
        return fail(Errno::einval);
    }
    for (std::uint64_t i = 0; i < bytes / sizeof(int); ++i) {
        const int descriptor = PV_TRY(UserPointer<const int>(at.value() + i * sizeof(int)).read());
        auto file = PV_TRY(get(call, descriptor));
        PV_TRY(as_outcome(ancillary.files.push_back(std::move(file))));
    }
    return {};
}

/// struct in6_pktinfo.
struct PacketInfo6Value {
    std::array<std::uint8_t, 16> address;
    std::int32_t interface;
};

static_assert(sizeof(PacketInfo6Value) == 20);

bool is_inet(const fs::Socket& socket) {
    return socket.family() == AF_INET || socket.family() == AF_INET6;
}

// What a program sends along with its data.
Outcome<> read_control(Call& call, const fs::Socket& socket, const HeaderValue& header,
                       fs::Ancillary& ancillary) {
    ancillary.sender = owner_of(call);
    if (header.control == 0 || header.control_length < sizeof(ControlValue)) {
        return {};
    }
    if (header.control_length > control_max) {
        return fail(Errno::enobufs);
    }
    std::uint64_t offset = 0;
    while (header.control_length - offset >= sizeof(ControlValue)) {
        const auto control = PV_TRY(UserPointer<const ControlValue>(header.control + offset).read());
        if (control.length < sizeof(ControlValue) || control.length > header.control_length - offset) {
            return fail(Errno::einval);
        }
        const UserAddress data(header.control + offset + sizeof(ControlValue));
        const std::uint64_t bytes = control.length - sizeof(ControlValue);
        if (control.level == SOL_SOCKET && control.type == SCM_RIGHTS) {
            PV_TRY(add_files(call, data, bytes, ancillary));
        } else if (control.level == SOL_SOCKET && control.type == SCM_CREDENTIALS) {
            if (bytes != sizeof(CredentialsValue)) {
                return fail(Errno::einval);
            }
            const auto given = PV_TRY(UserPointer<const CredentialsValue>(data.value()).read());
            const task::Identity& who = call.thread.identity;
            const bool is_own_user =
                given.user == who.user || given.user == who.effective_user || given.user == who.saved_user;
            const bool is_own_group = given.group == who.group || given.group == who.effective_group ||
                                      given.group == who.saved_group;
            if ((given.process != call.process().id && !who.has(Capability::sys_admin)) ||
                (!is_own_user && !who.has(Capability::setuid)) ||
                (!is_own_group && !who.has(Capability::setgid))) {
                return fail(Errno::eperm);
            }
            ancillary.sender = {given.process, given.user, given.group};
        } else if (control.level == SOL_SOCKET) {
            return fail(Errno::einval);
        } else if (control.level == IPPROTO_IP && control.type == IP_PKTINFO && is_inet(socket)) {
            if (bytes != sizeof(in_pktinfo)) {
                return fail(Errno::einval);
            }
            const auto given = PV_TRY(UserPointer<const in_pktinfo>(data.value()).read());
            ancillary.from = fs::PacketInfo{.interface = given.ipi_ifindex};
            std::memcpy(ancillary.from->address.data(), &given.ipi_spec_dst, sizeof given.ipi_spec_dst);
        } else if (control.level == IPPROTO_IPV6 && control.type == IPV6_PKTINFO &&
                   socket.family() == AF_INET6) {
            if (bytes < sizeof(PacketInfo6Value)) {
                return fail(Errno::einval);
            }
            const auto given = PV_TRY(UserPointer<const PacketInfo6Value>(data.value()).read());
            ancillary.from =
                fs::PacketInfo{.address = given.address, .interface = given.interface, .is_v6 = true};
        }
        offset = std::min(header.control_length, offset + align_up(control.length, sizeof(std::uint64_t)));
    }
    return {};
}

/// Control messages as they are written for a program.
class ControlWriter {
  public:
    explicit ControlWriter(HeaderValue& header)
        : at_(header.control), left_(header.control == 0 ? 0 : header.control_length) {}

    /// How many bytes of data one message may carry now; 0 where there is none.
    [[nodiscard]] std::uint64_t room() const {
        return left_ <= sizeof(ControlValue) ? 0 : left_ - sizeof(ControlValue);
    }

    Outcome<> put(int level, int type, std::span<const std::byte> data) {
        const std::uint64_t length = sizeof(ControlValue) + data.size();
        PV_TRY(UserPointer<ControlValue>(at_).write({length, level, type}));
        PV_TRY(copy_out(UserAddress(at_ + sizeof(ControlValue)), data));
        const std::uint64_t taken = std::min(align_up(length, sizeof(std::uint64_t)), left_);
        at_ += taken;
        left_ -= taken;
        written_ += taken;
        return {};
    }

    [[nodiscard]] std::uint64_t written() const { return written_; }

  private:
    std::uint64_t at_;
    std::uint64_t left_;
    std::uint64_t written_ = 0;
};

// Puts files that came into the table; what there is no room for is closed, and the flag says so.
Outcome<> give_files(Call& call, ControlWriter& writer, fs::Received& received, bool on_exec) {
    std::array<int, fs::Ancillary::files_max> numbers{};
    const std::size_t room = std::min<std::uint64_t>(writer.room() / sizeof(int), numbers.size());
    const std::size_t count = std::min(room, received.ancillary.files.size());
    std::size_t made = 0;
    while (made < count) {
        const auto number = add(call, received.ancillary.files[made], on_exec);
        if (!number) {
            break;
        }
        numbers[made++] = *number;
    }
    if (made < received.ancillary.files.size()) {
        received.flags |= fs::message_flag::truncated_ancillary;
    }
    return made == 0 ? Outcome<>()
                     : writer.put(SOL_SOCKET, SCM_RIGHTS, std::as_bytes(std::span(numbers).first(made)));
}

Outcome<> write_arrival(ControlWriter& writer, const fs::PacketInfo& info, fs::Received& received) {
    const PacketInfo6Value v6{info.address, info.interface};
    in_pktinfo v4{};
    v4.ipi_ifindex = info.interface;
    std::memcpy(&v4.ipi_addr, info.address.data(), sizeof v4.ipi_addr);
    v4.ipi_spec_dst = v4.ipi_addr;
    const std::span<const std::byte> bytes = info.is_v6 ? fs::bytes_of(v6) : fs::bytes_of(v4);
    if (writer.room() < bytes.size()) {
        received.flags |= fs::message_flag::truncated_ancillary;
        return {};
    }
    return writer.put(info.is_v6 ? IPPROTO_IPV6 : IPPROTO_IP, info.is_v6 ? IPV6_PKTINFO : IP_PKTINFO, bytes);
}

Outcome<> write_control(Call& call, fs::Socket& socket, HeaderValue& header, fs::Received& received,
                        std::uint32_t flags) {
    ControlWriter writer(header);
    if (socket.options().pass_credentials.load(std::memory_order_relaxed)) {
        const fs::SocketOwner& sender = received.ancillary.sender;
        const CredentialsValue value{sender.process, sender.user, sender.group};
        if (writer.room() >= sizeof value) {
            PV_TRY(writer.put(SOL_SOCKET, SCM_CREDENTIALS, fs::bytes_of(value)));
        } else {
            received.flags |= fs::message_flag::truncated_ancillary;
        }
    }
    if (!received.ancillary.files.empty()) {
        PV_TRY(give_files(call, writer, received, (flags & fs::message_flag::close_on_exec) != 0));
    }
    if (received.arrived) {
        PV_TRY(write_arrival(writer, *received.arrived, received));
    }
    if (received.hops) {
        const int level = received.hops->is_v6 ? IPPROTO_IPV6 : IPPROTO_IP;
        const int type = received.hops->is_v6 ? IPV6_HOPLIMIT : IP_TTL;
        if (writer.room() >= sizeof received.hops->left) {
            PV_TRY(writer.put(level, type, fs::bytes_of(received.hops->left)));
        } else {
            received.flags |= fs::message_flag::truncated_ancillary;
        }
    }
    header.control_length = writer.written();
    return {};
}

// SIGPIPE, unless the program does not want it.
Value sent(Call& call, const fs::Socket& socket, Value result, std::uint32_t flags) {
    return (flags & fs::message_flag::no_signal) != 0 ? result : pipe_broken(call, socket, result);
}

// What found no room is told of room, where the program wants signals.
Value noted(fs::Socket& socket, const fs::Source& source, Value result) {
    socket.note_unsent(result ? source.left() != 0 : result.error() == Errno::eagain);
    return result;
}

Value send_to(Call& call, fs::Socket& socket, fs::Source& source, const fs::SocketAddress* to,
              fs::Ancillary& ancillary, std::uint32_t flags) {
    if ((flags & MSG_OOB) != 0) {
        return fail(Errno::eopnotsupp);
    }
    if (to == nullptr || socket.socket_type() != fs::SocketType::datagram || socket.family() != AF_UNIX) {
        return sent(call, socket, noted(socket, source, socket.send(source, to, ancillary, flags)), flags);
    }
    const auto target = PV_TRY(find_unix(call, *to, socket.socket_type()));
    auto& own = static_cast<fs::UnixSocket&>(socket);
    return sent(call, socket, noted(socket, source, own.send_to(source, target, ancillary, flags)), flags);
}

Value sendto(Call& call, int descriptor, UserAddress from, std::uint64_t length, std::uint32_t flags,
             UserAddress address, int address_length) {
    const auto socket = PV_TRY(get_socket(call, descriptor));
    fs::SocketAddress to;
    const bool has_address = address.value() != 0 && address_length != 0;
    if (has_address) {
        to = PV_TRY(read_address(address, address_length));
    }
    fs::Ancillary ancillary;
    ancillary.sender = owner_of(call);
    UserSource source(from, std::min(length, length_max));
    return send_to(call, *socket, source, has_address ? &to : nullptr, ancillary, flags);
}

Value send_message(Call& call, fs::Socket& socket, const HeaderValue& header, std::uint32_t flags) {
    fs::SocketAddress to;
    const bool has_address = header.name != 0 && header.name_length != 0;
    if (has_address) {
        to = PV_TRY(read_address(UserAddress(header.name), header.name_length));
    }
    VectorSource source;
    PV_TRY(source.read(UserAddress(header.pieces), header.piece_count));
    fs::Ancillary ancillary;
    PV_TRY(read_control(call, socket, header, ancillary));
    return send_to(call, socket, source, has_address ? &to : nullptr, ancillary, flags);
}

Value sendmsg(Call& call, int descriptor, UserPointer<const HeaderValue> message, std::uint32_t flags) {
    const auto socket = PV_TRY(get_socket(call, descriptor));
    return send_message(call, *socket, PV_TRY(message.read()), flags);
}

Value received_count(const fs::Socket& socket, const fs::Received& received, std::uint32_t flags) {
    const bool wants_whole = (flags & MSG_TRUNC) != 0 && socket.socket_type() != fs::SocketType::stream;
    return wants_whole ? received.whole : received.count;
}

Value recvfrom(Call& call, int descriptor, UserAddress to, std::uint64_t length, std::uint32_t flags,
               UserAddress address, UserPointer<int> address_length) {
    const auto socket = PV_TRY(get_socket(call, descriptor));
    if ((flags & MSG_OOB) != 0) {
        return fail(Errno::eopnotsupp);
    }
    UserTarget target(to, std::min(length, length_max));
    fs::Received received;
    PV_TRY(socket->receive(target, flags, received));
    PV_TRY(write_address(received.from, address, address_length));
    return received_count(*socket, received, flags);
}

Value receive_message(Call& call, fs::Socket& socket, UserPointer<HeaderValue> message, std::uint32_t flags) {
    if ((flags & MSG_OOB) != 0) {
        return fail(Errno::eopnotsupp);
    }
    HeaderValue header = PV_TRY(message.read());
    if (header.name_length < 0) {
        return fail(Errno::einval);
    }
    VectorTarget target;
    PV_TRY(target.read(UserAddress(header.pieces), header.piece_count));
    fs::Received received;
    PV_TRY(socket.receive(target, flags, received));
    if (header.name != 0) {
        const auto room = std::min(static_cast<std::size_t>(header.name_length), received.from.length);
        PV_TRY(copy_out(UserAddress(header.name), received.from.view().first(room)));
        header.name_length = static_cast<int>(received.from.length);
    }
    PV_TRY(write_control(call, socket, header, received, flags));
    header.flags = static_cast<std::int32_t>(received.flags | (flags & fs::message_flag::close_on_exec));
    PV_TRY(message.write(header));
    return received_count(socket, received, flags);
}

Value recvmsg(Call& call, int descriptor, UserPointer<HeaderValue> message, std::uint32_t flags) {
    const auto socket = PV_TRY(get_socket(call, descriptor));
    return receive_message(call, *socket, message, flags);
}

/// struct mmsghdr.
struct ManyValue {
    HeaderValue header;
    std::uint32_t length;
    std::uint32_t pad;
};

constexpr std::uint32_t many_max = 1024;

Value sendmmsg(Call& call, int descriptor, UserPointer<ManyValue> messages, std::uint32_t count,
               std::uint32_t flags) {
    const auto socket = PV_TRY(get_socket(call, descriptor));
    count = std::min(count, many_max);
    for (std::uint32_t i = 0; i < count; ++i) {
        const auto message = (messages + i).read();
        const Value result =
            message ? send_message(call, *socket, message->header, flags) : Value(fail(message.error()));
        if (!result) {
            return i != 0 ? Value(i) : result;
        }
        const auto length = static_cast<std::uint32_t>(*result);
        PV_TRY(copy_out((messages + i).address() + offsetof(ManyValue, length), fs::bytes_of(length)));
    }
    return count;
}

Value recvmmsg(Call& call, int descriptor, UserPointer<ManyValue> messages, std::uint32_t count,
               std::uint32_t flags, UserPointer<const timespec> timeout) {
    const auto socket = PV_TRY(get_socket(call, descriptor));
    if (!timeout.is_null()) {
        const timespec span = PV_TRY(timeout.read());
        PV_TRY(duration_of(span));
    }
    count = std::min(count, many_max);
    constexpr std::uint32_t wait_for_one = MSG_WAITFORONE;
    for (std::uint32_t i = 0; i < count; ++i) {
        const std::uint32_t own = (flags & ~wait_for_one) |
                                  (i != 0 && (flags & wait_for_one) != 0 ? fs::message_flag::dont_wait : 0);
        const UserPointer<HeaderValue> header((messages + i).address().value());
        const Value result = receive_message(call, *socket, header, own);
        if (!result) {
            return i != 0 ? Value(i) : result;
        }
        const auto length = static_cast<std::uint32_t>(*result);
        PV_TRY(copy_out((messages + i).address() + offsetof(ManyValue, length), fs::bytes_of(length)));
    }
    return count;
}

constexpr Entry entries[] = {
    {__NR_sendto, "sendto", handler_of<sendto>},
    {__NR_recvfrom, "recvfrom", handler_of<recvfrom>},
    {__NR_sendmsg, "sendmsg", handler_of<sendmsg>},
    {__NR_recvmsg, "recvmsg", handler_of<recvmsg>},
    {__NR_sendmmsg, "sendmmsg", handler_of<sendmmsg>},
    {__NR_recvmmsg, "recvmmsg", handler_of<recvmmsg>, Support::partial, "the timeout is not looked at"},
};

}  // namespace

constinit const std::span<const Entry> message_calls = entries;

}  // namespace pv::linux
