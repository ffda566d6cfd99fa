// Makes the mistake its argument names, which a sanitizer must not let pass.
// SPDX-License-Identifier: MIT
#include <cstdlib>
#include <limits>
#include <string_view>
#include <thread>

int main(int argc, char** argv) {
    const std::string_view mistake = argc > 1 ? argv[1] : "";
    volatile int one = argc > 1 ? 1 : 0;  // volatile: the compiler must not see the mistake coming
    int* volatile numbers = static_cast<int*>(std::calloc(4, sizeof(int)));
    int result = 0;
    if (mistake == "heap-buffer-overflow") {
        result = numbers[3 + one];
    } else if (mistake == "heap-use-after-free") {
        std::free(numbers);
        result = numbers[one];
    } else if (mistake == "signed-integer-overflow") {
        result = std::numeric_limits<int>::max() + one;
    } else if (mistake == "data-race") {
        std::thread other{[numbers] { ++numbers[0]; }};
        ++numbers[0];
        other.join();
    }
    return result == 0 ? 0 : 1;
}
