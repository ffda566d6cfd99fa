// What lwIP asks of a kernel: time, chance, sums, and somebody to tell when an invariant breaks.
// SPDX-License-Identifier: MIT
#include "net/port/port.hpp"

#include <array>
#include <cstring>
#include <optional>
#include <span>

#include "base/log.hpp"
#include "base/panic.hpp"
#include "base/time.hpp"
#include "net/checksum.hpp"
#include "net/keyed_hash.hpp"
#include "net/port/hooks.h"
#include "net/random.hpp"
#include "random/pool.hpp"

extern "C" {
#include "lwip/init.h"
#include "lwip/ip4_frag.h"
#include "lwip/ip6_frag.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/sys.h"
}

namespace pv::net::port {
namespace {

// All of it is the network's thread's.
constinit std::optional<Random> chance;
constinit HashKey sequence_key{};
constinit bool is_broken = false;
constinit bool inside = false;
constinit std::array<void*, 5> way_out{};

// The builtins need the frame that was set to be still there, and not to be inlined into the one that jumps.
[[gnu::noinline]] bool enter(FunctionRef<void()> work) {
    if (__builtin_setjmp(way_out.data()) != 0) {
        return false;
    }
    work();
    return true;
}

[[noreturn, gnu::noinline]] void leave() {
    __builtin_longjmp(way_out.data(), 1);
}

}  // namespace

void start() {
    if (chance) {
        return;
    }
    if (random::credit() < random::Pool::seed_bits) {
        random::add_from_processor();
    }
    const Seed seed = gather_seed([](std::span<std::byte> out) { return random::take(out); });
    if (!seed.sound) {
        log::warning(
            "network: the entropy pool is not seeded: ports and sequence numbers can be foretold by who "
            "knows "
            "when this machine started");
    }
    chance.emplace(seed.key);
    for (std::uint64_t& word : sequence_key) {
        word = std::uint64_t{chance->next()} << 32 | chance->next();
    }
    lwip_init();
}

void finish() {
    while (tcp_active_pcbs != nullptr) {
        tcp_abort(tcp_active_pcbs);
    }
    while (tcp_tw_pcbs != nullptr) {
        tcp_abort(tcp_tw_pcbs);
    }
    // Fragments go with age; there is no other way to them.
    for (int second = 0; second <= IP_REASS_MAXAGE; ++second) {
        ip_reass_tmr();
    }
    for (int second = 0; second <= IPV6_REASS_MAXAGE; ++second) {
        ip6_reass_tmr();
    }
}

bool guarded(FunctionRef<void()> work) {
    PV_ASSERT(!inside);
    if (is_broken) {
        return false;
    }
    inside = true;
    const bool good = enter(work);
    inside = false;
    return good;
}

bool broken() {
    return is_broken;
}

}  // namespace pv::net::port

extern "C" {

void pv_lwip_assertion(const char* text, const char* file, int line) {
    using namespace pv;
    if (!net::port::inside) {
        panic("lwIP: {} ({}:{})", text, file, line);
    }
    const char* name = file;
    for (const char* at = file; *at != '\0'; ++at) {
        name = *at == '/' ? at + 1 : name;
    }
    log::error("network: lwIP's invariant '{}' does not hold ({}:{}): the network stops", text, name, line);
    net::port::is_broken = true;
    net::port::leave();
}

std::uint32_t pv_lwip_random() {
    return pv::net::port::chance ? pv::net::port::chance->next() : 0;
}

std::uint16_t pv_lwip_sum(const void* bytes, int length) {
    return pv::net::internet_sum(
        {static_cast<const std::byte*>(bytes), static_cast<std::size_t>(length < 0 ? 0 : length)});
}

std::uint32_t pv_lwip_first_sequence(const void* local, std::size_t local_size, std::uint16_t local_port,
                                     const void* remote, std::size_t remote_size, std::uint16_t remote_port) {
    std::array<std::uint8_t, 2 * 32 + 4> text{};
    auto put = [&, at = std::size_t{0}](const void* bytes, std::size_t size) mutable {
        size = size < text.size() - at ? size : text.size() - at;
        std::memcpy(text.data() + at, bytes, size);
        at += size;
    };
    put(&local_port, sizeof local_port);
    put(&remote_port, sizeof remote_port);
    put(local, local_size);
    put(remote, remote_size);
    const std::uint64_t hash = pv::net::keyed_hash(pv::net::port::sequence_key, text);
    // A clock of 4 microseconds a tick, RFC 9293, 3.4.1.
    return static_cast<std::uint32_t>(hash) +
           static_cast<std::uint32_t>(pv::now().since_boot().to_nanoseconds() / 4096);
}

std::uint32_t sys_now() {
    return static_cast<std::uint32_t>(pv::now().since_boot().to_milliseconds());
}
}
