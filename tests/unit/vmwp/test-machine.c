// SPDX-License-Identifier: MIT
#include "vmwp/machine.h"
#include "rig.h"
#include "wire/hresult.h"

START_TEST(restarts_ten_times_and_leaves_nothing) {
        rig_free(rig_new(CODE_HALT)); /* a sanitizer's own thread comes with the first of ours */
        unsigned fds = rig_count("/proc/self/fd"), threads = rig_count("/proc/self/task");
        struct rig *rig = rig_new(CODE_RESET);
        unsigned made = rig_count("/proc/self/fd");
        rig_start(rig);
        for (unsigned i = 0; i < RIG_ROUNDS && rig->restarts < 10; i++) {
                rig_turn(rig, 1);
                ck_assert_uint_eq(rig_count("/proc/self/fd"), made);
        }
        ck_assert_uint_ge(rig->restarts, 10);
        ck_assert_uint_eq(rig->stops, 0);
        rig = rig_free(rig);
        ck_assert_uint_eq(rig_count("/proc/self/fd"), fds);
        ck_assert_uint_eq(rig_count("/proc/self/task"), threads);
}
END_TEST

START_TEST(a_triple_fault_restarts) {
        struct rig *rig = rig_new(CODE_FAULT);
        rig_start(rig);
        for (unsigned i = 0; i < RIG_ROUNDS && rig->restarts < 2; i++)
                rig_turn(rig, 1);
        ck_assert_uint_ge(rig->restarts, 2);
        rig = rig_free(rig);
}
END_TEST

static void check_stops_once(struct rig *rig, enum machine_stop why) {
        rig_start(rig);
        for (unsigned i = 0; i < RIG_ROUNDS && rig->stops == 0; i++)
                rig_turn(rig, 1);
        machine_resume(rig->machine);
        machine_pause(rig->machine);
        rig_turn(rig, 20);
        ck_assert_uint_eq(rig->stops, 1);
        ck_assert_int_eq(rig->why, why);
        ck_assert_uint_eq(rig->restarts, 0);
        rig_free(rig);
}

START_TEST(a_power_off_stops_it_for_good) {
        check_stops_once(rig_new(CODE_POWER_OFF), MACHINE_POWERED_OFF);
}
END_TEST

START_TEST(stops_at_a_reset_when_it_is_to) {
        struct rig *rig = rig_prepare(CODE_RESET, sizeof CODE_RESET - 1);
        rig->config.stop_on_reset = true;
        rig_make(rig);
        check_stops_once(rig, MACHINE_RESET);
}
END_TEST

START_TEST(stops_when_its_kernel_cannot_be_loaded_again) {
        struct rig *rig = rig_new(CODE_RESET);
        rig_start(rig);
        ck_assert_int_eq(ftruncate(rig->config.kernel_fd, 0), 0);
        for (unsigned i = 0; i < RIG_ROUNDS && rig->stops == 0; i++)
                rig_turn(rig, 1);
        ck_assert_uint_eq(rig->stops, 1);
        ck_assert_int_eq(rig->why, MACHINE_FAILED);
        rig = rig_free(rig);
}
END_TEST

START_TEST(pause_and_resume_may_be_repeated_at_any_time) {
        struct rig *rig = rig_new(CODE_HALT);
        struct vmm *vmm = machine_vmm(rig->machine);
        machine_pause(rig->machine);
        machine_resume(rig->machine); /* nothing: it was not started */
        rig_sleep(5);
        ck_assert_uint_eq(vmm_reference_time(vmm), 0);
        rig_start(rig);
        uint64_t last = 0;
        for (unsigned i = 0; i < 5; i++) {
                rig_sleep(2);
                machine_pause(rig->machine);
                machine_pause(rig->machine);
                uint64_t time = vmm_reference_time(vmm);
                ck_assert_uint_gt(time, last);
                rig_sleep(20);
                rig_turn(rig, 5);
                ck_assert_uint_eq(vmm_reference_time(vmm), time);
                machine_resume(rig->machine);
                machine_resume(rig->machine);
                last = vmm_reference_time(vmm);
                ck_assert_uint_ge(last, time);
                ck_assert_uint_lt(last - time, 100000); /* the 20 ms were none of its */
        }
        ck_assert_uint_eq(rig->stops, 0);
        rig = rig_free(rig);
}
END_TEST

/* The guest asked for it before the pause, the loop hears of it afterwards. */
START_TEST(a_paused_machine_does_not_restart) {
        struct rig *rig = rig_new(CODE_RESET);
        rig_start(rig);
        rig_sleep(100);
        machine_pause(rig->machine);
        uint64_t time = vmm_reference_time(machine_vmm(rig->machine));
        rig_turn(rig, 20);
        ck_assert_uint_eq(rig->restarts, 0);
        ck_assert_uint_eq(vmm_reference_time(machine_vmm(rig->machine)), time);
        machine_resume(rig->machine);
        for (unsigned i = 0; i < RIG_ROUNDS && rig->restarts == 0; i++)
                rig_turn(rig, 1);
        ck_assert_uint_ge(rig->restarts, 1);
        rig = rig_free(rig);
}
END_TEST

START_TEST(is_freed_in_any_state) {
        unsigned fds = rig_count("/proc/self/fd");
        ck_assert_ptr_null(machine_free(NULL));
        struct rig *rig = rig_free(rig_new(CODE_HALT));
        rig = rig_new(CODE_HALT);
        rig_start(rig);
        rig = rig_free(rig);
        rig = rig_new(CODE_HALT);
        rig_start(rig);
        machine_pause(rig->machine);
        rig = rig_free(rig);
        rig = rig_new(CODE_POWER_OFF);
        rig_start(rig);
        rig_sleep(20);
        rig = rig_free(rig);
        ck_assert_uint_eq(rig_count("/proc/self/fd"), fds);
}
END_TEST

START_TEST(a_failed_start_leaves_nothing) {
        rig_free(rig_new(CODE_HALT)); /* a sanitizer's own thread comes with the first of ours */
        unsigned fds = rig_count("/proc/self/fd"), threads = rig_count("/proc/self/task");
        const enum fault_kind kinds[] = {FAULT_ALLOC, FAULT_FD, FAULT_KVM};
        struct rig *rig = rig_prepare(CODE_HALT, sizeof CODE_HALT - 1);
        unsigned before = rig_count("/proc/self/fd");
        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
                for (unsigned n = 1;; n++) {
                        struct error e = {0};
                        fault_arm(kinds[i], n);
                        int r = machine_new(
                                rig->loop, &rig->config, &rig_ops, rig, &e, &rig->machine);
                        bool fired = fault_fired(kinds[i]);
                        fault_arm(kinds[i], 0);
                        if (r == 0)
                                rig->machine = machine_free(rig->machine);
                        else
                                ck_assert(e.hresult != 0 && e.text[0]);
                        ck_assert_uint_eq(rig_count("/proc/self/fd"), before);
                        ck_assert_uint_eq(rig_count("/proc/self/task"), threads);
                        if (!fired)
                                break;
                }
        }
        rig = rig_free(rig);
        ck_assert_uint_eq(rig_count("/proc/self/fd"), fds);
}
END_TEST

START_TEST(the_console_keeps_its_last_words) {
        struct rig *rig = rig_new(CODE_HELLO);
        ck_assert_str_eq(machine_console_tail(rig->machine), "");
        rig_start(rig);
        for (unsigned i = 0; i < RIG_ROUNDS && !strchr(machine_console_tail(rig->machine), 'B');
                i++)
                rig_turn(rig, 1);
        ck_assert_str_eq(machine_console_tail(rig->machine), "A B");
        rig = rig_free(rig);
}
END_TEST

static void on_done(void *ctx, uint32_t hresult, const char *text, uint32_t pid) {
        (void)text, (void)pid;
        *(uint32_t *)ctx = hresult;
}

START_TEST(nobody_is_asked_to_shut_down_when_nobody_listens) {
        struct rig *rig = rig_new(CODE_HALT);
        uint32_t hresult = 0;
        rig_start(rig);
        machine_shutdown(rig->machine, false, false, on_done, &hresult);
        ck_assert_uint_eq(hresult, HR_NOT_SUPPORTED);
        rig = rig_free(rig);
}
END_TEST

TEST_MAIN("vmwp/machine", restarts_ten_times_and_leaves_nothing, a_triple_fault_restarts,
        a_power_off_stops_it_for_good, stops_at_a_reset_when_it_is_to,
        stops_when_its_kernel_cannot_be_loaded_again, pause_and_resume_may_be_repeated_at_any_time,
        a_paused_machine_does_not_restart, is_freed_in_any_state, a_failed_start_leaves_nothing,
        the_console_keeps_its_last_words, nobody_is_asked_to_shut_down_when_nobody_listens)
