// SPDX-License-Identifier: MIT
#include "echo.h"

static struct guid last_endpoint, last_service;
static unsigned connects;

static void on_connect(void *ctx, const struct guid *endpoint, const struct guid *service) {
        (void)ctx;
        connects++;
        last_endpoint = *endpoint;
        last_service = *service;
}

static void on_reset(void *ctx) {
        (void)ctx;
}

static const struct vmbus_tl_ops ops = {on_connect, on_reset};
static const struct guid endpoint = GUID_MAKE(0x1234, 0xfacb, 0x11e6, 0xbd58, 0x64006a7986d3);
static const struct guid service = GUID_MAKE(0x40000000, 0xfacb, 0x11e6, 0xbd58, 0x64006a7986d3);

static struct fake_guest *setup(uint32_t version) {
        struct fake_guest *g = fake_guest_new(1);
        connects = 0;
        vmbus_set_tl(g->vmbus, &ops, NULL);
        fake_connect(g, version);
        return g;
}

static void dial(struct fake_guest *g, size_t size) {
        struct vmbus_msg_tl_connect m = {.header.type = le32_make(VMBUS_MSG_TL_CONNECT),
                .endpoint = endpoint,
                .service = service,
                .silo = {{9}}};
        fake_tell(g, &m, size);
}

static void expect_refusal(struct fake_guest *g, uint32_t status) {
        struct fake_message m = fake_expect(g, VMBUS_MSG_TL_RESULT, sizeof m.tl_result);
        ck_assert(guid_equal(&m.tl_result.endpoint, &endpoint));
        ck_assert(guid_equal(&m.tl_result.service, &service));
        ck_assert_uint_eq(le32_get(m.tl_result.status), status);
}

START_TEST(passes_a_connect_to_its_owner_and_his_refusal_back) {
        struct fake_guest *g = setup(VMBUS_VERSION_5_3);
        const size_t sizes[] = {40, 56};
        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
                dial(g, sizes[i]);
                ck_assert_uint_eq(connects, i + 1);
                ck_assert(guid_equal(&last_endpoint, &endpoint));
                ck_assert(guid_equal(&last_service, &service));
                fake_expect_silence(g);
                vmbus_tl_result(g->vmbus, &endpoint, &service, 0xC0000123);
                expect_refusal(g, 0xC0000123);
        }
        /* Nobody asked. */
        vmbus_tl_result(g->vmbus, &endpoint, &service, 0xC0000123);
        fake_expect_silence(g);
        fake_guest_free(g);
}
END_TEST

START_TEST(refuses_when_nobody_serves_hvsockets) {
        struct fake_guest *g = fake_guest_new(1);
        fake_connect(g, VMBUS_VERSION_5_3);
        dial(g, 40);
        expect_refusal(g, VMBUS_STATUS_CONNECTION_REFUSED);
        fake_guest_free(g);
}
END_TEST

START_TEST(says_nothing_to_guests_that_know_no_refusal) {
        struct fake_guest *g = setup(VMBUS_VERSION_4_0);
        dial(g, 40);
        ck_assert_uint_eq(connects, 1);
        vmbus_tl_result(g->vmbus, &endpoint, &service, 0xC0000123);
        fake_run(g);
        fake_expect_silence(g);
        fake_guest_free(g);
}
END_TEST

START_TEST(a_new_connection_knows_nothing_of_old_connects) {
        struct fake_guest *g = setup(VMBUS_VERSION_5_3);
        dial(g, 40);
        fake_connect(g, VMBUS_VERSION_5_3);
        vmbus_tl_result(g->vmbus, &endpoint, &service, 0xC0000123);
        fake_expect_silence(g);
        fake_guest_free(g);
}
END_TEST

/* Negative test 11: a guest that dials and dials. All are answered, none is stored beyond what is
 * reserved, whether the owner decides before or after the outbox stands full. */
START_TEST(leaves_so_many_undecided_and_refuses_the_rest) {
        struct fake_guest *g = setup(VMBUS_VERSION_5_3);
        for (unsigned i = 0; i < VMBUS_TL_PENDING_MAX; i++)
                dial(g, 40);
        ck_assert_uint_eq(connects, VMBUS_TL_PENDING_MAX);
        fake_expect_silence(g);
        dial(g, 40);
        ck_assert_uint_eq(connects, VMBUS_TL_PENDING_MAX);
        expect_refusal(g, VMBUS_STATUS_CONNECTION_REFUSED);
        /* The outbox fills with answers to others, then all the undecided are refused. */
        g->room = 0;
        unsigned posted = 0, got = 0;
        struct vmbus_msg_tl_connect m = {.header.type = le32_make(VMBUS_MSG_TL_CONNECT),
                .endpoint = endpoint,
                .service = service};
        while (fake_post(g, &m, 40) == 0) {
                posted++;
                fake_run(g);
        }
        ck_assert_uint_eq(posted, VMBUS_OUTBOX_MAX + VMBUS_INBOX_MAX);
        for (unsigned i = 0; i < VMBUS_TL_PENDING_MAX; i++)
                vmbus_tl_result(g->vmbus, &endpoint, &service, 0xC0000123);
        g->room = UINT32_MAX;
        vmbus_slot_free(g->vmbus);
        fake_run(g);
        struct fake_message r;
        while (fake_next(g, &r)) {
                ck_assert_uint_eq(le32_get(r.header.type), VMBUS_MSG_TL_RESULT);
                got++;
        }
        /* Those in the inbox were let through once there was room to decide. */
        ck_assert_uint_eq(got + connects, posted + 2 * VMBUS_TL_PENDING_MAX);
        fake_guest_free(g);
}
END_TEST

START_TEST(an_offer_accepts_a_connect) {
        struct fake_guest *g = setup(VMBUS_VERSION_5_3);
        struct echo e[2] = {0};
        dial(g, 40);
        struct vmbus_offer offer = {.type = service,
                .instance = endpoint,
                .flags = VMBUS_OFFER_TLNPI,
                .name = "hvsocket"};
        offer.user_defined[4] = 1; /* the host dials: no answer to anything */
        assert_ok(vmbus_offer(g->vmbus, &offer, &echo_ops, &e[0], &e[0].channel));
        fake_expect_offer(g);
        offer.user_defined[4] = 0;
        offer.instance.b[0]++;
        assert_ok(vmbus_offer(g->vmbus, &offer, &echo_ops, &e[1], &e[1].channel));
        fake_expect_offer(g);
        vmbus_tl_result(g->vmbus, &endpoint, &service, 0xC0000123); /* decided already */
        fake_expect_silence(g);
        fake_guest_free(g);
}
END_TEST

TEST_MAIN("tl", passes_a_connect_to_its_owner_and_his_refusal_back,
        refuses_when_nobody_serves_hvsockets, says_nothing_to_guests_that_know_no_refusal,
        a_new_connection_knows_nothing_of_old_connects,
        leaves_so_many_undecided_and_refuses_the_rest, an_offer_accepts_a_connect)
