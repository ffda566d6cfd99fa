/* Reads the records of a start. */
/* SPDX-License-Identifier: MIT */
#include "start.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "paravane/image.h"

enum { MOST_BYTES = 1 << 20 };

/* The file's bytes with a NUL behind them; NULL when it cannot be had. Never freed: records point into it. */
static char* read_whole(const char* path, size_t* length) {
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return NULL;
    }
    char* bytes = malloc(MOST_BYTES + 1);
    size_t filled = 0;
    while (bytes != NULL && filled < MOST_BYTES) {
        const ssize_t got = read(file, bytes + filled, MOST_BYTES - filled);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            break;
        }
        filled += (size_t)got;
    }
    close(file);
    if (bytes != NULL) {
        bytes[filled] = '\0';
        *length = filled;
    }
    return bytes;
}

static void add_word(struct start* start, char* word) {
    char** longer = realloc(start->command, ((size_t)start->words + 2) * sizeof *longer);
    if (longer != NULL) {
        longer[start->words++] = word;
        longer[start->words] = NULL;
        start->command = longer;
    }
}

static void take_record(struct start* start, char* record, int* has_command) {
    char* value = record + 1;
    switch (record[0]) {
        case 'A':
            if (!*has_command) {
                *has_command = 1;
                start->words = 0;
            }
            add_word(start, value);
            break;
        case 'E':
            if (strchr(value, '=') != NULL && value[0] != '=') {
                putenv(value);
            }
            break;
        case 'D':
            start->directory = value;
            break;
        case 'S':
            if (sscanf(value, "%5u %5u", &start->rows, &start->columns) != 2) {
                start->rows = start->columns = 0;
            }
            break;
        case 'I':
            start->input = INPUT_PIPE;
            break;
        case 'N':
            start->input = INPUT_NONE;
            break;
        case 'O':
            start->output_is_pipe = 1;
            break;
        default:
            break;
    }
}

static void take_file(struct start* start, const char* path) {
    size_t length = 0;
    int has_command = 0;
    char* bytes = read_whole(path, &length);
    if (bytes == NULL) {
        return;
    }
    for (size_t at = 0; at < length; at += strlen(bytes + at) + 1) {
        if (bytes[at] != '\0') {
            take_record(start, bytes + at, &has_command);
        }
    }
}

void read_start(struct start* start) {
    memset(start, 0, sizeof *start);
    take_file(start, PV_IMAGE_RECIPE_START);
    take_file(start, PV_IMAGE_RUN_START);
}
