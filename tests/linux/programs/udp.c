/* AF_INET and AF_INET6 datagrams on the machine itself, and what programs ask about interfaces.
 * SPDX-License-Identifier: MIT */
#include "inet.h"

#include <net/if.h>
#include <sys/epoll.h>
#include <sys/time.h>
#include <sys/wait.h>

static int bound(int family, struct sockaddr_storage* address, socklen_t* length) {
    const int fd = socket(family, SOCK_DGRAM, 0);
    *length = loopback(family, 0, address);
    if (bind(fd, (struct sockaddr*)address, *length) != 0) {
        say("bind", -1);
    }
    *length = loopback(family, bound_port(fd), address);
    return fd;
}

static void exchange(int family) {
    printf("-- datagrams of %s\n", family == AF_INET ? "IPv4" : "IPv6");
    struct sockaddr_storage address, other, from;
    socklen_t size, length = sizeof other;
    const int server = bound(family, &address, &size);
    const int client = socket(family, SOCK_DGRAM, 0);
    say("SO_TYPE", int_option(client, SOL_SOCKET, SO_TYPE));
    say("SO_PROTOCOL", int_option(client, SOL_SOCKET, SO_PROTOCOL));
    say("events of a fresh one", events_of(client));
    getsockname(client, (struct sockaddr*)&other, &length);
    say_address("its name", &other, 0);
    length = sizeof other;
    say("getpeername", getpeername(client, (struct sockaddr*)&other, &length));
    say("send to nobody", send(client, "x", 1, 0));
    say("listen", listen(client, 1));
    say("accept", accept(client, NULL, NULL));
    say("shutdown", shutdown(server, SHUT_WR + 5));
    say_received("nothing yet", server, 10, MSG_DONTWAIT);
    say("sendto", sendto(client, "first", 5, 0, (struct sockaddr*)&address, size));
    say("it has a port", bound_port(client) > 1023);
    say("bind then", bind(client, (struct sockaddr*)&address, size));
    say("events", wait_for(server, POLLIN));
    char text[128] = "";
    length = sizeof from;
    say("recvfrom", recvfrom(server, text, sizeof text, 0, (struct sockaddr*)&from, &length));
    say("length", length);
    say_address("from", &from, bound_port(client));
    say("back", sendto(server, "back", 4, 0, (struct sockaddr*)&from, length));
    wait_for(client, POLLIN);
    say_received("back", client, 10, 0);
    say("connect", connect(client, (struct sockaddr*)&address, size));
    length = sizeof other;
    say("getpeername", getpeername(client, (struct sockaddr*)&other, &length));
    say_address("peer", &other, port_of(&address));
    length = sizeof other;
    getsockname(client, (struct sockaddr*)&other, &length);
    say_address("name", &other, bound_port(client));
    say("send", send(client, "a longer one", 12, 0));
    say("empty", send(client, "", 0, 0));
    say("write", write(client, "third", 5));
    int count = -1;
    wait_for(server, POLLIN);
    say("FIONREAD", ioctl(server, FIONREAD, &count));
    say("of the first", count);
    say_received("peek", server, 4, MSG_PEEK);
    say_received("cut", server, 4, MSG_TRUNC);
    say("events", wait_for(server, POLLIN));
    say_received("empty", server, 10, 0);
    struct iovec pieces[2] = {{text, 2}, {text + 10, 2}};
    struct msghdr message = {
        .msg_name = &from, .msg_namelen = sizeof from, .msg_iov = pieces, .msg_iovlen = 2};
    wait_for(server, POLLIN);
    say("recvmsg", recvmsg(server, &message, 0));
    say("flags", message.msg_flags);
    say("name's length", message.msg_namelen);
    printf("%.2s|%.2s\n", text, text + 10);
    say_received("none", server, 10, MSG_DONTWAIT);
    /* Only the peer's are taken. */
    const int stranger = socket(family, SOCK_DGRAM, 0);
    loopback(family, bound_port(client), &other);
    say("a stranger's", sendto(stranger, "strange", 7, 0, (struct sockaddr*)&other, size));
    say("the peer's", sendto(server, "peer's", 6, 0, (struct sockaddr*)&other, size));
    wait_for(client, POLLIN);
    say_received("the peer's only", client, 10, 0);
    close(stranger);
    const struct sockaddr none = {.sa_family = AF_UNSPEC};
    say("disconnect", connect(client, &none, sizeof none));
    length = sizeof other;
    say("getpeername", getpeername(client, (struct sockaddr*)&other, &length));
    say("send", send(client, "x", 1, 0));
    say("sendto again", sendto(client, "again", 5, 0, (struct sockaddr*)&address, size));
    wait_for(server, POLLIN);
    say_received("again", server, 10, 0);
    close(client);
    close(server);
}

static void sizes(int family) {
    printf("-- sizes\n");
    struct sockaddr_storage address;
    socklen_t size;
    const int server = bound(family, &address, &size), client = socket(family, SOCK_DGRAM, 0);
    static char bytes[70000];
    for (size_t i = 0; i < sizeof bytes; ++i) {
        bytes[i] = (char)(i * 7);
    }
    if (family == AF_INET) {
        say("too long", sendto(client, bytes, 65508, 0, (struct sockaddr*)&address, size));
    }
    say("much too long", sendto(client, bytes, 70000, 0, (struct sockaddr*)&address, size));
    for (size_t length = 1; length <= 60000; length = length * 5 + 3) {
        say("sendto", sendto(client, bytes, length, 0, (struct sockaddr*)&address, size));
        static char back[70000];
        wait_for(server, POLLIN);
        memset(back, 0, sizeof back);
        say("recv", recv(server, back, sizeof back, 0));
        say("the same", memcmp(back, bytes, length) == 0);
    }
    close(client);
    close(server);
}

static void refused(int family) {
    printf("-- nobody there\n");
    struct sockaddr_storage address;
    socklen_t size;
    const int server = bound(family, &address, &size), client = socket(family, SOCK_DGRAM, 0);
    close(server);
    say("sendto, not connected", sendto(client, "x", 1, 0, (struct sockaddr*)&address, size));
    say_received("nothing is told", client, 10, MSG_DONTWAIT);
    say("connect", connect(client, (struct sockaddr*)&address, size));
    say("send", send(client, "x", 1, 0));
    say("told", wait_for(client, POLLIN) & POLLERR);
    say_received("recv", client, 10, 0);
    say_received("once", client, 10, MSG_DONTWAIT);
    say("send", send(client, "x", 1, 0));
    wait_for(client, POLLIN);
    say("the next send", send(client, "x", 1, 0));
    say("and the next", send(client, "x", 1, 0));
    wait_for(client, POLLIN);
    errno = int_option(client, SOL_SOCKET, SO_ERROR);
    say("SO_ERROR", -1);
    say("port 0", sendto(client, "x", 1, 0, (struct sockaddr*)&address, loopback(family, 0, &address)));
    close(client);
}

static void names(void) {
    printf("-- names\n");
    struct sockaddr_storage address;
    socklen_t size;
    const int one = bound(AF_INET, &address, &size), two = socket(AF_INET, SOCK_DGRAM, 0);
    const int on = 1;
    say("in use", bind(two, (struct sockaddr*)&address, size));
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = ((struct sockaddr_in*)&address)->sin_port};
    say("everywhere", bind(two, (struct sockaddr*)&any, sizeof any));
    setsockopt(two, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    say("one of them does not share", bind(two, (struct sockaddr*)&any, sizeof any));
    setsockopt(one, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    say("both share", bind(two, (struct sockaddr*)&any, sizeof any));
    close(two);
    close(one);
    const int five = socket(AF_INET, SOCK_DGRAM, 0), seven = socket(AF_INET, SOCK_DGRAM, 0);
    setsockopt(five, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    say("SO_REUSEPORT", int_option(five, SOL_SOCKET, SO_REUSEPORT));
    setsockopt(seven, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    say("one", bind(five, (struct sockaddr*)&address, size));
    say("and the other", bind(seven, (struct sockaddr*)&address, size));
    close(five);
    close(seven);
    const int three = socket(AF_INET, SOCK_DGRAM, 0);
    say("free again", bind(three, (struct sockaddr*)&address, size));
    ((struct sockaddr_in*)&address)->sin_addr.s_addr = htonl(0xc0000201);
    const int four = socket(AF_INET, SOCK_DGRAM, 0);
    say("another's address", bind(four, (struct sockaddr*)&address, size));
    address.ss_family = AF_INET6;
    say("another family", sendto(four, "x", 1, 0, (struct sockaddr*)&address, size));
    address.ss_family = AF_INET;
    say("too short", sendto(four, "x", 1, 0, (struct sockaddr*)&address, 7));
    ((struct sockaddr_in*)&address)->sin_addr.s_addr = htonl(INADDR_BROADCAST);
    say("shutdown of one without a peer", shutdown(three, SHUT_RD));
    close(four);
    close(three);
    const int six = socket(AF_INET6, SOCK_DGRAM, 0);
    struct sockaddr_in6 all = {.sin6_family = AF_INET6};
    say("bind", bind(six, (struct sockaddr*)&all, sizeof all));
    const int client = socket(AF_INET, SOCK_DGRAM, 0);
    say("IPv4 to IPv6", sendto(client, "four", 4, 0, (struct sockaddr*)&address,
                               loopback(AF_INET, bound_port(six), &address)));
    char text[16];
    struct sockaddr_storage from;
    socklen_t length = sizeof from;
    say("recvfrom", recvfrom(six, text, sizeof text, 0, (struct sockaddr*)&from, &length));
    say_address("from", &from, bound_port(client));
    say("answer", sendto(six, "six", 3, 0, (struct sockaddr*)&from, length));
    say_received("answer", client, 10, 0);
    close(client);
    close(six);
}

static void waiting(void) {
    printf("-- waiting\n");
    struct sockaddr_storage address;
    socklen_t size;
    const int server = bound(AF_INET, &address, &size), client = socket(AF_INET, SOCK_DGRAM, 0);
    if (fork() == 0) {
        usleep(30000);
        sendto(client, "late", 4, 0, (struct sockaddr*)&address, size);
        _exit(0);
    }
    say_received("late", server, 10, 0);
    wait(NULL);
    const struct timeval span = {.tv_usec = 20000};
    setsockopt(server, SOL_SOCKET, SO_RCVTIMEO, &span, sizeof span);
    say_received("in vain", server, 10, 0);
    const int events = epoll_create1(0);
    struct epoll_event entry = {.events = EPOLLIN}, found;
    say("epoll", epoll_ctl(events, EPOLL_CTL_ADD, server, &entry));
    say("nothing", epoll_wait(events, &found, 1, 0));
    sendto(client, "one", 3, 0, (struct sockaddr*)&address, size);
    say("something", epoll_wait(events, &found, 1, patience));
    say_received("one", server, 10, 0);
    /* Many at once. */
    struct iovec piece = {"many", 4};
    struct mmsghdr out[3] = {0}, in[4] = {0};
    char text[4][8];
    struct iovec pieces[4];
    for (int i = 0; i < 3; ++i) {
        out[i].msg_hdr =
            (struct msghdr){.msg_name = &address, .msg_namelen = size, .msg_iov = &piece, .msg_iovlen = 1};
    }
    for (int i = 0; i < 4; ++i) {
        pieces[i] = (struct iovec){text[i], 8};
        in[i].msg_hdr = (struct msghdr){.msg_iov = &pieces[i], .msg_iovlen = 1};
    }
    say("sendmmsg", sendmmsg(client, out, 3, 0));
    int count = 0;
    while (count < 3) {
        const int got = recvmmsg(server, in, 4, MSG_WAITFORONE, NULL);
        if (got <= 0) {
            break;
        }
        count += got;
    }
    say("recvmmsg", count);
    close(events);
    close(client);
    close(server);
}

static void interfaces(void) {
    printf("-- interfaces\n");
    const int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct ifreq request = {0};
    snprintf(request.ifr_name, sizeof request.ifr_name, "lo");
    say("SIOCGIFADDR", ioctl(fd, SIOCGIFADDR, &request));
    say("address", ntohl(((struct sockaddr_in*)&request.ifr_addr)->sin_addr.s_addr));
    say("SIOCGIFNETMASK", ioctl(fd, SIOCGIFNETMASK, &request));
    say("mask", ntohl(((struct sockaddr_in*)&request.ifr_addr)->sin_addr.s_addr));
    say("SIOCGIFFLAGS", ioctl(fd, SIOCGIFFLAGS, &request));
    say("flags", request.ifr_flags & (IFF_UP | IFF_RUNNING | IFF_LOOPBACK));
    say("SIOCGIFINDEX", ioctl(fd, SIOCGIFINDEX, &request));
    say("index", request.ifr_ifindex);
    say("SIOCGIFNAME", ioctl(fd, SIOCGIFNAME, &request));
    say("name", strcmp(request.ifr_name, "lo"));
    say("SIOCGIFHWADDR", ioctl(fd, SIOCGIFHWADDR, &request));
    say("kind", request.ifr_hwaddr.sa_family);
    snprintf(request.ifr_name, sizeof request.ifr_name, "nothing");
    say("no such", ioctl(fd, SIOCGIFADDR, &request));
    say("nowhere", ioctl(fd, SIOCGIFADDR, 8));
    struct ifreq list[32];
    struct ifconf all = {.ifc_len = sizeof list, .ifc_req = list};
    say("SIOCGIFCONF", ioctl(fd, SIOCGIFCONF, &all));
    int found = 0;
    for (int i = 0; i * (int)sizeof list[0] < all.ifc_len; ++i) {
        found += strcmp(list[i].ifr_name, "lo") == 0;
    }
    say("lo is there", found);
    all.ifc_len = sizeof list[0] - 1;
    say("no room", ioctl(fd, SIOCGIFCONF, &all));
    say("none told", all.ifc_len);
    all.ifc_req = (struct ifreq*)8;
    all.ifc_len = sizeof list;
    say("to nowhere", ioctl(fd, SIOCGIFCONF, &all));
    say("if_nametoindex", (long)if_nametoindex("lo"));
    say("no such request", ioctl(fd, 0x8999, &request));
    close(fd);
}

/* Sends to a socket with a wish where from, and tells how that came. */
static void say_arrival(const char* what, int from, int to, const struct sockaddr_storage* name,
                        socklen_t size, int level, int type, const void* info, size_t length) {
    char room[128] = "", byte = 'x', text[INET6_ADDRSTRLEN] = "?";
    struct iovec piece = {&byte, 1};
    struct msghdr message = {
        .msg_name = (void*)(uintptr_t)name, .msg_namelen = size, .msg_iov = &piece, .msg_iovlen = 1};
    if (info != NULL) {
        struct cmsghdr* header = (struct cmsghdr*)room;
        *header = (struct cmsghdr){.cmsg_len = CMSG_LEN(length), .cmsg_level = level, .cmsg_type = type};
        memcpy(CMSG_DATA(header), info, length);
        message.msg_control = room;
        message.msg_controllen = CMSG_SPACE(length);
    }
    say(what, sendmsg(from, &message, 0));
    struct sockaddr_storage source;
    message = (struct msghdr){.msg_name = &source,
                              .msg_namelen = sizeof source,
                              .msg_iov = &piece,
                              .msg_iovlen = 1,
                              .msg_control = room,
                              .msg_controllen = sizeof room};
    struct pollfd entry = {.fd = to, .events = POLLIN};
    if (poll(&entry, 1, info == NULL ? patience : 100) != 1 || recvmsg(to, &message, 0) != 1) {
        say("nothing came", 0);
        return;
    }
    say_address("from", &source, bound_port(from));
    for (struct cmsghdr* at = CMSG_FIRSTHDR(&message); at != NULL; at = CMSG_NXTHDR(&message, at)) {
        printf("level %d, type %d, %zu bytes\n", at->cmsg_level, at->cmsg_type, (size_t)at->cmsg_len);
        if (at->cmsg_level == IPPROTO_IP && at->cmsg_type == IP_PKTINFO) {
            const struct in_pktinfo* told = (const struct in_pktinfo*)CMSG_DATA(at);
            say("interface", told->ipi_ifindex);
            printf("to %s\n", inet_ntop(AF_INET, &told->ipi_addr, text, sizeof text));
            printf("at %s\n", inet_ntop(AF_INET, &told->ipi_spec_dst, text, sizeof text));
        } else if (at->cmsg_level == IPPROTO_IPV6 && at->cmsg_type == IPV6_PKTINFO) {
            const struct in6_pktinfo* told = (const struct in6_pktinfo*)CMSG_DATA(at);
            say("interface", told->ipi6_ifindex);
            printf("to %s\n", inet_ntop(AF_INET6, &told->ipi6_addr, text, sizeof text));
        }
    }
    say("flags", message.msg_flags);
}

/* IP_PKTINFO, IPV6_PKTINFO: where datagrams came to, and where they say they come from. */
static void arrivals(void) {
    printf("-- arrivals\n");
    const int v4 = socket(AF_INET, SOCK_DGRAM, 0), sender = socket(AF_INET, SOCK_DGRAM, 0);
    const int v6 = socket(AF_INET6, SOCK_DGRAM, 0), sender6 = socket(AF_INET6, SOCK_DGRAM, 0);
    const int on = 1, off = 0;
    struct sockaddr_storage name, name6, mapped;
    const struct sockaddr_in any = {.sin_family = AF_INET};
    const struct sockaddr_in6 any6 = {.sin6_family = AF_INET6};
    bind(v4, (const struct sockaddr*)&any, sizeof any);
    bind(v6, (const struct sockaddr*)&any6, sizeof any6);
    bind(sender, (const struct sockaddr*)&any, sizeof any);
    bind(sender6, (const struct sockaddr*)&any6, sizeof any6);
    const socklen_t size = loopback(AF_INET, bound_port(v4), &name),
                    size6 = loopback(AF_INET6, bound_port(v6), &name6);
    loopback(AF_INET, bound_port(v6), &mapped);
    say("IP_PKTINFO", int_option(v4, IPPROTO_IP, IP_PKTINFO));
    say("set", setsockopt(v4, IPPROTO_IP, IP_PKTINFO, &on, sizeof on));
    say("IP_PKTINFO", int_option(v4, IPPROTO_IP, IP_PKTINFO));
    say("IPV6_RECVPKTINFO", int_option(v6, IPPROTO_IPV6, IPV6_RECVPKTINFO));
    say("set", setsockopt(v6, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on));
    say("IPV6_RECVPKTINFO", int_option(v6, IPPROTO_IPV6, IPV6_RECVPKTINFO));
    say_arrival("plain", sender, v4, &name, size, 0, 0, NULL, 0);
    setsockopt(v4, IPPROTO_IP, IP_RECVTTL, &on, sizeof on);
    say_arrival("with its hops", sender, v4, &name, size, 0, 0, NULL, 0);
    setsockopt(v4, IPPROTO_IP, IP_RECVTTL, &off, sizeof off);
    say_arrival("IPv6", sender6, v6, &name6, size6, 0, 0, NULL, 0);
    say_arrival("IPv4 to IPv6", sender, v6, &mapped, size, 0, 0, NULL, 0);
    struct in_pktinfo info = {.ipi_spec_dst.s_addr = htonl(INADDR_LOOPBACK + 4)};
    say_arrival("from another", sender, v4, &name, size, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
    info.ipi_ifindex = 1;
    say_arrival("by the loopback", sender, v4, &name, size, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
    info.ipi_spec_dst.s_addr = 0;
    say_arrival("from any", sender, v4, &name, size, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
    say_arrival("too short", sender, v4, &name, size, IPPROTO_IP, IP_PKTINFO, &info, 4);
    info = (struct in_pktinfo){.ipi_spec_dst.s_addr = htonl(0x08080808)};
    say_arrival("from a stranger", sender, v4, &name, size, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
    struct in6_pktinfo info6 = {.ipi6_addr = in6addr_loopback};
    say_arrival("IPv6 from itself", sender6, v6, &name6, size6, IPPROTO_IPV6, IPV6_PKTINFO, &info6,
                sizeof info6);
    info6.ipi6_addr.s6_addr[3] = 7;
    say_arrival("IPv6 from a stranger", sender6, v6, &name6, size6, IPPROTO_IPV6, IPV6_PKTINFO, &info6,
                sizeof info6);
    say_arrival("IPv6 too short", sender6, v6, &name6, size6, IPPROTO_IPV6, IPV6_PKTINFO, &info6, 4);
    say("off", setsockopt(v4, IPPROTO_IP, IP_PKTINFO, &off, sizeof off));
    say_arrival("nobody asks", sender, v4, &name, size, 0, 0, NULL, 0);
    close(v4);
    close(v6);
    close(sender);
    close(sender6);
}

int main(void) {
    exchange(AF_INET);
    exchange(AF_INET6);
    sizes(AF_INET);
    sizes(AF_INET6);
    refused(AF_INET);
    refused(AF_INET6);
    names();
    waiting();
    interfaces();
    arrivals();
    return 0;
}
