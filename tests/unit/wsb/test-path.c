// SPDX-License-Identifier: MIT
#include "../test.h"
#include "base/fault.h"
#include "wsb/path.h"

static void normal(const char *path, const char *expected) {
        _cleanup_free_ char *out = NULL;
        int r = wsb_path_normalise(path, &out);
        ck_assert_msg(r == 0, "%s: %d", path, r);
        ck_assert_str_eq(out, expected);
}

static void abnormal(const char *path) {
        char *sentinel = (char *)&sentinel, *out = sentinel;
        ck_assert_msg(wsb_path_normalise(path, &out) == -EINVAL, "%s", path);
        ck_assert_ptr_eq(out, sentinel);
}

START_TEST(makes_paths_normal) {
        normal("/a", "/a");
        normal("/a//b/./c/", "/a/b/c");
        normal("/a/../b", "/b");
        normal("/a/b/../../c", "/c");
        normal("/a\\b", "/a\\b");
        normal("/...", "/...");
        normal("C:\\x", "C:\\x");
        normal("c:/x/.\\y//", "c:\\x\\y");
        normal("C:\\x\\..\\y", "C:\\y");
}
END_TEST

START_TEST(refuses_paths_that_are_relative_or_leave_the_root) {
        static const char *const bad[] = {"", "a", "./a", "../a", "C:", "C:x", "1:\\x", "\\x",
                "%A%\\x", "/", "//", "/.", "/..", "/../a", "/a/../..", "/a/..", "C:\\", "C:\\..",
                "C:\\x\\..", "C:\\x\\..\\..\\Windows", "\\\\server\\x", "//server/x"};
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                abnormal(bad[i]);
}
END_TEST

START_TEST(tells_kinds_apart) {
        ck_assert(wsb_path_is_windows("z:/") && !wsb_path_is_windows("z:") &&
                  !wsb_path_is_windows("/z"));
        ck_assert(
                wsb_path_is_share("\\\\x") && wsb_path_is_share("//x") && !wsb_path_is_share("/x"));
        ck_assert(wsb_path_is_absolute("/x") && wsb_path_is_absolute("C:\\") &&
                  !wsb_path_is_absolute("//x") && !wsb_path_is_absolute(""));
}
END_TEST

static void target(const char *host, const char *expected) {
        _cleanup_free_ char *out = NULL;
        int r = wsb_path_default_target(host, &out);
        if (!expected) {
                ck_assert_msg(r == -EINVAL, "%s: %s", host, out);
                return;
        }
        ck_assert_msg(r == 0, "%s: %d", host, r);
        ck_assert_str_eq(out, expected);
}

START_TEST(names_a_target_by_the_last_component) {
        target("/srv/lab", "/mnt/lab");
        target("/srv/lab/", "/mnt/lab");
        target("/srv/a\\b", "/mnt/a\\b");
        target("C:\\x\\lab\\", "C:\\Users\\WDAGUtilityAccount\\Desktop\\lab");
        target("C:/x/lab", "C:\\Users\\WDAGUtilityAccount\\Desktop\\lab");
        target("%HOME%/x", "/mnt/x");
        target("%USERPROFILE%\\x", "C:\\Users\\WDAGUtilityAccount\\Desktop\\x");
        target("/", NULL);
        target("C:\\", NULL);
        target("/a/..", NULL);
        target("", NULL);
}
END_TEST

START_TEST(windows_paths_do_not_heed_case) {
        ck_assert(wsb_path_same("C:\\Lab", "c:\\lab"));
        ck_assert(!wsb_path_same("/Lab", "/lab"));
        ck_assert(wsb_path_same("/lab", "/lab"));
}
END_TEST

START_TEST(says_when_memory_is_short) {
        char *out;
        fault_arm(FAULT_ALLOC, 1);
        assert_error(wsb_path_normalise("/a", &out), -ENOMEM);
        fault_arm(FAULT_ALLOC, 1);
        assert_error(wsb_path_default_target("/a", &out), -ENOMEM);
}
END_TEST

TEST_MAIN("wsb-path", makes_paths_normal, refuses_paths_that_are_relative_or_leave_the_root,
        tells_kinds_apart, names_a_target_by_the_last_component, windows_paths_do_not_heed_case,
        says_when_memory_is_short)
