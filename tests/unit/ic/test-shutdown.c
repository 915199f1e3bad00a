// SPDX-License-Identifier: MIT
#include "guest.h"

START_TEST(the_guest_is_asked_in_the_right_words) {
        static const struct {
                enum ic_shutdown_kind kind;
                bool force;
                uint8_t flags;
        } cases[] = {{IC_POWER_OFF, false, 0}, {IC_POWER_OFF, true, 1}, {IC_REBOOT, false, 2},
                {IC_REBOOT, true, 3}};
        struct icg *i = icg_new();
        struct fake_channel *ch = icg_ready(i, &ic_service_shutdown);
        icg_expect_silence(ch);
        for (size_t k = 0; k < ARRAY_SIZE(cases); k++) {
                ic_shutdown(i->ic, cases[k].kind, cases[k].force, 60000, icg_done, i);
                ck_assert_uint_eq(i->dones, k);
                struct request *request = icg_receive(ch);
                ck_assert_uint_eq(request->message.type, IC_TYPE_SHUTDOWN);
                ck_assert_uint_eq(rd_left(&request->message.body), 2060);
                const uint8_t head[] = {0, 0, 0, 0x80, 0, 0, 0, 0, cases[k].flags, 0, 0, 0};
                ck_assert_mem_eq(request->bytes + OFF_BODY, head, sizeof head);
                icg_answer(ch, request);
                ck_assert_uint_eq(i->dones, k + 1);
                ck_assert_int_eq(i->done, 0);
        }
        ck_assert(!io_timer_armed(i->ic->shutdown.timer));
        fake_forget(ch);
        i = icg_free(i);
}
END_TEST

START_TEST(a_guest_that_refuses_is_told) {
        struct icg *i = icg_new();
        struct fake_channel *ch = icg_ready(i, &ic_service_shutdown);
        ic_shutdown(i->ic, IC_REBOOT, false, 60000, icg_done, i);
        struct request *request = icg_receive(ch);
        memcpy(request->bytes + OFF_STATUS, (uint8_t[]){5, 0x40, 0, 0x80}, 4);
        icg_answer(ch, request);
        ck_assert_int_eq(i->done, -EREMOTEIO);
        ck_assert_int_eq(i->ic->devs[IC_DEV_SHUTDOWN].state, IC_READY);
        fake_forget(ch);
        i = icg_free(i);
}
END_TEST

START_TEST(nobody_is_asked_when_nobody_listens) {
        struct icg *i = icg_new();
        ic_shutdown(i->ic, IC_POWER_OFF, false, 60000, icg_done, i);
        ck_assert_int_eq(i->done, -ENOTCONN);
        struct fake_channel *ch = icg_ready(i, &ic_service_shutdown);
        ck_assert(fake_send_inband(ch, 0, "rubbish", 7));
        fake_run(i->g);
        ic_shutdown(i->ic, IC_POWER_OFF, false, 60000, icg_done, i);
        ck_assert_int_eq(i->done, -EPROTO);
        ck_assert_uint_eq(i->dones, 2);
        fake_forget(ch);
        i = icg_free(i);
}
END_TEST

START_TEST(a_request_waits_for_the_negotiation) {
        static const struct ic_revision versions[] = {{3, 2}};
        struct icg *i = icg_new();
        struct fake_channel *ch = icg_open(i, &ic_service_shutdown);
        ic_shutdown(i->ic, IC_POWER_OFF, false, 60000, icg_done, i);
        ck_assert_uint_eq(i->dones, 0);
        icg_negotiate(ch, versions, 1);
        icg_answer(ch, icg_receive(ch));
        ck_assert_uint_eq(i->dones, 1);
        ck_assert_int_eq(i->done, 0);
        fake_forget(ch);
        i = icg_free(i);
}
END_TEST

START_TEST(only_one_is_under_way) {
        struct icg *i = icg_new();
        struct fake_channel *ch = icg_ready(i, &ic_service_shutdown);
        struct icg second = {.done = 1};
        ic_shutdown(i->ic, IC_POWER_OFF, false, 60000, icg_done, i);
        ic_shutdown(i->ic, IC_REBOOT, true, 60000, icg_done, &second);
        ck_assert_int_eq(second.done, -EBUSY);
        icg_answer(ch, icg_receive(ch));
        ck_assert_int_eq(i->done, 0);
        ck_assert_uint_eq(second.dones, 1);
        fake_forget(ch);
        i = icg_free(i);
}
END_TEST

/* The late answer to the first request is not taken for one to the second. */
START_TEST(silence_ends_the_request_but_not_the_device) {
        struct icg *i = icg_new();
        struct fake_channel *ch = icg_ready(i, &ic_service_shutdown);
        ic_shutdown(i->ic, IC_POWER_OFF, false, 1, icg_done, i);
        while (i->dones == 0)
                assert_ok(io_loop_once(i->g->loop, 10));
        ck_assert_int_eq(i->done, -ETIMEDOUT);
        ic_shutdown(i->ic, IC_REBOOT, false, 60000, icg_done, i);
        ck_assert_uint_eq(i->dones, 1);
        struct request *request = icg_receive(ch);
        ck_assert_uint_eq(request->bytes[OFF_BODY + 8], 0);
        memcpy(request->bytes + OFF_STATUS, (uint8_t[]){5, 0x40, 0, 0x80}, 4);
        icg_answer(ch, request);
        ck_assert_uint_eq(i->dones, 1);
        request = icg_receive(ch);
        ck_assert_uint_eq(request->bytes[OFF_BODY + 8], 2);
        icg_answer(ch, request);
        ck_assert_uint_eq(i->dones, 2);
        ck_assert_int_eq(i->done, 0);
        ck_assert_uint_eq(i->problems, 0);
        fake_forget(ch);
        i = icg_free(i);
}
END_TEST

START_TEST(every_end_of_the_device_ends_the_request) {
        struct icg *i = icg_new();
        struct fake_channel *ch = icg_ready(i, &ic_service_shutdown);
        ic_shutdown(i->ic, IC_POWER_OFF, false, 60000, icg_done, i);
        fake_close(ch);
        ck_assert_int_eq(i->done, -ECONNRESET);
        ch = icg_ready(i, &ic_service_shutdown);
        ic_shutdown(i->ic, IC_POWER_OFF, false, 60000, icg_done, i);
        ck_assert(fake_send_inband(ch, 0, "rubbish", 7));
        fake_run(i->g);
        ck_assert_int_eq(i->done, -EPROTO);
        fake_close(ch);
        ch = icg_ready(i, &ic_service_shutdown);
        ic_shutdown(i->ic, IC_POWER_OFF, false, 60000, icg_done, i);
        fake_contact(i->g, VMBUS_VERSION_5_3);
        ck_assert_int_eq(i->done, -ECONNRESET);
        ck_assert_uint_eq(i->dones, 3);
        fake_forget(ch);
        i = icg_free(i);
}
END_TEST

TEST_MAIN("ic/shutdown", the_guest_is_asked_in_the_right_words, a_guest_that_refuses_is_told,
        nobody_is_asked_when_nobody_listens, a_request_waits_for_the_negotiation,
        only_one_is_under_way, silence_ends_the_request_but_not_the_device,
        every_end_of_the_device_ends_the_request)
