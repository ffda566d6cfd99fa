/* System V shared memory: keys, rights, what is attached, and when a segment ends.
 *
 * SPDX-License-Identifier: MIT */
#include "say.h"

#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/wait.h>

static const size_t page = 4096;
static const key_t key = 0x70617261;

static void say_where(const char* what, void* at) {
    say_done(what, at == (void*)-1 ? -1 : 0);
}

static long attached(int id) {
    struct shmid_ds facts;
    return shmctl(id, IPC_STAT, &facts) == 0 ? (long)facts.shm_nattch : -1;
}

static void keys(void) {
    say("no key, not made", shmget(key, page, 0600));
    say("nothing", shmget(key, 0, IPC_CREAT | 0600));
    int id = shmget(key, 3 * page - 5, IPC_CREAT | IPC_EXCL | 0640);
    say_done("made", id);
    say("made again", shmget(key, page, IPC_CREAT | IPC_EXCL | 0600));
    say("found", shmget(key, 0, 0) == id);
    say("found with its size", shmget(key, 3 * page - 5, IPC_CREAT | 0600) == id);
    say("too large for it", shmget(key, 3 * page - 4, 0600));
    struct shmid_ds facts;
    memset(&facts, 0x55, sizeof facts);
    say("stat", shmctl(id, IPC_STAT, &facts));
    say("size", (long)facts.shm_segsz);
    say("mode", facts.shm_perm.mode);
    say("key", facts.shm_perm.__key == key);
    say("maker", facts.shm_cpid == getpid());
    say("last", facts.shm_lpid);
    say("attached", (long)facts.shm_nattch);
    say("times", facts.shm_atime + facts.shm_dtime);
    facts.shm_perm.mode = 0444;
    facts.shm_perm.uid = 12;
    say("set", shmctl(id, IPC_SET, &facts));
    say("stat after it", shmctl(id, IPC_STAT, &facts));
    say("mode after it", facts.shm_perm.mode);
    say("owner after it", facts.shm_perm.uid);
    say("lock", shmctl(id, SHM_LOCK, NULL));
    say("unlock", shmctl(id, SHM_UNLOCK, NULL));
    say("wild", shmctl(id, IPC_STAT, (void*)8));
    say("no such command", shmctl(id, 77, &facts));
    say("no such segment", shmctl(id + (1 << 15), IPC_STAT, &facts));
    say("below", shmctl(-1, IPC_STAT, &facts));
    say("removed", shmctl(id, IPC_RMID, NULL));
    say("removed again", shmctl(id, IPC_RMID, NULL));
    say("key after it", shmget(key, 0, 0));
}

static void places(void) {
    int id = shmget(IPC_PRIVATE, 2 * page, 0600);
    say_done("private", id);
    char* at = shmat(id, NULL, 0);
    say_where("anywhere", at);
    say("zeros", at[0] + at[2 * page - 1]);
    memcpy(at, "shared", 7);
    char* other = shmat(id, NULL, SHM_RDONLY);
    say_where("to read", other);
    say("the same", strcmp(other, "shared"));
    say("may not become writable", mprotect(other, page, PROT_READ | PROT_WRITE));
    say("attached twice", attached(id));
    char* room = mmap(NULL, 8 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    say_where("where something is", shmat(id, room, 0));
    say_where("not on a page", shmat(id, room + 5, 0));
    say_where("in its place", shmat(id, room + page, SHM_REMAP));
    say_where("rounded", shmat(id, room + 4 * page + 5, SHM_RND | SHM_REMAP));
    say("seen there", strcmp(room + 4 * page, "shared"));
    say_where("in no place", shmat(id, NULL, SHM_REMAP));
    say("attached now", attached(id));
    say("off, between", shmdt(room + 2 * page));
    say("off, not on a page", shmdt(room + page + 1));
    say("off", shmdt(room + page));
    say("off again", shmdt(room + page));
    say("a part of it off", munmap(room + 4 * page, page));
    say("the rest", shmdt(room + 4 * page));
    say("nothing is left there", msync(room + 5 * page, page, MS_ASYNC));
    say("attached at last", attached(id));
    say_where("none", shmat(id + (1 << 15), NULL, 0));
    say("off, nothing", shmdt(say));

    fflush(stdout);
    int status = 0;
    if (fork() == 0) {
        say("in the child", attached(id));
        memcpy(at, "changed", 8);
        shmdt(at);
        say("off in the child", attached(id));
        _exit(0);
    }
    wait(&status);
    say("in the parent", attached(id));
    say("changed", strcmp(other, "changed"));

    say("removed", shmctl(id, IPC_RMID, NULL));
    struct shmid_ds facts;
    say("still there", shmctl(id, IPC_STAT, &facts));
    say("marked", (facts.shm_perm.mode & 01000) != 0);
    say("without a key", facts.shm_perm.__key);
    char* late = shmat(id, NULL, 0);
    say_where("attached late", late);
    say("what it has", strcmp(late, "changed"));
    shmdt(late);
    shmdt(other);
    say("one is left", attached(id));
    say("its end", shmdt(at));
    say("gone", attached(id));
}

static void rights(void) {
    int id = shmget(key, page, IPC_CREAT | 0604);
    int mine = shmget(IPC_PRIVATE, page, 0600);
    fflush(stdout);
    if (fork() == 0) {
        if (setgid(77) != 0 || setuid(77) != 0) {
            _exit(1);
        }
        say("another's, to read", shmget(key, page, 0400) == id);
        say("another's, to write", shmget(key, page, 0600));
        say_where("another's, read", shmat(id, NULL, SHM_RDONLY));
        say_where("another's, written", shmat(id, NULL, 0));
        say_where("another's own", shmat(mine, NULL, SHM_RDONLY));
        struct shmid_ds facts;
        say("another's facts", shmctl(id, IPC_STAT, &facts));
        say("another's own facts", shmctl(mine, IPC_STAT, &facts));
        say("another's set", shmctl(id, IPC_SET, &facts));
        say("another's removed", shmctl(id, IPC_RMID, NULL));
        _exit(0);
    }
    int status = 0;
    wait(&status);
    say("child", status);
    shmctl(id, IPC_RMID, NULL);
    shmctl(mine, IPC_RMID, NULL);
}

/* A program that executes another one, or ends, lets go of all. */
static void ends(void) {
    int id = shmget(IPC_PRIVATE, page, 0600);
    char* at = shmat(id, NULL, 0);
    say_where("kept", at);
    fflush(stdout);
    int status = 0;
    if (fork() == 0) {
        for (int i = 0; i < 100; ++i) {
            shmat(id, NULL, 0);
        }
        say("many", attached(id));
        _exit(0);
    }
    wait(&status);
    say("after its end", attached(id));
    shmctl(id, IPC_RMID, NULL);
    if (fork() == 0) {
        _exit(at[0]);
    }
    wait(&status);
    say("status", status);
    say("end", shmdt(at));
    say("gone", attached(id));
}

int main(void) {
    keys();
    places();
    rights();
    ends();
    return 0;
}
