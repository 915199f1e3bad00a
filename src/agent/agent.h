// SPDX-License-Identifier: MIT
/* cexecsvc's core: dials the host, serves the GCS bridge (docs/protocols/gcs.md), and runs
 * processes. It survives a host that vanishes: it dials again, and processes go on. What only a
 * PID 1 does (mounts, modules, power) is in init.h and power.h.
 *
 * Threads: the loop's. SIGPIPE must be ignored, descriptors 0 to 2 must be open, and the process
 * may have no children but the agent's (agent_reap() reaps them all). */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/cleanup.h"
#include "io/loop.h"

enum {
        AGENT_PROCESSES_MAX = 256, /* started and not ended */
        AGENT_EXITED_MAX = 256,    /* ended and not asked for; the oldest is forgotten */
        AGENT_WAITERS_MAX = 1024,
};

/* How the host is reached. */
struct agent_transport {
        /* A stream socket, non-blocking, connected or connecting to this port of the host; or
         * negative errno. The caller closes it. */
        int (*dial)(void *ctx, uint32_t port);
        void *ctx;
};

struct agent_ops {
        /* The host wants the machine off: at once, or in good order. It was answered already. */
        void (*shutdown)(void *ctx, bool forced);
};

struct agent;

/* Begins to dial at once. transport and ops are kept. */
_warn_unused_ int agent_new(struct io_loop *loop, const struct agent_transport *transport,
        const struct agent_ops *ops, void *ctx, struct agent **ret);
/* Processes go on. */
struct agent *agent_free(struct agent *agent);
DEFINE_CLEANUP(struct agent, agent_free)
/* To be called on SIGCHLD: reaps every child that ended, orphans included. False when no child is
 * left. */
bool agent_reap(struct agent *agent);
