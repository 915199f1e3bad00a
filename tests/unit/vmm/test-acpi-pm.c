// SPDX-License-Identifier: MIT
#include "vmm/acpi-pm.h"
#include "../test.h"

static struct {
        bool sci;
        unsigned power_offs, resets;
        uint64_t time;
} seen;

static void sci(_unused_ void *ctx, bool level) {
        seen.sci = level;
}
static void power_off(_unused_ void *ctx) {
        seen.power_offs++;
}
static void reset(_unused_ void *ctx) {
        seen.resets++;
}
static uint64_t time_100ns(_unused_ void *ctx) {
        return seen.time;
}

static const struct acpi_pm_ops ops = {sci, power_off, reset, time_100ns};
enum { BUTTON = 0x100 };

static struct acpi_pm fresh(void) {
        struct acpi_pm pm;
        memset(&seen, 0, sizeof seen);
        acpi_pm_init(&pm, &ops, NULL);
        return pm;
}

START_TEST(the_button_raises_the_sci_until_it_is_cleared) {
        struct acpi_pm pm = fresh();
        acpi_pm_button(&pm);
        ck_assert(!seen.sci); /* not enabled */
        acpi_pm_event_ops.write(&pm, 2, 2, BUTTON);
        ck_assert(seen.sci);
        ck_assert_uint_eq(acpi_pm_event_ops.read(&pm, 0, 2) & 0xffff, BUTTON);
        acpi_pm_event_ops.write(&pm, 0, 2, BUTTON);
        ck_assert(!seen.sci);
        ck_assert_uint_eq(acpi_pm_event_ops.read(&pm, 0, 4), (uint32_t)BUTTON << 16);
}
END_TEST

START_TEST(single_bytes_are_written_alone) {
        struct acpi_pm pm = fresh();
        acpi_pm_event_ops.write(&pm, 2, 2, 0xffff);
        ck_assert_uint_eq(acpi_pm_event_ops.read(&pm, 2, 2), 0x0521);
        acpi_pm_event_ops.write(&pm, 3, 1, 0);
        ck_assert_uint_eq(acpi_pm_event_ops.read(&pm, 2, 2), 0x0021);
        acpi_pm_button(&pm);
        acpi_pm_event_ops.write(&pm, 0, 1, 0xff);
        ck_assert_uint_eq(acpi_pm_event_ops.read(&pm, 1, 1) & 0xff, BUTTON >> 8);
        acpi_pm_event_ops.write(&pm, 1, 1, BUTTON >> 8);
        ck_assert_uint_eq(acpi_pm_event_ops.read(&pm, 0, 2) & 0xffff, 0);
}
END_TEST

START_TEST(only_the_off_state_ends_the_machine) {
        struct acpi_pm pm = fresh();
        ck_assert_uint_eq(acpi_pm_control_ops.read(&pm, 0, 2) & 1, 1); /* SCI_EN */
        acpi_pm_control_ops.write(&pm, 0, 2, 5 << 10);
        acpi_pm_control_ops.write(&pm, 0, 2, 1 << 13);
        acpi_pm_control_ops.write(&pm, 0, 2, 1 << 13 | 4 << 10);
        ck_assert_uint_eq(seen.power_offs, 0);
        acpi_pm_control_ops.write(&pm, 0, 2, 1 << 13 | 5 << 10);
        ck_assert_uint_eq(seen.power_offs, 1);
        acpi_pm_control_ops.write(&pm, 1, 1, (1 << 13 | 5 << 10) >> 8);
        ck_assert_uint_eq(seen.power_offs, 2);
}
END_TEST

START_TEST(the_timer_runs_at_its_rate) {
        struct acpi_pm pm = fresh();
        seen.time = 10000000;
        ck_assert_uint_eq(acpi_pm_timer_ops.read(&pm, 0, 4), 3579545);
        ck_assert_uint_eq(acpi_pm_timer_ops.read(&pm, 1, 1) & 0xff, 3579545 >> 8 & 0xff);
        seen.time = 10000000ull * 86400 * 365 * 1000;
        ck_assert_uint_eq(
                acpi_pm_timer_ops.read(&pm, 0, 4), (uint32_t)(3579545ull * 86400 * 365 * 1000));
        acpi_pm_timer_ops.write(&pm, 0, 4, 0);
}
END_TEST

START_TEST(both_old_ways_reset) {
        struct acpi_pm pm = fresh();
        acpi_pm_reset_ops.write(&pm, 0, 1, 0x02);
        acpi_pm_keyboard_ops.write(&pm, 0, 1, 0xfe);
        acpi_pm_keyboard_ops.write(&pm, 4, 1, 0xd1);
        ck_assert_uint_eq(seen.resets, 0);
        acpi_pm_reset_ops.write(&pm, 0, 1, ACPI_PM_RESET_VALUE);
        acpi_pm_keyboard_ops.write(&pm, 4, 1, 0xfe);
        ck_assert_uint_eq(seen.resets, 2);
        ck_assert_uint_eq(acpi_pm_keyboard_ops.read(&pm, 4, 1), 0);
}
END_TEST

START_TEST(comes_back_from_its_saved_form) {
        struct acpi_pm pm = fresh(), back = pm;
        uint8_t a[64], b[64];
        struct wr wa = wr_make(a, sizeof a), wb = wr_make(b, sizeof b);
        acpi_pm_event_ops.write(&pm, 2, 2, BUTTON);
        acpi_pm_button(&pm);
        acpi_pm_save(&pm, &wa);
        struct rd rd = rd_make(a, wa.size);
        assert_ok(acpi_pm_restore(&back, &rd));
        acpi_pm_save(&back, &wb);
        ck_assert_mem_eq(a, b, wa.size);
        for (size_t i = 0; i < wa.size; i++) {
                rd = rd_make(a, i);
                assert_error(acpi_pm_restore(&back, &rd), -EBADMSG);
        }
        a[wa.size - 1] = 0; /* a line that is not what the registers make it */
        rd = rd_make(a, wa.size);
        assert_error(acpi_pm_restore(&back, &rd), -EBADMSG);
}
END_TEST

TEST_MAIN("acpi-pm", the_button_raises_the_sci_until_it_is_cleared, single_bytes_are_written_alone,
        only_the_off_state_ends_the_machine, the_timer_runs_at_its_rate, both_old_ways_reset,
        comes_back_from_its_saved_form)
