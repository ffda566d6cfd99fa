/* What is outside the root of a program, and in its hands all the same: a descriptor, a directory that
 * somebody moves out of the root, another process's links. Linux goes on from there, ours does not (LEDGER
 * O5).
 * SPDX-License-Identifier: MIT */
#include "places.h"

#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

static const char* const up = "../../../../../..";

static void shut_in(void) {
    char path[128];
    snprintf(path, sizeof path, "%s/shut", base);
    say("shut in", chroot(path));
    say("into it", chdir("/"));
}

/* The old way out: a directory kept, a root below it, and up. */
static void old_way(int outside) {
    struct stat found;
    leads(outside, "..");
    leads(outside, "../..");
    leads(outside, "../outside/secret");
    say("into what was kept", fchdir(outside));
    leads(AT_FDCWD, "..");
    say("up", chdir(".."));
    say("a root there", chroot(".."));
    say_place("the root", stat("/", &found), &found);
    say("back", chdir("/"));
    const int own = open(".", O_RDONLY | O_DIRECTORY);
    say("a root below", chroot("a"));
    say("what was the root", fchdir(own));
    leads(AT_FDCWD, "..");
    leads(AT_FDCWD, up);
    say("a root above", chroot(".."));
    leads(AT_FDCWD, "/..");
    close(own);
}

static void links_of_others(int proc) {
    char path[64];
    struct stat found;
    snprintf(path, sizeof path, "%d/root/tmp", getppid());
    say_place("the parent's root", fstatat(proc, path, &found, 0), &found);
    snprintf(path, sizeof path, "%d/cwd/tmp", getppid());
    say_place("the parent's directory", fstatat(proc, path, &found, 0), &found);
}

/* Moves a directory out of the root and back. */
static void move(const char* in, const char* out, int count) {
    for (int i = 0; i < count; ++i) {
        rename(in, out);
        sched_yield();
        rename(out, in);
    }
}

int main(void) {
    enum { MOVES = 300, DOTS = 400 };

    make_places();
    chdir("/");
    char in[128];
    char out[128];
    snprintf(in, sizeof in, "%s/shut/a/b/c", base);
    snprintf(out, sizeof out, "%s/outside", base);
    const int outside = open(out, O_RDONLY | O_DIRECTORY);
    const int proc = open("/proc", O_RDONLY | O_DIRECTORY);
    snprintf(out, sizeof out, "%s/outside/c", base);
    pid_t id = fork();
    if (id == 0) {
        shut_in();
        links_of_others(proc);
        old_way(outside);
        fflush(stdout);
        _exit(0);
    }
    waitpid(id, NULL, 0);
    /* Somebody stands in what is moved away. */
    int word[2];
    int answer[2];
    char byte = 0;
    (void)!pipe(word);
    (void)!pipe(answer);
    fflush(stdout);
    id = fork();
    if (id == 0) {
        shut_in();
        chdir("/a/b/c");
        leads(AT_FDCWD, "..");
        (void)!write(answer[1], "x", 1);
        (void)!read(word[0], &byte, 1);
        leads(AT_FDCWD, ".");
        leads(AT_FDCWD, "..");
        leads(AT_FDCWD, up);
        leads(AT_FDCWD, "/a/b/c");
        _exit(0);
    }
    (void)!read(answer[0], &byte, 1);
    say("moved away", rename(in, out));
    (void)!write(word[1], "x", 1);
    waitpid(id, NULL, 0);
    say("moved back", rename(out, in));
    /* All the while. */
    const pid_t mover = fork();
    if (mover == 0) {
        move(in, out, MOVES);
        _exit(0);
    }
    id = fork();
    if (id == 0) {
        char path[2 * DOTS + 64];
        int at = snprintf(path, sizeof path, "/a/b/c/");
        for (int i = 0; i < DOTS; ++i) {
            at += snprintf(path + at, sizeof path - (size_t)at, "./");
        }
        snprintf(path + at, sizeof path - (size_t)at, "%s", up);
        shut_in();
        long found_root = 0;
        long elsewhere = 0;
        while (kill(mover, 0) == 0) {
            for (int i = 0; i < 20; ++i) {
                struct stat found;
                if (stat(path, &found) == 0) {
                    found_root += place_of(&found) == ROOT;
                    elsewhere += place_of(&found) != ROOT;
                }
            }
        }
        printf("while it moves: the root: %s, elsewhere: %ld\n", found_root != 0 ? "yes" : "NO", elsewhere);
        fflush(stdout);
        _exit(0);
    }
    waitpid(mover, NULL, 0);
    waitpid(id, NULL, 0);
    return 0;
}
