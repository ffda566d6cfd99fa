/* Scheduling policies and real-time priorities: who gets them, what is told of them, and who runs first.
 * SPDX-License-Identifier: MIT */
#include "say.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

struct attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
    uint32_t least, most;
    char beyond[8];
};

enum { RESET = 1, KEEP_POLICY = 8, KEEP_PARAMETERS = 16, RESET_BIT = 0x40000000 };

static int set(pid_t id, int policy, int priority) {
    const struct sched_param given = {priority};
    return sched_setscheduler(id, policy, &given);
}

static int priority_of(pid_t id) {
    struct sched_param told = {-7};
    return sched_getparam(id, &told) == 0 ? told.sched_priority : -1;
}

static void show(const char* what) {
    char text[1024] = {0};
    FILE* file = fopen("/proc/thread-self/stat", "r");
    const char* rest = file != NULL && fgets(text, sizeof text, file) != NULL ? strrchr(text, ')') : NULL;
    long told[50] = {0};
    for (int i = 3; rest != NULL && i < 50 && *rest != '\0'; ++i) {
        rest += strcspn(rest, " ");
        rest += *rest == ' ';
        told[i] = strtol(rest, NULL, 10);
    }
    if (file != NULL) {
        fclose(file);
    }
    printf("%s: policy %x priority %d, stat: %ld %ld %ld %ld\n", what, sched_getscheduler(0), priority_of(0),
           told[18], told[19], told[40], told[41]);
    fflush(stdout);
}

static void runs(void (*work)(void)) {
    const int status = run_child(work);
    if (status != 0) {
        printf("ended with %x\n", status);
    }
}

static void bounds(void) {
    static const int policies[] = {SCHED_OTHER, SCHED_FIFO, SCHED_RR, SCHED_BATCH, SCHED_IDLE, 4, 77, -1};
    for (unsigned i = 0; i < sizeof policies / sizeof *policies; ++i) {
        printf("bounds of %d:\n", policies[i]);
        say("  from", sched_get_priority_min(policies[i]));
        say("  to", sched_get_priority_max(policies[i]));
    }
}

static void mistakes(void) {
    struct sched_param none = {0};
    struct timespec span;
    say("nobody's, and no such priority", set(4000000, SCHED_OTHER, 3));
    say("nobody's, and no such policy", set(4000000, 77, 0));
    say("a priority without real time", set(0, SCHED_OTHER, 3));
    say("real time without", set(0, SCHED_FIFO, 0));
    say("below", set(0, SCHED_FIFO, -1));
    say("above", set(0, SCHED_RR, 100));
    say("no such policy", set(0, 77, 1));
    say("negative", set(0, -1, 0));
    say("nothing given", sched_setscheduler(0, SCHED_FIFO, NULL));
    say("nothing there", sched_setscheduler(0, SCHED_FIFO, (void*)8));
    say("no such number", set(-1, SCHED_FIFO, 1));
    say("no such number", sched_setparam(-1, &none));
    say("nobody's", sched_setparam(4000000, &none));
    say("asked of a negative one", sched_getscheduler(-1));
    say("of nobody", sched_getscheduler(4000000));
    say("into nothing", sched_getparam(0, NULL));
    say("of a negative one", sched_getparam(-1, &none));
    say("of nobody", sched_getparam(4000000, &none));
    say("there", sched_getparam(0, (void*)8));
    say("a turn of a negative one", sched_rr_get_interval(-1, &span));
    say("of nobody", sched_rr_get_interval(4000000, &span));
    show("nothing changed");
}

static void say_turn(const char* what) {
    struct timespec span = {-1, -1};
    const int result = sched_rr_get_interval(0, &span);
    printf("%s: %d, %ld.%09ld s\n", what, result, (long)span.tv_sec, span.tv_nsec);
}

static void* shown(void* what) {
    show(what);
    return NULL;
}

static void in_thread(const char* what) {
    pthread_t thread;
    pthread_create(&thread, NULL, shown, (void*)what);
    pthread_join(thread, NULL);
}

static void shown_child(void) {
    show("a child");
}

static void changes(void) {
    struct sched_param given = {0};
    say("first in, first out", set(0, SCHED_FIFO, 10));
    show("is");
    say_turn("turn");
    runs(shown_child);
    in_thread("a thread");
    given.sched_priority = 20;
    say("another priority", sched_setparam(0, &given));
    show("is");
    given.sched_priority = 0;
    say("none", sched_setparam(0, &given));
    say("in turns", set(0, SCHED_RR, 99));
    show("is");
    say_turn("turn");
    say("nicer", setpriority(PRIO_PROCESS, 0, 7));
    show("is");
    say("usual", set(0, SCHED_OTHER, 0));
    show("is");
    say("nice again", setpriority(PRIO_PROCESS, 0, 0));
    say("none for children", set(0, SCHED_RR | RESET_BIT, 5));
    show("is");
    runs(shown_child);
    in_thread("a thread");
    say("for children too", set(0, SCHED_RR, 5));
    runs(shown_child);
    say("batch", set(0, SCHED_BATCH | RESET_BIT, 0));
    say("nice", setpriority(PRIO_PROCESS, 0, -5));
    show("is");
    runs(shown_child);
    say("nice", setpriority(PRIO_PROCESS, 0, 5));
    runs(shown_child);
    say("usual", set(0, SCHED_OTHER, 0));
    say("nice", setpriority(PRIO_PROCESS, 0, 0));
}

static long set_attributes(const char* what, uint32_t size, struct attributes given, unsigned flags) {
    given.size = size;
    const long result = syscall(SYS_sched_setattr, 0, &given, flags);
    say(what, result);
    if (given.size != size) {
        printf("  size %u\n", given.size);
    }
    return result;
}

static void show_attributes(const char* what, unsigned size, unsigned flags) {
    struct attributes told;
    memset(&told, 0x55, sizeof told);
    const long result = syscall(SYS_sched_getattr, 0, &told, size, flags);
    say(what, result);
    if (result == 0) {
        printf("  size %u policy %u flags %lx nice %d priority %u\n", told.size, told.policy,
               (unsigned long)told.flags, told.nice, told.priority);
    }
}

static void attributes(void) {
    const struct attributes none = {0};
    struct attributes given = none;
    show_attributes("usual", 56, 0);
    show_attributes("short", 48, 0);
    show_attributes("too short", 47, 0);
    show_attributes("longer than a page", 4097, 0);
    show_attributes("with flags", 56, 1);
    say("told into nothing", syscall(SYS_sched_getattr, 0, NULL, 56, 0));
    say("told to where nothing is", syscall(SYS_sched_getattr, 0, (void*)8, 56, 0));
    say("of nobody", syscall(SYS_sched_getattr, 4000000, &given, 56, 0));
    say("of a negative one", syscall(SYS_sched_getattr, -1, &given, 56, 0));
    say("given nothing", syscall(SYS_sched_setattr, 0, NULL, 0));
    say("given what is not there", syscall(SYS_sched_setattr, 0, (void*)8, 0));
    say("to a negative one", syscall(SYS_sched_setattr, -1, &given, 0));
    say("to nobody", syscall(SYS_sched_setattr, 4000000, &given, 0));
    set_attributes("nothing", 0, none, 0);
    set_attributes("flags", 48, none, 1);
    set_attributes("too short", 47, none, 0);
    set_attributes("too long", 4097, none, 0);
    set_attributes("zeros beyond", 64, none, 0);
    given.beyond[3] = 1;
    set_attributes("something beyond", 64, given, 0);
    set_attributes("not seen", 56, given, 0);
    given = none;
    given.nice = 6;
    set_attributes("nice", 48, given, 0);
    show_attributes("is", 48, 0);
    given.nice = 100;
    set_attributes("as nice as can be", 48, given, 0);
    show_attributes("is", 48, 0);
    given = (struct attributes){.policy = SCHED_FIFO, .priority = 8, .flags = RESET, .nice = 3};
    set_attributes("real time", 48, given, 0);
    show_attributes("is", 48, 0);
    show("is");
    given = (struct attributes){.policy = 77, .priority = 9, .flags = KEEP_POLICY};
    set_attributes("another priority", 48, given, 0);
    show_attributes("is", 48, 0);
    given = (struct attributes){.policy = SCHED_RR, .flags = KEEP_PARAMETERS};
    set_attributes("another policy", 48, given, 0);
    show_attributes("is", 48, 0);
    given = (struct attributes){.policy = 1U << 31, .flags = KEEP_POLICY, .priority = 1};
    set_attributes("a negative policy", 48, given, 0);
    given = (struct attributes){.policy = SCHED_OTHER, .flags = KEEP_PARAMETERS};
    set_attributes("parameters that do not fit", 48, given, 0);
    given = (struct attributes){.policy = SCHED_OTHER, .flags = 1U << 20};
    set_attributes("no such flag", 48, given, 0);
    given = (struct attributes){.policy = SCHED_OTHER, .priority = 1};
    set_attributes("a priority without real time", 48, given, 0);
    set_attributes("as it was", 48, none, 0);
    show_attributes("is", 48, 0);
}

static void unprivileged(void) {
    const pid_t root = fork();
    if (root == 0) {
        usleep(300000);
        _exit(0);
    }
    const struct rlimit none = {0, 0};
    setrlimit(RLIMIT_RTPRIO, &none);
    setrlimit(RLIMIT_NICE, &none);
    set(0, SCHED_FIFO, 5);
    if (setgid(65534) != 0 || setuid(65534) != 0) {
        printf("no other user\n");
    }
    say("less", set(0, SCHED_FIFO, 4));
    say("more", set(0, SCHED_FIFO, 5));
    say("another policy", set(0, SCHED_RR, 3));
    say("none for children", set(0, SCHED_FIFO | RESET_BIT, 4));
    say("for children", set(0, SCHED_FIFO, 4));
    say("usual, for children", set(0, SCHED_OTHER, 0));
    say("usual", set(0, SCHED_OTHER | RESET_BIT, 0));
    say("back", set(0, SCHED_FIFO | RESET_BIT, 1));
    say("less nice", setpriority(PRIO_PROCESS, 0, -1));
    say("nicer", setpriority(PRIO_PROCESS, 0, 3));
    say("less nice", setpriority(PRIO_PROCESS, 0, 2));
    struct attributes given = {.size = 48, .flags = RESET, .nice = 2};
    say("with attributes", syscall(SYS_sched_setattr, 0, &given, 0));
    given.nice = 4;
    say("nicer", syscall(SYS_sched_setattr, 0, &given, 0));
    say("idle", set(0, SCHED_IDLE | RESET_BIT, 0));
    say("usual", set(0, SCHED_OTHER | RESET_BIT, 0));
    say("root's", set(root, SCHED_BATCH, 0));
    say("root's", setpriority(PRIO_PROCESS, root, 1));
    show("is");
    waitpid(root, NULL, 0);
}

static void* other_thread(void* argument) {
    (void)argument;
    const pid_t own = (pid_t)syscall(SYS_gettid);
    say("of a thread", setpriority(PRIO_PROCESS, (id_t)own, 9));
    say("its own", 20 - syscall(SYS_getpriority, PRIO_PROCESS, own));
    say("the first one's", 20 - syscall(SYS_getpriority, PRIO_PROCESS, getpid()));
    say("real time for one", set(own, SCHED_FIFO, 3));
    printf("priorities %d %d\n", priority_of(own), priority_of(getpid()));
    say("usual", set(own, SCHED_OTHER, 0));
    say("of all", setpriority(PRIO_PGRP, 0, 4));
    say("its own", 20 - syscall(SYS_getpriority, PRIO_PROCESS, own));
    say("the first one's", 20 - syscall(SYS_getpriority, PRIO_PROCESS, getpid()));
    return NULL;
}

static void threads(void) {
    setpgid(0, 0);
    pthread_t thread;
    pthread_create(&thread, NULL, other_thread, NULL);
    pthread_join(thread, NULL);
    setpriority(PRIO_PROCESS, 0, 11);
    const pid_t id = fork();
    if (id == 0) {
        _exit(0);
    }
    usleep(50000);
    say("of one that has ended", 20 - syscall(SYS_getpriority, PRIO_PROCESS, id));
    waitpid(id, NULL, 0);
}

/* Who comes when: letters in the order in which they came. */
static struct log {
    volatile int count;
    volatile int stop;
    volatile unsigned long spins;
    char words[200];
}* logged;

static void note(char letter) {
    logged->words[__sync_fetch_and_add(&logged->count, 1)] = letter;
}

static void say_order(const char* what) {
    printf("%s: %s\n", what, logged->words);
    fflush(stdout);
    memset(logged, 0, sizeof *logged);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void spin(double seconds) {
    const double end = now() + seconds;
    while (now() < end) {
    }
}

static int gate[2];

static pid_t start(int policy, int priority, void (*work)(char), char letter) {
    const pid_t id = fork();
    if (id == 0) {
        char byte = 0;
        if (set(0, policy, priority) != 0 || read(gate[0], &byte, 1) != 1) {
            _exit(1);
        }
        work(letter);
        _exit(0);
    }
    return id;
}

/* Lets `count` children come to the gate, then opens it while nobody but us can run. */
static void open_gate(int count) {
    usleep(100000);
    if (write(gate[1], "12345678", (size_t)count) != count) {
        printf("no gate\n");
    }
}

static void come(char letter) {
    note(letter);
}

static void stay(char letter) {
    note(letter);
    spin(0.25);
    note(letter);
}

static void take_turns(char letter) {
    for (int i = 0; i < 3; ++i) {
        note(letter);
        sched_yield();
    }
}

static void until_told(char letter) {
    (void)letter;
    while (!logged->stop) {
        ++logged->spins;
    }
}

static void wake_in_between(char letter) {
    note(letter);
    usleep(60000);
    note(letter);
}

static void step_down(char letter) {
    note(letter);
    set(0, SCHED_RR, 7);
    note(letter);
}

static void wait_all(void) {
    while (wait(NULL) > 0) {
    }
}

/* Above all that start() starts, on the one processor of theirs. */
static void urgent_on_one_cpu(void) {
    cpu_set_t first;
    CPU_ZERO(&first);
    CPU_SET(0, &first);
    sched_setaffinity(0, sizeof first, &first);
    if (pipe(gate) != 0 || set(0, SCHED_FIFO, 50) != 0) {
        printf("no order\n");
    }
}

static void order(void) {
    urgent_on_one_cpu();
    start(SCHED_FIFO, 10, come, 'c');
    start(SCHED_FIFO, 30, come, 'a');
    start(SCHED_RR, 20, come, 'b');
    start(SCHED_OTHER, 0, come, 'd');
    open_gate(4);
    wait_all();
    say_order("by priority");

    start(SCHED_FIFO, 10, stay, 'a');
    start(SCHED_FIFO, 10, stay, 'b');
    open_gate(2);
    wait_all();
    printf("equals, first in, first out: %s\n",
           logged->words[0] == logged->words[1] && logged->words[2] == logged->words[3] ? "one by one"
                                                                                        : logged->words);
    memset(logged, 0, sizeof *logged);

    start(SCHED_RR, 10, stay, 'a');
    start(SCHED_RR, 10, stay, 'b');
    open_gate(2);
    wait_all();
    printf("equals in turns: %s\n", logged->words[0] != logged->words[1] ? "by turns" : logged->words);
    memset(logged, 0, sizeof *logged);

    start(SCHED_FIFO, 10, take_turns, 'a');
    start(SCHED_FIFO, 10, take_turns, 'a' + 1);
    open_gate(2);
    wait_all();
    printf("who yields: %s\n", strcmp(logged->words, "ababab") == 0 || strcmp(logged->words, "bababa") == 0
                                   ? "by turns"
                                   : logged->words);
    memset(logged, 0, sizeof *logged);

    start(SCHED_FIFO, 10, stay, 's');
    start(SCHED_FIFO, 20, wake_in_between, 'w');
    open_gate(2);
    wait_all();
    say_order("a sleeper before one that computes");

    start(SCHED_FIFO, 20, wake_in_between, 'w');
    start(SCHED_FIFO, 10, stay, 's');
    const pid_t last = start(SCHED_OTHER, 0, come, 'o');
    open_gate(3);
    usleep(100000);
    say("raised meanwhile", set(last, SCHED_RR, 15));
    wait_all();
    say_order("raised");

    const pid_t spinner = start(SCHED_FIFO, 10, stay, 's');
    start(SCHED_FIFO, 8, come, 'o');
    open_gate(2);
    usleep(100000);
    say("lowered meanwhile", set(spinner, SCHED_OTHER, 0));
    wait_all();
    say_order("lowered");

    start(SCHED_FIFO, 10, step_down, 's');
    start(SCHED_FIFO, 8, come, 'o');
    open_gate(2);
    wait_all();
    say_order("lowered by itself");
}

/* One that never waits leaves a little to all others. */

static void something_for_others(void) {
    urgent_on_one_cpu();
    start(SCHED_OTHER, 0, until_told, 'o');
    open_gate(1);
    usleep(20000);
    const unsigned long before = logged->spins;
    const double began = now();
    while (logged->spins == before && now() < began + 20) {
        spin(0.1);
    }
    const double took = now() - began;
    printf("others came: %s, at once: %s\n", logged->spins != before ? "yes" : "no",
           took < 0.3 ? "yes" : "no");
    logged->stop = 1;
    set(0, SCHED_OTHER, 0);
    wait_all();
}

int main(void) {
    logged = mmap(NULL, sizeof *logged, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    /* Whoever runs this may be nice already. */
    setpriority(PRIO_PROCESS, 0, 0);
    bounds();
    mistakes();
    runs(changes);
    runs(attributes);
    runs(unprivileged);
    runs(threads);
    runs(order);
    runs(something_for_others);
    return 0;
}
