/* The sets of capabilities(7) as numbers, for programs that have no library for them.
 *
 * SPDX-License-Identifier: MIT */
#ifndef CAPABILITY_SETS_H
#define CAPABILITY_SETS_H

#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "say.h"

#define BIT(number) (UINT64_C(1) << (number))
#define ALL (BIT(CAP_LAST_CAP + 1) - 1)

/* What this machine has none of must not tell the two kernels apart. */
static const uint64_t here_all = ALL & ~BIT(CAP_SYS_RESOURCE);

enum { EFFECTIVE, PERMITTED, INHERITABLE };

static inline long get_sets(pid_t id, uint64_t* sets) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, id};
    struct __user_cap_data_struct data[2] = {{0, 0, 0}, {0, 0, 0}};
    const long result = syscall(SYS_capget, &header, data);
    sets[EFFECTIVE] = data[0].effective | (uint64_t)data[1].effective << 32;
    sets[PERMITTED] = data[0].permitted | (uint64_t)data[1].permitted << 32;
    sets[INHERITABLE] = data[0].inheritable | (uint64_t)data[1].inheritable << 32;
    return result;
}

static inline long set_sets(uint64_t effective, uint64_t permitted, uint64_t inheritable) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    const struct __user_cap_data_struct data[2] = {
        {(uint32_t)effective, (uint32_t)permitted, (uint32_t)inheritable},
        {(uint32_t)(effective >> 32), (uint32_t)(permitted >> 32), (uint32_t)(inheritable >> 32)}};
    return syscall(SYS_capset, &header, data);
}

/* The caller becomes that user, in its own group alone, with `set` permitted and effective. */
static inline int become_with(uid_t user, uint64_t set) {
    return prctl(PR_SET_KEEPCAPS, 1) == 0 && setgroups(0, NULL) == 0 && setresgid(user, user, user) == 0 &&
                   setresuid(user, user, user) == 0 && set_sets(set, set, 0) == 0 &&
                   prctl(PR_SET_KEEPCAPS, 0) == 0
               ? 0
               : -1;
}

static inline void show_sets(const char* what) {
    uint64_t sets[3], bounding = 0, ambient = 0;
    get_sets(0, sets);
    for (unsigned i = 0; i <= CAP_LAST_CAP; ++i) {
        bounding |= prctl(PR_CAPBSET_READ, i, 0, 0, 0) == 1 ? BIT(i) : 0;
        ambient |= prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, i, 0, 0) == 1 ? BIT(i) : 0;
    }
    printf("%s: e %llx p %llx i %llx b %llx a %llx bits %x no new %d\n", what,
           (unsigned long long)sets[EFFECTIVE], (unsigned long long)sets[PERMITTED],
           (unsigned long long)sets[INHERITABLE], (unsigned long long)bounding, (unsigned long long)ambient,
           (unsigned)prctl(PR_GET_SECUREBITS), prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    fflush(stdout);
}

/* A file system of its own, where set-id bits count, and names, that nobody outside sees. */
static inline void start(const char* place) {
    unshare(CLONE_NEWNS | CLONE_NEWUTS);
    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
    mkdir("/dev/shm", 0777);
    mkdir(place, 0755);
    say("mount", mount("none", place, "tmpfs", 0, "mode=0755"));
    prctl(PR_CAPBSET_DROP, CAP_SYS_RESOURCE);
    say("start", set_sets(here_all, here_all, 0));
    setgroups(0, NULL);
    show_sets("all");
}

static inline void end(const char* place) {
    umount(place);
    rmdir(place);
}

#endif
