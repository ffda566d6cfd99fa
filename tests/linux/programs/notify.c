/* inotify: what is told of files and directories, in which order, and what is refused.
 * SPDX-License-Identifier: MIT */
#include "say.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char folder[] = "/tmp/pv-notify-XXXXXX";
static uint32_t first_cookie;

static void say_events(const char* what, int fd) {
    char room[4096] __attribute__((aligned(8)));
    printf("%s:\n", what);
    const long count = read(fd, room, sizeof room);
    if (count < 0) {
        say("read", count);
    }
    for (long at = 0; at < count;) {
        struct inotify_event event;
        memcpy(&event, room + at, sizeof event);
        if (event.cookie != 0 && first_cookie == 0) {
            first_cookie = event.cookie;
        }
        printf("  watch %d mask %x cookie %d length %u %s\n", event.wd, event.mask,
               event.cookie == 0              ? 0
               : event.cookie == first_cookie ? 1
                                              : 2,
               event.len, event.len == 0 ? "" : room + at + sizeof event);
        at += (long)(sizeof event + event.len);
    }
    fflush(stdout);
}

int main(void) {
    mkdir("/tmp", 01777);
    if (mkdtemp(folder) == NULL || chdir(folder) != 0) {
        return 1;
    }
    say("bad flags", inotify_init1(1));
    const int fd = inotify_init1(IN_NONBLOCK);
    say_done("inotify_init1", fd);
    say("nothing", read(fd, folder, 0));
    say_events("nothing", fd);
    say("no such file", inotify_add_watch(fd, "missing", IN_ALL_EVENTS));
    say("no events", inotify_add_watch(fd, ".", 0));
    say("no instance", inotify_add_watch(0, ".", IN_OPEN));
    say("watch", inotify_add_watch(fd, ".", IN_ALL_EVENTS));
    int file = open("file", O_CREAT | O_WRONLY, 0600);
    say("write", write(file, "abc", 3));
    say("write", write(file, "abc", 3));
    close(file);
    struct pollfd entry = {.fd = fd, .events = POLLIN};
    say("poll", poll(&entry, 1, 0));
    int bytes = 0;
    say("FIONREAD", ioctl(fd, FIONREAD, &bytes));
    say("bytes", bytes);
    char little[20];
    say("too little room", read(fd, little, sizeof little));
    say_events("a new file", fd);
    file = open("file", O_RDONLY);
    say("read", read(file, little, 3));
    close(file);
    say("chmod", chmod("file", 0644));
    say("truncate", truncate("file", 1));
    say_events("read, changed, cut", fd);
    say("mkdir", mkdir("below", 0700));
    say("rename", rename("file", "below/other"));
    /* By itself: in which order two watchers hear of one thing is the kernel's business. */
    const int own = inotify_init1(IN_NONBLOCK);
    say("watch", inotify_add_watch(own, "below/other", IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF));
    say("rename", rename("below/other", "back"));
    say_events("moved", fd);
    say_events("moved itself", own);
    say("link", link("back", "second"));
    say("unlink", unlink("second"));
    say_events("linked", fd);
    say_events("linked itself", own);
    say("unlink", unlink("back"));
    say("symlink", symlink("x", "link"));
    say("rmdir", rmdir("below"));
    say_events("removed", fd);
    say_events("removed itself", own);
    say("again, one event only", inotify_add_watch(fd, ".", IN_CREATE));
    close(open("new", O_CREAT | O_WRONLY, 0600));
    say_events("created", fd);
    say("more of it", inotify_add_watch(fd, ".", IN_DELETE | IN_MASK_ADD));
    unlink("new");
    say_events("deleted", fd);
    say("once", inotify_add_watch(fd, "link", IN_ATTRIB | IN_DONT_FOLLOW | IN_ONESHOT));
    say("no directory", inotify_add_watch(fd, "link", IN_ATTRIB | IN_DONT_FOLLOW | IN_ONLYDIR));
    say("remove", inotify_rm_watch(fd, 1));
    say("remove again", inotify_rm_watch(fd, 1));
    say_events("ignored", fd);
    mkdir("quiet", 0700);
    say_events("quiet", fd);
    /* A reader waits. */
    const int waiting = inotify_init();
    say("watch", inotify_add_watch(waiting, "quiet", IN_CREATE));
    if (fork() == 0) {
        usleep(20000);
        mkdir("quiet/made", 0700);
        _exit(0);
    }
    say_events("woken", waiting);
    wait(NULL);
    rmdir("quiet/made");
    rmdir("quiet");
    say_events("gone", waiting);
    unlink("link");
    rmdir(folder);
    return 0;
}
