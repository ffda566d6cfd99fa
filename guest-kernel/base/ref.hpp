// Shared ownership by a count inside the object: what files, directories and descriptors share.
// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/atomic.hpp"
#include "base/panic.hpp"

namespace pv {

/// Base of what is owned through Ref. Born with one owner, which Ref::adopt takes over.
class RefCounted {
  public:
    RefCounted(const RefCounted&) = delete;
    RefCounted& operator=(const RefCounted&) = delete;

    /// Any context. The caller owns one already.
    void add_owner() const { owners_.fetch_add(1, std::memory_order_relaxed); }

    /// For look-ups in tables that do not own what they list, under the lock that the object takes to leave
    /// the table: false when the last owner has gone, and the object is on its way out.
    [[nodiscard]] bool try_add_owner() const {
        std::uint32_t owners = owners_.load(std::memory_order_relaxed);
        while (owners != 0) {
            if (owners_.compare_exchange_weak(owners, owners + 1, std::memory_order_acquire)) {
                return true;
            }
        }
        return false;
    }

    /// Ends one owner's part; the last one ends the object. In the context the destructor needs.
    void drop_owner() const {
        const std::uint32_t before = owners_.fetch_sub(1, std::memory_order_acq_rel);
        PV_ASSERT(before != 0);
        if (before == 1) {
            const_cast<RefCounted*>(this)->end_of_life();
        }
    }

    /// How many own it at this moment; a hint where others run.
    [[nodiscard]] std::uint32_t owners() const { return owners_.load(std::memory_order_acquire); }

  protected:
    RefCounted() = default;
    virtual ~RefCounted() = default;

    /// The last owner has gone. Deletes, unless the object has another end.
    virtual void end_of_life() { delete this; }

  private:
    mutable Atomic<std::uint32_t> owners_{1};
};

/// One owner's part of a T. Copying makes one owner more. Not synchronised itself.
template <class T>
class Ref {
  public:
    Ref() = default;

    Ref(std::nullptr_t) {}  // NOLINT(google-explicit-constructor)

    /// One owner more.
    explicit Ref(T& object) : object_(&object) { object.add_owner(); }

    /// Takes over the part the caller has. nullptr gives an empty one.
    static Ref adopt(T* object) {
        Ref ref;
        ref.object_ = object;
        return ref;
    }

    Ref(const Ref& other) : object_(other.object_) {
        if (object_ != nullptr) {
            object_->add_owner();
        }
    }

    Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}

    template <class U>
        requires std::convertible_to<U*, T*>
    Ref(Ref<U> other) : object_(other.release()) {}  // NOLINT(google-explicit-constructor)

    Ref& operator=(Ref other) noexcept {
        std::swap(object_, other.object_);
        return *this;
    }

    ~Ref() {
        if (object_ != nullptr) {
            object_->drop_owner();
        }
    }

    /// Gives the part away: whoever takes it adopts it again.
    [[nodiscard]] T* release() { return std::exchange(object_, nullptr); }

    [[nodiscard]] T* get() const { return object_; }

    T& operator*() const { return *object_; }

    T* operator->() const { return object_; }

    explicit operator bool() const { return object_ != nullptr; }

    friend bool operator==(const Ref& a, const Ref& b) { return a.object_ == b.object_; }

    friend bool operator==(const Ref& a, std::nullptr_t) { return a.object_ == nullptr; }

  private:
    T* object_ = nullptr;
};

}  // namespace pv
