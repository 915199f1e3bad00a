// SPDX-License-Identifier: MIT
#include <stdio.h>
#include "hcs-test.h"
#include "hcs-json/path.h"

START_TEST(paths_grow_and_shrink) {
        struct hcs_path p = hcs_path_root();
        size_t a = hcs_path_push(&p, "Devices");
        size_t b = hcs_path_push_index(&p, 12);
        hcs_path_push(&p, "x\n\x7f");
        ck_assert_str_eq(p.text, "$.Devices[12].x??");
        hcs_path_pop(&p, b);
        ck_assert_str_eq(p.text, "$.Devices");
        hcs_path_pop(&p, a);
        ck_assert_str_eq(p.text, "$");
}
END_TEST

START_TEST(what_does_not_fit_is_not_shown_and_does_no_harm) {
        struct hcs_path p = hcs_path_root();
        char name[300];
        memset(name, 'n', sizeof name - 1);
        name[sizeof name - 1] = 0;
        size_t a = hcs_path_push(&p, name), b = hcs_path_push(&p, name);
        ck_assert_uint_eq(strlen(p.text), sizeof p.text - 1);
        size_t c = hcs_path_push(&p, name);
        hcs_path_pop(&p, c);
        ck_assert_uint_eq(strlen(p.text), sizeof p.text - 1);
        hcs_path_pop(&p, b);
        ck_assert_uint_eq(strlen(p.text), 301);
        hcs_path_pop(&p, a);
        ck_assert_str_eq(p.text, "$");
}
END_TEST

static int remember(struct hcs_visitor *v, const struct json *value, const char *key) {
        char *out = v->userdata;
        size_t n = strlen(out);
        ck_assert_ptr_nonnull(value);
        snprintf(out + n, 256 - n, "%s(%s) ", v->path.text, key);
        return 0;
}

static void visits(const char *pattern, const char *expected) {
        _cleanup_(json_unrefp) struct json *doc =
                json_of("{'m':{'a':{'x':1},'b':{'x':null,'y':2},'c':3},'l':[{'x':4},5,{'x':6}]}");
        char out[256] = "";
        struct hcs_visitor v = {.path = hcs_path_root(), .userdata = out, .visit = remember};
        assert_ok(hcs_visit(&v, doc, pattern));
        ck_assert_str_eq(out, expected);
        ck_assert_str_eq(v.path.text, "$");
}

START_TEST(patterns_find_every_value) {
        visits("m/a/x", "$.m.a.x(x) ");
        visits("m/#/x", "$.m.a.x(x) ");
        visits("m/#", "$.m.a(a) $.m.b(b) $.m.c(c) ");
        visits("l/#/x", "$.l[0].x(x) $.l[2].x(x) ");
        visits("m/c/x", "");
        visits("nope/#/x", "");
}
END_TEST

static int refuse_two(struct hcs_visitor *v, const struct json *value, const char *key) {
        int64_t i = 0;
        remember(v, value, key);
        return json_i64(value, &i) == 0 && i == 2 ? -EINVAL : 0;
}

START_TEST(the_first_refusal_stops) {
        _cleanup_(json_unrefp) struct json *doc = json_of("[1,2,3]");
        char out[256] = "";
        struct hcs_visitor v = {.path = hcs_path_root(), .userdata = out, .visit = refuse_two};
        assert_error(hcs_visit(&v, doc, "#"), -EINVAL);
        ck_assert_str_eq(out, "$[0]() $[1]() ");
}
END_TEST

TEST_MAIN("hcs-path", paths_grow_and_shrink, what_does_not_fit_is_not_shown_and_does_no_harm,
        patterns_find_every_value, the_first_refusal_stops)
