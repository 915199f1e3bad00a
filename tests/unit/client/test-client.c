// SPDX-License-Identifier: MIT
/* Against a daemon played by the test, over a listening socket. */
#include "../test.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/fault.h"
#include "base/fd.h"
#include "client/client.h"
#include "io/line.h"
#include "wire/hresult.h"

static struct io_loop *loop;
static struct client *client;
static struct io_line *served;
static char path[64], last_method[64];
static int listener;
static unsigned calls, events, closed;
static bool mute, hang_up, free_in_event;
static char event_type[32];

static void serve(const char *text, size_t n, const int *fds, size_t n_fds) {
        assert_ok(io_line_send(served, text, n, fds, n_fds));
}

static int on_line(void *ctx, const char *text, size_t size, int *fds, size_t n_fds) {
        (void)ctx;
        (void)fds;
        struct error e = {0};
        struct json *message;
        ck_assert_uint_eq(n_fds, 0);
        assert_ok(json_parse(text, size, &json_limits_client, &e, &message));
        ck_assert_str_eq(json_get_string(message, "jsonrpc", ""), "2.0");
        const char *method = json_get_string(message, "method", "");
        snprintf(last_method, sizeof last_method, "%s", method);
        calls++;
        char answer[512];
        unsigned id = (unsigned)json_get_u64(message, "id", 0);
        int n = 0, fd = -1;
        if (strcmp(method, "Fails") == 0) {
                n = snprintf(answer, sizeof answer,
                        "{\"jsonrpc\":\"2.0\",\"id\":%u,\"error\":{\"code\":%d,\"message\":\"no\","
                        "\"data\":{\"Error\":%d}}}",
                        id, (int32_t)HCS_E_INVALID_STATE, (int32_t)HCS_E_INVALID_STATE);
        } else if (strcmp(method, "NotThere") == 0) {
                n = snprintf(answer, sizeof answer,
                        "{\"jsonrpc\":\"2.0\",\"id\":%u,\"error\":{\"code\":-32601,\"message\":\"?"
                        "\"}}",
                        id);
        } else if (strcmp(method, "WithFd") == 0) {
                fd = eventfd(5, EFD_CLOEXEC);
                n = snprintf(answer, sizeof answer,
                        "{\"jsonrpc\":\"2.0\",\"id\":%u,\"result\":{\"a\":1}}", id);
        } else {
                n = snprintf(answer, sizeof answer,
                        "{\"jsonrpc\":\"2.0\",\"id\":%u,\"result\":null}", id);
        }
        json_unref(message);
        if (hang_up)
                return -EPIPE;
        if (!mute)
                serve(answer, (size_t)n, &fd, fd >= 0);
        fd_close(fd);
        return 0;
}

static void on_served_closed(void *ctx, int r) {
        (void)ctx;
        (void)r;
        served = io_line_free(served);
}

static const struct io_line_ops served_ops = {.line = on_line, .closed = on_served_closed};

static void on_event(void *ctx, const char *method, const struct json *params) {
        (void)ctx;
        events++;
        snprintf(event_type, sizeof event_type, "%s %s", method,
                json_get_string(params, "Type", ""));
        if (free_in_event)
                client = client_free(client);
}

static void on_closed(void *ctx, int r) {
        (void)ctx;
        (void)r;
        closed++;
}

static uint64_t accepted_tag;
static void on_accept(void *ctx, const struct json *params, int fd) {
        (void)ctx;
        ck_assert_str_eq(json_get_string(params, "serviceId", ""), "s");
        ck_assert_int_eq(read(fd, &accepted_tag, 8), 8);
        close(fd);
}

static const struct client_ops ops = {.event = on_event, .accept = on_accept, .closed = on_closed};

static void begin(void) {
        calls = events = closed = 0;
        mute = hang_up = free_in_event = false;
        struct sockaddr_un sa = {.sun_family = AF_UNIX};
        snprintf(path, sizeof path, "/tmp/sandbar-test-client-%d", getpid());
        memcpy(sa.sun_path, path, sizeof path);
        (void)unlink(path);
        listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        ck_assert_int_eq(bind(listener, (struct sockaddr *)&sa, sizeof sa), 0);
        ck_assert_int_eq(listen(listener, 1), 0);
        assert_ok(io_loop_new(&loop));
        struct client_options options = {.daemon = CLIENT_EXISTING, .socket = path};
        struct error e = {0};
        assert_ok(client_connect(loop, &options, &ops, NULL, &e, &client));
        ck_assert_int_eq(client_daemon_pid(client), 0);
        assert_ok(io_line_new(
                loop, accept4(listener, NULL, NULL, SOCK_CLOEXEC), &served_ops, NULL, &served));
}

static void end(void) {
        client = client_free(client);
        served = io_line_free(served);
        io_loop_free(loop);
        close(listener);
        (void)unlink(path);
}

static void turn(int n) {
        for (int i = 0; i < n; i++)
                assert_ok(io_loop_once(loop, 0));
}

START_TEST(waits_for_an_answer) {
        begin();
        struct error e = {0};
        struct json *result = (struct json *)0x1;
        assert_ok(client_call_wait(client, "Method", NULL, -1, &e, &result));
        ck_assert_ptr_null(result);
        ck_assert_str_eq(last_method, "Method");
        assert_ok(client_call_wait(client, "WithFd", json_new_object(), 5000, &e, &result));
        ck_assert_uint_eq(json_get_u64(result, "a", 0), 1);
        json_unref(result);
        end();
}
END_TEST

START_TEST(gives_descriptors_to_who_wants_them) {
        begin();
        struct error e = {0};
        struct json *result;
        int fds[CLIENT_FDS_MAX], before = eventfd(0, EFD_CLOEXEC);
        close(before);
        size_t n = 99;
        uint64_t v;
        assert_ok(client_call_wait_fds(client, "WithFd", NULL, &e, &result, fds, &n));
        ck_assert_uint_eq(n, 1);
        ck_assert_int_eq(read(fds[0], &v, 8), 8);
        ck_assert_uint_eq(v, 5);
        close(fds[0]);
        json_unref(result);
        assert_ok(client_call_wait(client, "WithFd", NULL, -1, &e, NULL));
        int after = eventfd(0, EFD_CLOEXEC);
        close(after);
        ck_assert_int_eq(before, after); /* closed when nobody does */
        end();
}
END_TEST

START_TEST(an_error_keeps_its_hresult_and_text) {
        begin();
        struct error e = {0};
        assert_error(client_call_wait(client, "Fails", NULL, -1, &e, NULL), -EREMOTEIO);
        ck_assert_uint_eq(e.hresult, HCS_E_INVALID_STATE);
        ck_assert_str_eq(e.text, "no");
        e = (struct error){0};
        assert_error(client_call_wait(client, "NotThere", NULL, -1, &e, NULL), -EREMOTEIO);
        ck_assert_uint_eq(e.hresult, E_FAIL); /* a code that JSON-RPC reserves is no HRESULT */
        end();
}
END_TEST

START_TEST(gives_up_in_time_and_drops_the_late_answer) {
        begin();
        struct error e = {0};
        mute = true;
        assert_error(client_call_wait(client, "Slow", NULL, 50, &e, NULL), -ETIMEDOUT);
        ck_assert_uint_eq(e.hresult, HCS_E_OPERATION_TIMEOUT);
        mute = false;
        serve("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":null}", 38, NULL, 0);
        e = (struct error){0};
        assert_ok(client_call_wait(client, "Method", NULL, -1, &e, NULL));
        end();
}
END_TEST

static unsigned replies;
static int reply_r;
static uint32_t reply_hresult;
static void on_reply(void *ctx, const struct client_reply *reply) {
        (void)ctx;
        replies++;
        reply_r = reply->r;
        reply_hresult = reply->e->hresult;
}

START_TEST(calls_back_once_each) {
        begin();
        replies = 0;
        for (int i = 0; i < 20; i++)
                assert_ok(client_call(client, "Method", NULL, on_reply, NULL));
        turn(5);
        ck_assert_uint_eq(replies, 20);
        ck_assert_uint_eq(calls, 20);
        end();
}
END_TEST

START_TEST(fails_what_waits_when_the_daemon_is_gone) {
        begin();
        replies = 0;
        hang_up = true;
        assert_ok(client_call(client, "Method", NULL, on_reply, NULL));
        assert_ok(client_call(client, "Method", NULL, on_reply, NULL));
        turn(5);
        ck_assert_uint_eq(replies, 2);
        ck_assert_int_eq(reply_r, -ECONNRESET);
        ck_assert_uint_eq(reply_hresult, HCS_E_SERVICE_DISCONNECT);
        ck_assert_uint_eq(closed, 1);
        struct error e = {0};
        assert_error(client_call_wait(client, "Method", NULL, -1, &e, NULL), -ECONNRESET);
        ck_assert_uint_eq(e.hresult, HCS_E_SERVICE_DISCONNECT);
        end();
}
END_TEST

START_TEST(waits_for_as_many_answers_as_it_says) {
        begin();
        mute = true;
        replies = 0;
        for (int i = 0; i < CLIENT_PENDING_MAX; i++) {
                assert_ok(client_call(client, "Method", NULL, on_reply, NULL));
                turn(1);
        }
        assert_error(client_call(client, "Method", NULL, on_reply, NULL), -ENOBUFS);
        end(); /* and nobody is called back */
        ck_assert_uint_eq(replies, 0);
}
END_TEST

START_TEST(hands_events_over_also_while_it_waits) {
        begin();
        static const char event[] =
                "{\"jsonrpc\":\"2.0\",\"method\":\"HcsEvent\",\"params\":{\"Type\":"
                "\"SystemExited\"}}";
        serve(event, sizeof event - 1, NULL, 0);
        struct error e = {0};
        assert_ok(client_call_wait(client, "Method", NULL, -1, &e, NULL));
        ck_assert_uint_eq(events, 1);
        ck_assert_str_eq(event_type, "HcsEvent SystemExited");
        free_in_event = true;
        serve(event, sizeof event - 1, NULL, 0);
        serve(event, sizeof event - 1, NULL, 0);
        turn(3);
        ck_assert_uint_eq(events, 2);
        ck_assert_ptr_null(client);
        end();
}
END_TEST

START_TEST(hands_a_guests_connection_over) {
        begin();
        static const char text[] = "{\"jsonrpc\":\"2.0\",\"method\":\"SandbarHvSocketAccept\","
                                   "\"params\":{\"serviceId\":\"s\"}}";
        int fd = eventfd(6, EFD_CLOEXEC);
        serve(text, sizeof text - 1, &fd, 1);
        turn(3);
        ck_assert_uint_eq(accepted_tag, 6);
        ck_assert_uint_eq(events, 0);
        serve(text, sizeof text - 1, NULL, 0); /* without one it is an event like any other */
        turn(3);
        ck_assert_uint_eq(events, 1);
        close(fd);
        end();
}
END_TEST

static void wait_inside(void *ctx, const struct client_reply *reply) {
        (void)reply;
        struct error e = {0};
        *(int *)ctx = client_call_wait(client, "Method", NULL, -1, &e, NULL);
}

START_TEST(does_not_wait_inside_a_callback) {
        begin();
        int r = 0;
        assert_ok(client_call(client, "Method", NULL, wait_inside, &r));
        turn(4);
        ck_assert_int_eq(r, -EBUSY);
        end();
}
END_TEST

START_TEST(leaves_a_daemon_that_talks_nonsense) {
        begin();
        serve("nonsense", 8, NULL, 0);
        turn(3);
        ck_assert_uint_eq(closed, 1);
        end();
}
END_TEST

START_TEST(says_where_it_looked) {
        struct client_options options = {.daemon = CLIENT_EXISTING,
                .runtime_dir = "/nonexistent/runtime",
                .tmp_dir = "/tmp"};
        struct error e = {0};
        struct client *none = (struct client *)0x1;
        assert_ok(io_loop_new(&loop));
        if (access(CLIENT_SYSTEM_SOCKET, F_OK) < 0) {
                assert_error(client_connect(loop, &options, NULL, NULL, &e, &none), -ENOENT);
                ck_assert_uint_eq(e.hresult, HCS_E_SERVICE_NOT_AVAILABLE);
                ck_assert_ptr_nonnull(
                        strstr(e.text, "/nonexistent/runtime/sandbar/vmcompute.sock"));
                ck_assert_ptr_eq(none, (struct client *)0x1);
        }
        io_loop_free(loop);
}
END_TEST

START_TEST(sweep_of_faults_sends_nothing_or_all) {
        for (unsigned n = 1;; n++) {
                begin();
                replies = 0;
                fault_arm(FAULT_ALLOC, n);
                int r = client_call(client, "Method", NULL, on_reply, NULL);
                bool fired = fault_fired(FAULT_ALLOC);
                fault_arm(FAULT_ALLOC, 0);
                turn(3);
                ck_assert_int_eq(r < 0, fired);
                ck_assert_uint_eq(calls, r == 0);
                ck_assert_uint_eq(replies, r == 0);
                end();
                if (!fired)
                        break;
        }
}
END_TEST

START_TEST(sweep_of_faults_answers_or_closes) {
        for (unsigned n = 1;; n++) {
                begin();
                replies = 0;
                mute = true;
                assert_ok(client_call(client, "Method", NULL, on_reply, NULL));
                turn(2);
                serve("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"a\":[1]}}", 43, NULL, 0);
                fault_arm(FAULT_ALLOC, n);
                turn(2);
                bool fired = fault_fired(FAULT_ALLOC);
                fault_arm(FAULT_ALLOC, 0);
                ck_assert_uint_eq(replies, 1);
                ck_assert_uint_eq(closed, fired);
                ck_assert_int_eq(reply_r < 0, fired);
                end();
                if (!fired)
                        break;
        }
}
END_TEST

TEST_MAIN("client", waits_for_an_answer, gives_descriptors_to_who_wants_them,
        an_error_keeps_its_hresult_and_text, gives_up_in_time_and_drops_the_late_answer,
        calls_back_once_each, fails_what_waits_when_the_daemon_is_gone,
        waits_for_as_many_answers_as_it_says, hands_events_over_also_while_it_waits,
        hands_a_guests_connection_over, does_not_wait_inside_a_callback,
        leaves_a_daemon_that_talks_nonsense, says_where_it_looked,
        sweep_of_faults_sends_nothing_or_all, sweep_of_faults_answers_or_closes)
