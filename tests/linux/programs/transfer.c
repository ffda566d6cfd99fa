/* Bytes from file to file within the kernel, room in files, and the limits of descriptors.
 * SPDX-License-Identifier: MIT */
#include "free_pages.h"
#include "say.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>

static int file_of(const char* text) {
    const int fd = memfd_create("x", 0);
    (void)!write(fd, text, strlen(text));
    lseek(fd, 0, SEEK_SET);
    return fd;
}

static void say_text(const char* what, int fd) {
    char text[128];
    const long count = read(fd, text, sizeof text);
    say(what, count);
    if (count > 0) {
        printf("%.*s\n", (int)count, text);
        fflush(stdout);
    }
}

static void copies(void) {
    const int from = file_of("0123456789"), to = file_of("");
    loff_t in = 3, out = 2;
    say("copy", copy_file_range(from, &in, to, &out, 4, 0));
    say("in", in);
    say("out", out);
    say("position", lseek(from, 0, SEEK_CUR));
    say("copy on", copy_file_range(from, NULL, to, &out, 100, 0));
    say("position", lseek(from, 0, SEEK_CUR));
    say("at the end", copy_file_range(from, NULL, to, NULL, 100, 0));
    say("size", lseek(to, 0, SEEK_END));
    lseek(to, 2, SEEK_SET);
    say_text("copied", to);
    in = 0;
    out = 2;
    say("overlap", copy_file_range(from, &in, from, &out, 4, 0));
    say("flags", copy_file_range(from, &in, to, &out, 4, 1));
    int ends[2];
    (void)!pipe(ends);
    say("to a pipe", copy_file_range(from, &in, ends[1], NULL, 4, 0));
    say("from a directory", copy_file_range(open("/", O_RDONLY), &in, to, NULL, 4, 0));
    in = -1;
    say("before the beginning", copy_file_range(from, &in, to, NULL, 4, 0) == -1);
    say("sendfile from before the start", sendfile(ends[1], from, &(off_t){-1}, 3));
    say("sendfile to a pipe", sendfile(ends[1], from, &(off_t){5}, 3));
    say_text("sent", ends[0]);
}

static void splices(void) {
    const int from = file_of("spliced bytes"), to = file_of("");
    int ends[2], pair[2];
    (void)!pipe(ends);
    (void)!socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    loff_t offset = 2;
    say("file to pipe", splice(from, &offset, ends[1], NULL, 5, 0));
    say("offset", offset);
    say("pipe to file", splice(ends[0], NULL, to, NULL, 100, 0));
    lseek(to, 0, SEEK_SET);
    say_text("file", to);
    say("file to pipe", splice(from, NULL, ends[1], NULL, 100, 0));
    say("pipe to socket", splice(ends[0], NULL, pair[0], NULL, 100, 0));
    say_text("socket", pair[1]);
    (void)!write(pair[0], "back", 4);
    say("socket to pipe", splice(pair[1], NULL, ends[1], NULL, 100, 0));
    say_text("pipe", ends[0]);
    say("nothing there", splice(ends[0], NULL, to, NULL, 100, SPLICE_F_NONBLOCK));
    say("no pipe", splice(from, NULL, to, NULL, 1, 0));
    say("offset of a pipe", splice(ends[0], &offset, to, NULL, 1, 0));
    say("wrong end", splice(ends[1], NULL, to, NULL, 1, 0));
    say("flags", splice(ends[0], NULL, to, NULL, 1, 0x100));
    say("nothing asked", splice(ends[0], NULL, to, NULL, 0, 0));
    close(ends[1]);
    say("end", splice(ends[0], NULL, to, NULL, 100, 0));
}

static int left_in(int pipe) {
    int left = -1;
    ioctl(pipe, FIONREAD, &left);
    return left;
}

/* Fills a pipe with bytes that tell their places. */
static int put_numbers(int pipe, int size) {
    unsigned char block[4096];
    int done = 0;
    for (; done < size; done += (int)sizeof block) {
        for (unsigned i = 0; i < sizeof block; ++i) {
            block[i] = (unsigned char)((done + (int)i) % 251);
        }
        if (write(pipe, block, sizeof block) != (ssize_t)sizeof block) {
            break;
        }
    }
    return done;
}

/* Reads all that is there; whether it goes on as put_numbers began. */
static int take_numbers(int from, int done, int* is_right) {
    unsigned char block[4096];
    ssize_t count = 0;
    while ((count = read(from, block, sizeof block)) > 0) {
        for (ssize_t i = 0; i < count; ++i) {
            *is_right &= block[i] == (done + i) % 251;
        }
        done += (int)count;
    }
    return done;
}

struct taken {
    volatile int count;
    volatile unsigned sum;
};

static void add_numbers(struct taken* taken, int from) {
    unsigned char block[4096];
    ssize_t count = 0;
    while ((count = read(from, block, sizeof block)) > 0) {
        for (ssize_t i = 0; i < count; ++i) {
            taken->sum += block[i];
        }
        taken->count += (int)count;
    }
}

/* Whoever reads a pipe while its bytes are put elsewhere gets others, and none gets lost. */
static void moved_and_read(void) {
    int ends[2], pair[2];
    (void)!pipe2(ends, O_NONBLOCK);
    (void)!socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    struct taken* const read_there =
        mmap(NULL, sizeof *read_there, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    /* More than a socket holds. */
    const int size = 1 << 20;
    fcntl(ends[1], F_SETPIPE_SZ, size);
    struct taken moved = {0, 0};
    unsigned sum = 0;
    for (int i = 0; i < size; ++i) {
        sum += (unsigned)(i % 251);
    }
    const int small = 4608;
    setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    put_numbers(ends[1], size);
    const pid_t mover = fork();
    if (mover == 0) {
        while (splice(ends[0], NULL, pair[0], NULL, 16384, 0) > 0) {
        }
        _exit(0);
    }
    close(pair[0]);
    struct pollfd begun = {.fd = pair[1], .events = POLLIN};
    poll(&begun, 1, 10000);
    const pid_t reader = fork();
    if (reader == 0) {
        add_numbers(read_there, ends[0]);
        _exit(0);
    }
    usleep(20000);
    add_numbers(&moved, pair[1]);
    waitpid(mover, NULL, 0);
    waitpid(reader, NULL, 0);
    say("in all", moved.count + read_there->count);
    say("each once", moved.sum + read_there->sum == sum);
}

/* What the other side does not take stays where it was. */
static void what_is_not_taken(void) {
    int ends[2], pair[2], one = 1;
    (void)!pipe2(ends, O_NONBLOCK);
    say("numbers", put_numbers(ends[1], 65536));
    say("to nobody", splice(ends[0], NULL, socket(AF_UNIX, SOCK_STREAM, 0), NULL, 100, 0));
    say("left", left_in(ends[0]));
    (void)!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair);
    const int small = 4608;
    setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    int sent = 0, is_right = 1, got = 0;
    ssize_t count = 0;
    while ((count = splice(ends[0], NULL, pair[0], NULL, 65536, SPLICE_F_NONBLOCK)) > 0) {
        sent += (int)count;
    }
    say("a socket that is full", count);
    say("took some", sent > 0 && sent < 65536);
    say("the rest is left", left_in(ends[0]) == 65536 - sent);
    got = take_numbers(pair[1], 0, &is_right);
    say("came", got == sent);
    got = take_numbers(ends[0], got, &is_right);
    say("in all", got);
    say("in order", is_right);

    const int file = file_of("0123456789");
    lseek(file, 2, SEEK_SET);
    close(pair[1]);
    say("sendfile to nobody", sendfile(pair[0], file, NULL, 5));
    say("position", lseek(file, 0, SEEK_CUR));
    const int again = dup(file);
    say("sendfile to itself", sendfile(again, file, NULL, 3));
    say("position", lseek(file, 0, SEEK_CUR));
    say("sendfile to an eventfd", sendfile(eventfd(0, 0), file, NULL, 8));
    say("position", lseek(file, 0, SEEK_CUR));
    (void)!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair);
    setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    ftruncate(file, 1 << 20);
    lseek(file, 0, SEEK_SET);
    count = sendfile(pair[0], file, NULL, 1 << 20);
    say("sendfile to one that is full soon", count > 0 && count < 1 << 20);
    say("position behind what was sent", lseek(file, 0, SEEK_CUR) == count);
    ioctl(pair[1], FIONREAD, &one);
    say("that came", one == count);
}

static void say_ready(const char* what, int fd) {
    struct pollfd entry = {.fd = fd, .events = POLLIN};
    poll(&entry, 1, 0);
    printf("%s: %x\n", what, (unsigned)entry.revents);
    fflush(stdout);
}

/* A fifo begins anew when nobody has it open any more. */
static void fifos(void) {
    const char* const name = "/dev/shm/pv-transfer-fifo";
    unlink(name);
    say("fifo", mkfifo(name, 0600));
    const int reader = open(name, O_RDONLY | O_NONBLOCK);
    say_ready("nobody wrote", reader);
    const int writer = open(name, O_WRONLY | O_NONBLOCK);
    say("write", write(writer, "left", 4));
    say_ready("something", reader);
    close(writer);
    say_ready("something, and nobody who writes", reader);
    const int second = open(name, O_RDONLY | O_NONBLOCK);
    say_ready("who came later", second);
    close(second);
    close(reader);
    const int third = open(name, O_RDWR | O_NONBLOCK);
    say_ready("who comes when all are gone", third);
    say_text("finds", third);
    close(third);
    unlink(name);
}

static void room(void) {
    const int fd = file_of("");
    struct stat s;
    say("fallocate", fallocate(fd, 0, 4096, 8192));
    say("fstat", fstat(fd, &s));
    say("size", s.st_size);
    say("blocks", s.st_blocks);
    say("keep size", fallocate(fd, FALLOC_FL_KEEP_SIZE, 16384, 4096));
    say("fstat", fstat(fd, &s));
    say("size", s.st_size);
    (void)!pwrite(fd, "data", 4, 4096);
    say("punch", fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 4096));
    char text[5] = "";
    say("read", pread(fd, text, 4, 4096));
    say("zeros", text[0] == 0 && text[3] == 0);
    say("no length", fallocate(fd, 0, 0, 0));
    say("negative", fallocate(fd, 0, -1, 10));
    say("not there", fallocate(999, 0, 0, 10));
    int ends[2];
    (void)!pipe(ends);
    say("of a pipe", fallocate(ends[1], 0, 0, 10));
    say("read only", fallocate(ends[0], 0, 0, 10));
    say("of a device", fallocate(open("/dev/null", O_WRONLY), 0, 0, 10));
}

static void limits(void) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    const struct rlimit few = {40, limit.rlim_max};
    say("setrlimit", setrlimit(RLIMIT_NOFILE, &few));
    int last = -1, fd;
    while ((fd = dup(1)) >= 0) {
        last = fd;
    }
    say("the next one", dup(1));
    say("the last one", last);
    int ends[2];
    say("pipe", pipe(ends));
    say("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    say("memfd", memfd_create("x", 0));
    say("open", open("/dev/null", O_RDONLY));
    say("dup2 beyond", dup2(1, 40));
    say("fcntl beyond", fcntl(1, F_DUPFD, 40));
    close(last);
    say("again", dup(1) == last);
    struct pollfd entries[41] = {0};
    say("poll of too many", poll(entries, 41, 0));
    close_range(3, ~0U, 0);

    /* As many as a server has. A machine that allows no program that many is not asked. */
    enum { count = 100000 };
    const struct rlimit many = {count, limit.rlim_max < count ? count : limit.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &many) == 0 || free_pages() != 0) {
        const long before = free_pages();
        for (last = 3; last < count && dup(1) == last; ++last) {
        }
        say("descriptors", last);
        say("the next one", dup(1));
        say("close", close_range(3, ~0U, 0));
        /* The table stays as large as it was. */
        say("memory is back", before - free_pages() < 1000);
    } else {
        printf("descriptors: %d\nthe next one: EMFILE\nclose: 0\nmemory is back: 1\n", count);
        fflush(stdout);
    }
}

static void pipe_sizes(void) {
    int ends[2];
    char block[4096] = "";
    (void)!pipe2(ends, O_NONBLOCK);
    say("a pipe holds", fcntl(ends[0], F_GETPIPE_SZ));
    say("no pipe", fcntl(file_of(""), F_GETPIPE_SZ));
    say("smaller", fcntl(ends[1], F_SETPIPE_SZ, 5000));
    say("it holds", fcntl(ends[1], F_GETPIPE_SZ));
    say("first page", write(ends[1], block, sizeof block));
    say("second page", write(ends[1], block, sizeof block));
    say("third page", write(ends[1], block, sizeof block));
    say("smaller than what is in it", fcntl(ends[1], F_SETPIPE_SZ, 1));
    say("larger", fcntl(ends[1], F_SETPIPE_SZ, 16384));
    say("third page", write(ends[1], block, sizeof block));
    (void)!read(ends[0], block, sizeof block);
    (void)!read(ends[0], block, sizeof block);
    say("as small as it gets", fcntl(ends[1], F_SETPIPE_SZ, 0));
    say("no such size", fcntl(ends[1], F_SETPIPE_SZ, 0x90000000));
}

static void seals(void) {
    const int fd = memfd_create("x", MFD_ALLOW_SEALING);
    say("room", ftruncate(fd, 4096));
    say("no seals", fcntl(fd, F_GET_SEALS));
    say("not shorter", fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK));
    say("shorter", ftruncate(fd, 100));
    say("longer", ftruncate(fd, 8192));
    say("not longer, no more seals", fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SEAL));
    say("seals", fcntl(fd, F_GET_SEALS));
    say("longer", ftruncate(fd, 9000));
    say("another", fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
    say("not to be sealed", fcntl(file_of(""), F_ADD_SEALS, F_SEAL_WRITE));
    int ends[2];
    (void)!pipe(ends);
    say("no file", fcntl(ends[0], F_GET_SEALS));
}

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    copies();
    pipe_sizes();
    seals();
    splices();
    what_is_not_taken();
    moved_and_read();
    fifos();
    room();
    limits();
    return 0;
}
