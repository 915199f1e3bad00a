// SPDX-License-Identifier: MIT
/* The board as a guest sees it: serial port, power button, timers, resets, processors. The first
 * letter of the command line names the part to run. */
#include "guest.h"

enum { VECTOR_NMI = 2, VECTOR_UART = 0x40, VECTOR_SCI = 0x41, VECTOR_TIMER = 0x42 };
enum { COM1 = 0x3f8, PM1_STATUS = 0x600, PM1_ENABLE = 0x602, POWER_BUTTON = 0x100 };
enum { MSR_TIMER = 0x832, MSR_TIMER_COUNT = 0x838, MSR_TIMER_DIVIDE = 0x83e, PERIODIC = 1 << 17 };
enum { MSR_ICR = 0x830 };

static volatile uint32_t events;

static void on_uart(struct guest_trap *trap) {
        (void)trap;
        while ((inb(COM1 + 2) & 1) == 0) {
                if (!(inb(COM1 + 5) & 1))
                        continue;
                char c = (char)inb(COM1);
                guest_putchar(c);
                events += c == 'q';
        }
}

/* Echoes what comes by interrupts, until a q. */
static void echo(void) {
        guest_set_handler(VECTOR_UART, on_uart);
        guest_route_line(4, VECTOR_UART, false);
        outb(COM1 + 4, 0x0b);
        outb(COM1 + 2, 0x01);
        outb(COM1 + 1, 0x01);
        guest_printf("ready\n");
        guest_wait_change(&events, 0);
        guest_putchar('\n');
}

static void on_sci(struct guest_trap *trap) {
        (void)trap;
        if (!(inw(PM1_STATUS) & POWER_BUTTON))
                return; /* the stub ended the interrupt before the line was low */
        outw(PM1_STATUS, POWER_BUTTON);
        guest_printf("pressed %u\n", ++events);
}

static void button(void) {
        guest_set_handler(VECTOR_SCI, on_sci);
        guest_route_line(9, VECTOR_SCI, true);
        outw(PM1_ENABLE, POWER_BUTTON);
        guest_printf("ready\n");
        guest_wait_change(&events, 0);
        guest_wait_change(&events, 1);
}

static void on_timer(struct guest_trap *trap) {
        (void)trap;
        events++;
}

/* Counts 10 ms ticks and says each, until a byte comes in. */
static void ticks(void) {
        guest_set_handler(VECTOR_TIMER, on_timer);
        guest_check(guest_wrmsr(MSR_TIMER_DIVIDE, 0xb) == 0); /* by 1 */
        guest_check(guest_wrmsr(MSR_TIMER, VECTOR_TIMER | PERIODIC) == 0);
        guest_check(guest_wrmsr(MSR_TIMER_COUNT, 10000000) == 0);
        for (uint32_t seen = 0; !(inb(COM1 + 5) & 1); seen++) {
                guest_wait_change(&events, seen);
                guest_printf("tick %u\n", seen + 1);
        }
}

static void on_nmi(struct guest_trap *trap) {
        (void)trap;
        events++;
}

static void nmi(void) {
        guest_set_handler(VECTOR_NMI, on_nmi);
        guest_printf("ready\n");
        while (events == 0)
                __asm__ volatile("pause");
}

static volatile uint32_t up[GUEST_CPUS_MAX];

static void second(void) {
        up[guest_cpu()] = 1;
        for (;;)
                guest_wait();
}

static void processors(void) {
        uint32_t r[4];
        guest_cpuid(1, 0, r);
        unsigned n = r[1] >> 16 & 0xff;
        guest_set_handler(VECTOR_TIMER, on_timer);
        for (unsigned i = 1; i < n; i++) {
                guest_start_cpu(i, second);
                while (!up[i])
                        __asm__ volatile("pause");
                guest_cpuid(0xb, 1, r);
                guest_check(r[1] == n);
        }
        guest_check(guest_wrmsr(MSR_ICR, 1ull << 32 | VECTOR_TIMER) == 0);
        while (events == 0)
                __asm__ volatile("pause");
        guest_printf("%u processors\n", n);
}

static void spin(void) {
        guest_printf("ready\n");
        for (;;)
                __asm__ volatile("");
}

/* Waits in ring 0 for an interrupt that it does not let in. */
static void halt_for_good(void) {
        static const uint8_t code[] GUEST_PAGE = {0xf4, 0xc3}; /* hlt; ret */
        uint64_t rax;
        guest_printf("ready\n");
        guest_hypercall(code, 0, 0, 0, &rax);
}

static void on_undefined(struct guest_trap *trap) {
        (void)trap; /* to the same instruction once more */
}

static void undefined_for_good(void) {
        guest_set_handler(6, on_undefined);
        guest_printf("ready\n");
        __asm__ volatile(".byte 0x0f, 0xff"); /* UD0 */
}

int guest_payload(void) {
        switch (guest_cmdline()[0]) {
        case 'e':
                echo();
                break;
        case 'b':
                button();
                break;
        case 't':
                ticks();
                break;
        case 'n':
                nmi();
                break;
        case 'p':
                processors();
                break;
        case 's':
                spin();
                break;
        case 'h':
                halt_for_good();
                break;
        case 'u':
                undefined_for_good();
                break;
        case 'v': /* only where KVM has hardware: an interpreting one spins on it in the kernel */
                guest_printf("ready\n");
                for (;;)
                        __asm__ volatile("vmmcall" ::: "rax", "memory");
                break;
        case '9':
                outb(0xcf9, 6);
                return 3;
        case 'k':
                outb(0x64, 0xfe);
                return 3;
        case 'f': /* without a handler's address the next exception is the last */
                memset((void *)0x201000, 0, 104);
                memset((void *)0x200000, 0xf4, 4096);
                __asm__ volatile("ud2");
                return 3;
        default:
                return 4;
        }
        return 0;
}
