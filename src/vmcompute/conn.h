// SPDX-License-Identifier: MIT
/* One client: its identity, its handles, and the calls that it waits for. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "io/line.h"
#include "jail/jail.h"
#include "json/json.h"
#include "vmcompute/vmcompute.h"

struct system;
struct process;
struct conn;
struct waiter;

/* A call without an answer yet. Answering frees it. A client that went away meanwhile is not told,
 * but the call still has to be answered. */
struct call {
        struct call *next;     /* in the connection's list */
        struct conn *conn;     /* NULL once the client is gone */
        struct json *id;       /* NULL: no answer is wanted */
        struct waiter *waiter; /* set while the call waits for an exit */
};

/* result is consumed; NULL is null. fds are duplicated. */
void call_reply(struct call *call, struct json *result_consume, const int *fds, size_t n_fds);
/* Like it, with an object that is NULL when it could not be built: then the call fails. */
void call_reply_object(
        struct call *call, struct json *object_consume, const int *fds, size_t n_fds);
/* {name: value}; value is consumed; NULL as above. */
void call_reply_member(struct call *call, const char *name, struct json *value_consume);
/* The HRESULT of e is the code. */
void call_fail(struct call *call, const struct error *e);
void call_fail_with(struct call *call, uint32_t hresult, const char *fmt, ...) _printf_(3, 4);

/* Names a system or a process for one connection. Handles are not used twice. */
struct handle {
        struct handle *next;
        uint64_t number;
        struct system *system;
        struct process *process; /* NULL: the handle is the system's */
        bool events;             /* a callback is set */
};

struct conn {
        struct conn *next;
        struct vmcompute *vc;
        struct io_line *line;
        struct io_timer *half_open; /* freed with the first whole line */
        struct call *calls;
        size_t n_calls;
        struct handle *handles;
        size_t n_handles;
        uint64_t last_handle;
        bool closing; /* closed() is on its way */
        struct jail_identity who;
};

_warn_unused_ int conn_new(
        struct vmcompute *vc, int fd_consume, const struct jail_identity *who, struct conn **ret);
struct conn *conn_free(struct conn *conn);
/* True for root and for the owner. */
bool conn_may_use(const struct conn *conn, const struct system *system);

/* -ENOBUFS at VMCOMPUTE_HANDLES_MAX. */
_warn_unused_ int conn_add_handle(
        struct conn *conn, struct system *system, struct process *process, struct handle **ret);
struct handle *conn_find_handle(struct conn *conn, uint64_t number);
void conn_close_handle(struct conn *conn, struct handle *handle);
/* A notification; params are consumed, fds are duplicated. */
void conn_notify(struct conn *conn, const char *method, struct json *params_consume, const int *fds,
        size_t n_fds);
/* One handle is told, whether it asked or not. data is consumed. */
void conn_send_event_to(struct conn *conn, const struct handle *handle, const char *type,
        const char *message, struct json *data_consume);
/* Tells every handle of the system, or of the process when it is not NULL, that wants events.
 * message says in words what data cannot, or is NULL; data is consumed. */
void conn_send_event(struct vmcompute *vc, struct system *system, struct process *process,
        const char *type, const char *message, struct json *data_consume);
