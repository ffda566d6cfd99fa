// Interrupt vectors for devices: a handler, and the message a device sends to raise it.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>

#include "base/result.hpp"

namespace pv::interrupt {

/// What a device writes where to raise the interrupt (Intel SDM vol. 3, 11.11 "Message Signalled
/// Interrupts").
struct Message {
    std::uint64_t address = 0;
    std::uint32_t data = 0;
};

/// Runs with interrupts off on the interrupted thread's stack: short, no sleeping. The end of interrupt is
/// signalled after it returns, by the caller.
using Handler = void (*)(void* context);

/// Owns one vector. Destroying it waits for a running handler and lets go of `context`; the owner has masked
/// the source before.
class Vector {
  public:
    /// `name` is for messages and must live as long. Error: no_space (the CPU's vectors are used up).
    static Result<Vector> allocate(std::string_view name, Handler handler, void* context);

    Vector() = default;

    Vector(Vector&& other) noexcept : number_(std::exchange(other.number_, 0)) {}

    Vector& operator=(Vector&& other) noexcept {
        std::swap(number_, other.number_);
        return *this;
    }

    Vector(const Vector&) = delete;
    Vector& operator=(const Vector&) = delete;
    ~Vector();

    [[nodiscard]] bool valid() const { return number_ != 0; }

    [[nodiscard]] Message message() const;

    /// How often it was raised.
    [[nodiscard]] std::uint64_t count() const;

  private:
    explicit Vector(std::uint8_t number) : number_(number) {}

    std::uint8_t number_ = 0;
};

/// Interrupts on vectors nobody owns: counted, logged once a vector.
[[nodiscard]] std::uint64_t spurious_count();

/// Runs the handler of `number` and counts; for arch (and for tests, as the device).
void dispatch(std::uint8_t number);

}  // namespace pv::interrupt
