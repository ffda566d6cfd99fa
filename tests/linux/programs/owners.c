/* Signals of files: O_ASYNC, owners, which signal comes when, and to whom.
 * SPDX-License-Identifier: MIT */
#include "say.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>

static int chosen; /* the signal that files send here */

static void set_flag(int file, int on) {
    say("F_SETFL", fcntl(file, F_SETFL, (fcntl(file, F_GETFL) & ~O_ASYNC) | (on ? O_ASYNC : 0)));
}

static int shows(int file) {
    return (fcntl(file, F_GETFL) & O_ASYNC) != 0;
}

/* Takes what waits of the chosen signal and of SIGIO; gives up after `patience` milliseconds. */
static int take(siginfo_t* info, long patience) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, chosen);
    sigaddset(&set, SIGIO);
    struct timespec span = {patience / 1000, patience % 1000 * 1000000};
    memset(info, 0, sizeof *info);
    return sigtimedwait(&set, info, &span);
}

static void comes(const char* what, int file) {
    siginfo_t info;
    const int signal = take(&info, 10000);
    if (signal == -1) {
        printf("%s: nothing came\n", what);
    } else if (info.si_code == SI_KERNEL) {
        printf("%s: SIGIO %d, from the kernel, process %d\n", what, signal == SIGIO, info.si_pid);
    } else {
        printf("%s: chosen %d, code %d, events %#lx, its file %d\n", what, signal == chosen, info.si_code,
               info.si_band, info.si_fd == file);
    }
    fflush(stdout);
}

static void nothing_comes(const char* what) {
    siginfo_t info;
    const int signal = take(&info, 80);
    printf("%s: %s\n", what, signal == -1 ? "nothing" : "something");
    if (signal != -1) {
        printf("   code %d, events %#lx\n", info.si_code, info.si_band);
    }
    fflush(stdout);
}

static void forget(void) {
    siginfo_t info;
    while (take(&info, 60) != -1) {
    }
}

/* This process is told of `file` by the chosen signal. */
static void own(int file) {
    say("F_SETOWN", fcntl(file, F_SETOWN, getpid()));
    say("F_SETSIG", fcntl(file, F_SETSIG, chosen));
    set_flag(file, 1);
}

static void flags_of(const char* what, int file) {
    int on = 1, off = 0;
    printf("%s\n", what);
    say("FIOASYNC", ioctl(file, FIOASYNC, &on));
    printf("shown %d\n", shows(file));
    say("FIOASYNC off", ioctl(file, FIOASYNC, &off));
    printf("shown %d\n", shows(file));
    set_flag(file, 1);
    printf("shown %d\n", shows(file));
    say("FIOASYNC again", ioctl(file, FIOASYNC, &on));
    set_flag(file, 0);
    printf("shown %d\n", shows(file));
    say("owner", fcntl(file, F_GETOWN));
    say("signal", fcntl(file, F_GETSIG));
    int owner = 0;
    say("SIOCSPGRP", ioctl(file, SIOCSPGRP, &owner));
    say("FIOGETOWN", ioctl(file, FIOGETOWN, &owner));
}

static void flags(void) {
    int ends[2];
    const int regular = open("regular", O_CREAT | O_RDWR, 0600);
    flags_of("a regular file", regular);
    close(regular);
    say("pipe", pipe(ends));
    flags_of("a pipe's reader", ends[0]);
    flags_of("a pipe's writer", ends[1]);
    close(ends[0]);
    close(ends[1]);
    say("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    flags_of("a socket", ends[0]);
    say("no memory", ioctl(ends[0], FIOASYNC, NULL));
    close(ends[0]);
    close(ends[1]);
    const int kinds[] = {eventfd(0, 0),
                         timerfd_create(CLOCK_MONOTONIC, 0),
                         inotify_init(),
                         socket(AF_INET, SOCK_DGRAM, 0),
                         socket(AF_INET, SOCK_STREAM, 0),
                         open("/dev/null", O_RDWR)};
    const char* const names[] = {"an eventfd",   "a timerfd",    "an inotify instance",
                                 "a UDP socket", "a TCP socket", "/dev/null"};
    for (int i = 0; i < 6; ++i) {
        flags_of(names[i], kinds[i]);
        close(kinds[i]);
    }
    const int place = open(".", O_PATH);
    say("of a place only", fcntl(place, F_SETOWN, getpid()));
    close(place);
    say("mkfifo", mkfifo("fifo", 0600));
    const int fifo = open("fifo", O_RDWR | O_ASYNC);
    printf("shown when given at open %d\n", shows(fifo));
    fcntl(fifo, F_SETOWN, getpid());
    write(fifo, "a", 1);
    nothing_comes("but nobody is told");
    set_flag(fifo, 0);
    set_flag(fifo, 1);
    write(fifo, "a", 1);
    nothing_comes("nor when it is given anew");
    close(fifo);
    unlink("fifo");
}

static void* waits(void* which) {
    struct f_owner_ex owner = {F_OWNER_TID, gettid()};
    say("F_SETOWN_EX, thread", fcntl(*(int*)which, F_SETOWN_EX, &owner));
    say("a thread is no process", fcntl(*(int*)which, F_SETOWN, gettid()));
    printf("owner of that number %d\n", fcntl(*(int*)which, F_GETOWN));
    fcntl(*(int*)which, F_SETOWN_EX, &owner);
    siginfo_t info;
    /* Blocked in all threads: only the one that is meant can take it. */
    printf("the thread was told %d\n", take(&info, 10000) == chosen);
    fflush(stdout);
    return NULL;
}

static void owners(void) {
    int ends[2];
    struct f_owner_ex owner = {-1, -1};
    say("pipe", pipe(ends));
    say("F_GETOWN_EX before", fcntl(ends[0], F_GETOWN_EX, &owner));
    printf("type %d, number %d\n", owner.type, owner.pid);
    say("F_SETOWN", fcntl(ends[0], F_SETOWN, getpid()));
    printf("self %d\n", fcntl(ends[0], F_GETOWN) == getpid());
    fcntl(ends[0], F_GETOWN_EX, &owner);
    printf("type %d, self %d\n", owner.type, owner.pid == getpid());
    say("F_SETOWN, group", fcntl(ends[0], F_SETOWN, -getpgrp()));
    fcntl(ends[0], F_GETOWN_EX, &owner);
    printf("type %d, own group %d\n", owner.type, owner.pid == getpgrp());
    say("nobody has it", fcntl(ends[0], F_SETOWN, 3999999));
    say("no such group", fcntl(ends[0], F_SETOWN, -3999999));
    say("least number", fcntl(ends[0], F_SETOWN, INT_MIN));
    owner = (struct f_owner_ex){7, getpid()};
    say("no such type", fcntl(ends[0], F_SETOWN_EX, &owner));
    owner = (struct f_owner_ex){F_OWNER_PID, 3999999};
    say("F_SETOWN_EX, nobody has it", fcntl(ends[0], F_SETOWN_EX, &owner));
    say("F_SETOWN_EX, no memory", fcntl(ends[0], F_SETOWN_EX, NULL));
    say("F_GETOWN_EX, no memory", fcntl(ends[0], F_GETOWN_EX, NULL));
    owner = (struct f_owner_ex){F_OWNER_PGRP, getpgrp()};
    say("F_SETOWN_EX, group", fcntl(ends[0], F_SETOWN_EX, &owner));
    say("nobody", fcntl(ends[0], F_SETOWN, 0));
    say("owner", fcntl(ends[0], F_GETOWN));
    say("F_SETSIG 64", fcntl(ends[0], F_SETSIG, 64));
    say("F_SETSIG 65", fcntl(ends[0], F_SETSIG, 65));
    say("F_SETSIG -1", fcntl(ends[0], F_SETSIG, -1));
    say("signal", fcntl(ends[0], F_GETSIG));
    const pid_t child = fork();
    if (child == 0) {
        pause();
    }
    say("F_SETOWN, child", fcntl(ends[0], F_SETOWN, child));
    printf("the child %d\n", fcntl(ends[0], F_GETOWN) == child);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    say("owner that is gone", fcntl(ends[0], F_GETOWN));
    set_flag(ends[0], 1);
    write(ends[1], "a", 1);
    nothing_comes("for one that is gone");
    fcntl(ends[0], F_SETSIG, chosen);
    pthread_t thread;
    pthread_create(&thread, NULL, waits, &ends[0]);
    nanosleep(&(struct timespec){0, 100000000}, NULL);
    write(ends[1], "a", 1);
    pthread_join(thread, NULL);
    close(ends[0]);
    close(ends[1]);
}

static void pipes(void) {
    int ends[2];
    char room[16];
    say("pipe", pipe(ends));
    say("F_SETOWN", fcntl(ends[0], F_SETOWN, getpid()));
    set_flag(ends[0], 1);
    write(ends[1], "a", 1);
    comes("SIGIO", ends[0]);
    say("F_SETSIG", fcntl(ends[0], F_SETSIG, SIGIO));
    write(ends[1], "a", 1);
    comes("SIGIO that was chosen", ends[0]);
    own(ends[0]);
    write(ends[1], "a", 1);
    comes("written", ends[0]);
    const int other = dup(ends[0]);
    close(ends[0]);
    write(ends[1], "a", 1);
    comes("through another descriptor", ends[0]);
    say("read", read(other, room, sizeof room));
    nothing_comes("read by itself");
    set_flag(other, 0);
    write(ends[1], "a", 1);
    nothing_comes("switched off");
    set_flag(other, 1);
    close(ends[1]);
    comes("the writer is gone", other);
    close(other);
    say("pipe", pipe(ends));
    own(ends[1]);
    write(ends[1], "a", 1);
    nothing_comes("the writer itself");
    read(ends[0], room, 1);
    comes("read", ends[1]);
    close(ends[0]);
    comes("the reader is gone", ends[1]);
    close(ends[1]);
    say("pipe", pipe(ends));
    own(ends[0]);
    close(ends[0]);
    nothing_comes("closed");
    close(ends[1]);
}

static void sockets(int type) {
    int ends[2];
    char room[4096];
    say("socketpair", socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, ends));
    own(ends[0]);
    nothing_comes("nothing yet");
    write(ends[1], "a", 1);
    comes("written", ends[0]);
    read(ends[0], room, 1);
    write(ends[0], "a", 1);
    read(ends[1], room, 1);
    nothing_comes("there was room all the time");
    if (type == SOCK_STREAM) {
        memset(room, 0, sizeof room);
        while (write(ends[0], room, sizeof room) > 0) {
        }
        say("full", write(ends[0], room, sizeof room));
        forget();
        while (read(ends[1], room, sizeof room) > 0) {
        }
        comes("room again", ends[0]);
        forget();
    }
    close(ends[1]);
    comes("the peer is gone", ends[0]);
    close(ends[0]);
    int number = 0;
    say("socketpair", socketpair(AF_UNIX, type, 0, ends));
    const pid_t self = getpid();
    say("FIOSETOWN", ioctl(ends[0], FIOSETOWN, &self));
    say("SIOCGPGRP", ioctl(ends[0], SIOCGPGRP, &number));
    printf("self %d\n", number == self);
    const pid_t group = -getpgrp();
    say("SIOCSPGRP", ioctl(ends[0], SIOCSPGRP, &group));
    say("FIOGETOWN", ioctl(ends[0], FIOGETOWN, &number));
    printf("own group %d\n", number == group);
    close(ends[0]);
    close(ends[1]);
}

static void inet(void) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof at;
    char room[16];
    const int receiver = socket(AF_INET, SOCK_DGRAM, 0);
    say("bind", bind(receiver, (struct sockaddr*)&at, sizeof at));
    getsockname(receiver, (struct sockaddr*)&at, &length);
    own(receiver);
    const int sender = socket(AF_INET, SOCK_DGRAM, 0);
    say("sendto", sendto(sender, "a", 1, 0, (struct sockaddr*)&at, sizeof at));
    comes("a datagram", receiver);
    close(sender);
    close(receiver);
    at.sin_port = 0;
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    say("bind", bind(listener, (struct sockaddr*)&at, sizeof at));
    getsockname(listener, (struct sockaddr*)&at, &length);
    own(listener);
    say("listen", listen(listener, 4));
    const int caller = socket(AF_INET, SOCK_STREAM, 0);
    say("connect", connect(caller, (struct sockaddr*)&at, sizeof at));
    comes("a connection", listener);
    forget();
    const int accepted = accept(listener, NULL, NULL);
    say("flag of the accepted", shows(accepted));
    say("owner of the accepted", fcntl(accepted, F_GETOWN));
    own(accepted);
    say("write", write(caller, "a", 1));
    comes("bytes", accepted);
    forget();
    say("read", read(accepted, room, sizeof room));
    say("shutdown", shutdown(caller, SHUT_WR));
    comes("the end", accepted);
    forget();
    close(caller);
    close(accepted);
    close(listener);
}

static void others(void) {
    char room[512];
    const int watch = inotify_init1(IN_NONBLOCK);
    mkdir("watched", 0700);
    say_done("watch", inotify_add_watch(watch, "watched", IN_CREATE));
    own(watch);
    close(open("watched/a", O_CREAT | O_WRONLY, 0600));
    comes("an event", watch);
    unlink("watched/a");
    rmdir("watched");
    forget();
    close(watch);

    const int master = posix_openpt(O_RDWR | O_NOCTTY);
    grantpt(master);
    unlockpt(master);
    const int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    struct termios form;
    tcgetattr(slave, &form);
    cfmakeraw(&form);
    tcsetattr(slave, TCSANOW, &form);
    own(slave);
    say("write", write(master, "a", 1));
    comes("typed", slave);
    forget();
    say("read", read(slave, room, sizeof room));
    close(slave);
    close(master);

    int ends[2];
    say("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    own(ends[0]);
    fcntl(ends[0], F_SETSIG, SIGTRAP);
    const int kept = chosen;
    chosen = SIGTRAP;
    write(ends[1], "a", 1);
    comes("a signal with codes of its own", ends[0]);
    chosen = kept;
    fcntl(ends[0], F_SETSIG, chosen);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, chosen);
    const int reader = signalfd(-1, &set, 0);
    write(ends[1], "a", 1);
    struct signalfd_siginfo told = {0};
    say("signalfd", read(reader, &told, sizeof told));
    printf("chosen %d, code %d, its file %d, events %#x\n", (int)told.ssi_signo == chosen, told.ssi_code,
           told.ssi_fd == ends[0], told.ssi_band);
    close(reader);
    struct rlimit limit, none;
    getrlimit(RLIMIT_SIGPENDING, &limit);
    none = limit;
    none.rlim_cur = 0;
    say("no signal may wait", setrlimit(RLIMIT_SIGPENDING, &none));
    write(ends[1], "a", 1);
    comes("what cannot wait", ends[0]);
    setrlimit(RLIMIT_SIGPENDING, &limit);
    write(ends[1], "a", 1);
    comes("what can", ends[0]);
    close(ends[0]);
    close(ends[1]);
}

/* Three processes of one group are told. */
static void groups(void) {
    int ends[2], ready[2];
    char room[4];
    say("pipe", pipe(ends) | pipe(ready));
    pid_t children[3];
    for (int i = 0; i < 3; ++i) {
        children[i] = fork();
        if (children[i] == 0) {
            siginfo_t info;
            setpgid(0, i == 0 ? 0 : children[0]);
            write(ready[1], "a", 1);
            _exit(take(&info, 10000) == chosen ? 7 : 8);
        }
        setpgid(children[i], children[0]);
    }
    for (int got = 0; got < 3;) {
        got += (int)read(ready[0], room, 1);
    }
    say("F_SETOWN", fcntl(ends[0], F_SETOWN, -children[0]));
    fcntl(ends[0], F_SETSIG, chosen);
    set_flag(ends[0], 1);
    write(ends[1], "a", 1);
    for (int i = 0; i < 3; ++i) {
        int status = 0;
        waitpid(children[i], &status, 0);
        printf("one of a group: %d\n", WEXITSTATUS(status));
    }
    say("owner that is gone", fcntl(ends[0], F_GETOWN));
    nothing_comes("for who is not of it");
    close(ends[0]);
    close(ends[1]);
    close(ready[0]);
    close(ready[1]);
}

/* What somebody set counts with what he might send, whoever makes the file ready. */
static void permission(void) {
    if (geteuid() != 0) {
        return;
    }
    int ends[2];
    const pid_t self = getpid();
    say("pipe", pipe(ends));
    own(ends[0]);
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        _exit(setuid(1234) == 0 && fcntl(ends[0], F_SETOWN, self) == 0 ? 0 : 1);
    }
    waitpid(child, &status, 0);
    printf("another user has set it: %d\n", status);
    printf("owner %d\n", fcntl(ends[0], F_GETOWN) == self);
    write(ends[1], "a", 1);
    nothing_comes("whom he may not send to");
    fcntl(ends[0], F_SETOWN, self);
    child = fork();
    if (child == 0) {
        _exit(setuid(1234) == 0 && write(ends[1], "a", 1) == 1 ? 0 : 1);
    }
    waitpid(child, &status, 0);
    printf("another user has written: %d\n", status);
    comes("as who set it may", ends[0]);
    close(ends[0]);
    close(ends[1]);
}

int main(void) {
    char folder[] = "/tmp/pv-owners-XXXXXX";
    mkdir("/tmp", 01777);
    if (mkdtemp(folder) == NULL || chdir(folder) != 0) {
        perror("mkdtemp");
        return 1;
    }
    sigset_t set;
    chosen = SIGRTMIN + 3;
    sigemptyset(&set);
    sigaddset(&set, chosen);
    sigaddset(&set, SIGIO);
    sigaddset(&set, SIGTRAP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    flags();
    owners();
    pipes();
    sockets(SOCK_STREAM);
    sockets(SOCK_SEQPACKET);
    inet();
    others();
    groups();
    permission();
    unlink("regular");
    rmdir(folder);
    return 0;
}
