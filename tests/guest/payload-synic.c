// SPDX-License-Identifier: MIT
/* A guest that uses the Hyper-V personality as an operating system does: SynIC with messages, EOM
 * and event flags, the reference TSC page, rep calls, registers, the crash MSRs. The first letter
 * of the command line names the part to run. */
#include "guest.h"
#include "wire/hv.h"

enum { VECTOR_GP = 13, VECTOR_SINT = 0x53, SINT = 2, MESSAGES = 100 };
enum { LAST_FLAG = HV_EVENT_FLAGS - 1, DISCARDS = 500, TIME_UNITS_PER_SLICE = 500 };

static uint8_t page[GUEST_PAGE_SIZE] GUEST_PAGE;
static uint8_t input[GUEST_PAGE_SIZE] GUEST_PAGE;
static uint8_t output[GUEST_PAGE_SIZE] GUEST_PAGE;
static uint8_t messages[2][GUEST_PAGE_SIZE] GUEST_PAGE;
static uint8_t flags[2][GUEST_PAGE_SIZE] GUEST_PAGE;
static uint8_t ram[DISCARDS][GUEST_PAGE_SIZE] GUEST_PAGE;

static uint64_t read_msr(uint32_t msr) {
        uint64_t v = 0;
        guest_check(guest_rdmsr(msr, &v) == 0);
        return v;
}

static void write_msr(uint32_t msr, uint64_t value) {
        guest_check(guest_wrmsr(msr, value) == 0);
}

static uint64_t call(uint64_t control, uint64_t in, uint64_t out) {
        uint64_t rax = ~0ull;
        guest_check(guest_hypercall(page, control, in, out, &rax) == 0);
        return rax;
}

static uint64_t reps(uint16_t code, uint32_t n) {
        return code | (uint64_t)n << HV_INPUT_REP_SHIFT;
}

static void enable_calls(void) {
        write_msr(HV_MSR_GUEST_OS_ID, 0x8100ull << 48);
        write_msr(HV_MSR_HYPERCALL, (uintptr_t)page | HV_PAGE_ENABLE);
}

static void enable_synic(unsigned cpu) {
        write_msr(HV_MSR_SIMP, (uintptr_t)messages[cpu] | HV_PAGE_ENABLE);
        write_msr(HV_MSR_SIEFP, (uintptr_t)flags[cpu] | HV_PAGE_ENABLE);
        write_msr(HV_MSR_SINT0 + SINT, VECTOR_SINT);
        write_msr(HV_MSR_SCONTROL, HV_SCONTROL_ENABLE);
}

/* Every register of the range: which can be read (1) and written (2). */
static unsigned access_of(uint32_t msr) {
        if (msr == HV_MSR_GUEST_OS_ID || msr == HV_MSR_HYPERCALL || msr == HV_MSR_RESET ||
                msr == HV_MSR_REFERENCE_TSC || msr == HV_MSR_VP_ASSIST ||
                (msr >= HV_MSR_SINT0 && msr <= HV_MSR_SINT15) ||
                (msr >= HV_MSR_CRASH_P0 && msr <= HV_MSR_CRASH_CTL))
                return 3;
        if (msr >= HV_MSR_SCONTROL && msr <= HV_MSR_EOM)
                return msr == HV_MSR_SVERSION ? 1 : 3;
        return msr == HV_MSR_VP_INDEX || msr == HV_MSR_VP_RUNTIME || msr == HV_MSR_TIME_REF_COUNT ||
               msr == HV_MSR_TSC_FREQUENCY || msr == HV_MSR_APIC_FREQUENCY;
}

static void every_msr(void) {
        for (uint32_t msr = HV_MSR_FIRST; msr <= HV_MSR_LAST; msr++) {
                unsigned want = access_of(msr);
                uint64_t v;
                int r = guest_rdmsr(msr, &v);
                int w = guest_wrmsr(msr, HV_SINT_MASKED);
                if (r != (want & 1 ? 0 : VECTOR_GP) || w != (want & 2 ? 0 : VECTOR_GP)) {
                        guest_printf("msr %x: %d %d\n", msr, r, w);
                        guest_exit(1);
                }
        }
        guest_check(guest_wrmsr(HV_MSR_SINT0, 15) == VECTOR_GP);
        guest_check(read_msr(HV_MSR_SVERSION) == 1);
        guest_check(read_msr(HV_MSR_TSC_FREQUENCY) > 100000000);
}

static volatile uint32_t taken;

/* Linux's way: the message, then the slot, then EOM if something waits. */
static void on_message(struct guest_trap *trap) {
        volatile uint32_t *slot = (volatile uint32_t *)(messages[0] + SINT * 256);
        (void)trap;
        while (slot[0] != 0) {
                guest_check(slot[0] == 1 && (slot[1] & 0xff) == 4 && slot[4] == taken);
                taken++;
                __atomic_exchange_n(slot, 0, __ATOMIC_SEQ_CST);
                if (slot[1] >> 8 & HV_MESSAGE_FLAG_PENDING)
                        write_msr(HV_MSR_EOM, 0);
        }
}

static void get_messages(void) {
        guest_set_handler(VECTOR_SINT, on_message);
        enable_synic(0);
        guest_printf("ready\n");
        for (uint32_t seen = 0; seen < MESSAGES; seen = taken)
                guest_wait_change(&taken, seen);
        guest_check(taken == MESSAGES);
}

static volatile uint32_t last_flag_seen, flags_seen;

static void on_flag(struct guest_trap *trap) {
        uint32_t *words = (uint32_t *)(void *)(flags[0] + SINT * HV_EVENT_FLAGS / 8);
        (void)trap;
        for (unsigned i = 0; i < HV_EVENT_FLAGS / 32; i++) {
                uint32_t w = __atomic_exchange_n(&words[i], 0, __ATOMIC_SEQ_CST);
                for (; w != 0; w &= w - 1) {
                        unsigned flag = i * 32 + (unsigned)__builtin_ctz(w);
                        guest_check(flag == 1 || flag == 33 || flag == LAST_FLAG);
                        flags_seen++;
                        last_flag_seen |= flag == LAST_FLAG;
                }
        }
}

static void get_flags(void) {
        guest_set_handler(VECTOR_SINT, on_flag);
        enable_synic(0);
        guest_printf("ready\n");
        guest_wait_change(&last_flag_seen, 0);
        guest_check(flags_seen == 3);
}

static void on_second(struct guest_trap *trap) {
        (void)trap;
        guest_check(guest_cpu() == 1);
        guest_check(*(volatile uint32_t *)(messages[1] + SINT * 256) == 77);
        taken = 1;
}

static void second_cpu(void) {
        guest_check(read_msr(HV_MSR_VP_INDEX) == 1);
        guest_check(read_msr(HV_MSR_SCONTROL) == 0);
        enable_synic(1);
        guest_printf("ready\n");
        for (;;)
                guest_wait_change(&taken, taken);
}

/* The second processor has a SynIC of its own. */
static void two_cpus(void) {
        guest_set_handler(VECTOR_SINT, on_second);
        guest_start_cpu(1, second_cpu);
        while (!taken)
                __asm__ volatile("pause");
        guest_check(read_msr(HV_MSR_SCONTROL) == 0);
}

static uint64_t page_time(void) {
        struct hv_reference_tsc tsc;
        memcpy(&tsc, output, sizeof tsc);
        guest_check(le32_get(tsc.sequence) != 0 && le32_get(tsc.sequence) != ~0u);
        return (uint64_t)((unsigned __int128)guest_rdtsc() * le64_get(tsc.scale) >> 64) +
               le64_get(tsc.offset);
}

/* The page tells the same time as the register, read before and after. */
static void tsc_page(void) {
        write_msr(HV_MSR_REFERENCE_TSC, (uintptr_t)output | HV_PAGE_ENABLE);
        for (unsigned i = 0; i < 1000; i++) {
                uint64_t before = read_msr(HV_MSR_TIME_REF_COUNT);
                uint64_t now = page_time();
                uint64_t after = read_msr(HV_MSR_TIME_REF_COUNT);
                if (now + 2 < before || now > after + 2) {
                        guest_printf("%lu %lu %lu\n", before, now, after);
                        guest_exit(1);
                }
        }
}

/* So many pages take longer than one time slice: the call comes back and is made again, unseen. */
static void long_rep_call(void) {
        uint64_t in[1 + DISCARDS] = {HV_HEAT_COLD_DISCARD};
        for (unsigned i = 0; i < DISCARDS; i++) {
                memset(ram[i], 0xaa, GUEST_PAGE_SIZE);
                in[1 + i] = (uintptr_t)ram[i];
        }
        enable_calls();
        memcpy(input, in, sizeof in);
        uint64_t before = read_msr(HV_MSR_TIME_REF_COUNT);
        uint64_t r = call(reps(HV_CALL_EXT_MEMORY_HEAT_HINT, DISCARDS), (uintptr_t)input, 0);
        uint64_t after = read_msr(HV_MSR_TIME_REF_COUNT);
        guest_check(r == (uint64_t)DISCARDS << 32);
        guest_check(after - before > 2 * TIME_UNITS_PER_SLICE);
        for (unsigned i = 0; i < DISCARDS; i++)
                guest_check(ram[i][0] == 0 && ram[i][GUEST_PAGE_SIZE - 1] == 0);
        guest_check(call(HV_CALL_EXT_QUERY_CAPABILITIES, 0, (uintptr_t)output) == 0);
        guest_check(output[1] == HV_EXT_COLD_DISCARD_HINT >> 8);
}

static void set_register(uint32_t name, uint64_t low, uint64_t high) {
        const struct hv_vp_registers_in header = {
                .partition_id = le64_make(HV_PARTITION_ID_SELF),
                .vp_index = le32_make(HV_VP_INDEX_SELF),
        };
        const struct hv_register_assoc assoc = {
                .name = le32_make(name),
                .value = {le64_make(low), le64_make(high)},
        };
        memcpy(input, &header, sizeof header);
        memcpy(input + sizeof header, &assoc, sizeof assoc);
        guest_check(call(reps(HV_CALL_SET_VP_REGISTERS, 1), (uintptr_t)input, 0) == 1ull << 32);
}

/* Registers are written and read through the page; then a call takes its input from one. */
static void registers(void) {
        le32 name = le32_make(HV_REGISTER_XMM0);
        uint64_t value[2];
        enable_calls();
        set_register(HV_REGISTER_XMM0, (uintptr_t)ram[1], 0x123456789abcdef0);
        memcpy(input + sizeof(struct hv_vp_registers_in), &name, sizeof name);
        guest_check(call(reps(HV_CALL_GET_VP_REGISTERS, 1), (uintptr_t)input, (uintptr_t)output) ==
                    1ull << 32);
        memcpy(value, output, sizeof value);
        guest_check(value[0] == (uintptr_t)ram[1] && value[1] == 0x123456789abcdef0);
        for (unsigned i = 0; i < 3; i++)
                memset(ram[i], 0xaa, GUEST_PAGE_SIZE);
        guest_check(call(reps(HV_CALL_EXT_MEMORY_HEAT_HINT, 2) | HV_INPUT_FAST,
                            HV_HEAT_COLD_DISCARD, (uintptr_t)ram[0]) == 2ull << 32);
        guest_check(ram[0][7] == 0 && ram[1][7] == 0 && ram[2][7] == 0xaa);
}

/* The page covers what was there, and gives it back. */
static void cover(void) {
        uint64_t v;
        memset(page, 0x5a, sizeof page);
        guest_check(guest_wrmsr(HV_MSR_HYPERCALL, (uintptr_t)page | HV_PAGE_ENABLE) == 0);
        guest_check(guest_rdmsr(HV_MSR_HYPERCALL, &v) == 0 && v == (uintptr_t)page);
        guest_check(page[0] == 0x5a);
        enable_calls();
        guest_check(page[0] != 0x5a && call(0x7fff, 0, 0) == HV_STATUS_INVALID_HYPERCALL_CODE);
        guest_check(guest_wrmsr(HV_MSR_HYPERCALL, ~0xfffull | HV_PAGE_ENABLE) == VECTOR_GP);
        write_msr(HV_MSR_GUEST_OS_ID, 0);
        guest_check(page[0] == 0x5a && page[GUEST_PAGE_SIZE - 1] == 0x5a);
}

static void crash(void) {
        static const char text[] = "Kernel panic - not syncing: \033[31msynthetic\n";
        memcpy(input, text, sizeof text);
        guest_check(read_msr(HV_MSR_CRASH_CTL) == (HV_CRASH_CTL_NOTIFY | HV_CRASH_CTL_MESSAGE));
        write_msr(HV_MSR_CRASH_P0, 0xc0ffee);
        write_msr(HV_MSR_CRASH_P3, (uintptr_t)input);
        write_msr(HV_MSR_CRASH_P4, sizeof text - 1);
        write_msr(HV_MSR_CRASH_CTL, HV_CRASH_CTL_NOTIFY | HV_CRASH_CTL_MESSAGE);
}

int guest_payload(void) {
        static const struct {
                char letter;
                void (*run)(void);
        } parts[] = {
                {'a', every_msr},
                {'m', get_messages},
                {'f', get_flags},
                {'2', two_cpus},
                {'t', tsc_page},
                {'l', long_rep_call},
                {'r', registers},
                {'c', cover},
                {'p', crash},
        };
        for (unsigned i = 0; i < sizeof parts / sizeof *parts; i++) {
                if (guest_cmdline()[0] != parts[i].letter)
                        continue;
                parts[i].run();
                return 0;
        }
        return 4;
}
