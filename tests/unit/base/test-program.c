// SPDX-License-Identifier: MIT
#include "../test.h"
#include <limits.h>
#include <unistd.h>
#include "base/program.h"

START_TEST(finds_what_stands_beside_the_running_program) {
        struct error e = {0};
        char self[PATH_MAX], *found = NULL;
        ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
        ck_assert_int_gt(n, 0);
        self[n] = 0;
        assert_ok(program_find(strrchr(self, '/') + 1, &e, &found));
        ck_assert_str_eq(found, self);
        free(found);
}
END_TEST

START_TEST(says_where_it_looked) {
        struct error e = {0};
        char *found = (char *)0x1;
        assert_error(program_find("no-such-program", &e, &found), -ENOENT);
        ck_assert_ptr_nonnull(strstr(e.text, "no-such-program"));
        ck_assert_ptr_nonnull(strstr(e.text, "libexec"));
        ck_assert_ptr_eq(found, (char *)0x1);
}
END_TEST

TEST_MAIN("program", finds_what_stands_beside_the_running_program, says_where_it_looked)
