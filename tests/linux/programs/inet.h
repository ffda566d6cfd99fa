/* What the tests of Internet sockets share: addresses of this machine, waiting for events instead of for
 * time.
 * SPDX-License-Identifier: MIT */
#ifndef INET_H
#define INET_H

#include "say.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum { patience = 20000 }; /* milliseconds; never used up where all is well */

/* The loopback address of a family. */
static inline socklen_t loopback(int family, int port, struct sockaddr_storage* out) {
    memset(out, 0, sizeof *out);
    if (family == AF_INET) {
        struct sockaddr_in* a = (struct sockaddr_in*)out;
        *a = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
        a->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return sizeof *a;
    }
    struct sockaddr_in6* a = (struct sockaddr_in6*)out;
    *a = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    a->sin6_addr = in6addr_loopback;
    return sizeof *a;
}

static inline int port_of(const struct sockaddr_storage* a) {
    return ntohs(a->ss_family == AF_INET ? ((const struct sockaddr_in*)a)->sin_port
                                         : ((const struct sockaddr_in6*)a)->sin6_port);
}

static inline int bound_port(int fd) {
    struct sockaddr_storage name;
    socklen_t length = sizeof name;
    return getsockname(fd, (struct sockaddr*)&name, &length) == 0 ? port_of(&name) : -1;
}

static inline void say_address(const char* what, const struct sockaddr_storage* a, int known_port) {
    char text[INET6_ADDRSTRLEN] = "?";
    const void* at = a->ss_family == AF_INET ? (const void*)&((const struct sockaddr_in*)a)->sin_addr
                                             : (const void*)&((const struct sockaddr_in6*)a)->sin6_addr;
    inet_ntop(a->ss_family, at, text, sizeof text);
    const int port = port_of(a);
    printf("%s: %s %s\n", what, text, port == 0 ? "0" : port == known_port ? "known" : "some");
    fflush(stdout);
}

/* Until one of `events` holds. */
static inline short wait_for(int fd, short events) {
    struct pollfd entry = {.fd = fd, .events = events};
    if (poll(&entry, 1, patience) == 0) {
        printf("waited in vain\n");
    }
    return entry.revents;
}

static inline short events_of(int fd) {
    struct pollfd entry = {.fd = fd, .events = POLLIN | POLLOUT | POLLRDHUP};
    poll(&entry, 1, 0);
    return entry.revents;
}

static inline void say_received(const char* what, int fd, size_t room, int flags) {
    char text[256] = "";
    const long count = recv(fd, text, room, flags);
    say(what, count);
    if (count > 0 && count <= (long)sizeof text) {
        printf("%.*s\n", (int)count, text);
        fflush(stdout);
    }
}

static inline int int_option(int fd, int level, int name) {
    int value = -77;
    socklen_t length = sizeof value;
    return getsockopt(fd, level, name, &value, &length) == 0 ? value : -1;
}

#endif
