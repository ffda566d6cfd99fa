/* Files, directories and pipes through the calls: results and errors.
 * SPDX-License-Identifier: MIT */
#include "say.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/uio.h>

static void files(void) {
    char text[32] = {0};
    int fd = open("file", O_RDWR | O_CREAT | O_EXCL, 0640);
    say_done("create", fd);
    say("create again", open("file", O_RDWR | O_CREAT | O_EXCL, 0640));
    say("write", write(fd, "hello world", 11));
    say("seek", lseek(fd, 6, SEEK_SET));
    say("read", read(fd, text, sizeof text));
    printf("text: %s\n", text);
    say("pread", pread(fd, text, 5, 0));
    printf("text: %s\n", text);
    say("seek beyond", lseek(fd, 5000, SEEK_END));
    say("write there", write(fd, "!", 1));
    struct stat st;
    say("fstat", fstat(fd, &st));
    printf("size %ld, mode %o, links %ld\n", (long)st.st_size, (unsigned)st.st_mode, (long)st.st_nlink);
    say("truncate", ftruncate(fd, 3));
    say("at the end", lseek(fd, 0, SEEK_END));
    say("seek to nowhere", lseek(fd, -1, SEEK_SET));
    say("seek, bad whence", lseek(fd, 0, 99));
    static struct iovec pieces[5000] = {{"ab", 2}, {"cde", 3}};
    say("writev", writev(fd, pieces, 2));
    say("writev, too many", writev(fd, pieces, 5000));
    say("link", link("file", "other"));
    say("stat", stat("other", &st));
    say("links", (long)st.st_nlink);
    say("rename", rename("other", "third"));
    say("symlink", symlink("third", "soft"));
    char target[16] = {0};
    say("readlink", readlink("soft", target, sizeof target));
    printf("leads to %s\n", target);
    say("open through it", close(open("soft", O_RDONLY)));
    say("open it itself", open("soft", O_RDONLY | O_NOFOLLOW));
    say("unlink while open", unlink("file") | unlink("third"));
    say("still there", pread(fd, text, 3, 0));
    say("dangling", open("soft", O_RDONLY));
    say("unlink", unlink("soft"));
    say("close", close(fd));
    say("close again", close(fd));
    say("read of none", read(fd, text, 1));
}

static int compare(const void* a, const void* b) {
    return strcmp(*(char* const*)a, *(char* const*)b);
}

static void directories(void) {
    say("mkdir", mkdir("dir", 0755));
    say("mkdir again", mkdir("dir", 0755));
    say("chdir", chdir("dir"));
    for (int i = 0; i < 40; ++i) {
        char name[8];
        snprintf(name, sizeof name, "n%02d", i);
        close(open(name, O_CREAT | O_WRONLY, 0600));
    }
    char* names[64];
    int n = 0;
    DIR* dir = opendir(".");
    for (struct dirent* e = readdir(dir); e != NULL && n < 64; e = readdir(dir)) {
        names[n++] = strdup(e->d_name);
    }
    closedir(dir);
    qsort(names, (size_t)n, sizeof names[0], compare);
    say("entries", n);
    printf("%s %s %s %s\n", names[0], names[1], names[2], names[n - 1]);
    say("chdir back", chdir(".."));
    say("rmdir of one with files", rmdir("dir"));
    say("unlink of a directory", unlink("dir"));
    say("open for writing", open("dir", O_WRONLY));
    say("through a file", open("dir/n00/x", O_RDONLY));
    for (int i = 2; i < n; ++i) {
        char path[300];
        snprintf(path, sizeof path, "dir/%s", names[i]);
        unlink(path);
    }
    say("rmdir", rmdir("dir"));
    say("of nothing", rmdir("dir"));
    char long_name[300];
    memset(long_name, 'n', sizeof long_name);
    long_name[299] = 0;
    say("too long a name", mkdir(long_name, 0755));
    say("empty path", mkdir("", 0755));
}

static void pipes(void) {
    int ends[2];
    char text[8] = {0};
    say("pipe2", pipe2(ends, O_NONBLOCK | O_CLOEXEC));
    say("read of an empty one", read(ends[0], text, 8));
    say("write", write(ends[1], "abc", 3));
    say("read", read(ends[0], text, 8));
    say("write to the reader's end", write(ends[0], "x", 1));
    say("seek", lseek(ends[0], 0, SEEK_SET));
    static char much[100000];
    struct pollfd ready[3] = {{ends[0], POLLIN, 0}, {ends[1], POLLOUT, 0}, {77, POLLIN, 0}};
    say("poll", poll(ready, 3, 0));
    printf("found %x %x %x\n", (unsigned)ready[0].revents, (unsigned)ready[1].revents,
           (unsigned)ready[2].revents);
    say("poll until a time", poll(ready, 1, 20));
    fd_set readable;
    FD_ZERO(&readable);
    FD_SET(ends[0], &readable);
    struct timeval moment = {0, 10000};
    say("select", select(ends[0] + 1, &readable, NULL, NULL, &moment));
    say("its bit", FD_ISSET(ends[0], &readable));
    FD_SET(40, &readable);
    say("select of none", select(41, &readable, NULL, NULL, &moment));
    say("fill", write(ends[1], much, sizeof much));
    say("full", write(ends[1], much, 1));
    say("flags", fcntl(ends[0], F_GETFD));
    say("dup", fcntl(ends[0], F_DUPFD, 50));
    say("dup2", dup2(ends[0], 60));
    say("dup2 of none", dup2(77, 61));
    say("dup3, the same", dup3(60, 60, 0));
    close(ends[1]);
    close(50);
    close(60);
    close(ends[0]);
    say("pipe2, bad flags", pipe2(ends, 0x12345));
}

int main(void) {
    umask(022);
    char folder[] = "/tmp/pv-files-XXXXXX";
    mkdir("/tmp", 01777);
    if (mkdtemp(folder) == NULL || chdir(folder) != 0) {
        perror("mkdtemp");
        return 1;
    }
    files();
    directories();
    pipes();
    say("leave nothing", chdir("/") | rmdir(folder));
    return 0;
}
