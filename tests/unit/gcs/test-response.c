// SPDX-License-Identifier: MIT
#include "../test.h"
#include <stdio.h>
#include "base/fault.h"
#include "gcs/proto.h"
#include "wire/hresult.h"

static struct gcs_response through(const struct gcs_response *in) {
        struct gcs_response out;
        struct error e = {0};
        char *body = NULL;
        size_t size;
        assert_ok(gcs_response_encode(in, &body, &size));
        ck_assert_msg(gcs_response_decode(in->call, body, size, &out, &e) == 0, "%s", e.text);
        free(body);
        return out;
}

static int decode_n(
        uint32_t call, const char *body, size_t n, struct gcs_response *ret, struct error *e) {
        *e = (struct error){0};
        return gcs_response_decode(call, body, n, ret, e);
}

static int decode(uint32_t call, const char *body, struct gcs_response *ret, struct error *e) {
        return decode_n(call, body, strlen(body), ret, e);
}

START_TEST(answers_come_out_as_they_went_in) {
        struct gcs_response in = {.call = GCS_EXECUTE_PROCESS, .pid = UINT32_MAX};
        ck_assert_uint_eq(through(&in).pid, UINT32_MAX);
        in = (struct gcs_response){.call = GCS_WAIT_FOR_PROCESS, .exit_code = 137};
        ck_assert_uint_eq(through(&in).exit_code, 137);
        in = (struct gcs_response){.call = GCS_NEGOTIATE,
                .negotiate = {.version = 4, .linux_guest = true, .send_create = true}};
        struct gcs_response out = through(&in);
        ck_assert_uint_eq(out.negotiate.version, 4);
        ck_assert(out.negotiate.linux_guest && out.negotiate.send_create);
        ck_assert(!out.negotiate.send_start);
        ck_assert_str_eq(out.activity, GCS_NULL_ID);
}
END_TEST

START_TEST(a_failure_carries_its_code_and_text_alone) {
        struct gcs_response in = {.call = GCS_EXECUTE_PROCESS,
                .hresult = HR_FILE_NOT_FOUND,
                .text = "no \"x\"",
                .pid = 5};
        struct gcs_response out = through(&in);
        ck_assert_uint_eq(out.hresult, HR_FILE_NOT_FOUND);
        ck_assert_str_eq(out.text, "no \"x\"");
        ck_assert_uint_eq(out.pid, 0);
}
END_TEST

START_TEST(takes_a_result_of_either_sign) {
        struct gcs_response out;
        struct error e;
        assert_ok(decode(GCS_CREATE, "{\"Result\":-2147024894}", &out, &e));
        ck_assert_uint_eq(out.hresult, HR_FILE_NOT_FOUND);
        assert_ok(decode(GCS_CREATE, "{\"Result\":2147942402}", &out, &e));
        ck_assert_uint_eq(out.hresult, HR_FILE_NOT_FOUND);
        assert_ok(decode(GCS_CREATE, "{\"Result\":4294967295}", &out, &e));
        assert_ok(decode(GCS_CREATE, "{\"Result\":-2147483648}", &out, &e));
        assert_error(decode(GCS_CREATE, "{\"Result\":4294967296}", &out, &e), -EBADMSG);
        assert_error(decode(GCS_CREATE, "{\"Result\":-2147483649}", &out, &e), -EBADMSG);
        assert_error(decode(GCS_CREATE, "{\"Result\":\"0\"}", &out, &e), -EBADMSG);
}
END_TEST

START_TEST(takes_what_hcsshim_leaves_out_for_nothing) {
        struct gcs_response out;
        struct error e;
        assert_ok(decode(GCS_WAIT_FOR_PROCESS, "{}", &out, &e));
        ck_assert_uint_eq(out.hresult, 0);
        ck_assert_uint_eq(out.exit_code, 0);
        assert_ok(decode(GCS_NEGOTIATE, "{\"Version\":4,\"Capabilities\":null}", &out, &e));
        ck_assert(!out.negotiate.linux_guest);
        assert_ok(decode(
                GCS_NEGOTIATE, "{\"Capabilities\":{\"RuntimeOsType\":\"Linux\"}}", &out, &e));
        ck_assert(out.negotiate.linux_guest);
}
END_TEST

START_TEST(takes_the_terminal_out_of_a_text) {
        struct gcs_response out;
        struct error e;
        assert_ok(decode(GCS_CREATE,
                "{\"Result\":1,\"ErrorMessage\":\"a\\u001b[31mb\\nc\\u0000d\x7f\xc2\x9b"
                "e\\u00a0\"}",
                &out, &e));
        ck_assert_str_eq(out.text, "a [31mb c d   e\xc2\xa0");
}
END_TEST

static void check_long_text(size_t n, const char *tail) {
        static char body[ERROR_TEXT_MAX + 256];
        struct gcs_response out;
        struct error e;
        sprintf(body, "{\"Result\":1,\"ErrorMessage\":\"%0*d%s\"}", (int)n, 0, tail);
        assert_ok(decode(GCS_CREATE, body, &out, &e));
        ck_assert_uint_lt(strlen(out.text), ERROR_TEXT_MAX);
        size_t whole = n + strlen(tail);
        if (whole < ERROR_TEXT_MAX)
                ck_assert_uint_eq(strlen(out.text), whole);
        else
                ck_assert_int_eq(out.text[strlen(out.text) - 1], '0');
}

START_TEST(cuts_a_text_between_characters) {
        check_long_text(ERROR_TEXT_MAX - 1, "");
        check_long_text(ERROR_TEXT_MAX, "");
        check_long_text(ERROR_TEXT_MAX - 3, "ü");
        check_long_text(ERROR_TEXT_MAX - 2, "ü");
        check_long_text(ERROR_TEXT_MAX - 2, "€€");
        check_long_text(ERROR_TEXT_MAX - 3, "€");
}
END_TEST

START_TEST(refuses_bad_answers) {
        static const struct {
                uint32_t call;
                const char *body, *named;
        } cases[] = {
                {GCS_CREATE, "", ""},
                {GCS_CREATE, "null", "not an object"},
                {GCS_CREATE, "{\"Result\":0}x", ""},
                {GCS_CREATE, "{\"Result\":0,\"Result\":0}", ""},
                {GCS_CREATE, "{\"ErrorMessage\":7}", "ErrorMessage"},
                {GCS_CREATE, "{\"ActivityId\":7}", "ActivityId"},
                {GCS_EXECUTE_PROCESS, "{}", "ProcessId"},
                {GCS_EXECUTE_PROCESS, "{\"ProcessId\":0}", "ProcessId"},
                {GCS_EXECUTE_PROCESS, "{\"ProcessId\":-1}", "ProcessId"},
                {GCS_WAIT_FOR_PROCESS, "{\"ExitCode\":1e3}", "ExitCode"},
                {GCS_NEGOTIATE, "{\"Version\":\"4\"}", "Version"},
                {GCS_NEGOTIATE, "{\"Capabilities\":4}", "Capabilities"},
                {GCS_NEGOTIATE, "{\"Capabilities\":{\"SendHostCreateMessage\":1}}",
                        "SendHostCreateMessage"},
                {GCS_NEGOTIATE, "{\"Capabilities\":{\"SendHostStartMessage\":1}}",
                        "SendHostStartMessage"},
                {GCS_NEGOTIATE, "{\"Capabilities\":{\"RuntimeOsType\":1}}", "RuntimeOsType"},
        };
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                struct gcs_response out = {.call = 0xdead};
                struct error e;
                assert_error(decode(cases[i].call, cases[i].body, &out, &e), -EBADMSG);
                ck_assert_msg(strstr(e.text, cases[i].named), "%s: %s", cases[i].body, e.text);
                ck_assert_uint_ne(e.hresult, 0);
                ck_assert_uint_eq(out.call, 0xdead);
        }
}
END_TEST

START_TEST(bounds_the_depth_and_size_of_what_a_guest_sends) {
        static char body[GCS_FROM_GUEST_MAX + 64];
        struct gcs_response out;
        struct error e;
        for (unsigned depth = 15; depth <= 16; depth++) { /* and the object around it */
                sprintf(body, "{\"x\":%.*s%.*s}", (int)depth, "[[[[[[[[[[[[[[[[", (int)depth,
                        "]]]]]]]]]]]]]]]]");
                assert_error(decode(GCS_CREATE, body, &out, &e), depth == 15 ? 0 : -E2BIG);
        }
        memset(body, ' ', sizeof body);
        memcpy(body, "{}", 2);
        assert_ok(decode_n(GCS_CREATE, body, GCS_FROM_GUEST_MAX, &out, &e));
        assert_error(decode_n(GCS_CREATE, body, GCS_FROM_GUEST_MAX + 1, &out, &e), -E2BIG);
}
END_TEST

START_TEST(checks_notifications) {
        struct error e = {0};
        uint32_t known = GCS_NOTIFICATION | GCS_CONTAINER_EVENT;
        assert_ok(gcs_notification_check(known, "{\"Type\":\"ForcedExit\"}", 21, &e));
        assert_error(gcs_notification_check(known, "[]", 2, &e), -EBADMSG);
        e = (struct error){0};
        assert_error(gcs_notification_check(known + 0x100, "{}", 2, &e), -EBADMSG);
        ck_assert_uint_eq(e.hresult, HCS_E_PROTOCOL_ERROR);
}
END_TEST

START_TEST(sweep_of_failed_allocations) {
        struct gcs_response in = {
                .call = GCS_NEGOTIATE, .negotiate = {.version = 4, .linux_guest = true}};
        unsigned n = 0;
        int r;
        do {
                char *body = NULL;
                size_t size;
                fault_arm(FAULT_ALLOC, ++n);
                r = gcs_response_encode(&in, &body, &size);
                fault_arm(FAULT_ALLOC, 0);
                ck_assert(r == 0 || r == -ENOMEM);
                ck_assert((r == 0) == (body != NULL));
                free(body);
        } while (r < 0);
        ck_assert_uint_gt(n, 20);
}
END_TEST

TEST_MAIN("response", answers_come_out_as_they_went_in, a_failure_carries_its_code_and_text_alone,
        takes_a_result_of_either_sign, takes_what_hcsshim_leaves_out_for_nothing,
        takes_the_terminal_out_of_a_text, cuts_a_text_between_characters, refuses_bad_answers,
        bounds_the_depth_and_size_of_what_a_guest_sends, checks_notifications,
        sweep_of_failed_allocations)
