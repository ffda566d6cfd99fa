/* The smallest program: one write, one status.
 * SPDX-License-Identifier: MIT */
#include "say.h"

int main(int argc, char** argv) {
    (void)argv;
    static const char text[] = "hello from user mode\n";
    if (write(1, text, sizeof text - 1) != (ssize_t)sizeof text - 1) {
        return 1;
    }
    return argc == 1 ? 42 : 43;
}
