// Guest tests: functions found by name on the command line, in the test build of the kernel only.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace pv::acpi {
struct Tables;
}

namespace pv::boot {

struct GuestTest {
    const char* name;
    void (*run)();
};

/// Runs what `test=NAME,NAME` asks for; nothing when the option is not there. The status to power off with:
/// 0, or how many tests failed, at most 200. A test that is not linked in is a failure.
std::optional<std::uint32_t> run_tests_if_asked();
inline constexpr std::uint32_t no_tests_asked = 256;

/// Only in the test build: changes what the firmware's tables said before anybody believes it.
[[gnu::weak]] void alter_tables(acpi::Tables& tables);

/// Reports a failed expectation and lets the test go on.
void expectation_failed(std::string_view what, std::string_view file, unsigned line);

}  // namespace pv::boot

/// Defines a guest test called `name`. Only in tests/guest.
#define PV_GUEST_TEST(name)                                                                           \
    static void pv_guest_test_##name();                                                               \
    [[gnu::section(".pv_tests"), gnu::used]] static const ::pv::boot::GuestTest pv_test_entry_##name{ \
        #name, pv_guest_test_##name};                                                                 \
    static void pv_guest_test_##name()

#define PV_EXPECT(condition)                                                \
    do {                                                                    \
        if (!(condition)) {                                                 \
            ::pv::boot::expectation_failed(#condition, __FILE__, __LINE__); \
        }                                                                   \
    } while (0)
