// SPDX-License-Identifier: MIT
#include "base/fault.h"
#include "echo.h"

START_TEST(offers_say_what_the_device_said) {
        struct fake_guest *g = fake_guest_new(1);
        struct echo e = {0};
        struct vmbus_offer offer = {.type = echo_type,
                .instance = GUID_MAKE(1, 2, 3, 4, 5ull),
                .flags = VMBUS_OFFER_NAMED_PIPE,
                .mmio_megabytes = 64,
                .sub_channel_index = 3,
                .name = "echo"};
        for (size_t i = 0; i < sizeof offer.user_defined; i++)
                offer.user_defined[i] = (uint8_t)(i + 1);
        assert_ok(vmbus_offer(g->vmbus, &offer, &echo_ops, &e, &e.channel));
        fake_connect(g, VMBUS_VERSION_5_3);
        const struct vmbus_msg_offer *m = fake_offer_of(g, &echo_type);
        ck_assert(guid_equal(&m->type, &offer.type));
        ck_assert(guid_equal(&m->instance, &offer.instance));
        ck_assert_uint_eq(le16_get(m->flags), VMBUS_OFFER_NAMED_PIPE);
        ck_assert_uint_eq(le16_get(m->mmio_megabytes), 64);
        ck_assert_uint_eq(le16_get(m->sub_channel_index), 3);
        ck_assert_mem_eq(m->user_defined, offer.user_defined, sizeof offer.user_defined);
        ck_assert_uint_eq(le32_get(m->relid), vmbus_channel_relid(e.channel));
        ck_assert_uint_eq(le32_get(m->connection_id), 0x2000 + le32_get(m->relid));
        fake_guest_free(g);
}
END_TEST

/* The host dials a guest that boots. */
START_TEST(for_an_hvsocket_wait_for_the_guest_too) {
        struct fake_guest *g = fake_guest_new(1);
        struct echo e = {0};
        struct vmbus_offer offer = {.type = echo_type, .flags = VMBUS_OFFER_TLNPI, .name = "echo"};
        assert_ok(vmbus_offer(g->vmbus, &offer, &echo_ops, &e, &e.channel));
        vmbus_reset(g->vmbus);
        ck_assert_uint_eq(fake_connect(g, VMBUS_VERSION_5_3), 1);
        ck_assert_uint_eq(fake_connect(g, VMBUS_VERSION_5_3), 0);
        ck_assert_uint_eq(e.releases, 1);
        fake_guest_free(g);
}
END_TEST

START_TEST(wait_until_the_guest_asks) {
        struct fake_guest *g = fake_guest_new(1);
        struct echo e[3] = {0};
        echo_offer(g, &e[0], 0);
        fake_contact(g, VMBUS_VERSION_5_3);
        echo_offer(g, &e[1], 1);
        fake_run(g);
        fake_expect_silence(g);
        ck_assert_uint_eq(fake_request_offers(g), 2);
        echo_offer(g, &e[2], 2); /* now at once */
        fake_expect_offer(g);
        fake_expect_silence(g);
        ck_assert_uint_eq(fake_request_offers(g), 0); /* nothing twice, but an answer */
        fake_guest_free(g);
}
END_TEST

START_TEST(need_no_queue_however_many) {
        struct fake_guest *g = fake_guest_new(1);
        struct echo *e = calloc(VMBUS_CHANNELS_MAX, sizeof *e);
        for (uint32_t i = 0; i < VMBUS_CHANNELS_MAX; i++)
                echo_offer(g, &e[i], i);
        fake_contact(g, VMBUS_VERSION_5_3);
        /* One slot, freed message by message, as a SINT is without a queue. */
        g->room = 1;
        struct vmbus_msg_header m = {.type = le32_make(VMBUS_MSG_REQUEST_OFFERS)};
        fake_tell(g, &m, sizeof m);
        for (uint32_t i = 0; i < VMBUS_CHANNELS_MAX; i++) {
                ck_assert_uint_eq(le32_get(fake_expect_offer(g)->relid), i + 1);
                fake_expect_silence(g);
                g->room = 1;
                vmbus_slot_free(g->vmbus);
                assert_ok(io_loop_once(g->loop, 0));
        }
        fake_expect(g, VMBUS_MSG_OFFERS_DELIVERED, 8);
        fake_guest_free(g);
        free(e);
}
END_TEST

START_TEST(refuses_a_second_primary_of_one_instance) {
        struct fake_guest *g = fake_guest_new(1);
        struct echo e[3] = {0};
        struct vmbus_offer offer = {.type = echo_type, .name = "echo"};
        struct vmbus_channel *untouched = (struct vmbus_channel *)e;
        assert_ok(vmbus_offer(g->vmbus, &offer, &echo_ops, &e[0], &e[0].channel));
        assert_error(vmbus_offer(g->vmbus, &offer, &echo_ops, &e[1], &untouched), -EEXIST);
        ck_assert_ptr_eq(untouched, (struct vmbus_channel *)e);
        offer.sub_channel_index = 1;
        assert_ok(vmbus_offer(g->vmbus, &offer, &echo_ops, &e[1], &e[1].channel));
        offer.sub_channel_index = 0;
        offer.type = (struct guid){{1}};
        assert_ok(vmbus_offer(g->vmbus, &offer, &echo_ops, &e[2], &e[2].channel));
        fake_guest_free(g);
}
END_TEST

START_TEST(may_be_made_again_while_the_guest_lets_go_of_the_last) {
        struct fake_guest *g = fake_guest_new(1);
        struct echo e[2] = {0};
        echo_offer(g, &e[0], 0);
        fake_connect(g, VMBUS_VERSION_5_3);
        vmbus_rescind(e[0].channel);
        echo_offer(g, &e[1], 0);
        ck_assert_uint_eq(fake_expect_rescind(g), 1);
        ck_assert_uint_eq(le32_get(fake_expect_offer(g)->relid), 2);
        fake_guest_free(g);
}
END_TEST

START_TEST(release_at_once_what_the_guest_was_never_told) {
        struct fake_guest *g = fake_guest_new(1);
        struct echo e[2] = {0};
        echo_offer(g, &e[0], 0);
        vmbus_rescind(e[0].channel);
        ck_assert_uint_eq(e[0].releases, 1);
        fake_connect(g, VMBUS_VERSION_5_3);
        g->room = 0;
        echo_offer(g, &e[1], 1); /* waits to be posted */
        vmbus_rescind(e[1].channel);
        ck_assert_uint_eq(e[1].releases, 1);
        g->room = 10;
        vmbus_slot_free(g->vmbus);
        fake_run(g);
        fake_expect_silence(g);
        fake_guest_free(g);
}
END_TEST

/* Facts 3.4: a guest that has no driver for it releases the relid unasked. */
START_TEST(released_unasked_come_back_with_the_next_connection) {
        struct fake_guest *g = fake_guest_new(1);
        struct echo e = {0};
        echo_offer(g, &e, 0);
        fake_connect(g, VMBUS_VERSION_5_3);
        struct fake_channel *ch = fake_prepare(g, &g->offers[1], 2, 2);
        fake_release(g, 1);
        ck_assert_uint_eq(e.releases, 0);
        ck_assert_uint_ne(fake_try_open(ch, 0, NULL), 0);
        ck_assert_uint_ne(fake_gpadl(g, 1, 55, ch->pfns, 2), 0);
        fake_release(g, 1);
        ck_assert_uint_eq(vmbus_ignored(g->vmbus), 1);
        fake_forget(ch);
        ck_assert_uint_eq(fake_connect(g, VMBUS_VERSION_5_3), 1);
        fake_close(fake_open(g, &g->offers[1], 2, 2));
        fake_release(g, 1);
        vmbus_rescind(e.channel); /* nobody needs to be told */
        ck_assert_uint_eq(e.releases, 1);
        fake_expect_silence(g);
        fake_guest_free(g);
}
END_TEST

START_TEST(a_relid_of_an_open_channel_is_not_released) {
        struct fake_guest *g = fake_guest_new(1);
        struct echo e = {0};
        echo_offer(g, &e, 0);
        fake_connect(g, VMBUS_VERSION_5_3);
        struct fake_channel *ch = fake_open(g, &g->offers[1], 2, 2);
        fake_release(g, 1);
        ck_assert_uint_eq(vmbus_ignored(g->vmbus), 1);
        ck_assert(fake_send_inband(ch, 0, "x", 1));
        fake_run(g);
        ck_assert_uint_eq(e.packets, 1);
        fake_close(ch);
        fake_guest_free(g);
}
END_TEST

START_TEST(ignores_releases_of_relids_that_are_not_there) {
        struct fake_guest *g = fake_guest_new(1);
        fake_connect(g, VMBUS_VERSION_5_3);
        const uint32_t relids[] = {0, 1, VMBUS_RELID_MAX, VMBUS_RELID_MAX + 1, UINT32_MAX};
        for (size_t i = 0; i < ARRAY_SIZE(relids); i++)
                fake_release(g, relids[i]);
        ck_assert_uint_eq(vmbus_ignored(g->vmbus), ARRAY_SIZE(relids));
        fake_guest_free(g);
}
END_TEST

/* Thousands of short lives, as hvsockets have: relids come round, nothing is left behind. */
START_TEST(relids_are_used_again) {
        struct fake_guest *g = fake_guest_new(1);
        fake_connect(g, VMBUS_VERSION_5_3);
        for (uint32_t i = 0; i < 3 * VMBUS_RELID_MAX; i++) {
                struct echo e = {0};
                echo_offer(g, &e, i);
                uint32_t relid = le32_get(fake_expect_offer(g)->relid);
                ck_assert_uint_eq(relid, i % VMBUS_RELID_MAX + 1);
                vmbus_rescind(e.channel);
                fake_expect_rescind(g);
                struct vmbus_msg_relid m = {.header.type = le32_make(VMBUS_MSG_RELID_RELEASED),
                        .relid = le32_make(relid)};
                ck_assert_uint_eq(fake_post(g, &m, sizeof m), 0);
                assert_ok(io_loop_once(g->loop, 0));
                ck_assert_uint_eq(e.releases, 1);
        }
        fake_guest_free(g);
}
END_TEST

START_TEST(an_offer_without_memory_leaves_nothing) {
        struct fake_guest *g = fake_guest_new(1);
        struct echo e = {0};
        struct vmbus_offer offer = {.type = echo_type, .name = "echo"};
        fault_arm(FAULT_ALLOC, 1);
        assert_error(vmbus_offer(g->vmbus, &offer, &echo_ops, &e, &e.channel), -ENOMEM);
        fault_arm(FAULT_ALLOC, 0);
        ck_assert_ptr_null(e.channel);
        assert_ok(vmbus_offer(g->vmbus, &offer, &echo_ops, &e, &e.channel));
        fake_guest_free(g);
}
END_TEST

TEST_MAIN("offer", offers_say_what_the_device_said, for_an_hvsocket_wait_for_the_guest_too,
        wait_until_the_guest_asks, need_no_queue_however_many,
        refuses_a_second_primary_of_one_instance,
        may_be_made_again_while_the_guest_lets_go_of_the_last,
        release_at_once_what_the_guest_was_never_told,
        released_unasked_come_back_with_the_next_connection,
        a_relid_of_an_open_channel_is_not_released, ignores_releases_of_relids_that_are_not_there,
        relids_are_used_again, an_offer_without_memory_leaves_nothing)
