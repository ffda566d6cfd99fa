// Connections on the network's thread: what lwIP tells, and what is told to lwIP.
// SPDX-License-Identifier: MIT
#include "net/tcp_callbacks.hpp"

#include <algorithm>
#include <utility>

#include "net/lwip_endpoint.hpp"
#include "net/port/port.hpp"

extern "C" {
#include "lwip/priv/tcp_priv.h"
#include "lwip/tcp.h"
}

namespace pv::net {
namespace {

using namespace literals;

/// How long what a program left behind may take until the other side has it (Linux: tcp_fin_timeout).
constexpr Duration orphan_limit = Duration::seconds(60);

/// What packets may take before each program's connection may have a few segments on its way only: half
/// (net/port/port.hpp). Those who do not read, and those who write in small pieces, leave room for others.
constexpr std::size_t crowded_from = port::memory_limit / 2;
constexpr std::size_t segments_when_crowded = 4;

/// What came and was not read, of all programs together, before each has its share only.
constexpr std::size_t receive_budget = std::size_t{16} << 20;

constinit std::size_t receive_held = 0;

}  // namespace

/// Whoever is told keeps the core: what happens may retire it.
struct TcpCallbacks {
    static TcpCore& core_of(void* argument) { return *static_cast<TcpCore*>(argument); }

    static err_t on_connected(void* argument, tcp_pcb*, err_t) {
        if (argument == nullptr) {
            return ERR_OK;
        }
        TcpCore& core = core_of(argument);
        core.phase_.store(TcpPhase::connected, std::memory_order_release);
        core.note_names();
        core.tell(fs::poll_event::writable);
        core.write_queued();
        return ERR_OK;
    }

    static err_t on_received(void* argument, tcp_pcb* block, pbuf* data, err_t) {
        const Ref<TcpCore> core(core_of(argument));
        if (data == nullptr) {
            core->input_over_.store(true, std::memory_order_release);
            // Both have ended: what is left of it is lwIP's alone, which tells no more of it.
            if (block->state == TIME_WAIT || block->state == CLOSING) {
                detach_callbacks(*core->disown());
                core->finish(0);
            } else {
                core->tell(fs::poll_event::readable | fs::poll_event::read_hang_up | fs::poll_event::always);
            }
            return ERR_OK;
        }
        // Who sends to a program that is gone is told so; and nothing is kept beyond what may be.
        const bool good = !core->released_.load(std::memory_order_acquire) && core->take(*data);
        if (!good) {
            detach_callbacks(*core->disown());
            pbuf_free(data);
            tcp_abort(block);
            core->finish(number(Errno::enobufs));
            return ERR_ABRT;
        }
        pbuf_free(data);
        core->tell(fs::poll_event::readable);
        return ERR_OK;
    }

    static err_t on_sent(void* argument, tcp_pcb*, u16_t) {
        const Ref<TcpCore> core(core_of(argument));
        core->write_queued();
        core->serve_released();
        return ERR_OK;
    }

    static err_t on_poll(void* argument, tcp_pcb* block) {
        if (argument == nullptr) {
            return ERR_OK;
        }
        const Ref<TcpCore> core(core_of(argument));
        if (core->phase() != TcpPhase::connected) {
            return ERR_OK;
        }
        core->write_queued();
        if (core->give_up_at_ != Instant{} && now() >= core->give_up_at_) {
            detach_callbacks(*core->disown());
            tcp_abort(block);
            core->finish(0);
            return ERR_ABRT;
        }
        core->serve_released();
        return ERR_OK;
    }

    // lwIP has freed the control block.
    static void on_error(void* argument, err_t error) {
        if (argument == nullptr) {
            return;
        }
        const Ref<TcpCore> core(core_of(argument));
        static_cast<void>(core->disown());
        int told = error == ERR_CLSD ? 0 : number(to_errno(error));
        if (error == ERR_RST) {
            told = core->phase() == TcpPhase::connecting ? number(Errno::econnrefused)
                   : core->is_input_over()               ? number(Errno::epipe)
                                                         : number(Errno::econnreset);
        }
        core->finish(told);
    }

    static err_t on_accepted(void* argument, tcp_pcb* block, err_t error) {
        if (error != ERR_OK || block == nullptr || argument == nullptr) {
            return ERR_VAL;
        }
        const Ref<TcpCore> listener(core_of(argument));
        auto made = TcpCore::create(listener->family);
        if (!made) {
            detach_callbacks(*block);
            tcp_abort(block);
            return ERR_ABRT;
        }
        const Ref<TcpCore>& core = *made;
        core->options.copy_from(listener->options);
        core->own(block);
        core->apply_options();
        core->phase_.store(TcpPhase::connected, std::memory_order_release);
        core->note_names();
        tcp_backlog_delayed(block);
        listener->add_pending(core);
        listener->tell(fs::poll_event::readable);
        return ERR_OK;
    }
};

void attach_callbacks(TcpCore& core, tcp_pcb& block) {
    tcp_arg(&block, &core);
    if (block.state == LISTEN) {
        tcp_accept(&block, TcpCallbacks::on_accepted);
        return;
    }
    tcp_recv(&block, TcpCallbacks::on_received);
    tcp_sent(&block, TcpCallbacks::on_sent);
    tcp_err(&block, TcpCallbacks::on_error);
    tcp_poll(&block, TcpCallbacks::on_poll, 1);
}

void detach_callbacks(tcp_pcb& block) {
    tcp_arg(&block, nullptr);
    if (block.state == LISTEN) {
        tcp_accept(&block, nullptr);
        return;
    }
    tcp_recv(&block, nullptr);
    tcp_sent(&block, nullptr);
    tcp_err(&block, nullptr);
    tcp_poll(&block, nullptr, 0);
}

err_t begin_connecting(tcp_pcb& block, const ip_addr_t& to, std::uint16_t port) {
    return tcp_connect(&block, &to, port, TcpCallbacks::on_connected);
}

// False: it cannot be kept.
bool TcpCore::take(const pbuf& packet) {
    const std::size_t share = receive_budget / std::max<std::size_t>(enlisted_count(), 1);
    if (receive_held + packet.tot_len > receive_budget && received() + packet.tot_len > share) {
        return false;
    }
    for (const pbuf* part = &packet; part != nullptr; part = part->next) {
        auto bytes = std::as_bytes(std::span(static_cast<const char*>(part->payload), part->len));
        while (!bytes.empty()) {
            // Made without the lock, used where it is needed.
            std::unique_ptr<ByteChunk> fresh = ByteChunk::create();
            if (fresh == nullptr) {
                return false;
            }
            state.with([&](State& now) {
                bytes = bytes.subspan(now.received.put(bytes, fresh));
                note(now);
            });
        }
        if (part->len == part->tot_len) {
            break;
        }
    }
    receive_held += packet.tot_len;
    held_ += packet.tot_len;
    return true;
}

// How many bytes lwIP may be given now.
std::size_t TcpCore::room_in_lwip() const {
    const std::size_t free = tcp_sndbuf(block_);
    if (port::memory().used < crowded_from) {
        return free;
    }
    return tcp_sndqueuelen(block_) < segments_when_crowded ? std::min<std::size_t>(free, tcp_mss(block_)) : 0;
}

bool TcpCore::send_queued() {
    if (block_ == nullptr || phase() != TcpPhase::connected) {
        return false;
    }
    bool any = false;
    while (to_send() != 0) {
        const auto front = state.with([](const State& now) { return now.to_send.front(); });
        const std::size_t length = std::min(front.size(), room_in_lwip());
        const bool is_last = length == to_send();
        if (length == 0 || tcp_write(block_, front.data(), static_cast<u16_t>(length),
                                     static_cast<u8_t>(TCP_WRITE_FLAG_COPY |
                                                       (is_last ? 0 : TCP_WRITE_FLAG_MORE))) != ERR_OK) {
            break;
        }
        std::unique_ptr<ByteChunk> done;
        state.with([&](State& now) {
            done = now.to_send.take(length);
            note(now);
        });
        any = true;
    }
    return any;
}

void TcpCore::write_queued() {
    const bool any = send_queued();
    end_output();
    if (any) {
        static_cast<void>(tcp_output(block_));
        if (has_much_room()) {
            tell(fs::poll_event::writable);
        }
    }
}

void TcpCore::end_output() {
    const bool is_over = is_output_over() || released_.load(std::memory_order_acquire);
    if (!is_over || end_sent_ || to_send() != 0 || block_ == nullptr || phase() != TcpPhase::connected) {
        return;
    }
    end_sent_ = tcp_shutdown(block_, 0, 1) == ERR_OK;
}

void TcpCore::tell_window() {
    std::size_t count = consumed_.exchange(0, std::memory_order_acq_rel);
    const std::size_t given_back = std::min(count, held_);
    receive_held -= given_back;
    held_ -= given_back;
    while (count != 0 && block_ != nullptr && phase() == TcpPhase::connected) {
        const auto part = static_cast<u16_t>(std::min<std::size_t>(count, 0xffff));
        tcp_recved(block_, part);
        count -= part;
    }
}

void TcpCore::serve() {
    const Ref<TcpCore> keep(*this);
    tell_window();
    if (block_ != nullptr && accepted_.exchange(false, std::memory_order_acq_rel)) {
        tcp_backlog_accepted(block_);
    }
    apply_options();
    if (released_.load(std::memory_order_acquire)) {
        if (give_up_at_ == Instant{}) {
            give_up_at_ = pv::now() + orphan_limit;
        }
        const bool is_cut_off = received() != 0 || options.linger.load(std::memory_order_relaxed) == 0;
        if (phase() != TcpPhase::connected || is_cut_off) {
            // What was written before goes out before the end does, as far as the window goes.
            if (send_queued()) {
                static_cast<void>(tcp_output(block_));
            }
            refuse_pending();
            drop_block();
            finish(0);
            return;
        }
    }
    write_queued();
    serve_released();
}

// What a program left behind is done when the other side has acknowledged it.
void TcpCore::serve_released() {
    if (block_ != nullptr && released_.load(std::memory_order_acquire) && end_sent_ &&
        tcp_sndqueuelen(block_) == 0) {
        tcp_pcb* block = disown();
        detach_callbacks(*block);
        static_cast<void>(tcp_close(block));
        finish(0);
    }
}

void TcpCore::refuse_pending() {
    while (const Ref<TcpCore> refused = take_pending()) {
        refused->drop_block();
        refused->released_.store(true, std::memory_order_release);
        refused->finish(number(Errno::econnreset));
    }
}

// There is no control block any more.
void TcpCore::finish(int error) {
    error_.store(error, std::memory_order_release);
    input_over_.store(true, std::memory_order_release);
    output_over_.store(true, std::memory_order_release);
    phase_.store(TcpPhase::ended, std::memory_order_release);
    ByteQueue unsent;
    ByteQueue unread;
    const bool is_released = released_.load(std::memory_order_acquire);
    state.with([&](State& now) {
        now.to_send.swap(unsent);
        if (is_released) {
            now.received.swap(unread);
        }
        note(now);
    });
    if (is_released) {
        receive_held -= std::exchange(held_, 0);
    }
    tell(fs::poll_event::readable | fs::poll_event::writable | fs::poll_event::read_hang_up |
         fs::poll_event::always);
}

void TcpCore::network_ends(bool usable) {
    const Ref<TcpCore> keep(*this);
    if (usable) {
        drop_block();
    } else {
        static_cast<void>(disown());
    }
    finish(number(Errno::enetdown));
}

}  // namespace pv::net
