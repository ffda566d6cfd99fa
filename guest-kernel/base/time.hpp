// Spans and points of the kernel's monotonic clock, in nanoseconds, as types that do not mix with numbers.
// SPDX-License-Identifier: MIT
#pragma once

#include <compare>
#include <cstdint>
#include <limits>

namespace pv {

/// A span of time, 0 to 584 years. Arithmetic saturates at both ends: it never wraps.
class Duration {
  public:
    constexpr Duration() = default;

    static constexpr Duration nanoseconds(std::uint64_t n) { return Duration(n); }

    static constexpr Duration microseconds(std::uint64_t n) { return Duration(1'000) * n; }

    static constexpr Duration milliseconds(std::uint64_t n) { return Duration(1'000'000) * n; }

    static constexpr Duration seconds(std::uint64_t n) { return Duration(1'000'000'000) * n; }

    static constexpr Duration max() { return Duration(std::numeric_limits<std::uint64_t>::max()); }

    [[nodiscard]] constexpr std::uint64_t to_nanoseconds() const { return ns_; }

    [[nodiscard]] constexpr std::uint64_t to_microseconds() const { return ns_ / 1'000; }

    [[nodiscard]] constexpr std::uint64_t to_milliseconds() const { return ns_ / 1'000'000; }

    friend constexpr Duration operator+(Duration a, Duration b) {
        std::uint64_t sum = 0;
        return __builtin_add_overflow(a.ns_, b.ns_, &sum) ? max() : Duration(sum);
    }

    friend constexpr Duration operator-(Duration a, Duration b) {
        return a.ns_ > b.ns_ ? Duration(a.ns_ - b.ns_) : Duration();
    }

    friend constexpr Duration operator*(Duration a, std::uint64_t factor) {
        std::uint64_t product = 0;
        return __builtin_mul_overflow(a.ns_, factor, &product) ? max() : Duration(product);
    }

    /// `divisor` must not be 0.
    friend constexpr Duration operator/(Duration a, std::uint64_t divisor) {
        return Duration(a.ns_ / divisor);
    }

    friend constexpr auto operator<=>(Duration, Duration) = default;

  private:
    explicit constexpr Duration(std::uint64_t ns) : ns_(ns) {}

    std::uint64_t ns_ = 0;
};

/// A point of the monotonic clock: time since the clock was started at boot. Arithmetic saturates.
class Instant {
  public:
    constexpr Instant() = default;

    static constexpr Instant since_boot(Duration d) { return Instant(d); }

    static constexpr Instant max() { return Instant(Duration::max()); }

    [[nodiscard]] constexpr Duration since_boot() const { return d_; }

    friend constexpr Instant operator+(Instant a, Duration b) { return Instant(a.d_ + b); }

    friend constexpr Instant operator-(Instant a, Duration b) { return Instant(a.d_ - b); }

    /// Zero when `b` is later than `a`.
    friend constexpr Duration operator-(Instant a, Instant b) { return a.d_ - b.d_; }

    friend constexpr auto operator<=>(Instant, Instant) = default;

  private:
    explicit constexpr Instant(Duration d) : d_(d) {}

    Duration d_;
};

/// The monotonic clock. Any context, interrupts included. Zero until the clock is started at boot.
/// Kernel: arch/x86_64/clock.cpp. Hosted: hosted/clock.cpp, where a test can hold it still.
Instant now();

namespace literals {

consteval Duration operator""_ns(unsigned long long n) {
    return Duration::nanoseconds(n);
}

consteval Duration operator""_us(unsigned long long n) {
    return Duration::microseconds(n);
}

consteval Duration operator""_ms(unsigned long long n) {
    return Duration::milliseconds(n);
}

consteval Duration operator""_s(unsigned long long n) {
    return Duration::seconds(n);
}

}  // namespace literals

}  // namespace pv
