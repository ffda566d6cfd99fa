/* Timers and signals as files: what they tell, when they are ready, what is refused.
 * SPDX-License-Identifier: MIT */
#include "say.h"

#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>

static short wait_readable(int fd, int milliseconds) {
    struct pollfd entry = {.fd = fd, .events = POLLIN};
    poll(&entry, 1, milliseconds);
    return entry.revents;
}

static void timers(void) {
    say("bad clock", timerfd_create(77, 0));
    say("bad flags", timerfd_create(CLOCK_MONOTONIC, 0x40));
    const int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    say_done("timerfd_create", fd);
    uint64_t count = 0;
    say("read of one that is off", read(fd, &count, sizeof count));
    say("too little room", read(fd, &count, 4));
    say("write", write(fd, &count, sizeof count));
    struct itimerspec set = {{0, 0}, {1000, 0}}, old;
    say("settime", timerfd_settime(fd, 0, &set, &old));
    say("was off", old.it_value.tv_sec + old.it_value.tv_nsec);
    say("gettime", timerfd_gettime(fd, &old));
    say("is on", old.it_value.tv_sec > 900 && old.it_value.tv_sec <= 1000);
    set = (struct itimerspec){{0, 0}, {0, 20000000}};
    say("settime again", timerfd_settime(fd, 0, &set, NULL));
    say("readable", wait_readable(fd, 5000));
    say("read", read(fd, &count, sizeof count));
    say("fired", (long)count);
    say("read again", read(fd, &count, sizeof count));
    /* Again and again, and missed turns are counted. */
    set.it_interval.tv_nsec = 5000000;
    set.it_value.tv_nsec = 5000000;
    say("settime", timerfd_settime(fd, 0, &set, NULL));
    usleep(60000);
    say("read", read(fd, &count, sizeof count));
    say("fired more than five times", count > 5);
    say("readable", wait_readable(fd, 5000));
    const int epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = 5};
    say("epoll", epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
    say("told", epoll_wait(epoll, &event, 1, 5000));
    set.it_value.tv_nsec = set.it_interval.tv_nsec = 0;
    say("off", timerfd_settime(fd, 0, &set, &old));
    say("interval", old.it_interval.tv_nsec);
    say("not readable", wait_readable(fd, 0));
    /* A moment of the wall clock that has passed. */
    const int wall = timerfd_create(CLOCK_REALTIME, 0);
    set.it_value.tv_sec = 1000;
    say("in the past", timerfd_settime(wall, TFD_TIMER_ABSTIME, &set, NULL));
    say("read waits", read(wall, &count, sizeof count));
    say("fired", (long)count);
    set.it_value.tv_nsec = 1000000000;
    say("bad time", timerfd_settime(wall, 0, &set, NULL));
    say("bad flags", timerfd_settime(wall, 8, &set, NULL));
    say("no timer", timerfd_settime(0, 0, &(struct itimerspec){{0, 0}, {0, 0}}, NULL));
    say("not there", timerfd_gettime(999, &old));
}

static void signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGRTMIN);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    say("bad flags", signalfd(-1, &set, 0x40));
    say("no signalfd", signalfd(0, &set, 0));
    say("not there", signalfd(999, &set, 0));
    const int fd = signalfd(-1, &set, SFD_NONBLOCK);
    say_done("signalfd", fd);
    struct signalfd_siginfo info[3];
    say("nothing", read(fd, info, sizeof info));
    say("too little room", read(fd, info, sizeof info[0] - 1));
    say("not readable", wait_readable(fd, 0));
    kill(getpid(), SIGUSR1);
    kill(getpid(), SIGRTMIN);
    kill(getpid(), SIGRTMIN);
    say("readable", wait_readable(fd, 0));
    say("read", read(fd, info, sizeof info));
    for (int i = 0; i < 3; ++i) {
        printf("signal %u code %d int %d own %d\n", info[i].ssi_signo, info[i].ssi_code, info[i].ssi_int,
               info[i].ssi_pid == (unsigned)getpid());
    }
    fflush(stdout);
    say("nothing left", read(fd, info, sizeof info));
    /* A reader and a poller are woken. */
    if (fork() == 0) {
        usleep(20000);
        kill(getppid(), SIGUSR1);
        _exit(3);
    }
    const int waiting = signalfd(-1, &set, 0);
    say("poll wakes", wait_readable(waiting, 10000));
    say("read", read(waiting, info, sizeof info[0]));
    say("signal", info[0].ssi_signo);
    say("read waits", read(waiting, info, sizeof info[0]));
    say("signal", info[0].ssi_signo);
    say("status", info[0].ssi_status);
    wait(NULL);
    sigdelset(&set, SIGUSR1);
    say("change", signalfd(fd, &set, 0) == fd);
    kill(getpid(), SIGUSR1);
    say("left out", wait_readable(fd, 0));
    const int epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN};
    say("epoll", epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
    say("nothing", epoll_wait(epoll, &event, 1, 0));
    kill(getpid(), SIGRTMIN);
    say("told", epoll_wait(epoll, &event, 1, 5000));
}

enum { crowd = 300 };

/* How many of the first `told` events tell of files that none before them told of, in the order of those. */
static int in_order(const struct epoll_event* events, int told) {
    int count = 0;
    while (count < told && events[count].data.u32 == (uint32_t)count) {
        ++count;
    }
    return count;
}

/* Many files that are ready at once: each is told once in a call. */
static void crowds(void) {
    const int epoll = epoll_create1(0);
    static struct epoll_event events[2 * crowd];
    int files[crowd];
    for (int i = 0; i < crowd; ++i) {
        files[i] = eventfd(1, 0);
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
        if (files[i] < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, files[i], &event) != 0) {
            say("no file", i);
        }
    }
    say("all of them", epoll_wait(epoll, events, 2 * crowd, 5000));
    say("in order", in_order(events, crowd));
    say("some", epoll_wait(epoll, events, 150, 5000));
    say("in order", in_order(events, 150));
    say("those after them", epoll_wait(epoll, events, 150, 5000));
    say("first", events[0].data.u32);
    say("last", events[149].data.u32);
    /* Room for 70 events before memory ends. */
    char* const pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(pages + 4096, 4096, PROT_NONE);
    struct epoll_event* const few = (struct epoll_event*)(pages + 4096 - 70 * sizeof *few);
    say("memory ends", syscall(SYS_epoll_wait, epoll, few, crowd, 5000));
    say("in order", in_order(few, 70));
    say("no memory", syscall(SYS_epoll_wait, epoll, pages + 4096, crowd, 5000));
    say("most events", syscall(SYS_epoll_wait, epoll, events, INT_MAX / (int)sizeof events[0] + 1, 0));
    /* epoll_pwait2 and masks. */
    struct timespec none = {0, 0}, bad = {0, 1000000000};
    sigset_t all;
    sigfillset(&all);

    enum { pwait2 = 441 };

    say("epoll_pwait2", syscall(pwait2, epoll, events, 7, NULL, NULL, 0));
    say("at once", syscall(pwait2, epoll, events, 7, &none, &all, 8));
    say("a bad time", syscall(pwait2, epoll, events, 7, &bad, NULL, 0));
    say("time from nowhere", syscall(pwait2, epoll, events, 7, (void*)8, NULL, 0));
    say("mask from nowhere", syscall(pwait2, epoll, events, 7, &none, (void*)8, 8));
    say("a mask of another size", syscall(pwait2, epoll, events, 7, &none, &all, 7));
    say("of epoll_pwait", syscall(SYS_epoll_pwait, epoll, events, 7, 0, &all, 7));
    say("none of another size", syscall(SYS_epoll_pwait, epoll, events, 7, 0, NULL, 7));
    const int idle = epoll_create1(0);
    none.tv_nsec = 3000000;
    say("in vain", syscall(pwait2, idle, events, 7, &none, NULL, 0));
    close(idle);
    for (int i = 0; i < crowd; ++i) {
        struct epoll_event event = {.events = EPOLLIN | (i % 2 == 0 ? EPOLLET : EPOLLONESHOT),
                                    .data.u32 = (uint32_t)i};
        epoll_ctl(epoll, EPOLL_CTL_MOD, files[i], &event);
    }
    say("edges and single shots", epoll_wait(epoll, events, 2 * crowd, 5000));
    say("no more", epoll_wait(epoll, events, 2 * crowd, 0));
    for (int i = 0; i < crowd; ++i) {
        close(files[i]);
    }
    close(epoll);
}

int main(void) {
    timers();
    signals();
    crowds();
    return 0;
}
