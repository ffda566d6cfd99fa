// A growing array whose growth can fail: the kernel's std::vector.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

#include "base/panic.hpp"
#include "base/result.hpp"

namespace pv {

/// Move-only, owns its elements; elements move without failing. Not for interrupt context (it allocates).
template <class T>
    requires std::is_nothrow_move_constructible_v<T>

class Vector {
  public:
    Vector() = default;

    Vector(Vector&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)),
          size_(std::exchange(other.size_, 0)),
          capacity_(std::exchange(other.capacity_, 0)) {}

    Vector& operator=(Vector&& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        std::swap(capacity_, other.capacity_);
        return *this;
    }

    Vector(const Vector&) = delete;
    Vector& operator=(const Vector&) = delete;

    ~Vector() {
        clear();
        ::operator delete(data_, std::align_val_t{alignof(T)});
    }

    /// Error: out_of_memory; the vector is then as it was.
    Result<> push_back(T value) {
        PV_TRY(reserve(size_ + 1));
        std::construct_at(data_ + size_, std::move(value));
        ++size_;
        return {};
    }

    /// Room for `count` elements in all. Error: out_of_memory.
    Result<> reserve(std::size_t count) {
        if (count <= capacity_) {
            return {};
        }
        std::size_t capacity = capacity_ * 2 > count ? capacity_ * 2 : count;
        capacity = capacity < 4 ? 4 : capacity;
        std::size_t bytes = 0;
        if (__builtin_mul_overflow(capacity, sizeof(T), &bytes)) {
            return fail(Error::out_of_memory);
        }
        void* memory = ::operator new(bytes, std::align_val_t{alignof(T)}, std::nothrow);
        if (memory == nullptr) {
            return fail(Error::out_of_memory);
        }
        T* data = static_cast<T*>(memory);
        for (std::size_t i = 0; i < size_; ++i) {
            std::construct_at(data + i, std::move(data_[i]));
            std::destroy_at(data_ + i);
        }
        ::operator delete(data_, std::align_val_t{alignof(T)});
        data_ = data;
        capacity_ = capacity;
        return {};
    }

    void pop_back() {
        PV_ASSERT(size_ > 0);
        std::destroy_at(data_ + --size_);
    }

    void clear() {
        while (size_ > 0) {
            pop_back();
        }
    }

    [[nodiscard]] std::size_t size() const { return size_; }

    [[nodiscard]] bool empty() const { return size_ == 0; }

    T& operator[](std::size_t index) {
        PV_ASSERT(index < size_);
        return data_[index];
    }

    const T& operator[](std::size_t index) const {
        PV_ASSERT(index < size_);
        return data_[index];
    }

    T* begin() { return data_; }

    T* end() { return data_ + size_; }

    const T* begin() const { return data_; }

    const T* end() const { return data_ + size_; }

    operator std::span<T>() { return {data_, size_}; }  // NOLINT(google-explicit-constructor)

    operator std::span<const T>() const { return {data_, size_}; }  // NOLINT(google-explicit-constructor)

  private:
    T* data_ = nullptr;
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
};

}  // namespace pv
