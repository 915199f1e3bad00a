// SPDX-License-Identifier: MIT
#include "base/fault.h"
#include "base/fd.h"
#include "echo.h"

START_TEST(opens_passes_packets_and_closes) {
        struct echo e;
        struct fake_guest *g = echo_setup(&e, VMBUS_VERSION_5_3);
        const struct vmbus_msg_offer *offer = fake_offer_of(g, &echo_type);
        ck_assert_uint_eq(le16_get(offer->dedicated_interrupt), 1);
        ck_assert_uint_eq(offer->monitor_allocated, 0);
        ck_assert_uint_eq(le16_get(offer->mmio_megabytes), 8);
        struct fake_channel *ch = fake_prepare(g, offer, 4, 3);
        uint8_t user_data[VMBUS_USER_DATA_SIZE];
        for (size_t i = 0; i < sizeof user_data; i++)
                user_data[i] = (uint8_t)i;
        ck_assert_uint_eq(fake_try_open(ch, 2, user_data), 0);
        ck_assert_uint_eq(e.opens, 1);
        ck_assert_mem_eq(e.user_data, user_data, sizeof user_data);
        ck_assert_uint_eq(vmbus_ring_size(e.channel), 3 * GMEM_PAGE_SIZE);
        ck_assert_uint_eq(vmbus_channel_relid(e.channel), ch->relid);
        ck_assert_uint_eq(guid_data1(vmbus_channel_instance(e.channel)), 1);

        ck_assert(fake_send_inband(ch, 77, "hello", 5));
        fake_run(g);
        ck_assert_uint_eq(e.packets, 1);
        ck_assert_uint_eq(g->signals[ch->relid], 1);
        ck_assert_uint_eq(g->signal_vp[ch->relid], 2);
        static struct fake_packet p;
        ck_assert(fake_receive(ch, &p));
        ck_assert_uint_eq(p.type, VMBUS_PACKET_COMPLETION);
        ck_assert_uint_eq(p.transaction, 77);
        ck_assert_uint_eq(p.payload_size, 8);
        ck_assert_mem_eq(p.bytes, "hello\0\0\0", 8);
        ck_assert(!fake_receive(ch, &p));

        fake_close(ch);
        ck_assert_uint_eq(e.closes, 1);
        ck_assert_uint_eq(g->n_doorbells, 0);
        ck_assert_uint_eq(vmbus_ignored(g->vmbus), 0);
        echo_teardown(g, &e);
}
END_TEST

static uint32_t open_with(
        struct fake_guest *g, uint32_t relid, uint32_t gpadl, uint32_t vp, uint32_t downstream) {
        struct vmbus_msg_open m = {
                .header.type = le32_make(VMBUS_MSG_OPEN),
                .relid = le32_make(relid),
                .open_id = le32_make(0xabcd),
                .ring_gpadl = le32_make(gpadl),
                .target_vp = le32_make(vp),
                .downstream_page = le32_make(downstream),
        };
        fake_tell(g, &m, sizeof m);
        struct fake_message r = fake_expect(g, VMBUS_MSG_OPEN_RESULT, sizeof r.open_result);
        ck_assert_uint_eq(le32_get(r.open_result.relid), relid);
        ck_assert_uint_eq(le32_get(r.open_result.open_id), 0xabcd);
        return le32_get(r.open_result.status);
}

static const uint32_t versions[] = {VMBUS_VERSION_2_4, VMBUS_VERSION_3_0, VMBUS_VERSION_4_0,
        VMBUS_VERSION_4_1, VMBUS_VERSION_5_0, VMBUS_VERSION_5_1, VMBUS_VERSION_5_2,
        VMBUS_VERSION_5_3};

START_TEST(opens_and_closes_again_and_again_at_every_version) {
        for (size_t v = 0; v < ARRAY_SIZE(versions); v++) {
                struct echo e;
                struct fake_guest *g = echo_setup(&e, versions[v]);
                static struct fake_packet p;
                for (unsigned i = 1; i <= 5; i++) {
                        struct fake_channel *ch = fake_open(g, fake_offer_of(g, &echo_type), 2, 2);
                        ck_assert(fake_send_inband(ch, i, "x", 1));
                        fake_run(g);
                        ck_assert(fake_receive(ch, &p));
                        ck_assert_uint_eq(p.transaction, i);
                        fake_close(ch);
                        ck_assert_uint_eq(e.opens, i);
                        ck_assert_uint_eq(e.closes, i);
                }
                echo_teardown(g, &e);
        }
}
END_TEST

/* Negative test 8: what was agreed on at OPENCHANNEL does not change under an open channel. */
START_TEST(refuses_to_open_again_while_open) {
        struct echo e;
        struct fake_guest *g = echo_setup(&e, VMBUS_VERSION_5_3);
        struct fake_channel *ch = fake_open(g, fake_offer_of(g, &echo_type), 4, 4);
        struct fake_channel *other = fake_prepare(g, fake_offer_of(g, &echo_type), 2, 2);
        ck_assert_uint_ne(fake_try_open(ch, 0, NULL), 0);
        ck_assert_uint_ne(fake_try_open(other, 0, NULL), 0);
        ck_assert_uint_eq(vmbus_ring_size(e.channel), 3 * GMEM_PAGE_SIZE);
        ck_assert(fake_send_inband(ch, 1, "x", 1));
        fake_run(g);
        ck_assert_uint_eq(e.packets, 1);
        ck_assert_uint_eq(e.opens, 1);
        fake_close(ch);
        /* Closed, it may. */
        ck_assert_uint_eq(fake_try_open(other, 0, NULL), 0);
        fake_close(other);
        echo_teardown(g, &e);
}
END_TEST

/* Negative tests 8 and 9: the ring stays until the channel closes. */
START_TEST(tears_no_ring_down_under_an_open_channel) {
        struct echo e;
        struct fake_guest *g = echo_setup(&e, VMBUS_VERSION_5_3);
        struct fake_channel *ch = fake_open(g, fake_offer_of(g, &echo_type), 4, 4);
        fake_ask_teardown(g, ch->relid, ch->gpadl);
        fake_expect_silence(g);
        /* Its handle is not free either. */
        ck_assert_uint_ne(fake_gpadl(g, ch->relid, ch->gpadl, ch->pfns, 2), 0);
        ck_assert(fake_send_inband(ch, 1, "x", 1));
        fake_run(g);
        ck_assert_uint_eq(e.packets, 1);
        fake_ask_teardown(g, ch->relid, ch->gpadl);
        ck_assert_uint_eq(vmbus_ignored(g->vmbus), 1);
        fake_expect_silence(g);
        fake_tell_relid(g, VMBUS_MSG_CLOSE, ch->relid);
        fake_expect_torndown(g, ch->gpadl);
        ck_assert_uint_ne(fake_try_open(ch, 0, NULL), 0);
        fake_forget(ch);
        echo_teardown(g, &e);
}
END_TEST

/* Negative test 9: teardown with I/O in flight. */
START_TEST(answers_a_teardown_when_the_device_lets_go) {
        struct echo e;
        struct fake_guest *g = echo_setup(&e, VMBUS_VERSION_5_3);
        struct fake_channel *ch = fake_open(g, fake_offer_of(g, &echo_type), 2, 2);
        uint64_t pfns[100];
        fake_pages(g, pfns, 100);
        ck_assert_uint_eq(fake_gpadl(g, ch->relid, 77, pfns, 100), 0);
        ck_assert_ptr_null(vmbus_gpadl_get(e.channel, 78));
        struct gmem_pages *pages = vmbus_gpadl_get(e.channel, 77);
        ck_assert_ptr_eq(vmbus_gpadl_get(e.channel, 77), pages);
        ck_assert_uint_eq(gmem_pages_size(pages), 100 * GMEM_PAGE_SIZE);
        vmbus_gpadl_put(e.channel, 77);
        fake_ask_teardown(g, ch->relid, 77);
        fake_expect_silence(g);
        ck_assert_ptr_null(vmbus_gpadl_get(e.channel, 77));
        gmem_pages_store32(pages, 99 * GMEM_PAGE_SIZE, 5); /* the transfer goes on */
        vmbus_gpadl_put(e.channel, 77);
        fake_expect_torndown(g, 77);
        vmbus_gpadl_put(e.channel, 77); /* one too many is none */
        vmbus_gpadl_put(e.channel, ch->gpadl);
        ck_assert(fake_send_inband(ch, 1, "x", 1));
        fake_run(g);
        ck_assert_uint_eq(e.packets, 1);
        fake_close(ch);
        echo_teardown(g, &e);
}
END_TEST

START_TEST(a_device_may_hold_its_buffers_across_a_close) {
        struct echo e;
        struct fake_guest *g = echo_setup(&e, VMBUS_VERSION_5_3);
        struct fake_channel *ch = fake_prepare(g, fake_offer_of(g, &echo_type), 2, 2);
        uint64_t pfns[4];
        fake_pages(g, pfns, 4);
        ck_assert_uint_eq(fake_gpadl(g, ch->relid, 77, pfns, 4), 0);
        e.get_handle = 77;
        ck_assert_uint_eq(fake_try_open(ch, 0, NULL), 0);
        ck_assert_ptr_nonnull(e.got);
        fake_close(ch);
        fake_ask_teardown(g, 1, 77);
        fake_expect_silence(g);
        /* What is being torn down is no ring for the next opening. */
        ck_assert_uint_ne(open_with(g, 1, 77, 0, 2), 0);
        gmem_pages_store32(e.got, 0, 1);
        vmbus_gpadl_put(e.channel, 77);
        fake_expect_torndown(g, 77);
        echo_teardown(g, &e);
}
END_TEST

START_TEST(answers_every_open_that_it_refuses) {
        struct echo e, second = {0};
        struct fake_guest *g = echo_setup(&e, VMBUS_VERSION_5_3);
        echo_offer(g, &second, 1);
        const struct vmbus_msg_offer *other = fake_expect_offer(g);
        struct fake_channel *theirs = fake_prepare(g, other, 2, 2);
        const struct vmbus_msg_offer *offer = &g->offers[1];
        struct fake_channel *ch = fake_prepare(g, offer, 4, 4);
        const struct {
                uint32_t relid, gpadl, vp, downstream;
        } cases[] = {
                {0, ch->gpadl, 0, 4},
                {3, ch->gpadl, 0, 4},
                {VMBUS_RELID_MAX, ch->gpadl, 0, 4},
                {VMBUS_RELID_MAX + 1, ch->gpadl, 0, 4},
                {UINT32_MAX, ch->gpadl, 0, 4},
                {ch->relid, ch->gpadl + 1, 0, 4},
                {ch->relid, theirs->gpadl, 0, 2}, /* another channel's */
                {ch->relid, 0, 0, 4},
                {ch->relid, ch->gpadl, 4, 4}, /* past the last VP */
                {ch->relid, ch->gpadl, UINT32_MAX - 1, 4},
                {ch->relid, ch->gpadl, 0, 0},
                {ch->relid, ch->gpadl, 0, 1},
                {ch->relid, ch->gpadl, 0, 7},
                {ch->relid, ch->gpadl, 0, 8},
                {ch->relid, ch->gpadl, 0, 9},
                {ch->relid, ch->gpadl, 0, UINT32_MAX},
                {ch->relid, ch->gpadl, 0, 0x100000},
        };
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                ck_assert_uint_ne(open_with(g, cases[i].relid, cases[i].gpadl, cases[i].vp,
                                          cases[i].downstream),
                        0);
        ck_assert_uint_eq(e.opens, 0);
        ck_assert_uint_eq(g->n_doorbells, 0);
        ck_assert_uint_eq(open_with(g, ch->relid, ch->gpadl, VMBUS_VP_NO_INTERRUPT, 6), 0);
        ck_assert_uint_eq(vmbus_ring_size(e.channel), 5 * GMEM_PAGE_SIZE);
        fake_forget(theirs);
        fake_close(ch);
        echo_teardown(g, &e);
}
END_TEST

START_TEST(refuses_to_open_at_an_index_that_is_bad) {
        struct echo e;
        struct fake_guest *g = echo_setup(&e, VMBUS_VERSION_5_3);
        struct fake_channel *ch = fake_prepare(g, fake_offer_of(g, &echo_type), 4, 4);
        fake_ring_set(&ch->up, VMBUS_RING_READ_INDEX, ch->up.size);
        ck_assert_uint_ne(fake_try_open(ch, 0, NULL), 0);
        fake_ring_set(&ch->up, VMBUS_RING_READ_INDEX, 0);
        fake_ring_set(&ch->down, VMBUS_RING_WRITE_INDEX, 4);
        ck_assert_uint_ne(fake_try_open(ch, 0, NULL), 0);
        fake_ring_set(&ch->down, VMBUS_RING_WRITE_INDEX, 0);
        ck_assert_uint_eq(e.opens, 0);
        ck_assert_uint_eq(fake_try_open(ch, 0, NULL), 0);
        fake_close(ch);
        echo_teardown(g, &e);
}
END_TEST

START_TEST(asks_for_doorbells_whatever_the_mask_was) {
        struct echo e;
        struct fake_guest *g = echo_setup(&e, VMBUS_VERSION_5_3);
        struct fake_channel *ch = fake_prepare(g, fake_offer_of(g, &echo_type), 4, 4);
        fake_ring_set(&ch->up, VMBUS_RING_INTERRUPT_MASK, 1);
        ck_assert_uint_eq(fake_try_open(ch, 0, NULL), 0);
        ck_assert(fake_send_inband(ch, 1, "x", 1));
        fake_run(g);
        ck_assert_uint_eq(e.packets, 1);
        fake_close(ch);
        echo_teardown(g, &e);
}
END_TEST

START_TEST(a_device_may_refuse_to_open) {
        struct echo e;
        struct fake_guest *g = echo_setup(&e, VMBUS_VERSION_5_3);
        struct fake_channel *ch = fake_prepare(g, fake_offer_of(g, &echo_type), 4, 4);
        e.refuse = 0xC0000022;
        ck_assert_uint_eq(fake_try_open(ch, 0, NULL), 0xC0000022);
        ck_assert_uint_eq(g->n_doorbells, 0);
        ck_assert(!vmbus_channel_is_open(e.channel));
        e.refuse = 0;
        ck_assert_uint_eq(fake_try_open(ch, 0, NULL), 0);
        fake_close(ch);
        ck_assert_uint_eq(e.opens, 2);
        ck_assert_uint_eq(e.closes, 1);
        echo_teardown(g, &e);
}
END_TEST

START_TEST(answers_want_of_resources_and_opens_later) {
        struct echo e;
        struct fake_guest *g = echo_setup(&e, VMBUS_VERSION_5_3);
        struct fake_channel *ch = fake_prepare(g, fake_offer_of(g, &echo_type), 4, 4);
        const enum fault_kind kinds[] = {FAULT_ALLOC, FAULT_FD};
        for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
                for (unsigned n = 1;; n++) {
                        fault_arm(kinds[k], n);
                        uint32_t status = fake_try_open(ch, 0, NULL);
                        bool fired = fault_fired(kinds[k]);
                        fault_arm(kinds[k], 0);
                        ck_assert_uint_eq(status, fired ? VMBUS_STATUS_INSUFFICIENT_RESOURCES : 0);
                        if (!fired) {
                                ck_assert_uint_gt(n, 1);
                                break;
                        }
                        ck_assert_uint_eq(g->n_doorbells, 0);
                }
                fake_tell_relid(g, VMBUS_MSG_CLOSE, ch->relid);
        }
        g->bind_fault = -EEXIST;
        ck_assert_uint_eq(fake_try_open(ch, 0, NULL), VMBUS_STATUS_INSUFFICIENT_RESOURCES);
        g->bind_fault = 0;
        ck_assert_uint_eq(fake_try_open(ch, 0, NULL), 0);
        fake_close(ch);
        echo_teardown(g, &e);
}
END_TEST

START_TEST(fails_one_channel_on_a_corrupt_ring_until_it_opens_again) {
        struct echo e, second = {0};
        struct fake_guest *g = echo_setup(&e, VMBUS_VERSION_5_3);
        echo_offer(g, &second, 1);
        struct fake_channel *good = fake_open(g, fake_expect_offer(g), 2, 2);
        struct fake_channel *ch = fake_open(g, &g->offers[1], 2, 2);
        fake_ring_set(&ch->up, VMBUS_RING_WRITE_INDEX, 0xfffffff8);
        fake_ring_doorbell(ch);
        fake_run(g);
        ck_assert_uint_eq(e.closes, 1);
        ck_assert_uint_eq(g->problems, 1);
        ck_assert_uint_eq(g->n_doorbells, 1);
        fake_expect_silence(g);
        ck_assert(fake_send_inband(good, 1, "x", 1));
        fake_run(g);
        ck_assert_uint_eq(second.packets, 1);
        /* To the guest it is open: it must close it first, and then all is well. */
        ck_assert_uint_ne(fake_try_open(ch, 0, NULL), 0);
        fake_tell_relid(g, VMBUS_MSG_CLOSE, ch->relid);
        ck_assert_uint_eq(e.closes, 1);
        fake_rings_init(ch);
        ck_assert_uint_eq(fake_try_open(ch, 0, NULL), 0);
        ck_assert(fake_send_inband(ch, 1, "x", 1));
        fake_run(g);
        ck_assert_uint_eq(e.packets, 1);
        fake_close(ch);
        fake_close(good);
        echo_teardown(g, &e);
}
END_TEST

START_TEST(a_bad_read_index_fails_the_sender) {
        struct echo e;
        struct fake_guest *g = echo_setup(&e, VMBUS_VERSION_5_3);
        struct fake_channel *ch = fake_open(g, &g->offers[1], 2, 2);
        fake_ring_set(&ch->down, VMBUS_RING_READ_INDEX, 12);
        ck_assert_int_eq(vmbus_send_inband(e.channel, 0, "x", 1), VMBUS_E_CLOSED);
        ck_assert_uint_eq(e.closes, 0); /* not from inside */
        /* The guest's close overtakes ours: it is told once all the same. */
        fake_tell_relid(g, VMBUS_MSG_CLOSE, ch->relid);
        fake_run(g);
        ck_assert_uint_eq(e.closes, 1);
        ck_assert_uint_eq(g->problems, 1);
        fake_forget(ch);
        echo_teardown(g, &e);
}
END_TEST

START_TEST(moves_its_interrupts_to_another_vp) {
        for (size_t v = 0; v < ARRAY_SIZE(versions); v++) {
                struct echo e;
                struct fake_guest *g = echo_setup(&e, versions[v]);
                struct fake_channel *ch = fake_open(g, &g->offers[1], 2, 2);
                static struct fake_packet p;
                const struct {
                        uint32_t relid, vp;
                        bool good;
                } cases[] = {{ch->relid, 3, true}, {ch->relid, 4, false},
                        {ch->relid, UINT32_MAX - 1, false}, {2, 1, false}, {5000, 1, false},
                        {ch->relid, 1, true}};
                for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                        struct vmbus_msg_modify_channel m = {
                                .header.type = le32_make(VMBUS_MSG_MODIFY_CHANNEL),
                                .relid = le32_make(cases[i].relid),
                                .target_vp = le32_make(cases[i].vp),
                        };
                        fake_tell(g, &m, sizeof m);
                        if (versions[v] < VMBUS_VERSION_5_3)
                                continue; /* no answer */
                        struct fake_message r =
                                fake_expect(g, VMBUS_MSG_MODIFY_RESPONSE, sizeof r.modify_response);
                        ck_assert_uint_eq(le32_get(r.modify_response.relid), cases[i].relid);
                        ck_assert_int_eq(le32_get(r.modify_response.status) == 0, cases[i].good);
                }
                assert_ok(vmbus_send_inband(e.channel, 0, "x", 1));
                ck_assert_uint_eq(g->signals[ch->relid], 1);
                ck_assert_uint_eq(g->signal_vp[ch->relid], versions[v] < VMBUS_VERSION_4_1 ? 0 : 1);
                ck_assert_uint_eq(vmbus_ignored(g->vmbus), versions[v] < VMBUS_VERSION_4_1   ? 6
                                                           : versions[v] < VMBUS_VERSION_5_3 ? 4
                                                                                             : 0);
                ck_assert(fake_receive(ch, &p));
                fake_close(ch);
                echo_teardown(g, &e);
        }
}
END_TEST

START_TEST(stays_silent_for_a_channel_without_interrupts) {
        struct echo e;
        struct fake_guest *g = echo_setup(&e, VMBUS_VERSION_5_3);
        struct fake_channel *ch = fake_prepare(g, &g->offers[1], 2, 2);
        static struct fake_packet p;
        ck_assert_uint_eq(fake_try_open(ch, VMBUS_VP_NO_INTERRUPT, NULL), 0);
        assert_ok(vmbus_send_inband(e.channel, 0, "x", 1));
        ck_assert_uint_eq(g->signals[ch->relid], 0);
        ck_assert(fake_receive(ch, &p));
        fake_close(ch);
        echo_teardown(g, &e);
}
END_TEST

/* Facts 3.6: RESCIND, then CLOSECHANNEL, no teardown, RELID_RELEASED. */
START_TEST(is_taken_back_and_released) {
        struct echo e;
        struct fake_guest *g = echo_setup(&e, VMBUS_VERSION_5_3);
        struct fake_channel *ch = fake_open(g, &g->offers[1], 2, 2);
        vmbus_rescind(e.channel);
        ck_assert(!vmbus_channel_is_open(e.channel));
        ck_assert_uint_eq(g->n_doorbells, 0);
        ck_assert_uint_eq(fake_expect_rescind(g), ch->relid);
        vmbus_rescind(e.channel); /* once is enough */
        fake_expect_silence(g);
        ck_assert_uint_ne(fake_try_open(ch, 0, NULL), 0);
        ck_assert_uint_ne(fake_gpadl(g, ch->relid, 99, ch->pfns, 2), 0);
        fake_tell_relid(g, VMBUS_MSG_CLOSE, ch->relid);
        ck_assert_uint_eq(e.closes, 0);
        ck_assert_uint_eq(e.releases, 0);
        fake_release(g, ch->relid);
        ck_assert_uint_eq(e.releases, 1);
        ck_assert_uint_eq(vmbus_ignored(g->vmbus), 0);
        /* Its GPADL is gone: the handle may be used for another channel. */
        struct echo next = {0};
        echo_offer(g, &next, 0);
        uint32_t relid = le32_get(fake_expect_offer(g)->relid);
        ck_assert_uint_ne(relid, ch->relid);
        ck_assert_uint_eq(fake_gpadl(g, relid, ch->gpadl, ch->pfns, 2), 0);
        fake_release(g, ch->relid);
        ck_assert_uint_eq(vmbus_ignored(g->vmbus), 1);
        fake_forget(ch);
        echo_teardown(g, &e);
        ck_assert_uint_eq(next.releases, 1);
}
END_TEST

START_TEST(is_taken_back_from_inside_any_callback) {
        for (int when = 0; when < 3; when++) {
                struct echo e;
                struct fake_guest *g = echo_setup(&e, VMBUS_VERSION_5_3);
                e.rescind_in_open = when == 0;
                e.rescind_in_ready = when == 1;
                e.rescind_in_close = when == 2;
                struct fake_channel *ch = fake_prepare(g, &g->offers[1], 2, 2);
                struct fake_message m;
                struct vmbus_msg_open open = {
                        .header.type = le32_make(VMBUS_MSG_OPEN),
                        .relid = le32_make(ch->relid),
                        .ring_gpadl = le32_make(ch->gpadl),
                        .downstream_page = le32_make(2),
                };
                fake_tell(g, &open, sizeof open);
                if (when > 0)
                        fake_expect(g, VMBUS_MSG_OPEN_RESULT, 20);
                if (when == 1) {
                        ck_assert(fake_send_inband(ch, 0, "x", 1));
                        fake_run(g);
                }
                if (when == 2)
                        fake_tell_relid(g, VMBUS_MSG_CLOSE, ch->relid);
                bool rescinded = false;
                while (fake_next(g, &m))
                        rescinded |= le32_get(m.header.type) == VMBUS_MSG_RESCIND;
                ck_assert(rescinded);
                ck_assert_uint_eq(g->n_doorbells, 0);
                fake_release(g, ch->relid);
                ck_assert_uint_eq(e.releases, 1);
                fake_forget(ch);
                echo_teardown(g, &e);
        }
}
END_TEST

START_TEST(a_failed_channel_is_taken_back_like_any_other) {
        struct echo e;
        struct fake_guest *g = echo_setup(&e, VMBUS_VERSION_5_3);
        struct fake_channel *ch = fake_open(g, &g->offers[1], 2, 2);
        fake_ring_set(&ch->down, VMBUS_RING_READ_INDEX, 12);
        ck_assert_int_eq(vmbus_send_inband(e.channel, 0, "x", 1), VMBUS_E_CLOSED);
        vmbus_rescind(e.channel);
        fake_run(g);
        ck_assert_uint_eq(e.closes, 0); /* its owner knows */
        fake_expect_rescind(g);
        fake_release(g, ch->relid);
        fake_forget(ch);
        echo_teardown(g, &e);
}
END_TEST

START_TEST(ignores_a_close_of_what_is_not_open) {
        struct echo e;
        struct fake_guest *g = echo_setup(&e, VMBUS_VERSION_5_3);
        const uint32_t relids[] = {0, 1, 2, VMBUS_RELID_MAX, VMBUS_RELID_MAX + 1, UINT32_MAX};
        for (size_t i = 0; i < ARRAY_SIZE(relids); i++)
                fake_tell_relid(g, VMBUS_MSG_CLOSE, relids[i]);
        ck_assert_uint_eq(vmbus_ignored(g->vmbus), ARRAY_SIZE(relids));
        ck_assert_uint_eq(e.closes, 0);
        echo_teardown(g, &e);
}
END_TEST

START_TEST(answers_gpadls_of_channels_that_are_not_there) {
        struct echo e;
        struct fake_guest *g = echo_setup(&e, VMBUS_VERSION_5_3);
        uint64_t pfns[2];
        fake_pages(g, pfns, 2);
        const uint32_t relids[] = {0, 2, VMBUS_RELID_MAX, VMBUS_RELID_MAX + 1, UINT32_MAX};
        for (size_t i = 0; i < ARRAY_SIZE(relids); i++)
                ck_assert_uint_ne(fake_gpadl(g, relids[i], 5, pfns, 2), 0);
        /* A teardown of what is gone is true at once. */
        fake_ask_teardown(g, 1, 5);
        fake_expect_torndown(g, 5);
        struct vmbus_msg_gpadl_body b;
        uint32_t taken;
        fake_tell(g, &b, fake_gpadl_body(&b, 5, pfns, 2, &taken));
        ck_assert_uint_eq(vmbus_ignored(g->vmbus), 1);
        fake_expect_silence(g);
        echo_teardown(g, &e);
}
END_TEST

/* Every channel that there can be, open at once, each with its doorbell. */
START_TEST(opens_2047_channels_at_once) {
        enum { N = VMBUS_CHANNELS_MAX };
        assert_ok(fd_raise_limit());
        struct fake_guest *g = fake_guest_new(4);
        struct echo *e = calloc(N, sizeof *e), extra = {0};
        struct fake_channel **ch = calloc(N, sizeof(struct fake_channel *));
        static struct fake_packet p;
        for (uint32_t i = 0; i < N; i++)
                echo_offer(g, &e[i], i);
        struct vmbus_offer one_more = {.type = echo_type, .name = "echo"};
        guid_set_data1(&one_more.instance, N + 1);
        ck_assert_int_eq(
                vmbus_offer(g->vmbus, &one_more, &echo_ops, &extra, &extra.channel), VMBUS_E_FULL);
        ck_assert_uint_eq(fake_connect(g, VMBUS_VERSION_5_3), N);
        for (uint32_t i = 0; i < N; i++)
                ch[i] = fake_open(g, &g->offers[i + 1], 2, 2);
        ck_assert_uint_eq(g->n_doorbells, N);
        for (uint32_t i = 0; i < N; i++)
                ck_assert(fake_send_inband(ch[i], i, &i, sizeof i));
        fake_run(g);
        for (uint32_t i = 0; i < N; i++) {
                ck_assert_uint_eq(e[i].packets, 1);
                ck_assert_uint_eq(g->signals[i + 1], 1);
                ck_assert(fake_receive(ch[i], &p));
                ck_assert_uint_eq(p.transaction, i);
                ck_assert_int_eq(memcmp(p.bytes, &i, sizeof i), 0);
        }
        for (uint32_t i = 0; i < N; i++)
                fake_close(ch[i]);
        fake_expect_silence(g);
        fake_guest_free(g);
        free(ch);
        free(e);
}
END_TEST

TEST_MAIN("channel", opens_passes_packets_and_closes,
        opens_and_closes_again_and_again_at_every_version, refuses_to_open_again_while_open,
        tears_no_ring_down_under_an_open_channel, answers_a_teardown_when_the_device_lets_go,
        a_device_may_hold_its_buffers_across_a_close, answers_every_open_that_it_refuses,
        refuses_to_open_at_an_index_that_is_bad, asks_for_doorbells_whatever_the_mask_was,
        a_device_may_refuse_to_open, answers_want_of_resources_and_opens_later,
        fails_one_channel_on_a_corrupt_ring_until_it_opens_again, a_bad_read_index_fails_the_sender,
        moves_its_interrupts_to_another_vp, stays_silent_for_a_channel_without_interrupts,
        is_taken_back_and_released, is_taken_back_from_inside_any_callback,
        a_failed_channel_is_taken_back_like_any_other, ignores_a_close_of_what_is_not_open,
        answers_gpadls_of_channels_that_are_not_there, opens_2047_channels_at_once)
