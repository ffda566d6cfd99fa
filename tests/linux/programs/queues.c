/* System V message queues: what is sent is received by type and in order; waiting, limits, and all of msgctl.
 * SPDX-License-Identifier: MIT */
#include "say.h"

#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <time.h>

#ifndef MSG_COPY
#define MSG_COPY 040000
#endif

static const key_t key = 0x70617263;

static struct {
    long type;
    char text[9000];
} message;

static int made(void) {
    return msgget(IPC_PRIVATE, 0600);
}

static long sends(int id, long type, const char* text) {
    message.type = type;
    memcpy(message.text, text, strlen(text));
    return msgsnd(id, &message, strlen(text), IPC_NOWAIT);
}

static void receives(const char* what, int id, size_t room, long type, int flags) {
    memset(&message, 0, sizeof message);
    const ssize_t length = msgrcv(id, &message, room, type, flags);
    if (length == -1) {
        say(what, -1);
    } else {
        printf("%s: %zd bytes of type %ld: %.20s\n", what, length, message.type, message.text);
    }
}

static void facts(const char* what, int id) {
    struct msqid_ds of;
    if (msgctl(id, IPC_STAT, &of) == -1) {
        say(what, -1);
        return;
    }
    printf("%s: %lu messages, %lu of %lu bytes, sent %d received %d, by this %d %d\n", what, of.msg_qnum,
           of.__msg_cbytes, of.msg_qbytes, of.msg_stime != 0, of.msg_rtime != 0, of.msg_lspid == getpid(),
           of.msg_lrpid == getpid());
}

static void keys(void) {
    say("no key, not made", msgget(key, 0600));
    const int id = msgget(key, IPC_CREAT | IPC_EXCL | 0640);
    say_done("made", id);
    say("made again", msgget(key, IPC_CREAT | IPC_EXCL | 0600));
    say("found", msgget(key, 0) == id);
    struct msqid_ds of;
    memset(&of, 0x55, sizeof of);
    say("stat", msgctl(id, IPC_STAT, &of));
    printf("mode %o, key %d, users %d %d %d %d, last %d %d, times %ld %ld\n", of.msg_perm.mode,
           of.msg_perm.__key == key, of.msg_perm.uid, of.msg_perm.gid, of.msg_perm.cuid, of.msg_perm.cgid,
           of.msg_lspid, of.msg_lrpid, of.msg_stime, of.msg_rtime);
    facts("new", id);
    of.msg_perm.mode = 07444;
    of.msg_perm.uid = 12;
    of.msg_qbytes = 100;
    say("set", msgctl(id, IPC_SET, &of));
    facts("set", id);
    msgctl(id, IPC_STAT, &of);
    printf("mode %o, user %d\n", of.msg_perm.mode, of.msg_perm.uid);
    of.msg_perm.gid = -1U;
    say("set to nobody", msgctl(id, IPC_SET, &of));
    say("no such command", msgctl(id, 77, &of));
    say("command below", msgctl(id, -1, &of));
    say("wild", msgctl(id, IPC_STAT, (void*)8));
    say("set wild", msgctl(id, IPC_SET, (void*)8));
    say("below", msgctl(-1, IPC_STAT, &of));
    say("no such queue", msgctl(id + (1 << 15), IPC_STAT, &of));
    say("removed", msgctl(id, IPC_RMID, NULL));
    say("removed again", msgctl(id, IPC_RMID, NULL));
    say("sent after it", sends(id, 1, "x"));
    receives("received after it", id, 10, 0, IPC_NOWAIT);
    say("key after it", msgget(key, 0));
}

static void order(void) {
    const int id = made();
    say("one", sends(id, 3, "three"));
    say("two", sends(id, 1, "one"));
    say("three", sends(id, 2, "two"));
    say("four", sends(id, 3, "another three"));
    say("five", sends(id, LONG_MAX, "most"));
    say("empty", sends(id, 5, ""));
    facts("sent", id);
    receives("copy", id, 100, 1, MSG_COPY | IPC_NOWAIT);
    receives("copy of the last", id, 100, 5, MSG_COPY | IPC_NOWAIT);
    receives("copy beyond", id, 100, 6, MSG_COPY | IPC_NOWAIT);
    receives("copy below", id, 100, -1, MSG_COPY | IPC_NOWAIT);
    receives("copy that waits", id, 100, 0, MSG_COPY);
    receives("copy of others", id, 100, 0, MSG_COPY | MSG_EXCEPT | IPC_NOWAIT);
    receives("copy too small", id, 2, 0, MSG_COPY | IPC_NOWAIT);
    receives("copy cut", id, 2, 0, MSG_COPY | MSG_NOERROR | IPC_NOWAIT);
    receives("of type 2", id, 100, 2, 0);
    receives("of type 2 again", id, 100, 2, IPC_NOWAIT);
    receives("too small", id, 2, 0, 0);
    facts("left", id);
    receives("not of type 3", id, 100, 3, MSG_EXCEPT);
    receives("up to 3", id, 100, -3, 0);
    receives("up to 2", id, 100, -2, IPC_NOWAIT);
    receives("cut", id, 7, -3, MSG_NOERROR);
    receives("the empty one", id, 0, 5, 0);
    receives("up to any", id, 100, LONG_MIN, 0);
    receives("none", id, 100, 0, IPC_NOWAIT);
    receives("not of 0", id, 100, 0, IPC_NOWAIT | MSG_EXCEPT);
    facts("received", id);
    static const long types[] = {5, 3, 4, 3};
    static const char* const texts[] = {"five", "first three", "four", "last three"};
    for (int i = 0; i < 4; ++i) {
        sends(id, types[i], texts[i]);
    }
    for (int i = 0; i < 5; ++i) {
        receives("the lowest", id, 100, -5, IPC_NOWAIT);
    }
    msgctl(id, IPC_RMID, NULL);
}

static void odd(void) {
    const int id = made();
    say("type 0", sends(id, 0, "x"));
    say("type -1", sends(id, -1, "x"));
    message.type = 1;
    say("too long", msgsnd(id, &message, 8193, IPC_NOWAIT));
    say("far too long", msgsnd(id, &message, (size_t)-1, IPC_NOWAIT));
    say("wild", msgsnd(id, (void*)8, 1, IPC_NOWAIT));
    say("no queue", msgsnd(-1, &message, 1, IPC_NOWAIT));
    say("no queue, wild", msgsnd(-1, (void*)8, 1, IPC_NOWAIT));
    say("no such queue", msgsnd(id + 1, &message, 1, IPC_NOWAIT));
    say("longest", msgsnd(id, &message, 8192, IPC_NOWAIT));
    say("longest", msgsnd(id, &message, 8192, IPC_NOWAIT));
    say("full", msgsnd(id, &message, 1, IPC_NOWAIT));
    say("an empty one", msgsnd(id, &message, 0, IPC_NOWAIT));
    facts("full", id);
    say("room below none", msgrcv(id, &message, (size_t)-1, 0, IPC_NOWAIT));
    say("from no queue", msgrcv(-1, &message, 1, 0, IPC_NOWAIT));
    say("from no such queue", msgrcv(id + 1, &message, 1, 0, IPC_NOWAIT));
    say("to nowhere", msgrcv(id, (void*)8, 9000, 0, IPC_NOWAIT));
    facts("it is lost", id);
    struct msqid_ds of;
    msgctl(id, IPC_STAT, &of);
    of.msg_qbytes = 3;
    say("fewer bytes", msgctl(id, IPC_SET, &of));
    say("full now", msgsnd(id, &message, 0, IPC_NOWAIT));
    receives("one", id, 9000, 0, 0);
    for (int i = 0; i < 4; ++i) {
        say("as many as bytes", msgsnd(id, &message, 0, IPC_NOWAIT));
    }
    facts("at the end", id);
    msgctl(id, IPC_RMID, NULL);
}

static void on_signal(int signal) {
    (void)signal;
}

static void set_timer(long nanoseconds) {
    static timer_t timer;
    static int is_made;
    if (!is_made) {
        timer_create(CLOCK_MONOTONIC, NULL, &timer);
        is_made = 1;
    }
    /* Again and again: the first may come before the wait. */
    const struct itimerspec at = {{0, nanoseconds}, {0, nanoseconds}};
    timer_settime(timer, 0, &at, NULL);
}

/* A child, and what it says: told when it has ended, so that what two of them say is in order. */
struct child {
    pid_t id;
    int says;
};

static struct child begin(void) {
    int ends[2];
    pipe(ends);
    fflush(stdout);
    const struct child child = {fork(), ends[0]};
    if (child.id == 0) {
        dup2(ends[1], 1);
    } else {
        close(ends[1]);
    }
    return child;
}

static void leave(void) {
    fflush(stdout);
    _exit(0);
}

/* Until it waits: it has slept whenever it was looked at. */
static void let_it_wait(struct child child) {
    char path[40], text[200];
    snprintf(path, sizeof path, "/proc/%d/stat", child.id);
    for (int times = 0; times < 20;) {
        usleep(2000);
        const int file = open(path, O_RDONLY);
        const ssize_t length = read(file, text, sizeof text - 1);
        close(file);
        text[length > 0 ? length : 0] = '\0';
        const char* name_end = strrchr(text, ')');
        times = name_end != NULL && name_end[1] == ' ' && name_end[2] == 'S' ? times + 1 : 0;
    }
}

static struct child in_child(int id, const char* what, size_t room, long type, int flags) {
    const struct child child = begin();
    if (child.id == 0) {
        receives(what, id, room, type, flags);
        leave();
    }
    let_it_wait(child);
    return child;
}

static void end(struct child child) {
    char text[200];
    ssize_t length;
    while ((length = read(child.says, text, sizeof text)) > 0) {
        fwrite(text, 1, (size_t)length, stdout);
    }
    close(child.says);
    waitpid(child.id, NULL, 0);
}

static void interrupted(void) {
    const int id = made();
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    set_timer(30000000);
    receives("a signal", id, 10, 0, 0);
    set_timer(0);
    message.type = 1;
    msgsnd(id, &message, 8192, 0);
    msgsnd(id, &message, 8192, 0);
    set_timer(30000000);
    say("a signal", msgsnd(id, &message, 1, 0));
    set_timer(0);
    /* A stop is none. */
    receives("one", id, 9000, 0, 0);
    receives("two", id, 9000, 0, 0);
    const struct child child = in_child(id, "in the child", 100, 0, 0);
    int status;
    kill(child.id, SIGSTOP);
    waitpid(child.id, &status, WUNTRACED);
    kill(child.id, SIGCONT);
    let_it_wait(child);
    say("for the child", sends(id, 4, "after a stop"));
    end(child);
    msgctl(id, IPC_RMID, NULL);
}

static void waiting(void) {
    const int id = made();
    struct child one = in_child(id, "  of type 2", 100, 2, 0);
    struct child other = in_child(id, "  of any", 100, 0, 0);
    say("of type 3", sends(id, 3, "for any"));
    end(other);
    say("of type 2", sends(id, 2, "for the first"));
    end(one);
    facts("handed over", id);
    one = in_child(id, "  too small", 2, 0, 0);
    other = in_child(id, "  small, cut", 2, 0, MSG_NOERROR);
    say("longer", sends(id, 1, "longer"));
    end(one);
    end(other);
    facts("after it", id);
    /* Who takes at once after it sent does not get what another one waits for. */
    one = in_child(id, "  who waited", 100, 0, 0);
    say("sent", sends(id, 1, "x"));
    receives("taken at once", id, 100, 0, IPC_NOWAIT);
    end(one);
    one = in_child(id, "  removed", 100, 0, 0);
    say("remove", msgctl(id, IPC_RMID, NULL));
    end(one);
}

static void full(void) {
    const int id = made();
    message.type = 1;
    msgsnd(id, &message, 8192, 0);
    msgsnd(id, &message, 8000, 0);
    struct child child = begin();
    if (child.id == 0) {
        message.type = 7;
        say("  sent in the end", msgsnd(id, &message, 300, 0));
        leave();
    }
    let_it_wait(child);
    facts("full", id);
    receives("made room", id, 9000, 0, 0);
    end(child);
    facts("sent", id);
    receives("last", id, 9000, 7, 0);
    msgsnd(id, &message, 8192, 0);
    child = begin();
    if (child.id == 0) {
        say("  removed", msgsnd(id, &message, 8192, 0));
        leave();
    }
    let_it_wait(child);
    say("remove", msgctl(id, IPC_RMID, NULL));
    end(child);
}

static void rights(void) {
    const int id = msgget(IPC_PRIVATE, 0640);
    struct msqid_ds of;
    msgctl(id, IPC_STAT, &of);
    of.msg_perm.gid = 1000;
    msgctl(id, IPC_SET, &of);
    sends(id, 1, "one");
    for (int in_group = 1; in_group >= 0; --in_group) {
        fflush(stdout);
        if (fork() == 0) {
            setgroups(0, NULL);
            setgid(in_group ? 1000 : 2000);
            setuid(1000);
            printf("in its group: %d\n", in_group);
            facts("look", id);
            say("send", sends(id, 1, "x"));
            receives("receive", id, 100, 0, IPC_NOWAIT);
            say("change", msgctl(id, IPC_SET, &of));
            say("remove", msgctl(id, IPC_RMID, NULL));
            leave();
        }
        wait(NULL);
    }
    /* The own user may not ask for more. */
    if (fork() == 0) {
        setgid(1000);
        setuid(1000);
        const int own = made();
        msgctl(own, IPC_STAT, &of);
        of.msg_qbytes = 16384;
        say("as many", msgctl(own, IPC_SET, &of));
        of.msg_qbytes = 16385;
        say("more", msgctl(own, IPC_SET, &of));
        msgctl(own, IPC_RMID, NULL);
        leave();
    }
    wait(NULL);
    /* Who may not any more while it waits is told. */
    msgrcv(id, &message, 100, 0, IPC_NOWAIT);
    const struct child child = begin();
    if (child.id == 0) {
        setgroups(0, NULL);
        setgid(1000);
        setuid(1000);
        receives("  not any more", id, 100, 0, 0);
        leave();
    }
    let_it_wait(child);
    msgctl(id, IPC_STAT, &of);
    of.msg_perm.mode = 0600;
    say("for oneself", msgctl(id, IPC_SET, &of));
    end(child);
    msgctl(id, IPC_RMID, NULL);
}

/* Lines of /proc/sysvipc, and the listing calls. */
static void shown(const char* path, int id) {
    char line[400];
    FILE* file = fopen(path, "r");
    if (file == NULL) {
        say(path, -1);
        return;
    }
    fgets(line, sizeof line, file);
    printf("%s", line);
    while (fgets(line, sizeof line, file) != NULL) {
        long shown_key, number, mode;
        if (sscanf(line, "%ld %ld %lo", &shown_key, &number, &mode) == 3 && number == id) {
            /* Times are the only words that are long. */
            printf("%.10s..........", line);
            int digits = 0;
            for (char* c = line + 21; *c != '\0'; ++c) {
                digits = *c >= '0' && *c <= '9' ? digits + 1 : 0;
                putchar(digits > 5 ? 'n' : *c);
            }
        }
    }
    fclose(file);
}

static void lists(void) {
    const int queue = msgget(key, IPC_CREAT | 0640), set = semget(key, 3, IPC_CREAT | 0604);
    const int segment = shmget(key, 5000, IPC_CREAT | 0666);
    struct msqid_ds of_queue;
    struct semid_ds of_set;
    struct msginfo queues;
    struct seminfo sets;
    int found = 0;
    int most = msgctl(0, MSG_INFO, (struct msqid_ds*)&queues);
    for (int i = 0; i <= most; ++i) {
        found += msgctl(i, MSG_STAT, &of_queue) == queue;
    }
    printf("found %d, %d in use\n", found, queues.msgpool > 0);
    most = semctl(0, 0, SEM_INFO, &sets);
    found = 0;
    for (int i = 0; i <= most; ++i) {
        found += semctl(i, 0, SEM_STAT, &of_set) == set;
    }
    printf("found %d, %d in use, %d semaphores\n", found, sets.semusz > 0, sets.semaem >= 3);
    msgctl(0, IPC_INFO, (struct msqid_ds*)&queues);
    semctl(0, 0, IPC_INFO, &sets);
    printf("limits %d %d %d, %d %d %d\n", queues.msgmax, queues.msgmnb, queues.msgssz, sets.semmsl,
           sets.semopm, sets.semvmx);
    say("beyond", msgctl(100000, MSG_STAT, &of_queue));
    say("beyond", semctl(100000, 0, SEM_STAT, &of_set));
    shown("/proc/sysvipc/msg", queue);
    shown("/proc/sysvipc/sem", set);
    msgctl(queue, IPC_RMID, NULL);
    semctl(set, 0, IPC_RMID);
    shmctl(segment, IPC_RMID, NULL);
}

int main(void) {
    keys();
    order();
    odd();
    interrupted();
    waiting();
    full();
    rights();
    lists();
    return 0;
}
