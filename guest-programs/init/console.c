/* Modes of the console, and what goes to and from it through pipes. */
/* SPDX-License-Identifier: MIT */
#include "console.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

int open_console(void) {
    char names[256];
    char path[300] = "/dev/console";
    const int file = open("/sys/class/tty/console/active", O_RDONLY | O_CLOEXEC);
    if (file >= 0) {
        const ssize_t got = read(file, names, sizeof names - 1);
        if (got > 0) {
            names[got] = '\0';
            names[strcspn(names, "\n")] = '\0';
            /* The last one is where /dev/console leads. */
            const char* last = strrchr(names, ' ');
            snprintf(path, sizeof path, "/dev/%s", last == NULL ? names : last + 1);
        }
        close(file);
    }
    int console = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (console < 0) {
        console = open("/dev/console", O_RDWR | O_NOCTTY | O_CLOEXEC);
    }
    return console;
}

void set_console(int console, const struct start* start) {
    struct termios modes;
    if (tcgetattr(console, &modes) == 0) {
        modes.c_iflag = ICRNL | IXON;
        modes.c_oflag = OPOST | ONLCR;
        modes.c_lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN;
        if (start->output_is_pipe) {
            modes.c_oflag = 0;
        }
        if (start->input != INPUT_TERMINAL) {
            /* Lines only for the end of input, which raw bytes could not say. */
            modes.c_iflag = 0;
            modes.c_lflag = ICANON;
            for (size_t i = 0; i < sizeof modes.c_cc; ++i) {
                if (i != VMIN && i != VTIME) {
                    modes.c_cc[i] = _POSIX_VDISABLE;
                }
            }
            modes.c_cc[VEOF] = 4;
        }
        tcsetattr(console, TCSANOW, &modes);
    }
    if (start->rows != 0 && start->columns != 0) {
        const struct winsize size = {.ws_row = (unsigned short)start->rows,
                                     .ws_col = (unsigned short)start->columns};
        ioctl(console, TIOCSWINSZ, &size);
    }
}

void put(int descriptor, const char* bytes, size_t length) {
    while (length > 0) {
        const ssize_t put = write(descriptor, bytes, length);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            return;
        }
        bytes += put;
        length -= (size_t)put;
    }
}

_Noreturn void relay_input(int console, int pipe_end) {
    char buffer[4096];
    for (;;) {
        const ssize_t got = read(console, buffer, sizeof buffer);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            _exit(0);
        }
        put(pipe_end, buffer, (size_t)got);
    }
}

int relay_output(int pipe_end, int console, int limit) {
    struct pollfd entry = {.fd = pipe_end, .events = POLLIN};
    char buffer[4096];
    if (poll(&entry, 1, limit) <= 0) {
        return -1;
    }
    const ssize_t got = read(pipe_end, buffer, sizeof buffer);
    if (got < 0) {
        return errno == EINTR || errno == EAGAIN ? -1 : 0;
    }
    put(console, buffer, (size_t)got);
    return got > 0;
}
