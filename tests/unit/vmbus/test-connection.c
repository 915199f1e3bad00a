// SPDX-License-Identifier: MIT
#include "echo.h"

static const uint32_t versions[] = {VMBUS_VERSION_2_4, VMBUS_VERSION_3_0, VMBUS_VERSION_4_0,
        VMBUS_VERSION_4_1, VMBUS_VERSION_5_0, VMBUS_VERSION_5_1, VMBUS_VERSION_5_2,
        VMBUS_VERSION_5_3};

START_TEST(connects_at_every_version_from_2_4_to_5_3) {
        struct fake_guest *g = fake_guest_new(2);
        for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
                ck_assert(!vmbus_connected(g->vmbus));
                ck_assert_uint_eq(vmbus_version(g->vmbus), 0);
                fake_contact(g, versions[i]);
                ck_assert(vmbus_connected(g->vmbus));
                ck_assert_uint_eq(vmbus_version(g->vmbus), versions[i]);
                fake_unload(g);
        }
        fake_guest_free(g);
}
END_TEST

/* Trap 1: a guest that asks for what we do not speak is told so, and asks for less. */
START_TEST(answers_versions_that_it_does_not_speak) {
        struct fake_guest *g = fake_guest_new(2);
        const uint32_t others[] = {0, 1, 13, 0x00010000, 0x00010001, 0x00020003, 0x00020005,
                0x00030001, 0x00040002, 0x00050004, 0x00060000, UINT32_MAX};
        for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
                struct vmbus_msg_version_response r = fake_contact_at(g, others[i], 1);
                ck_assert_uint_eq(r.supported, 0);
                ck_assert(!vmbus_connected(g->vmbus));
        }
        fake_contact(g, VMBUS_VERSION_5_3);
        /* Asking for another ends what there was. */
        ck_assert_uint_eq(fake_contact_at(g, 0x00060000, 0).supported, 0);
        ck_assert(!vmbus_connected(g->vmbus));
        fake_guest_free(g);
}
END_TEST

/* Negative test 14: a VP, SINT or VTL that is not there. */
START_TEST(ignores_a_contact_that_it_cannot_answer) {
        struct fake_guest *g = fake_guest_new(2);
        struct echo e = {0};
        echo_offer(g, &e, 0);
        fake_connect(g, VMBUS_VERSION_5_3);
        const struct {
                uint32_t version, vp;
                uint8_t sint, vtl;
        } cases[] = {
                {VMBUS_VERSION_5_3, 2, VMBUS_SINT, 0},
                {VMBUS_VERSION_5_3, UINT32_MAX, VMBUS_SINT, 0},
                {VMBUS_VERSION_2_4, 2, 0, 0},
                {VMBUS_VERSION_5_3, 0, 16, 0},
                {VMBUS_VERSION_5_3, 0, 255, 0},
                {VMBUS_VERSION_5_0, 0, VMBUS_SINT, 1},
                {0x00060000, 0, 16, 0},
        };
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct vmbus_msg_initiate_contact m = {
                        .header.type = le32_make(VMBUS_MSG_INITIATE_CONTACT),
                        .version = le32_make(cases[i].version),
                        .target_vp = le32_make(cases[i].vp),
                        .sint = cases[i].sint,
                        .vtl = cases[i].vtl,
                };
                fake_tell(g, &m, sizeof m);
                fake_expect_silence(g);
                ck_assert_uint_eq(vmbus_ignored(g->vmbus), i + 1);
        }
        /* What there was goes on. */
        ck_assert_uint_eq(vmbus_version(g->vmbus), VMBUS_VERSION_5_3);
        fake_close(fake_open(g, &g->offers[1], 2, 2));
        fake_guest_free(g);
}
END_TEST

START_TEST(answers_on_the_sint_that_the_guest_names) {
        struct fake_guest *g = fake_guest_new(2);
        struct vmbus_msg_initiate_contact m = {
                .header.type = le32_make(VMBUS_MSG_INITIATE_CONTACT),
                .version = le32_make(VMBUS_VERSION_5_0),
                .target_vp = le32_make(1),
                .sint = 5,
        };
        fake_tell(g, &m, sizeof m);
        struct fake_message r = fake_expect(g, VMBUS_MSG_VERSION_RESPONSE, 16);
        ck_assert_uint_eq(r.vp, 1);
        ck_assert_uint_eq(r.sint, 5);
        fake_guest_free(g);
}
END_TEST

/* Everything that a connection had: one open channel, one failed, a GPADL, offers under way. */
static void live(struct fake_guest *g, struct echo e[3], struct fake_channel *ch[2]) {
        for (uint32_t i = 0; i < 3; i++) {
                e[i] = (struct echo){0};
                echo_offer(g, &e[i], i);
        }
        ck_assert_uint_eq(fake_connect(g, VMBUS_VERSION_5_3), 3);
        for (uint32_t i = 0; i < 2; i++)
                ch[i] = fake_open(g, &g->offers[i + 1], 2, 2);
        uint64_t pfns[40];
        fake_pages(g, pfns, 40);
        struct vmbus_msg_gpadl_header m;
        fake_tell(g, &m, fake_gpadl_header(&m, 3, 5, pfns, 40)); /* half done */
        fake_ring_set(&ch[1]->up, VMBUS_RING_WRITE_INDEX, 3);
        fake_ring_doorbell(ch[1]);
        fake_run(g);
        ck_assert_uint_eq(e[1].closes, 1);
}

static void check_dead(struct fake_guest *g, struct echo e[3], struct fake_channel *ch[2]) {
        for (uint32_t i = 0; i < 3; i++) {
                ck_assert_uint_eq(e[i].closes, i < 2 ? 1 : 0);
                ck_assert_uint_eq(e[i].releases, 0);
                ck_assert(!vmbus_channel_is_open(e[i].channel));
        }
        ck_assert_uint_eq(g->n_doorbells, 0);
        for (uint32_t i = 0; i < 2; i++)
                fake_forget(ch[i]);
}

/* All of it works again after the next contact, with GPADL handles that were in use before. */
static void check_again(struct fake_guest *g, struct echo e[3]) {
        g->next_gpadl = FAKE_FIRST_GPADL;
        ck_assert_uint_eq(fake_request_offers(g), 3);
        for (uint32_t i = 0; i < 3; i++) {
                struct fake_channel *ch = fake_open(g, &g->offers[i + 1], 2, 2);
                ck_assert(fake_send_inband(ch, i, "x", 1));
                fake_run(g);
                ck_assert_uint_eq(e[i].packets, 1);
                fake_close(ch);
        }
        fake_guest_free(g);
        for (uint32_t i = 0; i < 3; i++)
                ck_assert_uint_eq(e[i].releases, 1);
}

START_TEST(unload_ends_everything) {
        struct fake_guest *g = fake_guest_new(2);
        struct echo e[3];
        struct fake_channel *ch[2];
        live(g, e, ch);
        fake_unload(g);
        check_dead(g, e, ch);
        ck_assert(!vmbus_connected(g->vmbus));
        fake_unload(g); /* again: a guest that panics while it unloads */
        fake_contact(g, VMBUS_VERSION_5_3);
        check_again(g, e);
}
END_TEST

START_TEST(a_contact_while_connected_starts_over) {
        struct fake_guest *g = fake_guest_new(2);
        struct echo e[3];
        struct fake_channel *ch[2];
        live(g, e, ch);
        fake_contact(g, VMBUS_VERSION_4_0);
        check_dead(g, e, ch);
        check_again(g, e);
}
END_TEST

START_TEST(a_reset_of_the_machine_ends_everything_without_a_word) {
        struct fake_guest *g = fake_guest_new(2);
        struct echo e[3];
        struct fake_channel *ch[2];
        live(g, e, ch);
        struct vmbus_msg_header m = {.type = le32_make(VMBUS_MSG_REQUEST_OFFERS)};
        ck_assert_uint_eq(fake_post(g, &m, sizeof m), 0); /* still in the inbox */
        vmbus_reset(g->vmbus);
        fake_run(g);
        fake_expect_silence(g);
        check_dead(g, e, ch);
        ck_assert(!vmbus_connected(g->vmbus));
        fake_contact(g, VMBUS_VERSION_5_3);
        check_again(g, e);
}
END_TEST

START_TEST(unload_drops_what_waits_to_be_posted) {
        struct fake_guest *g = fake_guest_new(2);
        struct echo e[3] = {0};
        for (uint32_t i = 0; i < 3; i++)
                echo_offer(g, &e[i], i);
        fake_contact(g, VMBUS_VERSION_5_3);
        g->room = 1;
        struct vmbus_msg_header m = {.type = le32_make(VMBUS_MSG_REQUEST_OFFERS)};
        fake_tell(g, &m, sizeof m);
        fake_expect_offer(g);
        m.type = le32_make(VMBUS_MSG_UNLOAD);
        fake_tell(g, &m, sizeof m);
        fake_expect_silence(g);
        g->room = UINT32_MAX;
        vmbus_slot_free(g->vmbus);
        fake_run(g);
        fake_expect(g, VMBUS_MSG_UNLOAD_RESPONSE, 8);
        fake_expect_silence(g);
        fake_guest_free(g);
}
END_TEST

START_TEST(hvsocket_and_sub_channels_do_not_outlive_the_connection) {
        struct fake_guest *g = fake_guest_new(2);
        struct echo e[3] = {0};
        struct vmbus_offer offer = {.type = echo_type, .name = "echo"};
        assert_ok(vmbus_offer(g->vmbus, &offer, &echo_ops, &e[0], &e[0].channel));
        fake_connect(g, VMBUS_VERSION_5_3);
        offer.sub_channel_index = 1;
        assert_ok(vmbus_offer(g->vmbus, &offer, &echo_ops, &e[1], &e[1].channel));
        offer.sub_channel_index = 0;
        offer.flags = VMBUS_OFFER_TLNPI | VMBUS_OFFER_NAMED_PIPE | VMBUS_OFFER_ENUMERATE;
        guid_set_data1(&offer.instance, 9);
        assert_ok(vmbus_offer(g->vmbus, &offer, &echo_ops, &e[2], &e[2].channel));
        ck_assert_uint_eq(le16_get(fake_expect_offer(g)->sub_channel_index), 1);
        struct fake_channel *ch = fake_open(g, fake_expect_offer(g), 2, 2);
        fake_contact(g, VMBUS_VERSION_5_3);
        ck_assert_uint_eq(e[2].closes, 1);
        ck_assert_uint_eq(e[0].releases, 0);
        ck_assert_uint_eq(e[1].releases, 1);
        ck_assert_uint_eq(e[2].releases, 1);
        ck_assert_uint_eq(fake_request_offers(g), 1);
        fake_forget(ch);
        fake_guest_free(g);
}
END_TEST

/* A guest that never answered a rescind is not waited for beyond its connection. */
START_TEST(what_was_taken_back_goes_with_the_connection) {
        struct fake_guest *g = fake_guest_new(2);
        struct echo e[2] = {0};
        echo_offer(g, &e[0], 0);
        echo_offer(g, &e[1], 1);
        fake_connect(g, VMBUS_VERSION_5_3);
        vmbus_rescind(e[0].channel);
        fake_expect_rescind(g);
        g->room = 0;
        vmbus_rescind(e[1].channel); /* not told yet */
        ck_assert_uint_eq(e[0].releases + e[1].releases, 0);
        vmbus_reset(g->vmbus);
        ck_assert_uint_eq(e[0].releases + e[1].releases, 2);
        g->room = 10;
        fake_contact(g, VMBUS_VERSION_5_3);
        ck_assert_uint_eq(fake_request_offers(g), 0);
        fake_guest_free(g);
}
END_TEST

static unsigned tl_resets;
static void on_tl_connect(void *ctx, const struct guid *endpoint, const struct guid *service) {
        (void)ctx, (void)endpoint, (void)service;
}
static void on_tl_reset(void *ctx) {
        (void)ctx;
        tl_resets++;
}

START_TEST(tells_hvsocket_once_that_the_connection_ended) {
        static const struct vmbus_tl_ops ops = {on_tl_connect, on_tl_reset};
        struct fake_guest *g = fake_guest_new(2);
        tl_resets = 0;
        vmbus_set_tl(g->vmbus, &ops, NULL);
        fake_contact(g, VMBUS_VERSION_5_3);
        ck_assert_uint_eq(tl_resets, 0);
        fake_contact(g, VMBUS_VERSION_5_3);
        ck_assert_uint_eq(tl_resets, 1);
        fake_unload(g);
        ck_assert_uint_eq(tl_resets, 2);
        vmbus_reset(g->vmbus);
        fake_guest_free(g);
        ck_assert_uint_eq(tl_resets, 2);
}
END_TEST

TEST_MAIN("connection", connects_at_every_version_from_2_4_to_5_3,
        answers_versions_that_it_does_not_speak, ignores_a_contact_that_it_cannot_answer,
        answers_on_the_sint_that_the_guest_names, unload_ends_everything,
        a_contact_while_connected_starts_over,
        a_reset_of_the_machine_ends_everything_without_a_word, unload_drops_what_waits_to_be_posted,
        hvsocket_and_sub_channels_do_not_outlive_the_connection,
        what_was_taken_back_goes_with_the_connection, tells_hvsocket_once_that_the_connection_ended)
