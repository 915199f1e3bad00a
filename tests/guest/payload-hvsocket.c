// SPDX-License-Identifier: MIT
/* A guest that uses hvsockets as Linux' transport does. The first letter of the command line names
 * the part to run; the host side is test-hvsocket.c. */
#include "vmbus.h"
#include "wire/hvsocket.h"

enum {
        PORT_ECHO = 1,
        PORT_ANSWER = 2, /* waits for our FIN, answers, closes */
        PORT_BANNER = 3, /* speaks, sends FIN, waits for ours */
        PORT_CLOSED = 4, /* refused by the table */
        PORT_GUEST = 22, /* ours */
        FIRST_LOCAL_PORT = 1024,
        SEND_MAX = 4088,
        PENDING_SEND_SIZE = 4120,
        BULK = 1 << 20,
        CONNECTIONS = 2000,
        CONNECTIONS_REPORT = 100,
        HOST_CONNECTIONS = 1000,
};

static const struct guid template = HVSOCKET_SERVICE_TEMPLATE;
static uint8_t packet[sizeof(struct pipe_header) + HVSOCKET_DATA_MAX];
static uint32_t next_local_port = FIRST_LOCAL_PORT;

static struct guid service_of(uint32_t port) {
        struct guid g = template;
        const le32 data1 = le32_make(port);
        memcpy(&g, &data1, sizeof data1);
        return g;
}

/* TL_CONNECT_REQUEST in Linux' size, without a silo. */
static void ask(uint32_t port) {
        const struct vmbus_msg_tl_connect m = {
                .header.type = le32_make(VMBUS_MSG_TL_CONNECT),
                .endpoint = service_of(next_local_port++),
                .service = service_of(port),
        };
        guest_bus_post(&m, offsetof(struct vmbus_msg_tl_connect, silo));
}

static struct guest_channel *open_next(uint32_t port, bool from_host) {
        struct vmbus_msg_offer offer;
        const struct guid service = service_of(port);
        do /* a worker's machine has other devices as well */
                guest_bus_expect(VMBUS_MSG_OFFER, &offer, sizeof offer);
        while (!(le16_get(offer.flags) & VMBUS_OFFER_TLNPI));
        guest_check(memcmp(&offer.type, &service, sizeof service) == 0);
        guest_check(offer.user_defined[4] == from_host);
        struct guest_channel *channel = guest_channel_open(&offer);
        guest_channel_set_pending(channel, PENDING_SEND_SIZE);
        return channel;
}

static struct guest_channel *dial(uint32_t port) {
        const struct guid endpoint = service_of(next_local_port);
        ask(port);
        struct guest_channel *channel = open_next(port, false);
        guest_check(memcmp(&channel->offer.instance, &endpoint, sizeof endpoint) == 0);
        return channel;
}

/* Up to SEND_MAX bytes, 0 for FIN: false when the ring is full. */
static bool try_send(struct guest_channel *channel, const void *data, uint32_t size) {
        const struct pipe_header header = {le32_make(PIPE_DATA), le32_make(size)};
        memcpy(packet, &header, sizeof header);
        memcpy(packet + sizeof header, data, size);
        return guest_channel_send(channel, packet, (uint32_t)sizeof header + size);
}

static void send(struct guest_channel *channel, const void *data, uint32_t size) {
        for (;;) {
                uint32_t seen = guest_channel_rings(channel);
                if (try_send(channel, data, size))
                        return;
                guest_channel_wait(channel, seen);
        }
}

/* The size of the data in `packet`, 0 for FIN, -1 when there is none. */
static int try_receive(struct guest_channel *channel) {
        struct pipe_header header;
        int n = guest_channel_receive(channel, packet, sizeof packet);
        if (n < 0)
                return -1;
        guest_check(n >= (int)sizeof header);
        memcpy(&header, packet, sizeof header);
        uint32_t size = le32_get(header.size);
        guest_check(le32_get(header.type) == PIPE_DATA && size <= (uint32_t)n - sizeof header);
        return (int)size;
}

static void expect(struct guest_channel *channel, const void *data, uint32_t size) {
        uint32_t got = 0;
        do {
                uint32_t seen = guest_channel_rings(channel);
                int n = try_receive(channel);
                if (n < 0) {
                        guest_channel_wait(channel, seen);
                        continue;
                }
                guest_check((uint32_t)n <= size - got && (n > 0) == (size > 0));
                guest_check(memcmp(packet + sizeof(struct pipe_header), (const uint8_t *)data + got,
                                    (size_t)n) == 0);
                got += (uint32_t)n;
                if (size == 0)
                        return;
        } while (got < size);
}

static void expect_fin(struct guest_channel *channel) {
        expect(channel, "", 0);
}

static uint8_t pattern(uint32_t i) {
        return (uint8_t)(i * 31 + i / 251);
}

/* One MiB there and back at the same time: rings and sockets fill up in both directions. */
static void bulk(struct guest_channel *channel) {
        static uint8_t piece[SEND_MAX];
        uint32_t sent = 0, got = 0;
        while (got < BULK) {
                uint32_t seen = guest_channel_rings(channel);
                uint32_t size = BULK - sent < SEND_MAX ? BULK - sent : SEND_MAX;
                for (uint32_t i = 0; i < size; i++)
                        piece[i] = pattern(sent + i);
                bool moved = size > 0 && try_send(channel, piece, size);
                if (moved)
                        sent += size;
                for (int n; (n = try_receive(channel)) >= 0; moved = true) {
                        guest_check(n > 0);
                        for (int i = 0; i < n; i++)
                                guest_check(packet[sizeof(struct pipe_header) + (unsigned)i] ==
                                            pattern(got + (uint32_t)i));
                        got += (uint32_t)n;
                }
                if (!moved)
                        guest_channel_wait(channel, seen);
        }
        guest_check(sent == BULK && got == BULK);
}

static void close_first(struct guest_channel *channel) {
        send(channel, "", 0);
        expect_fin(channel);
        guest_channel_end(channel);
}

static void echo(void) {
        struct guest_channel *channel = dial(PORT_ECHO);
        send(channel, "hello", 5);
        expect(channel, "hello", 5);
        bulk(channel);
        close_first(channel);
}

static void half_close(void) {
        struct guest_channel *ours = dial(PORT_ANSWER), *theirs = dial(PORT_BANNER);
        send(ours, "question", 8);
        send(ours, "", 0);
        expect(ours, "answer to question", 18);
        expect_fin(ours);
        guest_channel_end(ours);

        expect(theirs, "banner", 6);
        expect_fin(theirs);
        send(theirs, "still here", 10);
        send(theirs, "", 0);
        guest_channel_end(theirs);
}

static void short_connections(void) {
        for (uint32_t i = 0; i < CONNECTIONS; i++) {
                struct guest_channel *channel = dial(PORT_ECHO);
                send(channel, &i, sizeof i);
                expect(channel, &i, sizeof i);
                close_first(channel);
                if ((i + 1) % CONNECTIONS_REPORT == 0)
                        guest_printf("connections %u\n", i + 1);
        }
}

static void answer_next(void) {
        struct guest_channel *channel = open_next(PORT_GUEST, true);
        expect(channel, "hello guest", 11);
        send(channel, "hello host", 10);
        close_first(channel);
}

static void listen(void) {
        guest_printf("listening\n");
        answer_next();
}

static void listen_on(void) {
        guest_printf("listening\n");
        for (uint32_t i = 0; i < HOST_CONNECTIONS; i++)
                answer_next();
}

static void refused(void) {
        struct vmbus_msg_tl_result answer;
        const struct guid service = service_of(PORT_CLOSED);
        ask(PORT_CLOSED);
        guest_bus_expect(VMBUS_MSG_TL_RESULT, &answer, sizeof answer);
        guest_check(memcmp(&answer.service, &service, sizeof service) == 0);
        guest_check(le32_get(answer.status) == VMBUS_STATUS_CONNECTION_REFUSED);
}

/* A kernel that starts another without a word: everything before is void, and all works again. */
static void again(void) {
        struct guest_channel *channel = dial(PORT_ECHO);
        send(channel, "lost", 4);
        guest_bus_forget();
        guest_bus_connect(VMBUS_VERSION_5_3);
        guest_bus_request_offers();
        echo();
}

int guest_payload(void) {
        static const struct {
                char letter;
                void (*run)(void);
        } parts[] = {
                {'e', echo},
                {'h', half_close},
                {'s', short_connections},
                {'l', listen},
                {'m', listen_on},
                {'r', refused},
                {'a', again},
        };
        guest_bus_connect(VMBUS_VERSION_5_3);
        guest_bus_request_offers();
        for (unsigned i = 0; i < sizeof parts / sizeof *parts; i++) {
                if (guest_cmdline()[0] != parts[i].letter)
                        continue;
                parts[i].run();
                return 0;
        }
        return 4;
}
