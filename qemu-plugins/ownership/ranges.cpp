// Lists through one pool: of a frame's pieces, and of an owner's.
// SPDX-License-Identifier: MIT
#include "ownership/ranges.hpp"

#include <algorithm>
#include <utility>

namespace pv::ownership {

Ranges::Ranges(std::uint64_t limit, std::size_t most, std::shared_ptr<translation::FrameMarks> marks)
    : frames_(limit / page_size),
      most_(most),
      heads_(new std::uint32_t[static_cast<std::size_t>(frames_)]()),
      pool_(1),
      frame_(1),
      stores_(marks ? std::move(marks) : std::make_shared<translation::FrameMarks>(limit),
              translation::mark_owned_store),
      loads_(stores_.with(translation::mark_owned_load)) {}

bool Ranges::add(std::uint32_t owner, std::uint32_t& first, std::uint64_t physical, std::uint64_t length,
                 BufferRole role) {
    const std::uint64_t limit = frames_ * page_size;
    if (physical >= limit) {
        return true;
    }
    const std::uint64_t end = physical + std::min(length, limit - physical);
    Range range;
    range.buffer = physical;
    range.buffer_length = static_cast<std::uint32_t>(std::min<std::uint64_t>(length, UINT32_MAX));
    range.owner = owner;
    range.role = role;
    for (std::uint64_t at = physical; at < end;) {
        const std::uint64_t frame = at / page_size;
        const std::uint64_t stop = std::min(end, (frame + 1) * page_size);
        range.begin = static_cast<std::uint16_t>(at % page_size);
        range.end = static_cast<std::uint16_t>(stop - frame * page_size);
        if (!add_piece(first, range, frame)) {
            return false;
        }
        at = stop;
    }
    return true;
}

bool Ranges::add_piece(std::uint32_t& first, const Range& range, std::uint64_t frame) {
    std::uint32_t index = free_;
    if (index != 0) {
        free_ = pool_[index].owner_next;
    } else if (pool_.size() <= most_) {
        index = static_cast<std::uint32_t>(pool_.size());
        pool_.emplace_back();
        frame_.emplace_back();
    } else {
        return false;
    }
    Range& piece = pool_[index];
    piece = range;
    frame_[index] = frame;
    piece.owner_next = first;
    if (first != 0) {
        pool_[first].owner_before = index;
    }
    first = index;
    piece.frame_next = heads_[frame];
    if (piece.frame_next != 0) {
        pool_[piece.frame_next].frame_before = index;
    }
    heads_[frame] = index;
    stores_.insert(frame * page_size);
    if (piece.role == BufferRole::from_device) {
        ++written_;
        loads_.insert(frame * page_size);
    }
    return true;
}

void Ranges::remove(std::uint32_t index, std::uint32_t& first) {
    const Range piece = pool_[index];
    const std::uint64_t frame = frame_[index];
    (piece.owner_before != 0 ? pool_[piece.owner_before].owner_next : first) = piece.owner_next;
    if (piece.owner_next != 0) {
        pool_[piece.owner_next].owner_before = piece.owner_before;
    }
    (piece.frame_before != 0 ? pool_[piece.frame_before].frame_next : heads_[frame]) = piece.frame_next;
    if (piece.frame_next != 0) {
        pool_[piece.frame_next].frame_before = piece.frame_before;
    }
    pool_[index] = {};
    pool_[index].owner_next = free_;
    free_ = index;
    if (heads_[frame] == 0) {
        stores_.erase(frame * page_size);
    }
    if (piece.role != BufferRole::from_device) {
        return;
    }
    --written_;
    std::uint32_t other = heads_[frame];
    while (other != 0 && pool_[other].role != BufferRole::from_device) {
        other = pool_[other].frame_next;
    }
    if (other == 0) {
        loads_.erase(frame * page_size);
    }
}

void Ranges::clear(std::uint32_t& first) {
    while (first != 0) {
        remove(first, first);
    }
}

}  // namespace pv::ownership
