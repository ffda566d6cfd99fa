/* System V semaphores: operations that are done whole or not at all, waiting, undoing, and all of semctl.
 * SPDX-License-Identifier: MIT */
#include "say.h"

#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <time.h>

static const key_t key = 0x70617262;

static int made(int count) {
    return semget(IPC_PRIVATE, count, 0600);
}

static long operate(int id, int index, int amount, int flags) {
    struct sembuf operation = {(unsigned short)index, (short)amount, (short)flags};
    return semop(id, &operation, 1);
}

static void values(const char* what, int id, int count) {
    unsigned short all[16];
    if (semctl(id, 0, GETALL, all) == -1) {
        say(what, -1);
        return;
    }
    printf("%s:", what);
    for (int i = 0; i < count; ++i) {
        printf(" %d", all[i]);
    }
    printf("\n");
}

static void keys(void) {
    say("no key, not made", semget(key, 1, 0600));
    say("none", semget(key, 0, IPC_CREAT | 0600));
    say("fewer than none", semget(key, -1, IPC_CREAT | 0600));
    say("too many", semget(key, 32001, IPC_CREAT | 0600));
    const int id = semget(key, 3, IPC_CREAT | IPC_EXCL | 0640);
    say_done("made", id);
    say("made again", semget(key, 3, IPC_CREAT | IPC_EXCL | 0600));
    say("found", semget(key, 0, 0) == id);
    say("found with its count", semget(key, 3, IPC_CREAT) == id);
    say("more than it has", semget(key, 4, 0600));
    struct semid_ds facts;
    memset(&facts, 0x55, sizeof facts);
    say("stat", semctl(id, 0, IPC_STAT, &facts));
    printf("%lu semaphores, mode %o, key %d, operated %ld, users %d %d %d %d\n", facts.sem_nsems,
           facts.sem_perm.mode, facts.sem_perm.__key == key, facts.sem_otime, facts.sem_perm.uid,
           facts.sem_perm.gid, facts.sem_perm.cuid, facts.sem_perm.cgid);
    facts.sem_perm.mode = 07444;
    facts.sem_perm.uid = 12;
    say("set", semctl(id, 0, IPC_SET, &facts));
    facts.sem_perm.uid = -1U;
    say("set to nobody", semctl(id, 0, IPC_SET, &facts));
    semctl(id, 0, IPC_STAT, &facts);
    printf("mode %o, user %d, maker %d\n", facts.sem_perm.mode, facts.sem_perm.uid, facts.sem_perm.cuid);
    say("no such command", semctl(id, 0, 77, &facts));
    say("wild", semctl(id, 0, IPC_STAT, (void*)8));
    say("wild values", semctl(id, 0, GETALL, (void*)8));
    say("wild to set", semctl(id, 0, SETALL, (void*)8));
    say("below", semctl(-1, 0, IPC_STAT, &facts));
    say("no such set", semctl(id + (1 << 15), 0, IPC_STAT, &facts));
    say("removed", semctl(id, 0, IPC_RMID));
    say("removed again", semctl(id, 0, IPC_RMID));
    say("operated after it", operate(id, 0, 1, 0));
    say("key after it", semget(key, 0, 0));
}

static void single(void) {
    const int id = made(3);
    say("value", semctl(id, 1, GETVAL));
    say("who", semctl(id, 1, GETPID));
    say("set", semctl(id, 1, SETVAL, 5));
    say("value", semctl(id, 1, GETVAL));
    say("who is this", semctl(id, 1, GETPID) == getpid());
    say("set too far", semctl(id, 1, SETVAL, 32768));
    say("set below", semctl(id, 1, SETVAL, -1));
    say("set of none", semctl(id, 3, SETVAL, 1));
    say("set too far of none", semctl(id, 3, SETVAL, 40000));
    say("value of none", semctl(id, 3, GETVAL));
    say("value below", semctl(id, -1, GETVAL));
    say("taken", operate(id, 1, -5, 0));
    say("not taken", operate(id, 1, -1, IPC_NOWAIT));
    say("is empty", operate(id, 1, 0, IPC_NOWAIT));
    say("given", operate(id, 1, 32767, 0));
    say("given too much", operate(id, 1, 1, 0));
    say("is not empty", operate(id, 1, 0, IPC_NOWAIT));
    say("no such", operate(id, 3, 1, 0));
    say("far", operate(id, 65535, 1, 0));
    struct sembuf some[2] = {{0, 1, 0}, {0, -1, 0}};
    say("nothing to do", semop(id, some, 0));
    say("too much to do", semop(id, some, 501));
    say("wild", semop(id, (void*)8, 1));
    say("no such set", semop(-1, some, 1));
    unsigned short all[3] = {1, 2, 40000};
    say("all too far", semctl(id, 0, SETALL, all));
    values("values", id, 3);
    all[2] = 7;
    say("all", semctl(id, 0, SETALL, all));
    values("values", id, 3);
    struct semid_ds facts;
    semctl(id, 0, IPC_STAT, &facts);
    say("operated at some time", facts.sem_otime != 0 && facts.sem_ctime != 0);
    semctl(id, 0, IPC_RMID);
}

static void several(void) {
    const int id = made(3);
    struct sembuf all[] = {{0, 1, 0}, {1, 2, 0}, {0, -1, 0}, {2, 0, 0}, {2, 3, 0}};
    say("several", semop(id, all, 5));
    values("values", id, 3);
    struct sembuf last[] = {{0, 4, 0}, {1, -1, 0}, {2, 0, IPC_NOWAIT}};
    say("last fails", semop(id, last, 3));
    values("values", id, 3);
    struct sembuf first[] = {{0, -1, IPC_NOWAIT}, {0, 1, 0}};
    say("in order", semop(id, first, 2));
    struct sembuf far[] = {{1, 1, 0}, {2, 32767, 0}};
    say("one too far", semop(id, far, 2));
    values("values", id, 3);
    struct sembuf up_down[] = {{0, 5, 0}, {0, -5, 0}, {0, 0, IPC_NOWAIT}};
    say("up and down", semop(id, up_down, 3));
    static struct sembuf many[500];
    for (int i = 0; i < 500; ++i) {
        many[i] = (struct sembuf){(unsigned short)(i % 3), 1, 0};
    }
    say("many", semop(id, many, 500));
    values("values", id, 3);
    semctl(id, 0, IPC_RMID);
}

static void on_signal(int signal) {
    (void)signal;
}

static void timed(void) {
    const int id = made(1);
    struct sembuf take = {0, -1, 0}, nothing = {0, 0, 0};
    struct timespec span = {0, 20000000}, odd = {0, 1000000000}, below = {-1, 0};
    say("in time", semtimedop(id, &nothing, 1, &span));
    say("not in time", semtimedop(id, &take, 1, &span));
    say("odd time", semtimedop(id, &nothing, 1, &odd));
    say("time below", semtimedop(id, &nothing, 1, &below));
    say("wild time", semtimedop(id, &nothing, 1, (void*)8));
    say("odd time of no set", semtimedop(-1, &nothing, 1, &odd));
    say("odd time, too much", semtimedop(id, &nothing, 501, &odd));
    say("odd time, wild", semtimedop(id, (void*)8, 1, &odd));
    say("odd time, no such", semtimedop(id + 1, &nothing, 1, &odd));
    span.tv_nsec = 0;
    say("no time", semtimedop(id, &take, 1, &span));
    operate(id, 0, 1, 0);
    say("at once", semtimedop(id, &take, 1, NULL));
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    /* Again and again: the first may come before the wait. */
    const struct itimerspec often = {{0, 30000000}, {0, 30000000}}, never = {{0, 0}, {0, 0}};
    timer_t timer;
    timer_create(CLOCK_MONOTONIC, NULL, &timer);
    timer_settime(timer, 0, &often, NULL);
    say("a signal", semop(id, &take, 1));
    span.tv_sec = 100;
    say("a signal, with a time", semtimedop(id, &take, 1, &span));
    timer_settime(timer, 0, &never, NULL);
    semctl(id, 0, IPC_RMID);
}

static void until(int id, int index, int command, int wanted) {
    while (semctl(id, index, command) != wanted) {
        usleep(1000);
    }
}

static void waiting(void) {
    const int id = made(3);
    semctl(id, 2, SETVAL, 1);
    pid_t children[4];
    static const struct sembuf wishes[4][2] = {
        {{0, -2, 0}, {1, 1, 0}}, {{0, -1, 0}, {1, 10, 0}}, {{2, 0, 0}, {1, 100, 0}}, {{1, 0, 0}, {0, -9, 0}}};
    for (int i = 0; i < 4; ++i) {
        fflush(stdout);
        children[i] = fork();
        if (children[i] == 0) {
            _exit(semop(id, (struct sembuf*)wishes[i], 2) == 0 ? 0 : errno);
        }
        until(id, i < 2 ? 0 : i == 2 ? 2 : 0, i == 2 ? GETZCNT : GETNCNT, i < 2 ? i + 1 : i == 2 ? 1 : 3);
    }
    printf("waiting: %d %d %d for more, %d %d %d for none\n", semctl(id, 0, GETNCNT), semctl(id, 1, GETNCNT),
           semctl(id, 2, GETNCNT), semctl(id, 0, GETZCNT), semctl(id, 1, GETZCNT), semctl(id, 2, GETZCNT));
    int status;
    say("one more", operate(id, 0, 1, 0));
    say("goes on", waitpid(children[1], &status, 0) == children[1] ? status : -1);
    values("values", id, 3);
    say("last", semctl(id, 1, GETPID) == children[1]);
    say("emptied", semctl(id, 2, SETVAL, 0));
    say("goes on", waitpid(children[2], &status, 0) == children[2] ? status : -1);
    values("values", id, 3);
    printf("waiting: %d %d %d for more, %d %d %d for none\n", semctl(id, 0, GETNCNT), semctl(id, 1, GETNCNT),
           semctl(id, 2, GETNCNT), semctl(id, 0, GETZCNT), semctl(id, 1, GETZCNT), semctl(id, 2, GETZCNT));
    unsigned short all[3] = {2, 5, 0};
    say("all", semctl(id, 0, SETALL, all));
    say("goes on", waitpid(children[0], &status, 0) == children[0] ? status : -1);
    values("values", id, 3);
    say("removed", semctl(id, 0, IPC_RMID));
    waitpid(children[3], &status, 0);
    say("told of the removal", WEXITSTATUS(status) == EIDRM);
}

/* Who waited first goes first, and gets it though the giver takes at once again. */
static void handed_over(void) {
    const int id = made(1);
    int ends[2];
    pipe(ends);
    for (int i = 0; i < 3; ++i) {
        if (fork() == 0) {
            operate(id, 0, -1, 0);
            const char name = (char)('a' + i);
            write(ends[1], &name, 1);
            _exit(0);
        }
        until(id, 0, GETNCNT, i + 1);
    }
    for (int i = 0; i < 3; ++i) {
        operate(id, 0, 1, 0);
        say("taken back", operate(id, 0, -1, IPC_NOWAIT));
        char name;
        read(ends[0], &name, 1);
        printf("went on: %c\n", name);
        wait(NULL);
    }
    close(ends[0]);
    close(ends[1]);
    semctl(id, 0, IPC_RMID);
}

static void in_child(int id, const struct sembuf* operations, size_t count) {
    fflush(stdout);
    if (fork() == 0) {
        say("  child", semop(id, (struct sembuf*)operations, count));
        values("  in it", id, 2);
        fflush(stdout);
        _exit(0);
    }
    int status;
    wait(&status);
    values("after it", id, 2);
}

static void undone(void) {
    const int id = made(2);
    unsigned short all[2] = {5, 5};
    semctl(id, 0, SETALL, all);
    const struct sembuf taken[] = {{0, -3, SEM_UNDO}, {1, -1, 0}};
    in_child(id, taken, 2);
    const struct sembuf given[] = {{0, 3, SEM_UNDO}, {1, 2, SEM_UNDO}};
    in_child(id, given, 2);
    fflush(stdout);
    /* What is set meanwhile is not undone. */
    if (fork() == 0) {
        operate(id, 0, 1, SEM_UNDO);
        operate(id, 1, 1, SEM_UNDO);
        semctl(id, 0, SETVAL, 9);
        _exit(0);
    }
    wait(NULL);
    values("after a set", id, 2);
    /* It does not go below none, nor too far. */
    if (fork() == 0) {
        operate(id, 0, 3, SEM_UNDO);
        operate(id, 1, -3, SEM_UNDO);
        operate(id, 0, -10, 0);
        operate(id, 1, 32765, 0);
        _exit(0);
    }
    wait(NULL);
    values("at the ends", id, 2);
    /* A killed process gives back, and who waits goes on. */
    all[0] = 1;
    semctl(id, 0, SETALL, all);
    const pid_t holder = fork();
    if (holder == 0) {
        operate(id, 0, -1, SEM_UNDO);
        pause();
    }
    until(id, 0, GETVAL, 0);
    const pid_t waiter = fork();
    if (waiter == 0) {
        _exit(operate(id, 0, -1, 0) == 0 ? 0 : 1);
    }
    until(id, 0, GETNCNT, 1);
    kill(holder, SIGKILL);
    int status;
    waitpid(waiter, &status, 0);
    say("the waiter went on", status);
    waitpid(holder, &status, 0);
    say("last is the waiter", semctl(id, 0, GETPID) == waiter);
    /* A child's end undoes nothing of its parent's. */
    fflush(stdout);
    if (fork() == 0) {
        operate(id, 0, 4, SEM_UNDO);
        if (fork() == 0) {
            _exit(0);
        }
        wait(NULL);
        values("a grandchild's end", id, 2);
        fflush(stdout);
        _exit(0);
    }
    wait(NULL);
    values("the child's end", id, 2);
    fflush(stdout);
    /* Too much to undo. */
    if (fork() == 0) {
        semctl(id, 0, SETVAL, 0);
        say("far", operate(id, 0, 32767, SEM_UNDO));
        say("down", operate(id, 0, -1, 0));
        say("farther", operate(id, 0, 1, SEM_UNDO));
        say("down", operate(id, 0, -2, 0));
        say("too far", operate(id, 0, 1, SEM_UNDO));
        values("values", id, 2);
        fflush(stdout);
        semctl(id, 0, IPC_RMID);
        _exit(0);
    }
    wait(NULL);
    say("removed by the child", semctl(id, 0, IPC_RMID));
}

static void rights(void) {
    const int id = semget(IPC_PRIVATE, 2, 0640);
    struct semid_ds facts;
    unsigned short all[2] = {1, 1};
    semctl(id, 0, IPC_STAT, &facts);
    facts.sem_perm.gid = 1000;
    semctl(id, 0, IPC_SET, &facts);
    for (int in_group = 1; in_group >= 0; --in_group) {
        fflush(stdout);
        if (fork() == 0) {
            setgroups(0, NULL);
            setgid(in_group ? 1000 : 2000);
            setuid(1000);
            printf("in its group: %d\n", in_group);
            say("look", semctl(id, 0, IPC_STAT, &facts));
            say("value", semctl(id, 0, GETVAL));
            say("value of none", semctl(id, 9, GETVAL));
            say("values", semctl(id, 0, GETALL, all));
            say("set", semctl(id, 0, SETVAL, 1));
            say("set of none", semctl(id, 9, SETVAL, 1));
            say("set too far", semctl(id, 0, SETVAL, 40000));
            say("set all", semctl(id, 0, SETALL, all));
            say("wait for none", operate(id, 0, 0, IPC_NOWAIT));
            say("give", operate(id, 0, 1, 0));
            say("give to none", operate(id, 9, 1, 0));
            say("change", semctl(id, 0, IPC_SET, &facts));
            say("remove", semctl(id, 0, IPC_RMID));
            fflush(stdout);
            _exit(0);
        }
        wait(NULL);
    }
    semctl(id, 0, IPC_RMID);
}

/* Random operations of one process: what they answer and leave. */
enum { SEQUENCES = 120, STEPS = 25 };

static uint32_t state;

static uint32_t pick(uint32_t below) {
    state = state * 1664525 + 1013904223;
    return (state >> 8) % below;
}

static void sequence(int id) {
    for (int i = 0; i < STEPS; ++i) {
        struct sembuf all[4];
        const size_t count = 1 + pick(4);
        for (size_t j = 0; j < count; ++j) {
            const int large = pick(12) == 0;
            all[j].sem_num = (unsigned short)pick(pick(20) == 0 ? 6 : 4);
            all[j].sem_op = (short)(large ? (int)pick(65536) - 32768 : (int)pick(7) - 3);
            all[j].sem_flg = (short)(IPC_NOWAIT | (pick(3) == 0 ? SEM_UNDO : 0));
        }
        const long result =
            pick(10) == 0 ? semctl(id, (int)pick(5), SETVAL, (int)pick(5)) : semop(id, all, count);
        printf(" %s", result == -1 ? strerrorname_np(errno) : "-");
    }
    values("\n then", id, 4);
}

static void sequences(void) {
    for (uint32_t seed = 1; seed <= SEQUENCES; ++seed) {
        const int id = made(4);
        printf("sequence %u:", seed);
        fflush(stdout);
        if (fork() == 0) {
            state = seed;
            sequence(id);
            fflush(stdout);
            _exit(0);
        }
        wait(NULL);
        values(" undone", id, 4);
        semctl(id, 0, IPC_RMID);
    }
}

int main(void) {
    keys();
    single();
    several();
    timed();
    waiting();
    handed_over();
    undone();
    rights();
    sequences();
    return 0;
}
