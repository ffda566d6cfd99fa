/* Hostile pointers into every pointer argument: each call answers with an error, and the machine goes on.
 *
 * SPDX-License-Identifier: MIT */
#include "say.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>

static const struct {
    const char* name;
    uint64_t value;
} pointers[] = {
    {"one", 1},
    {"low", 0x1000},
    {"end", 0x7fffffffffff},
    {"edge", 0x7ffffffff000},
    {"hole", 0x0000800000000000},
    {"odd", 0x8000000000000000},
    {"kernel", 0xffff800000000000},
    {"text", 0xffffffff80200000},
    {"top", 0xffffffffffffffff},
    {"wrap", 0xfffffffffffffff8},
};

/* `which`: the argument, from 0, that is the pointer. */
static const struct {
    const char* name;
    long number;
    int which;
    uint64_t arguments[6];
} calls[] = {
    {"read", SYS_read, 1, {100, 0, 64}},
    {"write", SYS_write, 1, {101, 0, 64}},
    {"readv", SYS_readv, 1, {100, 0, 2}},
    {"writev", SYS_writev, 1, {101, 0, 2}},
    {"open", SYS_open, 0, {0, O_RDONLY, 0}},
    {"openat", SYS_openat, 1, {(uint64_t)AT_FDCWD, 0, 0}},
    {"stat", SYS_stat, 0, {0, 0}},
    {"stat buffer", SYS_fstat, 1, {0, 0}},
    {"newfstatat", SYS_newfstatat, 1, {(uint64_t)AT_FDCWD, 0, 0, 0}},
    {"access", SYS_access, 0, {0, 0}},
    {"mkdir", SYS_mkdir, 0, {0, 0}},
    {"rmdir", SYS_rmdir, 0, {0}},
    {"unlink", SYS_unlink, 0, {0}},
    {"chdir", SYS_chdir, 0, {0}},
    {"getcwd", SYS_getcwd, 0, {0, 100}},
    {"pipe", SYS_pipe, 0, {0}},
    {"rt_sigaction", SYS_rt_sigaction, 1, {10, 0, 0, 8}},
    {"rt_sigaction old", SYS_rt_sigaction, 2, {10, 0, 0, 8}},
    {"rt_sigprocmask", SYS_rt_sigprocmask, 1, {0, 0, 0, 8}},
    {"rt_sigprocmask old", SYS_rt_sigprocmask, 2, {0, 0, 0, 8}},
    {"rt_sigpending", SYS_rt_sigpending, 0, {0, 8}},
    {"rt_sigtimedwait", SYS_rt_sigtimedwait, 0, {0, 0, 0, 8}},
    {"sigaltstack", SYS_sigaltstack, 0, {0, 0}},
    {"sigaltstack old", SYS_sigaltstack, 1, {0, 0}},
    {"nanosleep", SYS_nanosleep, 0, {0, 0}},
    {"clock_gettime", SYS_clock_gettime, 1, {1, 0}},
    {"clock_getres", SYS_clock_getres, 1, {1, 0}},
    {"clock_nanosleep", SYS_clock_nanosleep, 2, {1, 0, 0, 0}},
    {"uname", SYS_uname, 0, {0}},
    {"sysinfo", SYS_sysinfo, 0, {0}},
    {"getrusage", SYS_getrusage, 1, {0, 0}},
    {"times", SYS_times, 0, {0}},
    {"getrlimit", SYS_getrlimit, 1, {7, 0}},
    {"setrlimit", SYS_setrlimit, 1, {7, 0}},
    {"prlimit64", SYS_prlimit64, 3, {0, 7, 0, 0}},
    {"getrandom", SYS_getrandom, 0, {0, 16, 0}},
    {"execve", SYS_execve, 0, {0, 0, 0}},
    {"futex", SYS_futex, 0, {0, 0, 0, 0, 0, 0}},
    {"getdents64", SYS_getdents64, 1, {102, 0, 1024}},
    {"getgroups", SYS_getresuid, 0, {0, 0, 0}},
    {"clone3", SYS_clone3, 0, {0, 88}},
    {"set_robust_list", SYS_get_robust_list, 1, {0, 0, 0}},
    {"socketpair", SYS_socketpair, 3, {AF_UNIX, SOCK_STREAM, 0, 0}},
    {"bind", SYS_bind, 1, {103, 0, 10}},
    {"connect", SYS_connect, 1, {103, 0, 10}},
    {"getsockname", SYS_getsockname, 1, {103, 0, 0}},
    {"getsockname length", SYS_getsockname, 2, {103, 0x1000, 0}},
    {"setsockopt", SYS_setsockopt, 3, {103, SOL_SOCKET, SO_PASSCRED, 0, 4}},
    {"getsockopt length", SYS_getsockopt, 4, {103, SOL_SOCKET, SO_TYPE, 0x1000, 0}},
    {"sendto", SYS_sendto, 1, {103, 0, 16, 0, 0, 0}},
    {"sendmsg", SYS_sendmsg, 1, {103, 0, 0}},
    {"recvfrom", SYS_recvfrom, 1, {104, 0, 1, MSG_DONTWAIT | MSG_PEEK, 0, 0}},
    {"recvmsg", SYS_recvmsg, 1, {104, 0, MSG_DONTWAIT}},
    {"timerfd_settime", SYS_timerfd_settime, 2, {105, 0, 0, 0}},
    {"timerfd_gettime", SYS_timerfd_gettime, 1, {105, 0}},
    {"signalfd4", SYS_signalfd4, 1, {(uint64_t)-1, 0, 8, 0}},
    {"arch_prctl", SYS_arch_prctl, 1, {0x1003, 0}},
};

int main(void) {
    int ends[2];
    if (pipe(ends) != 0 || dup2(ends[0], 100) != 100 || dup2(ends[1], 101) != 101 ||
        dup2(open("/", O_RDONLY | O_DIRECTORY), 102) != 102) {
        return 1;
    }
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0 || dup2(pair[0], 103) != 103 ||
        dup2(pair[1], 104) != 104 || dup2(timerfd_create(CLOCK_MONOTONIC, 0), 105) != 105 ||
        write(103, "waiting", 7) != 7) {
        return 1;
    }
    (void)!write(101, "some bytes that a read would find", 33);
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; ++i) {
        for (size_t j = 0; j < sizeof pointers / sizeof pointers[0]; ++j) {
            uint64_t a[6];
            memcpy(a, calls[i].arguments, sizeof a);
            a[calls[i].which] = pointers[j].value;
            char what[64];
            snprintf(what, sizeof what, "%s %s", calls[i].name, pointers[j].name);
            const long result = syscall(calls[i].number, a[0], a[1], a[2], a[3], a[4], a[5]);
            if (strcmp(calls[i].name, "arch_prctl") == 0 || result == -1) {
                say(what, result);
            } else {
                printf("%s: no error\n", what);
            }
        }
    }
    /* A buffer that ends before its length does. */
    char* p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(p + 4096, 4096);
    say("open of a name that runs into a hole", (memset(p, 'a', 4096), open(p, O_RDONLY)));
    p[4090] = 0;
    say("open of one that ends before it", open(p + 4085, O_RDONLY));
    say("read into what is not there", read(100, p + 4096, 10));
    say("read that begins where it is", read(100, p, 10));
    say("uname across the end", syscall(SYS_uname, p + 4000));
    return 0;
}
