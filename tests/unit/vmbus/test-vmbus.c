// SPDX-License-Identifier: MIT
#include <pthread.h>
#include "base/fault.h"
#include "echo.h"

START_TEST(making_a_bus_fails_cleanly) {
        struct fake_guest *g = fake_guest_without_bus(1);
        const enum fault_kind kinds[] = {FAULT_ALLOC, FAULT_FD};
        for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
                for (unsigned n = 1;; n++) {
                        struct vmbus *vmbus = (struct vmbus *)g;
                        fault_arm(kinds[k], n);
                        int r = vmbus_new(g->gm, g->loop, &fake_host_ops, g, &vmbus);
                        bool fired = fault_fired(kinds[k]);
                        fault_arm(kinds[k], 0);
                        if (!fired) {
                                assert_ok(r);
                                ck_assert_uint_gt(n, 1);
                                vmbus_free(vmbus);
                                break;
                        }
                        ck_assert_int_lt(r, 0);
                        ck_assert_ptr_eq(vmbus, (struct vmbus *)g);
                }
        }
        ck_assert_ptr_null(vmbus_free(NULL));
        fake_guest_free(g);
}
END_TEST

/* Negative test 14: connection ids and message types. */
START_TEST(takes_messages_for_its_own_connection_ids_only) {
        struct fake_guest *g = fake_guest_new(1);
        struct vmbus_msg_header m = {.type = le32_make(VMBUS_MSG_UNLOAD)};
        const uint32_t others[] = {0, 2, 3, 5, 0x2001, 0x800074, UINT32_MAX};
        for (size_t i = 0; i < ARRAY_SIZE(others); i++)
                ck_assert_uint_eq(vmbus_message(g->vmbus, others[i], 1, &m, sizeof m),
                        HV_STATUS_INVALID_CONNECTION_ID);
        fake_run(g);
        fake_expect_silence(g);
        const uint32_t ours[] = {VMBUS_CONNECTION_MESSAGE, VMBUS_CONNECTION_MESSAGE_50};
        for (size_t i = 0; i < ARRAY_SIZE(ours); i++) {
                ck_assert_uint_eq(vmbus_message(g->vmbus, ours[i], 1, &m, sizeof m), 0);
                fake_run(g);
                fake_expect(g, VMBUS_MSG_UNLOAD_RESPONSE, 8);
        }
        ck_assert_uint_eq(vmbus_ignored(g->vmbus), 0);
        const uint32_t types[] = {0, 2, 0x80000001, UINT32_MAX};
        for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
                ck_assert_uint_eq(vmbus_message(g->vmbus, 1, types[i], &m, sizeof m), 0);
                ck_assert_uint_eq(vmbus_ignored(g->vmbus), i + 1);
        }
        uint8_t large[VMBUS_MESSAGE_SIZE_MAX + 1] = {0};
        ck_assert_uint_eq(
                vmbus_message(g->vmbus, 1, 1, large, sizeof large), HV_STATUS_INVALID_PARAMETER);
        ck_assert_uint_eq(vmbus_message(g->vmbus, 1, 1, large, sizeof large - 1), 0);
        ck_assert_uint_eq(vmbus_message(g->vmbus, 1, 1, NULL, 0), 0);
        fake_run(g);
        fake_expect_silence(g);
        fake_guest_free(g);
}
END_TEST

/* Nothing is lost and nothing grows: with the SINT full, answers fill the outbox, messages the
 * inbox, and then the guest is told to try again. */
START_TEST(lets_a_guest_wait_that_does_not_empty_its_slot) {
        struct echo e;
        struct fake_guest *g = echo_setup(&e, VMBUS_VERSION_5_3);
        struct vmbus_msg_gpadl_teardown m = {
                .header.type = le32_make(VMBUS_MSG_GPADL_TEARDOWN), .relid = le32_make(1)};
        g->room = 0;
        uint32_t taken = 0;
        for (;; taken++) {
                m.gpadl = le32_make(taken);
                uint16_t status = fake_post(g, &m, sizeof m);
                fake_run(g);
                if (status == HV_STATUS_INSUFFICIENT_BUFFERS)
                        break;
                ck_assert_uint_eq(status, 0);
        }
        ck_assert_uint_eq(taken, VMBUS_OUTBOX_MAX + VMBUS_INBOX_MAX);
        for (uint32_t i = 0; i < taken; i++) {
                g->room = 1;
                vmbus_slot_free(g->vmbus);
                fake_run(g);
                fake_expect_torndown(g, i);
                fake_expect_silence(g);
        }
        g->room = UINT32_MAX;
        m.gpadl = le32_make(taken);
        fake_tell(g, &m, sizeof m);
        fake_expect_torndown(g, taken);
        echo_teardown(g, &e);
}
END_TEST

/* A guest that posts without end does not keep the loop from its other work. */
START_TEST(shares_the_loop) {
        struct echo e;
        struct fake_guest *g = echo_setup(&e, VMBUS_VERSION_5_3);
        struct vmbus_msg_relid m = {.header.type = le32_make(VMBUS_MSG_CLOSE)};
        for (unsigned i = 0; i < VMBUS_INBOX_MAX; i++)
                ck_assert_uint_eq(fake_post(g, &m, sizeof m), 0);
        ck_assert_uint_eq(fake_post(g, &m, sizeof m), HV_STATUS_INSUFFICIENT_BUFFERS);
        assert_ok(io_loop_once(g->loop, 0));
        ck_assert_uint_eq(vmbus_ignored(g->vmbus), VMBUS_INBOX_MAX);
        echo_teardown(g, &e);
}
END_TEST

START_TEST(drops_messages_for_a_synic_that_is_off) {
        struct echo e;
        struct fake_guest *g = echo_setup(&e, VMBUS_VERSION_5_3);
        const int refusals[] = {2, 99, -EIO};
        for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
                g->post_fault = refusals[i];
                fake_ask_teardown(g, 1, 5);
                vmbus_rescind(e.channel);
                fake_run(g);
        }
        g->post_fault = 0;
        vmbus_slot_free(g->vmbus);
        fake_run(g);
        fake_expect_silence(g);
        ck_assert_uint_eq(fake_connect(g, VMBUS_VERSION_5_3), 0);
        echo_teardown(g, &e);
}
END_TEST

START_TEST(nothing_happens_while_paused) {
        struct fake_guest *g = fake_guest_new(1);
        struct echo e[3] = {0};
        static struct fake_packet p;
        struct vmbus_packet packet;
        echo_offer(g, &e[0], 0);
        echo_offer(g, &e[1], 1);
        fake_connect(g, VMBUS_VERSION_5_3);
        struct fake_channel *ch = fake_open(g, &g->offers[1], 2, 2);
        vmbus_pause(g->vmbus);
        vmbus_pause(g->vmbus);
        ck_assert(fake_send_inband(ch, 7, "x", 1));
        fake_ask_teardown(g, 1, 5);
        echo_offer(g, &e[2], 2);
        vmbus_rescind(e[1].channel);
        fake_run(g);
        fake_expect_silence(g);
        ck_assert_uint_eq(e[0].readies, 0);
        ck_assert_int_eq(vmbus_receive(e[0].channel, &packet), VMBUS_E_EMPTY);
        ck_assert_int_eq(vmbus_send_inband(e[0].channel, 0, "y", 1), VMBUS_E_FULL);
        ck_assert_uint_eq(vmbus_send_room(e[0].channel), 0);
        ck_assert(vmbus_channel_is_open(e[0].channel));
        ck_assert_uint_eq(fake_ring_get(&ch->down, VMBUS_RING_WRITE_INDEX), 0);
        ck_assert_uint_eq(fake_ring_get(&ch->down, VMBUS_RING_PENDING_SEND_SIZE), 0);

        vmbus_resume(g->vmbus);
        ck_assert_uint_eq(e[0].packets, 1);
        ck_assert(fake_receive(ch, &p));
        fake_run(g);
        fake_expect_offer(g);
        fake_expect_rescind(g);
        fake_expect_torndown(g, 5);
        fake_expect_silence(g);
        unsigned readies = e[0].readies;
        vmbus_resume(g->vmbus); /* not paused: nothing */
        ck_assert_uint_eq(e[0].readies, readies);
        fake_close(ch);
        fake_guest_free(g);
}
END_TEST

START_TEST(a_failure_is_told_before_the_pause) {
        struct echo e;
        struct fake_guest *g = echo_setup(&e, VMBUS_VERSION_5_3);
        struct fake_channel *ch = fake_open(g, &g->offers[1], 2, 2);
        fake_ring_set(&ch->down, VMBUS_RING_READ_INDEX, 12);
        ck_assert_int_eq(vmbus_send_inband(e.channel, 0, "x", 1), VMBUS_E_CLOSED);
        vmbus_pause(g->vmbus);
        ck_assert_uint_eq(e.closes, 1);
        vmbus_resume(g->vmbus);
        fake_run(g);
        ck_assert_uint_eq(e.closes, 1);
        fake_forget(ch);
        echo_teardown(g, &e);
}
END_TEST

/* VP threads post while the loop runs. Each answer comes once. */
struct poster {
        struct fake_guest *g;
        uint32_t first, n;
};

static void *poster_run(void *ctx) {
        struct poster *p = ctx;
        for (uint32_t i = 0; i < p->n;) {
                struct vmbus_msg_gpadl_teardown m = {
                        .header.type = le32_make(VMBUS_MSG_GPADL_TEARDOWN),
                        .relid = le32_make(1),
                        .gpadl = le32_make(p->first + i)};
                if (fake_post(p->g, &m, sizeof m) == 0)
                        i++;
                else
                        sched_yield();
                vmbus_slot_free(p->g->vmbus);
        }
        return NULL;
}

START_TEST(takes_messages_from_many_threads) {
        enum { THREADS = 3, EACH = 3000 };
        struct echo e;
        struct fake_guest *g = echo_setup(&e, VMBUS_VERSION_5_3);
        struct poster p[THREADS];
        pthread_t threads[THREADS];
        uint32_t next[THREADS] = {0}, got = 0;
        for (uint32_t i = 0; i < THREADS; i++) {
                p[i] = (struct poster){g, i * EACH, EACH};
                ck_assert_int_eq(pthread_create(&threads[i], NULL, poster_run, &p[i]), 0);
        }
        while (got < THREADS * EACH) {
                struct fake_message m;
                assert_ok(io_loop_once(g->loop, 1000));
                while (fake_next(g, &m)) {
                        uint32_t handle = le32_get(m.gpadl_torndown.gpadl);
                        ck_assert_uint_eq(handle % EACH, next[handle / EACH]++);
                        got++;
                }
        }
        for (uint32_t i = 0; i < THREADS; i++)
                pthread_join(threads[i], NULL);
        fake_run(g);
        echo_teardown(g, &e);
}
END_TEST

TEST_MAIN("vmbus", making_a_bus_fails_cleanly, takes_messages_for_its_own_connection_ids_only,
        lets_a_guest_wait_that_does_not_empty_its_slot, shares_the_loop,
        drops_messages_for_a_synic_that_is_off, nothing_happens_while_paused,
        a_failure_is_told_before_the_pause, takes_messages_from_many_threads)
