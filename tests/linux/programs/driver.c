/* Runs each program named and tells how it ended; the first program of a guest.
 * SPDX-License-Identifier: MIT */
#include "say.h"

#include <sys/wait.h>

int main(int argc, char** argv) {
    int failed = 0;
    for (int i = 1; i < argc; ++i) {
        const char* slash = strrchr(argv[i], '/');
        printf("== %s\n", slash == NULL ? argv[i] : slash + 1);
        fflush(stdout);
        pid_t id = fork();
        if (id == 0) {
            execl(argv[i], argv[i], (char*)NULL);
            perror("execl");
            _exit(126);
        }
        int status = 0;
        if (id < 0 || waitpid(id, &status, 0) != id) {
            perror("fork or waitpid");
            return 125;
        }
        printf("== status %x\n", status);
        failed += status != 0;
    }
    printf("== end\n");
    return 0;
}
