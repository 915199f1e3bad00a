// SPDX-License-Identifier: MIT
/* One call to the host that may take a while: the loop goes on meanwhile. */
#pragma once
#include <stdint.h>
#include "agent/agent.h"
#include "base/cleanup.h"
#include "io/loop.h"

struct agent_dial;

/* r = 0 and the connected socket, which is the callee's; or negative errno and -1. The dial is to
 * be freed by the callee, within the call if it likes. */
typedef void (*agent_dialled_fn)(void *ctx, int r, int fd);

_warn_unused_ int agent_dial_new(struct io_loop *loop, const struct agent_transport *transport,
        uint32_t port, agent_dialled_fn done, void *ctx, struct agent_dial **ret);
struct agent_dial *agent_dial_free(struct agent_dial *dial);
DEFINE_CLEANUP(struct agent_dial, agent_dial_free)
