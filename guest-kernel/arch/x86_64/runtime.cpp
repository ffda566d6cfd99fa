// The functions a compiler and the standard headers call without being asked.
// SPDX-License-Identifier: MIT
#include <cstddef>
#include <cstdint>
#include <new>

#include "base/panic.hpp"

extern "C" {

void* memcpy(void* __restrict to, const void* __restrict from, std::size_t n) {
    void* at = to;
    // Words first: as good as bytes on a processor, and an eighth of the steps where each is emulated.
    std::size_t words = n / 8;
    std::size_t rest = n % 8;
    __asm__ volatile("rep movsq" : "+D"(at), "+S"(from), "+c"(words)::"memory");
    __asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(rest)::"memory");
    return to;
}

void* memset(void* to, int value, std::size_t n) {
    void* at = to;
    std::size_t words = n / 8;
    std::size_t rest = n % 8;
    const std::uint64_t pattern = static_cast<unsigned char>(value) * 0x0101'0101'0101'0101ULL;
    __asm__ volatile("rep stosq" : "+D"(at), "+c"(words) : "a"(pattern) : "memory");
    __asm__ volatile("rep stosb" : "+D"(at), "+c"(rest) : "a"(pattern) : "memory");
    return to;
}

void* memmove(void* to, const void* from, std::size_t n) {
    auto* t = static_cast<unsigned char*>(to);
    const auto* f = static_cast<const unsigned char*>(from);
    if (reinterpret_cast<std::uintptr_t>(t) - reinterpret_cast<std::uintptr_t>(f) >= n) {
        return memcpy(to, from, n);
    }
    while (n-- > 0) {
        t[n] = f[n];
    }
    return to;
}

int memcmp(const void* a, const void* b, std::size_t n) {
    const auto* x = static_cast<const unsigned char*>(a);
    const auto* y = static_cast<const unsigned char*>(b);
    for (std::size_t i = 0; i < n; ++i) {
        if (x[i] != y[i]) {
            return x[i] < y[i] ? -1 : 1;
        }
    }
    return 0;
}

const void* memchr(const void* memory, int value, std::size_t n) {
    const auto* p = static_cast<const unsigned char*>(memory);
    for (std::size_t i = 0; i < n; ++i) {
        if (p[i] == static_cast<unsigned char>(value)) {
            return p + i;
        }
    }
    return nullptr;
}

std::size_t strlen(const char* text) {
    std::size_t n = 0;
    while (text[n] != '\0') {
        ++n;
    }
    return n;
}

// libgcc's name for std::popcount without the instruction: libgcc itself is built with a red zone.
int __popcountdi2(long value) {
    auto bits = static_cast<std::uint64_t>(value);
    int count = 0;
    for (; bits != 0; bits &= bits - 1) {
        ++count;
    }
    return count;
}

[[noreturn]] void abort() {
    pv::panic("abort");
}

[[noreturn]] void __cxa_pure_virtual() {
    pv::panic("call of a pure virtual function");
}

[[noreturn]] void __assert_fail(const char* condition, const char* file, unsigned line, const char*) {
    pv::panic("broken invariant: {} ({}:{})", condition, file, line);
}
}

// What the standard library's checked operations end in (_GLIBCXX_ASSERTIONS is on in the kernel).
namespace std {

const nothrow_t nothrow{};

[[noreturn]] void __glibcxx_assert_fail(const char* file, int line, const char*,
                                        const char* condition) noexcept {
    pv::panic("broken invariant: {} ({}:{})", condition == nullptr ? "unreachable" : condition, file, line);
}

[[noreturn]] void __throw_out_of_range_fmt(const char* text, ...) {
    pv::panic("out of range: {}", text);
}

[[noreturn]] void __throw_bad_function_call() {
    pv::panic("call of an empty function");
}

}  // namespace std
