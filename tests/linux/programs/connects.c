/* Many connections, datagrams and what is left half done leave the guest's memory as it was.
 * usage: connects [ROUNDS]
 * SPDX-License-Identifier: MIT */
#include "free_pages.h"
#include "inet.h"

#include <signal.h>
#include <sys/wait.h>

static int listener;
static struct sockaddr_storage address;
static socklen_t size;

static int caller(int flags) {
    const int fd = socket(AF_INET, SOCK_STREAM | flags, 0);
    if (connect(fd, (struct sockaddr*)&address, size) != 0 && errno != EINPROGRESS) {
        say("connect", -1);
    }
    return fd;
}

static void closed(void) {
    const int fd = caller(0), accepted = accept(listener, NULL, NULL);
    close(fd);
    close(accepted);
}

static void with_data(void) {
    static char bytes[20000];
    const int fd = caller(0), accepted = accept(listener, NULL, NULL);
    (void)!write(fd, bytes, sizeof bytes);
    (void)!read(accepted, bytes, 100);
    (void)!write(accepted, bytes, sizeof bytes);
    close(accepted);
    close(fd);
}

static void not_accepted(void) {
    const int own = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_storage name;
    socklen_t length = loopback(AF_INET, 0, &name);
    bind(own, (struct sockaddr*)&name, length);
    listen(own, 4);
    length = loopback(AF_INET, bound_port(own), &name);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    connect(fd, (struct sockaddr*)&name, length);
    (void)!write(fd, "x", 1);
    close(own);
    close(fd);
}

static void refused(void) {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_storage name;
    const socklen_t length = loopback(AF_INET, 1, &name);
    if (connect(fd, (struct sockaddr*)&name, length) == 0) {
        printf("somebody listens at port 1\n");
    }
    close(fd);
}

static void datagrams(void) {
    const int one = socket(AF_INET, SOCK_DGRAM, 0), two = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_storage name;
    socklen_t length = loopback(AF_INET, 0, &name);
    bind(one, (struct sockaddr*)&name, length);
    length = loopback(AF_INET, bound_port(one), &name);
    for (int i = 0; i < 8; ++i) {
        sendto(two, &name, sizeof name, 0, (struct sockaddr*)&name, length);
    }
    close(one);
    close(two);
}

static void killed(void) {
    const int child = fork();
    if (child == 0) {
        const int fd = caller(0);
        (void)fd;
        pause();
    }
    const int accepted = accept(listener, NULL, NULL);
    kill(child, 9);
    wait(NULL);
    char c;
    (void)!read(accepted, &c, 1);
    close(accepted);
}

static void rounds(const char* what, void (*work)(void), int count) {
    for (int i = 0; i < count / 4 + 8; ++i) {
        work(); /* what is kept for the next one is there then */
    }
    /* What is left of them ends by itself. */
    long before = 0, after = 0, tries = 0;
    before = free_pages();
    for (int i = 0; i < count; ++i) {
        work();
    }
    do {
        after = free_pages();
    } while (after < before - 100 && ++tries < 400 && usleep(50000) == 0);
    printf("%s: %s\n", what, after >= before - 100 ? "as it was" : "memory is gone");
    if (after < before - 100) {
        printf("%ld pages\n", before - after);
    }
    fflush(stdout);
}

#ifndef COUNT
#define COUNT 1000
#endif

int main(int argc, char** argv) {
    const int count = argc > 1 ? atoi(argv[1]) : COUNT;
    listener = socket(AF_INET, SOCK_STREAM, 0);
    size = loopback(AF_INET, 0, &address);
    bind(listener, (struct sockaddr*)&address, size);
    listen(listener, 5);
    size = loopback(AF_INET, bound_port(listener), &address);
    rounds("closed", closed, count);
    rounds("with data", with_data, count);
    rounds("not accepted", not_accepted, count);
    rounds("refused", refused, count);
    rounds("datagrams", datagrams, count);
    rounds("killed", killed, count / 10);
    return 0;
}
