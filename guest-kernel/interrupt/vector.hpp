// Interrupt vectors for devices: a handler, and the message a device sends to raise it.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>

#include "base/function_ref.hpp"
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

/// For allocate: whichever CPU has the fewest vectors.
inline constexpr unsigned any_cpu = ~0U;

/// Owns one vector of one CPU: the pair, so that each CPU has all of its own. Destroying it waits, 10 s at
/// most, for a handler that runs on another CPU, and lets go of `context`; the owner has masked the source
/// before and is not the handler itself, nor holds a lock that the handler takes.
class Vector {
  public:
    /// The handler runs on `cpu` (below arch::cpu_count(), or any_cpu). `name` is for messages and must live
    /// as long. Errors: no_space (the CPU's vectors are used up), invalid_argument (no such CPU, or one that
    /// devices cannot reach).
    static Result<Vector> allocate(std::string_view name, Handler handler, void* context,
                                   unsigned cpu = any_cpu);

    Vector() = default;

    Vector(Vector&& other) noexcept : cpu_(other.cpu_), number_(std::exchange(other.number_, 0)) {}

    Vector& operator=(Vector&& other) noexcept {
        std::swap(cpu_, other.cpu_);
        std::swap(number_, other.number_);
        return *this;
    }

    Vector(const Vector&) = delete;
    Vector& operator=(const Vector&) = delete;
    ~Vector();

    [[nodiscard]] bool valid() const { return number_ != 0; }

    /// What to program into the device. Valid vectors only.
    [[nodiscard]] Message message() const;

    /// Where the handler runs.
    [[nodiscard]] unsigned cpu() const { return cpu_; }

    /// How often it was raised.
    [[nodiscard]] std::uint64_t count() const;

  private:
    Vector(unsigned cpu, std::uint8_t number) : cpu_(cpu), number_(number) {}

    unsigned cpu_ = 0;
    std::uint8_t number_ = 0;
};

/// A vector somebody owns, for people.
struct VectorFacts {
    unsigned cpu = 0;
    unsigned number = 0;
    std::string_view name{};  ///< as given to allocate
    std::uint64_t count = 0;
};

/// Calls `each` for all vectors that have an owner, without a lock. Any context that may take spinlocks.
void for_each_vector(FunctionRef<void(const VectorFacts&)> each);

/// Interrupts on vectors nobody owns: counted, logged once a vector.
[[nodiscard]] std::uint64_t spurious_count();

}  // namespace pv::interrupt
