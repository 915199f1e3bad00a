// SPDX-License-Identifier: MIT
/* The host's end of a system's hvsockets, as Unix sockets in its directory (vmcompute/hvdir.h;
 * docs/protocols/hvsocket.md, "On the host"):
 *
 *   guest → host   HVSOCKET_ASK: connects to the socket that has the service's name, with the
 *                  owner's rights, and answers with the descriptor or a refusal
 *   host → guest   "CONNECT <service>\n" on the socket `connect`: HVSOCKET_DIAL with the program's
 *                  own descriptor; the worker writes "OK <service>\n" before the guest's first byte
 *
 * Programs that are slow, silent or wrong cost their own connection. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/cleanup.h"
#include "base/error.h"
#include "io/loop.h"
#include "ipc/ipc.h"
#include "jail/jail.h"

enum {
        HVHOST_LINE_MAX = 128,   /* bytes of the CONNECT line, without its newline */
        HVHOST_LINE_MS = 10000,  /* for it to come */
        HVHOST_DIAL_MS = 5000,   /* for the guest to accept */
        HVHOST_DIALS_MAX = 64,   /* not yet connected; further programs wait in the backlog */
        HVHOST_ASKS_MAX = 64,    /* of guests, not yet answered; further ones are refused */
        HVHOST_CHILDREN_MAX = 8, /* that connect as another user, of one system */
        HVHOST_RETRY_MS = 5,     /* while a program's backlog is full */
};

struct hvhost;

struct hvhost_ops {
        /* Sends HVSOCKET_ANSWER, or HVSOCKET_DIAL, to which it gives an id first. False: the
         * machine is not running. fd is the caller's; -1: none. */
        bool (*send)(void *ctx, struct ipc_message *m, int fd);
};

/* base_fd: the directory of the daemon's socket, open for as long as this. `id`, `runtime_id` name
 * the system's directory as hvdir_new() says. */
_warn_unused_ int hvhost_new(struct io_loop *loop, int base_fd, const char *id,
        const struct guid *runtime_id, const struct jail_identity *owner,
        const struct hvhost_ops *ops, void *ctx, struct error *e, struct hvhost **ret);
/* Ends what is under way and removes the directory. send() is not called any more. */
struct hvhost *hvhost_free(struct hvhost *host);
DEFINE_CLEANUP(struct hvhost, hvhost_free)

/* A guest dials. Answered with send(), now or later. */
void hvhost_asked(struct hvhost *host, const struct ipc_message *m);
/* A DONE: false when it answers none of our dials. */
bool hvhost_done(struct hvhost *host, const struct ipc_message *m);
