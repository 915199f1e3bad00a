// SPDX-License-Identifier: MIT
/* What every unit test needs around libcheck: one suite per file, a main, and assertions that show
 * errno values by name. Tests are listed in TEST_MAIN in the order in which they stand. */
#pragma once
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define assert_ok(expr)                                                                            \
        do {                                                                                       \
                int r_ = (expr);                                                                   \
                ck_assert_msg(r_ >= 0, "%s: %s", #expr, strerrorname_np(-r_));                     \
        } while (0)

#define assert_error(expr, error)                                                                  \
        do {                                                                                       \
                int r_ = (expr);                                                                   \
                ck_assert_msg(r_ == (error), "%s: %d instead of %s", #expr, r_, #error);           \
        } while (0)

/* How often a race is tried: n times, or in `make soak` fifty times that. */
enum { TEST_SOAK_FACTOR = 50 };

static inline unsigned test_rounds(unsigned n) {
        return getenv("SANDBAR_SOAK") ? n * TEST_SOAK_FACTOR : n;
}

typedef const TTest *test_fn;

static inline int test_run(const char *name, const test_fn *tests, size_t n, double timeout) {
        Suite *suite = suite_create(name);
        TCase *tcase = tcase_create(name);
        tcase_set_timeout(tcase, timeout * test_rounds(1));
        for (size_t i = 0; i < n; i++)
                tcase_add_test(tcase, tests[i]);
        suite_add_tcase(suite, tcase);
        SRunner *runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        int failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* TEST_MAIN("rd", reads_a_byte, refuses_to_read_past_the_end) */
#define TEST_MAIN_TIMEOUT(name, timeout, ...)                                                      \
        int main(void) {                                                                           \
                const test_fn tests[] = {__VA_ARGS__};                                             \
                return test_run(name, tests, sizeof tests / sizeof *tests, timeout);               \
        }
#define TEST_MAIN(name, ...) TEST_MAIN_TIMEOUT(name, 60, __VA_ARGS__)
