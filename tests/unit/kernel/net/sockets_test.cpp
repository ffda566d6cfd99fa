// Sockets of programs on lwIP's loopback interface: data, bounds, and the end of the network under them.
// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <vector>

#include "base/endian.hpp"
#include "fs/network_view.hpp"
#include "net/byte_queue.hpp"
#include "net/endpoint.hpp"
#include "net/inet_socket.hpp"
#include "net/machine.hpp"
#include "net/port/port.hpp"
#include "net/stack.hpp"

namespace pv::net {
namespace {

using namespace literals;

TEST(ByteQueueTest, gives_back_in_order_what_was_put_across_pieces) {
    ByteQueue queue;
    std::vector<std::byte> all;
    std::unique_ptr<ByteChunk> fresh;
    for (std::size_t size = 1; size < 9000; size = size * 2 + 1) {
        std::vector<std::byte> part(size);
        for (std::size_t i = 0; i < size; ++i) {
            part[i] = static_cast<std::byte>(all.size() + i);
        }
        for (std::size_t done = 0; done < size;) {
            fresh = fresh ? std::move(fresh) : ByteChunk::create();
            done += queue.put(std::span(part).subspan(done), fresh);
        }
        all.insert(all.end(), part.begin(), part.end());
    }
    EXPECT_EQ(queue.size(), all.size());
    EXPECT_EQ(queue.from(5000).front(), all[5000]);
    std::vector<std::byte> back;
    while (queue.size() != 0) {
        const auto front = queue.front().first(std::min<std::size_t>(queue.front().size(), 777));
        back.insert(back.end(), front.begin(), front.end());
        static_cast<void>(queue.take(front.size()));
    }
    EXPECT_EQ(back, all);
    EXPECT_TRUE(queue.front().empty());
    EXPECT_EQ(queue.take(1), nullptr);
}

fs::SocketAddress local(std::uint16_t port, std::uint16_t family = family_v4) {
    Endpoint endpoint{.is_v6 = family == family_v6, .port = port};
    if (endpoint.is_v6) {
        endpoint.address[15] = 1;
    } else {
        endpoint.address = {127, 0, 0, 1};
    }
    return write_endpoint(endpoint, family);
}

TEST(EndpointTest, is_read_as_it_was_written_and_refused_where_it_is_no_address) {
    for (const std::uint16_t family : {family_v4, family_v6}) {
        const fs::SocketAddress address = local(4660, family);
        const auto read = read_endpoint(address, family);
        ASSERT_TRUE(read);
        EXPECT_EQ(read->port, 4660);
        EXPECT_EQ(write_endpoint(*read, family).view().size(), address.length);
        fs::SocketAddress cut = address;
        cut.length = family == family_v4 ? 15 : 23;
        EXPECT_EQ(read_endpoint(cut, family).error(), Errno::einval);
        EXPECT_EQ(read_endpoint(address, family == family_v4 ? family_v6 : family_v4).error(),
                  family == family_v4 ? Errno::einval : Errno::eafnosupport);
    }
    Endpoint four{.address = {10, 0, 0, 1}, .port = 7};
    const auto mapped = read_endpoint(write_endpoint(four, family_v6), family_v6);
    ASSERT_TRUE(mapped);
    EXPECT_EQ(*mapped, four);
}

class SocketsTest : public testing::Test {
  protected:
    void SetUp() override { begin(); }

    void TearDown() override { end(); }

    void begin() {
        auto made = Stack::create();
        ASSERT_TRUE(made);
        stack_ = std::move(*made);
        ASSERT_TRUE(stack_->start());
        offer(*stack_);
    }

    void end() {
        if (stack_ != nullptr) {
            withdraw();
            stack_ = nullptr;
        }
    }

    static Ref<fs::Socket> make(fs::SocketType type, std::uint32_t flags = 0,
                                std::uint16_t family = family_v4) {
        auto made = create_inet_socket(family, type, 0, flags);
        EXPECT_TRUE(made);
        return patient(std::move(*made));
    }

    /// A wait that should not be ends with an error instead of never.
    static Ref<fs::Socket> patient(Ref<fs::OpenFile> file) {
        auto socket = Ref<fs::Socket>::adopt(static_cast<fs::Socket*>(file.release()));
        socket->options().receive_timeout.store((30_s).to_nanoseconds(), std::memory_order_relaxed);
        socket->options().send_timeout.store((30_s).to_nanoseconds(), std::memory_order_relaxed);
        return socket;
    }

    static std::uint16_t port_of_socket(fs::Socket& socket) { return port_of(socket.name()); }

    static Ref<fs::Socket> listener() {
        auto socket = make(fs::SocketType::stream);
        EXPECT_TRUE(socket->bind_address(local(0)));
        EXPECT_TRUE(socket->listen(20, {}));
        return socket;
    }

    static std::array<Ref<fs::Socket>, 2> connection(fs::Socket& listening) {
        auto caller = make(fs::SocketType::stream);
        EXPECT_TRUE(caller->connect_address(local(port_of_socket(listening))));
        fs::SocketAddress peer;
        auto accepted = listening.accept(false, 0, peer);
        EXPECT_TRUE(accepted);
        // One that leads nowhere where there is none: what is done with it fails.
        auto other = accepted ? patient(std::move(*accepted)) : make(fs::SocketType::stream);
        return {std::move(caller), std::move(other)};
    }

    static Outcome<std::size_t> send(fs::Socket& socket, std::size_t count, std::uint32_t flags = 0) {
        std::vector<std::byte> bytes(count, std::byte{7});
        fs::SpanSource source(bytes);
        fs::Ancillary nothing;
        return socket.send(source, nullptr, nothing, flags);
    }

    static Outcome<std::size_t> receive(fs::Socket& socket, std::size_t count, std::uint32_t flags = 0) {
        std::vector<std::byte> bytes(count);
        fs::SpanTarget target(bytes);
        fs::Received received;
        PV_TRY(socket.receive(target, flags, received));
        EXPECT_TRUE(std::all_of(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(received.count),
                                [](std::byte b) { return b == std::byte{7}; }));
        return received.count;
    }

    std::unique_ptr<Stack> stack_;
};

TEST_F(SocketsTest, streams_carry_data_and_ends) {
    const auto server = listener();
    auto ends = connection(*server);
    EXPECT_EQ(send(*ends[0], 100'000), 100'000U);
    EXPECT_EQ(receive(*ends[1], 100'000, fs::message_flag::wait_all), 100'000U);
    EXPECT_EQ(receive(*ends[1], 1, fs::message_flag::dont_wait).error(), Errno::eagain);
    ends[0] = nullptr;
    EXPECT_EQ(receive(*ends[1], 1), 0U);
}

TEST_F(SocketsTest, datagrams_find_their_way_and_say_where_nobody_is) {
    const auto server = make(fs::SocketType::datagram);
    ASSERT_TRUE(server->bind_address(local(0)));
    const auto client = make(fs::SocketType::datagram);
    ASSERT_TRUE(client->connect_address(local(port_of_socket(*server))));
    EXPECT_EQ(send(*client, 1000), 1000U);
    EXPECT_EQ(receive(*server, 2000), 1000U);
    const auto stray = make(fs::SocketType::datagram);
    ASSERT_TRUE(stray->connect_address(local(1)));
    EXPECT_EQ(send(*stray, 1), 1U);
    EXPECT_EQ(receive(*stray, 1).error(), Errno::econnrefused);
}

// LEDGER R3: who does not read is held back, and holds nobody else back.
TEST_F(SocketsTest, LedgerR3_those_who_do_not_read_leave_room_for_others) {
    const auto server = listener();
    std::vector<std::array<Ref<fs::Socket>, 2>> idle;
    for (int i = 0; i < 100; ++i) {
        idle.push_back(connection(*server));
        std::size_t held = 0;
        for (int still = 0; still < 3; ++still) {
            while (const auto sent = send(*idle.back()[0], 65'536, fs::message_flag::dont_wait)) {
                held += *sent;
                still = 0;
                ASSERT_LT(held, std::size_t{1} << 20);
            }
            task::sleep(1_ms);
        }
        EXPECT_GT(held, 65'536U);
    }
    EXPECT_LT(port::memory().used, port::memory_limit * 3 / 4);
    auto ends = connection(*server);
    for (int i = 0; i < 4; ++i) {
        EXPECT_EQ(send(*ends[0], 50'000), 50'000U);
        EXPECT_EQ(receive(*ends[1], 50'000, fs::message_flag::wait_all), 50'000U);
    }
}

TEST_F(SocketsTest, datagrams_that_nobody_reads_are_bounded) {
    const auto server = make(fs::SocketType::datagram);
    ASSERT_TRUE(server->bind_address(local(0)));
    const auto client = make(fs::SocketType::datagram);
    ASSERT_TRUE(client->connect_address(local(port_of_socket(*server))));
    for (int i = 0; i < 2000; ++i) {
        EXPECT_EQ(send(*client, 1000), 1000U);
    }
    int kept = 0;
    while (receive(*server, 2000, fs::message_flag::dont_wait)) {
        ++kept;
    }
    EXPECT_GT(kept, 100);
    EXPECT_LT(kept, 220);
}

TEST_F(SocketsTest, blocks_run_out_with_an_error_and_come_back) {
    std::vector<Ref<fs::Socket>> all;
    Outcome<> bound;
    while (all.size() < 1000) {
        all.push_back(make(fs::SocketType::datagram));
        bound = all.back()->bind_address(local(0));
        if (!bound) {
            break;
        }
    }
    EXPECT_EQ(bound.error(), Errno::enobufs);
    EXPECT_GT(all.size(), 100U);
    all.clear();
    EXPECT_TRUE(make(fs::SocketType::datagram)->bind_address(local(0)));
}

TEST_F(SocketsTest, the_end_of_the_network_is_told_to_everybody) {
    const auto server = listener();
    auto ends = connection(*server);
    const auto waiting = make(fs::SocketType::stream);
    ASSERT_TRUE(waiting->connect_address(local(port_of_socket(*server))));  // never accepted
    const auto datagrams = make(fs::SocketType::datagram);
    ASSERT_TRUE(datagrams->bind_address(local(0)));
    EXPECT_EQ(send(*ends[0], 1000), 1000U);
    EXPECT_EQ(receive(*ends[1], 1), 1U);
    end();
    EXPECT_EQ(send(*ends[0], 1).error(), Errno::enetdown);
    EXPECT_EQ(receive(*datagrams, 1).error(), Errno::enetdown);
    EXPECT_EQ(make(fs::SocketType::stream)->connect_address(local(1)).error(), Errno::enetdown);
    fs::SocketAddress peer;
    EXPECT_EQ(server->accept(true, 0, peer).error(), Errno::einval);
    EXPECT_EQ(port::memory().used, 0U);
    begin();
    auto again = connection(*listener());
    EXPECT_EQ(send(*again[0], 5), 5U);
}

TEST_F(SocketsTest, texts_tell_of_sockets) {
    const auto server = listener();
    auto ends = connection(*server);
    fs::Text text;
    ASSERT_TRUE(fs::write_network(fs::NetworkText::tcp, text));
    const std::string_view lines = text.text();
    EXPECT_EQ(std::ranges::count(lines, '\n'), 4);
    EXPECT_NE(lines.find(" 0100007F:"), lines.npos);
    EXPECT_NE(lines.find(" 0A "), lines.npos);
    fs::Text devices;
    ASSERT_TRUE(fs::write_network(fs::NetworkText::devices, devices));
    EXPECT_NE(devices.text().find("    lo:"), std::string_view::npos);
}

}  // namespace
}  // namespace pv::net
