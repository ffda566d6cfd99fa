/* A process that was granted nothing - no descriptor, and of the calls only those that need one - can only
 * exit (LEDGER C1b).
 * SPDX-License-Identifier: MIT */
#include "say.h"

#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { CALLS = 463 };

/* How a child ends that makes one call; the calls that are left may return. */
static int ends(long call, int by_prctl) {
    int status = 0;
    fflush(stdout);
    const pid_t id = fork();
    if (id == 0) {
        const struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        for (int fd = 0; fd < 64; ++fd) {
            close(fd);
        }
        if ((by_prctl ? prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT)
                      : syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0, NULL)) != 0) {
            _exit(99);
        }
        const long result = syscall(call, 5, 0, 0, 0, 0, 0);
        syscall(SYS_exit, result == -1 ? errno : 77);
    }
    waitpid(id, &status, 0);
    return status;
}

static void say_end(const char* what, int status) {
    if (WIFSIGNALED(status)) {
        printf("%s: signal %d\n", what, WTERMSIG(status));
    } else {
        printf("%s: exit %d\n", what, WEXITSTATUS(status));
    }
}

int main(void) {
    say("no new privileges", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    say("half a promise", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 5));
    say("none of it", prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
    say("promised", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    say("now", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    const pid_t id = fork();
    if (id == 0) {
        say("a child's", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
        _exit(0);
    }
    waitpid(id, NULL, 0);
    say("at first", prctl(PR_GET_SECCOMP));
    say("flags for nothing", syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 1, NULL));
    say("an argument for nothing", syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0, "x"));
    say("an unknown operation", syscall(SYS_seccomp, 99, 0, NULL));
    say("an unknown mode", prctl(PR_SET_SECCOMP, 99));
    say_end("read", ends(SYS_read, 1));
    say_end("write", ends(SYS_write, 0));
    say_end("exit", ends(SYS_exit, 1));
    say_end("exit_group", ends(SYS_exit_group, 0));
    say_end("getpid", ends(SYS_getpid, 1));
    say_end("fork", ends(SYS_fork, 0));
    say_end("what it is", ends(SYS_prctl, 1));
    say_end("more of it", ends(SYS_seccomp, 0));
    say_end("no call at all", ends(-1, 1));
    say_end("a number beyond all", ends(100000, 1));
    int killed = 0;
    int made = 0;
    for (long call = 0; call < CALLS; ++call) {
        if (call > SYS_rseq && call < SYS_pidfd_send_signal) {
            continue; /* what processors' probes jump to lies there since 6.11 */
        }
        if (call != SYS_read && call != SYS_write && call != SYS_exit && call != SYS_rt_sigreturn) {
            const int status = ends(call, call % 2 == 0);
            ++made;
            killed += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
        }
    }
    printf("killed by the other %d calls: %d\n", made, killed);
    return 0;
}
