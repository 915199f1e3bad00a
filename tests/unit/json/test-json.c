// SPDX-License-Identifier: MIT
#include <math.h>
#include "../test.h"
#include "base/fault.h"
#include "json/json.h"

static struct json *parse(const char *text) {
        struct error e = {0};
        struct json *v = NULL;
        assert_ok(json_parse(text, strlen(text), &json_limits_client, &e, &v));
        return v;
}

static void prints(struct json *consume, const char *expected) {
        _cleanup_(json_unrefp) struct json *v = consume;
        _cleanup_free_ char *out = NULL;
        size_t n;
        assert_ok(json_format(v, &out, &n));
        ck_assert_str_eq(out, expected);
}

START_TEST(tells_the_type_of_each_value) {
        _cleanup_(json_unrefp) struct json *v =
                parse("[null,true,1,9223372036854775807,9223372036854775808,1.0,\"s\",[],{}]");
        static const enum json_type types[] = {JSON_NULL, JSON_BOOL, JSON_INT, JSON_INT, JSON_UINT,
                JSON_DOUBLE, JSON_STRING, JSON_ARRAY, JSON_OBJECT};
        ck_assert_uint_eq(json_length(v), ARRAY_SIZE(types));
        for (size_t i = 0; i < ARRAY_SIZE(types); i++)
                ck_assert_int_eq(json_type(json_at(v, i)), types[i]);
        ck_assert_ptr_null(json_at(v, 9));
        ck_assert_int_eq(json_type(NULL), JSON_NULL);
        ck_assert(json_is_null(json_at(v, 0)) && !json_is_null(json_at(v, 1)));
}
END_TEST

START_TEST(lookups_chain_through_what_is_absent) {
        _cleanup_(json_unrefp) struct json *v = parse("{\"a\":{\"b\":null,\"c\":7},\"d\":[1]}");
        ck_assert_uint_eq(json_get_u64(json_get(v, "a"), "c", 0), 7);
        ck_assert_ptr_null(json_get(json_get(json_get(v, "x"), "y"), "z"));
        ck_assert_ptr_null(json_get(json_get(v, "d"), "y"));
        ck_assert(json_has(json_get(v, "a"), "b"));
        ck_assert_ptr_null(json_get(json_get(v, "a"), "b"));
        ck_assert(!json_has(json_get(v, "a"), "x") && !json_has(NULL, "x"));
        ck_assert_uint_eq(json_length(NULL), 0);
        ck_assert_ptr_null(json_at(v, 0));
}
END_TEST

START_TEST(iterates_in_the_order_of_the_document) {
        _cleanup_(json_unrefp) struct json *v = parse("{\"z\":1,\"a\":null,\"m\":3}");
        struct json_iter it = json_iter(v);
        static const char *const keys[] = {"z", "a", "m"};
        for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
                ck_assert(json_next(&it));
                ck_assert_str_eq(it.key, keys[i]);
                ck_assert_int_eq(it.value == NULL, i == 1);
        }
        ck_assert(!json_next(&it));
        it = json_iter(NULL);
        ck_assert(!json_next(&it));
}
END_TEST

START_TEST(integers_are_read_only_when_they_fit) {
        _cleanup_(json_unrefp) struct json *v =
                parse("[-1,9223372036854775807,18446744073709551615,18446744073709551616,1.0,1e2,"
                      "\"1\",-9223372036854775809]");
        int64_t i = 5;
        uint64_t u = 5;
        assert_ok(json_i64(json_at(v, 0), &i));
        ck_assert_int_eq(i, -1);
        assert_error(json_u64(json_at(v, 0), &u), -ERANGE);
        assert_ok(json_u64(json_at(v, 1), &u));
        ck_assert_uint_eq(u, INT64_MAX);
        assert_ok(json_u64(json_at(v, 2), &u));
        ck_assert_uint_eq(u, UINT64_MAX);
        assert_error(json_i64(json_at(v, 2), &i), -ERANGE);
        assert_error(json_u64(json_at(v, 3), &u), -ERANGE);
        assert_error(json_u64(json_at(v, 4), &u), -EINVAL);
        assert_error(json_u64(json_at(v, 5), &u), -EINVAL);
        assert_error(json_i64(json_at(v, 6), &i), -EINVAL);
        assert_error(json_i64(json_at(v, 7), &i), -ERANGE);
        assert_error(json_i64(NULL, &i), -EINVAL);
        ck_assert_int_eq(i, -1);
        ck_assert_uint_eq(u, UINT64_MAX);
}
END_TEST

START_TEST(other_types_are_refused_and_leave_the_output_alone) {
        _cleanup_(json_unrefp) struct json *v = parse("[1,\"s\",true,2.5]");
        bool b = true;
        double d = 7;
        const char *s = "x";
        size_t n = 9;
        assert_error(json_bool(json_at(v, 0), &b), -EINVAL);
        assert_error(json_double(json_at(v, 1), &d), -EINVAL);
        assert_error(json_string(json_at(v, 2), &s, &n), -EINVAL);
        ck_assert(b && d == 7 && n == 9 && strcmp(s, "x") == 0);
        assert_ok(json_double(json_at(v, 0), &d));
        ck_assert(d == 1);
        assert_ok(json_double(json_at(v, 3), &d));
        ck_assert(d == 2.5);
}
END_TEST

START_TEST(fallbacks_stand_in_for_what_cannot_be_read) {
        _cleanup_(json_unrefp) struct json *v =
                parse("{\"s\":\"t\",\"nul\":\"a\\u0000b\",\"n\":-3,\"b\":true}");
        ck_assert_str_eq(json_get_string(v, "s", "f"), "t");
        ck_assert_str_eq(json_get_string(v, "nul", "f"), "f");
        ck_assert_str_eq(json_get_string(v, "n", "f"), "f");
        ck_assert_ptr_null(json_get_string(v, "absent", NULL));
        ck_assert_int_eq(json_get_i64(v, "n", 1), -3);
        ck_assert_uint_eq(json_get_u64(v, "n", 1), 1);
        ck_assert(json_get_bool(v, "b", false) && json_get_bool(v, "n", true));
}
END_TEST

START_TEST(builds_what_it_is_told) {
        struct json *o = json_new_object(), *a = json_new_array();
        assert_ok(json_add(a, json_new_i64(INT64_MIN)));
        assert_ok(json_add(a, json_new_u64(UINT64_MAX)));
        assert_ok(json_add(a, json_new_null()));
        assert_ok(json_add(a, json_new_double(0.5)));
        assert_ok(json_add(a, json_new_double(NAN)));
        assert_ok(json_add(a, json_new_double(-INFINITY)));
        assert_ok(json_set(o, "a", a));
        assert_ok(json_set_string(o, "s", "/\x01\"\\"));
        assert_ok(json_set(o, "n", json_new_string_n("a\0b", 3)));
        assert_ok(json_set_bool(o, "b", false));
        assert_ok(json_set_u64(o, "u", 5));
        assert_ok(json_set_u64(o, "u", 6));
        assert_ok(json_set_i64(o, "i", -6));
        prints(o, "{\"a\":[-9223372036854775808,18446744073709551615,null,0.5,null,null],"
                  "\"s\":\"/\\u0001\\\"\\\\\",\"n\":\"a\\u0000b\",\"b\":false,\"u\":6,\"i\":-6}");
}
END_TEST

START_TEST(prints_bytes_that_are_not_utf8_as_replacement_characters) {
        prints(json_new_string("a\xff\xc3\xa9\xe2\x82z\xf0\x9f\x93\xa6\xed\xa0\x80"),
                "\"a\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd\xef\xbf\xbdz\xf0\x9f\x93\xa6"
                "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}
END_TEST

START_TEST(consumes_the_value_when_it_fails) {
        struct json *a = json_new_array(), *o = json_new_object();
        assert_error(json_set(a, "k", json_new_i64(1)), -EINVAL);
        assert_error(json_add(o, json_new_string("x")), -EINVAL);
        assert_error(json_set(NULL, "k", json_new_i64(1)), -ENOMEM);
        assert_error(json_add(a, NULL), -ENOMEM);
        ck_assert_uint_eq(json_length(a) + json_length(o), 0);
        json_unref(a);
        json_unref(o);
        ck_assert_ptr_null(json_unref(NULL));
        ck_assert_ptr_null(json_unref(json_new_null()));
}
END_TEST

START_TEST(a_reference_outlives_its_container) {
        struct json *v = parse("{\"a\":{\"b\":1}}"), *a = json_ref(json_get(v, "a"));
        json_unref(v);
        prints(a, "{\"b\":1}");
}
END_TEST

START_TEST(pretty_text_parses_to_the_same_value) {
        _cleanup_(json_unrefp) struct json *v = parse("{\"a\":[1,{\"b\":null}],\"c\":{}}");
        _cleanup_free_ char *pretty = NULL;
        assert_ok(json_format_pretty(v, &pretty));
        ck_assert_ptr_nonnull(strchr(pretty, '\n'));
        prints(parse(pretty), "{\"a\":[1,{\"b\":null}],\"c\":{}}");
}
END_TEST

START_TEST(sweep_fails_cleanly_when_memory_is_short) {
        for (unsigned n = 1;; n++) {
                fault_arm(FAULT_ALLOC, n);
                struct json *o = json_new_object(), *in = json_new_array();
                int r = json_add(in, json_new_double(1.5));
                if (r >= 0)
                        r = json_add(in, json_new_u64(UINT64_MAX));
                int r2 = json_set(o, "in", in);
                int r3 = json_set_string(o, "s", "t");
                char *text = NULL;
                size_t size;
                int r4 = json_format(o, &text, &size);
                bool fired = fault_fired(FAULT_ALLOC);
                fault_arm(FAULT_ALLOC, 0);
                free(text);
                json_unref(o);
                ck_assert_int_eq(fired, r < 0 || r2 < 0 || r3 < 0 || r4 < 0);
                if (!fired)
                        break;
        }
}
END_TEST

TEST_MAIN("json", tells_the_type_of_each_value, lookups_chain_through_what_is_absent,
        iterates_in_the_order_of_the_document, integers_are_read_only_when_they_fit,
        other_types_are_refused_and_leave_the_output_alone,
        fallbacks_stand_in_for_what_cannot_be_read, builds_what_it_is_told,
        prints_bytes_that_are_not_utf8_as_replacement_characters, consumes_the_value_when_it_fails,
        a_reference_outlives_its_container, pretty_text_parses_to_the_same_value,
        sweep_fails_cleanly_when_memory_is_short)
