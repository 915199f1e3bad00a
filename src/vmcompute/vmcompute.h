// SPDX-License-Identifier: MIT
/* vmcomputed: compute systems on behalf of clients that speak JSON-RPC over a Unix socket
 * (docs/protocols/json-rpc.md). One thread, one loop.
 *
 * A caller sees the systems of its own uid; root sees all. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/cleanup.h"
#include "base/error.h"
#include "io/loop.h"

enum {
        VMCOMPUTE_CONNECTIONS_MAX = 512,
        VMCOMPUTE_CONNECTIONS_UID_MAX = 128, /* of one uid */
        VMCOMPUTE_HALF_OPEN_MS = 10000,      /* for the first whole line of a connection */
        VMCOMPUTE_CALLS_MAX = 256,           /* without an answer yet, of one connection */
        VMCOMPUTE_HANDLES_MAX = 1024,        /* of one connection */
        VMCOMPUTE_SYSTEMS_UID_MAX = 128,
        VMCOMPUTE_BINDINGS_MAX = 64,   /* hvsocket services of one system that clients serve */
        VMCOMPUTE_PROCESSES_MAX = 512, /* of one system, ended ones with open handles included */
        VMCOMPUTE_ID_MAX = 128,        /* bytes of a system's id, with NUL */
};

struct vmcompute;

struct vmcompute_options {
        const char *worker;          /* path of vmwp */
        const char *xdg_cache_home;  /* for callers of the daemon's own uid; may be NULL */
        const char *home;            /* likewise */
        uint32_t connect_timeout_ms; /* for a guest's agent */
        uint32_t idle_timeout_ms;    /* without connections and systems; 0: never */
        bool private_connection;     /* ends with its one connection */
        /* Everything is over: the daemon may end. Called once. */
        void (*finished)(void *ctx);
        void *ctx;
};

/* options is copied, its strings are borrowed. */
_warn_unused_ int vmcompute_new(
        struct io_loop *loop, const struct vmcompute_options *options, struct vmcompute **ret);
/* Kills and reaps every worker that is left. */
struct vmcompute *vmcompute_free(struct vmcompute *vc);
DEFINE_CLEANUP(struct vmcompute, vmcompute_free)
/* Accepts connections of a listening socket, which is taken over. */
_warn_unused_ int vmcompute_listen(struct vmcompute *vc, int fd_consume);
/* Serves one connected stream socket. */
_warn_unused_ int vmcompute_serve(struct vmcompute *vc, int fd_consume);
/* Terminates every system; finished() follows when their workers are gone. */
void vmcompute_stop(struct vmcompute *vc);

/* A listening socket at `path`, mode 0600 (0666 in system mode is the service manager's to make).
 * One that a dead daemon left is replaced; -EADDRINUSE when a daemon answers there. */
_warn_unused_ int vmcompute_bind(const char *path, struct error *e, int *ret_fd);
