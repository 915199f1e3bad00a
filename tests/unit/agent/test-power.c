// SPDX-License-Identifier: MIT
#include "../test.h"
#include <signal.h>
#include <stdio.h>
#include "agent/power.h"
#include "base/clock.h"

struct machine {
        struct io_loop *loop;
        struct power *power;
        char log[128]; /* what was done, a letter each: T, K, then how it ended */
        uint64_t begun, killed, finished;
};

static struct machine machine;

static void note(const char *what) {
        strncat(machine.log, what, sizeof machine.log - strlen(machine.log) - 1);
}

static void kill_all(_unused_ void *ctx, int signal) {
        if (signal == SIGKILL)
                machine.killed = clock_now_ns();
        note(signal == SIGTERM ? "T" : signal == SIGKILL ? "K" : "?");
}

static void finish(_unused_ void *ctx, enum power_how how, bool sync) {
        static const char *const names[] = {
                [POWER_OFF] = " off", [POWER_REBOOT] = " reboot", [POWER_HALT] = " halt"};
        machine.finished = clock_now_ns();
        note(names[how]);
        note(sync ? " synced" : "");
}

static const struct power_calls calls = {.kill_all = kill_all, .finish = finish};

static void setup(void) {
        machine = (struct machine){0};
        assert_ok(io_loop_new(&machine.loop));
        assert_ok(power_new(machine.loop, &calls, &machine.power));
        machine.begun = clock_now_ns();
}

static void teardown(void) {
        power_free(machine.power);
        io_loop_free(machine.loop);
}

static void until_finished(void) {
        while (!machine.finished)
                assert_ok(io_loop_once(machine.loop, -1));
}

START_TEST(gives_everyone_a_grace_before_it_kills) {
        setup();
        power_begin(machine.power, POWER_OFF, false);
        until_finished();
        ck_assert_str_eq(machine.log, "TK off synced");
        ck_assert_uint_ge(machine.killed - machine.begun, 2 * CLOCK_NS_PER_SEC);
        ck_assert_uint_lt(machine.finished - machine.begun, 4 * CLOCK_NS_PER_SEC);
        teardown();
}
END_TEST

START_TEST(waits_no_longer_than_there_are_processes) {
        setup();
        power_begin(machine.power, POWER_REBOOT, false);
        power_children_gone(machine.power);
        ck_assert_str_eq(machine.log, "T reboot synced");
        teardown();
}
END_TEST

START_TEST(forced_means_neither_grace_nor_sync) {
        setup();
        power_begin(machine.power, POWER_OFF, true);
        ck_assert_str_eq(machine.log, "K");
        power_children_gone(machine.power);
        ck_assert_str_eq(machine.log, "K off");
        teardown();
}
END_TEST

START_TEST(a_second_call_can_force_and_nothing_else) {
        setup();
        power_begin(machine.power, POWER_HALT, false);
        power_begin(machine.power, POWER_OFF, false);
        ck_assert_str_eq(machine.log, "T");
        power_begin(machine.power, POWER_OFF, true);
        power_begin(machine.power, POWER_OFF, true);
        ck_assert_str_eq(machine.log, "TK");
        until_finished();
        power_begin(machine.power, POWER_OFF, true);
        power_children_gone(machine.power);
        ck_assert_str_eq(machine.log, "TK halt");
        teardown();
}
END_TEST

START_TEST(a_machine_without_processes_stays_up) {
        setup();
        power_children_gone(machine.power);
        ck_assert_str_eq(machine.log, "");
        teardown();
}
END_TEST

TEST_MAIN("power", gives_everyone_a_grace_before_it_kills, waits_no_longer_than_there_are_processes,
        forced_means_neither_grace_nor_sync, a_second_call_can_force_and_nothing_else,
        a_machine_without_processes_stays_up)
