/* Uses up memory and processes; others go on, and afterwards all is as before. Not for a machine that is
 * needed: it does nothing on another kernel than ours.
 * SPDX-License-Identifier: MIT */
#include "say.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>

enum { PAGE = 4096 };

static long free_kib(void) {
    struct sysinfo info;
    sysinfo(&info);
    return (long)(info.freeram * info.mem_unit / 1024);
}

static void grow(const char* name) {
    prctl(PR_SET_NAME, name);
    for (;;) {
        char* p = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED) {
            _exit(1);
        }
        for (int i = 0; i < 64; ++i) {
            p[i * PAGE] = 1;
        }
    }
}

static pid_t start(void (*child)(const char*), const char* name) {
    const pid_t id = fork();
    if (id == 0) {
        child(name);
        _exit(0);
    }
    return id;
}

/* A small one that touches its memory all the time, and tells by its end that it could. */
static void small(const char* name) {
    prctl(PR_SET_NAME, name);
    for (int i = 0; i < 2000; ++i) {
        char* p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        memset(p, i, 4 * PAGE);
        munmap(p, 4 * PAGE);
    }
    _exit(23);
}

static void memory(void) {
    int status = 0;
    const pid_t bystander = start(small, "bystander");
    const pid_t hogs[2] = {start(grow, "hog one"), start(grow, "hog two")};
    for (int i = 0; i < 2; ++i) {
        waitpid(hogs[i], &status, 0);
        printf("hog: signal %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status));
    }
    waitpid(bystander, &status, 0);
    printf("bystander: exit %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
    fflush(stdout);
}

/* A pipe's worth of a call's memory: the kernel copies into a page that is not there yet. */
static void in_a_call(void) {
    int status = 0;
    const pid_t id = fork();
    if (id == 0) {
        int ends[2];
        prctl(PR_SET_NAME, "caller");
        (void)!pipe(ends);
        for (;;) {
            char* p = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            (void)!write(ends[1], "x", 1);
            if (read(ends[0], p, 1) != 1) {
                _exit(9);
            }
            for (int i = 1; i < 16; ++i) {
                (void)!write(ends[1], "x", 1);
                if (read(ends[0], p + i * PAGE, 1) != 1) {
                    _exit(9);
                }
            }
        }
    }
    waitpid(id, &status, 0);
    printf("in a call: signal %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status));
    fflush(stdout);
}

static void processes(void) {
    enum { MOST = 20000 };

    static pid_t ids[MOST];
    int count = 0;
    while (count < MOST && (ids[count] = fork()) > 0) {
        ++count;
    }
    if (count < MOST && ids[count] == 0) {
        pause();
        _exit(0);
    }
    const int error = errno;
    printf("many processes: %s, then %s\n", count > 300 ? "yes" : "NO", strerrorname_np(error));
    for (int i = 0; i < count; ++i) {
        kill(ids[i], SIGKILL);
    }
    int ended = 0;
    while (wait(NULL) > 0) {
        ++ended;
    }
    printf("all ended: %s\n", ended == count ? "yes" : "NO");
    const pid_t id = fork();
    if (id == 0) {
        _exit(0);
    }
    say_done("afterwards", waitpid(id, NULL, 0));
}

static void files(void) {
    static char block[65536];
    FILE* file = fopen("/big", "w");
    if (file == NULL) {
        return;
    }
    setvbuf(file, NULL, _IONBF, 0);
    while (fwrite(block, sizeof block, 1, file) == 1) {
    }
    printf("a file: %s\n", strerrorname_np(errno));
    fclose(file);
    unlink("/big");
    fflush(stdout);
}

static int may_set_a_timer(void) {
    timer_t id;
    struct sigevent silent = {.sigev_notify = SIGEV_NONE};
    return timer_create(CLOCK_MONOTONIC, &silent, &id) == 0;
}

static void timers(void) {
    enum { MOST = 100000 };

    static timer_t ids[MOST];
    struct sigevent silent = {.sigev_notify = SIGEV_NONE};
    int count = 0;
    while (count < MOST && timer_create(CLOCK_MONOTONIC, &silent, &ids[count]) == 0) {
        ++count;
    }
    printf("many timers: %s, then %s\n", count >= 1000 && count < MOST ? "yes" : "NO",
           strerrorname_np(errno));
    int status = 0;
    const pid_t other = fork(); /* has none of them */
    if (other == 0) {
        _exit(may_set_a_timer() ? 0 : 1);
    }
    waitpid(other, &status, 0);
    say_done("a timer of another", status);
    say_done("one is given back", count == 0 ? -1 : timer_delete(ids[count - 1]));
    printf("and may be had: %s\n", may_set_a_timer() ? "yes" : "NO");
    for (int i = 0; i < count - 1; ++i) {
        timer_delete(ids[i]);
    }
}

static void messages(int type, const char* name) {
    enum { MOST = 1000000 };

    static char message[512];
    int ends[2];
    int others[2];
    if (socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, ends) != 0 ||
        socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, others) != 0) {
        return;
    }
    int count = 0;
    while (count < MOST && send(ends[0], message, sizeof message, 0) == sizeof message) {
        ++count;
    }
    printf("%s: %s, then %s\n", name, count > 0 && count < MOST ? "some" : "NO END", strerrorname_np(errno));
    say_done("of others", send(others[0], message, sizeof message, 0) == sizeof message ? 0 : -1);
    int taken = 0;
    while (recv(ends[1], message, sizeof message, 0) == sizeof message) {
        ++taken;
    }
    printf("all arrive: %s\n", taken == count ? "yes" : "NO");
    say_done("and more", send(ends[0], message, sizeof message, 0) == sizeof message ? 0 : -1);
    for (int i = 0; i < 2; ++i) {
        close(ends[i]);
        close(others[i]);
    }
}

int main(void) {
    struct utsname names;
    uname(&names);
    if (strstr(names.version, "paravane") == NULL) {
        printf("for paravane only\n");
        return 0;
    }
    memory();
    in_a_call();
    files();
    timers();
    messages(SOCK_DGRAM, "datagrams");
    messages(SOCK_SEQPACKET, "packets");
    processes();
    memory();
    const long before = free_kib();
    memory();
    processes();

    /* A page of each process would be 4 MiB and more. The last ones may still be on their way, and stacks are
     * kept in stock. */
    enum { FEW_KIB = 2048 };

    long lost = before - free_kib();
    for (int i = 0; i < 50 && lost >= FEW_KIB; ++i) {
        usleep(100000);
        lost = before - free_kib();
    }
    printf("memory is as it was: %s\n", lost < FEW_KIB ? "yes" : "NO");
    if (lost >= FEW_KIB) {
        printf("%ld KiB\n", lost);
    }
    return 0;
}
