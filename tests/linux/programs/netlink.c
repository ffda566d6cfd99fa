/* AF_NETLINK: what programs ask about links and addresses, of the loopback interface, which every machine
 * has.
 * SPDX-License-Identifier: MIT */
#include "say.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>

static int make(void) {
    return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
}

struct request {
    struct nlmsghdr header;

    union {
        struct ifinfomsg link;
        struct rtgenmsg any;
    } body;
};

static struct request request_of(uint16_t type, uint16_t flags) {
    struct request request;
    memset(&request, 0, sizeof request);
    request.header.nlmsg_len = sizeof request;
    request.header.nlmsg_type = type;
    request.header.nlmsg_flags = NLM_F_REQUEST | flags;
    request.header.nlmsg_seq = 42;
    return request;
}

static void lone(int fd, const char* what, const struct request* request) {
    char room[8192];
    const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    if (sendto(fd, request, request->header.nlmsg_len, 0, (const struct sockaddr*)&kernel, sizeof kernel) <
        0) {
        say(what, -1);
        return;
    }
    const ssize_t length = recv(fd, room, sizeof room, MSG_DONTWAIT);
    if (length < 0) {
        say(what, -1);
        return;
    }
    const struct nlmsghdr* header = (const struct nlmsghdr*)room;
    if (header->nlmsg_type == NLMSG_ERROR) {
        const struct nlmsgerr* error = NLMSG_DATA(header);
        printf("%s: error %s, of %d, flags %x\n", what,
               error->error == 0 ? "0" : strerrorname_np(-error->error), error->msg.nlmsg_type,
               header->nlmsg_flags & ~NLM_F_CAPPED);
    } else {
        printf("%s: %d, number %u\n", what, header->nlmsg_type, header->nlmsg_seq);
    }
}

static void say_attribute(const struct rtattr* attribute, int type) {
    char text[INET6_ADDRSTRLEN];
    if (type == RTM_NEWLINK && attribute->rta_type == IFLA_IFNAME) {
        printf(" name %s", (const char*)RTA_DATA(attribute));
    } else if (type == RTM_NEWLINK && attribute->rta_type == IFLA_ADDRESS) {
        printf(" hardware %d", (int)RTA_PAYLOAD(attribute));
    } else if (type == RTM_NEWADDR && attribute->rta_type == IFA_LOCAL) {
        printf(" local %s", inet_ntop(AF_INET, RTA_DATA(attribute), text, sizeof text));
    } else if (type == RTM_NEWADDR && attribute->rta_type == IFA_LABEL) {
        printf(" label %s", (const char*)RTA_DATA(attribute));
    }
}

static void list(int fd, const char* what, uint16_t type, unsigned char family) {
    struct request request = request_of(type, NLM_F_DUMP);
    request.body.any.rtgen_family = family;
    say(what, send(fd, &request, sizeof request, 0) == sizeof request);
    struct pollfd entry = {.fd = fd, .events = POLLIN};
    say("poll", poll(&entry, 1, 5000));
    for (;;) {
        char room[16384];
        const ssize_t peeked = recv(fd, NULL, 0, MSG_PEEK | MSG_TRUNC);
        struct sockaddr_nl from;
        socklen_t from_length = sizeof from;
        ssize_t length = recvfrom(fd, room, sizeof room, 0, (struct sockaddr*)&from, &from_length);
        if (length <= 0 || peeked != length || from.nl_pid != 0 || from_length != sizeof from) {
            say("wrong", length);
            return;
        }
        for (const struct nlmsghdr* header = (const struct nlmsghdr*)room; NLMSG_OK(header, length);
             header = NLMSG_NEXT(header, length)) {
            if (header->nlmsg_type == NLMSG_DONE) {
                printf("done, number %u, many %d\n", header->nlmsg_seq,
                       (header->nlmsg_flags & NLM_F_MULTI) != 0);
                return;
            }
            const struct ifinfomsg* link = NLMSG_DATA(header);
            const struct ifaddrmsg* address = NLMSG_DATA(header);
            long left = 0;
            const struct rtattr* attribute = NULL;
            if (header->nlmsg_type == RTM_NEWLINK && link->ifi_index == 1) {
                printf("link: kind %d, loop %d, up %d", link->ifi_type, (link->ifi_flags & IFF_LOOPBACK) != 0,
                       (link->ifi_flags & IFF_UP) != 0);
                attribute = IFLA_RTA(link);
                left = IFLA_PAYLOAD(header);
            } else if (header->nlmsg_type == RTM_NEWADDR && address->ifa_index == 1 &&
                       address->ifa_family == AF_INET) {
                printf("address: /%d, scope %d, permanent %d", address->ifa_prefixlen, address->ifa_scope,
                       (address->ifa_flags & IFA_F_PERMANENT) != 0);
                attribute = IFA_RTA(address);
                left = IFA_PAYLOAD(header);
            } else {
                continue;
            }
            for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
                say_attribute(attribute, header->nlmsg_type);
            }
            printf("\n");
        }
    }
}

static void sockets(void) {
    say("stream", socket(AF_NETLINK, SOCK_STREAM, NETLINK_ROUTE));
    say("no such protocol", socket(AF_NETLINK, SOCK_RAW, 99));
    const int fd = make();
    struct sockaddr_nl name = {.nl_family = AF_NETLINK};
    socklen_t length = sizeof name;
    say("short name", bind(fd, (struct sockaddr*)&name, 4));
    say("bind", bind(fd, (struct sockaddr*)&name, sizeof name));
    say("name", getsockname(fd, (struct sockaddr*)&name, &length));
    printf("family %d, a number %d, length %d\n", name.nl_family, name.nl_pid != 0, (int)length);
    name.nl_pid = name.nl_pid + 1;
    say("another name", bind(fd, (struct sockaddr*)&name, sizeof name));
    int value = 0;
    length = sizeof value;
    say("type", getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &length) == 0 ? value : -1);
    say("domain", getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &value, &length) == 0 ? value : -1);
    value = 1;
    say("strict", setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &value, sizeof value));
    say("listen", listen(fd, 1));
    say("accept", accept(fd, NULL, NULL));
    say("shutdown", shutdown(fd, SHUT_RDWR));
    say("nothing there", recv(fd, &value, sizeof value, MSG_DONTWAIT));
    struct pollfd entry = {.fd = fd, .events = POLLIN | POLLOUT};
    say("poll", poll(&entry, 1, 0));
    printf("%x\n", (unsigned)entry.revents);
    say("short", send(fd, &value, sizeof value, 0));
    close(fd);
}

static void by_name(void) {
    struct if_nameindex* all = if_nameindex();
    printf("first: %u %s\n", all == NULL ? 0 : all[0].if_index, all == NULL ? "" : all[0].if_name);
    if_freenameindex(all);
    struct ifaddrs* addresses = NULL;
    say("getifaddrs", getifaddrs(&addresses));
    for (const struct ifaddrs* one = addresses; one != NULL; one = one->ifa_next) {
        if (one->ifa_addr != NULL && one->ifa_addr->sa_family == AF_INET &&
            strcmp(one->ifa_name, "lo") == 0) {
            char text[2][INET_ADDRSTRLEN];
            inet_ntop(AF_INET, &((const struct sockaddr_in*)one->ifa_addr)->sin_addr, text[0],
                      sizeof text[0]);
            inet_ntop(AF_INET, &((const struct sockaddr_in*)one->ifa_netmask)->sin_addr, text[1],
                      sizeof text[1]);
            printf("%s %s\n", text[0], text[1]);
        }
    }
    freeifaddrs(addresses);
}

static void single(void) {
    const int fd = make();
    struct request request = request_of(RTM_GETLINK, 0);
    request.body.link.ifi_index = 1;
    lone(fd, "link 1", &request);
    request.body.link.ifi_index = 12345;
    lone(fd, "no such link", &request);
    request = request_of(NLMSG_NOOP, NLM_F_ACK);
    lone(fd, "nothing, acknowledged", &request);
    request = request_of(RTM_MAX + 9, 0);
    lone(fd, "unknown", &request);
    request = request_of(RTM_GETLINK, NLM_F_DUMP);
    request.header.nlmsg_len = sizeof request.header;
    lone(fd, "no body", &request);
    close(fd);
}

static void as_somebody(void) {
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        if (setuid(1000) != 0) {
            _exit(1);
        }
        const int fd = make();
        struct request request = request_of(RTM_SETLINK, NLM_F_ACK);
        request.body.link.ifi_index = 1;
        lone(fd, "change", &request);
        list(fd, "links of somebody", RTM_GETLINK, AF_UNSPEC);
        fflush(stdout);
        _exit(0);
    }
    waitpid(child, NULL, 0);
}

int main(void) {
    sockets();
    const int fd = make();
    list(fd, "links", RTM_GETLINK, AF_UNSPEC);
    list(fd, "addresses", RTM_GETADDR, AF_UNSPEC);
    list(fd, "addresses of IPv4", RTM_GETADDR, AF_INET);
    list(fd, "routes", RTM_GETROUTE, AF_INET);
    close(fd);
    by_name();
    single();
    as_somebody();
    return 0;
}
