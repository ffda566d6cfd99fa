/* /proc/PID/io: what a process has read and written, by which calls; what its threads and children did.
 * SPDX-License-Identifier: MIT */
#include "say.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>

enum { read_bytes, written_bytes, reads, writes, kinds };

static int accounts;
static char block[8192];

/* What is told, and how long it was: reading it counts too, the next time. */
static long look(long told[kinds]) {
    char text[512];
    const long length = pread(accounts, text, sizeof text - 1, 0);
    text[length < 0 ? 0 : length] = '\0';
    if (sscanf(text, "rchar: %ld wchar: %ld syscr: %ld syscw: %ld", &told[0], &told[1], &told[2], &told[3]) !=
        kinds) {
        printf("not understood: %s\n", text);
    }
    return length;
}

static long before[kinds];
static long length_before;

static void begin(void) {
    length_before = look(before);
}

/* How much more it is now. Output goes through a pipe or a console: it is written after the look. */
static void end(const char* what) {
    long after[kinds];
    look(after);
    printf("%s: read %ld, written %ld, in %ld reads, %ld writes\n", what,
           after[read_bytes] - before[read_bytes] - length_before,
           after[written_bytes] - before[written_bytes], after[reads] - before[reads] - 1,
           after[writes] - before[writes]);
    fflush(stdout);
}

static void* move_some(void* file) {
    if (pread(*(int*)file, block, 777, 0) != 777) {
        puts("a thread read less");
    }
    return NULL;
}

int main(void) {
    accounts = open("/proc/self/io", O_RDONLY);
    int file = memfd_create("accounts", 0);
    int ends[2], pair[2];
    say("pipe", pipe(ends));
    say("pair", socketpair(AF_UNIX, SOCK_STREAM, 0, pair));

    begin();
    end("nothing");

    begin();
    write(file, block, 5000);
    pwrite(file, block, 100, 5000);
    end("two writes");

    begin();
    lseek(file, 0, SEEK_SET);
    read(file, block, 4000);
    pread(file, block, 8192, 5000);
    read(file, block, 8192);
    read(file, block, 8192);
    end("four reads, one at the end");

    struct iovec pieces[2] = {{block, 10}, {block + 100, 20}};
    begin();
    writev(file, pieces, 2);
    preadv(file, pieces, 2, 0);
    end("pieces");

    begin();
    write(ends[1], block, 300);
    read(ends[0], block, 200);
    write(pair[0], block, 40);
    read(pair[1], block, 8192);
    end("a pipe and a socket");

    begin();
    send(pair[0], block, 50, 0);
    recv(pair[1], block, 8192, 0);
    end("a message is no write");

    begin();
    say("read of what is not open", read(99, block, 10));
    say("read of what is written only", read(ends[1], block, 10));
    end("neither counts, what is said does");

    begin();
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    read(ends[0], block, 8192);
    say("nothing more", read(ends[0], block, 10));
    end("one that fails counts");

    begin();
    off_t from = 0;
    say("sendfile", sendfile(pair[0], file, &from, 1000));
    read(pair[1], block, 8192);
    end("sendfile and its reader");

    begin();
    pthread_t thread;
    pthread_create(&thread, NULL, move_some, &file);
    pthread_join(thread, NULL);
    end("a thread that has ended");

    begin();
    const pid_t child = fork();
    if (child == 0) {
        pread(file, block, 1234, 0);
        write(ends[1], block, 56);
        _exit(0);
    }
    siginfo_t info;
    waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT);
    end("a child that has ended");
    begin();
    waitpid(child, NULL, 0);
    end("and was waited for");

    return 0;
}
