/* Runs for ever with a base of %gs that looks like the kernel's own: an interrupt at any moment must not
 * believe it.
 *
 * SPDX-License-Identifier: MIT */
#include "say.h"

#include <asm/hwcap2.h>
#include <sys/auxv.h>

int main(void) {
    if ((getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE) == 0) {
        say("astray", -1);
        return 1;
    }
    __asm__ volatile("wrgsbase %0" ::"r"(0xffff800000001000));
    say("astray", 0);
    while (1) {
        __asm__ volatile("pause");
    }
}
