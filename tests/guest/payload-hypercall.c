// SPDX-License-Identifier: MIT
/* The ways from a guest into the Hyper-V personality: CPUID, MSRs, the hypercall page, the
 * doorbell; and what must not get through. The command line names the part to run. */
#include "guest.h"

enum { MSR_OS_ID = 0x40000000, MSR_HYPERCALL = 0x40000001, MSR_VP_INDEX = 0x40000002 };
enum { MSR_TIME = 0x40000020, MSR_RESET = 0x40000003 };
enum { CALL_POST = 0x5c, CALL_SIGNAL = 0x5d, CALL_GET_REGISTERS = 0x50, FAST = 1 << 16 };
enum { VECTOR_UD = 6, VECTOR_GP = 13 };

static uint8_t page[GUEST_PAGE_SIZE] GUEST_PAGE;
static uint8_t input[GUEST_PAGE_SIZE] GUEST_PAGE;
static uint8_t output[GUEST_PAGE_SIZE] GUEST_PAGE;

static uint64_t call(uint64_t control, uint64_t in, uint64_t out) {
        uint64_t rax = ~0ull;
        guest_check(guest_hypercall(page, control, in, out, &rax) == 0);
        return rax;
}

static void enable(void) {
        uint64_t v;
        guest_check(guest_wrmsr(MSR_OS_ID, 0x8100ull << 48) == 0);
        guest_check(guest_wrmsr(MSR_HYPERCALL, (uintptr_t)page | 1) == 0);
        guest_check(guest_rdmsr(MSR_HYPERCALL, &v) == 0 && v == ((uintptr_t)page | 1));
}

static void identity(void) {
        uint32_t r[4];
        uint64_t v, w;
        guest_cpuid(1, 0, r);
        guest_check(r[2] & 1u << 31);
        guest_cpuid(0x40000000, 0, r);
        guest_check(r[1] == 0x7263694d && r[2] == 0x666f736f && r[3] == 0x76482074);
        guest_cpuid(0x40000100, 0, r);
        guest_check(r[1] != 0x4b4d564b); /* "KVMK" */
        guest_check(guest_rdmsr(MSR_VP_INDEX, &v) == 0 && v == 0);
        guest_check(guest_wrmsr(MSR_VP_INDEX, 0) == VECTOR_GP);
        guest_check(guest_rdmsr(MSR_TIME, &v) == 0 && guest_rdmsr(MSR_TIME, &w) == 0 && w >= v);
        guest_check(guest_rdmsr(0x40000fff, &v) == VECTOR_GP);
        /* KVM's own clock MSRs, old and new, and its asynchronous page faults. */
        guest_check(guest_wrmsr(0x4b564d00, (uintptr_t)input | 1) == VECTOR_GP);
        guest_check(guest_wrmsr(0x4b564d01, (uintptr_t)input | 1) == VECTOR_GP);
        guest_check(guest_wrmsr(0x4b564d02, (uintptr_t)input | 1) == VECTOR_GP);
        guest_check(guest_wrmsr(0x12, (uintptr_t)input | 1) == VECTOR_GP);
}

static volatile uint32_t faults;

static void skip_out(struct guest_trap *trap) {
        faults++;
        trap->rip += 2;
}

static void from_ring_3(void) {
        guest_set_handler(VECTOR_UD, skip_out);
        enable();
        for (unsigned i = 0; i < 3; i++)
                __asm__ volatile("outl %%eax, $0xe4" : : "a"(0), "c"(CALL_SIGNAL | FAST), "d"(7));
        guest_check(faults == 3);
}

static void post(void) {
        const uint32_t message[] = {4, 0, 1, 8, 0x11223344, 0x55667788};
        enable();
        memcpy(input, message, sizeof message);
        guest_check((uint16_t)call(CALL_POST, (uintptr_t)input, 0) == 0);
        input[0] = 5; /* another connection: the host does not know it */
        guest_check((uint16_t)call(CALL_POST, (uintptr_t)input, 0) == 0x12);
        guest_check((uint16_t)call(CALL_POST, 0xf000000000000000, 0) != 0); /* no RAM */
}

static void signal_events(void) {
        enable();
        /* More rings than it takes for the kernel to watch an id. */
        for (int round = 0; round < 10; round++)
                for (uint32_t id = 1; id <= 902; id++)
                        guest_check((uint16_t)call(CALL_SIGNAL | FAST, id, 0) == 0);
        guest_check((uint16_t)call(CALL_SIGNAL | FAST, 5000, 0) == 0x12);
        const uint32_t slow[] = {3, 0};
        memcpy(input, slow, sizeof slow);
        guest_check((uint16_t)call(CALL_SIGNAL, (uintptr_t)input, 0) == 0);
}

/* A rep call reads RIP, which must lie in the page, and a register that the compiler set. */
static void registers(void) {
        struct {
                uint64_t partition;
                uint32_t vp;
                uint8_t vtl, reserved[3];
                uint32_t names[2];
        } in = {~0ull, 0xfffffffe, 0, {0}, {0x00020010, 0x00020008}};
        uint64_t out[4];
        enable();
        memcpy(input, &in, sizeof in);
        uint64_t r = call(CALL_GET_REGISTERS | 2ull << 32, (uintptr_t)input, (uintptr_t)output);
        memcpy(out, output, sizeof out);
        guest_check(r == 2ull << 32);
        guest_check(out[0] > (uintptr_t)page && out[0] < (uintptr_t)page + sizeof page);
        guest_check(out[2] == (uintptr_t)output);
}

int guest_payload(void) {
        const char *part = guest_cmdline();
        switch (part[0]) {
        case 'i':
                identity();
                break;
        case '3':
                from_ring_3();
                break;
        case 'p':
                post();
                break;
        case 's':
                signal_events();
                break;
        case 'r':
                registers();
                break;
        case 'm':
                guest_wrmsr(MSR_RESET, 1);
                return 3;
        default:
                return 4;
        }
        return 0;
}
