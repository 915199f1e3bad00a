// SPDX-License-Identifier: MIT
#include "guest.h"

static void expect(struct icg *i, struct request *request, uint8_t flags) {
        struct rd body = request->message.body;
        uint64_t filetime, reference;
        uint8_t got, leap, stratum;
        ck_assert_uint_eq(request->message.type, IC_TYPE_TIMESYNC);
        ck_assert_uint_eq(rd_left(&body), 24);
        assert_ok(rd_le64(&body, &filetime));
        assert_ok(rd_le64(&body, &reference));
        assert_ok(rd_u8(&body, &got));
        assert_ok(rd_u8(&body, &leap));
        assert_ok(rd_u8(&body, &stratum));
        ck_assert_uint_eq(filetime, i->filetime);
        ck_assert_uint_eq(reference, i->reference);
        ck_assert_uint_eq(got, flags);
        ck_assert_uint_eq(leap | stratum, 0);
}

/* The period passes. */
static void sample(struct icg *i) {
        io_timer_arm(i->ic->timesync.timer, 0, IC_TIMESYNC_PERIOD_MS * CLOCK_NS_PER_MS);
        fake_run(i->g);
}

START_TEST(the_clock_is_set_at_the_start_and_sampled_later) {
        struct icg *i = icg_new();
        struct fake_channel *ch = icg_ready(i, &ic_service_timesync);
        struct request *request = icg_receive(ch);
        expect(i, request, IC_TIMESYNC_SYNC);
        icg_answer(ch, request);
        icg_expect_silence(ch);
        for (int n = 0; n < 3; n++) {
                i->filetime += 50000000;
                i->reference += 50000000;
                sample(i);
                request = icg_receive(ch);
                expect(i, request, IC_TIMESYNC_SAMPLE);
                icg_answer(ch, request);
        }
        ck_assert_uint_eq(i->problems, 0);
        fake_forget(ch);
        i = icg_free(i);
}
END_TEST

START_TEST(the_time_is_that_of_sending) {
        struct icg *i = icg_new();
        struct fake_channel *ch = icg_ready(i, &ic_service_timesync);
        struct request *first = icg_receive(ch);
        sample(i);
        sample(i);
        ic_timesync(i->ic);
        icg_expect_silence(ch);
        i->filetime += 1000;
        i->reference += 900;
        icg_answer(ch, first);
        /* One packet for all that was due meanwhile. */
        struct request *request = icg_receive(ch);
        expect(i, request, IC_TIMESYNC_SYNC);
        icg_answer(ch, request);
        icg_expect_silence(ch);
        fake_forget(ch);
        i = icg_free(i);
}
END_TEST

START_TEST(the_clock_is_set_on_demand) {
        struct icg *i = icg_new();
        ic_timesync(i->ic); /* nobody there: the start will do it */
        struct fake_channel *ch = icg_ready(i, &ic_service_timesync);
        icg_answer(ch, icg_receive(ch));
        icg_expect_silence(ch);
        ic_timesync(i->ic);
        struct request *request = icg_receive(ch);
        expect(i, request, IC_TIMESYNC_SYNC);
        icg_answer(ch, request);
        vmbus_pause(i->g->vmbus);
        ic_timesync(i->ic);
        icg_expect_silence(ch);
        i->filetime += 77;
        vmbus_resume(i->g->vmbus);
        request = icg_receive(ch);
        expect(i, request, IC_TIMESYNC_SYNC);
        fake_forget(ch);
        i = icg_free(i);
}
END_TEST

START_TEST(an_old_guest_gets_the_old_form) {
        static const struct ic_revision old[] = {{3, 0}};
        struct icg *i = icg_new();
        struct fake_channel *ch = icg_open(i, &ic_service_timesync);
        icg_negotiate(ch, old, 1);
        struct request *request = icg_receive(ch);
        ck_assert_uint_eq(rd_left(&request->message.body), 25);
        ck_assert_uint_eq(request->bytes[OFF_BODY + 24], IC_TIMESYNC_SYNC);
        icg_answer(ch, request);
        ck_assert_uint_eq(i->problems, 0);
        fake_forget(ch);
        i = icg_free(i);
}
END_TEST

START_TEST(a_closed_device_needs_no_time) {
        struct icg *i = icg_new();
        struct fake_channel *ch = icg_ready(i, &ic_service_timesync);
        ck_assert(io_timer_armed(i->ic->timesync.timer));
        fake_close(ch);
        ck_assert(!io_timer_armed(i->ic->timesync.timer));
        ck_assert(!i->ic->timesync.sync_due && !i->ic->timesync.sample_due);
        i = icg_free(i);
}
END_TEST

TEST_MAIN("ic/timesync", the_clock_is_set_at_the_start_and_sampled_later,
        the_time_is_that_of_sending, the_clock_is_set_on_demand, an_old_guest_gets_the_old_form,
        a_closed_device_needs_no_time)
