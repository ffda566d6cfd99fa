// Atomics of which every operation says in what order others see it.
// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <concepts>
#include <cstddef>
#include <type_traits>

namespace pv {

/// std::atomic without what leaves the order out: no defaults, no conversions, no operators (house.orders
/// shows that those do not compile, house.rules that std::atomic itself is used nowhere else in the kernel).
/// Any context.
template <class T>
class Atomic {
  public:
    using Order = std::memory_order;

    static constexpr bool is_always_lock_free = std::atomic<T>::is_always_lock_free;

    constexpr Atomic() = default;

    constexpr Atomic(T value)
        : value_(value) {}  // NOLINT(google-explicit-constructor): as arrays of them begin

    Atomic(const Atomic&) = delete;
    Atomic& operator=(const Atomic&) = delete;
    Atomic& operator=(T) = delete;

    [[nodiscard]] T load(Order order) const { return value_.load(order); }

    void store(T value, Order order) { value_.store(value, order); }

    T exchange(T value, Order order) { return value_.exchange(value, order); }

    /// `expected` becomes what is there where it is something else; then nothing is stored. The weak one may
    /// fail without a reason.
    bool compare_exchange_weak(T& expected, T value, Order order) {
        return value_.compare_exchange_weak(expected, value, order);
    }

    bool compare_exchange_weak(T& expected, T value, Order order, Order otherwise) {
        return value_.compare_exchange_weak(expected, value, order, otherwise);
    }

    bool compare_exchange_strong(T& expected, T value, Order order) {
        return value_.compare_exchange_strong(expected, value, order);
    }

    bool compare_exchange_strong(T& expected, T value, Order order, Order otherwise) {
        return value_.compare_exchange_strong(expected, value, order, otherwise);
    }

    T fetch_add(T value, Order order)
        requires std::integral<T>
    {
        return value_.fetch_add(value, order);
    }

    T fetch_sub(T value, Order order)
        requires std::integral<T>
    {
        return value_.fetch_sub(value, order);
    }

    T fetch_and(T value, Order order)
        requires std::integral<T>
    {
        return value_.fetch_and(value, order);
    }

    T fetch_or(T value, Order order)
        requires std::integral<T>
    {
        return value_.fetch_or(value, order);
    }

  private:
    std::atomic<T> value_{};
};

/// The same for a variable that is not atomic by its type: what a device or another view of the memory
/// shares.
template <class T>
class AtomicRef {
  public:
    using Order = std::memory_order;

    explicit AtomicRef(T& object) : object_(object) {}

    [[nodiscard]] T load(Order order) const { return object_.load(order); }

    void store(T value, Order order) const { object_.store(value, order); }

    T exchange(T value, Order order) const { return object_.exchange(value, order); }

    bool compare_exchange_strong(T& expected, T value, Order order) const {
        return object_.compare_exchange_strong(expected, value, order);
    }

    T fetch_add(T value, Order order) const
        requires std::integral<T>
    {
        return object_.fetch_add(value, order);
    }

    /// Of a pointer, by elements.
    T fetch_add(std::ptrdiff_t count, Order order) const
        requires std::is_pointer_v<T>
    {
        return object_.fetch_add(count, order);
    }

  private:
    std::atomic_ref<T> object_;
};

}  // namespace pv
