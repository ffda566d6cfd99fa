// Which AF_UNIX socket has which name: nodes of file systems, and the abstract name space.
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <boost/intrusive/set.hpp>
#include <new>

#include "fs/unix_socket.hpp"

namespace pv::fs {
namespace {

struct Key {
    const Node* node;
    std::span<const std::byte> name;  ///< of the abstract ones
};

Key key_of(const UnixCore& core) {
    return {core.node, core.node == nullptr ? core.name.view() : std::span<const std::byte>()};
}

struct Before {
    static bool is_before(const Key& a, const Key& b) {
        if (a.node != b.node) {
            return std::less<>()(a.node, b.node);
        }
        return std::ranges::lexicographical_compare(a.name, b.name);
    }

    bool operator()(const UnixCore& a, const UnixCore& b) const { return is_before(key_of(a), key_of(b)); }

    bool operator()(const Key& a, const UnixCore& b) const { return is_before(a, key_of(b)); }

    bool operator()(const UnixCore& a, const Key& b) const { return is_before(key_of(a), b); }
};

using Names = boost::intrusive::set<UnixCore, boost::intrusive::compare<Before>>;

constinit task::Guarded<Names*, task::Rank::leaf> guarded_names{nullptr};

// Calls f(Names&) with the lock held.
template <class F>
decltype(auto) with_names(F&& f) {
    return guarded_names.with([&](Names*& made) -> decltype(auto) {
        alignas(Names) static constinit std::array<std::byte, sizeof(Names)> room{};
        if (made == nullptr) {
            made = ::new (room.data()) Names;
        }
        return f(*made);
    });
}

Outcome<Ref<UnixCore>> find(const Key& key) {
    Ref<UnixCore> found = with_names([&](Names& names) {
        const auto at = names.find(key, Before());
        return at != names.end() && at->try_add_owner() ? Ref<UnixCore>::adopt(&*at) : Ref<UnixCore>();
    });
    return found ? Outcome<Ref<UnixCore>>(std::move(found)) : fail(Errno::econnrefused);
}

}  // namespace

Outcome<Ref<UnixCore>> find_unix_socket(const Node& node) {
    return find({&node, {}});
}

Outcome<Ref<UnixCore>> find_unix_socket(const SocketAddress& abstract) {
    return find({nullptr, abstract.view()});
}

Outcome<> enter_unix_name(UnixCore& core, const SocketAddress& address, const Node* node) {
    return with_names([&](Names& names) -> Outcome<> {
        if (core.is_named) {
            return fail(Errno::einval);
        }
        core.name = address;
        core.node = node;
        if (!names.insert(core).second) {
            core.name = {};
            core.node = nullptr;
            return fail(Errno::eaddrinuse);
        }
        core.is_named = true;
        return {};
    });
}

void remove_unix_name(UnixCore& core) {
    with_names([&](Names& names) {
        if (core.is_named) {
            names.erase(names.iterator_to(core));
            core.is_named = false;
        }
    });
}

}  // namespace pv::fs
