/* /proc/paravane/messages: what a parent and its child say to one another, told with names for their numbers.
 * SPDX-License-Identifier: MIT */
#include "say.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

static const char* const trace = "/proc/paravane/messages";
static char text[65536];

static void setting(const char* word) {
    const int file = open(trace, O_WRONLY);
    say(word, file < 0 ? -1 : write(file, word, strlen(word)));
    close(file);
}

static long number_of(int file) {
    struct stat found;
    return fstat(file, &found) == 0 ? (long)found.st_ino : -1;
}

static pid_t parent, child;

static const char* name_of(const char* number) {
    return strcmp(number, "-") == 0 ? "-"
           : atoi(number) == parent ? "parent"
           : atoi(number) == child  ? "child"
                                    : number;
}

/* Every line in which one of the two takes part. */
static void tell(int pipe_end, int of_parent, int of_child, const void* word) {
    const int file = open(trace, O_RDONLY);
    long total = 0, count;
    while ((count = read(file, text + total, sizeof text - 1 - (size_t)total)) > 0) {
        total += count;
    }
    close(file);
    text[total] = '\0';
    double last = 0;
    int in_order = 1;
    for (char* line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        double time;
        char process[16], does[16], peer[16], channel[16];
        unsigned long object, amount;
        if (sscanf(line, "%lf %15s %15s %15s %15[a-z]:[%li] %lu", &time, process, does, peer, channel,
                   &object, &amount) != 7 ||
            (atoi(process) != parent && atoi(process) != child)) {
            continue;
        }
        in_order &= time >= last;
        last = time;
        const char* what =
            strcmp(channel, "pipe") == 0     ? (long)object == number_of(pipe_end) ? "the pipe" : "another"
            : strcmp(channel, "socket") == 0 ? (long)object == number_of(of_parent)  ? "the parent's"
                                               : (long)object == number_of(of_child) ? "the child's"
                                                                                     : "another"
            : strcmp(channel, "futex") == 0  ? object == (unsigned long)word ? "a word" : "another"
                                             : strsignal((int)object);
        printf("%s %s %s %s %s %lu\n", name_of(process), does, name_of(peer), channel, what, amount);
    }
    say("in order", in_order);
}

/* Whether it waits: it has said that it is about to, and no longer runs. */
static int sleeps(pid_t process, const int* about_to) {
    char path[64], state = '?';
    snprintf(path, sizeof path, "/proc/%d/stat", process);
    FILE* file = fopen(path, "r");
    if (file != NULL) {
        (void)!fscanf(file, "%*d %*s %c", &state);
        fclose(file);
    }
    return __atomic_load_n(about_to, __ATOMIC_ACQUIRE) != 0 && state == 'S';
}

int main(void) {
    int ends[2], pair[2], back[2];
    int* word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (pipe(ends) != 0 || pipe(back) != 0 || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) != 0 ||
        word == MAP_FAILED) {
        return 1;
    }
    parent = getpid();
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, NULL);
    setting("on");
    child = fork();
    if (child == 0) {
        char room[100];
        read(ends[0], room, sizeof room);
        recv(pair[1], room, 5, 0); /* the rest of the packet is lost */
        send(pair[1], "answer", 6, 0);
        int signal;
        sigwait(&set, &signal);
        const int signals = signalfd(-1, &set, 0);
        struct signalfd_siginfo came;
        read(signals, &came, sizeof came);
        __atomic_store_n(word + 1, 1, __ATOMIC_RELEASE);
        while (__atomic_load_n(word, __ATOMIC_ACQUIRE) == 0) {
            syscall(SYS_futex, word, FUTEX_WAIT, 0, NULL, NULL, 0);
        }
        _exit(7);
    }
    char room[100];
    write(ends[1], "eleven here", 11);
    send(pair[0], "a packet", 8, 0);
    recv(pair[0], room, sizeof room, 0);
    kill(child, SIGUSR1);
    sigval_t value = {.sival_int = 5};
    sigqueue(child, SIGUSR2, value);
    /* Waking nobody says nothing: once the word is 1 nobody goes to sleep, so one of these wakes it, or none.
     */
    while (!sleeps(child, word + 1)) {
        usleep(1000);
    }
    __atomic_store_n(word, 1, __ATOMIC_RELEASE);
    say("woken", syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0));
    int status;
    waitpid(child, &status, 0);
    say("status", WEXITSTATUS(status));
    tell(ends[0], pair[0], pair[1], word);
    setting("off");
    write(ends[1], "unheard", 7);
    tell(ends[0], pair[0], pair[1], word);
    if (fork() == 0) {
        say("another user", setuid(1000));
        say("looks", open(trace, O_RDONLY));
        setting("on");
        _exit(0);
    }
    wait(NULL);
    return 0;
}
