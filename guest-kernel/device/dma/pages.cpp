// Memory devices may be given: contiguous frames that are freed when the last holder lets go.
// SPDX-License-Identifier: MIT
#include "device/dma/pages.hpp"

#include <cstring>
#include <new>

#include "base/atomic.hpp"
#include "device/dma/bounce.hpp"
#include "memory/frames.hpp"

namespace pv::dma {

struct Pages::Block {
    memory::Frames frames;
    bounce::Slice slice{};  ///< of the pool, instead of frames
    Atomic<std::uint32_t> holders{1};
    Atomic<std::uint32_t> quarantined{0};
    Atomic<bool> leaked{false};
    Block* next = nullptr;  ///< once leaked

    ~Block() {
        if (!slice.bytes.empty()) {
            bounce::give_back(slice);
        }
    }
};

namespace {

/// What was given to nobody: kept where a debugger, or a leak checker, finds it.
constinit Atomic<Pages::Block*> all_leaked{nullptr};

}  // namespace

Result<Pages> Pages::allocate(std::size_t length) {
    memory::Frames frames = PV_TRY(memory::Frames::allocate_zeroed(length));
    auto* block = new (std::nothrow) Block{.frames = std::move(frames)};
    if (block == nullptr) {
        return fail(Error::out_of_memory);
    }
    return Pages{block};
}

Result<Pages> Pages::allocate_in_place(std::size_t length) {
    if (!bounce::active()) {
        return allocate(length);
    }
    const auto slice = bounce::take_lasting(length);
    if (!slice) {
        return allocate(length);
    }
    auto* block = new (std::nothrow) Block{.frames = {}, .slice = *slice};
    if (block == nullptr) {
        bounce::give_back(*slice);
        return fail(Error::out_of_memory);
    }
    std::memset(slice->bytes.data(), 0, slice->bytes.size());
    return Pages{block};
}

Pages::Pages(const Pages& other) : block_{other.block_} {
    if (block_ != nullptr) {
        block_->holders.fetch_add(1, std::memory_order_relaxed);
    }
}

Pages::~Pages() {
    // The last holder must see everything the others did before they let go.
    if (block_ != nullptr && block_->holders.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        delete block_;
    }
}

std::span<std::byte> Pages::bytes() const {
    if (block_ == nullptr) {
        return {};
    }
    return in_pool() ? block_->slice.bytes : block_->frames.bytes();
}

void Pages::leak() {
    Block* block = std::exchange(block_, nullptr);
    if (block == nullptr || block->leaked.exchange(true, std::memory_order_seq_cst)) {
        return;
    }
    block->next = all_leaked.load(std::memory_order_relaxed);
    while (!all_leaked.compare_exchange_weak(block->next, block, std::memory_order_release)) {
    }
}

PhysicalAddress Pages::physical() const {
    if (block_ == nullptr) {
        return {};
    }
    return in_pool() ? block_->slice.physical : block_->frames.address();
}

bool Pages::in_pool() const {
    return block_ != nullptr && !block_->slice.bytes.empty();
}

bool Pages::quarantined() const {
    return block_ != nullptr && block_->quarantined.load(std::memory_order_acquire) != 0;
}

void Pages::enter_quarantine() {
    block_->quarantined.fetch_add(1, std::memory_order_acq_rel);
}

void Pages::leave_quarantine() {
    block_->quarantined.fetch_sub(1, std::memory_order_acq_rel);
}

}  // namespace pv::dma
