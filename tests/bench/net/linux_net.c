/* The Linux side of the network benchmark, the least a program can do.
 * SPDX-License-Identifier: MIT
 *
 * usage: linux_net serve                               echo on UDP port 7, discard on TCP port 9, for ever
 *        linux_net stream ADDRESS BYTES                sends so much to TCP port 9, until all is acknowledged
 *        linux_net datagrams ADDRESS COUNT SIZE DEPTH  keeps DEPTH datagrams of SIZE bytes on their way to
 * UDP port 7 The last two print `bench: operations N nanoseconds T`. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static char buffer[65536];

static int die(const char* what) {
    printf("bench: %s: %s\n", what, strerror(errno));
    return 1;
}

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000U + (uint64_t)time.tv_nsec;
}

static struct sockaddr_in place(const char* address, uint16_t port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, address, &to.sin_addr);
    return to;
}

static int echo(void) {
    const struct sockaddr_in own = place("0.0.0.0", 7);
    const int udp = socket(AF_INET, SOCK_DGRAM, 0);
    if (udp < 0 || bind(udp, (const struct sockaddr*)&own, sizeof own) != 0) {
        return die("udp");
    }
    for (;;) {
        struct sockaddr_in from;
        socklen_t length = sizeof from;
        const ssize_t got = recvfrom(udp, buffer, sizeof buffer, 0, (struct sockaddr*)&from, &length);
        if (got < 0 || sendto(udp, buffer, (size_t)got, 0, (struct sockaddr*)&from, length) != got) {
            return die("echo");
        }
    }
}

static int discard(void) {
    const struct sockaddr_in own = place("0.0.0.0", 9);
    const int tcp = socket(AF_INET, SOCK_STREAM, 0);
    if (tcp < 0 || bind(tcp, (const struct sockaddr*)&own, sizeof own) != 0 || listen(tcp, 4) != 0) {
        return die("tcp");
    }
    for (;;) {
        const int peer = accept(tcp, NULL, NULL);
        while (peer >= 0 && read(peer, buffer, sizeof buffer) > 0) {
        }
        close(peer);
    }
}

static int stream(const char* address, uint64_t bytes, uint64_t* spent) {
    const struct sockaddr_in to = place(address, 9);
    const int tcp = socket(AF_INET, SOCK_STREAM, 0);
    if (tcp < 0 || connect(tcp, (const struct sockaddr*)&to, sizeof to) != 0) {
        return die("connect");
    }
    const uint64_t begun = now();
    for (uint64_t left = bytes; left > 0;) {
        const ssize_t sent = write(tcp, buffer, left < sizeof buffer ? left : sizeof buffer);
        if (sent <= 0) {
            return die("write");
        }
        left -= (uint64_t)sent;
    }
    shutdown(tcp, SHUT_WR);
    if (read(tcp, buffer, 1) != 0) {
        return die("end");
    }
    *spent = now() - begun;
    return 0;
}

static int datagrams(const char* address, uint64_t count, size_t size, uint64_t depth, uint64_t* spent) {
    const struct sockaddr_in to = place(address, 7);
    const int udp = socket(AF_INET, SOCK_DGRAM, 0);
    if (udp < 0 || connect(udp, (const struct sockaddr*)&to, sizeof to) != 0) {
        return die("connect");
    }
    const uint64_t begun = now();
    uint64_t answered = 0;
    uint64_t under_way = 0;
    while (answered < count) {
        for (; under_way < depth && answered + under_way < count; ++under_way) {
            if (send(udp, buffer, size, 0) != (ssize_t)size && errno != ECONNREFUSED) {
                return die("send");
            }
        }
        struct pollfd ready = {.fd = udp, .events = POLLIN};
        if (poll(&ready, 1, 200) == 0) {
            under_way = 0; /* lost: asked again */
        } else if (recv(udp, buffer, sizeof buffer, MSG_DONTWAIT) > 0) {
            ++answered;
            under_way -= under_way > 0;
        }
    }
    *spent = now() - begun;
    return 0;
}

int main(int argc, char** argv) {
    uint64_t spent = 0;
    uint64_t operations = 0;
    int failed = 1;
    setvbuf(stdout, NULL, _IONBF, 0);
    if (argc == 2 && strcmp(argv[1], "serve") == 0) {
        const pid_t other = fork();
        if (other == 0) {
            return discard();
        }
        printf("bench: serves\n");
        return other < 0 ? die("fork") : echo();
    }
    if (argc == 4 && strcmp(argv[1], "stream") == 0) {
        operations = strtoull(argv[3], NULL, 10);
        failed = stream(argv[2], operations, &spent);
    } else if (argc == 6 && strcmp(argv[1], "datagrams") == 0) {
        operations = strtoull(argv[3], NULL, 10);
        failed =
            datagrams(argv[2], operations, strtoull(argv[4], NULL, 10), strtoull(argv[5], NULL, 10), &spent);
    }
    if (!failed) {
        printf("bench: operations %llu nanoseconds %llu\n", (unsigned long long)operations,
               (unsigned long long)spent);
    }
    return failed;
}
