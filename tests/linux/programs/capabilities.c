/* Capabilities: which call asks for which.
 * SPDX-License-Identifier: MIT */
#include "say.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/utsname.h>

#include "capability_sets.h"

#define PLACE "/dev/shm/capabilities"

static pid_t parent;
static int segment;

/* One question to the kernel each: what it answers, with and without a capability. */
static long takes_owner(void) {
    return chown(PLACE "/roots", 1000, -1);
}

static long takes_group(void) {
    return chown(PLACE "/own", -1, 3000);
}

static long gives_away(void) {
    return chown(PLACE "/own", 0, -1);
}

static long changes_nothing(void) {
    return chown(PLACE "/roots", -1, -1);
}

static long drop(int file) {
    if (file >= 0) {
        close(file);
        return 0;
    }
    return file;
}

static long reads(void) {
    return drop(open(PLACE "/roots", O_RDONLY));
}

static long writes(void) {
    return drop(open(PLACE "/roots", O_WRONLY));
}

static long reads_and_writes(void) {
    return drop(open(PLACE "/roots", O_RDWR));
}

static long searches(void) {
    struct stat status;
    return stat(PLACE "/closed/inner", &status);
}

static long lists(void) {
    return drop(open(PLACE "/closed", O_RDONLY | O_DIRECTORY));
}

static long makes(void) {
    return drop(open(PLACE "/closed/new", O_CREAT | O_EXCL | O_WRONLY, 0600));
}

static long may_run(void) {
    return syscall(SYS_faccessat2, AT_FDCWD, PLACE "/run", X_OK, AT_EACCESS);
}

static long may_run_what_nobody_runs(void) {
    return syscall(SYS_faccessat2, AT_FDCWD, PLACE "/roots", X_OK, AT_EACCESS);
}

static long may_read_and_run(void) {
    return syscall(SYS_faccessat2, AT_FDCWD, PLACE "/run", R_OK | X_OK, AT_EACCESS);
}

static long asks_by_real_user(void) {
    return access(PLACE "/roots", R_OK);
}

static long changes_mode(void) {
    return chmod(PLACE "/roots", 0600);
}

static long changes_times(void) {
    const struct timespec times[2] = {{1, 0}, {2, 0}};
    return utimensat(AT_FDCWD, PLACE "/roots", times, 0);
}

static long touches(void) {
    return utimensat(AT_FDCWD, PLACE "/roots", NULL, 0);
}

static long looks_unseen(void) {
    return drop(open(PLACE "/readable", O_RDONLY | O_NOATIME));
}

static long looks_unseen_later(void) {
    const int file = open(PLACE "/readable", O_RDONLY);
    const long result = fcntl(file, F_SETFL, O_NOATIME);
    const int why = errno;
    close(file);
    errno = why;
    return result;
}

static long removes_from_sticky(void) {
    return unlink(PLACE "/sticky/roots");
}

static long renames_in_sticky(void) {
    return rename(PLACE "/sticky/roots", PLACE "/sticky/mine");
}

static long mode_of(const char* path) {
    struct stat status;
    return stat(path, &status) == 0 ? (long)(status.st_mode & 07777) : -1;
}

static long sets_group_bit(void) {
    return chmod(PLACE "/foreign", 02755) == 0 ? mode_of(PLACE "/foreign") : -1;
}

static long keeps_bits_when_written(void) {
    const int file = open(PLACE "/set", O_WRONLY);
    const long result = write(file, "x", 1);
    close(file);
    return result == 1 ? mode_of(PLACE "/set") : -1;
}

static long keeps_bits_when_cut(void) {
    return truncate(PLACE "/set", 0) == 0 ? mode_of(PLACE "/set") : -1;
}

static long keeps_bits_with_owner(void) {
    return chown(PLACE "/set", 1000, -1) == 0 ? mode_of(PLACE "/set") : -1;
}

static long keeps_bits_nobody_runs(void) {
    return chown(PLACE "/set0", -1, -1) == 0 ? mode_of(PLACE "/set0") : -1;
}

static long inherits_group(void) {
    umask(0);
    close(open(PLACE "/groups/new", O_CREAT | O_EXCL | O_WRONLY, 02777));
    return mode_of(PLACE "/groups/new");
}

static long signals(void) {
    return kill(parent, 0);
}

static long becomes_user(void) {
    return setuid(2000);
}

static long becomes_effective_user(void) {
    return setresuid(-1, 2000, -1);
}

static long becomes_file_user(void) {
    setfsuid(2000);
    return setfsuid(-1);
}

static long becomes_group(void) {
    return setgid(2000);
}

static long joins_groups(void) {
    const gid_t groups[] = {5, 6};
    return setgroups(2, groups);
}

static long drops_bound(void) {
    return prctl(PR_CAPBSET_DROP, CAP_CHOWN, 0, 0, 0);
}

static long drops_what_is_none(void) {
    return prctl(PR_CAPBSET_DROP, 64, 0, 0, 0);
}

static long sets_secure_bits(void) {
    return prctl(PR_SET_SECUREBITS, SECBIT_NOROOT, 0, 0, 0);
}

static long inherits_more(void) {
    uint64_t sets[3];
    get_sets(0, sets);
    return set_sets(sets[EFFECTIVE], sets[PERMITTED], BIT(CAP_AUDIT_READ));
}

static long binds(void) {
    const int file = socket(AF_INET, SOCK_STREAM, 0);
    const struct sockaddr_in name = {
        .sin_family = AF_INET, .sin_port = htons(813), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    const long result = bind(file, (const struct sockaddr*)&name, sizeof name);
    const int why = errno;
    close(file);
    errno = why;
    return result;
}

/* What the machine has no protocol for is another answer. */
static long speaks_raw(void) {
    const int file = socket(AF_INET, SOCK_RAW, IPPROTO_UDP);
    return file == -1 && errno == EPERM ? -1 : 0;
}

static long changes_root(void) {
    return chroot(PLACE);
}

static long looks_into_memory(void) {
    static char byte;
    const struct iovec own = {&byte, 1}, other = {&segment, 1};
    return process_vm_readv(parent, &own, 1, &other, 1, 0);
}

static long looks_into_files(void) {
    char path[64], to[256];
    snprintf(path, sizeof path, "/proc/%d/fd/0", parent);
    return readlink(path, to, sizeof to) == -1 ? -1 : 0;
}

static long traces(void) {
    const long result = ptrace(PTRACE_SEIZE, parent, 0, 0);
    const int why = errno;
    if (result == 0) {
        _exit(0);
    }
    errno = why;
    return result;
}

static long mounts(void) {
    return mount("none", PLACE "/groups", "tmpfs", 0, NULL);
}

static long unmounts(void) {
    return umount(PLACE "/nowhere");
}

static long is_less_nice(void) {
    return setpriority(PRIO_PROCESS, 0, -3);
}

static long makes_another_nice(void) {
    return setpriority(PRIO_PROCESS, parent, 1);
}

static long places_another(void) {
    cpu_set_t set;
    sched_getaffinity(0, sizeof set, &set);
    return sched_setaffinity(parent, sizeof set, &set);
}

static long asks_for_limits(void) {
    struct rlimit limit;
    return prlimit(parent, RLIMIT_NOFILE, NULL, &limit);
}

static long raises_limit(void) {
    const struct rlimit low = {10, 10}, high = {10, 11};
    setrlimit(RLIMIT_CORE, &low);
    return setrlimit(RLIMIT_CORE, &high);
}

static long makes_device(void) {
    return mknod(PLACE "/sticky/null", S_IFCHR | 0600, makedev(1, 3));
}

static long makes_fifo(void) {
    return mknod(PLACE "/sticky/fifo", S_IFIFO | 0600, 0);
}

static long controls_log(void) {
    return syscall(SYS_syslog, 8, NULL, 0);
}

static long looks_at_segment(void) {
    struct shmid_ds facts;
    return shmctl(segment, IPC_STAT, &facts);
}

static long changes_segment(void) {
    struct shmid_ds facts = {.shm_perm = {.mode = 0600}};
    return shmctl(segment, IPC_SET, &facts);
}

static long locks_segment(void) {
    return shmctl(segment, SHM_UNLOCK, NULL);
}

static long says_to_be(pid_t process, uid_t user, gid_t group) {
    int ends[2];
    socketpair(AF_UNIX, SOCK_DGRAM, 0, ends);

    union {
        char bytes[CMSG_SPACE(sizeof(struct ucred))];
        struct cmsghdr header;
    } control = {.header = {CMSG_LEN(sizeof(struct ucred)), SOL_SOCKET, SCM_CREDENTIALS}};
    const struct ucred who = {process, user, group};
    memcpy(CMSG_DATA(&control.header), &who, sizeof who);
    struct iovec piece = {&segment, 1};
    const struct msghdr message = {
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    return sendmsg(ends[0], &message, 0);
}

static long says_other_process(void) {
    return says_to_be(1, 1000, 1000);
}

static long says_other_user(void) {
    return says_to_be(getpid(), 7, 1000);
}

static long says_other_group(void) {
    return says_to_be(getpid(), 1000, 7);
}

static long names_host(void) {
    return sethostname("elsewhere", 9);
}

static long names_domain(void) {
    return setdomainname("nowhere", 7);
}

static const struct {
    const char* what;
    long (*ask)(void);
    int capabilities[3]; /* that are looked at, each alone and alone missing; -1: no more */
} questions[] = {
    {"take a file", takes_owner, {CAP_CHOWN, CAP_FOWNER, CAP_DAC_OVERRIDE}},
    {"give to a group", takes_group, {CAP_CHOWN, CAP_FOWNER, CAP_SETGID}},
    {"give away", gives_away, {CAP_CHOWN, CAP_FOWNER, -1}},
    {"change no owner", changes_nothing, {CAP_CHOWN, -1, -1}},
    {"read", reads, {CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE, CAP_FOWNER}},
    {"write", writes, {CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE, CAP_FOWNER}},
    {"read and write", reads_and_writes, {CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE, -1}},
    {"search", searches, {CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE, -1}},
    {"list", lists, {CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE, -1}},
    {"make", makes, {CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE, -1}},
    {"run", may_run, {CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE, -1}},
    {"run what nobody runs", may_run_what_nobody_runs, {CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE, -1}},
    {"read and run", may_read_and_run, {CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE, -1}},
    {"ask by the real user", asks_by_real_user, {CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE, -1}},
    {"change a mode", changes_mode, {CAP_FOWNER, CAP_CHOWN, CAP_FSETID}},
    {"change times", changes_times, {CAP_FOWNER, CAP_DAC_OVERRIDE, -1}},
    {"touch", touches, {CAP_FOWNER, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH}},
    {"look unseen", looks_unseen, {CAP_FOWNER, CAP_DAC_OVERRIDE, -1}},
    {"look unseen later", looks_unseen_later, {CAP_FOWNER, CAP_DAC_OVERRIDE, -1}},
    {"remove from a sticky directory", removes_from_sticky, {CAP_FOWNER, CAP_DAC_OVERRIDE, -1}},
    {"rename in a sticky directory", renames_in_sticky, {CAP_FOWNER, CAP_DAC_OVERRIDE, -1}},
    {"set a group's bit", sets_group_bit, {CAP_FSETID, CAP_FOWNER, CAP_CHOWN}},
    {"write what is set-id", keeps_bits_when_written, {CAP_FSETID, CAP_FOWNER, -1}},
    {"cut what is set-id", keeps_bits_when_cut, {CAP_FSETID, CAP_FOWNER, -1}},
    {"chown what is set-id", keeps_bits_with_owner, {CAP_FSETID, CAP_CHOWN, -1}},
    {"chown what is set-id and nobody runs", keeps_bits_nobody_runs, {CAP_FSETID, CAP_CHOWN, -1}},
    {"make in a group's directory", inherits_group, {CAP_FSETID, CAP_FOWNER, -1}},
    {"signal", signals, {CAP_KILL, CAP_SYS_ADMIN, -1}},
    {"setuid", becomes_user, {CAP_SETUID, CAP_SETGID, -1}},
    {"setresuid", becomes_effective_user, {CAP_SETUID, CAP_SETGID, -1}},
    {"setfsuid", becomes_file_user, {CAP_SETUID, CAP_SETGID, -1}},
    {"setgid", becomes_group, {CAP_SETGID, CAP_SETUID, -1}},
    {"setgroups", joins_groups, {CAP_SETGID, CAP_SETUID, -1}},
    {"drop of the bounding set", drops_bound, {CAP_SETPCAP, CAP_SYS_ADMIN, -1}},
    {"drop what is none", drops_what_is_none, {CAP_SETPCAP, -1, -1}},
    {"set secure bits", sets_secure_bits, {CAP_SETPCAP, CAP_SYS_ADMIN, -1}},
    {"inherit more than it may", inherits_more, {CAP_SETPCAP, CAP_SYS_ADMIN, -1}},
    {"bind to 813", binds, {CAP_NET_BIND_SERVICE, CAP_NET_ADMIN, -1}},
    {"speak raw", speaks_raw, {CAP_NET_RAW, CAP_NET_ADMIN, -1}},
    {"chroot", changes_root, {CAP_SYS_CHROOT, CAP_SYS_ADMIN, -1}},
    {"look into memory", looks_into_memory, {CAP_SYS_PTRACE, CAP_SYS_ADMIN, -1}},
    {"look into files", looks_into_files, {CAP_SYS_PTRACE, CAP_DAC_OVERRIDE, -1}},
    {"trace", traces, {CAP_SYS_PTRACE, CAP_SYS_ADMIN, -1}},
    {"mount", mounts, {CAP_SYS_ADMIN, CAP_SYS_CHROOT, -1}},
    {"take a mount away", unmounts, {CAP_SYS_ADMIN, -1, -1}},
    {"be less nice", is_less_nice, {CAP_SYS_NICE, CAP_SYS_ADMIN, -1}},
    {"make another nice", makes_another_nice, {CAP_SYS_NICE, CAP_SYS_ADMIN, -1}},
    {"place another", places_another, {CAP_SYS_NICE, CAP_SYS_ADMIN, -1}},
    {"ask for limits", asks_for_limits, {CAP_SYS_ADMIN, CAP_SYS_PTRACE, -1}},
    {"raise a limit", raises_limit, {CAP_SYS_ADMIN, CAP_SYS_PTRACE, -1}},
    {"make a device", makes_device, {CAP_MKNOD, CAP_SYS_ADMIN, -1}},
    {"make a fifo", makes_fifo, {CAP_MKNOD, -1, -1}},
    {"control the log", controls_log, {CAP_SYSLOG, CAP_SYS_ADMIN, CAP_SYS_NICE}},
    {"look at a segment", looks_at_segment, {CAP_IPC_OWNER, CAP_SYS_ADMIN, -1}},
    {"change a segment", changes_segment, {CAP_IPC_OWNER, CAP_SYS_ADMIN, -1}},
    {"lock a segment", locks_segment, {CAP_IPC_OWNER, CAP_IPC_LOCK, CAP_SYS_ADMIN}},
    {"name the host", names_host, {CAP_SYS_ADMIN, CAP_SYS_BOOT, -1}},
    {"name the domain", names_domain, {CAP_SYS_ADMIN, CAP_SYS_BOOT, -1}},
    {"say another process", says_other_process, {CAP_SYS_ADMIN, CAP_SETUID, -1}},
    {"say another user", says_other_user, {CAP_SETUID, CAP_SYS_ADMIN, -1}},
    {"say another group", says_other_group, {CAP_SETGID, CAP_SYS_ADMIN, -1}},
};

static void put(const char* path, uid_t user, gid_t group, mode_t mode) {
    unlink(path);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    chown(path, user, group);
    chmod(path, mode);
}

static void put_directory(const char* path, gid_t group, mode_t mode) {
    mkdir(path, 0700);
    chown(path, 0, group);
    chmod(path, mode);
}

/* Everything as the questions find it, each time. */
static void put_all(void) {
    put(PLACE "/roots", 0, 0, 0600);
    put(PLACE "/readable", 0, 0, 0644);
    put(PLACE "/own", 1000, 1000, 0600);
    put(PLACE "/foreign", 1000, 3000, 0755);
    put(PLACE "/set", 1000, 1000, 06777);
    put(PLACE "/set0", 1000, 3000, 06600);
    put(PLACE "/run", 0, 0, 0700);
    put_directory(PLACE "/closed", 0, 0700);
    put_directory(PLACE "/sticky", 0, 01777);
    put_directory(PLACE "/groups", 3000, 02777);
    put(PLACE "/closed/inner", 0, 0, 0600);
    put(PLACE "/sticky/roots", 0, 0, 0600);
    unlink(PLACE "/closed/new");
    unlink(PLACE "/sticky/mine");
    unlink(PLACE "/sticky/null");
    unlink(PLACE "/sticky/fifo");
    unlink(PLACE "/groups/new");
}

static void ask(long (*question)(void), const char* how, uint64_t set) {
    put_all();
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        const int became = become_with(1000, set);
        const long result = became != 0 ? -2 : question();
        printf(" %s %s%ld", how, result == -1 ? strerrorname_np(errno) : "", result);
        fflush(stdout);
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    umount(PLACE "/groups");
}

static void ask_all(void) {
    parent = getpid();
    segment = shmget(IPC_PRIVATE, 4096, 0600);
    for (size_t i = 0; i < sizeof questions / sizeof questions[0]; ++i) {
        printf("%s:", questions[i].what);
        ask(questions[i].ask, "with none", 0);
        ask(questions[i].ask, "with all", here_all);
        for (int c = 0; c < 3 && questions[i].capabilities[c] != -1; ++c) {
            const uint64_t one = BIT(questions[i].capabilities[c]);
            printf(",");
            ask(questions[i].ask, "only", one);
            ask(questions[i].ask, "without", here_all & ~one);
        }
        printf("\n");
    }
    shmctl(segment, IPC_RMID, NULL);
    setpriority(PRIO_PROCESS, 0, 0);
}

/* Whether a user's process with some capabilities may trace one of the same user with others. */
static void trace_with(const char* what, uint64_t own, uint64_t of_traced) {
    int ready[2];
    char byte = 0;
    if (pipe(ready) != 0) {
        say("pipe", -1);
        return;
    }
    const pid_t traced = fork();
    if (traced == 0) {
        byte = become_with(1000, of_traced) == 0 && prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0;
        while (write(ready[1], &byte, 1) == 1) {
            pause();
        }
        _exit(1);
    }
    if (read(ready[0], &byte, 1) != 1 || byte != 1) {
        printf("%s: no such process\n", what);
    }
    fflush(stdout);
    const pid_t tracer = fork();
    if (tracer == 0) {
        say(what, become_with(1000, own) != 0 ? -2 : ptrace(PTRACE_SEIZE, traced, 0, 0));
        _exit(0);
    }
    waitpid(tracer, NULL, 0);
    kill(traced, SIGKILL);
    waitpid(traced, NULL, 0);
    close(ready[0]);
    close(ready[1]);
}

static void trace_each_other(void) {
    const uint64_t kill_any = BIT(CAP_KILL), chown_any = BIT(CAP_CHOWN);
    trace_with("trace with nothing who has nothing", 0, 0);
    trace_with("trace with nothing who may kill", 0, kill_any);
    trace_with("trace with the same who may kill", kill_any, kill_any);
    trace_with("trace with more who may kill", kill_any | chown_any, kill_any);
    trace_with("trace with something else who may kill", chown_any, kill_any);
    trace_with("trace with the capability who may kill", BIT(CAP_SYS_PTRACE), kill_any);
}

static void tell_names(const char* what) {
    struct utsname names;
    char line[100] = "";
    uname(&names);
    const int file = open("/proc/sys/kernel/hostname", O_RDONLY);
    const ssize_t length = read(file, line, sizeof line - 1);
    close(file);
    printf("%s: %s, %s, %zd bytes: %s", what, names.nodename, names.domainname, length, line);
}

/* In a name space of its own on Linux; here it is put back. */
static void names(void) {
    struct utsname before;
    static char longest[65];
    uname(&before);
    say("host", sethostname("elsewhere", 9));
    say("domain", setdomainname("nowhere", 7));
    tell_names("set");
    say("with a zero", sethostname("a\0b", 3));
    tell_names("cut there");
    say("none", sethostname("", 0));
    tell_names("none");
    memset(longest, 'n', sizeof longest);
    say("longest", sethostname(longest, 64));
    tell_names("longest");
    say("too long", sethostname(longest, 65));
    say("below none", syscall(SYS_sethostname, longest, -1));
    say("wild", syscall(SYS_sethostname, 8, 3));
    const int file = open("/proc/sys/kernel/hostname", O_WRONLY);
    say("written", write(file, "by a file\nand more\n", 19));
    close(file);
    tell_names("written");
    sethostname(before.nodename, strlen(before.nodename));
    setdomainname(before.domainname, strlen(before.domainname));
}

int main(void) {
    start(PLACE);
    ask_all();
    trace_each_other();
    names();
    end(PLACE);
    return 0;
}
