/* The Linux side of the disk benchmark: direct reads or writes of a disk at a given depth, the least a
 * program can do.
 * SPDX-License-Identifier: MIT
 *
 * usage: linux_load DISK read|write random|sequential SIZE DEPTH COUNT
 * Prints `bench: operations N nanoseconds T`. At depth 1 a plain pread or pwrite; beyond it the kernel's
 * native asynchronous interface, as many resubmitted with one call as were reaped with one. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { most_depth = 256 };

static int die(const char* what) {
    printf("bench: %s: %s\n", what, strerror(errno));
    return 1;
}

struct load {
    int disk;
    int writes;
    int random;
    uint64_t size;
    uint64_t places; /* of `size` bytes each on the disk */
    uint64_t next;   /* sequential: the next place */
    uint64_t state;  /* random: xorshift64* */
};

static uint64_t place(struct load* load) {
    if (!load->random) {
        return load->size * (load->next++ % load->places);
    }
    load->state ^= load->state >> 12;
    load->state ^= load->state << 25;
    load->state ^= load->state >> 27;
    return load->size * ((load->state * 0x2545f4914f6cdd1dULL >> 33) % load->places);
}

static int one_at_a_time(struct load* load, void* buffer, uint64_t count) {
    for (uint64_t i = 0; i < count; ++i) {
        const off_t at = (off_t)place(load);
        const ssize_t done = load->writes ? pwrite(load->disk, buffer, load->size, at)
                                          : pread(load->disk, buffer, load->size, at);
        if (done != (ssize_t)load->size) {
            return die("transfer");
        }
    }
    return 0;
}

static int many_at_a_time(struct load* load, char* buffers, uint64_t depth, uint64_t count) {
    static struct iocb blocks[most_depth];
    static struct iocb* ready[most_depth];
    static struct io_event events[most_depth];
    aio_context_t context = 0;
    if (syscall(SYS_io_setup, depth, &context) != 0) {
        return die("io_setup");
    }
    for (uint64_t i = 0; i < depth; ++i) {
        blocks[i].aio_lio_opcode = load->writes ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD;
        blocks[i].aio_fildes = (uint32_t)load->disk;
        blocks[i].aio_buf = (uint64_t)(uintptr_t)(buffers + i * load->size);
        blocks[i].aio_nbytes = load->size;
        ready[i] = &blocks[i];
    }
    uint64_t submitted = 0;
    uint64_t finished = 0;
    long idle = (long)(depth < count ? depth : count);
    while (finished < count) {
        if ((uint64_t)idle > count - submitted) {
            idle = (long)(count - submitted);
        }
        for (long i = 0; i < idle; ++i) {
            ready[i]->aio_offset = (int64_t)place(load);
        }
        if (idle != 0 && syscall(SYS_io_submit, context, idle, ready) != idle) {
            return die("io_submit");
        }
        submitted += (uint64_t)idle;
        const long reaped = syscall(SYS_io_getevents, context, 1L, (long)depth, events, NULL);
        if (reaped < 1) {
            return die("io_getevents");
        }
        for (long i = 0; i < reaped; ++i) {
            if (events[i].res != (int64_t)load->size) {
                errno = EIO;
                return die("transfer");
            }
            ready[i] = (struct iocb*)(uintptr_t)events[i].obj;
        }
        finished += (uint64_t)reaped;
        idle = reaped;
    }
    return 0;
}

int main(int argc, char** argv) {
    if (argc != 7) {
        printf("bench: usage: linux_load DISK read|write random|sequential SIZE DEPTH COUNT\n");
        return 2;
    }
    const uint64_t size = strtoull(argv[4], NULL, 10);
    const uint64_t depth = strtoull(argv[5], NULL, 10);
    const uint64_t count = strtoull(argv[6], NULL, 10);
    struct load load = {.writes = strcmp(argv[2], "write") == 0,
                        .random = strcmp(argv[3], "random") == 0,
                        .size = size,
                        .state = 88172645463325252ULL};
    uint64_t bytes = 0;
    load.disk = open(argv[1], O_RDWR | O_DIRECT | O_CLOEXEC);
    if (load.disk < 0 || ioctl(load.disk, BLKGETSIZE64, &bytes) != 0) {
        return die(argv[1]);
    }
    if (size == 0 || bytes < size || depth == 0 || depth > most_depth) {
        printf("bench: size or depth out of range\n");
        return 2;
    }
    load.places = bytes / size;
    char* buffers = aligned_alloc(4096, (size * depth + 4095) / 4096 * 4096);
    if (buffers == NULL) {
        return die("memory");
    }
    memset(buffers, 0x5a, size * depth);
    struct timespec begin;
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    const int status =
        depth == 1 ? one_at_a_time(&load, buffers, count) : many_at_a_time(&load, buffers, depth, count);
    clock_gettime(CLOCK_MONOTONIC, &end);
    if (status == 0) {
        const int64_t nanoseconds =
            (end.tv_sec - begin.tv_sec) * 1000000000LL + (end.tv_nsec - begin.tv_nsec);
        printf("bench: operations %llu nanoseconds %lld\n", (unsigned long long)count,
               (long long)nanoseconds);
    }
    return status;
}
