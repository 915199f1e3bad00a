// SPDX-License-Identifier: MIT
/* A guest without a machine: real guest memory, a real loop, and host ops that record what the bus
 * does. It speaks VMBus and works its ends of the rings as Linux does (drivers/hv), from the facts
 * and not from our ring.c, so that a mistake there meets something else here.
 *
 *     struct fake_guest *g = fake_guest_new(1);
 *     ... vmbus_offer(g->vmbus, ...) ...
 *     fake_connect(g, VMBUS_VERSION_5_3);                     contact, offers
 *     struct fake_channel *ch = fake_open(g, fake_offer_of(g, &type), 4, 4);
 *     fake_send_inband(ch, 7, "hello", 5);  fake_run(g);      the device's ready() was called
 *     struct fake_packet p;  fake_receive(ch, &p);
 *     fake_close(ch);  g = fake_guest_free(g);
 *
 * Everything asserts with libcheck; for one thread, but for fake_post(). */
#pragma once
#include <string.h>
#include <unistd.h>
#include "base/guid.h"
#include "../test.h"
#include "vmbus/channel.h"
#include "wire/hv.h"

enum {
        FAKE_MEMORY = 256 << 20,
        FAKE_FIRST_PAGE = 16, /* the pages before are never handed out */
        FAKE_MESSAGES = 8192,
        FAKE_PFNS_MAX = 8190,
        FAKE_FIRST_GPADL = 0xE1E10, /* Linux's */
        FAKE_CONNECTIONS = 0x3000,
};

struct fake_message {
        uint32_t vp;
        uint8_t sint;
        uint32_t size;
        union {
                uint8_t bytes[VMBUS_MESSAGE_SIZE_MAX];
                struct vmbus_msg_header header;
                struct vmbus_msg_offer offer;
                struct vmbus_msg_relid relid;
                struct vmbus_msg_open_result open_result;
                struct vmbus_msg_gpadl_created gpadl_created;
                struct vmbus_msg_gpadl_torndown gpadl_torndown;
                struct vmbus_msg_version_response version_response;
                struct vmbus_msg_tl_result tl_result;
                struct vmbus_msg_modify_response modify_response;
        };
};

struct fake_guest {
        struct gmem *gm;
        struct io_loop *loop;
        struct vmbus *vmbus;
        uint32_t vps;

        /* Messages from the host, oldest first, and how many more the SINT takes. */
        struct fake_message messages[FAKE_MESSAGES];
        unsigned first, n, room;
        int post_fault; /* returned by post instead, when not 0 */

        unsigned signals[VMBUS_RELID_MAX + 1]; /* event flags set so often */
        uint32_t signal_vp[VMBUS_RELID_MAX + 1];
        int doorbells[FAKE_CONNECTIONS]; /* descriptors by connection id, 0: none */
        unsigned n_doorbells;
        int bind_fault; /* returned by bind_event when not 0 */
        unsigned problems;

        struct vmbus_msg_offer offers[VMBUS_RELID_MAX + 1]; /* by relid, relid 0: none */
        uint32_t version;
        uint64_t next_page;
        uint32_t next_gpadl;
};

/* The host side. */

static int fake_host_post(void *ctx, uint32_t vp, uint8_t sint, const void *payload, size_t size) {
        struct fake_guest *g = ctx;
        ck_assert_uint_le(size, VMBUS_MESSAGE_SIZE_MAX);
        ck_assert_uint_lt(vp, g->vps);
        if (g->post_fault)
                return g->post_fault;
        if (g->room == 0)
                return VMBUS_E_FULL;
        g->room--;
        ck_assert_uint_lt(g->n, FAKE_MESSAGES);
        struct fake_message *m = &g->messages[(g->first + g->n++) % FAKE_MESSAGES];
        *m = (struct fake_message){.vp = vp, .sint = sint, .size = (uint32_t)size};
        memcpy(m->bytes, payload, size);
        return 0;
}

static int fake_host_signal(void *ctx, uint32_t vp, uint8_t sint, uint16_t flag) {
        struct fake_guest *g = ctx;
        ck_assert_uint_lt(vp, g->vps);
        ck_assert_uint_eq(sint, VMBUS_SINT);
        ck_assert(flag >= 1 && flag <= VMBUS_RELID_MAX);
        g->signals[flag]++;
        g->signal_vp[flag] = vp;
        return 0;
}

static int fake_host_bind(void *ctx, uint32_t connection_id, int eventfd) {
        struct fake_guest *g = ctx;
        ck_assert_uint_lt(connection_id, FAKE_CONNECTIONS);
        if (g->bind_fault)
                return g->bind_fault;
        ck_assert_int_eq(g->doorbells[connection_id], 0);
        g->doorbells[connection_id] = eventfd;
        g->n_doorbells++;
        return 0;
}

static void fake_host_unbind(void *ctx, uint32_t connection_id) {
        struct fake_guest *g = ctx;
        ck_assert_uint_lt(connection_id, FAKE_CONNECTIONS);
        ck_assert_int_ne(g->doorbells[connection_id], 0);
        g->doorbells[connection_id] = 0;
        g->n_doorbells--;
}

static uint32_t fake_host_vps(void *ctx) {
        return ((struct fake_guest *)ctx)->vps;
}

static void fake_host_problem(void *ctx, const char *name, uint16_t relid, const char *what) {
        (void)name, (void)relid, (void)what;
        ((struct fake_guest *)ctx)->problems++;
}

static _unused_ const struct vmbus_host_ops fake_host_ops = {fake_host_post, fake_host_signal,
        fake_host_bind, fake_host_unbind, fake_host_vps, fake_host_problem};

/* A guest with memory, a loop and, unless the caller wants to make it himself, a bus. */
static _unused_ struct fake_guest *fake_guest_without_bus(uint32_t vps) {
        struct fake_guest *g = calloc(1, sizeof *g);
        ck_assert_ptr_nonnull(g);
        assert_ok(gmem_new(FAKE_MEMORY, &g->gm));
        assert_ok(gmem_add(g->gm, 0, FAKE_MEMORY));
        assert_ok(io_loop_new(&g->loop));
        g->vps = vps;
        g->room = UINT32_MAX;
        g->next_page = FAKE_FIRST_PAGE;
        g->next_gpadl = FAKE_FIRST_GPADL;
        return g;
}

static _unused_ struct fake_guest *fake_guest_new(uint32_t vps) {
        struct fake_guest *g = fake_guest_without_bus(vps);
        assert_ok(vmbus_new(g->gm, g->loop, &fake_host_ops, g, &g->vmbus));
        return g;
}

static _unused_ struct fake_guest *fake_guest_free(struct fake_guest *g) {
        vmbus_free(g->vmbus);
        ck_assert_uint_eq(g->n_doorbells, 0);
        io_loop_free(g->loop);
        gmem_free(g->gm);
        free(g);
        return NULL;
}

/* The loop until nothing more happens by itself. */
static _unused_ void fake_run(struct fake_guest *g) {
        for (unsigned i = 0; i < 8 + g->n_doorbells / 16; i++)
                assert_ok(io_loop_once(g->loop, 0));
}

/* Messages. */

static _unused_ uint16_t fake_post(struct fake_guest *g, const void *message, size_t size) {
        uint32_t connection = g->version >= VMBUS_VERSION_5_0 ? VMBUS_CONNECTION_MESSAGE_50
                                                              : VMBUS_CONNECTION_MESSAGE;
        return vmbus_message(g->vmbus, connection, VMBUS_MESSAGE_TYPE, message, size);
}

/* HvPostMessage and the loop's turn; waits for room in the inbox as Linux does. */
static _unused_ void fake_tell(struct fake_guest *g, const void *message, size_t size) {
        uint16_t status;
        for (int i = 0; (status = fake_post(g, message, size)) && i < 10; i++) {
                ck_assert_uint_eq(status, HV_STATUS_INSUFFICIENT_BUFFERS);
                fake_run(g);
        }
        ck_assert_uint_eq(status, HV_STATUS_SUCCESS);
        fake_run(g);
}

/* The oldest message; false when there is none. */
static _unused_ bool fake_next(struct fake_guest *g, struct fake_message *ret) {
        if (g->n == 0)
                return false;
        *ret = g->messages[g->first];
        g->first = (g->first + 1) % FAKE_MESSAGES;
        g->n--;
        return true;
}

/* The oldest message, which must be of this type and size. */
static _unused_ struct fake_message fake_expect(struct fake_guest *g, uint32_t type, size_t size) {
        struct fake_message m;
        ck_assert_msg(fake_next(g, &m), "message %u did not come", type);
        ck_assert_uint_eq(le32_get(m.header.type), type);
        ck_assert_uint_eq(m.size, size);
        ck_assert_uint_eq(le32_get(m.header.zero), 0);
        return m;
}

static _unused_ void fake_expect_silence(struct fake_guest *g) {
        struct fake_message m;
        if (fake_next(g, &m))
                ck_abort_msg("message %u came", le32_get(m.header.type));
}

/* An offer that must be the next message; it is kept in g->offers. */
static _unused_ const struct vmbus_msg_offer *fake_expect_offer(struct fake_guest *g) {
        struct fake_message m = fake_expect(g, VMBUS_MSG_OFFER, sizeof m.offer);
        uint32_t relid = le32_get(m.offer.relid);
        ck_assert(relid >= 1 && relid <= VMBUS_RELID_MAX);
        g->offers[relid] = m.offer;
        return &g->offers[relid];
}

static _unused_ uint32_t fake_expect_rescind(struct fake_guest *g) {
        struct fake_message m = fake_expect(g, VMBUS_MSG_RESCIND, sizeof m.relid);
        uint32_t relid = le32_get(m.relid.relid);
        ck_assert(relid >= 1 && relid <= VMBUS_RELID_MAX);
        g->offers[relid] = (struct vmbus_msg_offer){0};
        return relid;
}

static _unused_ struct vmbus_msg_version_response fake_contact_at(
        struct fake_guest *g, uint32_t version, uint32_t vp) {
        g->version = version;
        memset(g->offers, 0, sizeof g->offers);
        struct vmbus_msg_initiate_contact m = {
                .header.type = le32_make(VMBUS_MSG_INITIATE_CONTACT),
                .version = le32_make(version),
                .target_vp = le32_make(vp),
                .monitor_page_1 = le64_make(0x1000),
                .monitor_page_2 = le64_make(0x2000),
        };
        if (version >= VMBUS_VERSION_5_0)
                m.sint = VMBUS_SINT;
        else
                m.sint = 0xf0, m.vtl = 0xff; /* bytes of the interrupt page's address */
        fake_tell(g, &m, sizeof m);
        struct fake_message answer =
                fake_expect(g, VMBUS_MSG_VERSION_RESPONSE, sizeof answer.version_response);
        ck_assert_uint_eq(answer.vp, vp);
        ck_assert_uint_eq(answer.sint, VMBUS_SINT);
        return answer.version_response;
}

static _unused_ void fake_contact(struct fake_guest *g, uint32_t version) {
        struct vmbus_msg_version_response r = fake_contact_at(g, version, 0);
        ck_assert_uint_eq(r.supported, 1);
        ck_assert_uint_eq(r.state, 0);
        ck_assert_uint_eq(le32_get(r.version_or_connection),
                version >= VMBUS_VERSION_5_0 ? (uint32_t)VMBUS_CONNECTION_MESSAGE_50 : version);
}

/* REQUESTOFFERS: the number of offers that came before ALLOFFERS_DELIVERED. */
static _unused_ unsigned fake_request_offers(struct fake_guest *g) {
        struct vmbus_msg_header m = {.type = le32_make(VMBUS_MSG_REQUEST_OFFERS)};
        fake_tell(g, &m, sizeof m);
        unsigned n = 0;
        while (g->n > 0 && le32_get(g->messages[g->first].header.type) == VMBUS_MSG_OFFER) {
                fake_expect_offer(g);
                n++;
        }
        fake_expect(g, VMBUS_MSG_OFFERS_DELIVERED, 8);
        return n;
}

static _unused_ unsigned fake_connect(struct fake_guest *g, uint32_t version) {
        fake_contact(g, version);
        return fake_request_offers(g);
}

static _unused_ void fake_unload(struct fake_guest *g) {
        struct vmbus_msg_header m = {.type = le32_make(VMBUS_MSG_UNLOAD)};
        fake_tell(g, &m, sizeof m);
        fake_expect(g, VMBUS_MSG_UNLOAD_RESPONSE, 8);
        memset(g->offers, 0, sizeof g->offers);
}

/* The offer of this type that came last; it must be there. */
static _unused_ const struct vmbus_msg_offer *fake_offer_of(
        struct fake_guest *g, const struct guid *type) {
        for (unsigned i = VMBUS_RELID_MAX; i > 0; i--)
                if (le32_get(g->offers[i].relid) && guid_equal(&g->offers[i].type, type))
                        return &g->offers[i];
        ck_abort_msg("no such offer");
}

static _unused_ void fake_tell_relid(struct fake_guest *g, uint32_t type, uint32_t relid) {
        struct vmbus_msg_relid m = {.header.type = le32_make(type), .relid = le32_make(relid)};
        fake_tell(g, &m, sizeof m);
}

static _unused_ void fake_release(struct fake_guest *g, uint32_t relid) {
        fake_tell_relid(g, VMBUS_MSG_RELID_RELEASED, relid);
}

/* GPADLs. */

/* n pages of zeroed memory, backwards: a GPADL is no run of addresses. */
static _unused_ void fake_pages(struct fake_guest *g, uint64_t *pfns, uint32_t n) {
        ck_assert_uint_le(g->next_page + n, FAKE_MEMORY / GMEM_PAGE_SIZE);
        for (uint32_t i = 0; i < n; i++)
                pfns[i] = g->next_page + n - 1 - i;
        assert_ok(gmem_zero(g->gm, g->next_page * GMEM_PAGE_SIZE, (uint64_t)n * GMEM_PAGE_SIZE));
        g->next_page += n;
}

static _unused_ size_t fake_gpadl_header(struct vmbus_msg_gpadl_header *m, uint32_t relid,
        uint32_t handle, const uint64_t *pfns, uint32_t n) {
        uint32_t here = n < VMBUS_GPADL_HEADER_PFNS_MAX ? n : VMBUS_GPADL_HEADER_PFNS_MAX;
        *m = (struct vmbus_msg_gpadl_header){
                .header.type = le32_make(VMBUS_MSG_GPADL_HEADER),
                .relid = le32_make(relid),
                .gpadl = le32_make(handle),
                .range_buffer_size = le16_make((uint16_t)(8 + 8 * n)),
                .range_count = le16_make(1),
                .byte_count = le32_make(n * GMEM_PAGE_SIZE),
        };
        for (uint32_t i = 0; i < here; i++)
                m->pfns[i] = le64_make(pfns[i]);
        return offsetof(struct vmbus_msg_gpadl_header, pfns) + here * sizeof(le64);
}

/* Up to 28 page numbers; returns the size of the message. */
static _unused_ size_t fake_gpadl_body(struct vmbus_msg_gpadl_body *m, uint32_t handle,
        const uint64_t *pfns, uint32_t n, uint32_t *ret_taken) {
        uint32_t here = n < VMBUS_GPADL_BODY_PFNS_MAX ? n : VMBUS_GPADL_BODY_PFNS_MAX;
        *m = (struct vmbus_msg_gpadl_body){
                .header.type = le32_make(VMBUS_MSG_GPADL_BODY),
                .gpadl = le32_make(handle),
        };
        for (uint32_t i = 0; i < here; i++)
                m->pfns[i] = le64_make(pfns[i]);
        *ret_taken = here;
        return offsetof(struct vmbus_msg_gpadl_body, pfns) + here * sizeof(le64);
}

/* Header and bodies; returns the status of GPADL_CREATED. */
static _unused_ uint32_t fake_gpadl(
        struct fake_guest *g, uint32_t relid, uint32_t handle, const uint64_t *pfns, uint32_t n) {
        struct vmbus_msg_gpadl_header h;
        fake_tell(g, &h, fake_gpadl_header(&h, relid, handle, pfns, n));
        for (uint32_t done = VMBUS_GPADL_HEADER_PFNS_MAX, taken; done < n; done += taken) {
                struct vmbus_msg_gpadl_body b;
                size_t size = fake_gpadl_body(&b, handle, pfns + done, n - done, &taken);
                fake_tell(g, &b, size);
        }
        struct fake_message m = fake_expect(g, VMBUS_MSG_GPADL_CREATED, sizeof m.gpadl_created);
        ck_assert_uint_eq(le32_get(m.gpadl_created.relid), relid);
        ck_assert_uint_eq(le32_get(m.gpadl_created.gpadl), handle);
        return le32_get(m.gpadl_created.status);
}

static _unused_ void fake_ask_teardown(struct fake_guest *g, uint32_t relid, uint32_t handle) {
        struct vmbus_msg_gpadl_teardown m = {
                .header.type = le32_make(VMBUS_MSG_GPADL_TEARDOWN),
                .relid = le32_make(relid),
                .gpadl = le32_make(handle),
        };
        fake_tell(g, &m, sizeof m);
}

static _unused_ void fake_expect_torndown(struct fake_guest *g, uint32_t handle) {
        struct fake_message m = fake_expect(g, VMBUS_MSG_GPADL_TORNDOWN, sizeof m.gpadl_torndown);
        ck_assert_uint_eq(le32_get(m.gpadl_torndown.gpadl), handle);
}

/* Rings: the guest's ends. */

struct fake_ring {
        struct fake_guest *g;
        const uint64_t *pfns; /* the control page, then data */
        uint32_t size;        /* of the data */
};

struct fake_channel {
        struct fake_guest *g;
        uint32_t relid, connection_id, gpadl;
        uint32_t pages_up, pages_down;
        uint64_t *pfns;
        struct fake_ring up, down; /* guest → host, host → guest */
};

struct fake_packet {
        uint16_t type, flags;
        uint64_t transaction;
        uint32_t header_size, payload_size;
        uint8_t bytes[VMBUS_PACKET_SIZE_MAX]; /* header, then payload */
};

static _unused_ uint64_t fake_ring_field(const struct fake_ring *r, uint32_t field) {
        return r->pfns[0] * GMEM_PAGE_SIZE + field;
}

static _unused_ uint32_t fake_ring_get(const struct fake_ring *r, uint32_t field) {
        uint32_t v;
        assert_ok(gmem_load32(r->g->gm, fake_ring_field(r, field), &v));
        return v;
}

static _unused_ void fake_ring_set(const struct fake_ring *r, uint32_t field, uint32_t v) {
        assert_ok(gmem_store32(r->g->gm, fake_ring_field(r, field), v));
}

/* Copies between buf and the data, which wraps; returns the index behind. */
static _unused_ uint32_t fake_ring_copy(
        const struct fake_ring *r, uint32_t index, void *buf, uint32_t n, bool write) {
        for (uint8_t *p = buf; n > 0;) {
                uint32_t in_page = index % GMEM_PAGE_SIZE, piece = GMEM_PAGE_SIZE - in_page;
                if (piece > n)
                        piece = n;
                uint64_t gpa = r->pfns[1 + index / GMEM_PAGE_SIZE] * GMEM_PAGE_SIZE + in_page;
                assert_ok(write ? gmem_write(r->g->gm, gpa, p, piece)
                                : gmem_read(r->g->gm, gpa, p, piece));
                p += piece;
                n -= piece;
                index = (index + piece) % r->size;
        }
        return index;
}

/* A packet with these very descriptor fields at the write index; the index moves by `advance`
 * bytes. No check and no doorbell: this is the hostile guest's tool. */
static _unused_ void fake_write_raw(
        const struct fake_ring *r, const void *bytes, uint32_t n, uint32_t advance) {
        uint32_t w = fake_ring_get(r, VMBUS_RING_WRITE_INDEX);
        fake_ring_copy(r, w, (void *)(uintptr_t)bytes, n, true);
        fake_ring_set(r, VMBUS_RING_WRITE_INDEX, (w + advance) % r->size);
}

static _unused_ void fake_ring_doorbell(struct fake_channel *ch) {
        int fd = ch->g->doorbells[ch->connection_id];
        uint64_t one = 1;
        if (fd > 0)
                ck_assert_int_eq(write(fd, &one, sizeof one), sizeof one);
}

/* hv_ringbuffer_write(): false when there is no room. The doorbell rings when the host asks for it
 * and the ring was empty. */
static _unused_ bool fake_send(struct fake_channel *ch, uint16_t type, uint16_t flags,
        uint64_t transaction, const void *header, uint32_t header_size, const void *payload,
        uint32_t size) {
        const struct fake_ring *r = &ch->up;
        uint32_t w = fake_ring_get(r, VMBUS_RING_WRITE_INDEX), start = w;
        uint32_t read = fake_ring_get(r, VMBUS_RING_READ_INDEX);
        uint32_t room = read > w ? read - w : r->size - w + read;
        uint32_t length = (16 + header_size + size + 7) / 8 * 8;
        if (room <= length + 8)
                return false;
        struct vmbus_packet_descriptor d = {
                .type = le16_make(type),
                .offset8 = le16_make((uint16_t)((16 + header_size) / 8)),
                .length8 = le16_make((uint16_t)(length / 8)),
                .flags = le16_make(flags),
                .transaction = le64_make(transaction),
        };
        uint8_t zeros[8] = {0};
        le64 trailer = le64_make((uint64_t)start << 32);
        w = fake_ring_copy(r, w, &d, sizeof d, true);
        w = fake_ring_copy(r, w, (void *)(uintptr_t)header, header_size, true);
        w = fake_ring_copy(r, w, (void *)(uintptr_t)payload, size, true);
        w = fake_ring_copy(r, w, zeros, length - 16 - header_size - size, true);
        w = fake_ring_copy(r, w, &trailer, sizeof trailer, true);
        fake_ring_set(r, VMBUS_RING_WRITE_INDEX, w);
        if (fake_ring_get(r, VMBUS_RING_INTERRUPT_MASK) == 0 &&
                fake_ring_get(r, VMBUS_RING_READ_INDEX) == start)
                fake_ring_doorbell(ch);
        return true;
}

static _unused_ bool fake_send_inband(
        struct fake_channel *ch, uint64_t transaction, const void *payload, uint32_t size) {
        return fake_send(ch, VMBUS_PACKET_INBAND, 0, transaction, NULL, 0, payload, size);
}

/* hv_pkt_iter_first() to hv_pkt_iter_close() for one packet: false when the ring is empty. */
static _unused_ bool fake_receive(struct fake_channel *ch, struct fake_packet *ret) {
        const struct fake_ring *r = &ch->down;
        uint32_t read = fake_ring_get(r, VMBUS_RING_READ_INDEX), start = read;
        uint32_t w = fake_ring_get(r, VMBUS_RING_WRITE_INDEX);
        ck_assert(w < r->size && w % 8 == 0);
        if (w == read)
                return false;
        uint32_t used = w > read ? w - read : r->size - read + w;
        ck_assert_uint_ge(used, 24);
        struct vmbus_packet_descriptor d;
        le64 trailer;
        read = fake_ring_copy(r, read, &d, sizeof d, false);
        uint32_t offset = le16_get(d.offset8) * 8u, length = le16_get(d.length8) * 8u;
        ck_assert(offset >= 16 && offset <= length && length + 8 <= used);
        ck_assert_uint_le(length - 16, sizeof ret->bytes);
        *ret = (struct fake_packet){
                .type = le16_get(d.type),
                .flags = le16_get(d.flags),
                .transaction = le64_get(d.transaction),
                .header_size = offset - 16,
                .payload_size = length - offset,
        };
        read = fake_ring_copy(r, read, ret->bytes, length - 16, false);
        read = fake_ring_copy(r, read, &trailer, sizeof trailer, false);
        ck_assert_uint_eq(le64_get(trailer), (uint64_t)start << 32);
        fake_ring_set(r, VMBUS_RING_READ_INDEX, read);

        uint32_t pending = fake_ring_get(r, VMBUS_RING_PENDING_SEND_SIZE);
        w = fake_ring_get(r, VMBUS_RING_WRITE_INDEX);
        uint32_t room = read > w ? read - w : r->size - w + read;
        if (pending && room > pending && (int64_t)room - (length + 8) <= pending)
                fake_ring_doorbell(ch);
        return true;
}

static _unused_ void fake_rings_init(struct fake_channel *ch) {
        const struct fake_ring *rings[] = {&ch->up, &ch->down};
        for (int i = 0; i < 2; i++) {
                assert_ok(gmem_zero(ch->g->gm, fake_ring_field(rings[i], 0), GMEM_PAGE_SIZE));
                fake_ring_set(rings[i], VMBUS_RING_FEATURE_BITS, VMBUS_RING_FEATURE_PENDING_SEND);
        }
}

/* A channel's memory and GPADL, not open yet. Free with free(ch->pfns), free(ch). */
static _unused_ struct fake_channel *fake_prepare(struct fake_guest *g,
        const struct vmbus_msg_offer *offer, uint32_t pages_up, uint32_t pages_down) {
        struct fake_channel *ch = calloc(1, sizeof *ch);
        ck_assert_ptr_nonnull(ch);
        *ch = (struct fake_channel){
                .g = g,
                .relid = le32_get(offer->relid),
                .connection_id = le32_get(offer->connection_id),
                .gpadl = g->next_gpadl++,
                .pages_up = pages_up,
                .pages_down = pages_down,
                .pfns = calloc(pages_up + pages_down, sizeof(uint64_t)),
        };
        ck_assert_ptr_nonnull(ch->pfns);
        fake_pages(g, ch->pfns, pages_up + pages_down);
        ch->up = (struct fake_ring){g, ch->pfns, (pages_up - 1) * GMEM_PAGE_SIZE};
        ch->down = (struct fake_ring){g, ch->pfns + pages_up, (pages_down - 1) * GMEM_PAGE_SIZE};
        ck_assert_uint_eq(fake_gpadl(g, ch->relid, ch->gpadl, ch->pfns, pages_up + pages_down), 0);
        fake_rings_init(ch);
        return ch;
}

/* OPENCHANNEL with the user data given (NULL: zeros): the status of OPEN_RESULT. */
static _unused_ uint32_t fake_try_open(
        struct fake_channel *ch, uint32_t vp, const uint8_t user_data[VMBUS_USER_DATA_SIZE]) {
        struct vmbus_msg_open m = {
                .header.type = le32_make(VMBUS_MSG_OPEN),
                .relid = le32_make(ch->relid),
                .open_id = le32_make(ch->relid),
                .ring_gpadl = le32_make(ch->gpadl),
                .target_vp = le32_make(vp),
                .downstream_page = le32_make(ch->pages_up),
        };
        if (user_data)
                memcpy(m.user_data, user_data, sizeof m.user_data);
        fake_tell(ch->g, &m, sizeof m);
        struct fake_message r = fake_expect(ch->g, VMBUS_MSG_OPEN_RESULT, sizeof r.open_result);
        ck_assert_uint_eq(le32_get(r.open_result.relid), ch->relid);
        ck_assert_uint_eq(le32_get(r.open_result.open_id), ch->relid);
        return le32_get(r.open_result.status);
}

/* Rings of that many pages each, header page included, and a channel open on VP 0. */
static _unused_ struct fake_channel *fake_open(struct fake_guest *g,
        const struct vmbus_msg_offer *offer, uint32_t pages_up, uint32_t pages_down) {
        struct fake_channel *ch = fake_prepare(g, offer, pages_up, pages_down);
        ck_assert_uint_eq(fake_try_open(ch, 0, NULL), 0);
        return ch;
}

/* The guest's memory of it only. */
static _unused_ struct fake_channel *fake_forget(struct fake_channel *ch) {
        free(ch->pfns);
        free(ch);
        return NULL;
}

/* CLOSECHANNEL and the teardown of the ring's GPADL, as Linux closes. */
static _unused_ struct fake_channel *fake_close(struct fake_channel *ch) {
        fake_tell_relid(ch->g, VMBUS_MSG_CLOSE, ch->relid);
        fake_ask_teardown(ch->g, ch->relid, ch->gpadl);
        fake_expect_torndown(ch->g, ch->gpadl);
        return fake_forget(ch);
}
