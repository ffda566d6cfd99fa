/* /init of our images: mounts what programs expect, runs one command on the console, and powers off with its
 * status. */
/* SPDX-License-Identifier: MIT */
/* Runs on Linux and on our kernel. Here nothing may fail for what a kernel lacks: the command is what counts.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "console.h"
#include "paravane/image.h"
#include "start.h"

enum { NOT_RUNNABLE = 126, NOT_FOUND = 127 };

static void mount_usual(void) {
    static const struct {
        const char *type, *place, *options;
        unsigned long flags;
    } usual[] = {
        {"devtmpfs", "/dev", "mode=0755", MS_NOSUID},
        {"proc", "/proc", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC},
        {"sysfs", "/sys", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC},
        {"devpts", "/dev/pts", "gid=5,mode=620,ptmxmode=666", MS_NOSUID | MS_NOEXEC},
        {"tmpfs", "/dev/shm", "mode=1777", MS_NOSUID | MS_NODEV},
    };

    for (size_t i = 0; i < sizeof usual / sizeof usual[0]; ++i) {
        mkdir(usual[i].place, 0755);
        (void)mount(usual[i].type, usual[i].place, usual[i].type, usual[i].flags, usual[i].options);
    }
    (void)symlink("/proc/self/fd", "/dev/fd");
    (void)symlink("/proc/self/fd/0", "/dev/stdin");
    (void)symlink("/proc/self/fd/1", "/dev/stdout");
    (void)symlink("/proc/self/fd/2", "/dev/stderr");
}

/* In the child: becomes the command. */
static _Noreturn void run_command(const struct start* start, int console, int input, int output) {
    setpgid(0, 0);
    if (start->input == INPUT_TERMINAL) {
        tcsetpgrp(console, getpid());
    }
    signal(SIGTTOU, SIG_DFL);
    dup2(input, STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    if (start->directory != NULL && chdir(start->directory) != 0) {
        fprintf(stderr, "paravane: %s: %s\n", start->directory, strerror(errno));
    }
    static const char line[] = "\n" PV_IMAGE_STARTING "\n";
    put(console, line, sizeof line - 1);
    execvp(start->command[0], start->command);
    const int problem = errno;
    fprintf(stderr, "paravane: %s: %s\n", start->command[0], strerror(problem));
    _exit(problem == ENOENT ? NOT_FOUND : NOT_RUNNABLE);
}

static int status_of(int ended) {
    return WIFEXITED(ended) ? WEXITSTATUS(ended) : 128 + WTERMSIG(ended);
}

/* Reaps whatever ends until `command` does. With a pipe for the output, carries it meanwhile. */
static int wait_for(pid_t command, int output, int console) {
    for (;;) {
        int ended = 0;
        const pid_t gone = waitpid(-1, &ended, output < 0 ? 0 : WNOHANG);
        if (gone == command) {
            while (output >= 0 && relay_output(output, console, 0) == 1) {
            }
            return status_of(ended);
        }
        if (gone < 0 && errno != EINTR) {
            return NOT_RUNNABLE; /* cannot be: the command is ours to wait for */
        }
        if (gone == 0 && relay_output(output, console, 50) == 0) {
            output = -1; /* nobody can write any more: only the end is to come */
        }
    }
}

static pid_t start_command(const struct start* start, int console, int* output) {
    int from_console[2] = {-1, -1};
    int to_console[2] = {-1, -1};
    int input = console;
    if (start->input == INPUT_NONE) {
        input = open("/dev/null", O_RDWR | O_CLOEXEC);
    } else if (start->input == INPUT_PIPE && pipe2(from_console, O_CLOEXEC) == 0) {
        input = from_console[0];
        if (fork() == 0) {
            close(from_console[0]);
            relay_input(console, from_console[1]);
        }
        close(from_console[1]);
    }
    if (start->output_is_pipe && pipe2(to_console, O_CLOEXEC) != 0) {
        to_console[0] = to_console[1] = -1;
    }
    const pid_t child = fork();
    if (child == 0) {
        run_command(start, console, input, to_console[1] < 0 ? console : to_console[1]);
    }
    if (input != console) {
        close(input);
    }
    if (to_console[1] >= 0) {
        close(to_console[1]);
    }
    *output = to_console[0];
    return child;
}

/* The status last of all, then the power. Our kernel has no reboot(): there /init's own status is the
 * machine's. */
static _Noreturn void power_off(int console, int status) {
    char line[128];
    if (getpid() == 1) {
        kill(-1, SIGKILL);
        while (waitpid(-1, NULL, WNOHANG) > 0) {
        }
    }
    const int length = snprintf(line, sizeof line, PV_IMAGE_END "\n" PV_IMAGE_STATUS "%d\n", status);
    put(console, line, (size_t)length);
    tcdrain(console);
    sync();
    if (getpid() == 1) {
        reboot(RB_POWER_OFF);
    }
    _exit(status);
}

int main(int count, char** words) {
    struct start start;
    /* A kernel that gives /init no descriptors gives it a console all the same. */
    while (fcntl(STDERR_FILENO, F_GETFD) < 0 && open("/dev/console", O_RDWR) >= 0) {
    }
    signal(SIGPIPE, SIG_DFL);
    setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
    setenv("HOME", "/root", 1);
    mount_usual();
    read_start(&start);
    if (count > 1) {
        start.command = words + 1;
        start.words = count - 1;
    }
    int console = open_console();
    if (console < 0) {
        console = STDOUT_FILENO;
    }
    /* The session is ours, not the command's: when a session's leader ends, its terminal is hung up, and what
     * was printed last would be lost with it. Who reads the terminal is in the foreground: the command, or,
     * with a pipe, our relay. */
    signal(SIGTTOU, SIG_IGN);
    setsid();
    ioctl(console, TIOCSCTTY, 1);
    set_console(console, &start);
    if (start.command == NULL) {
        fprintf(stderr, "paravane: there is no command to start: %s is missing or empty\n",
                PV_IMAGE_RECIPE_START);
        power_off(console, NOT_FOUND);
    }
    int output = -1;
    const pid_t command = start_command(&start, console, &output);
    if (command < 0) {
        fprintf(stderr, "paravane: no process for %s: %s\n", start.command[0], strerror(errno));
        power_off(console, NOT_RUNNABLE);
    }
    power_off(console, wait_for(command, output, console));
}
