// SPDX-License-Identifier: MIT
/* Carries bytes between a pty and the host: what comes from the host is typed, what is printed goes
 * to the host. Ends when the last process has closed the terminal, or when the host has closed its
 * end: the terminal then hangs up. */
#pragma once
#include "base/cleanup.h"
#include "io/loop.h"

struct agent_relay;

typedef void (*agent_relay_ended_fn)(void *ctx);

/* Takes the descriptors over, also when it fails; in and out are -1 for none, all do not block.
 * ended is called once, unless the relay is freed before; the callee may free it. */
_warn_unused_ int agent_relay_new(struct io_loop *loop, const int fds_consume[3],
        agent_relay_ended_fn ended, void *ctx, struct agent_relay **ret);
struct agent_relay *agent_relay_free(struct agent_relay *relay);
DEFINE_CLEANUP(struct agent_relay, agent_relay_free)
int agent_relay_master(const struct agent_relay *relay);
