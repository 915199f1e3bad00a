// SPDX-License-Identifier: MIT
#include <stdio.h>
#include "../test.h"
#include "base/fault.h"
#include "json/json.h"
#include "wire/hresult.h"

static struct json *parse(const char *text) {
        struct error e = {0};
        struct json *v = NULL;
        int r = json_parse(text, strlen(text), &json_limits_client, &e, &v);
        ck_assert_msg(r == 0, "%s: %s", text, e.text);
        return v;
}

/* Parsing fails as INVALID_JSON, and the text holds what is expected. */
static void refuse_n(const char *text, size_t n, const char *expected) {
        struct error e = {0};
        struct json *sentinel = json_new_null(), *v = sentinel;
        int r = json_parse(text, n, &json_limits_client, &e, &v);
        ck_assert_msg(r == -EBADMSG, "accepted: %s", text);
        ck_assert_ptr_eq(v, sentinel);
        ck_assert_uint_eq(e.hresult, HCS_E_INVALID_JSON);
        ck_assert_msg(strstr(e.text, expected), "%s: '%s' instead of '%s'", text, e.text, expected);
}

static void refuse(const char *text, const char *expected) {
        refuse_n(text, strlen(text), expected);
}

static void round_trip(const char *text, const char *expected) {
        _cleanup_(json_unrefp) struct json *v = parse(text);
        _cleanup_free_ char *out = NULL;
        size_t n;
        assert_ok(json_format(v, &out, &n));
        ck_assert_str_eq(out, expected);
        ck_assert_uint_eq(n, strlen(out));
}

START_TEST(reads_every_kind_of_value) {
        round_trip(" [ null , true, false, 0, -1, 1.5, \"a\", [], {} ]\r\n\t",
                "[null,true,false,0,-1,1.5,\"a\",[],{}]");
        round_trip("{\"b\":1,\"a\":{\"\":[2]}}", "{\"b\":1,\"a\":{\"\":[2]}}");
        round_trip("null", "null");
        round_trip("\"\"", "\"\"");
}
END_TEST

START_TEST(keeps_integers_to_the_last_bit_and_doubles_as_spelt) {
        round_trip("[18446744073709551615,9223372036854775808,9223372036854775807]",
                "[18446744073709551615,9223372036854775808,9223372036854775807]");
        round_trip("[-9223372036854775808,1e2,1.10,0.1,18446744073709551616]",
                "[-9223372036854775808,1e2,1.10,0.1,18446744073709551616]");
}
END_TEST

START_TEST(decodes_escapes_and_surrogate_pairs) {
        _cleanup_(json_unrefp) struct json *v =
                parse("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u20aC\\ud83d\\udCE6\\u0000x\"");
        static const char expected[] = "\"\\/\b\f\n\r\tA\xc3\xa9\xe2\x82\xac\xf0\x9f\x93\xa6\0x";
        const char *s;
        size_t n;
        assert_ok(json_string(v, &s, &n));
        ck_assert_uint_eq(n, sizeof expected - 1);
        ck_assert_mem_eq(s, expected, n);
}
END_TEST

START_TEST(refuses_what_the_grammar_does_not_have) {
        static const char *const bad[] = {"01", "-01", "-", "+1", ".5", "1.", "1.e1", "1e", "1e+",
                "0x10", "NaN", "Infinity", "-Infinity", "nul", "truex", "True", "'a'", "{a:1}",
                "[1,]", "[,1]", "[1 2]", "{\"a\":1,}", "{\"a\" 1}", "{\"a\"}", "{1:2}", "{,}",
                "// c\n1", "[1/* c */]", "1 2", "{}{}", "[]]", "\"\\x41\"", "\"\\u12g4\"",
                "\"\\U0041\"", "\"a\nb\"", "\"a\tb\"", "\x0b[]", "\xc2\xa0[]"};
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                refuse(bad[i], "line ");
        static const char *const cut[] = {
                "[", "{", "{\"a\"", "{\"a\":", "\"", "\"\\", "\"\\u00", "[1,", "-", "1."};
        for (size_t i = 0; i < ARRAY_SIZE(cut); i++)
                refuse(cut[i], "ends in the middle");
}
END_TEST

START_TEST(refuses_an_empty_document_and_a_byte_order_mark) {
        refuse("", "line 1, column 1: the document is empty");
        refuse(" \n\t ", "line 2, column 3: the document is empty");
        refuse("\xef\xbb\xbf{}", "byte order mark");
        refuse_n("1\0", 2, "behind the end");
        refuse_n("\0", 1, "a value was expected");
}
END_TEST

START_TEST(refuses_lone_surrogates_and_bytes_that_are_not_utf8) {
        refuse("\"\\ud800\"", "column 2: a surrogate");
        refuse("\"\\udc00\"", "surrogate");
        refuse("\"\\ud800\\ud800\"", "surrogate");
        refuse("\"\\ud800\\n\"", "surrogate");
        refuse("\"ab\xff\"", "column 4: bytes that are not UTF-8");
        refuse("\"\xc3\xa9\xc0\xaf\"", "column 3: bytes that are not UTF-8");
        refuse("\"\xed\xa0\x80\"", "not UTF-8");
        refuse("\"\xf4\x90\x80\x80\"", "not UTF-8");
        refuse("\"\xe2\x82\"", "not UTF-8");
        refuse("{\"\xff\":1}", "not UTF-8");
}
END_TEST

START_TEST(refuses_a_member_twice_and_a_nul_in_a_name) {
        refuse("{\"a\":1,\n \"\\u0061\":2}", "line 2, column 2: this member is there already");
        refuse("{\"a\":null,\"a\":null}", "there already");
        refuse("{\"a\\u0000b\":1}", "NUL");
}
END_TEST

START_TEST(refuses_numbers_that_nothing_can_hold) {
        char text[1024];
        refuse("1e400", "too large for a double");
        refuse("-1e400", "too large for a double");
        memset(text, '1', 513);
        text[513] = 0;
        refuse(text, "512 characters");
        text[300] = 0;
        round_trip(text, text);
        round_trip("1e-400", "1e-400"); /* underflow is a value: 0 */
}
END_TEST

START_TEST(names_line_and_column_in_code_points) {
        refuse("{\n  \"\xc3\xa9\xf0\x9f\x93\xa6\": tru }",
                "line 2, column 9: a value was expected");
        refuse("[1,\r\n 2 3]", "line 2, column 4: ',' or ']' was expected");
}
END_TEST

/* Depth, nodes and bytes: the limit is allowed, one more is -E2BIG. */
static int parse_within(const char *text, struct json_limits limits) {
        struct error e = {0};
        struct json *v = NULL;
        int r = json_parse(text, strlen(text), &limits, &e, &v);
        ck_assert_int_eq(r == 0, e.hresult == 0);
        ck_assert(r == 0 || e.hresult == HCS_E_INVALID_JSON);
        json_unref(v);
        return r;
}

START_TEST(keeps_to_its_limits) {
        assert_ok(parse_within("[[{}],[1]]", (struct json_limits){10, 3, 5}));
        assert_error(parse_within("[[{}],[1]]", (struct json_limits){9, 3, 5}), -E2BIG);
        assert_error(parse_within("[[{}],[1]]", (struct json_limits){10, 2, 5}), -E2BIG);
        assert_error(parse_within("[[{}],[1]]", (struct json_limits){10, 3, 4}), -E2BIG);
        ck_assert_uint_eq(json_limits_client.depth, 64);
        char deep[131] = "";
        memset(deep, '[', 64);
        memset(deep + 64, ']', 64);
        assert_ok(parse_within(deep, json_limits_client));
        memset(deep, '[', 65);
        memset(deep + 65, ']', 65);
        assert_error(parse_within(deep, json_limits_client), -E2BIG);
}
END_TEST

START_TEST(sweep_frees_everything_when_memory_is_short) {
        static const char text[] = "{\"a\":[1,2.5,\"x\",true,null,18446744073709551615],\"b\":{}}";
        unsigned n = 1;
        for (;; n++) {
                struct error e = {0};
                struct json *v = NULL;
                fault_arm(FAULT_ALLOC, n);
                int r = json_parse(text, sizeof text - 1, &json_limits_client, &e, &v);
                bool fired = fault_fired(FAULT_ALLOC);
                fault_arm(FAULT_ALLOC, 0);
                json_unref(v);
                if (!fired)
                        break;
                assert_error(r, -ENOMEM);
                ck_assert_uint_eq(e.hresult, HR_OUTOFMEMORY);
        }
        ck_assert_uint_gt(n, 10);
}
END_TEST

TEST_MAIN("json-parse", reads_every_kind_of_value,
        keeps_integers_to_the_last_bit_and_doubles_as_spelt, decodes_escapes_and_surrogate_pairs,
        refuses_what_the_grammar_does_not_have, refuses_an_empty_document_and_a_byte_order_mark,
        refuses_lone_surrogates_and_bytes_that_are_not_utf8,
        refuses_a_member_twice_and_a_nul_in_a_name, refuses_numbers_that_nothing_can_hold,
        names_line_and_column_in_code_points, keeps_to_its_limits,
        sweep_frees_everything_when_memory_is_short)
