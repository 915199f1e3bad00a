// SPDX-License-Identifier: MIT
/* libcheck around the fake owner: a fresh one, with the default privileges, for every test. */
#pragma once
#include "../test.h"
#include "hv-fake.h"

static struct fake fake;

static void fake_setup(void) {
        assert_ok(fake_init(&fake, hv_privileges_default));
}

static void fake_teardown(void) {
        fake_done(&fake);
}

/* With other privileges, in the middle of a test. */
static inline _unused_ void fake_renew(uint64_t privileges) {
        fake_done(&fake);
        assert_ok(fake_init(&fake, privileges));
}

static int fake_main(const char *name, SFun setup, const test_fn *tests, size_t n) {
        Suite *suite = suite_create(name);
        TCase *tcase = tcase_create(name);
        tcase_set_timeout(tcase, 60);
        tcase_add_checked_fixture(tcase, fake_setup, fake_teardown);
        if (setup)
                tcase_add_checked_fixture(tcase, setup, NULL);
        for (size_t i = 0; i < n; i++)
                tcase_add_test(tcase, tests[i]);
        suite_add_tcase(suite, tcase);
        SRunner *runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        int failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* HV_TEST_MAIN("hv-call", enable, refuses_this, does_that): enable() runs before each, or NULL. */
#define HV_TEST_MAIN(name, setup, ...)                                                             \
        int main(void) {                                                                           \
                const test_fn tests[] = {__VA_ARGS__};                                             \
                return fake_main(name, setup, tests, ARRAY_SIZE(tests));                           \
        }
