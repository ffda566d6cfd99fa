/* Pseudo-terminals: the pair, its names and locks, what hanging up does, the controlling terminal.
 * SPDX-License-Identifier: MIT */
#include "say.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <termios.h>

static void say_text(const char* what, int fd) {
    char text[64];
    const long count = read(fd, text, sizeof text);
    say(what, count);
    for (long i = 0; i < count; ++i) {
        printf(text[i] < ' ' ? "\\%o" : "%c", text[i]);
    }
    printf(count > 0 ? "\n" : "");
    fflush(stdout);
}

static short events_of(int fd) {
    struct pollfd entry = {.fd = fd, .events = POLLIN | POLLOUT};
    poll(&entry, 1, 0);
    return entry.revents;
}

static int new_pair(int* slave) {
    const int master = open("/dev/ptmx", O_RDWR | O_NOCTTY);
    const int unlocked = 0;
    ioctl(master, TIOCSPTLCK, &unlocked);
    *slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    return master;
}

static void names_and_locks(void) {
    const int master = posix_openpt(O_RDWR | O_NOCTTY);
    say_done("posix_openpt", master);
    unsigned number = 99999;
    say("TIOCGPTN", ioctl(master, TIOCGPTN, &number));
    char name[64];
    snprintf(name, sizeof name, "/dev/pts/%u", number);
    say("ptsname", strcmp(name, ptsname(master)));
    say("open while locked", open(name, O_RDWR | O_NOCTTY));
    say("grantpt", grantpt(master));
    say("unlockpt", unlockpt(master));
    const int slave = open(name, O_RDWR | O_NOCTTY);
    say_done("open", slave);
    say("isatty", isatty(slave) + isatty(master));
    struct stat s;
    say("fstat", fstat(slave, &s));
    say("type", S_ISCHR(s.st_mode));
    say("major", major(s.st_rdev));
    say("minor", minor(s.st_rdev) == number);
    say("stat", stat(name, &s));
    say("owner", s.st_uid == getuid());
    say("chmod", fchmod(slave, 0600) + fstat(slave, &s));
    say("mode", s.st_mode & 0777);
    say("TIOCGPTN of the other side", ioctl(slave, TIOCGPTN, &number));
    say("lseek", lseek(master, 0, SEEK_SET));
    close(slave);
    close(master);
    say("stat afterwards", stat(name, &s));
}

static void through_it(void) {
    int slave;
    const int master = new_pair(&slave);
    say("events of the master", events_of(master));
    say("events of the slave", events_of(slave));
    say("type", write(master, "hello\n", 6));
    say("events of the slave", events_of(slave));
    int count = 0;
    say("FIONREAD", ioctl(slave, FIONREAD, &count));
    say("bytes", count);
    say_text("slave", slave);
    say_text("echo", master);
    say("print", write(slave, "out\n", 4));
    say_text("master", master);
    say("rub out", write(master, "ab\177c\n", 5));
    say_text("slave", slave);
    struct termios settings;
    say("tcgetattr", tcgetattr(slave, &settings));
    say("ECHO", (settings.c_lflag & ECHO) != 0);
    cfmakeraw(&settings);
    say("tcsetattr", tcsetattr(slave, TCSANOW, &settings));
    fcntl(master, F_SETFL, O_NONBLOCK);
    char drain[64];
    while (read(master, drain, sizeof drain) > 0) {
    }
    say("type raw", write(master, "x\003", 2));
    say_text("slave", slave);
    say_text("no echo", master);
    fcntl(slave, F_SETFL, O_NONBLOCK);
    say_text("nothing there", slave);
    struct winsize size = {.ws_row = 33, .ws_col = 77};
    say("TIOCSWINSZ", ioctl(master, TIOCSWINSZ, &size));
    memset(&size, 0, sizeof size);
    say("TIOCGWINSZ", ioctl(slave, TIOCGWINSZ, &size));
    say("rows", size.ws_row);
    say("columns", size.ws_col);
    const int peer = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY);
    say_done("TIOCGPTPEER", peer);
    say("peer prints", write(peer, "peer", 4));
    say_text("master", master);
    close(peer);
    say("print the last", write(slave, "last", 4));
    close(slave);
    say("events of the master", events_of(master));
    say_text("master", master);
    say_text("closed", master);
    slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    say_done("open again", slave);
    say_text("open again", master);
    close(master);
    say_text("master gone", slave);
    say("write", write(slave, "x", 1));
    say("tcgetattr", tcgetattr(slave, &settings));
    say("events", events_of(slave));
    close(slave);
}

static volatile sig_atomic_t came[65];

static void note(int signal) {
    came[signal] = 1;
}

static void wait_for(int signal) {
    while (!came[signal]) {
        usleep(1000);
    }
    printf("signal %d\n", signal);
    fflush(stdout);
}

static void as_controlling(int master, int ready) {
    signal(SIGWINCH, note);
    signal(SIGINT, note);
    signal(SIGHUP, note);
    say_done("setsid", setsid());
    say("no terminal", open("/dev/tty", O_RDWR));
    const int slave = open(ptsname(master), O_RDWR);
    close(master);
    const int own = open("/dev/tty", O_RDWR);
    say_done("/dev/tty", own);
    say("foreground", tcgetpgrp(own) == getpid());
    say("session", tcgetsid(own) == getpid());
    say("TIOCSCTTY", ioctl(slave, TIOCSCTTY, 0));
    (void)!write(ready, "1", 1);
    wait_for(SIGINT);
    (void)!write(ready, "2", 1);
    wait_for(SIGWINCH);
    (void)!write(ready, "3", 1);
    wait_for(SIGHUP);
    say("no terminal any more", open("/dev/tty", O_RDWR));
    say_text("end of file", own);
}

static void controlling(void) {
    int slave, ready[2];
    char c;
    (void)!pipe(ready);
    const int master = new_pair(&slave);
    close(slave);
    const pid_t child = fork();
    if (child == 0) {
        as_controlling(master, ready[1]);
        exit(7);
    }
    (void)!read(ready[0], &c, 1);
    int group = 0;
    say("TIOCGPGRP of the master", ioctl(master, TIOCGPGRP, &group));
    say("is the child", group == child);
    (void)!write(master, "\003", 1);
    (void)!read(ready[0], &c, 1);
    struct winsize size = {.ws_row = 11, .ws_col = 22};
    ioctl(master, TIOCSWINSZ, &size);
    (void)!read(ready[0], &c, 1);
    close(master);
    int status = 0;
    waitpid(child, &status, 0);
    say("child", status);
}

/* The leader of a session ends: the foreground group is told. */
static void leader_ends(void) {
    int slave, ready[2];
    char c;
    (void)!pipe(ready);
    const int master = new_pair(&slave);
    close(slave);
    if (fork() == 0) {
        setsid();
        const int own = open(ptsname(master), O_RDWR);
        const pid_t child = fork();
        if (child == 0) {
            signal(SIGHUP, note);
            setpgid(0, 0);
            signal(SIGTTOU, SIG_IGN);
            tcsetpgrp(own, getpid());
            (void)!write(ready[1], "1", 1);
            wait_for(SIGHUP);
            (void)!write(ready[1], "2", 1);
            _exit(0);
        }
        (void)!read(ready[0], &c, 1);
        _exit(0);
    }
    wait(NULL);
    (void)!read(ready[0], &c, 1);
    say("the foreground was told", c);
    close(master);
}

/* More than the pair holds, both ways at once. */
static void much(void) {
    int slave;
    const int master = new_pair(&slave);
    struct termios settings;
    tcgetattr(slave, &settings);
    cfmakeraw(&settings);
    tcsetattr(slave, TCSANOW, &settings);
    if (fork() == 0) {
        char piece[1000];
        long total = 0;
        while (total < 300000) {
            const long count = read(slave, piece, sizeof piece);
            if (count <= 0 || write(slave, piece, (size_t)count) != count) {
                _exit(1);
            }
            total += count;
        }
        _exit(0);
    }
    if (fork() == 0) {
        char piece[1000];
        memset(piece, 'm', sizeof piece);
        for (int i = 0; i < 300; ++i) {
            if (write(master, piece, sizeof piece) != sizeof piece) {
                _exit(2);
            }
        }
        _exit(0);
    }
    long total = 0;
    char piece[777];
    while (total < 300000) {
        const long count = read(master, piece, sizeof piece);
        if (count <= 0) {
            break;
        }
        total += count;
    }
    say("bytes there and back", total);
    int status = 0;
    while (wait(&status) > 0) {
        say("child", status);
    }
}

/* A read of at most `room` bytes from a master in packet mode: what changed, and what was printed. */
static void say_packet(const char* what, int master, size_t room) {
    char text[64] = "";
    const long count = read(master, text, room);
    if (count <= 0) {
        say(what, count);
        return;
    }
    printf("%s: %d and %ld:", what, text[0], count - 1);
    for (long i = 1; i < count; ++i) {
        printf(" %d", text[i]);
    }
    printf("\n");
}

/* TIOCPKT: a master is told of flushes, stops and flow keys. */
static void packets(void) {
    int slave;
    const int master = new_pair(&slave);
    int on = 1, off = 0, told = 7;
    fcntl(master, F_SETFL, O_NONBLOCK);
    say("TIOCGPKT", ioctl(master, TIOCGPKT, &told));
    say("off", told);
    say("TIOCPKT of the other side", ioctl(slave, TIOCPKT, &on));
    say("TIOCPKT from nowhere", ioctl(master, TIOCPKT, 8));
    tcflush(slave, TCIFLUSH); /* nobody is to hear of this */
    say("TIOCPKT", ioctl(master, TIOCPKT, &on));
    say("TIOCGPKT", ioctl(master, TIOCGPKT, &told));
    say("on", told);
    say_packet("nothing", master, 64);
    say("print", write(slave, "abc", 3));
    say("events", events_of(master));
    say_packet("room for one", master, 1);
    say_packet("room for three", master, 3);
    say_packet("the rest", master, 64);
    say("flush input", tcflush(slave, TCIFLUSH));
    say("events", events_of(master));
    struct pollfd urgent = {.fd = master, .events = POLLPRI};
    say("urgent", poll(&urgent, 1, 0) == 1 && urgent.revents == POLLPRI);
    say("print", write(slave, "d", 1));
    say_packet("changes come first", master, 64);
    say_packet("and text", master, 64);
    say("not urgent", poll(&urgent, 1, 0));
    say("flush output", tcflush(slave, TCOFLUSH));
    say_packet("output", master, 64);
    say("flush both", tcflush(slave, TCIOFLUSH));
    say_packet("both", master, 64);
    say("stop", tcflow(slave, TCOOFF));
    say_packet("stopped", master, 64);
    say("stop again", tcflow(slave, TCOOFF));
    say_packet("nothing", master, 64);
    say("go on", tcflow(slave, TCOON));
    say_packet("goes on", master, 64);
    tcflow(slave, TCOOFF);
    tcflow(slave, TCOON);
    say_packet("stopped and going on", master, 64);
    struct termios settings;
    tcgetattr(slave, &settings);
    say("is IXON on", (settings.c_iflag & IXON) != 0);
    settings.c_iflag &= ~(tcflag_t)IXON;
    say("IXON off", tcsetattr(slave, TCSANOW, &settings));
    say_packet("flow keys", master, 64);
    settings.c_cc[VSTOP] = 1;
    settings.c_iflag |= IXON;
    say("another key", tcsetattr(slave, TCSANOW, &settings));
    say_packet("nothing", master, 64);
    settings.c_cc[VSTOP] = 19;
    say("the usual one", tcsetattr(master, TCSAFLUSH, &settings));
    say_packet("flow keys and a flush", master, 64);
    settings.c_lflag &= ~(tcflag_t)ECHO;
    tcsetattr(slave, TCSANOW, &settings);
    say("type ^C", write(master, "\003", 1));
    usleep(50000); /* Linux types in its own time */
    say_packet("flushed", master, 64);
    say("type ^S", write(master, "\023", 1));
    usleep(50000);
    say_packet("stopped", master, 64);
    say("type ^Q", write(master, "\021", 1));
    usleep(50000);
    say_packet("goes on", master, 64);
    /* Of what is its own a master hears nothing. */
    say("print", write(slave, "lost", 4));
    usleep(50000);
    say("flush the master's", tcflush(master, TCIFLUSH));
    say_packet("nothing", master, 64);
    say("and what is typed", tcflush(master, TCOFLUSH));
    say_packet("nothing", master, 64);
    say("no such queue", ioctl(master, TCFLSH, 9));
    /* A master that waits. */
    fcntl(master, F_SETFL, 0);
    if (fork() == 0) {
        usleep(20000);
        tcflush(slave, TCIFLUSH);
        _exit(0);
    }
    say_packet("waited for", master, 64);
    wait(NULL);
    tcflush(slave, TCIFLUSH);
    say("TIOCPKT off", ioctl(master, TIOCPKT, &off));
    fcntl(master, F_SETFL, O_NONBLOCK);
    say("events", events_of(master));
    say_packet("nothing", master, 64);
    say("TIOCPKT on again", ioctl(master, TIOCPKT, &on));
    say_packet("forgotten", master, 64);
    close(slave);
    say_packet("end", master, 64);
    close(master);
}

int main(void) {
    names_and_locks();
    through_it();
    controlling();
    leader_ends();
    much();
    packets();
    return 0;
}
