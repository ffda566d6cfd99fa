// The functions of C's library that lwIP calls and this kernel has no other use for.
// SPDX-License-Identifier: MIT
#if !PV_HOSTED

#include <cstddef>

extern "C" {

int strncmp(const char* a, const char* b, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
        if (a[i] != b[i] || a[i] == '\0') {
            return static_cast<unsigned char>(a[i]) - static_cast<unsigned char>(b[i]);
        }
    }
    return 0;
}

int strcmp(const char* a, const char* b) {
    while (*a != '\0' && *a == *b) {
        ++a;
        ++b;
    }
    return static_cast<unsigned char>(*a) - static_cast<unsigned char>(*b);
}

/// Decimal, no sign, no blanks: what lwIP reads at the end of an interface's name.
long strtol(const char* text, char** end, int) {
    constexpr long most = 1'000'000;
    long value = 0;
    while (*text >= '0' && *text <= '9' && value < most) {
        value = value * 10 + (*text++ - '0');
    }
    if (end != nullptr) {
        *end = const_cast<char*>(text);
    }
    return value;
}
}

#endif
