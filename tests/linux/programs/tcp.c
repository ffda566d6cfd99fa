/* AF_INET and AF_INET6 stream sockets on the machine itself: names, connecting, data, ends, options, hostile
 * values.
 * SPDX-License-Identifier: MIT */
#include "inet.h"

#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>

static int listener_of(int family, int backlog, struct sockaddr_storage* address, socklen_t* length) {
    const int fd = socket(family, SOCK_STREAM, 0);
    *length = loopback(family, 0, address);
    if (bind(fd, (struct sockaddr*)address, *length) != 0 || listen(fd, backlog) != 0) {
        say("listener", -1);
        return -1;
    }
    *length = loopback(family, bound_port(fd), address);
    return fd;
}

/* Two ends of a connection. */
static void connected(int family, int ends[2]) {
    struct sockaddr_storage address;
    socklen_t length;
    const int listener = listener_of(family, 5, &address, &length);
    ends[0] = socket(family, SOCK_STREAM, 0);
    if (connect(ends[0], (struct sockaddr*)&address, length) != 0) {
        say("connect", -1);
    }
    ends[1] = accept(listener, NULL, NULL);
    close(listener);
}

static void say_error(const char* what, int fd) {
    errno = int_option(fd, SOL_SOCKET, SO_ERROR);
    if (errno == 0) {
        say(what, 0);
    } else {
        say(what, -1);
    }
}

static void names(int family) {
    printf("-- names of %s\n", family == AF_INET ? "IPv4" : "IPv6");
    struct sockaddr_storage address, other;
    socklen_t length = sizeof other;
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
    say_done("socket", fd);
    say("flags", fcntl(fd, F_GETFL));
    say("on exec", fcntl(fd, F_GETFD));
    say("SO_TYPE", int_option(fd, SOL_SOCKET, SO_TYPE));
    say("SO_DOMAIN", int_option(fd, SOL_SOCKET, SO_DOMAIN));
    say("SO_PROTOCOL", int_option(fd, SOL_SOCKET, SO_PROTOCOL));
    say("SO_ACCEPTCONN", int_option(fd, SOL_SOCKET, SO_ACCEPTCONN));
    say("events of a fresh one", events_of(fd));
    say("getsockname", getsockname(fd, (struct sockaddr*)&other, &length));
    say("its length", length);
    say_address("name", &other, 0);
    length = sizeof other;
    say("getpeername", getpeername(fd, (struct sockaddr*)&other, &length));
    say("accept of one that does not listen", accept(fd, NULL, NULL));
    say_received("recv of one that is not connected", fd, 10, 0);
    say("send of it", send(fd, "x", 1, MSG_NOSIGNAL));
    const int closed = socket(family, SOCK_STREAM, 0);
    say("shutdown of one", shutdown(closed, SHUT_RDWR));
    close(closed);
    socklen_t size = loopback(family, 0, &address);
    say("bind", bind(fd, (struct sockaddr*)&address, size));
    const int port = bound_port(fd);
    say("a port of its own", port > 1023);
    say("bind again", bind(fd, (struct sockaddr*)&address, size));
    length = 5;
    say("getsockname in too little room", getsockname(fd, (struct sockaddr*)&other, &length));
    say("the whole length", length);
    length = (socklen_t)-1;
    say("a negative length", getsockname(fd, (struct sockaddr*)&other, &length));
    say("listen", listen(fd, 3));
    say("events of the listener", events_of(fd));
    say("SO_ACCEPTCONN", int_option(fd, SOL_SOCKET, SO_ACCEPTCONN));
    say("none to accept", accept(fd, NULL, NULL));
    say_received("recv of a listener", fd, 10, 0);
    say("send of it", send(fd, "x", 1, MSG_NOSIGNAL));
    size = loopback(family, port, &address);
    say("connect of a listener", connect(fd, (struct sockaddr*)&address, size));
    const int second = socket(family, SOCK_STREAM, 0);
    say("bind where another listens", bind(second, (struct sockaddr*)&address, size));
    const int on = 1;
    say("SO_REUSEADDR", setsockopt(second, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on));
    say("still", bind(second, (struct sockaddr*)&address, size));
    say("connect", connect(second, (struct sockaddr*)&address, size));
    say("connect again", connect(second, (struct sockaddr*)&address, size));
    say("bind then", bind(second, (struct sockaddr*)&address, size));
    say("listen then", listen(second, 1));
    say("events of the listener", wait_for(fd, POLLIN));
    length = sizeof other;
    const int accepted = accept4(fd, (struct sockaddr*)&other, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    say_done("accept4", accepted);
    say("its length", length);
    say_address("its peer", &other, bound_port(second));
    say("its flags", fcntl(accepted, F_GETFL));
    length = sizeof other;
    say("getpeername", getpeername(second, (struct sockaddr*)&other, &length));
    say_address("peer", &other, port);
    length = sizeof other;
    say("getsockname of what was accepted", getsockname(accepted, (struct sockaddr*)&other, &length));
    say_address("name", &other, port);
    say("events of a connection", events_of(accepted));
    say("bad flags", accept4(fd, NULL, NULL, 1));
    say("shutdown of a listener", shutdown(fd, SHUT_RD));
    say("accept then", accept(fd, NULL, NULL));
    close(fd);
    close(second);
    close(accepted);
    /* Nobody listens there now. */
    fd = socket(family, SOCK_STREAM, 0);
    say("nobody listens", connect(fd, (struct sockaddr*)&address, size));
    say_error("told once", fd);
    say("again", connect(fd, (struct sockaddr*)&address, size));
    close(fd);
}

static void hostile(void) {
    printf("-- hostile values\n");
    struct sockaddr_storage address;
    say("bad type", socket(AF_INET, 77, 0));
    say("bad flags", socket(AF_INET, SOCK_STREAM | 0x100, 0));
    say("seqpacket", socket(AF_INET, SOCK_SEQPACKET, 0));
    say("bad protocol", socket(AF_INET, SOCK_STREAM, IPPROTO_UDP));
    say("unknown protocol", socket(AF_INET, SOCK_STREAM, 200));
    say("negative protocol", socket(AF_INET6, SOCK_STREAM, -1));
    say("protocol out of range", socket(AF_INET, SOCK_DGRAM, 100000));
    int ends[2];
    say("socketpair", socketpair(AF_INET, SOCK_STREAM, 0, ends));
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    const socklen_t size = loopback(AF_INET, 9, &address);
    say("bind too short", bind(fd, (struct sockaddr*)&address, size - 1));
    say("bind much too long", bind(fd, (struct sockaddr*)&address, 1000));
    say("bind of nothing", bind(fd, NULL, size));
    say("bind of length 0", bind(fd, (struct sockaddr*)&address, 0));
    say("bind of a negative length", bind(fd, (struct sockaddr*)&address, (socklen_t)-1));
    address.ss_family = AF_INET6;
    say("bind of another family", bind(fd, (struct sockaddr*)&address, size));
    say("connect to another family", connect(fd, (struct sockaddr*)&address, size));
    address.ss_family = AF_INET;
    say("connect too short", connect(fd, (struct sockaddr*)&address, 7));
    say("connect to length 1", connect(fd, (struct sockaddr*)&address, 1));
    say("connect to nowhere in memory", connect(fd, (struct sockaddr*)1, size));
    ((struct sockaddr_in*)&address)->sin_addr.s_addr = htonl(0xc0000201); /* 192.0.2.1 is nobody's */
    say("bind to another's address", bind(fd, (struct sockaddr*)&address, size));
    ((struct sockaddr_in*)&address)->sin_addr.s_addr = htonl(0xe0000001);
    say("connect to many", connect(fd, (struct sockaddr*)&address, size));
    say("getsockname to nowhere", getsockname(fd, (struct sockaddr*)8, (socklen_t*)8));
    say("listen with no name", listen(fd, 1));
    say("has one now", bound_port(fd) > 1023);
    say("accept to nowhere", accept(-1, NULL, NULL));
    close(fd);
    const int v6 = socket(AF_INET6, SOCK_STREAM, 0);
    loopback(AF_INET6, 0, &address);
    say("an old IPv6 address", bind(v6, (struct sockaddr*)&address, 24));
    close(v6);
    const int short6 = socket(AF_INET6, SOCK_STREAM, 0);
    say("too short for that", bind(short6, (struct sockaddr*)&address, 23));
    loopback(AF_INET, 0, &address);
    say("IPv4's for IPv6", bind(short6, (struct sockaddr*)&address, sizeof(struct sockaddr_in6)));
    close(short6);
    connected(AF_INET, ends);
    say("send of nothing", send(ends[0], NULL, 0, 0));
    say("send from nowhere", send(ends[0], (void*)8, 10, 0));
    say("send out of band", send(ends[0], "", 0, 0));
    say("send", send(ends[0], "abc", 3, 0));
    wait_for(ends[1], POLLIN);
    say("recv to nowhere", recv(ends[1], (void*)8, 10, 0));
    say("recvfrom with a bad address", recvfrom(ends[1], &address, 1, MSG_PEEK, (struct sockaddr*)8, NULL));
    say_received("nothing was lost", ends[1], 10, 0);
    close(ends[0]);
    close(ends[1]);
}

static void data(int family) {
    printf("-- data over %s\n", family == AF_INET ? "IPv4" : "IPv6");
    int ends[2], count = -1;
    connected(family, ends);
    say("send", send(ends[0], "hello", 5, 0));
    say("write", write(ends[0], " there", 6));
    while (ioctl(ends[1], FIONREAD, &count) == 0 && count < 11) {
        usleep(1000);
    }
    say("FIONREAD", count);
    say("events", events_of(ends[1]));
    say_received("peek", ends[1], 8, MSG_PEEK);
    say_received("a part", ends[1], 3, 0);
    say_received("all the rest", ends[1], 100, MSG_DONTWAIT);
    say_received("nothing", ends[1], 100, MSG_DONTWAIT);
    say("send to be dropped", send(ends[0], "dropped kept", 12, MSG_NOSIGNAL));
    wait_for(ends[1], POLLIN);
    say("MSG_TRUNC", recv(ends[1], NULL, 8, MSG_TRUNC));
    say_received("what is behind it", ends[1], 4, MSG_WAITALL);
    say("sendto elsewhere",
        sendto(ends[0], "x", 1, 0, (struct sockaddr*)&(struct sockaddr_in){.sin_family = AF_INET},
               sizeof(struct sockaddr_in)));
    struct sockaddr_storage from;
    socklen_t length = sizeof from;
    char c[64];
    say("recvfrom", recvfrom(ends[1], c, 1, 0, (struct sockaddr*)&from, &length));
    say("no address", length);
    if (fork() == 0) {
        usleep(20000);
        (void)!write(ends[0], "part ", 5);
        usleep(20000);
        (void)!write(ends[0], "whole", 5);
        _exit(0);
    }
    say_received("MSG_WAITALL", ends[1], 10, MSG_WAITALL);
    wait(NULL);
    struct iovec out[3] = {{"one ", 4}, {"two ", 4}, {"three", 5}};
    struct msghdr message = {.msg_iov = out, .msg_iovlen = 3};
    say("sendmsg", sendmsg(ends[0], &message, 0));
    struct iovec in[2] = {{c, 6}, {c + 32, 7}};
    message = (struct msghdr){.msg_name = &from, .msg_namelen = sizeof from, .msg_iov = in, .msg_iovlen = 2};
    say("recvmsg", recvmsg(ends[1], &message, MSG_WAITALL));
    say("name's length", message.msg_namelen);
    say("flags", message.msg_flags);
    printf("%.6s|%.7s\n", c, c + 32);
    struct timeval span = {.tv_usec = 20000};
    say("SO_RCVTIMEO", setsockopt(ends[1], SOL_SOCKET, SO_RCVTIMEO, &span, sizeof span));
    say_received("in vain", ends[1], 1, 0);
    /* An end. */
    say("shutdown", shutdown(ends[0], SHUT_WR));
    say("write after it", send(ends[0], "x", 1, MSG_NOSIGNAL));
    say("events of the other", wait_for(ends[1], POLLRDHUP) & (POLLRDHUP | POLLHUP));
    say("events", events_of(ends[1]));
    say_received("the end", ends[1], 1, 0);
    say("write back", write(ends[1], "back", 4));
    wait_for(ends[0], POLLIN);
    say_received("back", ends[0], 10, 0);
    close(ends[1]);
    say("hung up", wait_for(ends[0], POLLRDHUP) & POLLRDHUP);
    say_received("the end", ends[0], 10, 0);
    close(ends[0]);
}

static void* reader(void* argument) {
    const int fd = *(int*)argument;
    unsigned char part[7001];
    unsigned long sum = 0, count = 0;
    long got;
    while ((got = read(fd, part, sizeof part)) > 0) {
        for (long i = 0; i < got; ++i) {
            sum = sum * 31 + part[i];
        }
        count += (unsigned long)got;
    }
    printf("bytes: %lu, sum: %lx, end: %ld\n", count, sum, got);
    fflush(stdout);
    return NULL;
}

static void much(int family) {
    printf("-- much data over %s\n", family == AF_INET ? "IPv4" : "IPv6");
    int ends[2];
    connected(family, ends);
    pthread_t thread;
    pthread_create(&thread, NULL, reader, &ends[1]);
    static unsigned char bytes[1 << 20];
    unsigned x = 1;
    for (size_t i = 0; i < sizeof bytes; ++i) {
        x = x * 1103515245 + 12345;
        bytes[i] = (unsigned char)(x >> 16);
    }
    size_t at = 0;
    for (size_t step = 1; at < sizeof bytes; step = step * 3 % 100003 + 1) {
        const size_t left = sizeof bytes - at;
        const long sent = write(ends[0], bytes + at, step < left ? step : left);
        if (sent <= 0) {
            say("write", sent);
            break;
        }
        at += (size_t)sent;
    }
    const long down = shutdown(ends[0], SHUT_WR);
    pthread_join(thread, NULL); /* it says what it read */
    say("shutdown", down);
    close(ends[0]);
    close(ends[1]);
    /* Nobody reads: the writer is held back, and told when there is room. */
    connected(family, ends);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    long held = 0, sent;
    for (int still = 0; still < 5; ++still) {
        while ((sent = write(ends[0], bytes, sizeof bytes)) > 0) {
            held += sent;
            still = 0;
        }
        usleep(20000);
    }
    say("write", sent);
    say("some were taken", held >= 65536);
    say("no room", events_of(ends[0]) & POLLOUT);
    long taken = 0;
    while (taken < held) {
        const long got = recv(ends[1], bytes, sizeof bytes, 0);
        if (got <= 0) {
            break;
        }
        taken += got;
    }
    say("all came", taken == held);
    say("room again", wait_for(ends[0], POLLOUT) & POLLOUT);
    close(ends[0]);
    say("the end", recv(ends[1], bytes, sizeof bytes, 0));
    close(ends[1]);
}

static volatile int broken;

static void on_pipe(int signal) {
    (void)signal;
    broken++;
}

static void ends_of_it(void) {
    printf("-- ends\n");
    int ends[2];
    signal(SIGPIPE, on_pipe);
    connected(AF_INET, ends);
    say("left unread", write(ends[0], "unread", 6));
    wait_for(ends[1], POLLIN);
    close(ends[1]);
    say("reset", wait_for(ends[0], POLLIN) & (POLLIN | POLLERR | POLLHUP));
    say("events", events_of(ends[0]));
    say_received("recv", ends[0], 10, 0);
    say_received("then the end", ends[0], 10, 0);
    say("write", write(ends[0], "x", 1));
    say("SIGPIPE", broken);
    say("send without it", send(ends[0], "x", 1, MSG_NOSIGNAL));
    say("SIGPIPE", broken);
    struct sockaddr_storage name;
    socklen_t length = sizeof name;
    say("getpeername", getpeername(ends[0], (struct sockaddr*)&name, &length));
    close(ends[0]);
    connected(AF_INET6, ends);
    const struct linger none = {.l_onoff = 1, .l_linger = 0};
    say("SO_LINGER", setsockopt(ends[1], SOL_SOCKET, SO_LINGER, &none, sizeof none));
    struct linger told = {0, 0};
    length = sizeof told;
    say("told", getsockopt(ends[1], SOL_SOCKET, SO_LINGER, &told, &length));
    say("on", told.l_onoff);
    close(ends[1]);
    wait_for(ends[0], POLLIN);
    say_error("SO_ERROR", ends[0]);
    say_error("once", ends[0]);
    say_received("the end", ends[0], 10, 0);
    close(ends[0]);
    connected(AF_INET, ends);
    say("written before the end", write(ends[0], "last words", 10));
    close(ends[0]);
    say_received("come all the same", ends[1], 100, MSG_WAITALL);
    say("write to nobody", write(ends[1], "x", 1));
    wait_for(ends[1], POLLHUP);
    say("SIGPIPE", (broken = 0));
    say("then", write(ends[1], "x", 1));
    close(ends[1]);
    /* A reader is woken by its own end. */
    connected(AF_INET, ends);
    if (fork() == 0) {
        usleep(20000);
        shutdown(ends[0], SHUT_RD);
        _exit(0);
    }
    say_received("woken by shutdown", ends[0], 10, 0);
    wait(NULL);
    say("writing goes on", write(ends[0], "on", 2));
    say_received("on", ends[1], 2, MSG_WAITALL);
    say("bad shutdown", shutdown(ends[0], 3));
    say("negative", shutdown(ends[0], -1));
    close(ends[0]);
    close(ends[1]);
    /* Not accepted, and refused by the listener's end. */
    struct sockaddr_storage address;
    const int listener = listener_of(AF_INET, 5, &address, &length);
    const int client = socket(AF_INET, SOCK_STREAM, 0);
    say("connect", connect(client, (struct sockaddr*)&address, length));
    say("wait", wait_for(listener, POLLIN));
    close(listener);
    wait_for(client, POLLIN);
    say_received("refused", client, 10, 0);
    close(client);
    signal(SIGPIPE, SIG_DFL);
}

static void without_waiting(void) {
    printf("-- without waiting\n");
    struct sockaddr_storage address;
    socklen_t length;
    const int listener = listener_of(AF_INET, 5, &address, &length);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    say("connect", connect(fd, (struct sockaddr*)&address, length));
    say("writable", wait_for(fd, POLLOUT));
    say_error("SO_ERROR", fd);
    say("connect", connect(fd, (struct sockaddr*)&address, length));
    say("connect", connect(fd, (struct sockaddr*)&address, length));
    const int accepted = accept(listener, NULL, NULL);
    const int events = epoll_create1(0);
    struct epoll_event entry = {.events = EPOLLIN | EPOLLET}, found = {0};
    say("epoll", epoll_ctl(events, EPOLL_CTL_ADD, accepted, &entry));
    say("nothing yet", epoll_wait(events, &found, 1, 0));
    say("write", write(fd, "x", 1));
    say("one", epoll_wait(events, &found, 1, patience));
    say("its events", found.events);
    say("told once", epoll_wait(events, &found, 1, 0));
    say("write", write(fd, "y", 1));
    say("and once more", epoll_wait(events, &found, 1, patience));
    close(events);
    close(accepted);
    close(fd);
    close(listener);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    const long begun = connect(fd, (struct sockaddr*)&address, length);
    say("connect to nobody", begun);
    say("its events", wait_for(fd, POLLOUT) & (POLLIN | POLLERR | POLLHUP));
    say("all", events_of(fd));
    say_error("SO_ERROR", fd);
    say_error("once", fd);
    say("connect", connect(fd, (struct sockaddr*)&address, length));
    close(fd);
    /* A signal ends a wait. */
    int ends[2];
    connected(AF_INET, ends);
    struct sigaction action = {.sa_handler = on_pipe};
    sigaction(SIGALRM, &action, NULL);
    const struct itimerval soon = {.it_value = {.tv_usec = 30000}};
    setitimer(ITIMER_REAL, &soon, NULL);
    say_received("interrupted", ends[0], 10, 0);
    action.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &action, NULL);
    if (fork() == 0) {
        usleep(100000);
        (void)!write(ends[1], "after", 5);
        _exit(0);
    }
    setitimer(ITIMER_REAL, &soon, NULL);
    say_received("begun again", ends[0], 10, 0);
    wait(NULL);
    close(ends[0]);
    close(ends[1]);
}

static void options(void) {
    printf("-- options\n");
    const int fd = socket(AF_INET, SOCK_STREAM, 0), v6 = socket(AF_INET6, SOCK_STREAM, 0);
    const int on = 1, off = 0, much_too_much = 1000;
    say("TCP_NODELAY", int_option(fd, IPPROTO_TCP, TCP_NODELAY));
    say("set", setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on));
    say("TCP_NODELAY", int_option(fd, IPPROTO_TCP, TCP_NODELAY));
    say("too short", setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, 1));
    say("from nowhere", setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, (void*)8, sizeof on));
    say("a negative length", setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, (socklen_t)-1));
    say("unknown", setsockopt(fd, IPPROTO_TCP, 9999, &on, sizeof on));
    say("unknown", int_option(fd, IPPROTO_TCP, 9999));
    say("unknown level", setsockopt(fd, 9999, 1, &on, sizeof on));
    say("unknown level", int_option(fd, 9999, 1));
    say("SO_KEEPALIVE", int_option(fd, SOL_SOCKET, SO_KEEPALIVE));
    say("set", setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on));
    say("SO_KEEPALIVE", int_option(fd, SOL_SOCKET, SO_KEEPALIVE));
    say("TCP_KEEPIDLE", int_option(fd, IPPROTO_TCP, TCP_KEEPIDLE));
    say("set", setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &much_too_much, sizeof on));
    say("TCP_KEEPIDLE", int_option(fd, IPPROTO_TCP, TCP_KEEPIDLE));
    say("of nothing", setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &off, sizeof off));
    say("TCP_KEEPINTVL", int_option(fd, IPPROTO_TCP, TCP_KEEPINTVL));
    say("TCP_KEEPCNT", int_option(fd, IPPROTO_TCP, TCP_KEEPCNT));
    say("too many", setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &much_too_much, sizeof on));
    say("SO_REUSEADDR", int_option(fd, SOL_SOCKET, SO_REUSEADDR));
    say("IP_TTL", int_option(fd, IPPROTO_IP, IP_TTL));
    say("set", setsockopt(fd, IPPROTO_IP, IP_TTL, &(int){7}, sizeof on));
    say("IP_TTL", int_option(fd, IPPROTO_IP, IP_TTL));
    say("too much", setsockopt(fd, IPPROTO_IP, IP_TTL, &much_too_much, sizeof on));
    say("nothing", setsockopt(fd, IPPROTO_IP, IP_TTL, &off, sizeof off));
    say("unknown", setsockopt(fd, IPPROTO_IP, 9999, &on, sizeof on));
    say("IPv6's of IPv4", setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on));
    say("IPV6_V6ONLY", int_option(v6, IPPROTO_IPV6, IPV6_V6ONLY));
    say("IPV6_UNICAST_HOPS", int_option(v6, IPPROTO_IPV6, IPV6_UNICAST_HOPS));
    say("set", setsockopt(v6, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on));
    say("IPV6_V6ONLY", int_option(v6, IPPROTO_IPV6, IPV6_V6ONLY));
    struct timeval span = {.tv_sec = 3, .tv_usec = 5000000};
    say("a bad time", setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &span, sizeof span));
    char byte = 0;
    socklen_t length = 1;
    say("one byte of it", getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &byte, &length));
    say("length", length);
    say("byte", byte);
    close(fd);
    close(v6);
}

/* One socket for both families. */
static void both(void) {
    printf("-- both families\n");
    struct sockaddr_storage address, peer;
    const int listener = socket(AF_INET6, SOCK_STREAM, 0);
    struct sockaddr_in6 any = {.sin6_family = AF_INET6};
    say("bind", bind(listener, (struct sockaddr*)&any, sizeof any));
    say("listen", listen(listener, 5));
    const int port = bound_port(listener);
    say("V6ONLY then", setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &(int){1}, sizeof(int)));
    const int families[] = {AF_INET, AF_INET6};
    for (int i = 0; i < 2; ++i) {
        const int client = socket(families[i], SOCK_STREAM, 0);
        say("connect", connect(client, (struct sockaddr*)&address, loopback(families[i], port, &address)));
        socklen_t length = sizeof peer;
        const int accepted = accept(listener, (struct sockaddr*)&peer, &length);
        say("length", length);
        say_address("peer", &peer, bound_port(client));
        length = sizeof peer;
        say("getsockname", getsockname(accepted, (struct sockaddr*)&peer, &length));
        say_address("name", &peer, port);
        close(accepted);
        close(client);
    }
    /* IPv4 through an IPv6 socket. */
    struct sockaddr_in6 mapped = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    inet_pton(AF_INET6, "::ffff:127.0.0.1", &mapped.sin6_addr);
    const int client = socket(AF_INET6, SOCK_STREAM, 0);
    say("connect", connect(client, (struct sockaddr*)&mapped, sizeof mapped));
    socklen_t length = sizeof peer;
    say("getpeername", getpeername(client, (struct sockaddr*)&peer, &length));
    say_address("peer", &peer, port);
    close(client);
    const int only = socket(AF_INET6, SOCK_STREAM, 0);
    setsockopt(only, IPPROTO_IPV6, IPV6_V6ONLY, &(int){1}, sizeof(int));
    say("not with V6ONLY", connect(only, (struct sockaddr*)&mapped, sizeof mapped));
    close(only);
    close(listener);
    /* The unspecified address leads to the machine itself. */
    const int all = socket(AF_INET, SOCK_STREAM, 0), caller = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in anywhere = {.sin_family = AF_INET};
    say("bind", bind(all, (struct sockaddr*)&anywhere, sizeof anywhere));
    say("listen", listen(all, 0));
    anywhere.sin_port = htons((uint16_t)bound_port(all));
    say("connect", connect(caller, (struct sockaddr*)&anywhere, sizeof anywhere));
    length = sizeof peer;
    say("getpeername", getpeername(caller, (struct sockaddr*)&peer, &length));
    say_address("peer", &peer, ntohs(anywhere.sin_port));
    close(caller);
    close(all);
}

/* Files that go through, and an end that is put together again. */
static void files(void) {
    printf("-- files\n");
    int ends[2];
    char text[64] = "";
    const int fd = memfd_create("tcp", 0);
    (void)!write(fd, "from a file", 11);
    connected(AF_INET, ends);
    off_t offset = 5;
    say("sendfile", sendfile(ends[0], fd, &offset, 100));
    say("where", offset);
    say("read", recv(ends[1], text, 6, MSG_WAITALL));
    printf("%s\n", text);
    int pipes[2];
    say("pipe", pipe(pipes));
    say("write", write(pipes[1], "through a pipe", 14));
    say("splice", splice(pipes[0], NULL, ends[0], NULL, 14, 0));
    say("read", recv(ends[1], text, 14, MSG_WAITALL));
    printf("%.14s\n", text);
    FILE* stream = fdopen(ends[0], "r+");
    fprintf(stream, "line\n");
    fflush(stream);
    say("line", recv(ends[1], text, 5, MSG_WAITALL));
    say("lseek", lseek(ends[1], 0, SEEK_SET));
    say("fsync", fsync(ends[1]));
    say("ftruncate", ftruncate(ends[1], 0));
    fclose(stream);
    close(ends[1]);
    close(fd);
}

int main(void) {
    names(AF_INET);
    names(AF_INET6);
    hostile();
    data(AF_INET);
    data(AF_INET6);
    much(AF_INET);
    much(AF_INET6);
    ends_of_it();
    without_waiting();
    options();
    both();
    files();
    return 0;
}
