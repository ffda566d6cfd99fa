// How many threads wanted a processor lately.
// SPDX-License-Identifier: MIT
#include "task/load_average.hpp"

namespace pv::task {
namespace {

constexpr unsigned bits = 20;
constexpr std::uint64_t one = 1U << bits;
// exp(-5/60), exp(-5/300), exp(-5/900): what is left of a value after an interval.
constexpr std::array<std::uint64_t, 3> left{964'736, 1'031'245, 1'042'767};

// What is left after `intervals`.
std::uint64_t faded(std::uint64_t value, std::uint64_t factor, std::uint64_t intervals) {
    for (; intervals > 0 && value > 0; intervals >>= 1) {
        if ((intervals & 1) != 0) {
            value = value * factor >> bits;
        }
        factor = factor * factor >> bits;
    }
    return value;
}

}  // namespace

void LoadAverage::sample(Instant time, std::uint64_t wanting) {
    const std::uint64_t at = time.since_boot().to_nanoseconds();
    std::uint64_t due = due_.load(std::memory_order_relaxed);
    if (at < due) {
        return;
    }
    const std::uint64_t missed = (at - due) / interval.to_nanoseconds();
    if (!due_.compare_exchange_strong(due, due + (missed + 1) * interval.to_nanoseconds(),
                                      std::memory_order_relaxed)) {
        return;  // another processor does it
    }
    for (std::size_t i = 0; i < values_.size(); ++i) {
        const std::uint64_t before = faded(values_[i].load(std::memory_order_relaxed), left[i], missed);
        values_[i].store((before * left[i] + wanting * one * (one - left[i])) >> bits,
                         std::memory_order_relaxed);
    }
}

std::array<std::uint64_t, 3> LoadAverage::values(Instant time) const {
    const std::uint64_t at = time.since_boot().to_nanoseconds();
    const std::uint64_t due = due_.load(std::memory_order_relaxed);
    const std::uint64_t missed = at < due ? 0 : (at - due) / interval.to_nanoseconds();
    std::array<std::uint64_t, 3> values{};
    for (std::size_t i = 0; i < values.size(); ++i) {
        values[i] =
            faded(values_[i].load(std::memory_order_relaxed), left[i], missed) >> (bits - fraction_bits);
    }
    return values;
}

}  // namespace pv::task
