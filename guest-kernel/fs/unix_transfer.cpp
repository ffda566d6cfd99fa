// The collector: sockets are marked from those that somebody holds outside of all queues.
// SPDX-License-Identifier: MIT
#include "fs/unix_transfer.hpp"

#include <algorithm>

namespace pv::fs {
namespace {

constinit task::SpinLock lock{task::Rank::sockets};

constexpr std::size_t worthwhile_least = 64;

struct Sockets {
    boost::intrusive::list<UnixSocket, boost::intrusive::constant_time_size<false>> all;
    std::size_t in_flight = 0;                  ///< messages' parts of sockets
    std::size_t worthwhile = worthwhile_least;  ///< so many in flight, and it is looked for garbage
    UnixMessages doomed;                        ///< out of their queues, and not yet freed
    bool is_burying = false;                    ///< somebody frees them
};

constinit task::OnFirstUse<Sockets> sockets;  // behind the lock

constexpr std::uint16_t unix_family = 1;  // AF_UNIX

UnixSocket* as_unix(OpenFile& file) {
    if (file.kind() != FileKind::socket || static_cast<Socket&>(file).family() != unix_family) {
        return nullptr;
    }
    return static_cast<UnixSocket*>(&file);
}

/// Sockets that are reachable and not yet looked into.
class Found {
  public:
    void add(UnixSocket& socket) {
        if (!socket.is_reachable) {
            socket.is_reachable = true;
            socket.next_found = first_;
            first_ = &socket;
        }
    }

    UnixSocket* take() {
        UnixSocket* const socket = first_;
        if (socket != nullptr) {
            first_ = std::exchange(socket->next_found, nullptr);
        }
        return socket;
    }

  private:
    UnixSocket* first_ = nullptr;
};

void mark_files(UnixCore::State& state, Found& found) {
    for (UnixMessage& message : state.inbox) {
        for (const Ref<OpenFile>& file : message.ancillary.files) {
            if (UnixSocket* socket = as_unix(*file)) {
                found.add(*socket);
            }
        }
    }
}

void mark_from(UnixSocket& socket, Found& found) {
    // One lock of its rank at a time: who waits to be accepted is listed by what the listener's lock guards,
    // and entered or taken only with the lock of transfers held.
    UnixConnections* pending = nullptr;
    socket.core()->state.with([&](UnixCore::State& state) {
        mark_files(state, found);
        pending = &state.pending;
    });
    for (UnixPending& waiting : *pending) {
        waiting.own->state.with([&](UnixCore::State& state) { mark_files(state, found); });
    }
}

void take_messages(UnixSocket& socket, UnixMessages& to) {
    UnixConnections* pending = nullptr;
    const auto take = [&](UnixCore& core) {
        core.state.with([&](UnixCore::State& state) {
            pending = pending == nullptr ? &state.pending : pending;
            to.splice(to.end(), state.inbox);
            state.bytes = state.count = 0;
            core.note(state);
        });
    };
    take(*socket.core());
    for (UnixPending& waiting : *pending) {
        take(*waiting.own);
    }
}

// Frees what is doomed, one after the other: a message may hold the last part of a socket with messages of
// its own, and a long chain of those is no deep recursion.
void bury_doomed() {
    bool is_first = true;
    while (true) {
        UnixMessage* message = nullptr;
        {
            const task::SpinGuard guard(lock);
            Sockets& all = *sockets;
            if (is_first && std::exchange(all.is_burying, true)) {
                return;
            }
            is_first = false;
            if (all.doomed.empty()) {
                all.is_burying = false;
                return;
            }
            message = &all.doomed.front();
            all.doomed.pop_front();
        }
        delete message;
    }
}

}  // namespace

task::SpinLock& transfer_lock() {
    return lock;
}

void enlist_unix_socket(UnixSocket& socket) {
    const task::SpinGuard guard(lock);
    sockets->all.push_back(socket);
}

void retire_unix_socket(UnixSocket& socket) {
    const task::SpinGuard guard(lock);
    sockets->all.erase(sockets->all.iterator_to(socket));
}

void begin_flight(const Ancillary& ancillary) {
    for (const Ref<OpenFile>& file : ancillary.files) {
        if (UnixSocket* socket = as_unix(*file)) {
            ++socket->in_flight;
            ++sockets->in_flight;
        }
    }
}

void end_flight(const Ancillary& ancillary) {
    for (const Ref<OpenFile>& file : ancillary.files) {
        if (UnixSocket* socket = as_unix(*file)) {
            --socket->in_flight;
            --sockets->in_flight;
        }
    }
}

void drop_messages(UnixMessages& messages) {
    {
        const task::SpinGuard guard(lock);
        for (const UnixMessage& message : messages) {
            end_flight(message.ancillary);
        }
        sockets->doomed.splice(sockets->doomed.end(), messages);
    }
    bury_doomed();
}

void collect_when_worthwhile() {
    bool is_worthwhile = false;
    {
        const task::SpinGuard guard(lock);
        is_worthwhile = sockets->in_flight >= sockets->worthwhile;
    }
    if (is_worthwhile) {
        collect_unreachable_sockets();
    }
}

void collect_unreachable_sockets() {
    UnixMessages garbage;
    {
        const task::SpinGuard guard(lock);
        if (sockets->in_flight == 0) {
            return;
        }
        Found found;
        for (UnixSocket& socket : sockets->all) {
            socket.is_reachable = false;
        }
        for (UnixSocket& socket : sockets->all) {
            // Somebody outside of all queues holds it: nobody gains a part of what only queues hold without
            // the lock.
            if (socket.owners() > socket.in_flight) {
                found.add(socket);
            }
        }
        while (UnixSocket* socket = found.take()) {
            mark_from(*socket, found);
        }
        for (UnixSocket& socket : sockets->all) {
            if (!socket.is_reachable && socket.in_flight != 0) {
                take_messages(socket, garbage);
            }
        }
    }
    drop_messages(garbage);
    const task::SpinGuard guard(lock);
    sockets->worthwhile = std::max(worthwhile_least, 2 * sockets->in_flight);
}

}  // namespace pv::fs
