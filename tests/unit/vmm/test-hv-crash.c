// SPDX-License-Identifier: MIT
#include "hv-fixture.h"

static void wrmsr(uint32_t msr, uint64_t value) {
        ck_assert_int_eq(hv_msr_write(fake.hv, 0, msr, value), 0);
}

/* Leaves a text of n bytes at gpa and reports it. */
static const char *report(uint64_t gpa, uint64_t n) {
        unsigned before = fake.n_events;
        wrmsr(HV_MSR_CRASH_P3, gpa);
        wrmsr(HV_MSR_CRASH_P4, n);
        wrmsr(HV_MSR_CRASH_CTL, HV_CRASH_CTL_NOTIFY | HV_CRASH_CTL_MESSAGE);
        ck_assert_uint_eq(fake.n_events, before + 1);
        ck_assert_int_eq(fake.event.type, VMM_EVENT_CRASH);
        return fake.event.text;
}

START_TEST(both_ways_of_reporting_are_offered) {
        uint64_t v;
        ck_assert_int_eq(hv_msr_read(fake.hv, 0, HV_MSR_CRASH_CTL, &v), 0);
        ck_assert_uint_eq(v, 3ull << 62);
}
END_TEST

START_TEST(five_numbers_are_reported) {
        for (uint32_t i = 0; i < 5; i++)
                wrmsr(HV_MSR_CRASH_P0 + i, 0x1111111111111111 * (i + 1));
        wrmsr(HV_MSR_CRASH_CTL, 0);
        wrmsr(HV_MSR_CRASH_CTL, HV_CRASH_CTL_MESSAGE);
        ck_assert_uint_eq(fake.n_events, 0);
        wrmsr(HV_MSR_CRASH_CTL, HV_CRASH_CTL_NOTIFY);
        ck_assert_uint_eq(fake.n_events, 1);
        ck_assert_int_eq(fake.event.type, VMM_EVENT_CRASH);
        for (uint32_t i = 0; i < 5; i++)
                ck_assert_uint_eq(fake.event.crash[i], 0x1111111111111111 * (i + 1));
        ck_assert_str_eq(fake.event.text, "");
}
END_TEST

START_TEST(a_text_is_reported_without_what_a_terminal_obeys) {
        static const char text[] = "<0>Kernel panic\n\tnot syncing\x1b[2J \xe2\x82\xac\r\x7f!";
        assert_ok(gmem_write(fake.gm, FAKE_TEXT + 5, text, sizeof text));
        ck_assert_str_eq(report(FAKE_TEXT + 5, sizeof text - 1),
                "<0>Kernel panic\n\tnot syncing?[2J ???" /* no trigraph */ "?"
                "?!");
        ck_assert_str_eq(report(FAKE_TEXT + 5, 6), "<0>Ker");
        ck_assert_str_eq(report(FAKE_TEXT + 5, 0), "");
        /* A NUL ends it, and nothing of what follows is handed on. */
        assert_ok(gmem_write(fake.gm, FAKE_TEXT, "ab\0cd", 5));
        ck_assert_str_eq(report(FAKE_TEXT, 5), "ab");
        for (size_t i = 2; i < sizeof fake.event.text; i++)
                ck_assert_int_eq(fake.event.text[i], 0);
}
END_TEST

START_TEST(a_text_has_at_most_4095_bytes) {
        char page[GMEM_PAGE_SIZE];
        memset(page, 'a', sizeof page);
        assert_ok(gmem_write(fake.gm, FAKE_TEXT, page, sizeof page));
        ck_assert_uint_eq(strlen(report(FAKE_TEXT, 4094)), 4094);
        ck_assert_uint_eq(strlen(report(FAKE_TEXT, 4095)), 4095);
        ck_assert_uint_eq(strlen(report(FAKE_TEXT, 4096)), 4095);
        ck_assert_uint_eq(strlen(report(FAKE_TEXT, UINT64_MAX)), 4095);
}
END_TEST

START_TEST(a_text_outside_ram_is_left_out) {
        ck_assert_str_eq(report(0, 10), "");
        ck_assert_str_eq(report(FAKE_RAM_END - 5, 10), "");
        ck_assert_str_eq(report(UINT64_MAX - 5, 10), "");
        ck_assert_str_eq(report(FAKE_RAM_END, 0), "");
}
END_TEST

HV_TEST_MAIN("hv-crash", NULL, both_ways_of_reporting_are_offered, five_numbers_are_reported,
        a_text_is_reported_without_what_a_terminal_obeys, a_text_has_at_most_4095_bytes,
        a_text_outside_ram_is_left_out)
