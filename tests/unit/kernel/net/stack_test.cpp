// lwIP on a device that is a test: it answers what it should, and nothing a frame holds makes it stop.
// SPDX-License-Identifier: MIT
#include "net/stack.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "base/endian.hpp"
#include "net/checksum.hpp"
#include "net/ping.hpp"
#include "net/port/port.hpp"
#include "net/services.hpp"
#include "net/sum_request.hpp"

namespace pv::net {
namespace {

using namespace literals;
using Bytes = std::vector<std::uint8_t>;

constexpr MacAddress guest_mac{0x52, 0x54, 0, 0x12, 0x34, 0x56};
constexpr std::array<std::uint8_t, 6> peer_mac{2, 0, 0, 0, 0, 1};

/// Shared by the test and the device, which the stack owns.
struct Wire {
    std::mutex lock;
    std::condition_variable changed;
    std::deque<Bytes> to_guest;
    std::deque<Bytes> from_guest;
    Waker* waker = nullptr;
    bool link = true;
    bool vouch = false;

    void send(Bytes frame) {
        const std::scoped_lock hold{lock};
        to_guest.push_back(std::move(frame));
        if (waker != nullptr) {
            waker->wake();
        }
    }

    /// The next frame from the guest for which `fits` holds; others are dropped. Empty: none came in time.
    template <class Fits>
    Bytes wait_for(Fits fits) {
        std::unique_lock hold{lock};
        const auto until = std::chrono::steady_clock::now() + std::chrono::seconds{20};
        for (;;) {
            while (!from_guest.empty()) {
                Bytes frame = std::move(from_guest.front());
                from_guest.pop_front();
                if (fits(frame)) {
                    return frame;
                }
            }
            if (changed.wait_until(hold, until) == std::cv_status::timeout) {
                return {};
            }
        }
    }

    /// Until the guest took everything that was sent.
    void settle() {
        std::unique_lock hold{lock};
        changed.wait_for(hold, std::chrono::seconds{20}, [&] { return to_guest.empty(); });
    }
};

class FakeDevice final : public Device {
  public:
    explicit FakeDevice(Wire& wire) : wire_{wire} {}

    std::string_view name() const override { return "fake0"; }

    MacAddress mac() const override { return guest_mac; }

    std::size_t mtu() const override { return largest_mtu; }

    bool link_up() const override { return wire_.link; }

    bool sums_on_send() const override { return false; }

    void start(Waker& waker) override {
        const std::scoped_lock hold{wire_.lock};
        wire_.waker = &waker;
    }

    Result<> send(std::size_t length, FunctionRef<SumRequest(std::span<std::byte>)> fill) override {
        Bytes frame(length);
        (void)fill(std::as_writable_bytes(std::span{frame}));
        const std::scoped_lock hold{wire_.lock};
        wire_.from_guest.push_back(std::move(frame));
        wire_.changed.notify_all();
        return {};
    }

    void flush() override {}

    std::size_t receive(std::size_t budget, FunctionRef<void(const Frame&)> take) override {
        std::size_t count = 0;
        for (; count < budget; ++count) {
            Bytes frame;
            {
                const std::scoped_lock hold{wire_.lock};
                if (wire_.to_guest.empty()) {
                    break;
                }
                frame = std::move(wire_.to_guest.front());
                wire_.to_guest.pop_front();
                wire_.changed.notify_all();
            }
            // In two parts, as a device may.
            const auto bytes = std::as_bytes(std::span{frame});
            const std::array<std::span<const std::byte>, 2> parts{bytes.first(bytes.size() / 3),
                                                                  bytes.subspan(bytes.size() / 3)};
            take(Frame{.parts = parts, .length = frame.size(), .sum_vouched = wire_.vouch});
        }
        return count;
    }

    bool arm() override {
        const std::scoped_lock hold{wire_.lock};
        return !wire_.to_guest.empty();
    }

    void tick() override {}

    void look() override {}

    void leave(Duration) override {}

    [[nodiscard]] bool dead() const override { return false; }

    Counters counters() const override { return {}; }

    void print_status() override {}

    void shut_down(Deadline) override {
        const std::scoped_lock hold{wire_.lock};
        wire_.waker = nullptr;
    }

  private:
    Wire& wire_;
};

template <class... Parts>
Bytes join(const Parts&... parts) {
    Bytes all;
    (all.insert(all.end(), std::begin(parts), std::end(parts)), ...);
    return all;
}

Bytes be(std::uint32_t value, std::size_t bytes) {
    Bytes out;
    for (std::size_t i = bytes; i-- > 0;) {
        out.push_back(static_cast<std::uint8_t>(value >> 8 * i));
    }
    return out;
}

void put_sum(Bytes& bytes, std::size_t at, const Bytes& before = {}) {
    const Bytes all = join(before, bytes);
    const auto sum = static_cast<std::uint16_t>(~internet_sum(std::as_bytes(std::span{all})));
    std::memcpy(bytes.data() + at, &sum, sizeof sum);
}

const Bytes guest_ip{10, 0, 0, 2};
const Bytes peer_ip{10, 0, 0, 1};

Bytes ethernet(const Bytes& to, std::uint16_t type, const Bytes& payload) {
    return join(to, peer_mac, be(type, 2), payload);
}

Bytes ipv4(std::uint8_t protocol, const Bytes& payload) {
    Bytes header = join(Bytes{0x45, 0}, be(static_cast<std::uint32_t>(20 + payload.size()), 2), be(1, 2),
                        be(0, 2), Bytes{64, protocol, 0, 0}, peer_ip, guest_ip);
    put_sum(header, 10);
    return ethernet(Bytes(guest_mac.begin(), guest_mac.end()), 0x0800, join(header, payload));
}

Bytes pseudo(std::uint8_t protocol, std::size_t length) {
    return join(peer_ip, guest_ip, Bytes{0, protocol}, be(static_cast<std::uint32_t>(length), 2));
}

Bytes echo_request(std::uint16_t sequence) {
    Bytes message = join(Bytes{8, 0, 0, 0}, be(77, 2), be(sequence, 2), Bytes(100, 0x5a));
    put_sum(message, 2);
    return ipv4(1, message);
}

Bytes datagram(std::uint16_t from, std::uint16_t to, const Bytes& data, bool right_sum = true) {
    Bytes message =
        join(be(from, 2), be(to, 2), be(static_cast<std::uint32_t>(8 + data.size()), 2), Bytes{0, 0}, data);
    put_sum(message, 6, pseudo(17, message.size()));
    message[6] = static_cast<std::uint8_t>(message[6] ^ (right_sum ? 0 : 0x55));
    return ipv4(17, message);
}

Bytes arp_request() {
    return ethernet(
        Bytes(6, 0xff), 0x0806,
        join(be(1, 2), be(0x0800, 2), Bytes{6, 4}, be(1, 2), peer_mac, peer_ip, Bytes(6, 0), guest_ip));
}

bool is_echo_reply(const Bytes& frame, std::uint16_t sequence) {
    return frame.size() >= 42 && frame[23] == 1 && frame[34] == 0 && frame[40] == sequence >> 8 &&
           frame[41] == (sequence & 0xff);
}

class StackTest : public testing::Test {
  protected:
    void SetUp() override {
        stack_ = *Stack::create();
        ASSERT_TRUE(stack_->add(std::make_unique<FakeDevice>(wire_),
                                {.address = Ip4Network{{{10, 0, 0, 2}}, 24}, .gateway = {}}));
        ASSERT_TRUE(stack_->start());
        wire_.send(arp_request());
        ASSERT_FALSE(wire_
                         .wait_for([](const Bytes& frame) {
                             return frame.size() >= 42 && frame[12] == 8 && frame[13] == 6 && frame[21] == 2;
                         })
                         .empty())
            << "no answer to ARP";
    }

    void expect_echo(std::uint16_t sequence) {
        wire_.send(echo_request(sequence));
        EXPECT_FALSE(
            wire_.wait_for([&](const Bytes& frame) { return is_echo_reply(frame, sequence); }).empty());
    }

    Wire wire_;
    std::unique_ptr<Stack> stack_;
};

TEST_F(StackTest, answers_echo_requests_and_datagrams) {
    expect_echo(1);
    const Bytes data(1000, 0x42);
    wire_.send(datagram(4000, echo_port, data));
    const Bytes answer =
        wire_.wait_for([](const Bytes& frame) { return frame.size() > 42 && frame[23] == 17; });
    ASSERT_EQ(answer.size(), 42 + data.size());
    EXPECT_TRUE(std::equal(data.begin(), data.end(), answer.begin() + 42));
}

TEST_F(StackTest, does_not_echo_to_a_service_nor_what_is_damaged) {
    wire_.send(datagram(echo_port, echo_port, Bytes(10, 1)));
    wire_.send(datagram(4000, echo_port, Bytes(10, 2), false));
    wire_.send(datagram(4000, echo_port, Bytes(10, 3)));
    const Bytes answer =
        wire_.wait_for([](const Bytes& frame) { return frame.size() >= 52 && frame[23] == 17; });
    ASSERT_FALSE(answer.empty());
    EXPECT_EQ(answer[42], 3);
}

TEST_F(StackTest, believes_a_sum_that_the_device_vouches_for) {
    wire_.vouch = true;
    wire_.send(datagram(4000, echo_port, Bytes(10, 2), false));
    const Bytes answer =
        wire_.wait_for([](const Bytes& frame) { return frame.size() >= 52 && frame[23] == 17; });
    ASSERT_FALSE(answer.empty());
    EXPECT_EQ(answer[42], 2);
}

// Under AddressSanitizer: lwIP looks at a whole ARP message whatever the frame's length.
TEST_F(StackTest, frames_shorter_than_what_they_claim_are_not_read_beyond_their_end) {
    const Bytes whole = arp_request();
    for (std::size_t length = 0; length < whole.size(); ++length) {
        wire_.send(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length)));
    }
    expect_echo(5);
}

TEST_F(StackTest, runs_jobs_and_refuses_those_nobody_can_wait_for) {
    int done = 0;
    EXPECT_TRUE(stack_->call(Deadline::after(10_s), [&] { ++done; }));
    EXPECT_EQ(done, 1);
    EXPECT_EQ(stack_->call(Deadline::after(10_s), [&] { ++done; }).has_value(), true);
    EXPECT_EQ(done, 2);
}

TEST_F(StackTest, pings_time_out_where_nobody_answers) {
    const auto figures = ping(*stack_, {.peer = {{10, 0, 0, 9}}, .count = 1, .patience = 5_ms, .attempts = 2},
                              Deadline::after(10_s));
    ASSERT_TRUE(figures);
    EXPECT_EQ(figures->lost, 1U);
    EXPECT_EQ(figures->repeated, 1U);
}

TEST_F(StackTest, survives_mutated_and_random_frames_and_gives_their_memory_back) {
    std::mt19937 chance{11};
    const std::vector<Bytes> good{
        arp_request(),
        echo_request(3),
        datagram(4000, echo_port, Bytes(300, 7)),
        datagram(67, 68, Bytes(300, 2)),
        ipv4(6, join(be(4000, 2), be(echo_port, 2), be(1, 4), be(0, 4), Bytes{0x80, 2, 0x20, 0, 0, 0, 0, 0},
                     Bytes{2, 4, 5, 0xb4, 1, 3, 3, 7, 1, 1, 4, 2})),
        ethernet(Bytes{0x33, 0x33, 0, 0, 0, 1}, 0x86dd,
                 join(Bytes{0x60, 0, 0, 0, 0, 32, 58, 255}, Bytes(15, 0xfe), Bytes{1}, Bytes{0xff, 2},
                      Bytes(13, 0), Bytes{1}, Bytes{134, 0, 0, 0, 64, 0, 7, 8}, Bytes(24, 3))),
    };
    for (int round = 0; round < 20'000; ++round) {
        Bytes frame = good[chance() % good.size()];
        if (round % 10 == 0) {
            std::ranges::generate(frame, [&] { return static_cast<std::uint8_t>(chance()); });
        }
        for (std::size_t i = chance() % 6; i > 0; --i) {
            frame[12 + chance() % (frame.size() - 12)] = static_cast<std::uint8_t>(chance());
        }
        // Sums made right again: what is behind them is to be reached as well.
        if (frame.size() >= 34 && frame[12] == 8 && frame[13] == 0 && chance() % 4 != 0) {
            const std::size_t header = std::min<std::size_t>((frame[14] & 15U) * 4U, frame.size() - 14);
            if (header >= 20) {
                Bytes ip(frame.begin() + 14, frame.begin() + 14 + static_cast<std::ptrdiff_t>(header));
                ip[10] = ip[11] = 0;
                put_sum(ip, 10);
                std::ranges::copy(ip, frame.begin() + 14);
            }
        }
        frame.resize(chance() % 5 == 0 ? chance() % (frame.size() + 1) : frame.size());
        wire_.vouch = chance() % 2 == 0;
        wire_.send(std::move(frame));
        if (round % 500 == 0) {
            wire_.settle();
        }
    }
    wire_.settle();
    wire_.vouch = false;
    wire_.send(arp_request());
    expect_echo(99);
    EXPECT_FALSE(stack_->stopped());
    EXPECT_FALSE(port::broken());
    stack_ = nullptr;
    EXPECT_EQ(port::memory().used, 0U) << "packets that nobody gave back";
}

// RFC 1071 by hand: the pseudo header of 10.0.0.1 to 10.0.0.2, TCP, 24 bytes.
TEST(SumRequest, asks_for_tcp_alone) {
    Bytes segment(24, 0);
    Bytes frame = ipv4(6, segment);
    const SumRequest asked = prepare_tcp_sum(std::as_writable_bytes(std::span{frame}));
    EXPECT_EQ(asked.start, 34);
    EXPECT_EQ(asked.offset, 16);
    EXPECT_EQ(frame[50] << 8 | frame[51], 0x0a00 + 0x0001 + 0x0a00 + 0x0002 + 6 + 24);
    Bytes other = ipv4(17, segment);
    EXPECT_EQ(prepare_tcp_sum(std::as_writable_bytes(std::span{other})).start, 0);
    Bytes fragment = ipv4(6, segment);
    fragment[20] = 0x20;
    EXPECT_EQ(prepare_tcp_sum(std::as_writable_bytes(std::span{fragment})).start, 0);
    for (std::size_t length = 0; length < frame.size(); ++length) {
        Bytes cut(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(length));
        EXPECT_EQ(prepare_tcp_sum(std::as_writable_bytes(std::span{cut})).start, 0) << length;
    }
}

}  // namespace
}  // namespace pv::net
