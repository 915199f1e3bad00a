// SPDX-License-Identifier: MIT
#include "vmm/rtc.h"
#include "../test.h"

static int64_t host_time;

static int64_t now(_unused_ void *ctx) {
        return host_time;
}

static struct rtc fresh(void) {
        struct rtc rtc;
        host_time = 1709210096; /* 2024-02-29 12:34:56, a Thursday */
        rtc_init(&rtc, now, NULL);
        return rtc;
}

static uint8_t in(struct rtc *rtc, uint8_t index) {
        rtc_bus_ops.write(rtc, 0, 1, index);
        return (uint8_t)rtc_bus_ops.read(rtc, 1, 1);
}

static void out(struct rtc *rtc, uint8_t index, uint8_t value) {
        rtc_bus_ops.write(rtc, 0, 1, index);
        rtc_bus_ops.write(rtc, 1, 1, value);
}

static void check_time(struct rtc *rtc, const uint8_t expected[8]) {
        static const uint8_t order[] = {0x32, 9, 8, 7, 4, 2, 0, 6};
        for (size_t i = 0; i < 8; i++)
                ck_assert_uint_eq(in(rtc, order[i]), expected[i]);
}

START_TEST(shows_the_hosts_time_in_bcd) {
        struct rtc rtc = fresh();
        check_time(&rtc, (const uint8_t[]){0x20, 0x24, 0x02, 0x29, 0x12, 0x34, 0x56, 5});
        host_time += 4;
        check_time(&rtc, (const uint8_t[]){0x20, 0x24, 0x02, 0x29, 0x12, 0x35, 0x00, 5});
        ck_assert_uint_eq(in(&rtc, 0x0a) & 0x80, 0);
        ck_assert_uint_eq(in(&rtc, 0x0b), 0x02);
        ck_assert_uint_eq(in(&rtc, 0x0c), 0);
        ck_assert_uint_eq(in(&rtc, 0x0d), 0x80);
}
END_TEST

START_TEST(is_set_as_a_whole) {
        struct rtc rtc = fresh();
        out(&rtc, 0x0b, 0x82);
        host_time += 100;
        ck_assert_uint_eq(in(&rtc, 0), 0x56); /* it stands still */
        static const uint8_t values[][2] = {
                {7, 0x31}, {8, 0x12}, {9, 0x99}, {0x32, 0x19}, {4, 0x23}, {2, 0x59}, {0, 0x58}};
        for (size_t i = 0; i < ARRAY_SIZE(values); i++)
                out(&rtc, values[i][0], values[i][1]);
        out(&rtc, 0x0b, 0x02);
        check_time(&rtc, (const uint8_t[]){0x19, 0x99, 0x12, 0x31, 0x23, 0x59, 0x58, 6});
        host_time += 2;
        check_time(&rtc, (const uint8_t[]){0x20, 0x00, 0x01, 0x01, 0x00, 0x00, 0x00, 7});
}
END_TEST

START_TEST(nonsense_is_taken_as_some_time) {
        struct rtc rtc = fresh();
        for (unsigned i = 0; i < RTC_BYTES; i++)
                out(&rtc, (uint8_t)i, 0xff);
        for (unsigned i = 0; i < RTC_BYTES; i++)
                in(&rtc, (uint8_t)i);
}
END_TEST

START_TEST(keeps_the_other_bytes) {
        struct rtc rtc = fresh();
        out(&rtc, 0x0f, 0x0a);
        out(&rtc, 0x8e, 0x77); /* bit 7 is the NMI mask */
        ck_assert_uint_eq(in(&rtc, 0x0f), 0x0a);
        ck_assert_uint_eq(in(&rtc, 0x0e), 0x77);
        ck_assert_uint_eq(rtc_bus_ops.read(&rtc, 0, 1), 0x0e);
}
END_TEST

START_TEST(comes_back_from_its_saved_form) {
        struct rtc rtc = fresh(), back = rtc;
        uint8_t a[256], b[256];
        struct wr wa = wr_make(a, sizeof a), wb = wr_make(b, sizeof b);
        out(&rtc, 9, 0x30);
        rtc_save(&rtc, &wa);
        host_time += 1000;
        in(&rtc, 0);
        struct rd rd = rd_make(a, wa.size);
        assert_ok(rtc_restore(&back, &rd));
        ck_assert_uint_eq(in(&back, 9), 0x30);
        back.index = rtc.index = 9;
        rtc_save(&back, &wb);
        ck_assert_uint_eq(wa.size, wb.size);
        ck_assert_mem_eq(a, b, wa.size);
        for (size_t i = 0; i < wa.size; i++) {
                rd = rd_make(a, i);
                assert_error(rtc_restore(&back, &rd), -EBADMSG);
        }
        a[12 + 7] = 0x7f; /* an offset of more years than there are */
        rd = rd_make(a, wa.size);
        assert_error(rtc_restore(&back, &rd), -EBADMSG);
}
END_TEST

TEST_MAIN("rtc", shows_the_hosts_time_in_bcd, is_set_as_a_whole, nonsense_is_taken_as_some_time,
        keeps_the_other_bytes, comes_back_from_its_saved_form)
