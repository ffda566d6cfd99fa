/* A program shut into a root tries to leave it: "..", links, roots in the root, /proc, what it kept (LEDGER
 * O5).
 * SPDX-License-Identifier: MIT */
#include "places.h"

#include <ftw.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

static const char* const up = "../../../../../../../..";

static void walks(void) {
    static const char* const paths[] = {"..",
                                        "../..",
                                        "/..",
                                        "/../../.",
                                        "/a/../..",
                                        "/a/b/c/../../../../..",
                                        "a/../../a",
                                        "//..//../inside",
                                        "../outside/secret",
                                        "slash",
                                        "slash/..",
                                        "slash/../outside/secret",
                                        "a/b/up",
                                        "a/b/up/..",
                                        "a/b/up/inside",
                                        "a/b/chain",
                                        "near",
                                        "far",
                                        "a/b/c/outside",
                                        "a/b/c/outside/secret",
                                        "a/b/c/outside/../inside"};
    for (unsigned i = 0; i < sizeof paths / sizeof *paths; ++i) {
        leads(AT_FDCWD, paths[i]);
    }
    const int c = open("/a/b/c", O_RDONLY | O_DIRECTORY);
    const int root = open("/", O_PATH);
    leads(c, "..");
    leads(c, up);
    leads(c, "../up/..");
    leads(root, "..");
    leads(root, up);
    say("into the deepest", fchdir(c));
    leads(AT_FDCWD, up);
    say("up", chdir(up));
    leads(AT_FDCWD, ".");
    char path[PATH_MAX];
    printf("called %s\n", syscall(SYS_getcwd, path, sizeof path) > 0 ? path : "nothing");
    close(c);
    close(root);
}

static void changes(void) {
    struct stat found;
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "../socket"};
    say("mkdir", mkdir("../../made", 0755));
    leads(AT_FDCWD, "/made/..");
    say("rename", rename("/made", "../../moved"));
    leads(AT_FDCWD, "/moved/..");
    say("rename of what is above", rename("..", "/other"));
    say("rename onto it", rename("/moved", "../.."));
    say("rmdir above", rmdir(".."));
    say("rmdir", rmdir("../moved"));
    say("link", link("../inside", "../../second"));
    leads(AT_FDCWD, "/second");
    say("unlink", unlink("a/../../second"));
    say("symlink", symlink("..", "../third"));
    leads(AT_FDCWD, "/third/third");
    say("unlink", unlink("/third"));
    const int file = open("dangling", O_CREAT | O_WRONLY, 0600);
    say_done("creation through a link", file);
    say("is in the root", stat("/made by a link", &found));
    say("unlink", unlink("/made by a link"));
    close(file);
    const int end = socket(AF_UNIX, SOCK_STREAM, 0);
    say("bind", bind(end, (const struct sockaddr*)&name, sizeof name));
    say("is in the root", stat("/socket", &found));
    say("unlink", unlink("/socket"));
    close(end);
    say("truncate", truncate("far", 0));
    say("exec", execl("../outside/secret", "secret", NULL));
    say("exec of a directory", execl("..", "..", NULL));
    say("chmod", chmod("near", 0));
}

/* A root within the root. */
static void nested(void) {
    const pid_t id = fork();
    if (id == 0) {
        say("a root below", chroot("/a/b"));
        leads(AT_FDCWD, "/..");
        leads(AT_FDCWD, "/c/../../..");
        leads(AT_FDCWD, "/up");
        leads(AT_FDCWD, "/chain");
        say("into it", chdir("/"));
        leads(AT_FDCWD, up);
        say("the root again", chroot(".."));
        leads(AT_FDCWD, "/");
        _exit(0);
    }
    waitpid(id, NULL, 0);
}

static void links_of(const char* what, int proc, const char* path) {
    char text[PATH_MAX] = "";
    const ssize_t length = readlinkat(proc, path, text, sizeof text - 1);
    printf("%s: %s\n", what, length < 0 ? strerrorname_np(errno) : text);
}

static void process_links(int proc) {
    const int file = open("/inside", O_RDONLY);
    const int directory = open("/a/b", O_RDONLY);
    char path[64];
    chdir("/a");
    links_of("own root", proc, "self/root");
    links_of("own directory", proc, "self/cwd");
    leads(proc, "self/root");
    leads(proc, "self/root/..");
    leads(proc, "self/root/../outside/secret");
    leads(proc, "self/cwd/..");
    leads(proc, "self/cwd/../..");
    leads(proc, "self/cwd/b/up/..");
    snprintf(path, sizeof path, "self/fd/%d", file);
    links_of("a file", proc, path);
    leads(proc, path);
    snprintf(path, sizeof path, "self/fd/%d", directory);
    links_of("a directory", proc, path);
    leads(proc, path);
    snprintf(path, sizeof path, "self/fd/%d/../../..", directory);
    leads(proc, path);
    chdir("/");
    close(file);
    close(directory);
}

/* What was kept from outside is what it is, and begins no path from the root. */
static void kept(int outside) {
    char path[PATH_MAX];
    leads(outside, "secret");
    leads(outside, "/inside");
    leads(outside, "/outside/secret");
    say("into it", fchdir(outside));
    leads(AT_FDCWD, ".");
    leads(AT_FDCWD, "/");
    const long length = syscall(SYS_getcwd, path, sizeof path);
    printf("called %.13s\n", length > 0 ? path : "nothing");
    say("back", chdir("/"));
    leads(AT_FDCWD, "..");
}

static void shut_in(void) {
    char path[128];
    snprintf(path, sizeof path, "%s/outside", base);
    const int outside = open(path, O_RDONLY | O_DIRECTORY);
    const int proc = open("/proc", O_RDONLY | O_DIRECTORY);
    snprintf(path, sizeof path, "%s/shut", base);
    say("shut in", chroot(path));
    say("into it", chdir("/"));
    walks();
    changes();
    nested();
    process_links(proc);
    kept(outside);
}

static int take_away(const char* path, const struct stat* what, int type, struct FTW* where) {
    (void)what, (void)type, (void)where;
    return remove(path);
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    make_places();
    const pid_t id = fork();
    if (id == 0) {
        shut_in();
        _exit(0);
    }
    waitpid(id, NULL, 0);
    return nftw(base, take_away, 16, FTW_DEPTH | FTW_PHYS);
}
