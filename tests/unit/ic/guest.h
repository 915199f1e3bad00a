// SPDX-License-Identifier: MIT
/* A guest with hv_utils as Linux 6.1 has it (drivers/hv/hv_util.c): rings of four pages each, one
 * packet at a time, the answer in the same bytes. */
#pragma once
#include "base/clock.h"
#include "base/fault.h"
#include "ic/internal.h"
#include "../vmbus/fake-guest.h"

enum { HV_UTILS_PAGES = 4, PACKET_MAX = 4096 };

struct icg {
        struct fake_guest *g;
        struct ic *ic;
        uint64_t filetime, reference;
        unsigned problems;
        const char *what;
        unsigned dones;
        int done;
};

static void icg_time(void *ctx, uint64_t *ret_filetime, uint64_t *ret_reference) {
        struct icg *i = ctx;
        *ret_filetime = i->filetime;
        *ret_reference = i->reference;
}

static void icg_problem(void *ctx, const char *device, const char *what) {
        struct icg *i = ctx;
        (void)device;
        i->problems++;
        i->what = what;
}

static _unused_ void icg_done(void *ctx, int r) {
        struct icg *i = ctx;
        i->dones++;
        i->done = r;
}

static const struct ic_ops icg_ops = {.time = icg_time, .problem = icg_problem};

static _unused_ struct icg *icg_new(void) {
        struct icg *i = calloc(1, sizeof *i);
        ck_assert_ptr_nonnull(i);
        i->g = fake_guest_new(1);
        i->filetime = CLOCK_FILETIME_UNIX_EPOCH + 42;
        i->reference = 7777;
        i->done = 1;
        assert_error(ic_new(i->g->vmbus, i->g->loop, &icg_ops, i, &i->ic), 0);
        return i;
}

static _unused_ struct icg *icg_free(struct icg *i) {
        i->g->vmbus = vmbus_free(i->g->vmbus);
        ic_free(i->ic);
        fake_guest_free(i->g);
        free(i);
        return NULL;
}

static _unused_ struct fake_channel *icg_open(struct icg *i, const struct ic_service *service) {
        if (!vmbus_connected(i->g->vmbus))
                ck_assert_uint_eq(fake_connect(i->g, VMBUS_VERSION_5_3), 3);
        struct fake_channel *ch = fake_open(
                i->g, fake_offer_of(i->g, &service->type), HV_UTILS_PAGES, HV_UTILS_PAGES);
        fake_run(i->g);
        return ch;
}

/* The request that must be the only packet in the ring. */
struct request {
        uint8_t bytes[PACKET_MAX];
        uint32_t size; /* padded, as vmbus_recvpacket() tells it */
        struct ic_message message;
};

static _unused_ struct request *icg_receive(struct fake_channel *ch) {
        static struct fake_packet p;
        static struct request request;
        ck_assert(fake_receive(ch, &p));
        ck_assert_uint_eq(p.type, VMBUS_PACKET_INBAND);
        ck_assert_uint_le(p.payload_size, PACKET_MAX);
        request.size = p.payload_size;
        memcpy(request.bytes, p.bytes, p.payload_size);
        assert_ok(ic_parse(request.bytes, request.size, &request.message));
        ck_assert_uint_eq(request.message.flags, IC_FLAG_TRANSACTION | IC_FLAG_REQUEST);
        ck_assert_uint_eq(request.message.status, 0);
        ck_assert_uint_eq(fake_ring_get(&ch->down, VMBUS_RING_READ_INDEX),
                fake_ring_get(&ch->down, VMBUS_RING_WRITE_INDEX));
        return &request;
}

static _unused_ void icg_expect_silence(struct fake_channel *ch) {
        static struct fake_packet p;
        fake_run(ch->g);
        ck_assert(!fake_receive(ch, &p));
}

enum { OFF_STATUS = 20, OFF_TRANSACTION = 24, OFF_FLAGS = 25, OFF_BODY = 28 };

static _unused_ void icg_answer(struct fake_channel *ch, struct request *request) {
        request->bytes[OFF_FLAGS] = IC_FLAG_TRANSACTION | IC_FLAG_RESPONSE;
        ck_assert(fake_send_inband(ch, 0, request->bytes, request->size));
        fake_run(ch->g);
}

/* vmbus_prep_negotiate_resp(): the best of the guest's versions that the host offers. */
static _unused_ void icg_negotiate(
        struct fake_channel *ch, const struct ic_revision *versions, size_t n) {
        static const struct ic_revision frameworks[] = {{3, 0}, {1, 0}};
        struct request *request = icg_receive(ch);
        struct rd body = request->message.body;
        uint16_t n_framework, n_message, v[2];
        struct ic_revision framework = {0}, message = {0};
        ck_assert_uint_eq(request->message.type, IC_TYPE_NEGOTIATE);
        assert_ok(rd_le16(&body, &n_framework));
        assert_ok(rd_le16(&body, &n_message));
        assert_ok(rd_skip(&body, 4));
        ck_assert_uint_eq(rd_left(&body), 4u * (n_framework + n_message));
        for (unsigned i = 0; i < n_framework + n_message; i++) {
                assert_ok(rd_le16(&body, &v[0]));
                assert_ok(rd_le16(&body, &v[1]));
                bool is_message = i >= n_framework;
                const struct ic_revision *known = is_message ? versions : frameworks;
                struct ic_revision *chosen = is_message ? &message : &framework;
                for (size_t k = 0; k < (is_message ? n : 2); k++)
                        if (known[k].major == v[0] && known[k].minor == v[1] &&
                                (v[0] << 16 | v[1]) > (chosen->major << 16 | chosen->minor))
                                *chosen = known[k];
        }
        bool found = framework.major && message.major;
        struct wr wr = wr_make(request->bytes + OFF_BODY, 16);
        wr_le16(&wr, found);
        wr_le16(&wr, found);
        wr_le32(&wr, 0);
        wr_le16(&wr, framework.major);
        wr_le16(&wr, framework.minor);
        wr_le16(&wr, message.major);
        wr_le16(&wr, message.minor);
        request->bytes[18] = 16;
        icg_answer(ch, request);
}

/* Open, and agreed on versions: those of Linux 6.1 for this service. */
static _unused_ struct fake_channel *icg_ready(struct icg *i, const struct ic_service *service) {
        static const struct ic_revision shutdown[] = {{3, 2}, {3, 1}, {3, 0}, {1, 0}},
                                        timesync[] = {{4, 0}, {3, 0}, {1, 0}},
                                        heartbeat[] = {{3, 0}, {1, 0}};
        struct fake_channel *ch = icg_open(i, service);
        if (service == &ic_service_shutdown)
                icg_negotiate(ch, shutdown, ARRAY_SIZE(shutdown));
        else if (service == &ic_service_timesync)
                icg_negotiate(ch, timesync, ARRAY_SIZE(timesync));
        else
                icg_negotiate(ch, heartbeat, ARRAY_SIZE(heartbeat));
        return ch;
}
