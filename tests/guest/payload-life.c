// SPDX-License-Identifier: MIT
/* What a guest may do with its life while vmcomputed watches: restart with open channels, hang,
 * spoil its rings for ever, or measure how it fares beside one that does. The first letter of the
 * command line names the part to run; the host side is tests/integration/daemon. */
#include "vmbus.h"
#include "wire/hv.h"

enum { VECTOR_TIMER = 0x42, MSR_TIMER = 0x832, MSR_TIMER_COUNT = 0x838, MSR_TIMER_DIVIDE = 0x83e };
enum { PERIODIC = 1 << 17, TICK_NS = 10000000, TICKS = 200 };
enum { VECTOR_UD = 6, VECTOR_SIZE = 16 };
#define VECTORS 0x200000ul /* start.S */

static struct vmbus_msg_offer offers[GUEST_CHANNELS_MAX];

static unsigned connect(void) {
        unsigned n = 0;
        guest_bus_connect(VMBUS_VERSION_5_3);
        guest_bus_request_offers();
        while (n < GUEST_CHANNELS_MAX &&
                guest_bus_take(VMBUS_MSG_OFFER, &offers[n], sizeof offers[n]))
                n++;
        guest_check(n > 0);
        return n;
}

/* Starts over as soon as every channel is open. */
static void restart(void) {
        for (unsigned i = 0, n = connect(); i < n; i++)
                guest_check(guest_channel_signal(guest_channel_open(&offers[i])));
        (void)guest_wrmsr(HV_MSR_RESET, 1);
}

/* What ring 0 does on an exception from now on. */
static void on_exception(const void *code, size_t size) {
        memcpy((void *)(VECTORS + VECTOR_UD * VECTOR_SIZE), code, size);
        __asm__ volatile("ud2");
}

/* UD2 in ring 3, back to the same UD2 from ring 0, and so on. */
static void undefined(void) {
        on_exception("\x48\xcf", 2); /* iretq */
}

/* Halted with interrupts off. */
static void halt(void) {
        on_exception("\xf4\xeb\xfd", 3); /* hlt; jmp to it */
}

static void spin(void) {
        for (;;)
                __asm__ volatile("");
}

static void spin_twice(void) {
        guest_start_cpu(1, spin);
        spin();
}

static volatile uint32_t ticks;

static void on_timer(struct guest_trap *trap) {
        (void)trap;
        ticks++;
}

/* Two seconds by its own timer, then off. */
static void go_on(void) {
        guest_set_handler(VECTOR_TIMER, on_timer);
        guest_check(guest_wrmsr(MSR_TIMER_DIVIDE, 0xb) == 0); /* by 1 */
        guest_check(guest_wrmsr(MSR_TIMER, VECTOR_TIMER | PERIODIC) == 0);
        guest_check(guest_wrmsr(MSR_TIMER_COUNT, TICK_NS) == 0);
        for (uint32_t seen = 0; seen < TICKS; seen++)
                guest_wait_change(&ticks, seen);
}

static uint32_t random32(void) {
        static uint32_t x = 2463534242;
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        return x;
}

static void poke(uint8_t *ring, uint32_t offset, uint32_t value) {
        *(volatile uint32_t *)(void *)(ring + offset) = value;
}

/* Rows 2 and 3 of the negative tests from inside: packets and indices that cannot be. */
static void spoil(struct guest_channel *channel) {
        static const uint32_t bad[] = {0, 1, 4, 8, 0x7fffffff, 0x80000000, 0xfffffff8, 0xffffffff};
        uint32_t size = channel->data_size, r = random32();
        uint32_t value = r & 8 ? size + bad[r & 7] : bad[r & 7];
        switch (r >> 4 & 3) {
        case 0:
                poke(channel->up, VMBUS_RING_WRITE_INDEX, value);
                break;
        case 1:
                poke(channel->down, VMBUS_RING_READ_INDEX, value);
                break;
        default: { /* a descriptor of anything, wholly written */
                const uint32_t d[] = {random32() & 0x000f000f, random32() & 0x0001001f, 1, 0};
                memcpy(channel->up + GUEST_PAGE_SIZE, d, sizeof d);
                poke(channel->up, VMBUS_RING_WRITE_INDEX, 8 * (r >> 6 & 0x3f));
        }
        }
        for (unsigned i = 0; i < 8; i++)
                (void)guest_channel_signal(channel);
}

/* Frames that are right around contents that are not. */
static void babble(struct guest_channel *channel) {
        uint32_t payload[64];
        for (unsigned i = 0; i < 64; i++)
                payload[i] = random32() & random32() & random32();
        while (guest_channel_send(channel, payload, random32() % sizeof payload)) {
        }
        (void)guest_channel_signal(channel);
        /* Messages of no type, or too short for theirs. */
        for (unsigned i = 0; i < 64; i++) {
                bool known = random32() & 1;
                payload[0] = known ? random32() % 32 : random32() | 0x100;
                guest_bus_post(
                        payload, random32() % (known ? sizeof(struct vmbus_msg_header) : 200));
        }
}

static void malicious(void) {
        for (unsigned n = connect(), i = 0;; i = (i + 1) % n) {
                struct guest_channel *channel = guest_channel_open(&offers[i]);
                babble(channel);
                spoil(channel);
                guest_channel_close(channel);
        }
}

/* How long a guest takes to leave VMBus and to come back, which goes through VP, worker and
 * interrupts. As many seconds as the command line says behind the letter; then it reports by the
 * crash registers: count, median and 99th percentile in microseconds. */
static void measure(void) {
        enum { BUCKETS = 1 << 16 };
        static uint32_t count[BUCKETS]; /* by the microsecond */
        const struct vmbus_msg_header unload = {.type = le32_make(VMBUS_MSG_UNLOAD)};
        struct vmbus_msg_header unloaded;
        uint64_t hz, total = 0, sum = 0, result[3] = {0};
        unsigned seconds = 0;
        for (const char *c = guest_cmdline() + 1; *c >= '0' && *c <= '9'; c++)
                seconds = seconds * 10 + (unsigned)(*c - '0');
        guest_check(guest_rdmsr(HV_MSR_TSC_FREQUENCY, &hz) == 0);
        guest_bus_connect(VMBUS_VERSION_5_3);
        for (uint64_t now, start = now = guest_rdtsc(); now - start < seconds * hz; total++) {
                guest_bus_post(&unload, sizeof unload);
                guest_bus_expect(VMBUS_MSG_UNLOAD_RESPONSE, &unloaded, sizeof unloaded);
                guest_bus_forget();
                guest_bus_connect(VMBUS_VERSION_5_3);
                uint64_t end = guest_rdtsc(), us = (end - now) / (hz / 1000000);
                count[us < BUCKETS ? us : BUCKETS - 1]++;
                now = end;
        }
        result[0] = total;
        for (uint32_t us = 0; us < BUCKETS; us++) {
                sum += count[us];
                if (result[1] == 0 && sum * 2 >= total)
                        result[1] = us;
                if (result[2] == 0 && sum * 100 >= total * 99)
                        result[2] = us;
        }
        for (uint32_t i = 0; i < 3; i++)
                guest_check(guest_wrmsr(HV_MSR_CRASH_P0 + i, result[i]) == 0);
        (void)guest_wrmsr(HV_MSR_CRASH_CTL, HV_CRASH_CTL_NOTIFY);
}

int guest_payload(void) {
        switch (guest_cmdline()[0]) {
        case 'r':
                restart();
                break;
        case 'u':
                undefined();
                break;
        case 'h':
                halt();
                break;
        case 's':
                spin();
                break;
        case 'S':
                spin_twice();
                break;
        case 'g':
                go_on();
                break;
        case 'm':
                malicious();
                break;
        case 'p':
                measure();
                break;
        default:
                return 4;
        }
        return 0;
}
