/* A directory that one call takes for its root (openat2): arguments, "..", links, and somebody who moves
 * directories out of it (LEDGER O5).
 * SPDX-License-Identifier: MIT */
#include "places.h"

#include <ftw.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/wait.h>

static const char* const up = "../../../../../../../..";

static int open_how(int directory, const char* path, uint64_t flags, uint64_t resolve) {
    const struct open_how how = {
        .flags = flags, .mode = (flags & O_CREAT) != 0 ? 0644 : 0, .resolve = resolve};
    return (int)syscall(SYS_openat2, directory, path, &how, sizeof how);
}

/* What a path leads to and what it is called from there. */
static void opens(int directory, const char* path, uint64_t flags, uint64_t resolve, const char* how) {
    struct stat found;
    char what[256];
    snprintf(what, sizeof what, "%s, %s", path, how);
    const int file = open_how(directory, path, flags, resolve);
    say_place(what, file < 0 ? -1 : fstat(file, &found), &found);
    if (file >= 0) {
        close(file);
    }
}

/* The same asked of one call: a directory that is the root of a path. */
static void roots_of_calls(int root) {
    static const char* const paths[] = {".",       "..",     "a/..",          "a/../..",   "/",
                                        "/inside", "a/b/up", "a/b/up/inside", "a/b/chain", "slash",
                                        "near",    "far",    "a/b/c/outside", "dangling",  "missing/.."};
    for (unsigned i = 0; i < sizeof paths / sizeof *paths; ++i) {
        opens(root, paths[i], O_PATH, RESOLVE_IN_ROOT, "in a root");
        opens(root, paths[i], O_PATH, RESOLVE_BENEATH, "beneath");
        opens(root, paths[i], O_PATH, RESOLVE_NO_SYMLINKS, "no links");
        opens(root, paths[i], O_PATH | O_NOFOLLOW, RESOLVE_NO_SYMLINKS | RESOLVE_IN_ROOT,
              "no links in a root");
    }
    opens(root, "/proc", O_PATH, RESOLVE_NO_XDEV, "no other mount");
    const int made = open_how(root, "dangling", O_CREAT | O_RDWR, RESOLVE_IN_ROOT);
    say_done("creation through a link, in a root", made);
    close(made);
    say("is in the root", unlinkat(root, "made by a link", 0));
    say("creation through a link, beneath", open_how(root, "dangling", O_CREAT | O_RDWR, RESOLVE_BENEATH));
}

static long opened(int directory, const struct open_how* how, size_t size) {
    const long file = syscall(SYS_openat2, directory, "inside", how, size);
    if (file < 0) {
        return -1;
    }
    close((int)file);
    return 0;
}

static void arguments(int root) {
    struct {
        struct open_how how;
        uint64_t more;
    } given = {{.flags = O_RDONLY}, 0};
    struct open_how how = {.flags = O_RDONLY};
    say("plain", opened(root, &how, sizeof how));
    say("short", opened(root, &how, 16));
    say("nothing", opened(root, &how, 0));
    say("longer", opened(root, &given.how, sizeof given));
    given.more = 1;
    say("longer, with something", opened(root, &given.how, sizeof given));
    say("more than a page", opened(root, &how, 4097));
    say("from nowhere", opened(root, (const struct open_how*)8, sizeof how));
    how.mode = 0644;
    say("a mode for nothing", opened(root, &how, sizeof how));
    how = (struct open_how){.flags = O_CREAT | O_RDWR, .mode = 0200000};
    say("a mode that is none", opened(root, &how, sizeof how));
    how = (struct open_how){.flags = 1ULL << 40};
    say("unknown flags", opened(root, &how, sizeof how));
    how = (struct open_how){.flags = 1U << 29};
    say("an unknown flag", opened(root, &how, sizeof how));
    how = (struct open_how){.flags = O_PATH | O_RDWR};
    say("a path to write", opened(root, &how, sizeof how));
    how = (struct open_how){.flags = O_RDONLY, .resolve = 1ULL << 33};
    say("unknown ways", opened(root, &how, sizeof how));
    how = (struct open_how){.flags = O_RDONLY, .resolve = RESOLVE_BENEATH | RESOLVE_IN_ROOT};
    say("two roots", opened(root, &how, sizeof how));
    how = (struct open_how){.flags = O_RDONLY, .resolve = RESOLVE_IN_ROOT};
    say("of no directory", opened(99, &how, sizeof how));
}

/* Somebody moves a directory out of the root and back while a path goes through it and up again: it ends in
 * the root, or nowhere. Many "." make the moment long. */
static void races(int root) {
    enum { MOVES = 400, DOTS = 400 };

    char path[2 * DOTS + 64] = "a/b/c/";
    size_t end = strlen(path);
    for (int i = 0; i < DOTS; ++i) {
        path[end++] = '.';
        path[end++] = '/';
    }
    snprintf(path + end, sizeof path - end, "%s", up);
    const pid_t mover = fork();
    if (mover == 0) {
        char in[128];
        char out[128];
        snprintf(in, sizeof in, "%s/shut/a/b/c", base);
        snprintf(out, sizeof out, "%s/outside/c", base);
        int done = 0;
        for (int i = 0; i < MOVES; ++i) {
            done += rename(in, out) == 0;
            sched_yield();
            done += rename(out, in) == 0;
        }
        _exit(done == 2 * MOVES ? 0 : 1);
    }
    long inside = 0;
    long outside = 0;
    long wrong = 0;
    int status = 0;
    /* The last round finds everything in its place: a busy machine may have had no time for another one. */
    for (int moving = 1; moving;) {
        moving = waitpid(mover, &status, WNOHANG) == 0;
        for (int i = 0; i < 20; ++i) {
            const int file = open_how(root, path, O_PATH, (i & 1) != 0 ? RESOLVE_IN_ROOT : RESOLVE_BENEATH);
            struct stat found;
            if (file < 0) {
                wrong += errno != ENOENT && errno != EAGAIN && errno != EXDEV;
                continue;
            }
            fstat(file, &found);
            const int place = place_of(&found);
            inside += place == ROOT;
            outside += place != ROOT;
            close(file);
        }
    }
    printf("moved: %d, ended in the root: %s, elsewhere: %ld, with other errors: %ld\n", status,
           inside != 0 ? "yes" : "NO", outside, wrong);
}

static void process_links(void) {
    const int proc = open("/proc", O_RDONLY | O_DIRECTORY);
    opens(proc, "self/root", O_PATH, RESOLVE_IN_ROOT, "in a root");
    opens(proc, "self/cwd", O_PATH, RESOLVE_BENEATH, "beneath");
    opens(proc, "self/cwd", O_PATH, RESOLVE_NO_MAGICLINKS, "no magic links");
    opens(proc, "self/cwd", O_PATH, RESOLVE_NO_SYMLINKS, "no links");
    close(proc);
}

static int take_away(const char* path, const struct stat* what, int type, struct FTW* where) {
    (void)what, (void)type, (void)where;
    return remove(path);
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    make_places();
    char path[128];
    snprintf(path, sizeof path, "%s/shut", base);
    const int root = open(path, O_RDONLY | O_DIRECTORY);
    roots_of_calls(root);
    arguments(root);
    process_links();
    races(root);
    return nftw(base, take_away, 16, FTW_DEPTH | FTW_PHYS);
}
