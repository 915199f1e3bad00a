// SPDX-License-Identifier: MIT
#include "../test.h"
#include <stdio.h>
#include "base/fault.h"
#include "vmcompute/rpc.h"
#include "wire/hresult.h"

static struct rpc_request request;
static struct error e;
static int code;

static int parse(const char *text) {
        e = (struct error){0};
        code = 0;
        request = (struct rpc_request){0};
        return rpc_parse(text, strlen(text), &e, &code, &request);
}

START_TEST(reads_a_call) {
        assert_ok(parse("{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"M\",\"params\":{\"a\":1}}"));
        ck_assert_str_eq(request.method, "M");
        ck_assert_uint_eq(json_get_u64(request.params, "a", 0), 1);
        uint64_t id;
        assert_ok(json_u64(request.id, &id));
        ck_assert_uint_eq(id, 7);
        rpc_request_done(&request);
        assert_ok(parse("{\"jsonrpc\":\"2.0\",\"method\":\"M\"}"));
        ck_assert_ptr_null(request.id);
        ck_assert_ptr_null(request.params);
        rpc_request_done(&request);
        assert_ok(parse("{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"M\",\"params\":null}"));
        ck_assert_ptr_nonnull(request.id); /* null is an id and is answered */
        rpc_request_done(&request);
}
END_TEST

START_TEST(tells_bad_json_from_a_bad_request) {
        static const struct {
                const char *text;
                int r, code;
                bool has_id;
        } cases[] = {
                {"", -EBADMSG, RPC_PARSE_ERROR, false},
                {"{", -EBADMSG, RPC_PARSE_ERROR, false},
                {"{} {}", -EBADMSG, RPC_PARSE_ERROR, false},
                {"{}", -EINVAL, RPC_INVALID_REQUEST, false},
                {"[]", -EINVAL, RPC_INVALID_REQUEST, false},
                {"{\"id\":1,\"method\":\"M\"}", -EINVAL, RPC_INVALID_REQUEST, true},
                {"{\"jsonrpc\":\"2.0\",\"id\":1}", -EINVAL, RPC_INVALID_REQUEST, true},
                {"{\"jsonrpc\":\"2.0\",\"id\":[],\"method\":\"M\"}", -EINVAL, RPC_INVALID_REQUEST,
                        false},
                {"{\"jsonrpc\":\"2.0\",\"id\":true,\"method\":\"M\"}", -EINVAL, RPC_INVALID_REQUEST,
                        false},
                {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"M\",\"params\":[]}", -EINVAL,
                        RPC_INVALID_REQUEST, true},
                {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"M\",\"parms\":{}}", -EINVAL,
                        RPC_INVALID_REQUEST, true},
        };
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                assert_error(parse(cases[i].text), cases[i].r);
                ck_assert_int_eq(code, cases[i].code);
                ck_assert_int_eq(request.id != NULL, cases[i].has_id);
                ck_assert_uint_ne(e.hresult, 0);
                ck_assert_uint_gt(strlen(e.text), 10);
                rpc_request_done(&request);
        }
}
END_TEST

START_TEST(an_id_may_be_as_long_as_it_says) {
        char text[512], id[RPC_ID_MAX + 2];
        memset(id, 'x', sizeof id);
        for (int n = RPC_ID_MAX; n <= RPC_ID_MAX + 1; n++) {
                snprintf(text, sizeof text,
                        "{\"jsonrpc\":\"2.0\",\"id\":\"%.*s\",\"method\":\"M\"}", n, id);
                assert_error(parse(text), n == RPC_ID_MAX ? 0 : -EINVAL);
                rpc_request_done(&request);
        }
}
END_TEST

START_TEST(writes_the_three_kinds_of_lines) {
        char *text;
        size_t n;
        struct json *id = json_new_u64(3), *result = json_new_object();
        json_set_u64(result, "computeSystem", 1);
        assert_ok(rpc_format_result(id, result, &text, &n));
        ck_assert_str_eq(text, "{\"jsonrpc\":\"2.0\",\"id\":3,\"result\":{\"computeSystem\":1}}");
        ck_assert_uint_eq(n, strlen(text));
        free(text);
        assert_ok(rpc_format_result(id, NULL, &text, &n));
        ck_assert_str_eq(text, "{\"jsonrpc\":\"2.0\",\"id\":3,\"result\":null}");
        free(text);
        json_unref(id);

        struct json *params = json_new_object();
        assert_ok(rpc_format_notification("HcsEvent", params, &text, &n));
        ck_assert_str_eq(text, "{\"jsonrpc\":\"2.0\",\"method\":\"HcsEvent\",\"params\":{}}");
        free(text);
}
END_TEST

START_TEST(an_error_has_its_hresult_twice_and_its_document) {
        char *text;
        size_t n;
        struct json *message;
        struct error why = {.hresult = HCS_E_SYSTEM_NOT_FOUND, .text = "no \"x\"\nhere"};
        assert_ok(rpc_format_error(NULL, 0, &why, &text, &n));
        ck_assert_ptr_null(strchr(text, '\n'));
        assert_ok(json_parse(text, n, &json_limits_client, &e, &message));
        const struct json *error = json_get(message, "error");
        ck_assert(json_has(message, "id") && json_is_null(json_get(message, "id")));
        ck_assert_int_eq(json_get_i64(error, "code", 0), (int32_t)HCS_E_SYSTEM_NOT_FOUND);
        ck_assert_int_eq(
                json_get_i64(json_get(error, "data"), "Error", 0), (int32_t)HCS_E_SYSTEM_NOT_FOUND);
        ck_assert_str_eq(json_get_string(error, "message", ""), "no \"x\"\nhere");
        json_unref(message);
        free(text);
        assert_ok(rpc_format_error(NULL, RPC_METHOD_NOT_FOUND, &why, &text, &n));
        assert_ok(json_parse(text, n, &json_limits_client, &e, &message));
        ck_assert_int_eq(json_get_i64(json_get(message, "error"), "code", 0), RPC_METHOD_NOT_FOUND);
        json_unref(message);
        free(text);
}
END_TEST

START_TEST(sweep_of_faults_gives_no_half_line) {
        for (unsigned n = 1;; n++) {
                char *text = (char *)0x1;
                size_t size;
                struct error why = {.hresult = 1, .text = "why"};
                fault_arm(FAULT_ALLOC, n);
                int r = rpc_format_error(NULL, 0, &why, &text, &size);
                bool fired = fault_fired(FAULT_ALLOC);
                fault_arm(FAULT_ALLOC, 0);
                if (!fired) {
                        assert_ok(r);
                        free(text);
                        break;
                }
                assert_error(r, -ENOMEM);
                ck_assert_ptr_eq(text, (char *)0x1);
        }
}
END_TEST

TEST_MAIN("rpc", reads_a_call, tells_bad_json_from_a_bad_request, an_id_may_be_as_long_as_it_says,
        writes_the_three_kinds_of_lines, an_error_has_its_hresult_twice_and_its_document,
        sweep_of_faults_gives_no_half_line)
