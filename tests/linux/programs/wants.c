/* Two who want the processor all the time, until the load average says so.
 *
 * SPDX-License-Identifier: MIT */
#include "say.h"

#include <signal.h>
#include <sys/sysinfo.h>
#include <time.h>

enum { SECONDS = 20 };

static double first_average(void) {
    double average = -1;
    FILE* in = fopen("/proc/loadavg", "r");
    if (in == NULL || fscanf(in, "%lf", &average) != 1) {
        say("/proc/loadavg", -1);
    }
    if (in != NULL) {
        fclose(in);
    }
    return average;
}

int main(void) {
    const double before = first_average();
    const time_t end = time(NULL) + SECONDS;
    const pid_t other = fork();
    while (other == 0) {
    }
    double now = before;
    while (now <= before && time(NULL) < end) {
        now = first_average();
    }
    /* One sample: each of the two counts for 1 - exp(-5/60), and whoever else ran just then. */
    printf("risen by two: %s\n", now - before > 0.14 && now - before < 0.34 ? "yes" : "no");
    struct sysinfo info;
    say("sysinfo", sysinfo(&info));
    const double told = (double)info.loads[0] / (1 << SI_LOAD_SHIFT);
    printf("it tells the same: %s\n", told > now - 0.02 && told < now + 0.02 ? "yes" : "no");
    kill(other, SIGKILL);
    waitpid(other, NULL, 0);
    return 0;
}
