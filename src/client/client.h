// SPDX-License-Identifier: MIT
/* libsandbar-client: finds or starts a vmcomputed and calls its methods
 * (docs/protocols/json-rpc.md).
 *
 * Everything runs on the caller's io_loop; client_call_wait() runs that loop until its answer is
 * there, and other answers, events and sources are served meanwhile.
 *
 * Which daemon (architecture, "Which daemon"): options.socket, else the user's socket, else the
 * system's, else – CLIENT_RUN – a private one over a socketpair, which ends with its sandboxes when
 * this end closes, however that happens; or – CLIENT_START – a new one on the user's socket. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/cleanup.h"
#include "base/error.h"
#include "io/loop.h"
#include "json/json.h"

enum {
        CLIENT_PENDING_MAX = 1024, /* calls without an answer yet */
        CLIENT_FDS_MAX = 8,
};

#define CLIENT_SYSTEM_SOCKET "/run/sandbar/vmcompute.sock"

struct client;

enum client_daemon {
        CLIENT_EXISTING, /* never starts one: -ENOENT, HCS_E_SERVICE_NOT_AVAILABLE */
        CLIENT_RUN,
        CLIENT_START,
};

struct client_options {
        enum client_daemon daemon;
        const char *socket;      /* --socket or $SANDBAR_SOCKET; NULL: look for one */
        const char *runtime_dir; /* $XDG_RUNTIME_DIR; NULL without one */
        const char *tmp_dir;     /* $TMPDIR or "/tmp" */
        const char *program;     /* vmcomputed; NULL: beside this program, then in libexecdir */
        bool verbose;            /* a daemon that is started here logs at debug level */
};
/* What the environment says; every string is borrowed from it. */
void client_options_init(struct client_options *ret, enum client_daemon daemon);

struct client_ops {
        /* A notification: HcsEvent and its params. Optional. */
        void (*event)(void *ctx, const char *method, const struct json *params);
        /* A guest dialled a service that SandbarHvSocketBind bound; fd, a connected stream, belongs
         * to the callee. Optional. */
        void (*accept)(void *ctx, const struct json *params, int fd);
        /* The daemon is gone; calls that waited have failed with HCS_E_SERVICE_DISCONNECT. Not
         * called by client_free(). Optional. The callee may free the client. */
        void (*closed)(void *ctx, int r);
};

_warn_unused_ int client_connect(struct io_loop *loop, const struct client_options *options,
        const struct client_ops *ops, void *ctx, struct error *e, struct client **ret);
/* Closes the connection, which closes its handles. A private daemon is waited for, so that nothing
 * is left when this returns; one that does not end in CLIENT_END_MS is killed. */
struct client *client_free(struct client *client);
DEFINE_CLEANUP(struct client, client_free)
enum { CLIENT_END_MS = 10000 };
/* The private daemon's process, 0 when the daemon is not ours. */
pid_t client_daemon_pid(const struct client *client);

/* An answer. r = 0 and a result (borrowed, may be NULL for null), or a negative errno and e, whose
 * hresult is the daemon's. fds belong to the callee. error_document is error.data, else NULL. */
struct client_reply {
        int r;
        struct json *result;
        const struct error *e;
        const struct json *error_document;
        int *fds;
        size_t n_fds;
};
typedef void (*client_reply_fn)(void *ctx, const struct client_reply *reply);

/* Sends a call; fn runs exactly once, later, unless this fails or the client is freed first. params
 * is an object and is consumed, even by a failure; NULL is an empty one. */
_warn_unused_ int client_call(struct client *client, const char *method,
        struct json *params_consume, client_reply_fn fn, void *ctx);
/* Not from a callback of this client (-EBUSY). Waits up to timeout_ms (-1: without end; then
 * -ETIMEDOUT, and the late answer is dropped). ret_result may be NULL. Descriptors are closed by
 * the first form and given by the second, which waits without end.
 */
_warn_unused_ int client_call_wait(struct client *client, const char *method,
        struct json *params_consume, int timeout_ms, struct error *e, struct json **ret_result);
_warn_unused_ int client_call_wait_fds(struct client *client, const char *method,
        struct json *params_consume, struct error *e, struct json **ret_result,
        int ret_fds[CLIENT_FDS_MAX], size_t *ret_n_fds);
