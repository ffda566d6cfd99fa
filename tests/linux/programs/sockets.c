/* AF_UNIX sockets: connections, datagrams, names, open files and credentials that travel, ends.
 * SPDX-License-Identifier: MIT */
#include "say.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

static char folder[] = "/tmp/pv-sockets-XXXXXX";

static struct sockaddr_un address_of(const char* name) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", folder, name);
    return address;
}

static short events_of(int fd) {
    struct pollfd entry = {.fd = fd, .events = POLLIN | POLLOUT | POLLRDHUP};
    poll(&entry, 1, 0);
    return entry.revents;
}

static void say_read(const char* what, int fd, size_t room, int flags) {
    char text[128];
    const long count = recv(fd, text, room, flags);
    say(what, count);
    if (count > 0) {
        printf("%.*s\n", (int)count, text);
        fflush(stdout);
    }
}

static void pairs(void) {
    int ends[2];
    say("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    say("events", events_of(ends[0]));
    say("write", write(ends[0], "hello", 5));
    say("write", write(ends[0], " there", 6));
    int count = 0;
    say("FIONREAD", ioctl(ends[1], FIONREAD, &count));
    say("bytes", count);
    say("events", events_of(ends[1]));
    say_read("peek", ends[1], 8, MSG_PEEK);
    say_read("part", ends[1], 3, 0);
    say_read("the rest in one", ends[1], 100, 0);
    say_read("nothing", ends[1], 100, MSG_DONTWAIT);
    say("shutdown", shutdown(ends[0], SHUT_WR));
    say("events of the other", events_of(ends[1]));
    say_read("end", ends[1], 100, 0);
    signal(SIGPIPE, SIG_IGN);
    say("write after it", write(ends[0], "x", 1));
    say("write back", write(ends[1], "y", 1));
    say_read("read back", ends[0], 10, 0);
    say("write that is left", write(ends[1], "z", 1));
    close(ends[0]);
    say("events", events_of(ends[1]));
    say_read("reset", ends[1], 10, 0);
    say_read("end", ends[1], 10, 0);
    say("write", write(ends[1], "x", 1));
    close(ends[1]);
    say("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    say("nothing, to one who reads", write(ends[0], "", 0));
    shutdown(ends[1], SHUT_RD);
    say("nothing, to one who does not", write(ends[0], "", 0));
    close(ends[0]);
    close(ends[1]);
    say("seqpacket", socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends));
    say("send", send(ends[0], "first", 5, 0));
    say("send", send(ends[0], "second", 6, 0));
    say_read("cut", ends[1], 3, 0);
    say_read("whole length", ends[1], 3, MSG_TRUNC | MSG_PEEK);
    say_read("second", ends[1], 100, 0);
    say_read("none", ends[1], 100, 0);
    close(ends[0]);
    say_read("end", ends[1], 100, 0);
    close(ends[1]);
    say("bad family", socketpair(-1, SOCK_STREAM, 0, ends));
    say("bad type", socket(AF_UNIX, 77, 0));
    say("bad protocol", socket(AF_UNIX, SOCK_STREAM, 6));
    say("no socket", listen(0, 1));
    say("closed", shutdown(999, 0));
}

static void connections(void) {
    const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = address_of("listener"), other;
    socklen_t length = sizeof other;
    say("accept of one that does not listen", accept(listener, NULL, NULL));
    say("listen without a name", listen(listener, 1));
    say("bind", bind(listener, (struct sockaddr*)&address, sizeof address));
    say("bind again", bind(listener, (struct sockaddr*)&address, sizeof address));
    const int second = socket(AF_UNIX, SOCK_STREAM, 0);
    say("bind another one", bind(second, (struct sockaddr*)&address, sizeof address));
    say("connect to one that does not listen", connect(second, (struct sockaddr*)&address, sizeof address));
    struct stat s;
    say("stat", stat(address.sun_path, &s));
    say("is a socket", S_ISSOCK(s.st_mode));
    say("open", open(address.sun_path, O_RDWR));
    say("listen", listen(listener, 1));
    say("events of the listener", events_of(listener));
    say("events of one that is not connected", events_of(second));
    say("write of it", write(second, "x", 1));
    say_read("read of it", second, 10, 0);
    say("connect", connect(second, (struct sockaddr*)&address, sizeof address));
    say("connect again", connect(second, (struct sockaddr*)&address, sizeof address));
    say("events of the listener", events_of(listener));
    say("write before accept", write(second, "early", 5));
    const int accepted = accept4(listener, (struct sockaddr*)&other, &length, SOCK_NONBLOCK);
    say_done("accept", accepted);
    say("peer's name", length);
    say_read("read", accepted, 10, 0);
    say_read("nonblocking", accepted, 10, 0);
    length = sizeof other;
    say("getpeername", getpeername(second, (struct sockaddr*)&other, &length));
    say("its length", (long)length - (long)strlen(address.sun_path));
    say("its path", strcmp(other.sun_path, address.sun_path));
    struct ucred who;
    length = sizeof who;
    say("SO_PEERCRED", getsockopt(accepted, SOL_SOCKET, SO_PEERCRED, &who, &length));
    say("is this one", who.pid == getpid() && who.uid == geteuid() && who.gid == getegid());
    int value = 0;
    length = sizeof value;
    getsockopt(listener, SOL_SOCKET, SO_ACCEPTCONN, &value, &length);
    say("SO_ACCEPTCONN", value);
    getsockopt(listener, SOL_SOCKET, SO_TYPE, &value, &length);
    say("SO_TYPE", value);
    say("bad option", getsockopt(listener, SOL_SOCKET, 9999, &value, &length));
    /* The backlog. */
    fcntl(listener, F_SETFL, O_NONBLOCK);
    int waiting[3];
    for (int i = 0; i < 3; ++i) {
        waiting[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        say("connect", connect(waiting[i], (struct sockaddr*)&address, sizeof address));
    }
    say_done("accept", accept(listener, NULL, NULL));
    say_done("accept", accept(listener, NULL, NULL));
    say("none left", accept(listener, NULL, NULL));
    say("connect", connect(waiting[2], (struct sockaddr*)&address, sizeof address));
    close(listener);
    say_read("refused by its end", waiting[2], 10, 0);
    say("nobody listens",
        connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr*)&address, sizeof address));
    say("unlink", unlink(address.sun_path));
    say("no such name", connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr*)&address, sizeof address));
    address.sun_family = AF_INET;
    say("bad family", connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr*)&address, sizeof address));
    /* A name that is no path. */
    struct sockaddr_un abstract = {.sun_family = AF_UNIX};
    snprintf(abstract.sun_path + 1, 40, "paravane %d", getpid());
    const socklen_t size =
        offsetof(struct sockaddr_un, sun_path) + 1 + (socklen_t)strlen(abstract.sun_path + 1);
    const int hidden = socket(AF_UNIX, SOCK_STREAM, 0), caller = socket(AF_UNIX, SOCK_STREAM, 0);
    say("abstract", bind(hidden, (struct sockaddr*)&abstract, size));
    say("in use", bind(caller, (struct sockaddr*)&abstract, size));
    say("listen", listen(hidden, 5));
    say("wrong type", connect(socket(AF_UNIX, SOCK_DGRAM, 0), (struct sockaddr*)&abstract, size));
    if (fork() == 0) {
        close(caller);
        const int mine = accept(hidden, NULL, NULL);
        char c;
        while (read(mine, &c, 1) == 1) {
            c = (char)(c + 1);
            (void)!write(mine, &c, 1);
        }
        _exit(0);
    }
    close(hidden);
    say("connect", connect(caller, (struct sockaddr*)&abstract, size));
    say("write", write(caller, "HAL", 3));
    say_read("all of it", caller, 3, MSG_WAITALL);
    close(caller);
    wait(NULL);
    const int anywhere = socket(AF_UNIX, SOCK_DGRAM, 0);
    say("any name", bind(anywhere, (struct sockaddr*)&abstract, sizeof(sa_family_t)));
    length = sizeof other;
    getsockname(anywhere, (struct sockaddr*)&other, &length);
    say("its length", length);
}

static void datagrams(void) {
    const int server = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0),
              client = socket(AF_UNIX, SOCK_DGRAM, 0);
    struct sockaddr_un address = address_of("datagrams"), own = address_of("client"), from;
    socklen_t length = sizeof from;
    say("bind", bind(server, (struct sockaddr*)&address, sizeof address));
    say("bind", bind(client, (struct sockaddr*)&own, sizeof own));
    say("send to nobody", send(client, "x", 1, 0));
    say("sendto", sendto(client, "one", 3, 0, (struct sockaddr*)&address, sizeof address));
    say("connect", connect(client, (struct sockaddr*)&address, sizeof address));
    say("send", send(client, "two", 3, 0));
    say("empty", send(client, "", 0, 0));
    char text[16];
    say("recvfrom", recvfrom(server, text, sizeof text, 0, (struct sockaddr*)&from, &length));
    say("from", strcmp(from.sun_path, own.sun_path));
    say_read("two", server, 10, 0);
    say_read("empty", server, 10, 0);
    say_read("none", server, 10, 0);
    say("listen", listen(server, 1));
    say("too long", send(client, folder, 1 << 20, MSG_DONTWAIT));
    close(server);
    say("gone", send(client, "x", 1, 0));
    unlink(address.sun_path);
    unlink(own.sun_path);
}

/* Whether something can be written to a datagram socket, for so many milliseconds. */
static int has_room(int fd, int patience) {
    struct pollfd one = {.fd = fd, .events = POLLOUT};
    return poll(&one, 1, patience) == 1 && one.revents == POLLOUT;
}

static void fill(int fd) {
    while (send(fd, "message", 7, MSG_DONTWAIT) == 7) {
    }
    say_done("full", -(errno == EAGAIN));
}

static void empty(int fd) {
    char text[8];
    while (recv(fd, text, sizeof text, MSG_DONTWAIT) == 7) {
    }
}

/* Datagram sockets are ready to write where there is room at the other end, and are told when there is. */
static void full_datagrams(void) {
    int ends[2];
    const int server = socket(AF_UNIX, SOCK_DGRAM, 0),
              clients[] = {socket(AF_UNIX, SOCK_DGRAM, 0), socket(AF_UNIX, SOCK_DGRAM, 0)};
    struct sockaddr_un address = address_of("full");
    say("bind", bind(server, (struct sockaddr*)&address, sizeof address));
    printf("connected to nobody: %d\n", has_room(clients[0], 0));
    for (int i = 0; i < 2; ++i) {
        say("connect", connect(clients[i], (struct sockaddr*)&address, sizeof address));
    }
    fill(clients[0]);
    printf("full: %d %d\n", has_room(clients[0], 0), has_room(clients[1], 0));
    for (int i = 0; i < 2; ++i) {
        fflush(stdout);
        if (fork() == 0) {
            usleep(20000);
            empty(server);
            _exit(0);
        }
        struct timespec begin, end;
        clock_gettime(CLOCK_MONOTONIC, &begin);
        const int comes = has_room(clients[i], 20000);
        clock_gettime(CLOCK_MONOTONIC, &end);
        printf("room comes: %d, and is told: %d\n", comes, end.tv_sec - begin.tv_sec < 15);
        wait(NULL);
        printf("for both: %d %d\n", has_room(clients[0], 0), has_room(clients[1], 0));
        fill(clients[i]);
    }
    say("connect to nobody",
        connect(clients[1], &(struct sockaddr){.sa_family = AF_UNSPEC}, sizeof(struct sockaddr)));
    printf("connected no more: %d %d\n", has_room(clients[0], 0), has_room(clients[1], 0));
    close(server);
    printf("gone: %d\n", has_room(clients[0], 0));
    close(clients[0]);
    close(clients[1]);
    unlink(address.sun_path);
    (void)!socketpair(AF_UNIX, SOCK_DGRAM, 0, ends);
    fill(ends[0]);
    printf("a full pair: %d, back: %d\n", has_room(ends[0], 0), has_room(ends[1], 0));
    empty(ends[1]);
    printf("emptied: %d\n", has_room(ends[0], 0));
    close(ends[1]);
    close(ends[0]);
}

static long send_file(int over, int fd) {
    char control[CMSG_SPACE(sizeof fd)] = {0};
    struct iovec piece = {.iov_base = (char*)"f", .iov_len = 1};
    struct msghdr message = {
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr* head = CMSG_FIRSTHDR(&message);
    *head =
        (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof fd)};
    memcpy(CMSG_DATA(head), &fd, sizeof fd);
    return sendmsg(over, &message, 0);
}

static int receive_file(int over, int flags) {
    char control[CMSG_SPACE(sizeof(int))] = {0}, text[16];
    struct iovec piece = {.iov_base = text, .iov_len = sizeof text};
    struct msghdr message = {
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    say("recvmsg", recvmsg(over, &message, flags));
    say("flags", message.msg_flags & ~MSG_CMSG_CLOEXEC);
    struct cmsghdr* head = CMSG_FIRSTHDR(&message);
    int fd = -1;
    if (head != NULL && head->cmsg_type == SCM_RIGHTS) {
        memcpy(&fd, CMSG_DATA(head), sizeof fd);
    }
    return fd;
}

static void files_and_credentials(void) {
    int ends[2], pipes[2];
    (void)!socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
    (void)!pipe(pipes);
    say("before", write(ends[0], "b", 1));
    say("send", send_file(ends[0], pipes[1]));
    say_read("a file comes with the bytes before it, and is closed", ends[1], 10, 0);
    say("send", send_file(ends[0], pipes[1]));
    say("after", write(ends[0], "a", 1));
    close(pipes[1]);
    const int writer = receive_file(ends[1], MSG_CMSG_CLOEXEC);
    say("close on exec", fcntl(writer, F_GETFD));
    say("write through it", write(writer, "pipe", 4));
    close(writer);
    char text[16];
    say("read", read(pipes[0], text, sizeof text));
    say("end", read(pipes[0], text, sizeof text));
    say_read("after", ends[1], 10, 0);
    say("bad descriptor", send_file(ends[0], 999));
    /* No room for it. */
    say("send", send_file(ends[0], pipes[0]));
    struct iovec piece = {.iov_base = text, .iov_len = 1};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    say("recvmsg", recvmsg(ends[1], &message, 0));
    say("cut", message.msg_flags);
    int on = 1;
    say("SO_PASSCRED", setsockopt(ends[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
    say("send", send(ends[0], "c", 1, 0));
    char control[CMSG_SPACE(sizeof(struct ucred))];
    message = (struct msghdr){
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    say("recvmsg", recvmsg(ends[1], &message, 0));
    struct cmsghdr* head = CMSG_FIRSTHDR(&message);
    struct ucred who;
    memcpy(&who, CMSG_DATA(head), sizeof who);
    say("credentials", head->cmsg_type == SCM_CREDENTIALS && who.pid == getpid() && who.uid == getuid());
    struct timeval soon = {0, 20000};
    say("SO_RCVTIMEO", setsockopt(ends[1], SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon));
    say_read("timed out", ends[1], 10, 0);
    /* Sockets sent through themselves, and one through the other. */
    for (int i = 0; i < 300; ++i) {
        int a[2], b[2];
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, a) + socketpair(AF_UNIX, SOCK_DGRAM, 0, b) != 0) {
            say("socketpair", -1);
            break;
        }
        send_file(a[0], a[0]);
        send_file(a[0], b[1]);
        send_file(b[0], a[1]);
        send_file(b[0], pipes[0]);
        close(a[0]);
        close(a[1]);
        close(b[0]);
        close(b[1]);
    }
    /* A long chain of sockets within sockets ends without an end of the stack. */
    int last = -1;
    for (int i = 0; i < 2000; ++i) {
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) {
            say("socketpair", -1);
            break;
        }
        if (last >= 0) {
            send_file(pair[0], last);
            close(last);
        }
        close(pair[0]);
        last = pair[1];
    }
    say("the chain's end", close(last));
}

/* Several processes at once: nothing lost, nothing twice. */
static void many(void) {
    int ends[2];
    (void)!socketpair(AF_UNIX, SOCK_STREAM, 0, ends);

    enum { writers = 4, each = 50000 };

    for (int i = 0; i < writers; ++i) {
        if (fork() == 0) {
            char piece[997];
            memset(piece, 'a' + i, sizeof piece);
            for (long done = 0; done < each;) {
                const long part = each - done < (long)sizeof piece ? each - done : (long)sizeof piece;
                const long count = write(ends[0], piece, (size_t)part);
                done += count > 0 ? count : each;
            }
            _exit(0);
        }
    }
    close(ends[0]);
    long counts[writers] = {0}, count;
    char text[4096];
    while ((count = read(ends[1], text, sizeof text)) > 0) {
        for (long i = 0; i < count; ++i) {
            ++counts[text[i] - 'a'];
        }
    }
    for (int i = 0; i < writers; ++i) {
        say("bytes", counts[i]);
        wait(NULL);
    }
    const int epoll = epoll_create1(0);
    (void)!socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET};
    say("epoll", epoll_ctl(epoll, EPOLL_CTL_ADD, ends[1], &event));
    say("nothing", epoll_wait(epoll, &event, 1, 0));
    if (fork() == 0) {
        usleep(10000);
        _exit(write(ends[0], "x", 1) != 1);
    }
    say("told", epoll_wait(epoll, &event, 1, 10000));
    say("of what", event.events);
    wait(NULL);
    close(ends[0]);
    say("told", epoll_wait(epoll, &event, 1, 10000));
    say("of what", event.events);
}

static int int_option(int fd, int name) {
    int value = -2;
    socklen_t length = sizeof value;
    return getsockopt(fd, SOL_SOCKET, name, &value, &length) == 0 ? value : -1;
}

/* Options of every socket, whatever its family. */
static void common_options(void) {
    const int on = 1, urgent = 6, more_urgent = 7;
    const int fds[] = {socket(AF_UNIX, SOCK_STREAM, 0), socket(AF_INET, SOCK_STREAM, 0),
                       socket(AF_INET6, SOCK_DGRAM, 0)};
    for (int i = 0; i < 3; ++i) {
        say("SO_OOBINLINE", int_option(fds[i], SO_OOBINLINE));
        say("set", setsockopt(fds[i], SOL_SOCKET, SO_OOBINLINE, &on, sizeof on));
        say("SO_OOBINLINE", int_option(fds[i], SO_OOBINLINE));
        say("SO_PRIORITY", int_option(fds[i], SO_PRIORITY));
        say("set", setsockopt(fds[i], SOL_SOCKET, SO_PRIORITY, &urgent, sizeof urgent));
        say("SO_PRIORITY", int_option(fds[i], SO_PRIORITY));
        char name[16] = "";
        socklen_t length = sizeof name;
        say("SO_BINDTODEVICE", getsockopt(fds[i], SOL_SOCKET, SO_BINDTODEVICE, name, &length));
        say("length", length);
        length = (socklen_t)-1;
        say("less than nothing", getsockopt(fds[i], SOL_SOCKET, SO_BINDTODEVICE, name, &length));
        say("to none", setsockopt(fds[i], SOL_SOCKET, SO_BINDTODEVICE, "", 1));
        say("to nothing", setsockopt(fds[i], SOL_SOCKET, SO_BINDTODEVICE, NULL, 0));
        say("to what is not there", setsockopt(fds[i], SOL_SOCKET, SO_BINDTODEVICE, "nowhere", 8));
        say("from nowhere", setsockopt(fds[i], SOL_SOCKET, SO_BINDTODEVICE, (void*)8, 8));
        say("a negative length", setsockopt(fds[i], SOL_SOCKET, SO_BINDTODEVICE, "", (socklen_t)-1));
    }
    /* Who is accepted has what the listener had. */
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    const int client = socket(AF_INET, SOCK_STREAM, 0);
    bind(fds[1], (struct sockaddr*)&address, sizeof address);
    getsockname(fds[1], (struct sockaddr*)&address, &length);
    listen(fds[1], 1);
    say("connect", connect(client, (struct sockaddr*)&address, sizeof address));
    const int accepted = accept(fds[1], NULL, NULL);
    say("SO_OOBINLINE", int_option(accepted, SO_OOBINLINE));
    say("SO_PRIORITY", int_option(accepted, SO_PRIORITY));
    close(accepted);
    close(client);
    setresuid(1000, 1000, 0);
    say("not everybody's", setsockopt(fds[0], SOL_SOCKET, SO_PRIORITY, &more_urgent, sizeof more_urgent));
    say("SO_PRIORITY", int_option(fds[0], SO_PRIORITY));
    setresuid(0, 0, 0);
    for (int i = 0; i < 3; ++i) {
        close(fds[i]);
    }
}

int main(void) {
    mkdir("/tmp", 01777);
    if (mkdtemp(folder) == NULL) {
        return 1;
    }
    pairs();
    connections();
    datagrams();
    full_datagrams();
    files_and_credentials();
    many();
    common_options();
    say("rmdir", rmdir(folder));
    return 0;
}
