// AF_UNIX sockets: what travels, what is left behind, and that no wake-up is lost.
// SPDX-License-Identifier: MIT
#include "fs/unix_socket.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <thread>

#include "fs/pipe.hpp"
#include "fs/unix_transfer.hpp"
#include "tree.hpp"

namespace pv::fs {
namespace {

using namespace literals;
using test::error_of;
using test::Tree;

constexpr SocketOwner owner{.process = 7, .user = 8, .group = 9};

UnixSocket& as_unix(const Ref<OpenFile>& file) {
    return static_cast<UnixSocket&>(*file);
}

SocketPair make_pair(SocketType type = SocketType::stream, std::uint32_t flags = open_flag::nonblock) {
    return create_unix_pair(type, flags, owner).value();
}

Outcome<std::size_t> send(const Ref<OpenFile>& over, std::string_view text,
                          std::vector<Ref<OpenFile>> files = {}) {
    Ancillary ancillary;
    ancillary.sender = owner;
    for (Ref<OpenFile>& file : files) {
        EXPECT_TRUE(ancillary.files.push_back(std::move(file)));
    }
    SpanSource source(std::as_bytes(std::span(text)));
    return as_unix(over).send(source, nullptr, ancillary, 0);
}

struct Came {
    std::string text;
    Received received;
};

Outcome<Came> receive(const Ref<OpenFile>& from, std::size_t room = 65536, std::uint32_t flags = 0) {
    Came came;
    came.text.resize(room);
    SpanTarget target(std::as_writable_bytes(std::span(came.text)));
    PV_TRY(as_unix(from).receive(target, flags, came.received));
    came.text.resize(came.received.count);
    return came;
}

SocketAddress abstract(std::string_view name) {
    SocketAddress address;
    address.bytes[0] = std::byte{1};
    std::memcpy(address.bytes.data() + 3, name.data(), name.size());
    address.length = 3 + name.size();
    return address;
}

TEST(UnixSocketTest, AStreamIsBytesAndAMessageIsWhole) {
    const auto [a, b] = make_pair();
    ASSERT_EQ(send(a, "one").value(), 3U);
    ASSERT_EQ(send(a, "two").value(), 3U);
    EXPECT_EQ(receive(b, 4).value().text, "onet");
    EXPECT_EQ(receive(b, 100, message_flag::peek).value().text, "wo");
    EXPECT_EQ(receive(b).value().text, "wo");
    EXPECT_EQ(error_of(receive(b)), Errno::eagain);
    const auto [c, d] = make_pair(SocketType::sequenced);
    ASSERT_TRUE(send(c, "first"));
    ASSERT_TRUE(send(c, "second"));
    const Came cut = receive(d, 2).value();
    EXPECT_EQ(cut.text, "fi");
    EXPECT_EQ(cut.received.whole, 5U);
    EXPECT_EQ(cut.received.flags, message_flag::truncated);
    EXPECT_EQ(receive(d).value().text, "second");
}

TEST(UnixSocketTest, ABoundedQueueMakesWritersWait) {
    const auto [a, b] = make_pair();
    std::size_t written = 0;
    while (const auto count = send(a, std::string(10'000, 'x'))) {
        written += *count;
        ASSERT_LT(written, 10U << 20);
    }
    EXPECT_GE(written, UnixCore::bytes_max);
    EXPECT_EQ(as_unix(a).poll(nullptr) & poll_event::out, 0U);
    std::size_t read = 0;
    while (const auto came = receive(b)) {
        read += came->text.size();
    }
    EXPECT_EQ(read, written);
    EXPECT_NE(as_unix(a).poll(nullptr) & poll_event::out, 0U);
}

TEST(UnixSocketTest, OpenFilesTravel) {
    const std::uint64_t before = OpenFile::count();
    {
        const auto [a, b] = make_pair();
        PipeEnds pipe = create_pipe(open_flag::nonblock).value();
        ASSERT_TRUE(send(a, "x", {pipe.write}));
        pipe.write = nullptr;
        EXPECT_EQ(error_of(Tree::read(*pipe.read)), Errno::eagain);  // the message holds the writer's end
        // Who only looks gets the file as well.
        Came looked = receive(b, 1, message_flag::peek).value();
        ASSERT_EQ(looked.received.ancillary.files.size(), 1U);
        looked = {};
        Came came = receive(b).value();
        ASSERT_EQ(came.received.ancillary.files.size(), 1U);
        EXPECT_EQ(came.received.ancillary.sender, owner);
        ASSERT_TRUE(Tree::write(*came.received.ancillary.files[0], "through"));
        EXPECT_EQ(Tree::read(*pipe.read).value(), "through");
        came = {};
        EXPECT_EQ(Tree::read(*pipe.read).value(), "");
        ASSERT_TRUE(send(a, "lost", {pipe.read}));
    }
    EXPECT_EQ(OpenFile::count(), before);
}

TEST(UnixSocketTest, LedgerSocketsInCyclesAreCollected) {
    const std::uint64_t before = OpenFile::count();
    for (int i = 0; i < 100; ++i) {
        auto one = make_pair();
        auto other = make_pair(SocketType::datagram);
        ASSERT_TRUE(send(one.first, "x", {one.first}));  // through itself
        ASSERT_TRUE(send(one.first, "x", {one.second, other.first}));
        ASSERT_TRUE(send(other.first, "x", {one.first, create_pipe(0).value().read}));
        // Without being asked it goes now and then: there is never much of it.
        ASSERT_LT(OpenFile::count(), before + 300);
    }
    collect_unreachable_sockets();
    EXPECT_EQ(OpenFile::count(), before);
}

TEST(UnixSocketTest, LedgerWhatSomebodyCanStillReceiveIsNotCollected) {
    auto kept = make_pair();
    auto other = make_pair();
    ASSERT_TRUE(send(other.first, "inner"));
    // The only parts of `other` are in a queue, that somebody reads.
    ASSERT_TRUE(send(kept.first, "x", {other.first, other.second}));
    other = {};
    {
        auto loop = make_pair();
        ASSERT_TRUE(send(loop.first, "x", {loop.second}));
    }
    collect_unreachable_sockets();
    const Came came = receive(kept.second).value();
    ASSERT_EQ(came.received.ancillary.files.size(), 2U);
    EXPECT_EQ(receive(came.received.ancillary.files[1]).value().text, "inner");
}

TEST(UnixSocketTest, LedgerAConnectionNobodyAcceptedIsCollectedToo) {
    const std::uint64_t before = OpenFile::count();
    {
        const auto listener = create_unix_socket(SocketType::stream, 0, owner).value();
        ASSERT_TRUE(as_unix(listener).bind(abstract("unaccepted"), nullptr));
        ASSERT_TRUE(as_unix(listener).listen(5, owner));
        const auto client = create_unix_socket(SocketType::stream, 0, owner).value();
        ASSERT_TRUE(as_unix(client).connect(as_unix(listener).core(), owner));
        ASSERT_TRUE(send(client, "x", {client}));
        ASSERT_TRUE(send(client, "x", {listener}));
    }
    // The client is in its own peer's queue, the listener too: only its end frees them.
    collect_unreachable_sockets();
    EXPECT_EQ(OpenFile::count(), before);
}

TEST(UnixSocketTest, LedgerALongChainEndsWithoutRecursion) {
    const std::uint64_t before = OpenFile::count();
    {
        SocketPair last = make_pair();
        for (int i = 0; i < 50'000; ++i) {
            SocketPair next = make_pair();
            ASSERT_TRUE(send(next.first, "x", {std::move(last.second)}));
            last = std::move(next);
        }
    }
    EXPECT_EQ(OpenFile::count(), before);
}

TEST(UnixSocketTest, ConnectionsHaveABacklogAndEnds) {
    const auto listener = create_unix_socket(SocketType::stream, open_flag::nonblock, owner).value();
    ASSERT_TRUE(as_unix(listener).bind(abstract("backlog"), nullptr));
    const auto client = [&] {
        return create_unix_socket(SocketType::stream, open_flag::nonblock, owner).value();
    };
    const auto target = find_unix_socket(abstract("backlog")).value();
    EXPECT_EQ(error_of(as_unix(client()).connect(target, owner)), Errno::econnrefused);
    ASSERT_TRUE(as_unix(listener).listen(1, owner));
    const auto first = client();
    const auto second = client();
    const auto third = client();
    EXPECT_TRUE(as_unix(first).connect(target, owner));
    EXPECT_EQ(error_of(as_unix(first).connect(target, owner)), Errno::eisconn);
    EXPECT_TRUE(as_unix(second).connect(target, owner));
    EXPECT_EQ(error_of(as_unix(third).connect(target, owner)), Errno::eagain);
    SocketAddress peer;
    const auto accepted = as_unix(listener).accept(true, open_flag::nonblock, peer).value();
    EXPECT_EQ(as_unix(accepted).peer_owner(), owner);
    EXPECT_TRUE(as_unix(third).connect(target, owner));
    ASSERT_TRUE(send(first, "x"));
    EXPECT_EQ(receive(accepted).value().text, "x");
    // What nobody accepts is refused when the listener goes.
    ASSERT_TRUE(as_unix(listener).shutdown(0));
    EXPECT_EQ(error_of(as_unix(client()).connect(target, owner)), Errno::econnrefused);
}

TEST(UnixSocketTest, NamesAreTakenOnceAndFreed) {
    auto one = create_unix_socket(SocketType::datagram, 0, owner).value();
    const auto other = create_unix_socket(SocketType::datagram, 0, owner).value();
    ASSERT_TRUE(as_unix(one).bind(abstract("name"), nullptr));
    EXPECT_EQ(error_of(as_unix(one).bind(abstract("second"), nullptr)), Errno::einval);
    EXPECT_EQ(error_of(as_unix(other).bind(abstract("name"), nullptr)), Errno::eaddrinuse);
    EXPECT_TRUE(find_unix_socket(abstract("name")));
    one = nullptr;
    EXPECT_EQ(error_of(find_unix_socket(abstract("name"))), Errno::econnrefused);
    EXPECT_TRUE(as_unix(other).bind(abstract("name"), nullptr));
}

TEST(UnixSocketTest, LedgerLosesNoWakeUp) {
    const auto [a, b] = make_pair(SocketType::stream, 0);
    constexpr std::size_t total = 3'000'000;
    std::thread writer([&] {
        for (std::size_t done = 0; done < total; done += 5000) {
            ASSERT_EQ(send(a, std::string(5000, 'x')).value(), 5000U);
        }
    });
    std::size_t read = 0;
    while (read < total) {
        read += receive(b, 777).value().text.size();
    }
    writer.join();
    EXPECT_EQ(read, total);
}

}  // namespace
}  // namespace pv::fs
