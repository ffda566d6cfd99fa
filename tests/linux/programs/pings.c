/* Echo sockets (icmp(7)). Linux leaves them to groups of its administrator's choice, so that this is compared
 * with what it says where they are allowed.
 *
 * SPDX-License-Identifier: MIT */
#include "inet.h"

#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>

struct echo {
    uint8_t type, code;
    uint16_t checksum, identifier, sequence;
    char data[24];
};

static int family;

static struct echo request(int sequence) {
    struct echo echo = {.type = family == AF_INET ? ICMP_ECHO : ICMP6_ECHO_REQUEST,
                        .identifier = 0x1234,
                        .sequence = htons((uint16_t)sequence)};
    memcpy(echo.data, "there and back", sizeof "there and back");
    return echo;
}

static long send_to(int fd, const void* bytes, size_t size) {
    struct sockaddr_storage to;
    const socklen_t length = loopback(family, 0, &to);
    return sendto(fd, bytes, size, 0, (struct sockaddr*)&to, length);
}

static int hops_of(struct msghdr* header) {
    for (struct cmsghdr* at = CMSG_FIRSTHDR(header); at != NULL; at = CMSG_NXTHDR(header, at)) {
        const int level = family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
        const int type = family == AF_INET ? IP_TTL : IPV6_HOPLIMIT;
        if (at->cmsg_level == level && at->cmsg_type == type) {
            int hops = 0;
            memcpy(&hops, CMSG_DATA(at), sizeof hops);
            return hops;
        }
    }
    return -1;
}

static void reply(const char* what, int fd) {
    struct echo echo;
    struct sockaddr_storage from;
    char control[64];
    struct iovec piece = {&echo, sizeof echo};
    struct msghdr header = {.msg_name = &from,
                            .msg_namelen = sizeof from,
                            .msg_iov = &piece,
                            .msg_iovlen = 1,
                            .msg_control = control,
                            .msg_controllen = sizeof control};
    say("ready", wait_for(fd, POLLIN));
    say(what, recvmsg(fd, &header, MSG_DONTWAIT));
    say("a reply", echo.type == (family == AF_INET ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY));
    say("to this", ntohs(echo.identifier) == bound_port(fd));
    say("which", ntohs(echo.sequence));
    say("with", strcmp(echo.data, "there and back"));
    say_address("from", &from, 0);
    const int hops = hops_of(&header);
    printf("hops: %d\n", hops);
}

static void one_family(int which) {
    family = which;
    const int protocol = family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6;
    say("the other's protocol",
        socket(family, SOCK_DGRAM, family == AF_INET ? IPPROTO_ICMPV6 : IPPROTO_ICMP));
    say("a stream", socket(family, SOCK_STREAM, protocol));
    const int fd = socket(family, SOCK_DGRAM, protocol);
    say_done("a socket", fd);
    struct echo echo = request(1);
    say("nowhere", send(fd, &echo, sizeof echo, 0));
    say("too short", send_to(fd, &echo, 7));
    echo.type = 3;
    say("something else", send_to(fd, &echo, sizeof echo));
    echo = request(7);
    say("nothing there", recv(fd, &echo, sizeof echo, MSG_DONTWAIT));
    say("sent", send_to(fd, &echo, sizeof echo));
    say("has an identifier", bound_port(fd) != 0);
    reply("received", fd);
    int on = 1;
    say("tell hops", family == AF_INET ? setsockopt(fd, IPPROTO_IP, IP_RECVTTL, &on, sizeof on)
                                       : setsockopt(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, &on, sizeof on));
    int hops = 9;
    say("fewer", family == AF_INET ? setsockopt(fd, IPPROTO_IP, IP_TTL, &hops, sizeof hops)
                                   : setsockopt(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &hops, sizeof hops));
    echo = request(8);
    say("sent again", send_to(fd, &echo, sizeof echo));
    reply("received again", fd);

    const int other = socket(family, SOCK_DGRAM, protocol);
    struct sockaddr_storage name;
    socklen_t length = loopback(family, 4711, &name);
    say("an identifier", bind(other, (struct sockaddr*)&name, length));
    say("which", bound_port(other));
    say("twice", bind(other, (struct sockaddr*)&name, length));
    length = loopback(family, 0, &name);
    say("connected", connect(other, (struct sockaddr*)&name, length));
    echo = request(9);
    say("to the peer", send(other, &echo, sizeof echo, 0));
    reply("from the peer", other);
    say("not for the first", recv(fd, &echo, sizeof echo, MSG_DONTWAIT));
    echo = request(10);
    say("the first sends", send_to(fd, &echo, sizeof echo));
    reply("not for the other", fd);
    close(other);
    close(fd);
}

int main(void) {
    printf("== four\n");
    one_family(AF_INET);
    printf("== six\n");
    one_family(AF_INET6);
    return 0;
}
