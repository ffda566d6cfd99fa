/* What a debugger is asked about: a call chain, a thread, a signal, an end with a status.
 * SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>

static volatile int total;

static int add(int number) {
    total += number;
    return total;
}

static int twice(int number) {
    const int first = add(number);
    return add(first);
}

static void* other(void* unused) {
    add(1000);
    return unused;
}

int main(void) {
    pthread_t thread;
    for (int i = 1; i <= 3; ++i) {
        printf("%d\n", twice(i));
    }
    pthread_create(&thread, NULL, other, NULL);
    pthread_join(thread, NULL);
    raise(SIGUSR1);
    printf("total %d\n", total);
    return 5;
}
