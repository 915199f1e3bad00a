// SPDX-License-Identifier: MIT
#include "client/client.h"
#include <errno.h>
#include <string.h>
#include "base/clock.h"
#include "base/fault.h"
#include "base/fd.h"
#include "client/find.h"
#include "client/spawn.h"
#include "io/line.h"
#include "io/msg.h"
#include "wire/hresult.h"

struct pending {
        struct pending *next;
        uint64_t id;
        client_reply_fn fn; /* NULL: nobody waits any more */
        void *ctx;
};

struct client {
        struct io_loop *loop;
        struct io_line *line; /* NULL once closed */
        const struct client_ops *ops;
        void *ctx;
        pid_t daemon; /* a private one's, else 0 */
        struct pending *pending;
        size_t n_pending;
        uint64_t last_id;
        bool busy; /* inside a callback: free later */
        bool freed;
};

void client_options_init(struct client_options *ret, enum client_daemon daemon) {
        const char *tmp = getenv("TMPDIR");
        const char *runtime = getenv("XDG_RUNTIME_DIR");
        *ret = (struct client_options){
                .daemon = daemon,
                .socket = getenv("SANDBAR_SOCKET"),
                .runtime_dir = runtime && runtime[0] == '/' ? runtime : NULL,
                .tmp_dir = tmp && tmp[0] == '/' ? tmp : "/tmp",
        };
}

/* Answers */

static void pending_finish(struct client *client, struct pending *p, struct client_reply *reply) {
        struct pending **at = &client->pending;
        while (*at != p)
                at = &(*at)->next;
        *at = p->next;
        client->n_pending--;
        if (p->fn)
                p->fn(p->ctx, reply);
        else
                io_msg_close_fds(reply->fds, reply->n_fds);
        free(p);
}

/* error.data.Error is the HRESULT; a code in the range that JSON-RPC reserves is not one. */
static void read_error(const struct json *error, struct error *ret) {
        int64_t code = json_get_i64(error, "code", 0);
        int64_t hresult = json_get_i64(json_get(error, "data"), "Error", 0);
        if (hresult == 0)
                hresult = code < -32768 || code > -32000 ? code : (int64_t)(int32_t)E_FAIL;
        if ((uint32_t)hresult == 0)
                hresult = (int32_t)E_FAIL;
        error_set(ret, -EREMOTEIO, (uint32_t)hresult, "%s",
                json_get_string(error, "message", "vmcomputed gave no reason"));
}

static void handle_reply(
        struct client *client, const struct json *message, int *fds, size_t n_fds) {
        uint64_t id = 0;
        struct pending *p = client->pending;
        if (json_u64(json_get(message, "id"), &id) < 0)
                p = NULL;
        while (p && p->id != id)
                p = p->next;
        if (!p) {
                io_msg_close_fds(fds, n_fds);
                return;
        }
        struct error e = {0};
        struct client_reply reply = {.e = &e, .fds = fds, .n_fds = n_fds};
        const struct json *error = json_get(message, "error");
        if (error) {
                reply.r = -EREMOTEIO;
                read_error(error, &e);
                reply.error_document = json_get(error, "data");
        } else {
                reply.result = json_get(message, "result");
        }
        pending_finish(client, p, &reply);
}

static void handle_notification(struct client *client, const char *method,
        const struct json *params, int *fds, size_t n_fds) {
        const struct client_ops *ops = client->ops;
        if (strcmp(method, "SandbarHvSocketAccept") == 0 && n_fds == 1 && ops && ops->accept) {
                ops->accept(client->ctx, params, fds[0]);
                return;
        }
        io_msg_close_fds(fds, n_fds);
        if (ops && ops->event)
                ops->event(client->ctx, method, params);
}

static int on_line(void *ctx, const char *text, size_t size, int *fds, size_t n_fds) {
        struct client *client = ctx;
        _cleanup_(json_unrefp) struct json *message = NULL;
        struct error e = {0};
        int r = json_parse(text, size, &json_limits_client, &e, &message);
        if (r < 0 || json_type(message) != JSON_OBJECT) {
                io_msg_close_fds(fds, n_fds);
                return r == -ENOMEM ? r : -EBADMSG;
        }
        client->busy = true;
        const char *method = json_get_string(message, "method", NULL);
        if (!method) {
                handle_reply(client, message, fds, n_fds);
        } else {
                handle_notification(client, method, json_get(message, "params"), fds, n_fds);
        }
        client->busy = false;
        if (client->freed)
                client_free(client);
        return 0;
}

static void fail_all(struct client *client, int r) {
        struct error e = {0};
        error_set(&e, -ECONNRESET, HCS_E_SERVICE_DISCONNECT, "vmcomputed is gone%s%s",
                r < 0 ? ": " : "", r < 0 ? strerror(-r) : "");
        while (client->pending && !client->freed) {
                struct client_reply reply = {.r = -ECONNRESET, .e = &e};
                pending_finish(client, client->pending, &reply);
        }
}

static void on_closed(void *ctx, int r) {
        struct client *client = ctx;
        client->line = io_line_free(client->line);
        client->busy = true;
        fail_all(client, r);
        if (!client->freed && client->ops && client->ops->closed)
                client->ops->closed(client->ctx, r);
        client->busy = false;
        if (client->freed)
                client_free(client);
}

static const struct io_line_ops line_ops = {.line = on_line, .closed = on_closed};

/* Connecting */

/* Nobody is there, or nobody who is trusted: the next place is tried. */
static int try_path(const char *path, bool verify, int *ret_fd) {
        struct error e = {0};
        uid_t uid = geteuid();
        if (verify && client_verify_dir(path, uid, &e) < 0)
                return -ENOENT;
        return client_connect_path(path, uid, &e, ret_fd) < 0 ? -ENOENT : 0;
}

static int find_daemon(
        const struct client_options *options, struct error *e, int *ret_fd, pid_t *ret_pid) {
        if (options->socket)
                return client_connect_path(options->socket, geteuid(), e, ret_fd);
        char user[CLIENT_PATH_MAX];
        int r = client_user_socket(options, geteuid(), user);
        if (r < 0)
                return error_set(e, r, HR_BAD_PATHNAME,
                        "the runtime directory's path is too long for a socket; use --socket");
        if (try_path(user, true, ret_fd) == 0 || try_path(CLIENT_SYSTEM_SOCKET, false, ret_fd) == 0)
                return 0;
        switch (options->daemon) {
        case CLIENT_EXISTING:
                return error_set(e, -ENOENT, HCS_E_SERVICE_NOT_AVAILABLE,
                        "no vmcomputed runs: neither \"%s\" nor \"%s\" answers", user,
                        CLIENT_SYSTEM_SOCKET);
        case CLIENT_RUN:
                return client_spawn_private(options, e, ret_fd, ret_pid);
        case CLIENT_START:
                r = client_make_dir(user, geteuid(), e);
                return r < 0 ? r : client_spawn_daemon(options, user, e, ret_fd);
        }
        return -EINVAL;
}

int client_connect(struct io_loop *loop, const struct client_options *options,
        const struct client_ops *ops, void *ctx, struct error *e, struct client **ret) {
        _cleanup_(client_freep) struct client *client =
                fault_hit(FAULT_ALLOC) ? NULL : calloc(1, sizeof *client);
        if (!client)
                return error_set(e, -ENOMEM, 0, "no memory for a connection");
        client->loop = loop;
        client->ops = ops;
        client->ctx = ctx;
        int fd;
        int r = find_daemon(options, e, &fd, &client->daemon);
        if (r < 0)
                return r;
        r = io_line_new(loop, fd, &line_ops, client, &client->line);
        if (r < 0)
                return error_set(e, r, 0, "cannot use the connection: %s", strerror(-r));
        *ret = TAKE_PTR(client);
        return 0;
}

struct client *client_free(struct client *client) {
        if (!client)
                return NULL;
        client->freed = true;
        client->line = io_line_free(client->line);
        if (client->busy)
                return NULL;
        while (client->pending) {
                struct pending *p = client->pending;
                client->pending = p->next;
                free(p);
        }
        if (client->daemon > 0)
                client_reap(client->daemon);
        free(client);
        return NULL;
}

pid_t client_daemon_pid(const struct client *client) {
        return client->daemon;
}

/* Calling */

static struct json *request(uint64_t id, const char *method, struct json *params_consume) {
        struct json *message = json_new_object();
        bool ok = json_set_string(message, "jsonrpc", "2.0") == 0;
        ok = json_set_u64(message, "id", id) == 0 && ok;
        ok = json_set_string(message, "method", method) == 0 && ok;
        struct json *params = params_consume ? params_consume : json_new_object();
        ok = json_set(message, "params", params) == 0 && ok;
        return ok ? message : json_unref(message);
}

static int send_call(struct client *client, const char *method, struct json *params_consume,
        client_reply_fn fn, void *ctx, struct pending **ret) {
        _cleanup_(json_unrefp) struct json *message =
                request(++client->last_id, method, params_consume);
        if (!message)
                return -ENOMEM;
        if (!client->line)
                return -ECONNRESET;
        if (client->n_pending >= CLIENT_PENDING_MAX)
                return -ENOBUFS;
        _cleanup_free_ char *text = NULL;
        size_t n;
        int r = json_format(message, &text, &n);
        if (r < 0)
                return r;
        struct pending *p = fault_hit(FAULT_ALLOC) ? NULL : calloc(1, sizeof *p);
        if (!p)
                return -ENOMEM;
        r = io_line_send(client->line, text, n, NULL, 0);
        if (r < 0) {
                free(p);
                return r;
        }
        *p = (struct pending){.next = client->pending, .id = client->last_id, .fn = fn, .ctx = ctx};
        client->pending = p;
        client->n_pending++;
        if (ret)
                *ret = p;
        return 0;
}

int client_call(struct client *client, const char *method, struct json *params_consume,
        client_reply_fn fn, void *ctx) {
        return send_call(client, method, params_consume, fn, ctx, NULL);
}

struct wait {
        bool done;
        int r;
        struct error *e;
        struct json *result;
        int *fds; /* NULL: not wanted */
        size_t n_fds;
};

static void on_waited(void *ctx, const struct client_reply *reply) {
        struct wait *w = ctx;
        w->done = true;
        w->r = reply->r;
        if (reply->r < 0)
                error_set(w->e, reply->r, reply->e->hresult, "%s", reply->e->text);
        else if (reply->result)
                w->result = json_ref(reply->result);
        if (w->fds && reply->r == 0) {
                memcpy(w->fds, reply->fds, reply->n_fds * sizeof *w->fds);
                w->n_fds = reply->n_fds;
        } else {
                io_msg_close_fds(reply->fds, reply->n_fds);
        }
}

static int wait_for(struct client *client, const char *method, struct json *params_consume,
        int timeout_ms, struct wait *w) {
        if (client->busy) {
                json_unref(params_consume);
                return error_set(w->e, -EBUSY, 0, "%s cannot be waited for here", method);
        }
        struct pending *p = NULL;
        int r = send_call(client, method, params_consume, on_waited, w, &p);
        if (r < 0)
                return error_set(w->e, r, r == -ECONNRESET ? HCS_E_SERVICE_DISCONNECT : 0,
                        "cannot send %s to vmcomputed: %s", method, strerror(-r));
        uint64_t deadline = timeout_ms < 0
                                    ? UINT64_MAX
                                    : clock_now_ns() + (uint64_t)timeout_ms * CLOCK_NS_PER_MS;
        while (!w->done) {
                uint64_t now = clock_now_ns();
                int left = timeout_ms < 0   ? -1
                           : now < deadline ? (int)((deadline - now) / CLOCK_NS_PER_MS) + 1
                                            : 0;
                r = left == 0 ? -ETIMEDOUT : io_loop_once(client->loop, left);
                if (r < 0 && !w->done) {
                        p->fn = NULL;
                        return error_set(w->e, r, r == -ETIMEDOUT ? HCS_E_OPERATION_TIMEOUT : 0,
                                "%s: no answer from vmcomputed: %s", method, strerror(-r));
                }
        }
        return w->r;
}

int client_call_wait(struct client *client, const char *method, struct json *params_consume,
        int timeout_ms, struct error *e, struct json **ret_result) {
        struct wait w = {.e = e};
        int r = wait_for(client, method, params_consume, timeout_ms, &w);
        if (r == 0 && ret_result)
                *ret_result = w.result;
        else
                json_unref(w.result);
        return r;
}

int client_call_wait_fds(struct client *client, const char *method, struct json *params_consume,
        struct error *e, struct json **ret_result, int ret_fds[CLIENT_FDS_MAX], size_t *ret_n_fds) {
        struct wait w = {.e = e, .fds = ret_fds};
        int r = wait_for(client, method, params_consume, -1, &w);
        if (r == 0) {
                *ret_result = w.result;
                *ret_n_fds = w.n_fds;
        }
        return r;
}
