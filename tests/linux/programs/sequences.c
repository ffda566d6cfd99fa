/* Random sequences of calls, the same on every kernel: each step's arguments come from a generator with a
 * fixed seed, its result and what it gave back are told. Nothing here can block.
 * SPDX-License-Identifier: MIT */
#include "pick.h"
#include "say.h"

#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>

#ifndef SEQUENCES
#define SEQUENCES 50
#endif
#define STEPS 400

static char* region[4]; /* 16 pages each, or NULL */
static int has_allocated;

static void do_open(void) {
    static const int flags[] = {O_RDONLY,
                                O_WRONLY,
                                O_RDWR,
                                O_RDWR | O_CREAT,
                                O_WRONLY | O_CREAT | O_EXCL,
                                O_RDWR | O_TRUNC,
                                O_WRONLY | O_APPEND,
                                O_DIRECTORY,
                                O_RDWR | O_CREAT | O_TRUNC,
                                O_NOFOLLOW,
                                O_PATH,
                                O_RDWR | O_TMPFILE,
                                O_CREAT,
                                3,
                                O_PATH | O_NOFOLLOW};
    static const mode_t modes[] = {0644, 0600, 0, 0777, 0755};
    const char* name = path();
    const int flag = PICK(flags) | O_NONBLOCK | (below(3) == 0 ? O_CLOEXEC : 0);
    const mode_t mode = PICK(modes);
    const int at = below(4) == 0 ? descriptor() : AT_FDCWD;
    tell_path("openat", name, flag, openat(at, name, flag, mode));
}

static void do_close(void) {
    const int fd = descriptor();
    tell("close", fd, 0, close(fd));
}

static void do_dup(void) {
    const int fd = descriptor();
    const int to = descriptor();
    switch (below(4)) {
        case 0:
            tell("dup", fd, 0, dup(fd));
            break;
        case 1:
            tell("dup2", fd, to, to > 30 ? -2 : dup2(fd, to));
            break;
        case 2:
            tell("dup3", fd, to, to > 30 ? -2 : dup3(fd, to, below(2) == 0 ? O_CLOEXEC : 0));
            break;
        default:
            tell("dupfd", fd, to, fcntl(fd, below(2) == 0 ? F_DUPFD : F_DUPFD_CLOEXEC, to > 30 ? 5 : to));
            break;
    }
}

static void do_read(void) {
    const int fd = descriptor();
    const size_t size = length();
    long got = 0;
    memset(buffer, 0, sizeof buffer);
    if (below(3) == 0) {
        const off_t at = offset();
        got = pread(fd, buffer, size, at);
        tell("pread", fd, at, got);
    } else if (below(4) == 0) {
        const struct iovec parts[3] = {{buffer, size / 3}, {buffer + 2000, 0}, {buffer + size / 3, size / 3}};
        got = readv(fd, parts, (int)below(4));
        tell("readv", fd, (long)size, got);
    } else {
        got = read(fd, buffer, size);
        tell("read", fd, (long)size, got);
    }
    tell_data(buffer, got);
}

/* In a pipe. Ours counts bytes; Linux counts pages that are filled only in part. */
static int held_in(int fd) {
    int held = 0;
    return kind_of(fd) == S_IFIFO && ioctl(fd, FIONREAD, &held) == 0 ? held : 0;
}

static int has_room(int fd) {
    return held_in(fd) <= 16384;
}

static int type_of(int fd) {
    int type = 0;
    socklen_t room = sizeof type;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &room) == 0 ? type : 0;
}

/* Whether a packet without a byte that is left behind counts as data that is lost has changed. */
static size_t length_to(int fd) {
    const size_t size = length();
    return size == 0 && type_of(fd) == SOCK_SEQPACKET ? 1 : size;
}

static void do_write(void) {
    const int fd = descriptor();
    if (!has_room(fd)) {
        return;
    }
    /* How much eventfd takes at once has changed. */
    const size_t size = kind_of(fd) == 0 ? 8 : length_to(fd);
    fill(size);
    if (size == 8) {
        buffer[7] = 0;
    }
    if (below(3) == 0) {
        const off_t at = offset();
        tell("pwrite", fd, at, pwrite(fd, buffer, size, at));
    } else if (below(4) == 0) {
        const struct iovec parts[2] = {{buffer, size == 8 ? size : size / 2},
                                       {buffer + size / 2, size == 8 ? 0 : size - size / 2}};
        tell("writev", fd, (long)size, writev(fd, parts, (int)below(3)));
    } else {
        tell("write", fd, (long)size, write(fd, buffer, size));
    }
}

static void do_seek(void) {
    static const int whence[] = {SEEK_SET, SEEK_CUR, SEEK_END, SEEK_DATA, SEEK_HOLE, 9};
    const int fd = descriptor();
    const off_t at = offset();
    struct stat facts;
    const int way = PICK(whence);
    /* Where things lie in a directory is each kernel's own. */
    if (fstat(fd, &facts) == 0 && S_ISDIR(facts.st_mode)) {
        return;
    }
    /* What was allocated and not written is a hole there. */
    if (has_allocated && (way == SEEK_DATA || way == SEEK_HOLE)) {
        return;
    }
    tell("lseek", fd, at * 10 + way, lseek(fd, at, way));
}

static void do_size(void) {
    const int fd = descriptor();
    const off_t at = offset();
    static const int modes[] = {0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                FALLOC_FL_PUNCH_HOLE};
    const int mode = PICK(modes);
    switch (below(3)) {
        case 0:
            tell("ftruncate", fd, at, ftruncate(fd, at));
            break;
        case 1: {
            const char* name = path();
            tell_path("truncate", name, at, truncate(name, at));
            break;
        }
        default:
            has_allocated = 1;
            tell("fallocate", fd, at * 4 + mode, fallocate(fd, mode, at, (off_t)length()));
            break;
    }
}

static void show(const struct stat* facts) {
    const int has_size = S_ISREG(facts->st_mode) || S_ISLNK(facts->st_mode);
    printf("  mode %o links %d size %ld owner %d\n", facts->st_mode, (int)facts->st_nlink,
           has_size ? (long)facts->st_size : 0, (int)facts->st_uid);
}

static void do_stat(void) {
    struct stat facts;
    if (below(2) == 0) {
        const int fd = descriptor();
        const int result = fstat(fd, &facts);
        tell("fstat", fd, 0, result);
        if (result == 0) {
            show(&facts);
        }
        return;
    }
    static const int flags[] = {0, AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW,
                                0x10};
    const char* name = path();
    const int at = below(4) == 0 ? descriptor() : AT_FDCWD;
    const int flag = PICK(flags);
    const int result = fstatat(at, name, &facts, flag);
    tell_path("fstatat", name, flag, result);
    if (result == 0) {
        show(&facts);
    }
}

static void do_flags(void) {
    const int fd = descriptor();
    switch (below(5)) {
        case 0:
            tell("getfl", fd, 0, fcntl(fd, F_GETFL));
            break;
        case 1:
            tell("setfl", fd, 0, fcntl(fd, F_SETFL, O_NONBLOCK | (below(2) == 0 ? O_APPEND : 0)));
            break;
        case 2:
            tell("getfd", fd, 0, fcntl(fd, F_GETFD));
            break;
        case 3:
            tell("setfd", fd, 0, fcntl(fd, F_SETFD, (int)below(2)));
            break;
        default:
            if (kind_of(fd) != S_IFREG && kind_of(fd) != S_IFDIR && kind_of(fd) != -1) {
                break; /* what has no name has one lock for all of its kind there */
            }
            tell("flock", fd, 0,
                 flock(fd, LOCK_NB | (below(3) == 0   ? LOCK_UN
                                      : below(2) == 0 ? LOCK_SH
                                                      : LOCK_EX)));
            break;
    }
}

static void do_names(void) {
    const char* one = path();
    const char* two = path();
    char line[64];
    long got = 0;
    switch (below(12)) {
        case 0:
            tell_path("unlink", one, 0, unlink(one));
            break;
        case 1:
            tell_path("mkdir", one, 0, mkdir(one, 0755));
            break;
        case 2:
            tell_path("rmdir", one, 0, rmdir(one));
            break;
        case 3:
            while (*two == '\0') {
                two = path(); /* which one is looked at first has changed */
            }
            snprintf(line, sizeof line, "rename to %s", two);
            tell_path(line, one, 0, rename(one, two));
            break;
        case 4:
            snprintf(line, sizeof line, "link to %s", two);
            tell_path(line, one, 0, link(one, two));
            break;
        case 5:
            snprintf(line, sizeof line, "symlink to %s", two);
            tell_path(line, one, 0, symlink(one, two));
            break;
        case 6:
            got = readlink(one, (char*)buffer, length());
            tell_path("readlink", one, 0, got);
            tell_data(buffer, got);
            break;
        case 7:
            tell_path("chmod", one, 0, chmod(one, 0700 + below(0100)));
            break;
        case 8:
            tell_path("access", one, 0, faccessat(AT_FDCWD, one, (int)below(9), 0));
            break;
        case 9:
            tell_path("mknod", one, 0, mknod(one, S_IFIFO | 0600, 0));
            break;
        case 10: {
            static const unsigned flags[] = {0, 1 /* RENAME_NOREPLACE */, 2 /* RENAME_EXCHANGE */, 3};
            const unsigned flag = PICK(flags);
            while (*two == '\0') {
                two = path();
            }
            snprintf(line, sizeof line, "renameat2 %u to %s", flag, two);
            tell_path(line, one, 0, syscall(SYS_renameat2, AT_FDCWD, one, AT_FDCWD, two, flag));
            break;
        }
        default: {
            static const int flags[] = {0, AT_REMOVEDIR, 1};
            const int at = descriptor();
            const int flag = PICK(flags);
            tell_path("unlinkat", one, flag, unlinkat(at, one, flag));
            break;
        }
    }
}

static void do_new(void) {
    int ends[2] = {-1, -1};
    static const int kinds[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
    switch (below(5)) {
        case 0:
            tell("pipe2", 0, 0, pipe2(ends, O_NONBLOCK));
            break;
        case 1:
            tell("eventfd", 0, 0, eventfd(below(3), EFD_NONBLOCK | (below(2) == 0 ? EFD_SEMAPHORE : 0)));
            return;
        case 2:
            tell("memfd", 0, 0, memfd_create("m", below(2) == 0 ? MFD_ALLOW_SEALING : 0));
            return;
        case 3:
            tell("epoll_create", 0, 0, epoll_create1(0));
            return;
        default:
            tell("socketpair", 0, 0, socketpair(AF_UNIX, PICK(kinds) | SOCK_NONBLOCK, 0, ends));
            break;
    }
    printf("  %d %d\n", ends[0], ends[1]);
}

static void do_socket(void) {
    const int fd = descriptor();
    const size_t size = length_to(fd);
    long got = 0;
    switch (below(4)) {
        case 0:
            fill(size);
            tell("send", fd, (long)size, send(fd, buffer, size, MSG_DONTWAIT | MSG_NOSIGNAL));
            break;
        case 1: {
            static const int flags[] = {0, MSG_PEEK, MSG_TRUNC, MSG_PEEK | MSG_TRUNC};
            memset(buffer, 0, sizeof buffer);
            const int flag = PICK(flags);
            got = recv(fd, buffer, size, MSG_DONTWAIT | flag);
            tell("recv", fd, flag, got);
            tell_data(buffer, got > (long)size ? (long)size : got);
            break;
        }
        case 2: {
            if (type_of(fd) == SOCK_DGRAM) {
                break; /* of two errors another one since 6.17 */
            }
            tell("shutdown", fd, 0, shutdown(fd, (int)below(4)));
            break;
        }
        default: {
            int value = -1;
            socklen_t room = sizeof value;
            static const int names[] = {SO_TYPE, SO_ERROR, SO_ACCEPTCONN, SO_DOMAIN, SO_PROTOCOL};
            const int name = PICK(names);
            tell("getsockopt", fd, name, getsockopt(fd, SOL_SOCKET, name, &value, &room));
            printf("  %d\n", value);
            break;
        }
    }
}

static void do_move(void) {
    const int from = descriptor();
    const int to = descriptor();
    const size_t size = length();
    off_t at = offset();
    if (held_in(to) != 0) {
        return;
    }
    switch (below(4)) {
        case 0:
            if (from == to) {
                break; /* bytes that are changed under way */
            }
            tell("sendfile", from, to, sendfile(to, from, below(2) == 0 ? &at : NULL, size));
            break;
        case 1:
            tell("splice", from, to, splice(from, NULL, to, NULL, size, SPLICE_F_NONBLOCK));
            break;
        case 2:
            tell("tee", from, to, tee(from, to, size, SPLICE_F_NONBLOCK));
            break;
        default:
            tell("copy_file_range", from, to, copy_file_range(from, NULL, to, NULL, size, 0));
            break;
    }
}

static void do_ready(void) {
    struct pollfd list[4];
    for (int i = 0; i < 4; ++i) {
        list[i] = (struct pollfd){.fd = descriptor(),
                                  .events = (short)(POLLIN | (below(2) == 0 ? POLLOUT : 0) | POLLRDHUP)};
    }
    tell("poll", list[0].fd, list[1].fd, poll(list, 4, 0));
    printf("  %x %x %x %x\n", list[0].revents, list[1].revents, list[2].revents, list[3].revents);
    const int fd = descriptor();
    if (below(2) == 0) {
        static const int deeds[] = {EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CTL_DEL, 7};
        const int what = descriptor();
        const int deed = PICK(deeds);
        struct epoll_event event = {
            .events = EPOLLIN | (below(2) == 0 ? EPOLLOUT : 0) | (below(3) == 0 ? EPOLLET : 0),
            .data.u32 = 7};
        tell("epoll_ctl", fd, what * 10 + deed, epoll_ctl(fd, deed, what, &event));
    } else {
        struct epoll_event events[16];
        tell("epoll_wait", fd, 0, epoll_wait(fd, events, 16, 0));
    }
}

static void do_memory(void) {
    static const int rights[] = {PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE, PROT_EXEC | PROT_READ, 0x1000};
    const unsigned which = below(4);
    const size_t page = 4096 * (size_t)below(18);
    const size_t size = 4096 * (size_t)below(6);
    const int right = PICK(rights);
    if (region[which] == NULL) {
        /* A fixed place, in memory that is ours already. */
        region[which] = (char*)0x600000000000 + which * 0x100000;
        tell("mmap", (int)which, 0,
             mmap(region[which], 16 * 4096, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != region[which]);
        return;
    }
    char* const at = region[which] + page;
    printf("%u pages %zu to %zu, rights %x\n", step, page / 4096, (page + size) / 4096, (unsigned)right);
    switch (below(7)) {
        case 0:
            tell("munmap", (int)which, (long)(page + size), munmap(at, size));
            break;
        case 1:
            tell("mprotect", (int)which, (long)(page + size) + right, mprotect(at, size, right));
            break;
        case 2: {
            static const int advice[] = {MADV_DONTNEED, MADV_NORMAL, MADV_WILLNEED, 99};
            const int what = PICK(advice);
            tell("madvise", (int)which, (long)(page + size) + what, madvise(at, size, what));
            break;
        }
        case 3: {
            const int fd = descriptor();
            static const int kinds[] = {MAP_PRIVATE, MAP_SHARED, 0};
            if (kind_of(fd) == S_IFSOCK) {
                break; /* what was there is lost with the refusal */
            }
            /* Where files live may be mounted without the right to execute. */
            void* const got =
                mmap(at, size, right & ~PROT_EXEC, PICK(kinds) | MAP_FIXED, fd, (off_t)(4096 * below(3)));
            tell("mmap of", fd, right, got == MAP_FAILED ? -1 : got == at);
            break;
        }
        case 4: {
            /* What is there, told without a fault. */
            const int fd = open("m", O_WRONLY | O_CREAT | O_NONBLOCK, 0600);
            if (has_room(fd)) {
                tell("write from", (int)which, (long)page, write(fd, at, size));
            }
            break;
        }
        case 5: {
            unsigned char there[32];
            memset(there, 0, sizeof there);
            const int result = mincore(at, size, there);
            tell("mincore", (int)which, (long)(page + size), result);
            break;
        }
        default:
            tell("msync", (int)which, (long)(page + size),
                 msync(at, size, below(2) == 0 ? MS_SYNC : MS_ASYNC));
            break;
    }
}

static void do_signals(void) {
    sigset_t set;
    siginfo_t info;
    const struct timespec none = {0, 0};
    const int signal = (int)below(66);
    switch (below(4)) {
        case 0:
            /* All are blocked here but those that cannot be. */
            tell("kill", signal, 0,
                 signal == SIGKILL || signal == SIGSTOP || (signal > 31 && signal < 34)
                     ? -2
                     : kill(getpid(), signal));
            break;
        case 1:
            sigpending(&set);
            printf("%u pending %016lx\n", step, *(unsigned long*)&set);
            break;
        case 2:
            sigfillset(&set);
            tell("sigtimedwait", 0, 0, sigtimedwait(&set, &info, &none));
            break;
        default: {
            struct sigaction action;
            tell("sigaction", signal, 0, sigaction(signal, NULL, &action));
            break;
        }
    }
}

static void do_other(void) {
    const int fd = descriptor();
    int value = 0;
    char name[17] = {0};
    switch (below(6)) {
        case 0:
            if (kind_of(fd) == 0) {
                break; /* epoll knows requests since 6.9 */
            }
            tell("fionread", fd, 0, ioctl(fd, FIONREAD, &value));
            printf("  %d\n", value);
            break;
        case 1:
            tell("umask", 0, 0, (long)umask((mode_t)below(01000) & 0077));
            break;
        case 2:
            snprintf(name, sizeof name, "step %u and so on", step);
            prctl(PR_SET_NAME, name);
            prctl(PR_GET_NAME, name);
            printf("%u name %s\n", step, name);
            break;
        case 3:
            tell("fsync", fd, 0, fsync(fd));
            break;
        case 4:
            if (kind_of(fd) != S_IFREG && kind_of(fd) != S_IFDIR && kind_of(fd) != -1) {
                break;
            }
            tell("fchmod", fd, 0, fchmod(fd, 0600 + below(0200)));
            break;
        default:
            if (kind_of(fd) == 0) {
                break;
            }
            tell("ioctl", fd, 0, ioctl(fd, 0x12345, &value));
            break;
    }
}

static void (*const deeds[])(void) = {do_open,   do_open,    do_close, do_dup,    do_read, do_read,
                                      do_write,  do_write,   do_seek,  do_size,   do_stat, do_flags,
                                      do_names,  do_names,   do_new,   do_socket, do_move, do_ready,
                                      do_memory, do_signals, do_other};

static void name_folder(char folder[64], pid_t id) {
    snprintf(folder, 64, "%s/pv-sequences-%d", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", (int)id);
}

static int take_away(const char* name, const struct stat* facts, int type, struct FTW* where) {
    (void)facts, (void)type, (void)where;
    return remove(name);
}

static void sequence(unsigned number) {
    char folder[64];
    name_folder(folder, getpid());
    /* One further in: a link to "." and ".." behind it lead out of where we are. */
    if (mkdir(folder, 0700) != 0 || chdir(folder) != 0 || mkdir("in", 0700) != 0 || chdir("in") != 0) {
        printf("no folder\n");
        _exit(1);
    }
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    umask(022);
    state = 0x9e3779b97f4a7c15ULL * (number + 1);
    for (step = 0; step < STEPS; ++step) {
        PICK(deeds)();
    }
    fflush(stdout);
    _exit(0);
}

int main(void) {
    for (unsigned i = 0; i < SEQUENCES; ++i) {
        printf("sequence %u\n", i);
        fflush(stdout);
        const pid_t id = fork();
        if (id == 0) {
            for (int fd = 3; fd < 64; ++fd) {
                close(fd);
            }
            sequence(i);
        }
        int status = 0;
        waitpid(id, &status, 0);
        printf("sequence %u ends: %x\n", i, status);
        char folder[64];
        name_folder(folder, id);
        chmod(folder, 0700);
        nftw(folder, take_away, 8, FTW_DEPTH | FTW_PHYS);
    }
    return 0;
}
