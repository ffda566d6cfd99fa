// Queues of bytes.
// SPDX-License-Identifier: MIT
#include "net/byte_queue.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

namespace pv::net {

std::unique_ptr<ByteChunk> ByteChunk::create() {
    return std::unique_ptr<ByteChunk>(new (std::nothrow) ByteChunk);
}

std::size_t ByteQueue::put(std::span<const std::byte> bytes, std::unique_ptr<ByteChunk>& fresh) {
    std::size_t done = 0;
    while (done < bytes.size()) {
        if (chunks_.empty() || chunks_.back().room().empty()) {
            if (fresh == nullptr) {
                break;
            }
            chunks_.push_back(*fresh.release());
        }
        ByteChunk& last = chunks_.back();
        const std::span<std::byte> room = last.room();
        const std::size_t part = std::min(room.size(), bytes.size() - done);
        std::memcpy(room.data(), bytes.data() + done, part);
        last.end += static_cast<std::uint32_t>(part);
        done += part;
    }
    size_ += done;
    return done;
}

std::span<const std::byte> ByteQueue::front() const {
    return chunks_.empty() ? std::span<const std::byte>() : chunks_.front().filled();
}

std::span<const std::byte> ByteQueue::from(std::size_t skip) const {
    for (const ByteChunk& chunk : chunks_) {
        const std::span<const std::byte> bytes = chunk.filled();
        if (skip < bytes.size()) {
            return bytes.subspan(skip);
        }
        skip -= bytes.size();
    }
    return {};
}

std::unique_ptr<ByteChunk> ByteQueue::take(std::size_t count) {
    if (chunks_.empty()) {
        return nullptr;
    }
    ByteChunk& first = chunks_.front();
    count = std::min(count, first.filled().size());
    first.begin += static_cast<std::uint32_t>(count);
    size_ -= count;
    if (first.begin < first.end) {
        return nullptr;
    }
    chunks_.pop_front();
    return std::unique_ptr<ByteChunk>(&first);
}

void ByteQueue::clear() {
    chunks_.clear_and_dispose([](ByteChunk* chunk) { delete chunk; });
    size_ = 0;
}

}  // namespace pv::net
