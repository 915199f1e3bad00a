// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <stdio.h>
#include "base/fd.h"
#include "gcs/proto.h"
#include "../../unit/test.h"
#include "wire/hresult.h"

/* A message of a file: its header checked against its size. */
struct golden {
        char *data;
        size_t size;
        uint32_t type;
        uint64_t id;
        const char *body;
        size_t body_size;
};

static struct golden load(const char *name) {
        struct golden g = {0};
        struct gcs_header h;
        char path[4096];
        snprintf(path, sizeof path, "%s/tests/golden/gcs/%s.bin", getenv("SANDBAR_SOURCE_ROOT"),
                name);
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
        assert_ok(fd_read_file(fd, 65536, &g.data, &g.size));
        ck_assert_uint_ge(g.size, sizeof h);
        memcpy(&h, g.data, sizeof h);
        g.type = le32_get(h.type);
        g.id = le64_get(h.id);
        g.body = g.data + sizeof h;
        g.body_size = g.size - sizeof h;
        ck_assert_uint_eq(le32_get(h.size), g.size);
        return g;
}

static void assert_body(const struct golden *g, const char *body, size_t size) {
        ck_assert_msg(g->body_size == size && memcmp(g->body, body, size) == 0,
                "%.*s\n   is not\n%.*s", (int)size, body, (int)g->body_size, g->body);
}

static void check_request(const char *name, const struct gcs_request *request) {
        struct golden g = load(name);
        struct error e = {0};
        char *body;
        size_t size;
        ck_assert_uint_eq(g.type, GCS_REQUEST | request->call);
        assert_ok(gcs_request_encode(request, &body, &size, &e));
        assert_body(&g, body, size);
        free(body);
        /* And back: what the guest reads it gives again. */
        struct gcs_request out;
        assert_ok(gcs_request_decode(request->call, g.body, g.body_size, &out, &e));
        if (request->call != GCS_CREATE) { /* whose configuration is not read */
                assert_ok(gcs_request_encode(&out, &body, &size, &e));
                assert_body(&g, body, size);
                free(body);
        }
        gcs_request_done(&out);
        free(g.data);
}

static void check_response(const char *name, const struct gcs_response *response) {
        struct golden g = load(name);
        struct error e = {0};
        char *body;
        size_t size;
        ck_assert_uint_eq(g.type, GCS_RESPONSE | response->call);
        assert_ok(gcs_response_encode(response, &body, &size));
        assert_body(&g, body, size);
        free(body);
        struct gcs_response out;
        assert_ok(gcs_response_decode(response->call, g.body, g.body_size, &out, &e));
        assert_ok(gcs_response_encode(&out, &body, &size));
        assert_body(&g, body, size);
        free(body);
        free(g.data);
}

START_TEST(requests) {
        const char *const argv[] = {"ls", "-l", "a b", NULL};
        const char *const env[] = {"LANG=C", "EMPTY=", NULL};
        struct gcs_execute piped = {.argv = argv,
                .env = env,
                .cwd = "/tmp",
                .user = "nobody",
                .ports = {0x40000001, 0x40000002, 0x40000003}};
        struct gcs_execute console = {.command_line = "echo \"hi\"",
                .console = true,
                .rows = 24,
                .columns = 80,
                .ports = {0, 0x40000004, 0}};
        const struct {
                const char *name;
                struct gcs_request request;
        } cases[] = {
                {"request-negotiate", {.call = GCS_NEGOTIATE, .negotiate = {4, 4}}},
                {"request-create", {.call = GCS_CREATE}},
                {"request-start", {.call = GCS_START}},
                {"request-execute", {.call = GCS_EXECUTE_PROCESS, .execute = piped}},
                {"request-execute-console", {.call = GCS_EXECUTE_PROCESS, .execute = console}},
                {"request-wait", {.call = GCS_WAIT_FOR_PROCESS, .wait = {77, GCS_INFINITE}}},
                {"request-signal", {.call = GCS_SIGNAL_PROCESS, .signal = {77, 15}}},
                {"request-resize", {.call = GCS_RESIZE_CONSOLE, .console = {77, 40, 132}}},
                {"request-shutdown", {.call = GCS_SHUTDOWN_GRACEFUL}},
        };
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                check_request(cases[i].name, &cases[i].request);
}
END_TEST

START_TEST(responses) {
        const struct {
                const char *name;
                struct gcs_response response;
        } cases[] = {
                {"response-negotiate",
                        {.call = GCS_NEGOTIATE, .negotiate = {.version = 4, .linux_guest = true}}},
                {"response-execute", {.call = GCS_EXECUTE_PROCESS, .pid = 77}},
                {"response-wait", {.call = GCS_WAIT_FOR_PROCESS, .exit_code = 143}},
                {"response-empty", {.call = GCS_SIGNAL_PROCESS}},
                {"response-error", {.call = GCS_EXECUTE_PROCESS,
                                           .hresult = HR_FILE_NOT_FOUND,
                                           .text = "cannot run \"x\""}},
        };
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                check_response(cases[i].name, &cases[i].response);
}
END_TEST

START_TEST(what_hcsshims_host_sends) {
        struct golden g = load("hcsshim-request-execute");
        struct gcs_request q;
        struct error e = {0};
        assert_ok(gcs_request_decode(g.type & ~GCS_KIND_MASK, g.body, g.body_size, &q, &e));
        ck_assert_str_eq(q.execute.argv[0], "/bin/ls");
        ck_assert_str_eq(q.execute.argv[1], "-a");
        ck_assert_ptr_null(q.execute.argv[2]);
        ck_assert_str_eq(q.execute.env[0], "PATH=/bin");
        ck_assert_uint_eq(q.execute.ports[0], 0);
        ck_assert_uint_eq(q.execute.ports[1], 0x40000002);
        gcs_request_done(&q);
        free(g.data);
        g = load("hcsshim-request-kill");
        assert_ok(gcs_request_decode(g.type & ~GCS_KIND_MASK, g.body, g.body_size, &q, &e));
        ck_assert_uint_eq(q.signal.pid, 12);
        ck_assert_int_eq(q.signal.signal, 9);
        gcs_request_done(&q);
        free(g.data);
}
END_TEST

START_TEST(what_hcsshims_guest_sends) {
        struct golden g = load("hcsshim-response-negotiate");
        struct gcs_response p;
        struct error e = {0};
        assert_ok(gcs_response_decode(g.type & ~GCS_KIND_MASK, g.body, g.body_size, &p, &e));
        ck_assert_uint_eq(p.negotiate.version, 4);
        ck_assert(p.negotiate.linux_guest);
        free(g.data);
        g = load("hcsshim-response-error");
        assert_ok(gcs_response_decode(g.type & ~GCS_KIND_MASK, g.body, g.body_size, &p, &e));
        ck_assert_uint_eq(p.hresult, E_FAIL);
        ck_assert_str_eq(p.text, "exec: \"x\": executable file not found in $PATH");
        free(g.data);
        g = load("hcsshim-notification");
        assert_ok(gcs_notification_check(g.type, g.body, g.body_size, &e));
        free(g.data);
}
END_TEST

TEST_MAIN("golden/gcs", requests, responses, what_hcsshims_host_sends, what_hcsshims_guest_sends)
