// SPDX-License-Identifier: MIT
#include "../test.h"
#include <stdio.h>
#include "agent/init.h"

/* The list as "path|parameters" lines. */
static void check(const char *list, const char *expected) {
        char *text = strdup(list), *cursor = text, out[512] = "";
        const char *path, *parameters;
        while (init_next_module(&cursor, &path, &parameters))
                snprintf(out + strlen(out), sizeof out - strlen(out), "%s|%s\n", path, parameters);
        ck_assert_str_eq(out, expected);
        ck_assert(!init_next_module(&cursor, &path, &parameters));
        free(text);
}

START_TEST(reads_paths_and_parameters_in_their_order) {
        check("/a.ko\n/b.ko x=1 y=\"2 3\"\n/c.ko\n", "/a.ko|\n/b.ko|x=1 y=\"2 3\"\n/c.ko|\n");
}
END_TEST

START_TEST(needs_no_newline_at_the_end) {
        check("/a.ko\n/b.ko x", "/a.ko|\n/b.ko|x\n");
}
END_TEST

START_TEST(skips_comments_and_empty_lines) {
        check("# one\n\n  \t\n /a.ko \n  # two\n\r\n", "/a.ko|\n");
}
END_TEST

START_TEST(trims_blanks_around_both) {
        check("\t/a.ko \t x=1 \r\n", "/a.ko|x=1\n");
}
END_TEST

START_TEST(finds_nothing_in_nothing) {
        check("", "");
        check("\n", "");
        check("#", "");
}
END_TEST

TEST_MAIN("init", reads_paths_and_parameters_in_their_order, needs_no_newline_at_the_end,
        skips_comments_and_empty_lines, trims_blanks_around_both, finds_nothing_in_nothing)
