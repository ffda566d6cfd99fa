/* What an image's /init and the tool that makes images agree on: where the command stands, and how its end is
 * said. C, C++. */
/* SPDX-License-Identifier: MIT */
#ifndef PARAVANE_IMAGE_H
#define PARAVANE_IMAGE_H

/* Two files of the same form tell /init what to start: the recipe's, and one run's, which may be missing.
 * Each is a row of records that end in NUL; the first byte of a record is its key, the rest its value:
 *
 *   A  a word of the command, in order. Words in the run's file replace all of the recipe's; words that the
 * kernel passes to /init (after "--" on its command line) replace both. E  NAME=VALUE for the environment;
 * the run's are set after the recipe's. D  the folder the command starts in. S  the console's size: "ROWS
 * COLUMNS", decimal, 1 to 65535. I  (no value) input is no terminal: the command reads a pipe that carries
 * what comes over the console, up to the first byte 0x04 that follows a line's end (or a second one in a
 * row), which ends it. No echo. N  (no value) there is no input: the command reads /dev/null. O  (no value)
 * output is no terminal: the command writes to a pipe, whose bytes reach the console unchanged.
 *
 * Unknown keys are passed over. A record has at most 65,536 bytes, a file at most 1 MiB. */
#define PV_IMAGE_RECIPE_START "/etc/paravane/start"
#define PV_IMAGE_RUN_START "/etc/paravane/run"
/* The packages in the image, a line each: name, version, architecture. */
#define PV_IMAGE_PACKAGES "/etc/paravane/packages"

/* Printed by /init on a line of its own just before the command starts. */
#define PV_IMAGE_STARTING "paravane: starting the command"
/* The byte right behind the command's output, before the line feed and the status: who passes the output on
 * need hold nothing back but this one, which programs hardly print. */
#define PV_IMAGE_END "\x1e"
/* Printed on a line of its own when it has ended, followed by the status in decimal: the command's exit
 * status, 128 + N when signal N ended it, 126 or 127 when it could not be started (as shells have it). Our
 * kernel says the same of /init. */
#define PV_IMAGE_STATUS "paravane: powering off, status "

/* Printed by our kernel on a line of its own after that of the status: something the command was refused,
 * which another recipe would grant it. Ends in the recipe's key (docs/images.md). */
#define PV_IMAGE_NOTE "paravane: note: "

#endif
