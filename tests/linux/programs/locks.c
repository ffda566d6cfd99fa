/* Advisory locks: byte ranges of processes and of open files, whole files, and what ends them.
 * SPDX-License-Identifier: MIT */
#include "say.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

static const char path[] = "/tmp/pv-locks";

static int lock(int file, int command, short type, off_t start, off_t length) {
    struct flock range = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
    return fcntl(file, command, &range);
}

/* What another process finds in its way. */
static void look(int file, const char* what, short type, off_t start, off_t length) {
    fflush(stdout);
    if (fork() == 0) {
        struct flock range = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
        if (fcntl(file, F_GETLK, &range) != 0) {
            say(what, -1);
        } else if (range.l_type == F_UNLCK) {
            printf("%s: free\n", what);
        } else {
            printf("%s: %s from %ld, %ld bytes, %s\n", what, range.l_type == F_RDLCK ? "shared" : "exclusive",
                   (long)range.l_start, (long)range.l_len,
                   range.l_pid == getppid() ? "of the parent"
                   : range.l_pid == -1      ? "of a file"
                                            : "of whom?");
        }
        fflush(stdout);
        _exit(0);
    }
    wait(NULL);
}

/* Many changes at random, each compared with a byte map of what must be held. */
static void randomly(int file) {
    enum { SIZE = 64, TURNS = 3000 };

    static short held[SIZE];
    unsigned seed = 12345;
    int wrong = 0;
    int down[2];
    int up[2];
    for (int i = 0; i < SIZE; ++i) {
        held[i] = F_UNLCK;
    }
    if (pipe(down) != 0 || pipe(up) != 0) {
        return;
    }
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        int at = 0;
        while (read(down[0], &at, sizeof at) == sizeof at && at >= 0) {
            struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};
            (void)!write(up[1], &range.l_type,
                         (size_t)(fcntl(file, F_GETLK, &range) == 0 ? sizeof range.l_type : 1));
        }
        _exit(0);
    }
    for (int turn = 0; turn < TURNS; ++turn) {
        seed = seed * 1103515245 + 12345;
        const int begin = (int)(seed >> 8) % SIZE;
        const int length = 1 + (int)(seed >> 16) % 12;
        const short type = (short)((seed >> 24) % 3);
        if (lock(file, F_SETLK, type, begin, length) != 0) {
            ++wrong;
        }
        for (int i = begin; i < begin + length && i < SIZE; ++i) {
            held[i] = type;
        }
        const int at = (int)(seed >> 4) % SIZE;
        short found = -1;
        if (write(down[1], &at, sizeof at) != sizeof at ||
            read(up[0], &found, sizeof found) != sizeof found || found != held[at]) {
            ++wrong;
        }
    }
    const int end = -1;
    (void)!write(down[1], &end, sizeof end);
    waitpid(child, NULL, 0);
    printf("random changes: %d wrong\n", wrong);
    lock(file, F_SETLK, F_UNLCK, 0, 0);
}

/* Two that wait for each other: one is told. */
static void circle(int file) {
    int ready[2];
    char byte = 0;
    if (pipe(ready) != 0) {
        return;
    }
    lock(file, F_SETLK, F_WRLCK, 0, 1);
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        lock(file, F_SETLK, F_WRLCK, 1, 1);
        (void)!write(ready[1], &byte, 1);
        /* Whoever comes second is told; the other one gets what it wants then. */
        _exit(lock(file, F_SETLKW, F_WRLCK, 0, 1) == 0 ? 0 : errno);
    }
    (void)!read(ready[0], &byte, 1);
    const int own = lock(file, F_SETLKW, F_WRLCK, 1, 1) == 0 ? 0 : errno;
    lock(file, F_SETLK, F_UNLCK, 0, 0);
    int status = 0;
    waitpid(child, &status, 0);
    printf("a circle: %s\n", (own == EDEADLK) != (WEXITSTATUS(status) == EDEADLK) ? "one is told" : "WRONG");
    lock(file, F_SETLK, F_UNLCK, 0, 0);
}

static void nothing(int signal) {
    (void)signal;
}

static void wait_for_lock(int file) {
    fflush(stdout);
    lock(file, F_SETLK, F_WRLCK, 0, 0);
    const pid_t child = fork();
    if (child == 0) {
        say("not at once", lock(file, F_SETLK, F_WRLCK, 0, 1));
        const struct sigaction action = {.sa_handler = nothing};
        sigaction(SIGALRM, &action, NULL);
        alarm(1);
        say("a signal ends the wait", lock(file, F_SETLKW, F_WRLCK, 0, 1));
        kill(getppid(), SIGUSR1);
        say("after a wait", lock(file, F_SETLKW, F_WRLCK, 0, 1));
        _exit(0);
    }
    sigset_t set;
    int got = 0;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigwait(&set, &got);
    lock(file, F_SETLK, F_UNLCK, 0, 0);
    waitpid(child, NULL, 0);
}

int main(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    mkdir("/tmp", 0777);
    unlink(path);
    const int file = open(path, O_RDWR | O_CREAT, 0600);
    const int reader = open(path, O_RDONLY);
    const int other = open(path, O_RDWR);
    say("write lock", lock(file, F_SETLK, F_WRLCK, 10, 20));
    look(file, "inside", F_RDLCK, 15, 1);
    look(file, "before", F_RDLCK, 0, 10);
    look(file, "behind", F_WRLCK, 30, 0);
    say("read lock in the middle", lock(file, F_SETLK, F_RDLCK, 15, 5));
    look(file, "shared by two", F_RDLCK, 15, 5);
    look(file, "shared only", F_WRLCK, 15, 5);
    look(file, "the rest", F_RDLCK, 0, 0);
    say("a hole", lock(file, F_SETLK, F_UNLCK, 12, 2));
    look(file, "in the hole", F_WRLCK, 12, 2);
    say("to the end", lock(file, F_SETLK, F_WRLCK, 100, 0));
    look(file, "far out", F_WRLCK, 1L << 40, 1);
    say("backwards", lock(file, F_SETLK, F_WRLCK, 60, -10));
    look(file, "backwards inside", F_RDLCK, 55, 1);
    say("before the beginning", lock(file, F_SETLK, F_WRLCK, 5, -10));
    say("no such type", lock(file, F_SETLK, 7, 0, 1));
    say("write lock on a reader", lock(reader, F_SETLK, F_WRLCK, 0, 1));
    say("read lock on a reader", lock(reader, F_SETLK, F_RDLCK, 200, 1));
    say("wild pointer", fcntl(file, F_SETLK, 8));
    say("no descriptor", lock(77, F_SETLK, F_WRLCK, 0, 1));
    close(other); /* any close of the file ends all locks of the process */
    look(file, "after a close", F_WRLCK, 0, 0);

    randomly(file);
    circle(file);
    wait_for_lock(file);

    const int one = open(path, O_RDWR);
    const int two = open(path, O_RDWR);
    say("open file locks", lock(one, F_OFD_SETLK, F_WRLCK, 0, 10));
    say("another open file", lock(two, F_OFD_SETLK, F_WRLCK, 5, 10));
    look(file, "of an open file", F_WRLCK, 0, 0);
    const int copy = dup(one);
    close(one);
    say("still held by the copy", lock(two, F_OFD_SETLK, F_WRLCK, 5, 10));
    close(copy);
    say("gone with the last one", lock(two, F_OFD_SETLK, F_WRLCK, 5, 10));
    close(two);

    const int a = open(path, O_RDWR);
    const int b = open(path, O_RDONLY);
    say("flock", flock(a, LOCK_EX));
    say("flock again", flock(a, LOCK_EX | LOCK_NB));
    say("flock of another", flock(b, LOCK_SH | LOCK_NB));
    say("down to shared", flock(a, LOCK_SH));
    say("shared by both", flock(b, LOCK_SH | LOCK_NB));
    say("exclusive now", flock(a, LOCK_EX | LOCK_NB));
    say("unlock", flock(b, LOCK_UN));
    say("exclusive then", flock(a, LOCK_EX | LOCK_NB));
    say("a range beside it", lock(b, F_OFD_SETLK, F_RDLCK, 0, 0));
    say("nonsense", flock(a, 77));
    say("no file", flock(99, LOCK_EX));

    /* A program's locks stay when it becomes another one. */
    lock(file, F_SETLK, F_WRLCK, 0, 1);
    unlink(path);
    return 0;
}
