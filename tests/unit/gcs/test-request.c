// SPDX-License-Identifier: MIT
#include "../test.h"
#include <stdio.h>
#include "base/fault.h"
#include "gcs/proto.h"
#include "wire/hresult.h"

static struct gcs_request through(const struct gcs_request *in) {
        struct gcs_request out;
        struct error e = {0};
        char *body = NULL;
        size_t size;
        assert_ok(gcs_request_encode(in, &body, &size, &e));
        ck_assert_uint_eq(strlen(body), size);
        ck_assert_msg(gcs_request_decode(in->call, body, size, &out, &e) == 0, "%s", e.text);
        free(body);
        return out;
}

static int decode(uint32_t call, const char *body, struct error *e) {
        struct gcs_request q = {.call = 0xdead};
        *e = (struct error){0};
        int r = gcs_request_decode(call, body, strlen(body), &q, e);
        if (r == 0)
                gcs_request_done(&q);
        else
                ck_assert_uint_eq(q.call, 0xdead);
        return r;
}

START_TEST(a_process_comes_out_as_it_went_in) {
        const char *const argv[] = {"a", "", "\"\\\n\x7f", "ü", NULL};
        const char *const env[] = {"X=", "Y=a=b", NULL};
        struct gcs_request in = {.call = GCS_EXECUTE_PROCESS,
                .execute = {.argv = argv,
                        .env = env,
                        .cwd = "/d",
                        .user = "u",
                        .console = true,
                        .rows = 65535,
                        .columns = 1,
                        .ports = {GCS_STDIO_PORT_0, 0, UINT32_MAX}}};
        struct gcs_request out = through(&in);
        const struct gcs_execute *x = &out.execute;
        for (size_t i = 0; i < 5; i++)
                ck_assert_pstr_eq(x->argv[i], argv[i]);
        for (size_t i = 0; i < 3; i++)
                ck_assert_pstr_eq(x->env[i], env[i]);
        ck_assert_ptr_null(x->command_line);
        ck_assert_str_eq(x->cwd, "/d");
        ck_assert_str_eq(x->user, "u");
        ck_assert(x->console);
        ck_assert_uint_eq(x->rows, 65535);
        ck_assert_uint_eq(x->columns, 1);
        ck_assert_mem_eq(x->ports, in.execute.ports, sizeof x->ports);
        ck_assert_str_eq(out.container, GCS_NULL_ID);
        ck_assert_str_eq(out.activity, GCS_NULL_ID);
        gcs_request_done(&out);
}
END_TEST

START_TEST(what_was_left_out_stays_out) {
        struct gcs_request in = {.call = GCS_EXECUTE_PROCESS, .execute = {.command_line = "x y"}};
        struct gcs_request out = through(&in);
        ck_assert_str_eq(out.execute.command_line, "x y");
        ck_assert_ptr_null(out.execute.argv);
        ck_assert_ptr_null(out.execute.env);
        ck_assert_str_eq(out.execute.cwd, "");
        ck_assert_str_eq(out.execute.user, "");
        ck_assert(!out.execute.console);
        ck_assert_uint_eq(out.execute.ports[0] | out.execute.ports[1] | out.execute.ports[2], 0);
        gcs_request_done(&out);
}
END_TEST

START_TEST(the_other_calls_come_out_as_they_went_in) {
        struct gcs_request in = {.call = GCS_WAIT_FOR_PROCESS,
                .container = "c",
                .activity = "a",
                .wait = {.pid = 7, .timeout_ms = 9}};
        struct gcs_request out = through(&in);
        ck_assert_uint_eq(out.wait.pid, 7);
        ck_assert_uint_eq(out.wait.timeout_ms, 9);
        ck_assert_str_eq(out.container, "c");
        ck_assert_str_eq(out.activity, "a");
        gcs_request_done(&out);
        in = (struct gcs_request){.call = GCS_SIGNAL_PROCESS, .signal = {.pid = 7, .signal = 15}};
        out = through(&in);
        ck_assert_uint_eq(out.signal.pid, 7);
        ck_assert_int_eq(out.signal.signal, 15);
        gcs_request_done(&out);
        in = (struct gcs_request){
                .call = GCS_RESIZE_CONSOLE, .console = {.pid = 7, .rows = 2, .columns = 3}};
        out = through(&in);
        ck_assert_uint_eq(out.console.pid, 7);
        ck_assert_uint_eq(out.console.rows, 2);
        ck_assert_uint_eq(out.console.columns, 3);
        gcs_request_done(&out);
        in = (struct gcs_request){.call = GCS_NEGOTIATE, .negotiate = {.min = 1, .max = 4}};
        out = through(&in);
        ck_assert_uint_eq(out.negotiate.min, 1);
        ck_assert_uint_eq(out.negotiate.max, 4);
        gcs_request_done(&out);
}
END_TEST

START_TEST(no_signal_is_the_deadly_one) {
        struct gcs_request q;
        struct error e = {0};
        static const char body[] = "{\"ProcessId\":3}";
        assert_ok(gcs_request_decode(GCS_SIGNAL_PROCESS, body, strlen(body), &q, &e));
        ck_assert_int_eq(q.signal.signal, 9);
        gcs_request_done(&q);
}
END_TEST

START_TEST(of_two_settings_of_a_variable_the_later_stays) {
        const char *const env[] = {"A=1", "B=2", "A=3", NULL};
        struct gcs_request in = {
                .call = GCS_EXECUTE_PROCESS, .execute = {.command_line = "x", .env = env}};
        struct gcs_request out = through(&in);
        ck_assert_str_eq(out.execute.env[0], "A=3");
        ck_assert_str_eq(out.execute.env[1], "B=2");
        ck_assert_ptr_null(out.execute.env[2]);
        gcs_request_done(&out);
}
END_TEST

static int encode_error(const struct gcs_execute *x, struct error *e) {
        struct gcs_request in = {.call = GCS_EXECUTE_PROCESS, .execute = *x};
        char *body = NULL;
        size_t size = 77;
        *e = (struct error){0};
        int r = gcs_request_encode(&in, &body, &size, e);
        ck_assert_ptr_null(body);
        ck_assert_uint_eq(size, 77);
        return r;
}

START_TEST(refuses_to_send_what_json_cannot_hold) {
        struct error e;
        const char *const nameless[] = {"=x", NULL}, *const bare[] = {"X", NULL};
        const char *const bytes[] = {"X=\xc3", NULL}, *const argv[] = {"ok", "\x80", NULL};
        assert_error(encode_error(&(struct gcs_execute){.env = nameless}, &e), -EINVAL);
        ck_assert_ptr_nonnull(strstr(e.text, "NAME=VALUE"));
        assert_error(encode_error(&(struct gcs_execute){.env = bare}, &e), -EINVAL);
        assert_error(encode_error(&(struct gcs_execute){.env = bytes}, &e), -EINVAL);
        assert_error(encode_error(&(struct gcs_execute){.argv = argv}, &e), -EINVAL);
        ck_assert_uint_eq(e.hresult, E_INVALIDARG);
        ck_assert_ptr_nonnull(strstr(e.text, "UTF-8"));
        assert_error(encode_error(&(struct gcs_execute){.cwd = "\xff"}, &e), -EINVAL);
        assert_error(encode_error(&(struct gcs_execute){.user = "\xff"}, &e), -EINVAL);
}
END_TEST

START_TEST(refuses_a_command_above_the_limit) {
        char *line = malloc(GCS_FROM_HOST_MAX);
        memset(line, 'x', GCS_FROM_HOST_MAX);
        struct gcs_request in = {.call = GCS_EXECUTE_PROCESS, .execute = {.command_line = line}};
        /* What surrounds the line is as long for every line. */
        line[10] = 0;
        char *body;
        size_t size;
        struct error e = {0};
        assert_ok(gcs_request_encode(&in, &body, &size, &e));
        free(body);
        line[10] = 'x';
        size_t most = GCS_FROM_HOST_MAX - GCS_HEADER_SIZE - (size - 10);
        line[most] = 0;
        assert_ok(gcs_request_encode(&in, &body, &size, &e));
        ck_assert_uint_eq(size, GCS_FROM_HOST_MAX - GCS_HEADER_SIZE);
        free(body);
        line[most] = 'x';
        line[most + 1] = 0;
        assert_error(gcs_request_encode(&in, &body, &size, &e), -E2BIG);
        free(line);
}
END_TEST

START_TEST(refuses_members_of_a_wrong_type) {
        static const struct {
                uint32_t call;
                const char *body, *named;
        } cases[] = {
                {GCS_CREATE, "[]", "not an object"},
                {GCS_CREATE, "{\"ContainerId\":1}", "ContainerId"},
                {GCS_CREATE, "{\"ActivityId\":\"a\\u0000b\"}", "ActivityId"},
                {GCS_NEGOTIATE, "{\"MinimumVersion\":-1}", "MinimumVersion"},
                {GCS_NEGOTIATE, "{\"MaximumVersion\":4294967296}", "MaximumVersion"},
                {GCS_EXECUTE_PROCESS, "{}", "ProcessParameters"},
                {GCS_EXECUTE_PROCESS, "{\"Settings\":[]}", "Settings"},
                {GCS_EXECUTE_PROCESS, "{\"Settings\":{\"ProcessParameters\":{}}}",
                        "ProcessParameters"},
                {GCS_EXECUTE_PROCESS, "{\"Settings\":{\"ProcessParameters\":\"{\"}}",
                        "ProcessParameters"},
                {GCS_WAIT_FOR_PROCESS, "{\"ProcessId\":\"1\"}", "ProcessId"},
                {GCS_SIGNAL_PROCESS, "{\"Options\":9}", "Options"},
                {GCS_SIGNAL_PROCESS, "{\"Options\":{\"Signal\":1.5}}", "Signal"},
                {GCS_RESIZE_CONSOLE, "{\"Height\":65536}", "Height"},
                {GCS_RESIZE_CONSOLE, "{\"Width\":true}", "Width"},
        };
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                struct error e;
                assert_error(decode(cases[i].call, cases[i].body, &e), -EBADMSG);
                ck_assert_msg(strstr(e.text, cases[i].named), "%s: %s", cases[i].body, e.text);
                ck_assert_uint_eq(e.hresult, HCS_E_INVALID_JSON);
        }
}
END_TEST

START_TEST(refuses_bad_process_parameters) {
        static const struct {
                const char *parameters, *named;
        } cases[] = {
                {"{'CommandArgs':{}}", "CommandArgs"},
                {"{'CommandArgs':['a',1]}", "CommandArgs"},
                {"{'CommandLine':1}", "CommandLine"},
                {"{'Environment':[]}", "Environment"},
                {"{'Environment':{'A':1}}", "Environment"},
                {"{'Environment':{'':'x'}}", "Environment"},
                {"{'Environment':{'A=B':'x'}}", "A=B"},
                {"{'EmulateConsole':1}", "EmulateConsole"},
                {"{'ConsoleSize':[1]}", "ConsoleSize"},
                {"{'ConsoleSize':[1,65536]}", "ConsoleSize"},
                {"{'ConsoleSize':'x'}", "ConsoleSize"},
                {"{'WorkingDirectory':[]}", "WorkingDirectory"},
                {"{'User':{}}", "User"},
                {"{'CreateStdInPipe':true}", "StdIn"},
                {"{'CreateStdOutPipe':1}", "CreateStdOutPipe"},
        };
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                char body[256], *at = body;
                at += sprintf(at, "{\"Settings\":{\"ProcessParameters\":\"");
                for (const char *c = cases[i].parameters; *c; c++)
                        at += *c == '\'' ? sprintf(at, "\\\"") : sprintf(at, "%c", *c);
                sprintf(at, "\"}}");
                struct error e;
                assert_error(decode(GCS_EXECUTE_PROCESS, body, &e), -EBADMSG);
                ck_assert_msg(strstr(e.text, cases[i].named), "%s: %s", body, e.text);
        }
}
END_TEST

static int decode_counted(const char *member, const char *element, size_t n) {
        char *body = malloc(n * 32 + 256), *at = body;
        ck_assert_ptr_nonnull(body);
        bool array = strcmp(member, "CommandArgs") == 0;
        at += sprintf(at, "{\"Settings\":{\"ProcessParameters\":\"{\\\"%s\\\":%c", member,
                array ? '[' : '{');
        for (size_t i = 0; i < n; i++)
                at += array ? sprintf(at, "%s\\\"%s\\\"", i ? "," : "", element)
                            : sprintf(at, "%s\\\"%s%zu\\\":\\\"\\\"", i ? "," : "", element, i);
        sprintf(at, "%c}\"}}", array ? ']' : '}');
        struct error e;
        int r = decode(GCS_EXECUTE_PROCESS, body, &e);
        free(body);
        return r;
}

START_TEST(bounds_arguments_and_environment) {
        assert_ok(decode_counted("CommandArgs", "a", GCS_ARGS_MAX));
        assert_error(decode_counted("CommandArgs", "a", GCS_ARGS_MAX + 1), -E2BIG);
        assert_ok(decode_counted("Environment", "a", GCS_ENV_MAX));
        assert_error(decode_counted("Environment", "a", GCS_ENV_MAX + 1), -E2BIG);
}
END_TEST

START_TEST(bounds_the_container_id) {
        char body[GCS_CONTAINER_MAX + 64];
        struct error e;
        sprintf(body, "{\"ContainerId\":\"%0*d\"}", GCS_CONTAINER_MAX - 1, 0);
        assert_ok(decode(GCS_CREATE, body, &e));
        sprintf(body, "{\"ContainerId\":\"%0*d\"}", GCS_CONTAINER_MAX, 0);
        assert_error(decode(GCS_CREATE, body, &e), -EBADMSG);
}
END_TEST

START_TEST(sweep_of_failed_allocations) {
        const char *const argv[] = {"a", "b", NULL}, *const env[] = {"A=1", NULL};
        struct gcs_request in = {.call = GCS_EXECUTE_PROCESS,
                .execute = {.argv = argv,
                        .env = env,
                        .console = true,
                        .rows = 1,
                        .columns = 1,
                        .ports = {1, 2, 3}}};
        unsigned n = 0;
        int r;
        do {
                char *body = NULL;
                size_t size;
                struct error e = {0};
                fault_arm(FAULT_ALLOC, ++n);
                r = gcs_request_encode(&in, &body, &size, &e);
                fault_arm(FAULT_ALLOC, 0);
                ck_assert(r == 0 || r == -ENOMEM);
                ck_assert((r == 0) == (body != NULL));
                free(body);
        } while (r < 0);
        ck_assert_uint_gt(n, 20);
}
END_TEST

TEST_MAIN("request", a_process_comes_out_as_it_went_in, what_was_left_out_stays_out,
        the_other_calls_come_out_as_they_went_in, no_signal_is_the_deadly_one,
        of_two_settings_of_a_variable_the_later_stays, refuses_to_send_what_json_cannot_hold,
        refuses_a_command_above_the_limit, refuses_members_of_a_wrong_type,
        refuses_bad_process_parameters, bounds_arguments_and_environment, bounds_the_container_id,
        sweep_of_failed_allocations)
