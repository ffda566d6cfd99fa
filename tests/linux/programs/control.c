/* prctl, vectored reads and writes with wishes, the older getdents, and a thread's number in /proc.
 *
 * SPDX-License-Identifier: MIT */
#include "say.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>

static void flags(void) {
    say("keeps capabilities", prctl(PR_GET_KEEPCAPS));
    say("to keep them", prctl(PR_SET_KEEPCAPS, 1));
    say("keeps them", prctl(PR_GET_KEEPCAPS));
    say("to keep them twice", prctl(PR_SET_KEEPCAPS, 2));
    prctl(PR_SET_KEEPCAPS, 0);
    say("bounding set", prctl(PR_CAPBSET_READ, 5));
    say("beyond it", prctl(PR_CAPBSET_READ, 63));
    say("ambient", prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, 5, 0, 0));
    say("ambient cleared", prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0));
    say("ambient, odd", prctl(PR_CAP_AMBIENT, 99, 0, 0, 0));
    say("ambient, beyond", prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, 63, 0, 0));
    say("securebits", prctl(PR_GET_SECUREBITS));
    say("slack", prctl(PR_GET_TIMERSLACK));
    say("slack set", prctl(PR_SET_TIMERSLACK, 1000));
    say("slack now", prctl(PR_GET_TIMERSLACK));
    say("slack as usual", prctl(PR_SET_TIMERSLACK, 0));
    say("slack then", prctl(PR_GET_TIMERSLACK));
    say("unknown", prctl(1234567));
    fflush(stdout);
    if (fork() == 0) {
        say("dropped", prctl(PR_CAPBSET_DROP, 5));
        say("without it", prctl(PR_CAPBSET_READ, 5));
        say("with another", prctl(PR_CAPBSET_READ, 6));
        if (setuid(77) != 0) {
            _exit(1);
        }
        say("dropped by another", prctl(PR_CAPBSET_DROP, 6));
        _exit(0);
    }
    int status = 0;
    wait(&status);
    say("child", status);
    say("here", prctl(PR_CAPBSET_READ, 5));
}

static void parents(void) {
    int told = -1;
    say("signal at the parent's end", prctl(PR_GET_PDEATHSIG, &told));
    say("none", told);
    say("no signal", prctl(PR_SET_PDEATHSIG, 65));
    int pipe_ends[2];
    if (pipe(pipe_ends) != 0) {
        exit(1);
    }
    fflush(stdout);
    int status = 0;
    if (fork() == 0) {
        if (fork() == 0) {
            /* The grandchild ends by the signal, and its end of the pipe with it. */
            prctl(PR_SET_PDEATHSIG, SIGTERM);
            if (write(pipe_ends[1], "x", 1) == 1) {
                sleep(5);
            }
            _exit(write(pipe_ends[1], "late", 4) != 4);
        }
        char one;
        if (read(pipe_ends[0], &one, 1) != 1) {
            _exit(1);
        }
        _exit(0);
    }
    close(pipe_ends[1]);
    wait(&status);
    char one;
    say("nobody holds the pipe", read(pipe_ends[0], &one, 1));
    close(pipe_ends[0]);

    say("subreaper", prctl(PR_SET_CHILD_SUBREAPER, 1));
    say("is it", prctl(PR_GET_CHILD_SUBREAPER, &told) + told);
    if (fork() == 0) {
        if (fork() == 0) {
            while (getppid() != (pid_t)getpgrp() && getppid() != 1) {
                usleep(1000);
            }
            _exit(7);
        }
        _exit(0);
    }
    for (int i = 0; i < 2; ++i) {
        wait(&status);
        say("a child's or an orphan's end", WEXITSTATUS(status));
    }
    say("no more", wait(&status));
    prctl(PR_SET_CHILD_SUBREAPER, 0);
}

static void vectors(void) {
    int file = memfd_create("file", 0);
    char text[] = "0123456789", room[8] = "";
    struct iovec out = {text, 10}, in = {room, 4};
    say("written", pwritev2(file, &out, 1, 0, RWF_DSYNC));
    say("written where it stands", pwritev2(file, &out, 1, -1, 0));
    say("it stands", lseek(file, 0, SEEK_CUR));
    say("read", preadv2(file, &in, 1, 3, 0));
    say("what", strcmp(room, "3456"));
    lseek(file, 8, SEEK_SET);
    say("read where it stands", preadv2(file, &in, 1, -1, RWF_HIPRI));
    say("what", strcmp(room, "89"));
    say("it stands", lseek(file, 0, SEEK_CUR));
    say("below", preadv2(file, &in, 1, -2, 0));
    say("an unknown wish", preadv2(file, &in, 1, 0, 0x40000000));
    say("no file", preadv2(-1, &in, 1, 0, 0));
    say("range begun", sync_file_range(file, 0, 0, SYNC_FILE_RANGE_WRITE));
    say("range, unknown", sync_file_range(file, 0, 0, 8));
    say("range below", sync_file_range(file, -1, 0, 0));
    int ends[2];
    if (pipe(ends) == 0) {
        say("range of a pipe", sync_file_range(ends[1], 0, 0, SYNC_FILE_RANGE_WRITE));
        say("into a pipe", pwritev2(ends[1], &out, 1, -1, 0));
        say("into a pipe at a place", pwritev2(ends[1], &out, 1, 0, 0));
        say("from a pipe", preadv2(ends[0], &in, 1, -1, 0));
    }
}

static void entries(void) {
    struct linux_dirent {
        unsigned long number, next;
        unsigned short length;
        char name[];
    };

    char room[4096];
    int directory = open("/proc/self/task", O_RDONLY | O_DIRECTORY);
    long count = syscall(SYS_getdents, directory, room, sizeof room);
    int found = 0;
    for (long at = 0; at < count;) {
        struct linux_dirent* entry = (struct linux_dirent*)(room + at);
        char type = room[at + entry->length - 1];
        found += (entry->name[0] == '.' || atoi(entry->name) == getpid()) && type == DT_DIR;
        at += entry->length;
    }
    say("entries", found);
    say("no more", syscall(SYS_getdents, directory, room, sizeof room));
    lseek(directory, 0, SEEK_SET);
    say("no room", syscall(SYS_getdents, directory, room, 8));
    say("wild", syscall(SYS_getdents, directory, (void*)8, 4096));
    say("no directory", syscall(SYS_getdents, 0, room, sizeof room));
}

static void* look(void* unused) {
    (void)unused;
    char path[64], line[128];
    snprintf(path, sizeof path, "/proc/%d/status", gettid());
    FILE* file = fopen(path, "r");
    int own = 0, group = 0;
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "Pid: %d", &own) != 1) {
            sscanf(line, "Tgid: %d", &group);
        }
    }
    say("its own number", own == gettid());
    say("its process's", group == getpid());
    return NULL;
}

int main(void) {
    setpgid(0, 0);
    flags();
    parents();
    vectors();
    entries();
    pthread_t thread;
    if (pthread_create(&thread, NULL, look, NULL) == 0) {
        pthread_join(thread, NULL);
    }
    return 0;
}
