// SPDX-License-Identifier: MIT
/* A guest that is saved in the middle of everything: rings full both ways, messages in its slot and
 * more behind it, a GPADL without its end, another whose end is not answered, integration services
 * at three stages, an hvsocket. Then it counts until the console tells it to go on ('r': it was
 * restored, 'c': only paused), and checks that nothing was lost. "reset" on the command line:
 * restarts the machine instead. The host side is test-saved.c. */
#include "saved.h"
#include "vmbus.h"
#include "wire/hv.h"
#include "wire/ic.h"
#include "wire/hvsocket.h"

enum {
        RING_PAGES = 4,
        HALF_PAGES = 60, /* a header, a body, and a last body that is kept back */
        HALF_GPADL = 0x5000,
        TORN_GPADL = 0x5001,
        FLOOD = 120,      /* more than slot, SynIC queue and the host's outbox hold */
        FLOOD_FIRST = 30, /* more than slot and SynIC queue hold */
        FLOOD_GPADL = 0x6000,
        LOCAL_PORT = 1024,
        RESET_PORT = 0xcf9,
        RESET_NOW = 0xe,
        PACKET_MAX = 4096,
};

enum { SHUTDOWN, HEARTBEAT, TIMESYNC, DEVICE, SOCKET, CHANNELS };

static const struct guid types[] = {
        [SHUTDOWN] = GUID_MAKE(0x0e0b6031u, 0x5213, 0x4934, 0x818b, 0x38d90ced39db),
        [HEARTBEAT] = GUID_MAKE(0x57164f39u, 0x9115, 0x4e78, 0xab55, 0x382f3bd5422d),
        [TIMESYNC] = GUID_MAKE(0x9527e630u, 0xd0ae, 0x497b, 0xadce, 0xe80ab0175caf),
        [DEVICE] = SAVED_DEVICE_TYPE,
};

static uint8_t memory[CHANNELS][2 * RING_PAGES][GUEST_PAGE_SIZE] GUEST_PAGE;
static struct guest_channel channels[CHANNELS];
static struct hv_reference_tsc time_page GUEST_PAGE;
static uint8_t packet[PACKET_MAX];
static volatile uint64_t counted;
static uint64_t heartbeat;

/* Time */

static uint64_t time_now(void) {
        uint64_t t = 0;
        guest_check(guest_rdmsr(HV_MSR_TIME_REF_COUNT, &t) == 0);
        return t;
}

static uint32_t time_sequence(void) {
        return *(const volatile uint32_t *)(const void *)&time_page.sequence;
}

static uint64_t time_by_page(void) {
        uint64_t scale = le64_get(time_page.scale);
        return (uint64_t)((unsigned __int128)guest_rdtsc() * scale >> 64) +
               le64_get(time_page.offset);
}

/* The page and the register tell the same time, as far as this processor was not held up. */
static void check_time(uint64_t not_before) {
        enum { SLACK = 20000, TRIES = 100 }; /* 100 ns */
        uint64_t from = 0, by_page = 0, to = 0;
        for (int i = 0; i < TRIES; i++) {
                from = time_now();
                by_page = time_by_page();
                to = time_now();
                guest_check(from >= not_before && to >= from);
                if (by_page + SLACK >= from && by_page <= to + SLACK)
                        return;
        }
        guest_printf("time %lu, by the page %lu, then %lu\n", from, by_page, to);
        guest_exit(1);
}

/* Integration services */

/* Waits for a packet of that channel; its size. */
static uint32_t receive(unsigned which) {
        for (;;) {
                uint32_t seen = guest_channel_rings(&channels[which]);
                int n = guest_channel_receive(&channels[which], packet, sizeof packet);
                if (n >= 0)
                        return (uint32_t)n;
                guest_channel_wait(&channels[which], seen);
        }
}

static struct ic_header *ic_header(void) {
        return (struct ic_header *)(void *)(packet + sizeof(struct pipe_header));
}

static void *ic_body(void) {
        return packet + sizeof(struct pipe_header) + sizeof(struct ic_header);
}

/* Sends the packet in hand back as the answer. */
static void ic_answer(unsigned which) {
        const struct pipe_header *pipe = (const void *)packet;
        ic_header()->flags = IC_FLAG_TRANSACTION | IC_FLAG_RESPONSE;
        guest_check(
                guest_channel_send(&channels[which], packet, sizeof *pipe + le32_get(pipe->size)));
}

static void ic_receive(unsigned which, uint16_t type) {
        guest_check(receive(which) >= sizeof(struct pipe_header) + sizeof(struct ic_header));
        guest_check(le16_get(ic_header()->type) == type);
}

/* Takes the first version of each kind. */
static void ic_negotiate(unsigned which) {
        ic_receive(which, IC_TYPE_NEGOTIATE);
        struct ic_negotiate *body = ic_body();
        struct ic_version *versions = (void *)(body + 1);
        versions[1] = versions[le16_get(body->framework_count)];
        body->framework_count = body->message_count = le16_make(1);
        ic_answer(which);
}

/* Its number. */
static uint64_t ic_heartbeat(void) {
        ic_receive(HEARTBEAT, IC_TYPE_HEARTBEAT);
        struct ic_heartbeat_body *body = ic_body();
        uint64_t sequence = le64_get(body->sequence);
        body->sequence = le64_make(sequence + 1);
        ic_answer(HEARTBEAT);
        return sequence;
}

static void ic_timesync(void) {
        ic_receive(TIMESYNC, IC_TYPE_TIMESYNC);
        const struct ic_timesync_body *body = ic_body();
        guest_check(body->flags == IC_TIMESYNC_SYNC);
        guest_check(le64_get(body->reference_time) <= time_now());
        ic_answer(TIMESYNC);
}

/* The device: both sides send SAVED_PACKETS packets, one of which says "start" */

static uint32_t device_sent, device_got;

static bool device_send(void) {
        static uint8_t bytes[SAVED_PACKET_SIZE];
        saved_fill(bytes, SAVED_FROM_GUEST, device_sent);
        if (!guest_channel_send(&channels[DEVICE], bytes, sizeof bytes))
                return false;
        device_sent++;
        return true;
}

static bool device_receive(void) {
        static uint8_t bytes[SAVED_PACKET_SIZE];
        int n = guest_channel_receive(&channels[DEVICE], packet, sizeof packet);
        if (n < 0)
                return false;
        saved_fill(bytes, SAVED_FROM_HOST, device_got);
        guest_check(n == sizeof bytes && memcmp(packet, bytes, sizeof bytes) == 0);
        device_got++;
        return true;
}

static void device_finish(void) {
        while (device_sent < SAVED_PACKETS || device_got < SAVED_PACKETS) {
                uint32_t seen = guest_channel_rings(&channels[DEVICE]);
                bool moved = device_sent < SAVED_PACKETS && device_send();
                while (device_receive())
                        moved = true;
                if (!moved)
                        guest_channel_wait(&channels[DEVICE], seen);
        }
        guest_check(device_got == SAVED_PACKETS);
}

/* The hvsocket: bytes of a pattern both ways, then FIN */

static uint32_t socket_sent, socket_got;

static bool socket_send(uint32_t size) {
        const struct pipe_header header = {le32_make(PIPE_DATA), le32_make(size)};
        memcpy(packet, &header, sizeof header);
        for (uint32_t i = 0; i < size; i++)
                packet[sizeof header + i] = saved_byte(SAVED_FROM_GUEST, socket_sent + i);
        if (!guest_channel_send(&channels[SOCKET], packet, sizeof header + size))
                return false;
        socket_sent += size;
        return true;
}

/* False when there is nothing; *ret_fin is set at the end of the stream. */
static bool socket_receive(bool *ret_fin) {
        static uint8_t bytes[sizeof(struct pipe_header) + HVSOCKET_DATA_MAX];
        struct pipe_header header;
        if (guest_channel_receive(&channels[SOCKET], bytes, sizeof bytes) < 0)
                return false;
        memcpy(&header, bytes, sizeof header);
        for (uint32_t i = 0; i < le32_get(header.size); i++)
                guest_check(bytes[sizeof header + i] == saved_byte(SAVED_FROM_HOST, socket_got++));
        *ret_fin = le32_get(header.size) == 0;
        return true;
}

static void socket_finish(void) {
        bool fin = false, fin_sent = false;
        while (!fin || !fin_sent) {
                uint32_t seen = guest_channel_rings(&channels[SOCKET]);
                bool moved = false;
                while (!fin && socket_receive(&fin))
                        moved = true;
                uint32_t left = SAVED_SOCKET_BYTES - socket_sent;
                if (!fin_sent && socket_send(left < SAVED_PACKET_SIZE ? left : SAVED_PACKET_SIZE)) {
                        moved = true;
                        fin_sent = left == 0;
                }
                if (!moved)
                        guest_channel_wait(&channels[SOCKET], seen);
        }
        guest_check(socket_got == SAVED_SOCKET_BYTES);
        guest_channel_end(&channels[SOCKET]);
}

/* GPADLs */

static le64 pfn(uint32_t i) {
        return le64_make(
                (uintptr_t)memory / GUEST_PAGE_SIZE + i % (sizeof memory / sizeof **memory));
}

static void gpadl_header(uint32_t gpadl, uint32_t pages) {
        struct vmbus_msg_gpadl_header m = {
                .header.type = le32_make(VMBUS_MSG_GPADL_HEADER),
                .relid = channels[DEVICE].offer.relid,
                .gpadl = le32_make(gpadl),
                .range_buffer_size = le16_make((uint16_t)(8 + 8 * pages)),
                .range_count = le16_make(1),
                .byte_count = le32_make(pages * GUEST_PAGE_SIZE),
        };
        uint32_t n = pages < VMBUS_GPADL_HEADER_PFNS_MAX ? pages : VMBUS_GPADL_HEADER_PFNS_MAX;
        for (uint32_t i = 0; i < n; i++)
                m.pfns[i] = pfn(i);
        guest_bus_post(&m, offsetof(struct vmbus_msg_gpadl_header, pfns) + 8 * n);
}

static void gpadl_body(uint32_t gpadl, uint32_t n) {
        struct vmbus_msg_gpadl_body m = {
                .header.type = le32_make(VMBUS_MSG_GPADL_BODY), .gpadl = le32_make(gpadl)};
        for (uint32_t i = 0; i < n; i++)
                m.pfns[i] = pfn(i);
        guest_bus_post(&m, offsetof(struct vmbus_msg_gpadl_body, pfns) + 8 * n);
}

static void gpadl_created(uint32_t gpadl) {
        struct vmbus_msg_gpadl_created answer;
        guest_bus_expect(VMBUS_MSG_GPADL_CREATED, &answer, sizeof answer);
        guest_check(le32_get(answer.gpadl) == gpadl && le32_get(answer.status) == 0);
}

static void gpadl_tear(uint32_t gpadl) {
        const struct vmbus_msg_gpadl_teardown m = {
                .header.type = le32_make(VMBUS_MSG_GPADL_TEARDOWN),
                .relid = channels[DEVICE].offer.relid,
                .gpadl = le32_make(gpadl),
        };
        guest_bus_post(&m, sizeof m);
}

static void gpadl_torndown(uint32_t gpadl) {
        struct vmbus_msg_gpadl_torndown answer;
        guest_bus_expect(VMBUS_MSG_GPADL_TORNDOWN, &answer, sizeof answer);
        guest_check(le32_get(answer.gpadl) == gpadl);
}

/* The course of it */

static void open_channel(unsigned which, const struct vmbus_msg_offer *offer) {
        guest_channel_open_in(&channels[which], offer, memory[which][0], RING_PAGES);
}

static void open_devices(void) {
        struct vmbus_msg_offer offer;
        for (unsigned n = 0; n < sizeof types / sizeof *types; n++) {
                unsigned which = 0;
                guest_bus_expect(VMBUS_MSG_OFFER, &offer, sizeof offer);
                while (memcmp(&types[which], &offer.type, sizeof offer.type) != 0)
                        guest_check(++which < sizeof types / sizeof *types);
                open_channel(which, &offer);
        }
}

static void dial(void) {
        struct vmbus_msg_tl_connect m = {
                .header.type = le32_make(VMBUS_MSG_TL_CONNECT),
                .endpoint = HVSOCKET_SERVICE_TEMPLATE,
                .service = HVSOCKET_SERVICE_TEMPLATE,
        };
        const le32 local = le32_make(LOCAL_PORT), port = le32_make(SAVED_PORT);
        struct vmbus_msg_offer offer;
        memcpy(&m.endpoint, &local, sizeof local);
        memcpy(&m.service, &port, sizeof port);
        guest_bus_post(&m, offsetof(struct vmbus_msg_tl_connect, silo));
        guest_bus_expect(VMBUS_MSG_OFFER, &offer, sizeof offer);
        open_channel(SOCKET, &offer);
}

/* Until the host has filled the ring that nobody reads: it says what it waits for. */
static void wait_until_full(unsigned which) {
        volatile const uint32_t *pending =
                (const void *)(channels[which].down + VMBUS_RING_PENDING_SEND_SIZE);
        while (*pending == 0)
                __asm__ volatile("pause");
}

static void prepare(void) {
        guest_check(guest_wrmsr(HV_MSR_REFERENCE_TSC, (uintptr_t)&time_page | HV_PAGE_ENABLE) == 0);
        guest_bus_connect(VMBUS_VERSION_5_3);
        guest_bus_request_offers();
        open_devices();
        dial();
        ic_negotiate(HEARTBEAT);
        heartbeat = ic_heartbeat();
        ic_negotiate(TIMESYNC); /* the time stays in the ring, as does shutdown's negotiation */
        guest_channel_set_pending(&channels[DEVICE], SAVED_PACKET_SIZE + 24);
        guest_channel_set_pending(&channels[SOCKET], SAVED_PACKET_SIZE + 32);
        while (device_send())
                ;
        while (socket_send(SAVED_PACKET_SIZE))
                ;
        wait_until_full(DEVICE);
        wait_until_full(SOCKET);
}

/* From here on nothing is taken out of the message slot. */
static void flood(void) {
        gpadl_header(TORN_GPADL, 1);
        gpadl_created(TORN_GPADL);
        guest_interrupts_off();
        gpadl_header(HALF_GPADL, HALF_PAGES);
        gpadl_body(HALF_GPADL, VMBUS_GPADL_BODY_PFNS_MAX);
        for (uint32_t i = 0; i < FLOOD; i++) {
                if (i == FLOOD_FIRST)
                        gpadl_tear(TORN_GPADL);
                gpadl_header(FLOOD_GPADL + i, 1);
        }
}

/* Counts in memory and, by asking for the same of a register, in one. */
static char count(void) {
        register uint64_t n = 0;
        guest_printf("counting\n");
        while (!(inb(0x3fd) & 1)) {
                n++;
                counted++;
        }
        guest_check(n == counted);
        return guest_getchar();
}

static void finish_messages(void) {
        guest_interrupts_on();
        for (uint32_t i = 0; i < FLOOD; i++)
                gpadl_created(FLOOD_GPADL + i);
        gpadl_body(
                HALF_GPADL, HALF_PAGES - VMBUS_GPADL_HEADER_PFNS_MAX - VMBUS_GPADL_BODY_PFNS_MAX);
        gpadl_created(HALF_GPADL);
        for (uint32_t i = 0; i < FLOOD; i++)
                gpadl_tear(FLOOD_GPADL + i);
        gpadl_tear(HALF_GPADL);
        gpadl_torndown(TORN_GPADL);
        for (uint32_t i = 0; i < FLOOD; i++)
                gpadl_torndown(FLOOD_GPADL + i);
        gpadl_torndown(HALF_GPADL);
}

static void finish(void) {
        finish_messages();
        device_finish();
        socket_finish();
        ic_timesync(); /* of before */
        ic_timesync(); /* since it goes on */
        guest_check(ic_heartbeat() == heartbeat + 1);
        ic_negotiate(SHUTDOWN);
        guest_printf("ready\n");
        ic_receive(SHUTDOWN, IC_TYPE_SHUTDOWN);
        ic_answer(SHUTDOWN);
        guest_printf("counted %lu\n", counted);
}

int guest_payload(void) {
        prepare();
        flood();
        if (guest_cmdline()[0] == 'r')
                for (;;)
                        outb(RESET_PORT, RESET_NOW);
        check_time(0);
        uint64_t before = time_now();
        uint32_t sequence = time_sequence();
        guest_check(sequence != 0);
        bool restored = count() == 'r';
        check_time(before);
        guest_check(!restored || time_sequence() != sequence);
        finish();
        return 0;
}
