// SPDX-License-Identifier: MIT
#include "guest.h"

static uint64_t sequence_of(const struct request *request) {
        uint64_t sequence;
        ck_assert_uint_eq(request->message.type, IC_TYPE_HEARTBEAT);
        assert_ok(ic_parse_heartbeat(request->message.body, &sequence));
        return sequence;
}

static void answer(struct fake_channel *ch, struct request *request, uint64_t sequence) {
        struct wr wr = wr_make(request->bytes + OFF_BODY, 8);
        wr_le64(&wr, sequence);
        icg_answer(ch, request);
}

/* The period passes. */
static void beat(struct icg *i) {
        io_timer_arm(i->ic->heartbeat.timer, 0, IC_HEARTBEAT_PERIOD_MS * CLOCK_NS_PER_MS);
        fake_run(i->g);
}

START_TEST(a_living_guest_counts) {
        struct icg *i = icg_new();
        struct fake_channel *ch = icg_ready(i, &ic_service_heartbeat);
        uint64_t answers = 9;
        ck_assert_int_eq(ic_heartbeat(i->ic, &answers), IC_HEARTBEAT_NONE);
        ck_assert_uint_eq(answers, 0);
        for (uint64_t n = 0; n < 300; n++) {
                struct request *request = icg_receive(ch);
                ck_assert_uint_eq(sequence_of(request), n);
                answer(ch, request, n + 1);
                ck_assert_int_eq(ic_heartbeat(i->ic, &answers), IC_HEARTBEAT_OK);
                ck_assert_uint_eq(answers, n + 1);
                icg_expect_silence(ch);
                beat(i);
        }
        ck_assert_uint_eq(i->problems, 0);
        fake_forget(ch);
        i = icg_free(i);
}
END_TEST

START_TEST(a_silent_guest_is_lost_and_found_again) {
        struct icg *i = icg_new();
        struct fake_channel *ch = icg_ready(i, &ic_service_heartbeat);
        uint64_t answers;
        answer(ch, icg_receive(ch), 1);
        beat(i);
        struct request *request = icg_receive(ch);
        i->ic->heartbeat.answered_ns -= (IC_HEARTBEAT_LOST_MS - 1000) * CLOCK_NS_PER_MS;
        ck_assert_int_eq(ic_heartbeat(i->ic, &answers), IC_HEARTBEAT_OK);
        i->ic->heartbeat.answered_ns -= 1000 * CLOCK_NS_PER_MS;
        ck_assert_int_eq(ic_heartbeat(i->ic, &answers), IC_HEARTBEAT_LOST);
        ck_assert_uint_eq(answers, 1);
        /* One packet in flight, however long it takes. */
        beat(i);
        beat(i);
        icg_expect_silence(ch);
        answer(ch, request, 2);
        ck_assert_int_eq(ic_heartbeat(i->ic, &answers), IC_HEARTBEAT_OK);
        ck_assert_uint_eq(sequence_of(icg_receive(ch)), 2);
        fake_forget(ch);
        i = icg_free(i);
}
END_TEST

START_TEST(a_wrong_number_fails_the_device) {
        static const uint64_t wrong[] = {0, 2, UINT64_MAX};
        struct icg *i = icg_new();
        for (size_t k = 0; k < ARRAY_SIZE(wrong); k++) {
                struct fake_channel *ch = icg_ready(i, &ic_service_heartbeat);
                struct request *request = icg_receive(ch);
                ck_assert_uint_eq(sequence_of(request), 0);
                answer(ch, request, wrong[k]);
                ck_assert_uint_eq(i->problems, k + 1);
                ck_assert_int_eq(i->ic->devs[IC_DEV_HEARTBEAT].state, IC_FAILED);
                ck_assert(!io_timer_armed(i->ic->heartbeat.timer));
                fake_close(ch);
        }
        i = icg_free(i);
}
END_TEST

START_TEST(a_guest_that_starts_again_has_not_answered_yet) {
        struct icg *i = icg_new();
        struct fake_channel *ch = icg_ready(i, &ic_service_heartbeat);
        uint64_t answers;
        answer(ch, icg_receive(ch), 1);
        fake_close(ch);
        ck_assert_int_eq(ic_heartbeat(i->ic, &answers), IC_HEARTBEAT_NONE);
        ck_assert(!io_timer_armed(i->ic->heartbeat.timer));
        ch = icg_ready(i, &ic_service_heartbeat);
        ck_assert_int_eq(ic_heartbeat(i->ic, &answers), IC_HEARTBEAT_NONE);
        answer(ch, icg_receive(ch), 2);
        ck_assert_int_eq(ic_heartbeat(i->ic, &answers), IC_HEARTBEAT_OK);
        ck_assert_uint_eq(answers, 1);
        fake_forget(ch);
        i = icg_free(i);
}
END_TEST

TEST_MAIN("ic/heartbeat", a_living_guest_counts, a_silent_guest_is_lost_and_found_again,
        a_wrong_number_fails_the_device, a_guest_that_starts_again_has_not_answered_yet)
