// SPDX-License-Identifier: MIT
/* What a synthetic guest's payload is written with. It runs in ring 3, identity-mapped, with
 * every port open and interrupts on; port access and all computing are native. What needs
 * ring 0 goes through the stub in start.S. A payload is one file with guest_payload(); it ends by
 * returning its status, which appears on the console as "exit N" before the machine powers off. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GUEST_CPUS_MAX = 4, GUEST_PAGE_SIZE = 4096 };
#define GUEST_PAGE __attribute__((aligned(GUEST_PAGE_SIZE)))

/* The payload: its value is the exit status. */
int guest_payload(void);

/* Ends the machine at once. */
_Noreturn void guest_exit(int status);
/* Ends it with status 1 and a line that says where. */
#define guest_check(condition)                                                                     \
        do {                                                                                       \
                if (!(condition))                                                                  \
                        guest_fail(__FILE__, __LINE__, #condition);                                \
        } while (0)
_Noreturn void guest_fail(const char *file, int line, const char *what);

/* COM1. printf knows %s %c %d %u %x %lu %lx and %%. */
void guest_putchar(char c);
void guest_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The next byte that came in on COM1; waits by polling. */
char guest_getchar(void);
/* The kernel command line. */
const char *guest_cmdline(void);

/* 0, or the vector of the exception (13). */
int guest_rdmsr(uint32_t msr, uint64_t *ret);
int guest_wrmsr(uint32_t msr, uint64_t value);
/* Calls the hypercall page in ring 0 with RCX, RDX and R8; *ret is RAX. 0 or an exception. */
int guest_hypercall(
        const void *page, uint64_t control, uint64_t input, uint64_t output, uint64_t *ret);

/* Traps: interrupts (the local APIC was told already) and exceptions of ring 3. */
struct guest_trap {
        uint64_t vector, error_code, flags, rip; /* rip may be changed to skip what faulted */
};
typedef void (*guest_handler)(struct guest_trap *trap);
/* An exception without a handler ends the machine with status 2. */
void guest_set_handler(uint8_t vector, guest_handler handler);
void guest_interrupts_off(void);
void guest_interrupts_on(void);
/* Halts until an interrupt was handled. Called with interrupts off, returns with them off: test the
 * condition between the two. */
void guest_wait(void);
/* Halts until *value is no longer `old`. */
void guest_wait_change(const volatile uint32_t *value, uint32_t old);

/* Starts processor `cpu` (1..GUEST_CPUS_MAX-1, its APIC id) in ring 3 at fn. */
void guest_start_cpu(unsigned cpu, void (*fn)(void));
unsigned guest_cpu(void); /* by CPUID leaf 1 */

/* In ring 0, where a KVM without hardware virtualization sees it. */
void guest_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t ret[4]);
uint64_t guest_rdtsc(void);

/* Routes a line of the I/O APIC to a vector of processor 0, and unmasks it. */
void guest_route_line(unsigned line, uint8_t vector, bool level);

static inline void outb(uint16_t port, uint8_t v) {
        __asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port));
}
static inline void outw(uint16_t port, uint16_t v) {
        __asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port));
}
static inline void outl(uint16_t port, uint32_t v) {
        __asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port));
}
static inline uint8_t inb(uint16_t port) {
        uint8_t v;
        __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
        return v;
}
static inline uint16_t inw(uint16_t port) {
        uint16_t v;
        __asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port));
        return v;
}
static inline uint32_t inl(uint16_t port) {
        uint32_t v;
        __asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
        return v;
}

void *memcpy(void *to, const void *from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
