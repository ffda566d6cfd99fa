/* Who a program is: what changes of users, execve, set-id bits and prctl make of its capabilities.
 * SPDX-License-Identifier: MIT */
#include "say.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "capability_sets.h"

#define PLACE "/dev/shm/identities"

static pid_t looked_at;
static int number = 7;

static long drop(int file) {
    if (file >= 0) {
        close(file);
        return 0;
    }
    return file;
}

static long looks_into_memory(void) {
    static char byte;
    const struct iovec own = {&byte, 1}, other = {&number, 1};
    return process_vm_readv(looked_at, &own, 1, &other, 1, 0);
}

/* Programs: this one again, that tells who it is. */
static char* const show_arguments[] = {"identities", "show", NULL};
static char* const nothing[] = {NULL};

static void execute(const char* path) {
    fflush(stdout);
    execve(path, show_arguments, nothing);
    printf("execve: %s\n", strerrorname_np(errno));
}

static int show(void) {
    show_sets("  executed");
    uid_t r, e, s;
    gid_t rg, eg, sg;
    getresuid(&r, &e, &s);
    getresgid(&rg, &eg, &sg);
    int signal;
    prctl(PR_GET_PDEATHSIG, &signal);
    printf(
        "  users %d %d %d files %d groups %d %d %d secure %lu told %lu %lu dumpable %d, at the parent's end "
        "%d\n",
        r, e, s, setfsuid(-1), rg, eg, sg, getauxval(AT_SECURE), getauxval(AT_UID), getauxval(AT_EUID),
        prctl(PR_GET_DUMPABLE), signal);
    return 0;
}

static void in_child(const char* what, void (*work)(void)) {
    printf("%s\n", what);
    const int status = run_child(work);
    if (status != 0) {
        printf("ended with %#x\n", status);
    }
}

static void as_root(void) {
    execute("/proc/self/exe");
}

static void as_bounded_root(void) {
    prctl(PR_CAPBSET_DROP, CAP_CHOWN);
    set_sets(BIT(CAP_KILL), BIT(CAP_KILL) | BIT(CAP_SETPCAP), BIT(CAP_CHOWN) | BIT(CAP_KILL));
    show_sets("  before");
    execute("/proc/self/exe");
}

static void as_root_without_rights(void) {
    prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED);
    execute("/proc/self/exe");
}

static void as_user(void) {
    become_with(1000, here_all);
    show_sets("  before");
    execute("/proc/self/exe");
}

static void as_user_with_ambient(void) {
    become_with(1000, BIT(CAP_KILL) | BIT(CAP_CHOWN));
    set_sets(BIT(CAP_CHOWN), BIT(CAP_KILL) | BIT(CAP_CHOWN), BIT(CAP_KILL) | BIT(CAP_CHOWN));
    say("ambient", prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0));
    show_sets("  before");
    execute("/proc/self/exe");
}

static void as_effective_user(void) {
    seteuid(1000);
    show_sets("  before");
    execute("/proc/self/exe");
}

static void as_real_user(void) {
    setresuid(1000, 0, 0);
    show_sets("  before");
    execute("/proc/self/exe");
}

static void set_user_program(void) {
    become_with(1000, 0);
    prctl(PR_SET_PDEATHSIG, SIGUSR1);
    execute(PLACE "/set-user");
}

static void set_user_program_of_another(void) {
    become_with(1000, 0);
    execute(PLACE "/set-other");
}

static void set_group_program(void) {
    become_with(1000, 0);
    prctl(PR_SET_PDEATHSIG, SIGUSR1);
    execute(PLACE "/set-group");
}

static void set_group_nobody_runs(void) {
    become_with(1000, 0);
    execute(PLACE "/set-group0");
}

static void set_user_by_root(void) {
    execute(PLACE "/set-other");
}

static void set_user_without_new(void) {
    become_with(1000, BIT(CAP_KILL));
    say("no new privileges", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    execute(PLACE "/set-user");
}

static void root_without_new(void) {
    set_sets(BIT(CAP_KILL), BIT(CAP_KILL), 0);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    execute("/proc/self/exe");
}

static void set_user_with_ambient(void) {
    become_with(1000, BIT(CAP_KILL));
    set_sets(BIT(CAP_KILL), BIT(CAP_KILL), BIT(CAP_KILL));
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0);
    execute(PLACE "/set-other");
}

static void set_user_without_root(void) {
    prctl(PR_SET_SECUREBITS, SECBIT_NOROOT);
    become_with(1000, 0);
    execute(PLACE "/set-user");
}

static void set_user_where_none(void) {
    become_with(1000, 0);
    execute(PLACE "/plain/set-user");
}

static void script_with_bits(void) {
    become_with(1000, 0);
    execute(PLACE "/script");
}

/* Whoever traces a program gets no more than he has. */
static void traced(void) {
    become_with(1000, 0);
    const pid_t child = fork();
    if (child == 0) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        execute(PLACE "/set-user");
        _exit(1);
    }
    int status;
    while (waitpid(child, &status, 0) == child && WIFSTOPPED(status)) {
        ptrace(PTRACE_CONT, child, 0, 0);
    }
}

static void traced_by_root(void) {
    const pid_t child = fork();
    if (child == 0) {
        become_with(1000, 0);
        raise(SIGSTOP);
        execute(PLACE "/set-user");
        _exit(1);
    }
    int status;
    waitpid(child, &status, WUNTRACED);
    say("seize", ptrace(PTRACE_SEIZE, child, 0, 0));
    kill(child, SIGCONT);
    while (waitpid(child, &status, 0) == child && WIFSTOPPED(status)) {
        ptrace(PTRACE_CONT, child, 0, 0);
    }
}

static void copy(const char* to, uid_t user, gid_t group, mode_t mode) {
    static char room[65536];
    const int from = open("/proc/self/exe", O_RDONLY);
    const int file = open(to, O_CREAT | O_WRONLY, 0600);
    ssize_t count;
    while ((count = read(from, room, sizeof room)) > 0) {
        write(file, room, (size_t)count);
    }
    close(from);
    fchown(file, user, group);
    fchmod(file, mode);
    close(file);
}

static void executions(void) {
    copy(PLACE "/set-user", 0, 0, 04755);
    copy(PLACE "/set-other", 2000, 2000, 04755);
    copy(PLACE "/set-group", 0, 3000, 02755);
    copy(PLACE "/set-group0", 0, 3000, 02705);
    mkdir(PLACE "/plain", 0755);
    mount("none", PLACE "/plain", "tmpfs", MS_NOSUID, "mode=0755");
    copy(PLACE "/plain/set-user", 0, 0, 04755);
    const int file = open(PLACE "/script", O_CREAT | O_WRONLY, 0600);
    dprintf(file, "#!" PLACE "/set-other show\n");
    fchmod(file, 04755);
    close(file);
    in_child("root", as_root);
    in_child("bounded root", as_bounded_root);
    in_child("root without rights", as_root_without_rights);
    in_child("user", as_user);
    in_child("user, ambient", as_user_with_ambient);
    in_child("effective user", as_effective_user);
    in_child("real user", as_real_user);
    in_child("set-user-id", set_user_program);
    in_child("set-user-id of another", set_user_program_of_another);
    in_child("set-group-id", set_group_program);
    in_child("set-group-id that nobody runs", set_group_nobody_runs);
    in_child("set-user-id by root", set_user_by_root);
    in_child("set-user-id, no new privileges", set_user_without_new);
    in_child("root, no new privileges", root_without_new);
    in_child("set-user-id, ambient", set_user_with_ambient);
    in_child("set-user-id, without root", set_user_without_root);
    in_child("set-user-id where none are", set_user_where_none);
    in_child("script", script_with_bits);
    in_child("traced", traced);
    in_child("traced by root", traced_by_root);
    umount(PLACE "/plain");
}

static void users(void) {
    say("seteuid", seteuid(1000));
    show_sets("effective user");
    say("back", seteuid(0));
    show_sets("back");
    set_sets(BIT(CAP_SETUID), BIT(CAP_SETUID) | BIT(CAP_KILL), 0);
    seteuid(1000);
    seteuid(0);
    show_sets("all permitted are effective");
    setfsuid(1000);
    show_sets("files as user");
    setfsuid(0);
    show_sets("files as root");
    say("setuid", setuid(1000));
    show_sets("user");
    say("root again", setuid(0));
    printf("dumpable %d\n", prctl(PR_GET_DUMPABLE));
}

static void file_users(void) {
    setfsuid(1000);
    show_sets("files as user");
    say("read", drop(open(PLACE "/roots", O_RDONLY)));
    setfsuid(0);
    show_sets("files as root");
    say("read", drop(open(PLACE "/roots", O_RDONLY)));
}

static void no_fixup(void) {
    say("bits", prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP));
    setresuid(1000, 1000, 1000);
    show_sets("user");
    say("back", setresuid(0, 0, 0));
    show_sets("root");
}

static void kept(void) {
    say("keep", prctl(PR_SET_KEEPCAPS, 1));
    say("keep what", prctl(PR_SET_KEEPCAPS, 2));
    say("kept", prctl(PR_GET_KEEPCAPS));
    say("bits", prctl(PR_GET_SECUREBITS));
    setresuid(1000, 1000, 1000);
    show_sets("user");
    say("raise", set_sets(BIT(CAP_KILL), here_all, 0));
    show_sets("raised");
    say("lock", prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS | SECBIT_KEEP_CAPS_LOCKED));
    set_sets(BIT(CAP_SETPCAP), here_all, 0);
    say("lock", prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS | SECBIT_KEEP_CAPS_LOCKED));
    say("unlock", prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS));
    say("change", prctl(PR_SET_KEEPCAPS, 0));
    say("more than there are",
        prctl(PR_SET_SECUREBITS, 0x10000 | SECBIT_KEEP_CAPS | SECBIT_KEEP_CAPS_LOCKED));
}

static void* other_thread(void* unused) {
    syscall(SYS_setresuid, 1000, 1000, 1000);
    show_sets("thread");
    printf("thread's user %ld\n", syscall(SYS_getuid));
    say("its process", kill(getpid(), 0));
    return unused;
}

/* Each thread is somebody of its own. */
static void threads(void) {
    pthread_t thread;
    pthread_create(&thread, NULL, other_thread, NULL);
    pthread_join(thread, NULL);
    show_sets("first thread");
    printf("first thread's user %ld\n", syscall(SYS_getuid));
}

static void status_lines(void) {
    static char text[8192];
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    const int file = open("/proc/thread-self/status", O_RDONLY);
    const ssize_t length = read(file, text, sizeof text - 1);
    text[length > 0 ? length : 0] = '\0';
    for (char* line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        if (strncmp(line, "Cap", 3) == 0 || strncmp(line, "NoNew", 5) == 0) {
            printf("%s\n", line);
        }
    }
}

static void telling(void) {
    become_with(1000, BIT(CAP_KILL) | BIT(CAP_SYS_TIME));
    set_sets(BIT(CAP_KILL), BIT(CAP_KILL) | BIT(CAP_SYS_TIME), BIT(CAP_SYS_TIME));
    status_lines();
}

static void others(void) {
    become_with(1000, BIT(CAP_KILL));
    uint64_t sets[3];
    say("of the parent", get_sets(getppid(), sets));
    printf("%llx %llx %llx\n", (unsigned long long)sets[0], (unsigned long long)sets[1],
           (unsigned long long)sets[2]);
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, getppid()};
    struct __user_cap_data_struct data[2] = {{0, 0, 0}, {0, 0, 0}};
    say("set the parent's", syscall(SYS_capset, &header, data));
    header.pid = getpid();
    say("set the own", syscall(SYS_capset, &header, data));
    show_sets("after");
}

static void versions(void) {
    struct __user_cap_header_struct header = {0, 0};
    struct __user_cap_data_struct data[2];
    say("no version, no data", syscall(SYS_capget, &header, NULL));
    printf("version %x\n", header.version);
    header.version = 7;
    say("no version", syscall(SYS_capget, &header, data));
    printf("version %x\n", header.version);
    say("no data", syscall(SYS_capget, &header, NULL));
    header.version = 7;
    say("set with no version", syscall(SYS_capset, &header, data));
    header.pid = -1;
    say("pid -1", syscall(SYS_capget, &header, data));
    header.pid = 0x3ffffff;
    say("nobody", syscall(SYS_capget, &header, data));
    say("nobody, no data", syscall(SYS_capget, &header, NULL));
    header.pid = 0;
    say("bad data", syscall(SYS_capget, &header, (void*)8));
    say("set bad data", syscall(SYS_capset, &header, (void*)8));
    say("set no data", syscall(SYS_capset, &header, NULL));
    say("bad header", syscall(SYS_capget, (void*)8, data));
    say("no header", syscall(SYS_capget, NULL, NULL));
    say("set bad header", syscall(SYS_capset, (void*)8, data));
    header.version = _LINUX_CAPABILITY_VERSION_1;
    memset(data, 0xff, sizeof data);
    say("first version", syscall(SYS_capget, &header, data));
    printf("%x %x %x %x\n", data[0].effective, data[0].permitted, data[0].inheritable, data[1].effective);
    say("set by the first version", syscall(SYS_capset, &header, data));
    show_sets("the upper ones are gone");
    header.version = _LINUX_CAPABILITY_VERSION_2;
    memset(data, 0, sizeof data);
    data[1].permitted = data[1].effective = ~0U;
    say("take back", syscall(SYS_capset, &header, data));
    data[1].permitted = data[1].effective = 0;
    data[0].permitted = 1U << CAP_KILL;
    data[0].effective = 1U << CAP_CHOWN;
    say("effective, not permitted", syscall(SYS_capset, &header, data));
    data[0].effective = 0;
    data[1].permitted = data[1].inheritable = 0xfffffe00;
    say("what is none", syscall(SYS_capset, &header, data));
    show_sets("left");
}

static void odd_controls(void) {
    say("read 40", prctl(PR_CAPBSET_READ, 40));
    say("read 41", prctl(PR_CAPBSET_READ, 41));
    say("read -1", prctl(PR_CAPBSET_READ, -1UL));
    say("drop 41", prctl(PR_CAPBSET_DROP, 41));
    say("drop 63", prctl(PR_CAPBSET_DROP, 63));
    say("ambient 9", prctl(PR_CAP_AMBIENT, 9, 0, 0, 0));
    say("ambient clear 1", prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 1, 0, 0));
    say("ambient clear", prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0));
    say("ambient raise 41", prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 41, 0, 0));
    say("ambient raise, not inheritable", prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0));
    say("ambient raise, more", prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 1, 0));
    say("ambient is set", prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_KILL, 0, 0));
    say("secure bits", prctl(PR_SET_SECUREBITS, -1UL));
    say("no new, more", prctl(PR_SET_NO_NEW_PRIVS, 1, 1, 0, 0));
    say("dumpable 2", prctl(PR_SET_DUMPABLE, 2));
    say("dumpable 0", prctl(PR_SET_DUMPABLE, 0));
    say("dumpable", prctl(PR_GET_DUMPABLE));
}

/* A child of the same user that wants nobody to look at it. */
static void hidden(void) {
    become_with(1000, 0);
    prctl(PR_SET_DUMPABLE, 1);
    int ready[2];
    pipe(ready);
    for (int dumpable = 0; dumpable < 2; ++dumpable) {
        const pid_t child = fork();
        if (child == 0) {
            prctl(PR_SET_DUMPABLE, dumpable);
            write(ready[1], "x", 1);
            pause();
        }
        char byte;
        read(ready[0], &byte, 1);
        looked_at = child;
        printf("dumpable %d\n", dumpable);
        say("look into memory", looks_into_memory());
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
    }
}

/* Random calls one after the other: what they answer and leave. */
enum { SEQUENCES = 200, STEPS = 12 };

static uint32_t state;

static uint32_t pick(uint32_t below) {
    state = state * 1664525 + 1013904223;
    return (state >> 8) % below;
}

static uid_t pick_user(void) {
    static const uid_t all[] = {0, 0, 1000, 2000, -1U};
    return all[pick(5)];
}

static uint64_t pick_set(void) {
    static const int some[] = {CAP_CHOWN,   CAP_KILL,    CAP_SETUID, CAP_SETUID,
                               CAP_SETPCAP, CAP_SETPCAP, CAP_MKNOD,  CAP_AUDIT_READ};
    uint64_t set = pick(3) == 0 ? 0 : BIT(CAP_SETUID);
    for (uint32_t i = pick(7); i != 0; --i) {
        set |= BIT(some[pick(8)]);
    }
    return set;
}

static long step(void) {
    uid_t a = pick_user(), b = pick_user(), c = pick_user();
    const uint64_t set = pick_set();
    switch (pick(12)) {
        case 0:
            return syscall(SYS_setresuid, a, b, c);
        case 1:
            return syscall(SYS_setreuid, a, b);
        case 2:
            return syscall(SYS_setuid, a);
        case 3:
            return syscall(SYS_setfsuid, a);
        case 4:
            return set_sets(set & pick_set(), set, pick_set());
        case 5:
            return set_sets(here_all, here_all, set);
        case 6:
            return prctl(PR_SET_KEEPCAPS, pick(2));
        case 7:
            return prctl(PR_SET_SECUREBITS, pick(3) == 0 ? pick(256) & ~0xaaU : pick(256));
        case 8:
            return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, pick(2) == 0 ? CAP_KILL : CAP_SETUID, 0, 0);
        case 9:
            return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER, CAP_KILL, 0, 0);
        case 10:
            return prctl(PR_CAPBSET_DROP, pick(3) == 0 ? CAP_SETPCAP : CAP_MKNOD, 0, 0, 0);
        default:
            return syscall(SYS_setresuid, -1, b, -1);
    }
}

static void sequence(void) {
    for (int i = 0; i < STEPS; ++i) {
        const long result = step();
        printf(" %ld", result);
        if (result == -1 && errno != EPERM) {
            printf("(%s)", strerrorname_np(errno));
        }
    }
    printf("\n");
    show_sets(" then");
    uid_t r, e, s;
    getresuid(&r, &e, &s);
    printf("  users %d %d %d %d\n", r, e, s, setfsuid(-1));
    execute("/proc/self/exe");
}

int main(int count, char** arguments) {
    if (count > 1) {
        (void)arguments;
        return show();
    }
    start(PLACE);
    close(open(PLACE "/roots", O_CREAT | O_WRONLY, 0600));
    executions();
    in_child("users", users);
    in_child("users of files", file_users);
    in_child("no fixup", no_fixup);
    in_child("kept", kept);
    in_child("threads", threads);
    in_child("told", telling);
    in_child("others", others);
    in_child("versions", versions);
    in_child("odd controls", odd_controls);
    in_child("hidden", hidden);
    for (state = 1; state <= SEQUENCES; ++state) {
        const uint32_t seed = state;
        printf("sequence %u:", seed);
        run_child(sequence);
        state = seed;
    }
    end(PLACE);
    return 0;
}
