// Running guest tests by name.
// SPDX-License-Identifier: MIT
#include "boot/tests.hpp"

#include <algorithm>
#include <span>

#include "base/atomic.hpp"
#include "base/log.hpp"
#include "base/time.hpp"
#include "boot/options.hpp"

extern "C" {
extern const pv::boot::GuestTest pv_tests_start[], pv_tests_end[];
}

namespace pv::boot {
namespace {

constinit Atomic<std::uint32_t> failed_expectations{0};

constexpr std::uint32_t failures_max = 200;

// True when it passed.
bool run(std::string_view name) {
    const std::span tests(pv_tests_start, pv_tests_end);
    const auto test =
        std::find_if(tests.begin(), tests.end(), [&](const GuestTest& t) { return t.name == name; });
    if (test == tests.end()) {
        log::error("test {}: not in this kernel ({} tests)", name, tests.size());
        return false;
    }
    log::info("test {}: begins", name);
    const std::uint32_t failed_before = failed_expectations.load(std::memory_order_relaxed);
    const Instant begin = now();
    test->run();
    const bool passed = failed_expectations.load(std::memory_order_relaxed) == failed_before;
    log::info("test {}: {} after {}", name, passed ? "passed" : "failed", now() - begin);
    return passed;
}

}  // namespace

std::optional<std::uint32_t> run_tests_if_asked() {
    auto names = option("test");
    if (!names) {
        return std::nullopt;
    }
    std::uint32_t failed = 0;
    do {
        const std::size_t comma = names->find(',');
        failed += run(names->substr(0, comma)) ? 0U : 1U;
        names = comma == std::string_view::npos ? std::string_view{} : names->substr(comma + 1);
    } while (!names->empty());
    return std::min(failed, failures_max);
}

void expectation_failed(std::string_view what, std::string_view file, unsigned line) {
    failed_expectations.fetch_add(1, std::memory_order_relaxed);
    log::error("{}:{}: expected {}", file, line, what);
}

}  // namespace pv::boot
