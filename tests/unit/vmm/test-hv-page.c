// SPDX-License-Identifier: MIT
#include <pthread.h>
#include "hv-fixture.h"

#define OS_ID (0x8100ull << 48)

static uint64_t rdmsr(uint32_t msr) {
        uint64_t v = 0xdeadbeef;
        ck_assert_int_eq(hv_msr_read(fake.hv, 0, msr, &v), 0);
        return v;
}

static void wrmsr(uint32_t msr, uint64_t value) {
        ck_assert_int_eq(hv_msr_write(fake.hv, 0, msr, value), 0);
}

static uint8_t first_byte(uint64_t gpa) {
        uint8_t b;
        assert_ok(gmem_read(fake.gm, gpa, &b, 1));
        return b;
}

static void fill(uint64_t gpa, uint8_t byte) {
        uint8_t page[GMEM_PAGE_SIZE];
        memset(page, byte, sizeof page);
        assert_ok(gmem_write(fake.gm, gpa, page, sizeof page));
}

static bool filled(uint64_t gpa, uint8_t byte) {
        uint8_t page[GMEM_PAGE_SIZE];
        assert_ok(gmem_read(fake.gm, gpa, page, sizeof page));
        for (unsigned i = 0; i < sizeof page; i++)
                if (page[i] != byte)
                        return false;
        return true;
}

START_TEST(the_stub_is_these_bytes) {
        static const uint8_t stub[] = {0x81, 0xf9, 0x5d, 0x00, 0x01, 0x00, 0x75, 0x04, 0x40, 0x74,
                0x04, 0x48, 0xe7, 0xe4, 0xc3, 0x48, 0x89, 0xc8, 0x48, 0x09, 0xd0, 0x48, 0xc1, 0xe8,
                0x20, 0x75, 0xf1, 0x89, 0xd0, 0xe7, 0xe8, 0x29, 0xd0, 0xc3, 0xcc};
        uint8_t page[GMEM_PAGE_SIZE];
        ck_assert_int_eq(fake_enable_calls(&fake), 0);
        assert_ok(gmem_read(fake.gm, FAKE_STUB, page, sizeof page));
        ck_assert_mem_eq(page, stub, sizeof stub);
        ck_assert_uint_eq(page[sizeof page - 1], 0xcc);
}
END_TEST

START_TEST(the_page_needs_an_os_id) {
        fill(FAKE_STUB, 0x11);
        wrmsr(HV_MSR_HYPERCALL, FAKE_STUB | 1);
        ck_assert_uint_eq(rdmsr(HV_MSR_HYPERCALL), FAKE_STUB);
        ck_assert(filled(FAKE_STUB, 0x11));
        wrmsr(HV_MSR_GUEST_OS_ID, OS_ID);
        ck_assert_uint_eq(rdmsr(HV_MSR_HYPERCALL), FAKE_STUB);
        wrmsr(HV_MSR_HYPERCALL, FAKE_STUB | 1);
        ck_assert_uint_eq(rdmsr(HV_MSR_HYPERCALL), FAKE_STUB | 1);
        ck_assert_uint_eq(first_byte(FAKE_STUB), 0x81);
}
END_TEST

START_TEST(what_was_under_the_page_comes_back) {
        fill(FAKE_STUB, 0x11);
        fill(FAKE_IN, 0x22);
        ck_assert_int_eq(fake_enable_calls(&fake), 0);
        /* The same value again, or with other reserved bits, is no change. */
        wrmsr(HV_MSR_HYPERCALL, FAKE_STUB | 1);
        wrmsr(HV_MSR_HYPERCALL, FAKE_STUB | 0x801);
        ck_assert_uint_eq(rdmsr(HV_MSR_HYPERCALL), FAKE_STUB | 0x801);
        /* Moved */
        wrmsr(HV_MSR_HYPERCALL, FAKE_IN | 1);
        ck_assert(filled(FAKE_STUB, 0x11));
        ck_assert_uint_eq(first_byte(FAKE_IN), 0x81);
        /* Disabled */
        wrmsr(HV_MSR_HYPERCALL, FAKE_IN);
        ck_assert(filled(FAKE_IN, 0x22));
        /* And by taking back the id */
        wrmsr(HV_MSR_HYPERCALL, FAKE_IN | 1);
        wrmsr(HV_MSR_GUEST_OS_ID, 0);
        ck_assert(filled(FAKE_IN, 0x22));
        ck_assert_uint_eq(rdmsr(HV_MSR_HYPERCALL), FAKE_IN);
        wrmsr(HV_MSR_GUEST_OS_ID, 0);
        ck_assert(filled(FAKE_IN, 0x22));
}
END_TEST

START_TEST(a_page_outside_ram_faults_and_changes_nothing) {
        ck_assert_int_eq(fake_enable_calls(&fake), 0);
        const uint64_t bad[] = {0, FAKE_RAM_GPA - GMEM_PAGE_SIZE, FAKE_RAM_END, ~0xfffull};
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                ck_assert_int_eq(hv_msr_write(fake.hv, 0, HV_MSR_HYPERCALL, bad[i] | 1), HV_E_GP);
                ck_assert_uint_eq(rdmsr(HV_MSR_HYPERCALL), FAKE_STUB | 1);
                ck_assert_uint_eq(first_byte(FAKE_STUB), 0x81);
        }
}
END_TEST

START_TEST(a_locked_page_stays_until_reset) {
        ck_assert_int_eq(fake_enable_calls(&fake), 0);
        wrmsr(HV_MSR_HYPERCALL, FAKE_STUB | 3);
        ck_assert_int_eq(hv_msr_write(fake.hv, 0, HV_MSR_HYPERCALL, 0), HV_E_GP);
        ck_assert_int_eq(hv_msr_write(fake.hv, 1, HV_MSR_HYPERCALL, FAKE_IN | 1), HV_E_GP);
        ck_assert_uint_eq(rdmsr(HV_MSR_HYPERCALL), FAKE_STUB | 3);
        hv_reset(fake.hv);
        ck_assert_uint_eq(rdmsr(HV_MSR_HYPERCALL), 0);
        ck_assert_int_eq(fake_enable_calls(&fake), 0);
}
END_TEST

static struct hv_reference_tsc tsc_page(void) {
        struct hv_reference_tsc page;
        assert_ok(gmem_read(fake.gm, FAKE_TSC, &page, sizeof page));
        return page;
}

static uint64_t tsc_time(uint64_t tsc) {
        struct hv_reference_tsc page = tsc_page();
        return (uint64_t)((unsigned __int128)tsc * le64_get(page.scale) >> 64) +
               le64_get(page.offset);
}

START_TEST(the_tsc_page_tells_the_reference_time) {
        fake.now = 5000000;
        fake.tsc = 1234567890123;
        wrmsr(HV_MSR_REFERENCE_TSC, FAKE_TSC | 1);
        ck_assert_uint_eq(rdmsr(HV_MSR_REFERENCE_TSC), FAKE_TSC | 1);
        ck_assert_uint_eq(le32_get(tsc_page().sequence), 1);
        ck_assert_uint_eq(tsc_time(fake.tsc), 5000000);
        /* 2.5 GHz: after an hour at most one unit is lost to rounding. */
        uint64_t hour = 3600ull * 10000000;
        uint64_t later = tsc_time(fake.tsc + 3600ull * 2500000000);
        ck_assert_uint_ge(later, 5000000 + hour - 1);
        ck_assert_uint_le(later, 5000000 + hour);
}
END_TEST

START_TEST(a_changed_time_gets_a_new_sequence) {
        fake.now = 1000;
        fake.tsc = 10;
        wrmsr(HV_MSR_REFERENCE_TSC, FAKE_TSC | 1);
        fake.now = 77777;
        fake.tsc = UINT64_MAX;
        hv_tsc_changed(fake.hv);
        ck_assert_uint_eq(le32_get(tsc_page().sequence), 2);
        ck_assert_uint_eq(tsc_time(UINT64_MAX), 77777);
        /* 0 and the highest number are left out. */
        fake.hv->tsc_sequence = UINT32_MAX - 1;
        hv_tsc_changed(fake.hv);
        ck_assert_uint_eq(le32_get(tsc_page().sequence), 1);
        fake.hv->tsc_sequence = UINT32_MAX;
        hv_tsc_changed(fake.hv);
        ck_assert_uint_eq(le32_get(tsc_page().sequence), 1);
}
END_TEST

START_TEST(a_preempted_look_at_the_time_is_tried_again) {
        /* Looks at 0 and 500, 500 and 504, 504 and 594, 594 and 602, 602 and 652. */
        const uint64_t steps[10] = {0, 500, 0, 4, 0, 90, 0, 8, 0, 50};
        memcpy(fake.time_steps, steps, sizeof steps);
        wrmsr(HV_MSR_REFERENCE_TSC, FAKE_TSC | 1);
        ck_assert_uint_eq(tsc_time(0), 502);
}
END_TEST

/* The offset is a thousand times the sequence, here. */
static void *read_tsc_page(void *arg) {
        const int *stop = arg;
        while (!__atomic_load_n(stop, __ATOMIC_RELAXED)) {
                uint32_t before, after;
                le64 offset;
                if (gmem_load32(fake.gm, FAKE_TSC, &before) < 0 ||
                        gmem_read(fake.gm, FAKE_TSC + 16, &offset, sizeof offset) < 0 ||
                        gmem_load32(fake.gm, FAKE_TSC, &after) < 0)
                        return arg;
                if (before != 0 && before == after && le64_get(offset) != before * 1000ull)
                        return arg;
        }
        return NULL;
}

START_TEST(a_reader_never_sees_half_a_change) {
        pthread_t thread;
        int stop = 0;
        void *result;
        fake.now = 1000;
        wrmsr(HV_MSR_REFERENCE_TSC, FAKE_TSC | 1);
        ck_assert_int_eq(pthread_create(&thread, NULL, read_tsc_page, &stop), 0);
        for (unsigned i = 2; i < 300000; i++) {
                fake.now = i * 1000ull;
                hv_tsc_changed(fake.hv);
        }
        __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
        ck_assert_int_eq(pthread_join(thread, &result), 0);
        ck_assert_ptr_null(result);
}
END_TEST

START_TEST(a_disabled_tsc_page_is_left_alone) {
        fill(FAKE_TSC, 0x33);
        wrmsr(HV_MSR_REFERENCE_TSC, FAKE_TSC);
        hv_tsc_changed(fake.hv);
        ck_assert(filled(FAKE_TSC, 0x33));
        wrmsr(HV_MSR_REFERENCE_TSC, FAKE_RAM_END | 1);
        hv_tsc_changed(fake.hv);
        ck_assert_uint_eq(rdmsr(HV_MSR_REFERENCE_TSC), FAKE_RAM_END | 1);
        wrmsr(HV_MSR_REFERENCE_TSC, UINT64_MAX);
}
END_TEST

START_TEST(a_tsc_too_slow_is_not_valid) {
        fake.hv->config.tsc_khz = 10000;
        wrmsr(HV_MSR_REFERENCE_TSC, FAKE_TSC | 1);
        ck_assert_uint_eq(le32_get(tsc_page().sequence), 0);
        fake.hv->config.tsc_khz = 10001;
        hv_tsc_changed(fake.hv);
        ck_assert_uint_eq(le32_get(tsc_page().sequence), 1);
}
END_TEST

HV_TEST_MAIN("hv-page", NULL, the_stub_is_these_bytes, the_page_needs_an_os_id,
        what_was_under_the_page_comes_back, a_page_outside_ram_faults_and_changes_nothing,
        a_locked_page_stays_until_reset, the_tsc_page_tells_the_reference_time,
        a_changed_time_gets_a_new_sequence, a_preempted_look_at_the_time_is_tried_again,
        a_reader_never_sees_half_a_change, a_disabled_tsc_page_is_left_alone,
        a_tsc_too_slow_is_not_valid)
