// SPDX-License-Identifier: MIT
#include "base/fault.h"
#include "base/state.h"
#include "snapshot.h"

/* What the next process has: the guest's memory and its view of things, new devices, and a bus that
 * has read the state; the hvsocket not claimed yet. */
static int reborn(struct machine *m, const void *state, size_t size) {
        struct fake_guest *g = m->g;
        g->vmbus = vmbus_free(g->vmbus);
        ck_assert_uint_eq(g->n_doorbells, 0);
        memset(m->e, 0, sizeof m->e);
        m->socket = (struct echo){0};
        assert_ok(vmbus_new(g->gm, g->loop, &fake_host_ops, g, &g->vmbus));
        vmbus_set_tl(g->vmbus, &machine_tl, NULL);
        m->e[2].get_handle = MACHINE_HELD;
        machine_offer(m, 1, 4);
        machine_offer(m, 6, 7);
        struct rd rd = rd_make(state, size);
        int r = vmbus_restore(g->vmbus, &rd);
        if (r == 0)
                assert_ok(rd_end(&rd));
        return r;
}

static int claim(struct machine *m) {
        struct vmbus_channel *channel = NULL;
        /* open() comes inside: it must know the channel by then. */
        m->socket.channel = NULL;
        m->socket.unknown = true;
        int r = vmbus_restore_offer(m->g->vmbus, &socket_type, &socket_instance, "hvsocket",
                &echo_ops, &m->socket, &channel);
        if (r == 0) {
                m->socket.channel = channel;
                m->socket.unknown = false;
        }
        return r;
}

static struct wr saved(struct fake_guest *g) {
        struct wr wr = wr_new(SNAPSHOT_MAX);
        assert_ok(vmbus_save(g->vmbus, &wr));
        return wr;
}

START_TEST(goes_on_in_a_new_process) {
        struct machine *m = machine_new();
        machine_busy(m);
        struct wr one = saved(m->g);
        assert_ok(reborn(m, one.data, one.size));
        ck_assert_uint_eq(m->e[1].opens, 1);
        ck_assert_uint_eq(m->e[1].user_data[2], 3);
        ck_assert_uint_eq(m->e[2].opens, 1);
        ck_assert_ptr_nonnull(m->e[2].got);
        ck_assert_uint_eq(m->e[3].opens, 0);
        ck_assert_uint_eq(m->g->n_doorbells, 2);
        assert_ok(claim(m));
        ck_assert_uint_eq(m->socket.opens, 1);
        ck_assert(vmbus_channel_is_open(m->socket.channel));
        ck_assert_uint_eq(m->g->n_doorbells, 3);
        ck_assert_uint_eq(vmbus_version(m->g->vmbus), VMBUS_VERSION_5_3);

        struct wr two = saved(m->g);
        ck_assert_uint_eq(one.size, two.size);
        ck_assert_mem_eq(one.data, two.data, one.size);
        fake_expect_silence(m->g);
        machine_goes_on(m);
        wr_done(&one);
        wr_done(&two);
        machine_free(m);
}
END_TEST

START_TEST(takes_back_dynamic_channels_that_nobody_claims) {
        struct machine *m = machine_new();
        machine_busy(m);
        struct wr wr = saved(m->g);
        assert_ok(reborn(m, wr.data, wr.size));
        struct vmbus_channel *none = NULL;
        assert_error(vmbus_restore_offer(
                             m->g->vmbus, &socket_type, &socket_type, "x", &echo_ops, NULL, &none),
                -ENOENT);
        m->g->room = UINT32_MAX;
        m->e[1].keep = true;
        vmbus_resume(m->g->vmbus);
        fake_run(m->g);
        struct fake_message r;
        bool told = false;
        while (fake_next(m->g, &r))
                told |= le32_get(r.header.type) == VMBUS_MSG_RESCIND &&
                        le32_get(r.relid.relid) == m->ch[3]->relid;
        ck_assert(told);
        assert_error(claim(m), -ENOENT);
        fake_release(m->g, m->ch[3]->relid);
        ck_assert_uint_eq(vmbus_ignored(m->g->vmbus), 0);
        wr_done(&wr);
        machine_free(m);
}
END_TEST

START_TEST(gives_each_device_its_old_relid_in_whatever_order_it_comes) {
        struct fake_guest *g = fake_guest_new(1);
        struct echo e[5] = {0}, other = {0};
        for (uint32_t i = 1; i <= 4; i++)
                echo_offer(g, &e[i], i);
        ck_assert_uint_eq(fake_connect(g, VMBUS_VERSION_4_0), 4);
        vmbus_pause(g->vmbus);
        struct wr wr = saved(g);
        g->vmbus = vmbus_free(g->vmbus);
        assert_ok(vmbus_new(g->gm, g->loop, &fake_host_ops, g, &g->vmbus));
        memset(e, 0, sizeof e);
        echo_offer(g, &other, 77); /* a device that the saved machine did not have */
        for (uint32_t i = 4; i >= 1; i--)
                echo_offer(g, &e[i], i);
        struct rd rd = rd_make(wr.data, wr.size);
        assert_ok(vmbus_restore(g->vmbus, &rd));
        vmbus_resume(g->vmbus);
        fake_run(g);
        for (uint32_t i = 1; i <= 4; i++)
                ck_assert_uint_eq(vmbus_channel_relid(e[i].channel), i);
        ck_assert_uint_eq(le32_get(fake_expect_offer(g)->relid), 5);
        fake_expect_silence(g);
        wr_done(&wr);
        fake_guest_free(g);
}
END_TEST

START_TEST(a_device_that_is_gone_is_taken_back) {
        struct fake_guest *g = fake_guest_new(1);
        struct echo e = {0};
        echo_offer(g, &e, 1);
        ck_assert_uint_eq(fake_connect(g, VMBUS_VERSION_4_0), 1);
        vmbus_pause(g->vmbus);
        struct wr wr = saved(g);
        g->vmbus = vmbus_free(g->vmbus);
        assert_ok(vmbus_new(g->gm, g->loop, &fake_host_ops, g, &g->vmbus));
        struct rd rd = rd_make(wr.data, wr.size);
        assert_ok(vmbus_restore(g->vmbus, &rd));
        vmbus_resume(g->vmbus);
        ck_assert_uint_eq(fake_expect_rescind(g), 1);
        fake_release(g, 1);
        wr_done(&wr);
        fake_guest_free(g);
}
END_TEST

START_TEST(a_ring_spoilt_meanwhile_is_a_failed_channel) {
        struct machine *m = machine_new();
        machine_busy(m);
        struct wr wr = saved(m->g);
        fake_ring_set(&m->ch[0]->up, VMBUS_RING_READ_INDEX, 3);
        assert_ok(reborn(m, wr.data, wr.size));
        ck_assert_uint_eq(m->e[1].opens, 0);
        ck_assert(!vmbus_channel_is_open(m->e[1].channel));
        ck_assert(vmbus_channel_is_open(m->e[2].channel));
        wr_done(&wr);
        machine_free(m);
}
END_TEST

START_TEST(a_device_that_refuses_is_a_failed_channel) {
        struct fake_guest *g = fake_guest_new(1);
        struct echo e = {0};
        echo_offer(g, &e, 1);
        fake_connect(g, VMBUS_VERSION_4_0);
        struct fake_channel *ch = fake_open(g, &g->offers[1], 2, 2);
        vmbus_pause(g->vmbus);
        struct wr wr = saved(g);
        g->vmbus = vmbus_free(g->vmbus);
        assert_ok(vmbus_new(g->gm, g->loop, &fake_host_ops, g, &g->vmbus));
        e = (struct echo){.refuse = 1};
        echo_offer(g, &e, 1);
        struct rd rd = rd_make(wr.data, wr.size);
        assert_ok(vmbus_restore(g->vmbus, &rd));
        ck_assert_uint_eq(g->n_doorbells, 0);
        vmbus_resume(g->vmbus);
        fake_tell_relid(g, VMBUS_MSG_CLOSE, 1);
        ck_assert_uint_eq(e.closes, 0);
        wr_done(&wr);
        fake_forget(ch);
        fake_guest_free(g);
}
END_TEST

START_TEST(want_of_resources_leaves_a_bus_to_be_freed) {
        struct machine *m = machine_new();
        machine_busy(m);
        struct wr wr = saved(m->g);
        const enum fault_kind kinds[] = {FAULT_ALLOC, FAULT_FD};
        for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
                struct fake_guest *g = m->g;
                for (unsigned n = 1;; n++) {
                        g->vmbus = vmbus_free(g->vmbus);
                        memset(m->e, 0, sizeof m->e);
                        assert_ok(vmbus_new(g->gm, g->loop, &fake_host_ops, g, &g->vmbus));
                        machine_offer(m, 1, 7);
                        struct rd rd = rd_make(wr.data, wr.size);
                        fault_arm(kinds[k], n);
                        int r = vmbus_restore(g->vmbus, &rd);
                        bool fired = fault_fired(kinds[k]);
                        fault_arm(kinds[k], 0);
                        if (!fired) {
                                assert_ok(r);
                                ck_assert_uint_gt(n, 2);
                                break;
                        }
                        ck_assert_int_lt(r, 0);
                        ck_assert_uint_eq(g->n_doorbells, 0);
                        for (uint32_t i = 1; i <= 7; i++)
                                ck_assert_uint_eq(m->e[i].opens, m->e[i].closes);
                }
        }
        wr_done(&wr);
        machine_free(m);
}
END_TEST

/* Negative test 22 for the bus: every byte flipped either fails cleanly or gives a bus that stays
 * inside the guest's memory, and can be run and freed. */
START_TEST(survives_every_flipped_byte) {
        struct machine *m = machine_new();
        machine_busy(m);
        struct wr wr = saved(m->g);
        unsigned bad = 0, good = 0;
        m->g->room = UINT32_MAX;
        for (size_t i = 0; i < wr.size; i++) {
                uint8_t bits[] = {0xff, 0x01, 0x80};
                wr.data[i] ^= bits[i % 3];
                int r = reborn(m, wr.data, wr.size);
                if (r == 0) {
                        good++;
                        if (claim(m) == 0 && i % 4 == 0)
                                vmbus_resume(m->g->vmbus);
                        assert_ok(io_loop_once(m->g->loop, 0));
                        struct fake_message ignored;
                        while (fake_next(m->g, &ignored)) {
                        }
                } else {
                        ck_assert(r == -EBADMSG || r == -ENOSPC);
                        bad++;
                }
                wr.data[i] ^= bits[i % 3];
        }
        ck_assert_uint_gt(bad, 100);
        ck_assert_uint_gt(good, 100);
        wr_done(&wr);
        machine_free(m);
}
END_TEST

START_TEST(refuses_a_target_that_this_machine_does_not_have) {
        struct fake_guest *g = fake_guest_new(4);
        ck_assert_uint_eq(fake_contact_at(g, VMBUS_VERSION_5_3, 3).supported, 1);
        vmbus_pause(g->vmbus);
        struct wr wr = saved(g);
        for (uint32_t vps = 3; vps <= 4; vps++) {
                g->vmbus = vmbus_free(g->vmbus);
                g->vps = vps;
                assert_ok(vmbus_new(g->gm, g->loop, &fake_host_ops, g, &g->vmbus));
                struct rd rd = rd_make(wr.data, wr.size);
                assert_error(vmbus_restore(g->vmbus, &rd), vps == 3 ? -EBADMSG : 0);
        }
        wr_done(&wr);
        fake_guest_free(g);
}
END_TEST

START_TEST(refuses_state_cut_short_anywhere) {
        struct machine *m = machine_new();
        machine_busy(m);
        struct wr wr = saved(m->g);
        for (size_t n = 0; n < wr.size; n++) {
                /* The section's length made to fit, so that what is inside is short. */
                if (n >= STATE_HEADER_SIZE) {
                        le32 length = le32_make((uint32_t)(n - STATE_HEADER_SIZE));
                        memcpy(wr.data + 8, &length, sizeof length);
                }
                assert_error(reborn(m, wr.data, n), -EBADMSG);
        }
        wr_done(&wr);
        machine_free(m);
}
END_TEST

TEST_MAIN("restore", refuses_a_target_that_this_machine_does_not_have, goes_on_in_a_new_process,
        takes_back_dynamic_channels_that_nobody_claims,
        gives_each_device_its_old_relid_in_whatever_order_it_comes,
        a_device_that_is_gone_is_taken_back, a_ring_spoilt_meanwhile_is_a_failed_channel,
        a_device_that_refuses_is_a_failed_channel, want_of_resources_leaves_a_bus_to_be_freed,
        survives_every_flipped_byte, refuses_state_cut_short_anywhere)
