// SPDX-License-Identifier: MIT
/* Measures round trips by its own clock and prints each as "t TICKS". Command line: a letter for
 * the way out ('s': the hypercall page's SignalEvent, 'p': a port), one for what it does meanwhile
 * ('p': polls, 'h': halts), and the number of trips. */
#include "guest.h"
#include "bench/doorbell.h"
#include "wire/hv.h"

enum { MSR_X2APIC_EOI = 0x80b, VECTOR_SIZE = 16 };
#define VECTORS ((uint8_t *)0x200000) /* guest.ld: where interrupts go in */

static uint8_t page[GUEST_PAGE_SIZE] GUEST_PAGE, flags[GUEST_PAGE_SIZE] GUEST_PAGE;
static uint64_t times[DOORBELL_TRIPS_MAX + DOORBELL_WARM_UP];
volatile uint32_t taken;

/* The handler, in place of the stub's: ring 0 is interpreted on a KVM without hardware
 * virtualization, so it does no more than say that it ran. */
extern const uint8_t handler[], handler_end[];
__asm__(".section .rodata\n"
        "handler: addl $1, taken\n"
        "iretq\n"
        "handler_end:\n"
        ".text\n");

static void write_msr(uint32_t msr, uint64_t value) {
        guest_check(guest_wrmsr(msr, value) == 0);
}

static void enable(void) {
        write_msr(HV_MSR_GUEST_OS_ID, 0x8100ull << 48);
        write_msr(HV_MSR_HYPERCALL, (uintptr_t)page | HV_PAGE_ENABLE);
        write_msr(HV_MSR_SIEFP, (uintptr_t)flags | HV_PAGE_ENABLE);
        write_msr(HV_MSR_SINT0 + DOORBELL_SINT, DOORBELL_VECTOR);
        write_msr(HV_MSR_SCONTROL, HV_SCONTROL_ENABLE);
}

/* The call itself until the kernel has taken the doorbell over. Then what the page's code comes to:
 * the page runs in ring 0, which a KVM without hardware virtualization interprets, and this runs at
 * native speed on every KVM. */
static void ring(bool warm) {
        uint64_t r = 0;
        if (warm)
                outl(DOORBELL_SIGNAL_PORT, DOORBELL_CONNECTION);
        else
                guest_check(guest_hypercall(page, HV_CALL_SIGNAL_EVENT | HV_INPUT_FAST,
                                    DOORBELL_CONNECTION, 0, &r) == 0 &&
                            r == 0);
}

static uint32_t number(const char *s) {
        uint32_t n = 0;
        while (*s >= '0' && *s <= '9')
                n = n * 10 + (uint32_t)(*s++ - '0');
        return n;
}

int guest_payload(void) {
        const char *cmdline = guest_cmdline();
        bool signal = cmdline[0] == 's', halt = cmdline[1] == 'h';
        uint32_t trips = DOORBELL_WARM_UP + number(cmdline + 2);
        guest_check(trips <= DOORBELL_TRIPS_MAX);
        guest_check(handler_end - handler <= VECTOR_SIZE);
        memcpy(VECTORS + DOORBELL_VECTOR * VECTOR_SIZE, handler, (size_t)(handler_end - handler));
        if (signal)
                enable();
        for (uint32_t i = 0; i < trips; i++) {
                uint32_t seen = taken;
                uint64_t start = guest_rdtsc();
                if (signal)
                        ring(i >= DOORBELL_WARM_UP);
                else
                        outl(DOORBELL_PORT, DOORBELL_CONNECTION);
                if (halt)
                        guest_wait_change(&taken, seen);
                while (taken == seen)
                        __asm__ volatile("pause");
                times[i] = guest_rdtsc() - start;
                memset(flags + DOORBELL_SINT * (HV_EVENT_FLAGS / 8), 0, HV_EVENT_FLAGS / 8);
                write_msr(MSR_X2APIC_EOI, 0);
        }
        for (uint32_t i = DOORBELL_WARM_UP; i < trips; i++)
                guest_printf("t %lu\n", times[i]);
        return 0;
}
