// SPDX-License-Identifier: MIT
#include "guest.h"
#include <stdarg.h>

enum { COM1 = 0x3f8, COM1_LSR = 0x3fd, LSR_READY = 1 };
enum { PM1_CONTROL = 0x604, PM1_SLEEP_S5 = 1 << 13 | 5 << 10 };
enum {
        SERVICE_RDMSR,
        SERVICE_WRMSR,
        SERVICE_CALL,
        SERVICE_WAIT,
        SERVICE_RESUME,
        SERVICE_OFF,
        SERVICE_ON,
        SERVICE_CPUID,
};
enum { EXCEPTIONS = 32 };
enum { BOOT_PARAMS_CMDLINE = 0x228 };

enum { MSR_X2APIC_ICR = 0x830, ICR_INIT = 0x4500, ICR_STARTUP = 0x4600 };
enum { IOAPIC_TABLE = 0x10 };
#define IOAPIC  0xfec00000ul
#define AP_PAGE 0x8000ul

void guest_main(void);
void guest_trapped(struct guest_trap *trap);

const uint8_t *guest_boot_params;               /* start.S */
void (*guest_ap_entries[GUEST_CPUS_MAX])(void); /* start.S */
extern const uint8_t guest_ap_start[], guest_ap_end[];
static guest_handler handlers[256];

void guest_putchar(char c) {
        outb(COM1, (uint8_t)c);
}

static void put_string(const char *s) {
        while (*s)
                guest_putchar(*s++);
}

static void put_number(uint64_t v, unsigned base) {
        char digits[20];
        unsigned n = 0;
        do
                digits[n++] = "0123456789abcdef"[v % base];
        while ((v /= base) > 0);
        while (n > 0)
                guest_putchar(digits[--n]);
}

static void put_signed(int64_t v) {
        if (v < 0)
                guest_putchar('-');
        put_number(v < 0 ? -(uint64_t)v : (uint64_t)v, 10);
}

static void put_formatted(const char *fmt, va_list args) {
        for (; *fmt; fmt++) {
                if (*fmt != '%') {
                        guest_putchar(*fmt);
                        continue;
                }
                bool is_long = fmt[1] == 'l';
                fmt += is_long ? 2 : 1;
                switch (*fmt) {
                case 's':
                        put_string(va_arg(args, const char *));
                        break;
                case 'c':
                        guest_putchar((char)va_arg(args, int));
                        break;
                case 'd':
                        put_signed(is_long ? va_arg(args, long) : va_arg(args, int));
                        break;
                case 'u':
                case 'x':
                        put_number(is_long ? va_arg(args, unsigned long) : va_arg(args, unsigned),
                                *fmt == 'x' ? 16 : 10);
                        break;
                default:
                        guest_putchar(*fmt);
                        break;
                }
        }
}

void guest_printf(const char *fmt, ...) {
        va_list args;
        va_start(args, fmt);
        put_formatted(fmt, args);
        va_end(args);
}

char guest_getchar(void) {
        while (!(inb(COM1_LSR) & LSR_READY))
                __asm__ volatile("pause");
        return (char)inb(COM1);
}

const char *guest_cmdline(void) {
        uint32_t at;
        memcpy(&at, guest_boot_params + BOOT_PARAMS_CMDLINE, sizeof at);
        return (const char *)(uintptr_t)at;
}

void guest_exit(int status) {
        guest_printf("exit %d\n", status);
        outw(PM1_CONTROL, PM1_SLEEP_S5);
        for (;;)
                __asm__ volatile("pause");
}

void guest_fail(const char *file, int line, const char *what) {
        guest_printf("%s:%d: %s\n", file, line, what);
        guest_exit(1);
}

int guest_rdmsr(uint32_t msr, uint64_t *ret) {
        uint64_t low = SERVICE_RDMSR, high, fault;
        __asm__ volatile("ud2" : "+a"(low), "=d"(high), "=b"(fault) : "c"(msr) : "memory");
        if (fault == 0)
                *ret = high << 32 | low;
        return (int)fault;
}

int guest_wrmsr(uint32_t msr, uint64_t value) {
        uint64_t service = SERVICE_WRMSR, fault, high = value >> 32;
        __asm__ volatile("ud2"
                         : "+a"(service), "+d"(high), "=b"(fault)
                         : "c"(msr), "S"(value)
                         : "memory");
        return (int)fault;
}

int guest_hypercall(
        const void *page, uint64_t control, uint64_t input, uint64_t output, uint64_t *ret) {
        register uint64_t r8 __asm__("r8") = output;
        uint64_t rax = SERVICE_CALL, fault = (uintptr_t)page;
        __asm__ volatile("ud2"
                         : "+a"(rax), "+b"(fault), "+c"(control), "+d"(input), "+r"(r8)
                         :
                         : "r9", "r10", "r11", "memory");
        if (fault == 0)
                *ret = rax;
        return (int)fault;
}

void guest_set_handler(uint8_t vector, guest_handler handler) {
        handlers[vector] = handler;
}

static void service(uint64_t number) {
        __asm__ volatile("ud2" : "+a"(number) : : "rbx", "rdx", "memory");
}

void guest_interrupts_off(void) {
        service(SERVICE_OFF);
}

void guest_interrupts_on(void) {
        service(SERVICE_ON);
}

void guest_wait(void) {
        service(SERVICE_WAIT);
}

void guest_wait_change(const volatile uint32_t *value, uint32_t old) {
        guest_interrupts_off();
        while (*value == old)
                guest_wait();
        guest_interrupts_on();
}

void guest_trapped(struct guest_trap *trap) {
        guest_handler handler = handlers[trap->vector & 0xff];
        if (handler) {
                handler(trap);
        } else if (trap->vector < EXCEPTIONS) {
                guest_printf("exception %lu, error code 0x%lx, at 0x%lx\n", trap->vector,
                        trap->error_code, trap->rip);
                guest_exit(2);
        }
}

void guest_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t ret[4]) {
        uint32_t a = SERVICE_CPUID, b, c = subleaf, d;
        __asm__ volatile("ud2" : "+a"(a), "=b"(b), "+c"(c), "=d"(d) : "S"(leaf));
        ret[0] = a;
        ret[1] = b;
        ret[2] = c;
        ret[3] = d;
}

unsigned guest_cpu(void) {
        uint32_t regs[4];
        guest_cpuid(1, 0, regs);
        return regs[1] >> 24;
}

uint64_t guest_rdtsc(void) {
        uint32_t low, high;
        __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
        return (uint64_t)high << 32 | low;
}

void guest_route_line(unsigned line, uint8_t vector, bool level) {
        volatile uint32_t *ioapic = (volatile uint32_t *)IOAPIC;
        ioapic[0] = IOAPIC_TABLE + 2 * line + 1;
        ioapic[4] = 0;
        ioapic[0] = IOAPIC_TABLE + 2 * line;
        ioapic[4] = vector | (level ? 1u << 15 : 0);
}

void guest_start_cpu(unsigned cpu, void (*fn)(void)) {
        guest_ap_entries[cpu] = fn;
        memcpy((void *)AP_PAGE, guest_ap_start, (size_t)(guest_ap_end - guest_ap_start));
        guest_check(guest_wrmsr(MSR_X2APIC_ICR, (uint64_t)cpu << 32 | ICR_INIT) == 0);
        guest_check(guest_wrmsr(MSR_X2APIC_ICR,
                            (uint64_t)cpu << 32 | ICR_STARTUP | AP_PAGE / GUEST_PAGE_SIZE) == 0);
}

void *memcpy(void *to, const void *from, size_t n) {
        void *start = to;
        __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
        return start;
}

void *memmove(void *to, const void *from, size_t n) {
        uint8_t *d = to;
        const uint8_t *s = from;
        if (d <= s || d >= s + n)
                return memcpy(to, from, n);
        while (n-- > 0)
                d[n] = s[n];
        return to;
}

void *memset(void *to, int c, size_t n) {
        void *start = to;
        __asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(c) : "memory");
        return start;
}

int memcmp(const void *a, const void *b, size_t n) {
        const uint8_t *x = a, *y = b;
        for (size_t i = 0; i < n; i++)
                if (x[i] != y[i])
                        return x[i] - y[i];
        return 0;
}

size_t strlen(const char *s) {
        size_t n = 0;
        while (s[n])
                n++;
        return n;
}

void guest_main(void) {
        guest_exit(guest_payload());
}
