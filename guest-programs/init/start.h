/* What to start: the records of paravane/image.h. */
/* SPDX-License-Identifier: MIT */
#ifndef PV_INIT_START_H
#define PV_INIT_START_H

enum input { INPUT_TERMINAL, INPUT_PIPE, INPUT_NONE };

struct start {
    char** command;  /* ends in NULL; words live as long as the program */
    int words;       /* of the command */
    char* directory; /* NULL: none was said */
    unsigned rows;   /* of the console; 0: not known */
    unsigned columns;
    enum input input;
    int output_is_pipe;
};

/* Reads the recipe's file and the run's, and sets the environment as they say. A file that is missing or
 * damaged is as if it had no records. */
void read_start(struct start* start);

#endif
