// SPDX-License-Identifier: MIT
/* A guest that opens channels to devices which send every packet back. The first letter of the
 * command line names the part to run; the host side is test-vmbus.c. */
#include "vmbus.h"

enum {
        CHANNELS = VMBUS_RELID_MAX,
        RING_PAGES = 2, /* of the many */
        PACKETS = 1000,
        PACKET_MAX = 3000,
        BULK = 1 << 20,
        ROUNDS = 3,
};

static uint8_t memory[CHANNELS][2 * RING_PAGES][GUEST_PAGE_SIZE] GUEST_PAGE;
static struct guest_channel many[CHANNELS];
static uint8_t sent[PACKET_MAX + 8], got[PACKET_MAX + 8];

static uint8_t pattern(uint32_t i) {
        return (uint8_t)(i * 31 + i / 251);
}

static uint32_t fill(uint32_t start, uint32_t size) {
        for (uint32_t i = 0; i < size; i++)
                sent[i] = pattern(start + i);
        memset(sent + size, 0, 8);
        return (size + 7) / 8 * 8;
}

/* Waits for the next packet, which must be as in `sent`. */
static void expect(struct guest_channel *channel, uint32_t padded) {
        for (;;) {
                uint32_t seen = guest_channel_rings(channel);
                int n = guest_channel_receive(channel, got, sizeof got);
                if (n >= 0) {
                        guest_check((uint32_t)n == padded && memcmp(sent, got, padded) == 0);
                        return;
                }
                guest_channel_wait(channel, seen);
        }
}

/* One at a time, of every size. */
static void ping_pong(struct guest_channel *channel) {
        for (uint32_t i = 0; i < PACKETS; i++) {
                uint32_t size = i * 37 % PACKET_MAX, padded = fill(i, size);
                guest_check(guest_channel_send(channel, sent, size));
                expect(channel, padded);
        }
}

/* As much as both rings hold, so that each side waits for the other's room in turn. */
static void flood(struct guest_channel *channel) {
        enum { SIZE = 1000 };
        uint32_t out = 0, in = 0;
        guest_channel_set_pending(channel, SIZE + 24);
        while (in < BULK) {
                uint32_t seen = guest_channel_rings(channel);
                bool moved = false;
                fill(out, SIZE);
                for (; out < BULK && guest_channel_send(channel, sent, SIZE); fill(out, SIZE)) {
                        out += SIZE;
                        moved = true;
                }
                for (int n; (n = guest_channel_receive(channel, got, sizeof got)) >= 0;) {
                        guest_check(n == SIZE);
                        for (uint32_t i = 0; i < SIZE; i++)
                                guest_check(got[i] == pattern(in + i));
                        in += SIZE;
                        moved = true;
                }
                if (!moved)
                        guest_channel_wait(channel, seen);
        }
        guest_check(in == out);
        guest_channel_set_pending(channel, 0);
}

static struct vmbus_msg_offer connect(uint32_t version) {
        struct vmbus_msg_offer offer;
        guest_bus_connect(version);
        guest_bus_request_offers();
        guest_bus_expect(VMBUS_MSG_OFFER, &offer, sizeof offer);
        return offer;
}

static void unload(void) {
        const struct vmbus_msg_header m = {.type = le32_make(VMBUS_MSG_UNLOAD)};
        struct vmbus_msg_header answer;
        guest_bus_post(&m, sizeof m);
        guest_bus_expect(VMBUS_MSG_UNLOAD_RESPONSE, &answer, sizeof answer);
}

static void one(uint32_t version) {
        const struct vmbus_msg_offer offer = connect(version);
        for (int i = 0; i < 3; i++) {
                struct guest_channel *channel = guest_channel_open(&offer);
                ping_pong(channel);
                flood(channel);
                guest_channel_close(channel);
        }
        unload();
}

static void newest(void) {
        one(VMBUS_VERSION_5_3);
}

static void oldest(void) {
        one(VMBUS_VERSION_2_4);
}

/* Every channel that there can be, all open. */
static void all(void) {
        const struct vmbus_msg_header m = {.type = le32_make(VMBUS_MSG_REQUEST_OFFERS)};
        struct vmbus_msg_header delivered;
        struct vmbus_msg_offer offer;
        guest_bus_connect(VMBUS_VERSION_5_3);
        guest_bus_post(&m, sizeof m);
        for (uint32_t i = 0; i < CHANNELS; i++) {
                guest_bus_expect(VMBUS_MSG_OFFER, &offer, sizeof offer);
                guest_channel_open_in(&many[i], &offer, memory[i][0], RING_PAGES);
        }
        guest_bus_expect(VMBUS_MSG_OFFERS_DELIVERED, &delivered, sizeof delivered);
        guest_printf("open\n");
        for (uint32_t round = 0; round < ROUNDS; round++) {
                for (uint32_t i = 0; i < CHANNELS; i++)
                        guest_check(guest_channel_send(&many[i], sent, fill(round * i, 64)));
                for (uint32_t i = 0; i < CHANNELS; i++)
                        expect(&many[i], fill(round * i, 64));
        }
        guest_printf("closing\n");
        for (uint32_t i = 0; i < CHANNELS; i++)
                guest_channel_close(&many[i]);
        unload();
}

/* A ring that no host can read ends its channel; opened again, it works. */
static void spoil(void) {
        const struct vmbus_msg_offer offer = connect(VMBUS_VERSION_5_3);
        struct guest_channel *channel = guest_channel_open(&offer);
        ping_pong(channel);
        *(volatile uint32_t *)(void *)(channel->down + VMBUS_RING_READ_INDEX) = 0xfffffffc;
        guest_check(guest_channel_send(channel, sent, 8));
        guest_channel_close(channel);
        channel = guest_channel_open(&offer);
        ping_pong(channel);
        guest_channel_close(channel);
        unload();
}

/* A kernel that starts another without a word. */
static void again(void) {
        struct vmbus_msg_offer offer = connect(VMBUS_VERSION_4_0);
        ping_pong(guest_channel_open(&offer));
        guest_bus_forget();
        offer = connect(VMBUS_VERSION_5_0);
        struct guest_channel *channel = guest_channel_open(&offer);
        ping_pong(channel);
        guest_channel_close(channel);
        unload();
}

int guest_payload(void) {
        static const struct {
                char letter;
                void (*run)(void);
        } parts[] = {{'n', newest}, {'o', oldest}, {'a', all}, {'s', spoil}, {'r', again}};
        for (unsigned i = 0; i < sizeof parts / sizeof *parts; i++) {
                if (guest_cmdline()[0] != parts[i].letter)
                        continue;
                parts[i].run();
                return 0;
        }
        return 4;
}
