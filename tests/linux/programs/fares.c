/* How TCP connections fare (TCP_INFO): what both kernels know of one.
 *
 * SPDX-License-Identifier: MIT */
#include "inet.h"

#include <stddef.h>

static void say_info(const char* what, int fd) {
    struct tcp_info info;
    memset(&info, 0x55, sizeof info);
    socklen_t length = sizeof info;
    printf("-- %s\n", what);
    say("asked", getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length));
    say("as far as retransmissions", length >= offsetof(struct tcp_info, tcpi_total_retrans) + 4);
    say("state", info.tcpi_state);
    say("retransmitted", info.tcpi_total_retrans);
    if (info.tcpi_state == TCP_ESTABLISHED) {
        say("a timeout", info.tcpi_rto >= 200000 && info.tcpi_rto < 10000000);
        say("segments", info.tcpi_snd_mss >= 536 && info.tcpi_snd_cwnd >= 1 && info.tcpi_snd_cwnd < 1000000);
        say("a round trip", info.tcpi_rtt < 10000000);
    }
}

/* What was written just before a reset comes before it. */
static void cut_off(int listener, const struct sockaddr_storage* name, socklen_t size) {
    int whole = 0, resets = 0, ends = 0;
    for (int i = 0; i < 100; ++i) {
        const int fd = socket(AF_INET, SOCK_STREAM, 0);
        connect(fd, (const struct sockaddr*)name, size);
        const int accepted = accept(listener, NULL, NULL);
        const struct linger none = {.l_onoff = 1, .l_linger = 0};
        setsockopt(accepted, SOL_SOCKET, SO_LINGER, &none, sizeof none);
        char bytes[1000] = {0};
        (void)!write(accepted, bytes, sizeof bytes);
        close(accepted);
        struct pollfd entry = {.fd = fd};
        poll(&entry, 1, patience); /* until it hung up */
        whole += read(fd, bytes, sizeof bytes) == sizeof bytes;
        resets += read(fd, bytes, sizeof bytes) == -1 && errno == ECONNRESET;
        ends += read(fd, bytes, sizeof bytes) == 0;
        close(fd);
    }
    say("came whole", whole);
    say("resets behind it", resets);
    say("ends behind those", ends);
}

int main(void) {
    const int listener = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);
    say_info("unconnected", fd);
    struct sockaddr_storage name;
    socklen_t size = loopback(AF_INET, 0, &name);
    say("bound", bind(listener, (struct sockaddr*)&name, size));
    say("listening", listen(listener, 4));
    say_info("a listener", listener);
    size = loopback(AF_INET, bound_port(listener), &name);
    say("connected", connect(fd, (struct sockaddr*)&name, size));
    const int accepted = accept(listener, NULL, NULL);
    char bytes[1000] = {0};
    for (int i = 0; i < 20; ++i) {
        (void)!write(fd, bytes, sizeof bytes);
        wait_for(accepted, POLLIN);
        (void)!read(accepted, bytes, sizeof bytes);
    }
    say_info("a connection", fd);
    say_info("its other end", accepted);
    struct tcp_info info;
    memset(&info, 0x55, sizeof info);
    socklen_t length = 5;
    say("five bytes of it", getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length));
    say("length", length);
    say("state", info.tcpi_state);
    say("no more", info.tcpi_options == 0x55);
    length = sizeof info;
    say("from nowhere", getsockopt(fd, IPPROTO_TCP, TCP_INFO, (void*)8, &length));
    say("not to be set", setsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, sizeof info));
    close(accepted);
    wait_for(fd, POLLIN);
    say_info("the other end closed", fd);
    cut_off(listener, &name, size);
    return 0;
}
