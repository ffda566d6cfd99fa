/* The console as the command's terminal, or as the far end of its pipes. */
/* SPDX-License-Identifier: MIT */
#ifndef PV_INIT_CONSOLE_H
#define PV_INIT_CONSOLE_H

#include <stddef.h>

#include "start.h"

/* Opens the terminal behind the console (Linux names it in /sys/class/tty/console/active; a session cannot
 * have /dev/console itself), else the console. -1: there is none. */
int open_console(void);

/* Sets modes and size of the terminal for what `start` says. Of what fails nothing is said: a console that is
 * no terminal serves as well. */
void set_console(int console, const struct start* start);

/* Writes all of it, as far as it can be. */
void put(int descriptor, const char* bytes, size_t length);

/* Reads the console until the end of input, writing to `pipe_end`; ends the process. */
_Noreturn void relay_input(int console, int pipe_end);

/* Writes what `pipe_end` has to the console. Waits at most `limit` milliseconds for it. 0: the pipe is at its
 * end; 1: there may be more; -1: nothing came within `limit`. */
int relay_output(int pipe_end, int console, int limit);

#endif
