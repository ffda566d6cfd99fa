// The limit on files' sizes.
// SPDX-License-Identifier: MIT
#include "fs/size_limit.hpp"

#include <algorithm>

#include "base/atomic.hpp"

namespace pv::fs {
namespace {

constinit Atomic<std::uint64_t (*)()> ask{nullptr};
constinit Atomic<void (*)()> tell{nullptr};

std::uint64_t most() {
    const auto answer = ask.load(std::memory_order_acquire);
    return answer == nullptr ? ~0ULL : answer();
}

auto refuse() {
    tell.load(std::memory_order_relaxed)();
    return fail(Errno::efbig);
}

}  // namespace

void set_size_limit(const SizeLimit& limit) {
    tell.store(limit.tell, std::memory_order_relaxed);
    ask.store(limit.most, std::memory_order_release);
}

Outcome<std::uint64_t> within_size_limit(std::uint64_t offset, std::uint64_t length) {
    const std::uint64_t end = most();
    if (offset >= end) {
        return refuse();
    }
    return std::min(length, end - offset);
}

Outcome<> may_have_size(std::uint64_t before, std::uint64_t size) {
    if (size > before && size > most()) {
        return refuse();
    }
    return {};
}

}  // namespace pv::fs
