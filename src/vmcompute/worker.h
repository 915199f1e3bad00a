// SPDX-License-Identifier: MIT
/* One worker process: started with the owner's rights, spoken to over its channel, watched until
 * it is gone, and reaped. */
#pragma once
#include <stdbool.h>
#include <sys/types.h>
#include "base/cleanup.h"
#include "base/error.h"
#include "io/loop.h"
#include "ipc/ipc.h"
#include "jail/jail.h"

enum { WORKER_END_MS = 5000 }; /* for a worker that was asked to end; then it is killed */

struct worker;

struct worker_ops {
        /* A message that passed the order check; none has descriptors. */
        void (*message)(void *ctx, const struct ipc_message *m);
        /* The process is gone and reaped; cause is one sentence, for instance "the worker was
         * killed by signal 11 (Segmentation fault)". `orderly` means status 0. Called once, after
         * the last message. The callee may free the worker. */
        void (*ended)(void *ctx, bool orderly, const char *cause);
};

_warn_unused_ int worker_spawn(struct io_loop *loop, const char *program,
        const struct jail_identity *owner, const struct worker_ops *ops, void *ctx, struct error *e,
        struct worker **ret);
/* Kills and reaps what is still there; ended() is not called. */
struct worker *worker_free(struct worker *worker);
/* A channel that fails makes ended() follow; so callers that wait for an answer need not look. */
void worker_send(struct worker *worker, const struct ipc_message *m, const int *fds, size_t n_fds);
/* From now on the worker has WORKER_END_MS to end by itself. */
void worker_expect_end(struct worker *worker);
void worker_kill(struct worker *worker);
pid_t worker_pid(const struct worker *worker);
