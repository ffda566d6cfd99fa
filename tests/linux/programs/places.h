/* A tree with a root to be shut in and something outside of it, and what a path led to (LEDGER O5).
 *
 * SPDX-License-Identifier: MIT */
#ifndef PLACES_H
#define PLACES_H

#include "say.h"

#include <fcntl.h>
#include <sys/stat.h>

/* Names of what lies where; identities do not change with the root of who asks. */
enum { WORLD, BASE, ROOT, OUTSIDE, SECRET, A, B, C, INSIDE, PLACES };

static const char* const place_names[PLACES] = {"the world",      "the base",         "the root",
                                                "outside",        "a secret",         "the root's a",
                                                "the root's a/b", "the root's a/b/c", "inside"};
static struct stat places[PLACES];
static char base[64];

static void keep(int place, const char* path) {
    char whole[256];
    snprintf(whole, sizeof whole, "%s%s", place == WORLD ? "" : base, path);
    stat(whole, &places[place]);
}

static void make_link(const char* to, const char* path) {
    char whole[256];
    snprintf(whole, sizeof whole, "%s%s", base, path);
    (void)!symlink(to, whole);
}

static void make_directory(const char* path) {
    char whole[256];
    snprintf(whole, sizeof whole, "%s%s", base, path);
    mkdir(whole, 0755);
}

static void make_file(const char* path) {
    char whole[256];
    snprintf(whole, sizeof whole, "%s%s", base, path);
    close(open(whole, O_CREAT | O_WRONLY, 0755));
}

/* The tree, in `base`: root/{a/b/c, inside, links}, outside/secret. */
static void make_places(void) {
    char secret[128];
    snprintf(base, sizeof base, "/tmp");
    mkdir(base, 01777);
    snprintf(base, sizeof base, "/tmp/places.%d", getpid());
    mkdir(base, 0755);
    make_directory("/shut");
    make_directory("/shut/a");
    make_directory("/shut/a/b");
    make_directory("/shut/a/b/c");
    make_directory("/outside");
    make_file("/shut/inside");
    make_file("/outside/secret");
    snprintf(secret, sizeof secret, "%s/outside/secret", base);
    make_link("/", "/shut/slash");
    make_link("../../../..", "/shut/a/b/up");
    make_link("up/../../outside/secret", "/shut/a/b/chain");
    make_link("../outside/secret", "/shut/near");
    make_link(secret, "/shut/far");
    make_link("../made by a link", "/shut/dangling");
    make_link("../../../../outside", "/shut/a/b/c/outside");
    keep(WORLD, "/");
    keep(BASE, "");
    keep(ROOT, "/shut");
    keep(OUTSIDE, "/outside");
    keep(SECRET, "/outside/secret");
    keep(A, "/shut/a");
    keep(B, "/shut/a/b");
    keep(C, "/shut/a/b/c");
    keep(INSIDE, "/shut/inside");
}

/* Which of them it is; PLACES if it is none. */
static int place_of(const struct stat* found) {
    int place = 0;
    while (place < PLACES &&
           (found->st_dev != places[place].st_dev || found->st_ino != places[place].st_ino)) {
        ++place;
    }
    return place;
}

static void say_place(const char* what, int result, const struct stat* found) {
    if (result != 0) {
        printf("%s: %s\n", what, strerrorname_np(errno));
    } else {
        const int place = place_of(found);
        printf("%s: %s\n", what, place < PLACES ? place_names[place] : "something else");
    }
    fflush(stdout);
}

/* Where a path leads from a directory's descriptor. */
static inline void leads(int directory, const char* path) {
    struct stat found;
    say_place(path, fstatat(directory, path, &found, 0), &found);
}

#endif
