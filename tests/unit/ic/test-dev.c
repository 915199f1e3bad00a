// SPDX-License-Identifier: MIT
#include "guest.h"

static const struct ic_service *const services[] = {
        &ic_service_shutdown, &ic_service_heartbeat, &ic_service_timesync};

START_TEST(three_devices_are_offered) {
        struct icg *i = icg_new();
        ck_assert_uint_eq(fake_connect(i->g, VMBUS_VERSION_5_3), 3);
        for (size_t k = 0; k < 3; k++) {
                const struct vmbus_msg_offer *offer = fake_offer_of(i->g, &services[k]->type);
                ck_assert(guid_equal(&offer->instance, &services[k]->instance));
                ck_assert_uint_eq(le16_get(offer->flags), 0x11);
                ck_assert_uint_eq(offer->user_defined[0], 4);
                for (size_t n = 1; n < sizeof offer->user_defined; n++)
                        ck_assert_uint_eq(offer->user_defined[n], 0);
        }
        i = icg_free(i);
}
END_TEST

START_TEST(the_host_speaks_first_and_once) {
        struct icg *i = icg_new();
        for (size_t k = 0; k < 3; k++) {
                struct fake_channel *ch = icg_open(i, services[k]);
                struct request *request = icg_receive(ch);
                ck_assert_uint_eq(request->message.type, IC_TYPE_NEGOTIATE);
                fake_ring_doorbell(ch);
                icg_expect_silence(ch);
                fake_forget(ch);
        }
        i = icg_free(i);
}
END_TEST

START_TEST(agrees_on_what_linux_knows) {
        static const struct {
                int dev;
                struct ic_revision expected;
        } cases[] = {
                {IC_DEV_SHUTDOWN, {3, 2}}, {IC_DEV_HEARTBEAT, {3, 0}}, {IC_DEV_TIMESYNC, {4, 0}}};
        struct icg *i = icg_new();
        for (size_t k = 0; k < 3; k++) {
                struct fake_channel *ch = icg_ready(i, services[k]);
                const struct ic_dev *dev = &i->ic->devs[cases[k].dev];
                ck_assert_int_eq(dev->state, IC_READY);
                ck_assert_uint_eq(dev->framework.major, 3);
                ck_assert_uint_eq(dev->message.major, cases[k].expected.major);
                ck_assert_uint_eq(dev->message.minor, cases[k].expected.minor);
                fake_forget(ch);
        }
        ck_assert_uint_eq(i->problems, 0);
        i = icg_free(i);
}
END_TEST

START_TEST(agrees_with_the_oldest_guest) {
        static const struct ic_revision old[] = {{1, 0}};
        struct icg *i = icg_new();
        for (size_t k = 0; k < 3; k++) {
                struct fake_channel *ch = icg_open(i, services[k]);
                icg_negotiate(ch, old, 1);
                fake_forget(ch);
        }
        for (size_t k = 0; k < 3; k++) {
                ck_assert_int_eq(i->ic->devs[k].state, IC_READY);
                ck_assert_uint_eq(i->ic->devs[k].message.major, 1);
        }
        i = icg_free(i);
}
END_TEST

/* One line for each failure, then silence until the guest opens the channel anew. */
static void assert_failed(struct icg *i, struct fake_channel *ch) {
        fake_run(i->g);
        ck_assert_uint_eq(i->problems, 1);
        ck_assert_int_eq(i->ic->devs[IC_DEV_HEARTBEAT].state, IC_FAILED);
        static struct fake_packet unread;
        (void)fake_receive(ch, &unread);
        ck_assert(fake_send_inband(ch, 0, "more rubbish", 12));
        icg_expect_silence(ch);
        ck_assert_uint_eq(i->problems, 1);
        uint64_t answers;
        ck_assert_int_eq(ic_heartbeat(i->ic, &answers), IC_HEARTBEAT_NONE);

        fake_close(ch);
        ch = icg_ready(i, &ic_service_heartbeat);
        struct request *request = icg_receive(ch);
        ck_assert_uint_eq(request->message.type, IC_TYPE_HEARTBEAT);
        fake_close(ch);
        i->problems = 0;
}

START_TEST(rubbish_fails_the_device_until_it_is_opened_again) {
        struct icg *i = icg_new();
        struct fake_channel *ch;
        static uint8_t big[PACKET_MAX];

        ch = icg_open(i, &ic_service_heartbeat);
        ck_assert(fake_send_inband(ch, 0, "rubbish", 7));
        assert_failed(i, ch);
        ch = icg_open(i, &ic_service_heartbeat);
        ck_assert(fake_send_inband(ch, 0, NULL, 0));
        assert_failed(i, ch);
        ch = icg_open(i, &ic_service_heartbeat);
        memset(big, 0xff, sizeof big);
        ck_assert(fake_send_inband(ch, 0, big, sizeof big));
        assert_failed(i, ch);

        static const struct ic_revision unknown[] = {{9, 0}};
        ch = icg_open(i, &ic_service_heartbeat);
        icg_negotiate(ch, unknown, 1);
        assert_failed(i, ch);

        /* What a guest may change in a packet, one byte each. */
        static const struct {
                uint32_t offset;
                uint8_t value;
        } bad[] = {
                {0, 2},                /* pipe type */
                {5, 1},                /* pipe: more than the packet */
                {12, 9},               /* message type */
                {19, 1},               /* body: more than the pipe */
                {OFF_TRANSACTION, 99}, /* transaction */
                {OFF_BODY, 2},         /* two frameworks chosen */
                {OFF_BODY + 8, 7},     /* framework 7.0 */
                {OFF_BODY + 12, 7},    /* message 7.0 */
        };
        for (size_t k = 0; k < ARRAY_SIZE(bad); k++) {
                ch = icg_open(i, &ic_service_heartbeat);
                struct request *request = icg_receive(ch);
                request->bytes[OFF_BODY] = request->bytes[OFF_BODY + 2] = 1;
                request->bytes[OFF_BODY + 12] = 3;
                request->bytes[bad[k].offset] = bad[k].value;
                icg_answer(ch, request);
                assert_failed(i, ch);
        }
        i = icg_free(i);
}
END_TEST

START_TEST(an_answer_to_nothing_fails_the_device) {
        struct icg *i = icg_new();
        struct fake_channel *ch = icg_ready(i, &ic_service_heartbeat);
        struct request *request = icg_receive(ch);
        request->bytes[OFF_BODY]++;
        icg_answer(ch, request);
        ck_assert_int_eq(i->ic->devs[IC_DEV_HEARTBEAT].state, IC_READY);
        icg_answer(ch, request);
        assert_failed(i, ch);

        ch = icg_ready(i, &ic_service_heartbeat);
        request = icg_receive(ch);
        request->bytes[OFF_BODY]++;
        ck_assert(fake_send_inband(ch, 0, request->bytes, request->size)); /* without the flag */
        assert_failed(i, ch);

        /* Twice the same, where the body says nothing. */
        ch = icg_ready(i, &ic_service_timesync);
        request = icg_receive(ch);
        icg_answer(ch, request);
        ck_assert_uint_eq(i->problems, 0);
        icg_answer(ch, request);
        ck_assert_uint_eq(i->problems, 1);
        ck_assert_int_eq(i->ic->devs[IC_DEV_TIMESYNC].state, IC_FAILED);
        fake_close(ch);
        i->problems = 0;

        ch = icg_ready(i, &ic_service_heartbeat);
        request = icg_receive(ch);
        ck_assert(fake_send(
                ch, VMBUS_PACKET_COMPLETION, 0, 0, NULL, 0, request->bytes, request->size));
        assert_failed(i, ch);
        i = icg_free(i);
}
END_TEST

START_TEST(one_failed_device_leaves_the_others) {
        struct icg *i = icg_new();
        struct fake_channel *bad = icg_ready(i, &ic_service_heartbeat);
        struct fake_channel *good = icg_ready(i, &ic_service_timesync);
        ck_assert(fake_send_inband(bad, 0, "rubbish", 7));
        fake_run(i->g);
        ck_assert_uint_eq(i->problems, 1);
        icg_answer(good, icg_receive(good));
        ic_timesync(i->ic);
        icg_answer(good, icg_receive(good));
        ck_assert_int_eq(i->ic->devs[IC_DEV_TIMESYNC].state, IC_READY);
        fake_forget(bad);
        fake_forget(good);
        i = icg_free(i);
}
END_TEST

START_TEST(a_corrupt_ring_closes_the_device) {
        struct icg *i = icg_new();
        struct fake_channel *ch = icg_ready(i, &ic_service_heartbeat);
        fake_ring_set(&ch->up, VMBUS_RING_WRITE_INDEX, 3);
        fake_ring_doorbell(ch);
        fake_run(i->g);
        ck_assert_int_eq(i->ic->devs[IC_DEV_HEARTBEAT].state, IC_CLOSED);
        fake_forget(ch);
        i = icg_free(i);
}
END_TEST

START_TEST(a_full_ring_is_waited_for) {
        struct icg *i = icg_new();
        ck_assert_uint_eq(fake_connect(i->g, VMBUS_VERSION_5_3), 3);
        struct fake_channel *ch =
                fake_prepare(i->g, fake_offer_of(i->g, &ic_service_heartbeat.type), 2, 2);
        /* A guest that says its ring is nearly full, and later that it is empty. */
        fake_ring_set(&ch->down, VMBUS_RING_WRITE_INDEX, 0);
        fake_ring_set(&ch->down, VMBUS_RING_READ_INDEX, 64);
        ck_assert_uint_eq(fake_try_open(ch, 0, NULL), 0);
        fake_run(i->g);
        ck_assert_int_eq(i->ic->devs[IC_DEV_HEARTBEAT].state, IC_OPEN);
        fake_ring_set(&ch->down, VMBUS_RING_READ_INDEX, 0);
        fake_ring_doorbell(ch);
        fake_run(i->g);
        ck_assert_int_eq(i->ic->devs[IC_DEV_HEARTBEAT].state, IC_NEGOTIATING);
        fake_forget(ch);
        i = icg_free(i);
}
END_TEST

START_TEST(a_restarted_guest_negotiates_anew) {
        struct icg *i = icg_new();
        struct fake_channel *ch = icg_ready(i, &ic_service_heartbeat);
        fake_contact(i->g, VMBUS_VERSION_4_1);
        ck_assert_int_eq(i->ic->devs[IC_DEV_HEARTBEAT].state, IC_CLOSED);
        ck_assert_uint_eq(fake_request_offers(i->g), 3);
        fake_forget(ch);
        ch = icg_ready(i, &ic_service_heartbeat);
        ck_assert_int_eq(i->ic->devs[IC_DEV_HEARTBEAT].state, IC_READY);
        fake_forget(ch);
        i = icg_free(i);
}
END_TEST

START_TEST(a_failed_start_leaves_nothing) {
        static const enum fault_kind kinds[] = {FAULT_ALLOC};
        struct fake_guest *g = fake_guest_new(1);
        struct ic *ic = NULL;
        struct icg icg = {0};
        unsigned n = 1;
        for (;; n++) {
                fault_arm(kinds[0], n);
                int r = ic_new(g->vmbus, g->loop, &icg_ops, &icg, &ic);
                if (r == 0)
                        break;
                assert_error(r, -ENOMEM);
                ck_assert_ptr_null(ic);
        }
        fault_arm(kinds[0], 0);
        ck_assert_uint_gt(n, 9);
        ck_assert_uint_eq(fake_connect(g, VMBUS_VERSION_5_3), 3);
        g->vmbus = vmbus_free(g->vmbus);
        ck_assert_ptr_null(ic_free(ic));
        ck_assert_ptr_null(ic_free(NULL));
        fake_guest_free(g);
}
END_TEST

/* Another process: the same guest memory, a new bus and new devices. */
static void move(struct icg *i) {
        struct fake_guest *g = i->g;
        struct wr wr = wr_new(1 << 20), again = wr_new(1 << 20);
        vmbus_pause(g->vmbus);
        assert_ok(vmbus_save(g->vmbus, &wr));
        assert_ok(ic_save(i->ic, &wr));
        g->vmbus = vmbus_free(g->vmbus);
        i->ic = ic_free(i->ic);
        assert_ok(vmbus_new(g->gm, g->loop, &fake_host_ops, g, &g->vmbus));
        assert_error(ic_new(g->vmbus, g->loop, &icg_ops, i, &i->ic), 0);
        struct rd rd = rd_make(wr.data, wr.size);
        assert_error(vmbus_restore(g->vmbus, &rd), 0);
        assert_error(ic_restore(i->ic, &rd), 0);
        assert_ok(rd_end(&rd));
        assert_ok(vmbus_save(g->vmbus, &again));
        assert_ok(ic_save(i->ic, &again));
        ck_assert_uint_eq(again.size, wr.size);
        ck_assert_mem_eq(again.data, wr.data, wr.size);
        wr_done(&wr);
        wr_done(&again);
        fake_run(g);
        vmbus_resume(g->vmbus);
        fake_run(g);
}

START_TEST(every_state_goes_on_in_another_process) {
        struct icg *i = icg_new();
        struct fake_channel *heartbeat = icg_ready(i, &ic_service_heartbeat);
        struct fake_channel *timesync = icg_ready(i, &ic_service_timesync);
        struct fake_channel *shutdown = icg_open(i, &ic_service_shutdown);
        uint64_t answers;
        struct request *request = icg_receive(heartbeat);
        request->bytes[OFF_BODY]++;
        icg_answer(heartbeat, request);
        icg_answer(timesync, icg_receive(timesync));
        move(i);
        /* The negotiation was in flight; its answer is taken by the new one. */
        static const struct ic_revision versions[] = {{3, 2}};
        icg_negotiate(shutdown, versions, 1);
        ck_assert_int_eq(i->ic->devs[IC_DEV_SHUTDOWN].state, IC_READY);
        ck_assert_int_eq(ic_heartbeat(i->ic, &answers), IC_HEARTBEAT_OK);
        ck_assert_uint_eq(answers, 1);
        /* A heartbeat at once, with the next number. */
        request = icg_receive(heartbeat);
        ck_assert_uint_eq(request->bytes[OFF_BODY], 1);
        request->bytes[OFF_BODY]++;
        icg_answer(heartbeat, request);
        /* The clock is set. */
        request = icg_receive(timesync);
        ck_assert_uint_eq(request->bytes[OFF_BODY + 16], IC_TIMESYNC_SYNC);
        /* In flight while it moves: nothing more is sent before the answer. */
        move(i);
        icg_expect_silence(timesync);
        request->bytes[OFF_TRANSACTION] = i->ic->devs[IC_DEV_TIMESYNC].transaction;
        icg_answer(timesync, request);
        request = icg_receive(timesync);
        ck_assert_uint_eq(request->bytes[OFF_BODY + 16], IC_TIMESYNC_SYNC);
        ck_assert_uint_eq(icg_receive(heartbeat)->bytes[OFF_BODY], 2);
        /* A failed device stays failed, a closed one closed. */
        ck_assert(fake_send_inband(heartbeat, 0, "rubbish", 7));
        fake_run(i->g);
        fake_close(shutdown);
        move(i);
        ck_assert_int_eq(i->ic->devs[IC_DEV_HEARTBEAT].state, IC_FAILED);
        ck_assert_int_eq(i->ic->devs[IC_DEV_SHUTDOWN].state, IC_CLOSED);
        icg_expect_silence(heartbeat);
        fake_forget(heartbeat);
        fake_forget(timesync);
        i = icg_free(i);
}
END_TEST

START_TEST(what_falls_due_while_paused_is_not_saved) {
        struct icg *i = icg_new();
        struct wr wr = wr_new(1 << 20), again = wr_new(1 << 20);
        struct fake_channel *heartbeat = icg_ready(i, &ic_service_heartbeat);
        struct fake_channel *timesync = icg_ready(i, &ic_service_timesync);
        vmbus_pause(i->g->vmbus);
        assert_ok(ic_save(i->ic, &wr));
        io_timer_arm(i->ic->heartbeat.timer, 0, 0);
        io_timer_arm(i->ic->timesync.timer, 0, 0);
        fake_run(i->g);
        assert_ok(ic_save(i->ic, &again));
        ck_assert_uint_eq(again.size, wr.size);
        ck_assert_mem_eq(again.data, wr.data, wr.size);
        wr_done(&wr);
        wr_done(&again);
        fake_forget(heartbeat);
        fake_forget(timesync);
        i = icg_free(i);
}
END_TEST

START_TEST(refuses_what_is_not_its_state) {
        struct icg *i = icg_new();
        struct wr wr = wr_new(1 << 20);
        assert_ok(ic_save(i->ic, &wr));
        for (size_t n = 0; n < wr.size; n++) {
                struct rd rd = rd_make(wr.data, n);
                assert_error(ic_restore(i->ic, &rd), -EBADMSG);
        }
        for (size_t n = 12; n < wr.size; n++) {
                wr.data[8] = (uint8_t)(n - 12);
                struct rd rd = rd_make(wr.data, wr.size);
                assert_error(ic_restore(i->ic, &rd), -EBADMSG);
        }
        wr.data[8] = (uint8_t)(wr.size - 12);
        struct rd rd = rd_make(wr.data, wr.size);
        assert_ok(ic_restore(i->ic, &rd));
        /* Said to be open, but its rings were found spoilt; a state that does not exist. */
        wr.data[12] = IC_READY;
        rd = rd_make(wr.data, wr.size);
        assert_ok(ic_restore(i->ic, &rd));
        ck_assert_int_eq(i->ic->devs[0].state, IC_CLOSED);
        wr.data[12] = 200;
        rd = rd_make(wr.data, wr.size);
        assert_error(ic_restore(i->ic, &rd), -EBADMSG);
        wr_done(&wr);
        i = icg_free(i);
}
END_TEST

TEST_MAIN("ic/dev", three_devices_are_offered, the_host_speaks_first_and_once,
        agrees_on_what_linux_knows, agrees_with_the_oldest_guest,
        rubbish_fails_the_device_until_it_is_opened_again, an_answer_to_nothing_fails_the_device,
        one_failed_device_leaves_the_others, a_corrupt_ring_closes_the_device,
        a_full_ring_is_waited_for, a_restarted_guest_negotiates_anew, a_failed_start_leaves_nothing,
        every_state_goes_on_in_another_process, what_falls_due_while_paused_is_not_saved,
        refuses_what_is_not_its_state)
