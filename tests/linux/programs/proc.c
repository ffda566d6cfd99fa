/* /proc: what a program finds about itself and its kin; what differs from machine to machine is told as yes
 * or no.
 * SPDX-License-Identifier: MIT */
#include "say.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>

static char text[65536];

static long slurp(const char* path) {
    const int fd = open(path, O_RDONLY);
    if (fd < 0) {
        return -1;
    }
    long total = 0, count;
    while ((count = read(fd, text + total, sizeof text - 1 - (size_t)total)) > 0) {
        total += count;
    }
    text[total] = '\0';
    close(fd);
    return count < 0 ? -1 : total;
}

static void say_line(const char* path) {
    if (slurp(path) < 0) {
        say(path, -1);
        return;
    }
    text[strcspn(text, "\n")] = '\0';
    printf("%s: %s\n", path, text);
    fflush(stdout);
}

static void say_link(const char* path) {
    char target[4096];
    const long count = readlink(path, target, sizeof target - 1);
    if (count < 0) {
        say(path, -1);
        return;
    }
    target[count] = '\0';
    char* name = strrchr(target, '/');
    target[strcspn(target, "0123456789")] = '\0';
    printf("%s: %s\n", path, name == NULL ? target : name + 1);
    fflush(stdout);
}

static long field(int number) {
    const char* at = strrchr(text, ')');
    for (int i = 2; i < number && at != NULL; ++i) {
        at = strchr(at + 1, ' ');
    }
    return at == NULL ? -1 : atol(at + 1);
}

static void say_key(const char* key) {
    const char* at = strstr(text, key);
    if (at == NULL) {
        printf("%s is missing\n", key);
    } else {
        printf("%.*s\n", (int)strcspn(at, "\n"), at);
    }
    fflush(stdout);
}

static int has_entry(const char* path, const char* name) {
    DIR* directory = opendir(path);
    int found = 0;
    for (struct dirent* entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
        found += strcmp(entry->d_name, name) == 0;
    }
    if (directory != NULL) {
        closedir(directory);
    }
    return found;
}

static void own_files(void) {
    char name[64];
    snprintf(name, sizeof name, "%d", getpid());
    char link[64] = "";
    say("self",
        readlink("/proc/self", link, sizeof link - 1) == (long)strlen(name) && strcmp(link, name) == 0);
    say("in the list", has_entry("/proc", name));
    say_line("/proc/self/comm");
    const long arguments = slurp("/proc/self/cmdline");
    say("one argument", arguments == (long)strlen(text) + 1);
    say("its name", strcmp(strrchr(text, '/') + 1, "proc"));
    say_link("/proc/self/exe");
    say("cwd", readlink("/proc/self/cwd", text, sizeof text) > 0 && text[0] == '/');
    say("root", readlink("/proc/self/root", text, sizeof text));
    say("exe opens", open("/proc/self/exe", O_RDONLY) > 2);
    say("stat", slurp("/proc/self/stat") > 0);
    say("pid", atol(text) == getpid());
    say("ppid", field(4) == getppid());
    say("group", field(5) == getpgrp());
    say("session", field(6) == getsid(0));
    say("threads", field(20));
    say("vsize", field(23) > 4096);
    say("rss", field(24) > 1);
    int fields = 2;
    for (const char* at = strrchr(text, ')'); (at = strchr(at + 1, ' ')) != NULL;) {
        ++fields;
    }
    say("fields", fields);
    say("status", slurp("/proc/self/status") > 0);
    say_key("Name:");
    say_key("State:");
    say_key("Threads:");
    say_key("SigBlk:");
    say_key("SigIgn:");
    say("statm", slurp("/proc/self/statm") > 0 && atol(text) > 1);
    say("environ",
        setenv("LATER", "1", 1) + (slurp("/proc/self/environ") >= 0 && strstr(text, "LATER=") == NULL));
    say("auxv", slurp("/proc/self/auxv") > 0 && *(unsigned long*)text != AT_NULL);
    say("limits", slurp("/proc/self/limits") > 0 && strstr(text, "Max open files") != NULL);
    say("oom_score_adj", slurp("/proc/self/oom_score_adj") > 0);
    struct statfs file_system;
    say("statfs", statfs("/proc", &file_system));
    say("magic", file_system.f_type == 0x9fa0);
}

static void maps(void) {
    const unsigned long here = (unsigned long)&maps;
    int seen_code = 0, seen_heap = 0, seen_stack = 0, in_order = 1;
    free(malloc(100));
    slurp("/proc/self/maps");
    unsigned long last = 0;
    for (char* line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        unsigned long begin, end;
        char rights[5];
        if (sscanf(line, "%lx-%lx %4s", &begin, &end, rights) != 3) {
            printf("not understood: %s\n", line);
            continue;
        }
        in_order &= begin >= last && end > begin;
        last = end;
        seen_code |=
            here >= begin && here < end && strcmp(rights, "r-xp") == 0 && strstr(line, "/proc") != NULL;
        seen_heap |= strstr(line, "[heap]") != NULL;
        seen_stack |=
            strstr(line, "[stack]") != NULL && (unsigned long)&last >= begin && (unsigned long)&last < end;
    }
    printf("code %d heap %d stack %d in order %d\n", seen_code, seen_heap, seen_stack, in_order);
    fflush(stdout);
}

static void descriptors(void) {
    int ends[2];
    (void)!pipe(ends);
    char path[64];
    const int file = open("/proc/self/stat", O_RDONLY);
    snprintf(path, sizeof path, "/proc/self/fd/%d", ends[0]);
    say_link(path);
    struct stat s, t;
    say("stat through the link", stat(path, &s));
    say("is a fifo", S_ISFIFO(s.st_mode));
    say("the same", fstat(ends[0], &t) + (s.st_ino != t.st_ino));
    say("lstat", lstat(path, &s));
    say("mode", S_ISLNK(s.st_mode) ? (long)(s.st_mode & 0777) : -2);
    snprintf(path, sizeof path, "/dev/fd/%d", ends[1]);
    const int again = open(path, O_WRONLY);
    say_done("open a pipe again", again);
    say("write", write(again, "through", 7));
    char room[16];
    say("read", read(ends[0], room, sizeof room));
    close(again);
    close(ends[1]);
    snprintf(path, sizeof path, "/proc/self/fd/%d", ends[0]);
    const int reader = open(path, O_RDONLY);
    say_done("open one that has no writer", reader);
    say("read", read(reader, room, sizeof room));
    snprintf(path, sizeof path, "%d", file);
    say("listed", has_entry("/proc/self/fd", path));
    close(file);
    say("gone", has_entry("/proc/self/fd", path));
    say("not open", open("/proc/self/fd/999", O_RDONLY));
    say("no such process", open("/proc/4194303/stat", O_RDONLY));
    /* A file without a name. */
    const int unnamed = memfd_create("x", 0);
    say("memfd", write(unnamed, "contents", 8));
    snprintf(path, sizeof path, "/proc/self/fd/%d", unnamed);
    const int other = open(path, O_RDONLY);
    say("memfd again", read(other, room, sizeof room));
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", other);
    say("fdinfo", slurp(path) > 0);
    say_key("pos:");
    const int stat_file = open("/proc/self/stat", O_RDONLY);
    say("read a little", read(stat_file, room, 3));
    say("back", lseek(stat_file, 0, SEEK_SET));
    say("read again", read(stat_file, text, sizeof text) > 50);
    say("write", open("/proc/uptime", O_WRONLY) >= 0 ? 0 : 1);
    say("make", open("/proc/new", O_CREAT | O_WRONLY, 0600));
    say("mkdir", mkdir("/proc/new", 0700));
    say("unlink", unlink("/proc/self/stat"));
}

static void* wait_for_it(void* argument) {
    pause();
    return argument;
}

static void others(void) {
    pthread_t thread;
    pthread_create(&thread, NULL, wait_for_it, NULL);
    int threads = 0;
    DIR* directory = opendir("/proc/self/task");
    for (struct dirent* entry; (entry = readdir(directory)) != NULL;) {
        threads += entry->d_name[0] != '.';
    }
    closedir(directory);
    say("threads", threads);
    slurp("/proc/self/stat");
    say("threads in stat", field(20));
    const pid_t child = fork();
    if (child == 0) {
        _exit(5);
    }
    siginfo_t info;
    waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT);
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/stat", child);
    slurp(path);
    printf("state of a zombie: %c\n", strrchr(text, ')')[2]);
    snprintf(path, sizeof path, "/proc/%d/cmdline", child);
    say("its command line", slurp(path));
    snprintf(path, sizeof path, "/proc/%d/stat", child);
    const int kept = open(path, O_RDONLY);
    waitpid(child, NULL, 0);
    char room[16];
    say("read when it has gone", read(kept, room, sizeof room));
    say("open when it has gone", open(path, O_RDONLY));
    const pid_t sleeper = fork();
    if (sleeper == 0) {
        pause();
    }
    snprintf(path, sizeof path, "/proc/%d/stat", sleeper);
    do {
        slurp(path);
    } while (strrchr(text, ')')[2] != 'S');
    say("it sleeps", 1);
    kill(sleeper, SIGSTOP);
    waitpid(sleeper, NULL, WUNTRACED);
    slurp(path);
    printf("state when stopped: %c\n", strrchr(text, ')')[2]);
    kill(sleeper, SIGKILL);
    waitpid(sleeper, NULL, 0);
}

/* A debugger's way into memory, and programs that always lie in the same place. */
static const char constant[] = "may only be read";

static void own_memory(void) {
    const int memory = open("/proc/self/mem", O_RDWR);
    char room[32] = "";
    say("read", pread(memory, room, 8, (off_t)(uintptr_t)constant));
    printf("%s\n", room);
    char own[] = "mine";
    say("write", pwrite(memory, "hers", 4, (off_t)(uintptr_t)own));
    printf("%s\n", own);
    say("nothing is there", pread(memory, room, 1, 0));
    char* const pages = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(pages + 4096, 4096);
    say("against its rights", pwrite(memory, "x", 1, (off_t)(uintptr_t)pages));
    printf("%c\n", pages[0]);
    char many[64];
    say("up to the end", pread(memory, many, sizeof many, (off_t)(uintptr_t)pages + 4090));
    say("the end is unknown", lseek(memory, 0, SEEK_END));
    say("seek", lseek(memory, (off_t)(uintptr_t)own, SEEK_SET) == (off_t)(uintptr_t)own);
    say("read on", read(memory, room, 4));
    const int file = memfd_create("x", 0);
    (void)!write(file, "kept", 4);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    const char* const shared = mmap(NULL, 4096, PROT_READ, MAP_SHARED, open(path, O_RDONLY), 0);
    say("what others share", pwrite(memory, "lost", 4, (off_t)(uintptr_t)shared));
    printf("%.4s\n", shared);
}

static void layout(void) {
    fflush(stdout);
    if (fork() == 0) {
        say("usual", personality(0xffffffff));
        say("none at random", personality(ADDR_NO_RANDOMIZE));
        say("since", personality(0xffffffff));
        fflush(stdout);
        int ends[2];
        (void)!pipe(ends);
        char where[2][64] = {"", ""};
        for (int i = 0; i < 2; ++i) {
            if (fork() == 0) {
                dup2(ends[1], 1);
                execl("/proc/self/exe", "proc", "where", NULL);
                _exit(1);
            }
            wait(NULL);
            say("told", read(ends[0], where[i], sizeof where[i]) > 0);
        }
        say("twice the same", memcmp(where[0], where[1], sizeof where[0]) == 0);
        _exit(0);
    }
    wait(NULL);
    say("the parent's", personality(0xffffffff));
}

static void machine(void) {
    double up = 0, idle = -1;
    say("uptime",
        slurp("/proc/uptime") > 0 && sscanf(text, "%lf %lf", &up, &idle) == 2 && up > 0 && idle >= 0);
    say("meminfo", slurp("/proc/meminfo") > 0 && strncmp(text, "MemTotal:", 9) == 0);
    say("stat",
        slurp("/proc/stat") > 0 && strncmp(text, "cpu  ", 5) == 0 && strstr(text, "\nbtime ") != NULL);
    double load[3];
    say("loadavg", slurp("/proc/loadavg") > 0 && sscanf(text, "%lf %lf %lf", load, load + 1, load + 2) == 3);
    say("cpuinfo", slurp("/proc/cpuinfo") > 0 && strncmp(text, "processor\t: 0\n", 14) == 0);
    say("mounts", slurp("/proc/mounts") > 0 && strstr(text, " /proc proc ") != NULL);
    say("mountinfo", slurp("/proc/self/mountinfo") > 0 && strstr(text, " - proc ") != NULL);
    say("filesystems", slurp("/proc/filesystems") > 0 && strstr(text, "nodev\ttmpfs\n") != NULL);
    say_line("/proc/sys/kernel/ostype");
    say("boot_id", slurp("/proc/sys/kernel/random/boot_id"));
    slurp("/proc/sys/kernel/random/uuid");
    char first[40];
    memcpy(first, text, 36);
    slurp("/proc/sys/kernel/random/uuid");
    say("uuids differ", memcmp(first, text, 36) != 0);
    say("interrupts", slurp("/proc/interrupts") > 0 && strstr(text, "CPU0") != NULL);
}

int main(int count, char** arguments) {
    if (count > 1) {
        /* Where a stack, a heap and a mapping lie. */
        printf("%p %p %p", (void*)arguments, sbrk(0),
               mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        return 0;
    }
    own_files();
    maps();
    descriptors();
    others();
    own_memory();
    layout();
    machine();
    return 0;
}
