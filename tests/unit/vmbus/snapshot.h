// SPDX-License-Identifier: MIT
/* A machine in the middle of everything, for the tests of save and restore. */
#pragma once
#include "base/rd.h"
#include "base/wr.h"
#include "echo.h"

enum { SNAPSHOT_MAX = 16 << 20, MACHINE_DEVICES = 8, HALF_DONE_PAGES = 60 };

/* Channels 1..8 of `e`: 1 open with data both ways, 2 open with a held GPADL that is being torn
 * down, 3 failed, 4 closed with a GPADL, 5 rescinded and not released, 6 released unasked, 7 with
 * an offer that waits, 8 a rescind that waits. `socket` is an open hvsocket. */
struct machine {
        struct fake_guest *g;
        struct echo e[MACHINE_DEVICES + 1];
        struct echo socket;
        struct fake_channel *ch[4]; /* of 1, 2, 3 and the hvsocket */
        uint64_t half[HALF_DONE_PAGES];
};

enum { MACHINE_HELD = 500, MACHINE_HALF = 501, MACHINE_WHOLE = 502 };

static const struct guid socket_type =
        GUID_MAKE(0x40000000, 0xfacb, 0x11e6, 0xbd58, 0x64006a7986d3);
static const struct guid socket_instance =
        GUID_MAKE(0xabcdef01, 0xfacb, 0x11e6, 0xbd58, 0x64006a7986d3);

static void machine_tl_connect(void *ctx, const struct guid *endpoint, const struct guid *service) {
        (void)ctx, (void)endpoint, (void)service;
}
static void machine_tl_reset(void *ctx) {
        (void)ctx;
}
static const struct vmbus_tl_ops machine_tl = {machine_tl_connect, machine_tl_reset};

static void machine_offer(struct machine *m, uint32_t first, uint32_t last) {
        for (uint32_t i = first; i <= last; i++)
                echo_offer(m->g, &m->e[i], i);
}

static _unused_ struct machine *machine_new(void) {
        struct machine *m = calloc(1, sizeof *m);
        ck_assert_ptr_nonnull(m);
        m->g = fake_guest_new(4);
        vmbus_set_tl(m->g->vmbus, &machine_tl, NULL);
        return m;
}

static _unused_ void machine_free(struct machine *m) {
        for (size_t i = 0; i < ARRAY_SIZE(m->ch); i++)
                if (m->ch[i])
                        fake_forget(m->ch[i]);
        fake_guest_free(m->g);
        free(m);
}

/* Into that state, paused. */
static _unused_ void machine_busy(struct machine *m) {
        struct fake_guest *g = m->g;
        machine_offer(m, 1, 6);
        machine_offer(m, 8, 8);
        ck_assert_uint_eq(fake_connect(g, VMBUS_VERSION_5_3), 7);
        uint8_t user_data[VMBUS_USER_DATA_SIZE] = {1, 2, 3};
        for (uint32_t i = 1; i <= 3; i++) {
                m->ch[i - 1] = fake_prepare(g, &g->offers[i], 2, 3);
                if (i == 2) {
                        uint64_t pfns[4];
                        fake_pages(g, pfns, 4);
                        ck_assert_uint_eq(fake_gpadl(g, 2, MACHINE_HELD, pfns, 4), 0);
                        m->e[2].get_handle = MACHINE_HELD;
                }
                ck_assert_uint_eq(fake_try_open(m->ch[i - 1], i, user_data), 0);
        }
        fake_ask_teardown(g, 2, MACHINE_HELD);
        fake_ring_set(&m->ch[2]->up, VMBUS_RING_WRITE_INDEX, 1);
        fake_ring_doorbell(m->ch[2]);
        fake_run(g);
        uint64_t pfns[30];
        fake_pages(g, pfns, 30);
        ck_assert_uint_eq(fake_gpadl(g, 4, MACHINE_WHOLE, pfns, 30), 0);
        vmbus_rescind(m->e[5].channel);
        fake_expect_rescind(g);
        fake_release(g, 6);

        struct vmbus_msg_tl_connect connect = {.header.type = le32_make(VMBUS_MSG_TL_CONNECT),
                .endpoint = socket_instance,
                .service = socket_type};
        fake_tell(g, &connect, 40);
        struct vmbus_offer offer = {.type = socket_type,
                .instance = socket_instance,
                .flags = VMBUS_OFFER_TLNPI,
                .name = "hvsocket"};
        assert_ok(vmbus_offer(g->vmbus, &offer, &echo_ops, &m->socket, &m->socket.channel));
        m->ch[3] = fake_open(g, fake_expect_offer(g), 2, 2);
        fake_tell(g, &connect, 40); /* stays undecided */

        /* Data: some taken, some not, some on the way to the guest. */
        m->e[1].keep = true;
        ck_assert(fake_send_inband(m->ch[0], 1, "taken", 5));
        fake_run(g);
        assert_ok(vmbus_send_inband(m->e[1].channel, 11, "under way", 9));
        m->e[1].lazy = true;
        ck_assert(fake_send_inband(m->ch[0], 2, "left", 4));
        ck_assert(fake_send_inband(m->ch[3], 3, "socket", 6));

        /* A GPADL half done, and the SINT full with answers and offers waiting. */
        fake_pages(g, m->half, HALF_DONE_PAGES);
        struct vmbus_msg_gpadl_header h;
        fake_tell(g, &h, fake_gpadl_header(&h, 1, MACHINE_HALF, m->half, HALF_DONE_PAGES));
        ck_assert(fake_send_inband(m->ch[0], 4, "later", 5));
        g->room = 0;
        fake_ask_teardown(g, 4, 12345);
        fake_ask_teardown(g, 4, MACHINE_WHOLE);
        machine_offer(m, 7, 7);
        vmbus_rescind(m->e[8].channel);
        vmbus_pause(g->vmbus);
        struct vmbus_msg_gpadl_body b;
        uint32_t taken;
        ck_assert_uint_eq(fake_post(g, &b,
                                  fake_gpadl_body(&b, MACHINE_HALF, m->half + 26,
                                          HALF_DONE_PAGES - 26, &taken)),
                0);
}

/* Resumes it. What the guest expects of that machine from here on, whichever process runs it. */
static _unused_ void machine_goes_on(struct machine *m) {
        struct fake_guest *g = m->g;
        static struct fake_packet p;
        m->e[1].packets = 0;
        m->e[1].keep = true;
        m->e[1].lazy = false;
        g->room = UINT32_MAX;
        vmbus_resume(g->vmbus);
        fake_run(g);
        fake_expect_torndown(g, 12345);
        fake_expect_torndown(g, MACHINE_WHOLE);
        ck_assert_uint_eq(le32_get(fake_expect_offer(g)->relid), 9);
        ck_assert_uint_eq(fake_expect_rescind(g), 7);
        fake_expect_silence(g);

        struct vmbus_msg_gpadl_body b;
        uint32_t taken;
        fake_tell(g, &b,
                fake_gpadl_body(&b, MACHINE_HALF, m->half + 54, HALF_DONE_PAGES - 54, &taken));
        struct fake_message r = fake_expect(g, VMBUS_MSG_GPADL_CREATED, sizeof r.gpadl_created);
        ck_assert_uint_eq(le32_get(r.gpadl_created.gpadl), MACHINE_HALF);
        ck_assert_uint_eq(le32_get(r.gpadl_created.relid), 1);
        ck_assert_uint_eq(le32_get(r.gpadl_created.status), 0);

        ck_assert(fake_receive(m->ch[0], &p));
        ck_assert_uint_eq(p.transaction, 11);
        ck_assert_mem_eq(p.bytes, "under way", 9);
        ck_assert_uint_eq(m->e[1].packets, 2);
        m->e[1].keep = false;
        unsigned signals = g->signals[1];
        ck_assert(fake_send_inband(m->ch[0], 21, "hello", 5));
        fake_run(g);
        ck_assert(fake_receive(m->ch[0], &p));
        ck_assert_uint_eq(p.transaction, 21);
        ck_assert_uint_eq(g->signals[1], signals + 1);
        ck_assert_uint_eq(g->signal_vp[1], 1);
        ck_assert(fake_receive(m->ch[3], &p));
        ck_assert_uint_eq(p.transaction, 3);

        vmbus_gpadl_put(m->e[2].channel, MACHINE_HELD);
        fake_expect_torndown(g, MACHINE_HELD);
        ck_assert(!vmbus_channel_is_open(m->e[3].channel));
        fake_tell_relid(g, VMBUS_MSG_CLOSE, 3);
        fake_rings_init(m->ch[2]);
        ck_assert_uint_eq(fake_try_open(m->ch[2], 0, NULL), 0);
        uint64_t ignored = vmbus_ignored(g->vmbus);
        fake_release(g, 5);
        fake_release(g, 7);
        ck_assert_uint_eq(vmbus_ignored(g->vmbus), ignored);
        vmbus_tl_result(g->vmbus, &socket_instance, &socket_type, 1); /* the undecided one */
        fake_expect(g, VMBUS_MSG_TL_RESULT, sizeof r.tl_result);
        vmbus_tl_result(g->vmbus, &socket_instance, &socket_type, 1);
        fake_expect_silence(g);
}
