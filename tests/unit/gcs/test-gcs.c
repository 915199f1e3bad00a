// SPDX-License-Identifier: MIT
/* The host end against a guest made of bytes: what an honest agent would never send. The honest one
 * is in tests/unit/agent. */
#include "../test.h"
#include <stdio.h>
#include <sys/socket.h>
#include "base/fault.h"
#include "base/fd.h"
#include "gcs/gcs.h"
#include "gcs/proto.h"
#include "wire/hresult.h"

struct host {
        struct io_loop *loop;
        struct gcs *gcs;
        int guest; /* the guest's end of the bridge */
        unsigned connected, closed, exits;
        int closed_r;
        uint32_t exited_pid;
        int32_t exit_code;
        /* The last request that the guest received. */
        uint32_t call;
        uint64_t id;
};

struct reply {
        unsigned done;
        uint32_t hresult, pid;
        char text[ERROR_TEXT_MAX];
};

static struct host host;

static void on_connected(_unused_ void *ctx, uint32_t protocol) {
        ck_assert_uint_eq(protocol, GCS_PROTOCOL_VERSION);
        host.connected++;
}

static void on_closed(_unused_ void *ctx, int r) {
        host.closed++;
        host.closed_r = r;
}

static void on_exited(_unused_ void *ctx, uint32_t pid, int32_t code) {
        host.exits++;
        host.exited_pid = pid;
        host.exit_code = code;
}

static void on_done(void *ctx, uint32_t hresult, const char *text, uint32_t pid) {
        struct reply *reply = ctx;
        reply->done++;
        reply->hresult = hresult;
        reply->pid = pid;
        snprintf(reply->text, sizeof reply->text, "%s", text);
}

static const struct gcs_ops ops = {
        .connected = on_connected, .closed = on_closed, .process_exited = on_exited};

static void turn(void) {
        for (int i = 0; i < 10; i++)
                assert_ok(io_loop_once(host.loop, 0));
}

static void dial(void) {
        host.guest = fd_close(host.guest);
        assert_ok(gcs_accept(host.gcs, GCS_BRIDGE_PORT, &host.guest));
}

static void setup(void) {
        host = (struct host){.guest = -1};
        assert_ok(io_loop_new(&host.loop));
        assert_ok(gcs_new(host.loop, &ops, NULL, &host.gcs));
        dial();
}

static void teardown(void) {
        gcs_free(host.gcs);
        io_loop_free(host.loop);
        fd_close(host.guest);
}

/* The next request, which must be there. */
static void take(uint32_t call) {
        struct gcs_header h;
        static char body[GCS_FROM_HOST_MAX];
        turn();
        ck_assert_int_eq(recv(host.guest, &h, sizeof h, MSG_DONTWAIT), sizeof h);
        size_t size = le32_get(h.size) - sizeof h;
        ck_assert_int_eq(recv(host.guest, body, size, MSG_DONTWAIT), (ssize_t)size);
        host.call = le32_get(h.type);
        host.id = le64_get(h.id);
        ck_assert_uint_eq(host.call, GCS_REQUEST | call);
}

static void say(uint32_t type, uint64_t id, const char *body) {
        struct gcs_header h = {
                le32_make(type), le32_make((uint32_t)(sizeof h + strlen(body))), le64_make(id)};
        ck_assert_int_eq(send(host.guest, &h, sizeof h, MSG_NOSIGNAL), sizeof h);
        ck_assert_int_eq(send(host.guest, body, strlen(body), MSG_NOSIGNAL), (ssize_t)strlen(body));
        turn();
}

static void answer(uint32_t call, const char *body) {
        take(call);
        say(GCS_RESPONSE | call, host.id, body);
}

#define VERSION "{\"Result\":0,\"Version\":4,\"Capabilities\":{\"RuntimeOsType\":\"linux\"%s}}"

static void connect_guest(void) {
        char body[256];
        snprintf(body, sizeof body, VERSION, "");
        answer(GCS_NEGOTIATE, body);
        ck_assert_uint_eq(host.connected, 1);
        ck_assert(gcs_is_connected(host.gcs));
}

static void create(struct reply *reply) {
        struct gcs_process params = {.command_line = "x", .stdio = {-1, -1, -1}};
        *reply = (struct reply){0};
        gcs_create_process(host.gcs, &params, on_done, reply);
}

/* A process that runs, its wait taken. */
static void start(struct reply *reply, const char *answered) {
        create(reply);
        answer(GCS_EXECUTE_PROCESS, answered);
        ck_assert_uint_eq(reply->hresult, 0);
        take(GCS_WAIT_FOR_PROCESS);
}

static void assert_broken(const char *named) {
        turn();
        ck_assert_uint_eq(host.closed, 1);
        ck_assert_int_eq(host.closed_r, -EPROTO);
        ck_assert_msg(strstr(gcs_last_error(host.gcs), named), "\"%s\" is not in \"%s\"", named,
                gcs_last_error(host.gcs));
        ck_assert(!gcs_is_connected(host.gcs));
        char c;
        ck_assert_int_eq(recv(host.guest, &c, 1, MSG_DONTWAIT), 0);
}

START_TEST(creates_and_starts_the_machine_where_the_guest_asks) {
        char body[256];
        setup();
        snprintf(body, sizeof body, VERSION,
                ",\"SendHostCreateMessage\":true,\"SendHostStartMessage\":true");
        answer(GCS_NEGOTIATE, body);
        ck_assert_uint_eq(host.connected, 0);
        answer(GCS_CREATE, "{\"Result\":0}");
        ck_assert_uint_eq(host.connected, 0);
        answer(GCS_START, "{}");
        ck_assert_uint_eq(host.connected, 1);
        teardown();
        setup();
        snprintf(body, sizeof body, VERSION, ",\"SendHostCreateMessage\":true");
        answer(GCS_NEGOTIATE, body);
        answer(GCS_CREATE, "{\"Result\":0}");
        ck_assert_uint_eq(host.connected, 1);
        teardown();
}
END_TEST

START_TEST(refuses_guests_that_it_cannot_serve) {
        static const struct {
                const char *body, *named;
        } cases[] = {
                {"{\"Version\":5,\"Capabilities\":{\"RuntimeOsType\":\"linux\"}}", "protocol 5"},
                {"{\"Version\":4}", "Linux"},
                {"{\"Result\":-2147024809,\"ErrorMessage\":\"no\"}", "refused to connect: no"},
        };
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                setup();
                answer(GCS_NEGOTIATE, cases[i].body);
                assert_broken(cases[i].named);
                ck_assert_uint_eq(host.connected, 0);
                teardown();
        }
}
END_TEST

START_TEST(closes_the_bridge_on_rubbish_and_answers_what_is_pending) {
        static const struct {
                uint32_t type;
                uint64_t id;
                const char *body, *named;
        } cases[] = {
                {GCS_RESPONSE | GCS_SIGNAL_PROCESS, 99, "{}", "request 99"},
                {GCS_RESPONSE | GCS_NEGOTIATE, 1, "{}", "request 1"}, /* answered already */
                {GCS_RESPONSE | GCS_CREATE, 0, "{}", "nobody made"},
                {GCS_REQUEST | GCS_CREATE, 2, "{}", "type 0x10100101"},
                {0, 2, "{}", "type 0x00000000"},
                {0xffffffff, 2, "{}", "type 0xffffffff"},
                {GCS_NOTIFICATION | 7, 0, "{}", "notification"},
                {GCS_NOTIFICATION | GCS_CONTAINER_EVENT, 0, "[", "ends in the middle"},
                {GCS_RESPONSE | GCS_RESIZE_CONSOLE, 2, "{}", "request 2"}, /* another call */
                {GCS_RESPONSE | GCS_SIGNAL_PROCESS, 2, "{\"Result\":\"x\"}", "Result"},
                {GCS_RESPONSE | GCS_SIGNAL_PROCESS, 2, "not json", "answer"},
        };
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                struct reply reply = {0};
                setup();
                connect_guest();
                gcs_signal_process(host.gcs, 5, 9, on_done, &reply);
                take(GCS_SIGNAL_PROCESS);
                ck_assert_uint_eq(host.id, 2);
                say(cases[i].type, cases[i].id, cases[i].body);
                assert_broken(cases[i].named);
                ck_assert_uint_eq(reply.done, 1);
                ck_assert_uint_eq(reply.hresult, HCS_E_PROTOCOL_ERROR);
                ck_assert_str_eq(reply.text, gcs_last_error(host.gcs));
                /* The machine goes on, and a better guest is welcome. */
                dial();
                take(GCS_NEGOTIATE);
                char body[256];
                snprintf(body, sizeof body, VERSION, "");
                say(GCS_RESPONSE | GCS_NEGOTIATE, host.id, body);
                ck_assert_uint_eq(host.connected, 2);
                ck_assert_str_eq(gcs_last_error(host.gcs), "");
                teardown();
        }
}
END_TEST

START_TEST(closes_the_bridge_on_broken_framing) {
        struct gcs_header h = {le32_make(1), le32_make(GCS_FROM_GUEST_MAX + 1), le64_make(1)};
        setup();
        connect_guest();
        ck_assert_int_eq(send(host.guest, &h, sizeof h, 0), sizeof h);
        assert_broken("no message");
        teardown();
}
END_TEST

START_TEST(takes_answers_in_any_order) {
        struct reply replies[3] = {0};
        uint64_t ids[3];
        setup();
        connect_guest();
        for (uint32_t i = 0; i < 3; i++) {
                gcs_resize_console(host.gcs, i, 1, 1, on_done, &replies[i]);
                take(GCS_RESIZE_CONSOLE);
                ids[i] = host.id;
        }
        say(GCS_RESPONSE | GCS_RESIZE_CONSOLE, ids[2], "{\"Result\":2}");
        say(GCS_RESPONSE | GCS_RESIZE_CONSOLE, ids[0], "{}");
        ck_assert_uint_eq(replies[1].done, 0);
        say(GCS_RESPONSE | GCS_RESIZE_CONSOLE, ids[1], "{\"Result\":1,\"ErrorMessage\":\"why\"}");
        for (size_t i = 0; i < 3; i++) {
                ck_assert_uint_eq(replies[i].done, 1);
                ck_assert_uint_eq(replies[i].hresult, i);
        }
        ck_assert_str_eq(replies[1].text, "why");
        ck_assert_str_ne(replies[2].text, "");
        teardown();
}
END_TEST

START_TEST(bounds_the_requests_that_wait) {
        static struct reply replies[GCS_REQUESTS_MAX + 1];
        memset(replies, 0, sizeof replies);
        setup();
        connect_guest();
        for (size_t i = 0; i <= GCS_REQUESTS_MAX; i++)
                gcs_resize_console(host.gcs, 1, 1, 1, on_done, &replies[i]);
        ck_assert_uint_eq(replies[GCS_REQUESTS_MAX].done, 1);
        ck_assert_uint_eq(replies[GCS_REQUESTS_MAX].hresult, HCS_E_OPERATION_PENDING);
        ck_assert_uint_eq(replies[GCS_REQUESTS_MAX - 1].done, 0);
        answer(GCS_RESIZE_CONSOLE, "{}");
        ck_assert_uint_eq(replies[0].done, 1);
        replies[0] = (struct reply){0};
        gcs_resize_console(host.gcs, 1, 1, 1, on_done, &replies[0]);
        ck_assert_uint_eq(replies[0].done, 0);
        host.guest = fd_close(host.guest);
        turn();
        for (size_t i = 0; i <= GCS_REQUESTS_MAX; i++)
                ck_assert_uint_eq(replies[i].done, 1);
        teardown();
}
END_TEST

START_TEST(tells_an_exit_once) {
        struct reply reply;
        setup();
        connect_guest();
        start(&reply, "{\"ProcessId\":4294967295}");
        ck_assert_uint_eq(reply.pid, UINT32_MAX);
        say(GCS_RESPONSE | GCS_WAIT_FOR_PROCESS, host.id, "{\"ExitCode\":4294967295}");
        ck_assert_uint_eq(host.exits, 1);
        ck_assert_uint_eq(host.exited_pid, UINT32_MAX);
        ck_assert_int_eq(host.exit_code, -1);
        say(GCS_RESPONSE | GCS_WAIT_FOR_PROCESS, host.id, "{\"ExitCode\":0}");
        ck_assert_uint_eq(host.exits, 1);
        assert_broken("nobody made");
        teardown();
}
END_TEST

START_TEST(tells_an_exit_that_the_guest_cannot_tell) {
        struct reply reply;
        setup();
        connect_guest();
        start(&reply, "{\"ProcessId\":7}");
        say(GCS_RESPONSE | GCS_WAIT_FOR_PROCESS, host.id, "{\"Result\":-2147023728}");
        ck_assert_uint_eq(host.exits, 1);
        ck_assert_int_eq(host.exit_code, GCS_EXIT_UNKNOWN);
        teardown();
}
END_TEST

START_TEST(refuses_a_process_number_that_is_taken) {
        struct reply first, second;
        setup();
        connect_guest();
        start(&first, "{\"ProcessId\":7}");
        create(&second);
        answer(GCS_EXECUTE_PROCESS, "{\"ProcessId\":7}");
        ck_assert_uint_eq(second.done, 1);
        ck_assert_uint_eq(second.hresult, HCS_E_PROTOCOL_ERROR);
        assert_broken("second process 7");
        ck_assert_uint_eq(host.exits, 0);
        gcs_reset(host.gcs);
        ck_assert_uint_eq(host.exits, 1);
        teardown();
}
END_TEST

START_TEST(a_stream_may_be_dialled_once_and_while_the_start_is_pending) {
        int in[2], out[2], fd = -2;
        struct reply reply = {0};
        setup();
        connect_guest();
        assert_ok(fd_socketpair(SOCK_STREAM | SOCK_NONBLOCK, in));
        assert_ok(fd_socketpair(SOCK_STREAM | SOCK_NONBLOCK, out));
        struct gcs_process params = {.command_line = "x", .stdio = {in[1], out[1], -1}};
        gcs_create_process(host.gcs, &params, on_done, &reply);
        ck_assert_int_eq(params.stdio[0], -1);
        take(GCS_EXECUTE_PROCESS);
        assert_ok(gcs_accept(host.gcs, GCS_STDIO_PORT_0, &fd));
        ck_assert_int_eq(fd, in[1]);
        close(fd);
        fd = -2;
        assert_error(gcs_accept(host.gcs, GCS_STDIO_PORT_0, &fd), -ECONNREFUSED);
        assert_error(gcs_accept(host.gcs, GCS_STDIO_PORT_0 + 2, &fd), -ECONNREFUSED);
        say(GCS_RESPONSE | GCS_EXECUTE_PROCESS, host.id, "{\"ProcessId\":7}");
        /* The other was not dialled in time: its owner sees the end. */
        assert_error(gcs_accept(host.gcs, GCS_STDIO_PORT_0 + 1, &fd), -ECONNREFUSED);
        ck_assert_int_eq(fd, -2);
        char c;
        ck_assert_int_eq(recv(out[0], &c, 1, 0), 0);
        close(in[0]);
        close(out[0]);
        teardown();
}
END_TEST

START_TEST(a_terminal_has_no_stderr) {
        int err[2];
        struct reply reply = {0};
        setup();
        connect_guest();
        assert_ok(fd_socketpair(SOCK_STREAM | SOCK_NONBLOCK, err));
        struct gcs_process params = {
                .command_line = "x", .console = true, .stdio = {-1, -1, err[1]}};
        gcs_create_process(host.gcs, &params, on_done, &reply);
        char c;
        ck_assert_int_eq(recv(err[0], &c, 1, 0), 0);
        close(err[0]);
        teardown();
}
END_TEST

START_TEST(stays_small_under_a_flood_of_notifications) {
        setup();
        connect_guest();
        for (int i = 0; i < 10000; i++)
                say(GCS_NOTIFICATION | GCS_CONTAINER_EVENT, 0, "{\"Type\":\"GracefulExit\"}");
        ck_assert_uint_eq(host.closed, 0);
        struct reply reply = {0};
        gcs_shutdown(host.gcs, on_done, &reply);
        answer(GCS_SHUTDOWN_GRACEFUL, "{}");
        ck_assert_uint_eq(reply.done, 1);
        teardown();
}
END_TEST

/* A callback may reset. */
static void reset_on_done(void *ctx, uint32_t hresult, const char *text, uint32_t pid) {
        on_done(ctx, hresult, text, pid);
        gcs_reset(host.gcs);
}

START_TEST(may_be_reset_in_a_callback) {
        struct reply reply = {0}, other = {0};
        setup();
        connect_guest();
        struct gcs_process params = {.command_line = "x", .stdio = {-1, -1, -1}};
        gcs_create_process(host.gcs, &params, reset_on_done, &reply);
        gcs_signal_process(host.gcs, 1, 1, reset_on_done, &other);
        answer(GCS_EXECUTE_PROCESS, "{\"ProcessId\":7}");
        ck_assert_uint_eq(reply.done, 1);
        ck_assert_uint_eq(other.done, 1);
        ck_assert_uint_eq(host.exits, 1);
        ck_assert_uint_eq(host.closed, 0);
        dial();
        take(GCS_NEGOTIATE);
        teardown();
}
END_TEST

START_TEST(answers_what_is_pending_when_it_is_freed) {
        struct reply reply = {0};
        setup();
        connect_guest();
        gcs_signal_process(host.gcs, 1, 1, on_done, &reply);
        teardown();
        ck_assert_uint_eq(reply.done, 1);
        ck_assert_uint_eq(reply.hresult, HCS_E_CONNECTION_CLOSED);
}
END_TEST

static bool sweep_once(enum fault_kind kind, unsigned n) {
        host = (struct host){.guest = -1};
        struct reply reply = {0};
        assert_ok(io_loop_new(&host.loop));
        fault_arm(kind, n);
        int r = gcs_new(host.loop, &ops, NULL, &host.gcs);
        if (r == 0)
                r = gcs_accept(host.gcs, GCS_BRIDGE_PORT, &host.guest);
        if (r == 0) {
                turn();
                char body[256];
                snprintf(body, sizeof body, VERSION, "");
                take(GCS_NEGOTIATE);
                say(GCS_RESPONSE | GCS_NEGOTIATE, host.id, body);
                create(&reply);
                if (!reply.done)
                        answer(GCS_EXECUTE_PROCESS, "{\"ProcessId\":7}");
                ck_assert_uint_eq(reply.done, 1);
                ck_assert(host.closed == 0 || host.closed_r < 0);
        }
        bool fired = fault_fired(kind);
        fault_arm(kind, 0);
        ck_assert(fired || (r == 0 && reply.hresult == 0));
        teardown();
        return fired;
}

START_TEST(sweep_of_faults) {
        for (unsigned n = 1; sweep_once(FAULT_ALLOC, n); n++)
                continue;
        for (unsigned n = 1; sweep_once(FAULT_FD, n); n++)
                continue;
}
END_TEST

TEST_MAIN("gcs", creates_and_starts_the_machine_where_the_guest_asks,
        refuses_guests_that_it_cannot_serve,
        closes_the_bridge_on_rubbish_and_answers_what_is_pending,
        closes_the_bridge_on_broken_framing, takes_answers_in_any_order,
        bounds_the_requests_that_wait, tells_an_exit_once, tells_an_exit_that_the_guest_cannot_tell,
        refuses_a_process_number_that_is_taken,
        a_stream_may_be_dialled_once_and_while_the_start_is_pending, a_terminal_has_no_stderr,
        stays_small_under_a_flood_of_notifications, may_be_reset_in_a_callback,
        answers_what_is_pending_when_it_is_freed, sweep_of_faults)
