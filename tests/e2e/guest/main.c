// A guest without markers that ends as few guests do, or not at all: the kernel command line says how.
// SPDX-License-Identifier: MIT
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    serial = 0x3f8,
    serial_status = serial + 5,
    pm_control = 0x604,
    reset_control = 0xcf9,
    pvpanic = 0x505
};

static void out8(uint16_t port, uint8_t value) {
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static uint8_t in8(uint16_t port) {
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static void put(char character) {
    while ((in8(serial_status) & 0x20) == 0) {
        __asm__ volatile("pause");
    }
    out8(serial, (uint8_t)character);
}

static void say(const char* text) {
    for (; *text != '\0'; ++text) {
        put(*text);
    }
}

static void halt(void) {
    for (;;) {
        __asm__ volatile("cli\nhlt");
    }
}

// ICH9's PM1_CNT where SeaBIOS puts it: SLP_EN with the sleep type of QEMU's S5.
static void power_off(void) {
    __asm__ volatile("outw %0, %1" : : "a"((uint16_t)0x2000), "Nd"((uint16_t)pm_control));
    halt();
}

static void triple_fault(void) {
    static const struct {
        uint16_t length;
        uint64_t base;
    } __attribute__((packed)) none = {0, 0};

    say("guest: no descriptor will be found\r\n");
    __asm__ volatile("lidt %0\nud2" : : "m"(none));
}

static void reset(void) {
    say("paravane: powering off, status 0\r\n");  // a lie: it resets
    out8(reset_control, 0x06);
    halt();
}

static void panic(void) {
    say("guest: panic\r\n");
    out8(pvpanic, 1);
    halt();
}

static void silent(void) {
    halt();
}

static void flood(void) {
    for (uint64_t line = 0;; ++line) {
        say("guest: and once more, for there is always something to say, line ");
        for (int shift = 28; shift >= 0; shift -= 4) {
            put("0123456789abcdef"[line >> shift & 15]);
        }
        say("\r\n");
    }
}

// One line without an end.
static void endless_line(void) {
    for (;;) {
        say("no end ");
    }
}

// What a terminal obeys: colours, its title, its answers, another character set, the alternate screen, a
// clipboard; C1 controls as bytes and as UTF-8; overrides of direction; what is not UTF-8; NUL.
static void escapes(void) {
    say("\x1b[31mred\x1b]0;title\x07\x1b[6n\x1b[c\x1b(0\x1b[?1049h\x1b]52;c;ZXZpbA==\x07\r\n");
    say("\x9b"
        "2J\xc2\x9b"
        "2J\x90q\xe2\x80\xaegnp.exe\xe2\x81\xa6 \xff\xfe\xc0\xaf\xf4\x90\x80\x80\r\n");
    put('\0');
    say("</script><script>alert(1)</script><!-- %s%n ${x} 'or''='\b\b\b\r over\v\f\r\n");
    say("paravane: powering off, status 99999999999999999999\x1b[2K\r\n");
    power_off();
}

static void status_seven(void) {
    say("paravane: powering off, status 7\r\n");
    power_off();
}

// What a status is not: one that more was said after.
static void status_before(void) {
    say("paravane: powering off, status 0\r\n1\r\n2\r\n\r\n3\r\n4\r\n");
    power_off();
}

static void wordless(void) {
    say("guest: good bye\r\n");
    power_off();
}

static const struct {
    const char* name;
    void (*run)(void);
} ways[] = {
    {"triple-fault", triple_fault},
    {"reset", reset},
    {"panic", panic},
    {"silent", silent},
    {"flood", flood},
    {"endless-line", endless_line},
    {"escapes", escapes},
    {"status-seven", status_seven},
    {"wordless", wordless},
    {"status-before", status_before},
};

static bool same(const char* a, const char* b) {
    while (*a != '\0' && *a == *b) {
        ++a, ++b;
    }
    return *a == *b;
}

// The entry is shared with the plugin's guest, which starts a second processor; this one does not.
void ap_main(void);

void ap_main(void) {}

// PVH: struct hvm_start_info holds the command line's physical address at offset 24.
void main(const uint8_t* start_info) {
    const char* name = *(const char* const*)(start_info + 24);
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; ++i) {
        if (same(ways[i].name, name)) {
            ways[i].run();
        }
    }
    say("guest: no such way to end\r\n");
    halt();
}
