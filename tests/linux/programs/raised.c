/* What limits on priorities and niceness let somebody do who is not privileged. Whoever runs this may raise
 * limits.
 * SPDX-License-Identifier: MIT */
#include "say.h"

#include <sched.h>
#include <sys/resource.h>

static const int for_children = 0x40000000; /* SCHED_RESET_ON_FORK */

static void set(const char* what, int policy, int priority) {
    const struct sched_param given = {priority};
    say(what, sched_setscheduler(0, policy, &given));
}

static void limit(int which, rlim_t soft) {
    const struct rlimit given = {soft, 30};
    if (setrlimit(which, &given) != 0) {
        say("limit", -1);
    }
}

static void show_limits(void) {
    struct rlimit told[2];
    getrlimit(RLIMIT_RTPRIO, &told[0]);
    getrlimit(RLIMIT_NICE, &told[1]);
    printf("limits %ld %ld, %ld %ld\n", (long)told[0].rlim_cur, (long)told[0].rlim_max,
           (long)told[1].rlim_cur, (long)told[1].rlim_max);
}

int main(void) {
    show_limits();
    limit(RLIMIT_RTPRIO, 5);
    limit(RLIMIT_NICE, 0);
    if (setgid(65534) != 0 || setuid(65534) != 0) {
        say("another user", -1);
    }
    set("up to the limit", SCHED_FIFO, 5);
    set("beyond", SCHED_FIFO, 6);
    set("below", SCHED_FIFO, 2);
    set("up again", SCHED_RR, 5);
    limit(RLIMIT_RTPRIO, 3);
    set("as it is, beyond the limit now", SCHED_RR, 5);
    set("less, beyond the limit", SCHED_RR, 4);
    set("another policy, beyond the limit", SCHED_FIFO, 4);
    set("more", SCHED_RR, 5);
    limit(RLIMIT_RTPRIO, 0);
    set("another policy, without a limit", SCHED_RR, 3);
    set("less", SCHED_FIFO, 3);
    set("none for children", SCHED_FIFO | for_children, 3);
    set("for children", SCHED_FIFO, 3);
    set("idle", SCHED_IDLE | for_children, 0);
    set("usual", SCHED_OTHER | for_children, 0);
    limit(RLIMIT_NICE, 19);
    set("usual, one short", SCHED_OTHER | for_children, 0);
    limit(RLIMIT_NICE, 20);
    set("usual, at the limit", SCHED_OTHER | for_children, 0);
    say("less nice", setpriority(PRIO_PROCESS, 0, -1));
    limit(RLIMIT_NICE, 25);
    say("up to the limit", setpriority(PRIO_PROCESS, 0, -5));
    say("beyond", setpriority(PRIO_PROCESS, 0, -6));
    say("nicer", setpriority(PRIO_PROCESS, 0, 3));
    say("back", setpriority(PRIO_PROCESS, 0, -5));
    return 0;
}
