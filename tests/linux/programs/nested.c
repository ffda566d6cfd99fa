/* Epoll instances in epoll instances: readiness that goes up and away again, circles, depth, EPOLLEXCLUSIVE.
 * SPDX-License-Identifier: MIT */
#include "say.h"

#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

static int add(int outer, int inner, uint32_t events) {
    struct epoll_event event = {.events = events, .data.u64 = 7};
    return epoll_ctl(outer, EPOLL_CTL_ADD, inner, &event);
}

static int change(int outer, int inner, uint32_t events) {
    struct epoll_event event = {.events = events, .data.u64 = 8};
    return epoll_ctl(outer, EPOLL_CTL_MOD, inner, &event);
}

static void say_ready(const char* what, int instance, int milliseconds) {
    struct epoll_event events[4];
    memset(events, 0, sizeof events);
    const int count = epoll_wait(instance, events, 4, milliseconds);
    printf("%s: %d", what, count);
    for (int i = 0; i < count; ++i) {
        printf(" %x/%d", events[i].events, (int)events[i].data.u64);
    }
    printf("\n");
    fflush(stdout);
}

static void say_poll(const char* what, int instance) {
    struct pollfd entry = {.fd = instance, .events = POLLIN};
    const int count = poll(&entry, 1, 0);
    printf("%s: %d %x\n", what, count, (unsigned)entry.revents);
}

static void put(int event) {
    const uint64_t one = 1;
    if (write(event, &one, sizeof one) != sizeof one) {
        say("write", -1);
    }
}

static void take(int event) {
    uint64_t count = 0;
    if (read(event, &count, sizeof count) != sizeof count) {
        say("read", -1);
    }
}

static void* put_later(void* event) {
    usleep(50000);
    put(*(int*)event);
    return NULL;
}

static void levels(void) {
    const int event = eventfd(0, EFD_NONBLOCK);
    const int low = epoll_create1(0);
    const int middle = epoll_create1(0);
    const int top = epoll_create1(0);
    say("event", add(low, event, EPOLLIN));
    say("low", add(middle, low, EPOLLIN));
    say("middle", add(top, middle, EPOLLIN));
    say("twice", add(top, middle, EPOLLIN));
    say_ready("nothing yet", top, 0);
    say_poll("poll before", top);
    put(event);
    say_ready("goes up", top, 5000);
    say_ready("stays", top, 5000);
    say_poll("poll", top);
    say_poll("poll of the middle", middle);
    take(event);
    say_ready("went away", top, 0);
    say_poll("poll after", top);
    pthread_t thread;
    int own = event;
    pthread_create(&thread, NULL, put_later, &own);
    say_ready("while it waits", top, 10000);
    pthread_join(thread, NULL);
    say_ready("at the bottom", low, 0);
    take(event);
    pthread_create(&thread, NULL, put_later, &own);
    struct pollfd entry = {.fd = top, .events = POLLIN};
    say("poll waits", poll(&entry, 1, 10000));
    pthread_join(thread, NULL);
    say("nobody wants it", change(top, middle, 0));
    say_ready("not told", top, 0);
    say("once", change(top, middle, EPOLLIN | EPOLLONESHOT));
    say_ready("told once", top, 5000);
    say_ready("and no more", top, 0);
    say("edge", change(top, middle, EPOLLIN | EPOLLET));
    say_ready("edge told", top, 5000);
    say_ready("edge told again", top, 0);
    say("one goes", close(low));
    say_ready("with what was in it", top, 0);
    say("taken out", epoll_ctl(top, EPOLL_CTL_DEL, middle, NULL));
    say("not there", epoll_ctl(top, EPOLL_CTL_DEL, middle, NULL));
    close(event);
    close(middle);
    close(top);
}

static void shapes(void) {
    int all[8];
    for (int i = 0; i < 8; ++i) {
        all[i] = epoll_create1(0);
    }
    say("itself", add(all[0], all[0], EPOLLIN));
    say("second", add(all[1], all[0], EPOLLIN));
    say("circle of two", add(all[0], all[1], EPOLLIN));
    say("third", add(all[2], all[1], EPOLLIN));
    say("circle of three", add(all[0], all[2], EPOLLIN));
    say("a second way", add(all[2], all[0], EPOLLIN));
    say("fourth", add(all[3], all[2], EPOLLIN));
    say("fifth", add(all[4], all[3], EPOLLIN));
    say("much too deep", add(all[5], all[4], EPOLLIN) == 0 ? add(all[6], all[5], EPOLLIN) : -1);
    say("not there", change(all[7], all[0], EPOLLIN));
    for (int i = 0; i < 8; ++i) {
        close(all[i]);
    }
}

static void exclusive(void) {
    const int event = eventfd(1, EFD_NONBLOCK);
    const int inner = epoll_create1(0);
    const int outer = epoll_create1(0);
    say("exclusive", add(outer, event, EPOLLIN | EPOLLEXCLUSIVE));
    say_ready("told", outer, 0);
    say("changed", change(outer, event, EPOLLIN));
    say("exclusive now", change(outer, event, EPOLLIN | EPOLLEXCLUSIVE));
    say("an instance", add(outer, inner, EPOLLIN | EPOLLEXCLUSIVE));
    say("once", add(inner, event, EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT));
    say("edge", add(inner, event, EPOLLIN | EPOLLEXCLUSIVE | EPOLLET));
    close(event);
    close(inner);
    close(outer);
}

int main(void) {
    levels();
    shapes();
    exclusive();
    return 0;
}
