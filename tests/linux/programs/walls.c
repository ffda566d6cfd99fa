/* What our kernel refuses where Linux does not: memory that is writable and executable. And where things lie:
 * elsewhere each time. With the word `where` it prints addresses only.
 * SPDX-License-Identifier: MIT */
#include "say.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>

static int in_data = 1;

static void refuse(const char* what, int result) {
    printf("%s: %s\n", what, result == 0 ? "ALLOWED" : strerrorname_np(errno));
    fflush(stdout);
}

/* A copy of this program, the rights of whose last segment are all there are. */
static void segment_of_all_rights(void) {
    static unsigned char bytes[2 << 20];
    const int from = open("/tests/walls", O_RDONLY);
    const long size = read(from, bytes, sizeof bytes);
    const int to = open("/bad", O_WRONLY | O_CREAT, 0700);
    uint64_t headers;
    uint16_t count;
    memcpy(&headers, bytes + 32, sizeof headers);
    memcpy(&count, bytes + 56, sizeof count);
    for (int i = 0; i < count; ++i) {
        unsigned char* header = bytes + headers + 56UL * (unsigned)i;
        uint32_t type;
        uint32_t flags;
        memcpy(&type, header, sizeof type);
        memcpy(&flags, header + 4, sizeof flags);
        if (type == 1 && (flags & 2) != 0) {
            flags |= 1;
            memcpy(header + 4, &flags, sizeof flags);
        }
    }
    if (write(to, bytes, (size_t)size) != size) {
        return;
    }
    close(to);
    fflush(stdout);
    if (fork() == 0) {
        execl("/bad", "bad", (char*)NULL);
        refuse("a segment", -1);
        _exit(0);
    }
    wait(NULL);
}

int main(int count, char** words) {
    if (count > 1 && strcmp(words[1], "where") == 0) {
        int on_stack = 0;
        void* mapped = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        printf("stack %p mapping %p heap %p data %p\n", (void*)&on_stack, mapped, sbrk(0), (void*)&in_data);
        return 0;
    }
    if (count == 1 && strcmp(words[0], "bad") == 0) {
        refuse("a segment", 0);
        return 0;
    }
    char* page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned char* code =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    refuse("mmap", code == MAP_FAILED ? -1 : 0);
    if (code != MAP_FAILED) {
        /* mov $42, %eax; ret - and while it can be run, another number. */
        memcpy(code, "\xb8\x29\0\0\0\xc3", 6);
        int (*run)(void) = (int (*)(void))(uintptr_t)code;
        int first = run();
        code[1] = 42;
        printf("made and run: %d\n", first == 41 ? run() : first);
    }
    refuse("mprotect", mprotect(page, 4096, PROT_READ | PROT_WRITE | PROT_EXEC));
    refuse("mprotect of data",
           mprotect((void*)((uintptr_t)&in_data & ~4095UL), 4096, PROT_WRITE | PROT_EXEC));
    segment_of_all_rights();
    for (int i = 0; i < 8; ++i) {
        fflush(stdout);
        if (fork() == 0) {
            execl("/tests/walls", "walls", "where", (char*)NULL);
            _exit(1);
        }
        wait(NULL);
    }
    return 0;
}
