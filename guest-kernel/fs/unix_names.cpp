// Which AF_UNIX socket has which name: nodes of file systems, and the abstract name space.
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <boost/intrusive/set.hpp>

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

constinit task::Guarded<task::OnFirstUse<Names>, task::Rank::leaf> names_in_use;

Outcome<Ref<UnixCore>> find(const Key& key) {
    Ref<UnixCore> found = names_in_use.with([&](Names& names) {
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
    return names_in_use.with([&](Names& names) -> Outcome<> {
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
    names_in_use.with([&](Names& names) {
        if (core.is_named) {
            names.erase(names.iterator_to(core));
            core.is_named = false;
        }
    });
}

}  // namespace pv::fs
