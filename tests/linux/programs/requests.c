/* Linux's first asynchronous requests (io_setup and its kin): files, pipes, events, what is refused, hostile
 * pointers.
 * SPDX-License-Identifier: MIT */
#include "say.h"

#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>

static void* const nowhere = (void*)8;
static char name[] = "/tmp/pv-requests-XXXXXX";

static long setup(unsigned count, aio_context_t* context) {
    return syscall(SYS_io_setup, count, context);
}

static long destroy(aio_context_t context) {
    return syscall(SYS_io_destroy, context);
}

static long submit(aio_context_t context, long count, struct iocb** requests) {
    return syscall(SYS_io_submit, context, count, requests);
}

static long submit_one(aio_context_t context, struct iocb* request) {
    return submit(context, 1, &request);
}

static long getevents(aio_context_t context, long least, long most, struct io_event* events,
                      struct timespec* time) {
    return syscall(SYS_io_getevents, context, least, most, events, time);
}

static struct iocb request_of(int operation, int fd, const void* at, size_t length, long offset) {
    return (struct iocb){.aio_lio_opcode = (uint16_t)operation,
                         .aio_fildes = (uint32_t)fd,
                         .aio_buf = (uintptr_t)at,
                         .aio_nbytes = length,
                         .aio_offset = offset,
                         .aio_data = 0x1234567800000000u + (unsigned)operation};
}

static struct timespec at_once;

/* Submits one request and tells how it ended. */
static void say_request(const char* what, aio_context_t context, struct iocb request) {
    struct io_event event = {0};
    const long submitted = submit_one(context, &request);
    if (submitted != 1) {
        say(what, submitted);
        return;
    }
    const long got = getevents(context, 1, 1, &event, NULL);
    printf("%s: %ld event, %s of it, result %lld %lld\n", what, got,
           event.obj == (uintptr_t)&request && event.data == request.aio_data ? "all" : "nothing",
           (long long)event.res, (long long)event.res2);
}

static void contexts(void) {
    aio_context_t context = 0, other = 0;
    say("of nothing", setup(0, &context));
    say("of far too much", setup(0x7fffffff, &context));
    say("of too much", setup(4000000, &context));
    say("told nowhere", setup(1, nowhere));
    say("none was told", context == 0);
    say("io_setup", setup(8, &context));
    say("a name", context != 0);
    say("not zero", setup(8, &context));
    say("another", setup(8, &other));
    say("of its own", other != context);
    say("io_destroy", destroy(other));
    say("again", destroy(other));
    say("no such context", destroy(77));
    struct io_event event;
    say("gone: events", getevents(other, 0, 1, &event, &at_once));
    say("gone: submit", submit(other, 0, NULL));
    say("no events", getevents(context, 0, 1, &event, &at_once));
    say("nothing waited for", getevents(context, 0, 0, NULL, NULL));
    say("more than room", getevents(context, 2, 1, &event, &at_once));
    say("less than nothing", getevents(context, -1, 1, &event, &at_once));
    say("time from nowhere", getevents(context, 0, 1, &event, nowhere));
    struct timespec soon = {.tv_nsec = 20000000};
    say("waits a while", getevents(context, 1, 1, &event, &soon));
    fflush(stdout);
    if (fork() == 0) {
        say("a child's", getevents(context, 0, 1, &event, &at_once));
        _exit(0);
    }
    wait(NULL);
    if (vfork() == 0) {
        say("a guest's", getevents(context, 0, 1, &event, &at_once));
        _exit(0);
    }
    wait(NULL);
    /* libaio looks here before it calls. */
    say("a page that can be read", msync((void*)(uintptr_t)(context & ~4095ul), 4096, MS_ASYNC));
    say("io_destroy", destroy(context));
}

static void files(aio_context_t context, int fd) {
    char there[16] = "";
    say_request("write", context, request_of(IOCB_CMD_PWRITE, fd, "0123456789", 10, 5));
    say_request("read", context, request_of(IOCB_CMD_PREAD, fd, there, 16, 7));
    printf("%.16s\n", there);
    say_request("read behind the end", context, request_of(IOCB_CMD_PREAD, fd, there, 16, 700));
    struct iovec pieces[2] = {{there, 3}, {there + 8, 3}};
    say_request("read pieces", context, request_of(IOCB_CMD_PREADV, fd, pieces, 2, 5));
    printf("%.3s %.3s\n", there, there + 8);
    say_request("write pieces", context, request_of(IOCB_CMD_PWRITEV, fd, pieces, 2, 0));
    say("size", lseek(fd, 0, SEEK_END));
    say("position stays", lseek(fd, 3, SEEK_SET));
    say_request("read", context, request_of(IOCB_CMD_PREAD, fd, there, 16, 0));
    say("position", lseek(fd, 0, SEEK_CUR));
    say_request("fsync", context, request_of(IOCB_CMD_FSYNC, fd, NULL, 0, 0));
    say_request("fdatasync", context, request_of(IOCB_CMD_FDSYNC, fd, NULL, 0, 0));
    say_request("fsync with bytes", context, request_of(IOCB_CMD_FSYNC, fd, there, 1, 0));
    struct iocb lasting = request_of(IOCB_CMD_PWRITE, fd, "x", 1, 0);
    lasting.aio_rw_flags = RWF_DSYNC;
    say_request("write to last", context, lasting);
    lasting.aio_rw_flags = 0x4000;
    say_request("a wish nobody knows", context, lasting);
    /* What is refused before it begins, and what fails then. */
    say_request("no such operation", context, request_of(77, fd, there, 1, 0));
    say_request("no such file", context, request_of(IOCB_CMD_PREAD, 999, there, 1, 0));
    say_request("before the beginning", context, request_of(IOCB_CMD_PREAD, fd, there, 1, -1));
    say_request("into nowhere", context, request_of(IOCB_CMD_PREAD, fd, nowhere, 1, 0));
    say_request("into the kernel", context, request_of(IOCB_CMD_PREAD, fd, (void*)0xffff800000000000, 1, 0));
    say_request("pieces from nowhere", context, request_of(IOCB_CMD_PREADV, fd, nowhere, 1, 0));
    say_request("too many pieces", context, request_of(IOCB_CMD_PREADV, fd, pieces, 1025, 0));
    say_request("less than nothing", context, request_of(IOCB_CMD_PREAD, fd, there, (size_t)-1, 0));
    struct iocb reserved = request_of(IOCB_CMD_PREAD, fd, there, 1, 0);
    reserved.aio_reserved2 = 1;
    say_request("what is reserved", context, reserved);
    const int reader = open(name, O_RDONLY), writer = open(name, O_WRONLY | O_APPEND);
    say_request("write to a reader", context, request_of(IOCB_CMD_PWRITE, reader, "x", 1, 0));
    say_request("read a writer", context, request_of(IOCB_CMD_PREAD, writer, there, 1, 0));
    say_request("append", context, request_of(IOCB_CMD_PWRITE, writer, "tail", 4, 0));
    say("size", lseek(fd, 0, SEEK_END));
    close(reader);
    close(writer);
}

static void several(aio_context_t context, int fd) {
    char there[3][4] = {"", "", ""};
    struct iocb first = request_of(IOCB_CMD_PREAD, fd, there[0], 4, 0),
                bad = request_of(IOCB_CMD_PREAD, 999, there, 4, 0),
                last = request_of(IOCB_CMD_PREAD, fd, there[1], 4, 4);
    struct iocb* all[] = {&first, &last, &bad, &first};
    struct io_event events[8];
    say("up to the bad one", submit(context, 4, all));
    say("fewer than asked for", getevents(context, 1, 8, events, NULL));
    say("in order", events[0].obj == (uintptr_t)&first && events[1].obj == (uintptr_t)&last);
    struct iocb* lost[] = {&first, nowhere, &last};
    say("one from nowhere", submit(context, 3, lost));
    say("the list from nowhere", submit(context, 3, nowhere));
    say("fewer than none", submit(context, -1, all));
    say("none", submit(context, 0, nowhere));
    say("to nowhere", getevents(context, 1, 1, nowhere, NULL));
    say("it is still there", getevents(context, 1, 1, events, NULL));
    say("once", getevents(context, 0, 1, events, &at_once));
    for (int i = 0; i < 5; ++i) {
        say("submit", submit_one(context, i % 2 ? &first : &last));
    }
    /* Room for two before memory ends. */
    char* const pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(pages + 4096, 4096, PROT_NONE);
    say("two of them", getevents(context, 1, 2, (struct io_event*)(pages + 4096) - 2, NULL));
    say("the rest", getevents(context, 3, 8, events, NULL));
    say("in order", events[0].obj == (uintptr_t)&last && events[1].obj == (uintptr_t)&first);
    const unsigned long key = 0;
    say("cancel what is done", syscall(SYS_io_cancel, context, &first, events));
    say("cancel nowhere", syscall(SYS_io_cancel, context, nowhere, events));
    say("key", memcmp(&first.aio_key, &key, 4));
}

static void bells(aio_context_t context, int fd) {
    char there[4];
    uint64_t count = 0;
    struct io_event event;
    const int bell = eventfd(0, EFD_NONBLOCK);
    struct iocb request = request_of(IOCB_CMD_PREAD, fd, there, 4, 0);
    request.aio_flags = IOCB_FLAG_RESFD;
    request.aio_resfd = (uint32_t)bell;
    say("submit", submit_one(context, &request));
    say("submit", submit_one(context, &request));
    struct pollfd entry = {.fd = bell, .events = POLLIN};
    say("rings", poll(&entry, 1, 10000));
    say("events", getevents(context, 2, 2, (struct io_event[2]){{0}}, NULL));
    say("read", read(bell, &count, sizeof count));
    say("times", (long)count);
    request.aio_resfd = (uint32_t)fd;
    say("a file is no bell", submit_one(context, &request));
    request.aio_resfd = 999;
    say("no such bell", submit_one(context, &request));
    say("nothing was begun", getevents(context, 0, 1, &event, &at_once));
    close(bell);
}

static void pipes(aio_context_t context) {
    int ends[2];
    char there[8] = "";
    (void)!pipe(ends);
    say_request("write", context, request_of(IOCB_CMD_PWRITE, ends[1], "pipe", 4, 0));
    say_request("read", context, request_of(IOCB_CMD_PREAD, ends[0], there, 8, 3));
    printf("%s\n", there);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    say_request("nothing there", context, request_of(IOCB_CMD_PREAD, ends[0], there, 8, 0));
    say_request("fsync", context, request_of(IOCB_CMD_FSYNC, ends[0], NULL, 0, 0));
    close(ends[0]);
    signal(SIGPIPE, SIG_IGN);
    say_request("nobody reads", context, request_of(IOCB_CMD_PWRITE, ends[1], "x", 1, 0));
    close(ends[1]);
}

static aio_context_t shared;
static int shared_file;

static void* submit_later(void* unused) {
    static struct iocb request;
    static char there[4];
    usleep(30000);
    request = request_of(IOCB_CMD_PREAD, shared_file, there, 4, 0);
    submit_one(shared, &request);
    return unused;
}

static void* destroy_later(void* unused) {
    usleep(30000);
    say("destroyed meanwhile", destroy(shared));
    return unused;
}

static void on_alarm(int number) {
    (void)number;
}

static void waiting(int fd) {
    pthread_t thread;
    struct io_event event;
    shared_file = fd;
    say("io_setup", setup(4, &shared));
    pthread_create(&thread, NULL, submit_later, NULL);
    say("waits for another", getevents(shared, 1, 1, &event, NULL));
    say("result", event.res);
    pthread_join(thread, NULL);
    const struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    ualarm(30000, 0);
    say("a signal", getevents(shared, 1, 1, &event, NULL));
    /* A mask for the length of the call. */
    sigset_t blocked, none;
    sigemptyset(&none);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGALRM);
    sigprocmask(SIG_BLOCK, &blocked, NULL);

    const struct {
        const sigset_t* mask;
        size_t size;
    } during = {&none, 8}, bad = {&none, 7};

    raise(SIGALRM);
    say("a signal let through", syscall(SYS_io_pgetevents, shared, 1, 1, &event, NULL, &during));
    say("bad size", syscall(SYS_io_pgetevents, shared, 0, 1, &event, &at_once, &bad));
    say("mask from nowhere", syscall(SYS_io_pgetevents, shared, 0, 1, &event, &at_once, nowhere));
    say("no mask", syscall(SYS_io_pgetevents, shared, 0, 1, &event, &at_once, NULL));
    sigset_t after;
    sigprocmask(SIG_UNBLOCK, &blocked, &after);
    say("blocked again", sigismember(&after, SIGALRM));
    pthread_create(&thread, NULL, destroy_later, NULL);
    const long ended = getevents(shared, 1, 1, &event, NULL);
    pthread_join(thread, NULL);
    say("ends with it", ended);
}

/* All places may be taken, and come back. */
static void full(int fd) {
    aio_context_t context = 0;

    enum { places = 600 };
    static struct io_event events[10000];
    static char there[4];
    say("io_setup", setup(places, &context));
    struct iocb request = request_of(IOCB_CMD_PREAD, fd, there, 4, 0);
    for (int round = 0; round < 3; ++round) {
        long done = 0;
        while (done < 9000 && submit_one(context, &request) == 1) {
            ++done;
        }
        say("as many as asked for", done >= places);
        say("no more", submit_one(context, &request));
        say("all are told", getevents(context, done, 10000, events, &at_once) == done);
        say("there is room again", submit_one(context, &request));
        say("one", getevents(context, 1, 10000, events, NULL));
    }
    say("io_destroy", destroy(context));
}

/* A quota of the whole machine, which Linux gives back in its own time. */
static long setup_in_time(unsigned count, aio_context_t* context) {
    long made = -1;
    for (int i = 0; i < 200 && (made = setup(count, context)) == -1 && errno == EAGAIN; ++i) {
        usleep(20000);
    }
    return made;
}

enum { much = 40000 };

static long in_all(void) {
    char text[32] = "";
    const int fd = open("/proc/sys/fs/aio-nr", O_RDONLY);
    (void)!read(fd, text, sizeof text - 1);
    close(fd);
    return atol(text);
}

static void take_much(void) {
    aio_context_t context = 0;
    say("much", setup_in_time(much, &context));
    say("is counted", in_all() >= much);
    context = 0;
    say("too much", setup(much, &context));
}

static void take_and_execute(void) {
    aio_context_t context = 0;
    say("much again", setup_in_time(much, &context));
    execl("/proc/self/exe", "requests", "executed", NULL);
}

int main(int argc, char** argv) {
    if (argc > 1) {
        aio_context_t own = 0;
        return printf("%s: %ld\n", argv[1], setup_in_time(much, &own)) < 0;
    }
    mkdir("/tmp", 01777);
    const int fd = mkstemp(name);
    aio_context_t context = 0;
    contexts();
    say("io_setup", setup(8, &context));
    files(context, fd);
    several(context, fd);
    bells(context, fd);
    pipes(context);
    waiting(fd);
    full(fd);
    say("ended", run_child(take_much));
    say("ended", run_child(take_and_execute));
    unlink(name);
    say("io_destroy", destroy(context));
    return 0;
}
