// SPDX-License-Identifier: MIT
#include "vmcompute/conn.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/log.h"
#include "io/msg.h"
#include "vmcompute/build.h"
#include "vmcompute/methods.h"
#include "vmcompute/rpc.h"
#include "vmcompute/server.h"
#include "wire/hresult.h"

/* Sending. A client that does not read what it asked for loses its connection. */

static void send_line(struct conn *conn, const char *text, size_t n, const int *fds, size_t n_fds) {
        if (conn->closing || io_line_send(conn->line, text, n, fds, n_fds) == 0)
                return;
        conn->closing = true;
        io_line_shutdown(conn->line);
}

static void send_formatted(
        struct conn *conn, int r, char *text, size_t n, const int *fds, size_t n_fds) {
        if (r == 0)
                send_line(conn, text, n, fds, n_fds);
        else if (!conn->closing) {
                conn->closing = true;
                io_line_shutdown(conn->line);
        }
}

/* Calls */

static void call_free(struct call *call) {
        if (call->conn) {
                struct call **at = &call->conn->calls;
                while (*at != call)
                        at = &(*at)->next;
                *at = call->next;
                call->conn->n_calls--;
        }
        json_unref(call->id);
        free(call);
}

void call_reply(struct call *call, struct json *result_consume, const int *fds, size_t n_fds) {
        _cleanup_free_ char *text = NULL;
        size_t n = 0;
        if (!call->conn || !call->id) {
                json_unref(result_consume);
        } else {
                int r = rpc_format_result(call->id, result_consume, &text, &n);
                if (r == 0 && n > IO_LINE_MAX) {
                        call_fail_with(call, E_FAIL, "the answer has more than %d bytes",
                                (int)IO_LINE_MAX);
                        return;
                }
                send_formatted(call->conn, r, text, n, fds, n_fds);
        }
        call_free(call);
}

void call_reply_object(
        struct call *call, struct json *object_consume, const int *fds, size_t n_fds) {
        if (object_consume)
                call_reply(call, object_consume, fds, n_fds);
        else
                call_fail_with(call, HR_OUTOFMEMORY, "no memory for an answer");
}

void call_reply_member(struct call *call, const char *name, struct json *value_consume) {
        struct build b = build_new();
        build_set(&b, name, value_consume);
        call_reply_object(call, build_take(&b), NULL, 0);
}

void call_fail(struct call *call, const struct error *e) {
        _cleanup_free_ char *text = NULL;
        size_t n = 0;
        if (call->conn && call->id) {
                int r = rpc_format_error(call->id, 0, e, &text, &n);
                send_formatted(call->conn, r, text, n, NULL, 0);
        }
        call_free(call);
}

void call_fail_with(struct call *call, uint32_t hresult, const char *fmt, ...) {
        struct error e = {.hresult = hresult};
        va_list args;
        va_start(args, fmt);
        vsnprintf(e.text, sizeof e.text, fmt, args);
        va_end(args);
        call_fail(call, &e);
}

/* Handles */

bool conn_may_use(const struct conn *conn, const struct system *system) {
        return conn->who.uid == 0 || conn->who.uid == system->owner.uid;
}

int conn_add_handle(
        struct conn *conn, struct system *system, struct process *process, struct handle **ret) {
        if (conn->n_handles >= VMCOMPUTE_HANDLES_MAX)
                return -ENOBUFS;
        struct handle *h = fault_hit(FAULT_ALLOC) ? NULL : calloc(1, sizeof *h);
        if (!h)
                return -ENOMEM;
        *h = (struct handle){.next = conn->handles,
                .number = ++conn->last_handle,
                .system = system,
                .process = process};
        conn->handles = h;
        conn->n_handles++;
        if (process)
                process_ref_handle(process);
        else
                system_ref_handle(system);
        *ret = h;
        return 0;
}

struct handle *conn_find_handle(struct conn *conn, uint64_t number) {
        struct handle *h = conn->handles;
        while (h && h->number != number)
                h = h->next;
        return h;
}

void conn_close_handle(struct conn *conn, struct handle *h) {
        struct handle **at = &conn->handles;
        while (*at != h)
                at = &(*at)->next;
        *at = h->next;
        conn->n_handles--;
        binding_drop(h->system, h);
        if (h->process)
                process_unref_handle(h->process);
        else
                system_unref_handle(h->system);
        free(h);
}

void conn_notify(struct conn *conn, const char *method, struct json *params_consume, const int *fds,
        size_t n_fds) {
        _cleanup_free_ char *text = NULL;
        size_t n = 0;
        int r = rpc_format_notification(method, params_consume, &text, &n);
        send_formatted(conn, r, text, n, fds, n_fds);
}

void conn_send_event_to(struct conn *conn, const struct handle *handle, const char *type,
        const char *message, struct json *data_consume) {
        struct build b = build_new();
        build_string(&b, "SystemId", handle->system->id);
        build_u64(&b, handle->process ? "process" : "computeSystem", handle->number);
        build_string(&b, "Type", type);
        build_set(&b, "EventData", data_consume ? data_consume : json_new_null());
        if (message)
                build_string(&b, "Message", message);
        conn_notify(conn, "HcsEvent", build_take(&b), NULL, 0);
}

void conn_send_event(struct vmcompute *vc, struct system *system, struct process *process,
        const char *type, const char *message, struct json *data_consume) {
        for (struct conn *conn = vc->conns; conn; conn = conn->next)
                for (struct handle *h = conn->handles; h; h = h->next)
                        if (h->events && h->system == system && h->process == process)
                                conn_send_event_to(conn, h, type, message,
                                        data_consume ? json_ref(data_consume) : NULL);
        json_unref(data_consume);
}

/* Receiving */

static void refuse_line(struct conn *conn, struct json *id, int code, const struct error *e) {
        _cleanup_free_ char *text = NULL;
        size_t n = 0;
        int r = rpc_format_error(id, code, e, &text, &n);
        send_formatted(conn, r, text, n, NULL, 0);
}

static struct call *call_new(struct conn *conn, struct json *id) {
        struct call *call = fault_hit(FAULT_ALLOC) ? NULL : calloc(1, sizeof *call);
        if (!call)
                return NULL;
        *call = (struct call){.next = conn->calls, .conn = conn, .id = id ? json_ref(id) : NULL};
        conn->calls = call;
        conn->n_calls++;
        return call;
}

static void serve_request(struct conn *conn, const struct rpc_request *request) {
        struct error e = {0};
        const struct method *method = method_find(request->method);
        if (!method) {
                error_set(&e, -ENOSYS, E_NOTIMPL, "there is no method \"%.128s\"", request->method);
                if (request->id)
                        refuse_line(conn, request->id, RPC_METHOD_NOT_FOUND, &e);
                return;
        }
        if (conn->n_calls >= VMCOMPUTE_CALLS_MAX) {
                error_set(&e, -ENOBUFS, HCS_E_OPERATION_PENDING,
                        "%d calls of this connection wait for an answer already",
                        VMCOMPUTE_CALLS_MAX);
                if (request->id)
                        refuse_line(conn, request->id, 0, &e);
                return;
        }
        struct call *call = call_new(conn, request->id);
        if (call)
                method_call(method, conn, call, request->params);
        else
                conn->closing = true;
}

static int on_line(void *ctx, const char *text, size_t size, int *fds, size_t n_fds) {
        struct conn *conn = ctx;
        conn->half_open = io_timer_free(conn->half_open);
        /* No method takes descriptors. */
        io_msg_close_fds(fds, n_fds);
        if (conn->closing)
                return -ECANCELED;
        struct rpc_request request = {0};
        struct error e = {0};
        int code = 0;
        int r = rpc_parse(text, size, &e, &code, &request);
        if (r == 0)
                serve_request(conn, &request);
        else if (r != -ENOMEM)
                refuse_line(conn, request.id, code, &e);
        rpc_request_done(&request);
        return r == -ENOMEM ? r : conn->closing ? -ECANCELED : 0;
}

static void on_closed(void *ctx, int r) {
        struct conn *conn = ctx;
        if (r < 0)
                log_debug("a connection of uid %u was closed: %s", conn->who.uid, strerror(-r));
        struct vmcompute *vc = conn->vc;
        conn_free(conn);
        vmcompute_settle(vc);
}

static const struct io_line_ops line_ops = {.line = on_line, .closed = on_closed};

static void on_half_open(void *ctx) {
        struct conn *conn = ctx;
        struct vmcompute *vc = conn->vc;
        conn_free(conn);
        vmcompute_settle(vc);
}

int conn_new(
        struct vmcompute *vc, int fd_consume, const struct jail_identity *who, struct conn **ret) {
        _cleanup_close_ int fd = fd_consume;
        _cleanup_free_ struct conn *conn = fault_hit(FAULT_ALLOC) ? NULL : calloc(1, sizeof *conn);
        if (!conn)
                return -ENOMEM;
        conn->vc = vc;
        conn->who = *who;
        int r = io_timer_new(vc->loop, on_half_open, conn, &conn->half_open);
        if (r < 0)
                return r;
        r = io_line_new(vc->loop, TAKE_FD(fd), &line_ops, conn, &conn->line);
        if (r < 0) {
                io_timer_free(conn->half_open);
                return r;
        }
        conn->next = vc->conns;
        vc->conns = conn;
        vc->n_conns++;
        *ret = TAKE_PTR(conn);
        return 0;
}

struct conn *conn_free(struct conn *conn) {
        if (!conn)
                return NULL;
        struct conn **at = &conn->vc->conns;
        while (*at != conn)
                at = &(*at)->next;
        *at = conn->next;
        conn->vc->n_conns--;
        while (conn->calls) {
                struct call *call = conn->calls;
                conn->calls = call->next;
                call->conn = NULL;
                if (call->waiter)
                        waiter_cancel(call->waiter);
        }
        for (struct system *s = conn->vc->systems, *next; s; s = next) {
                next = s->next;
                if (s->creator == conn)
                        system_creator_gone(s);
        }
        while (conn->handles)
                conn_close_handle(conn, conn->handles);
        io_timer_free(conn->half_open);
        io_line_free(conn->line);
        free(conn);
        return NULL;
}
