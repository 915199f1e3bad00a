// SPDX-License-Identifier: MIT
/* One row per message: who receives it, which common fields it carries, what its body is, how many
 * descriptors come along. Encoder, decoder and order check read this table and nothing else. */
#pragma once
#include "ipc/ipc.h"

enum {
        IPC_HAS_ID = 1,
        IPC_HAS_PID = 2,
        IPC_HAS_HRESULT = 4,
        IPC_HAS_TEXT = 8,
        IPC_ONCE = 16,  /* a second one breaks the order */
        IPC_FIRST = 32, /* nothing may come before it */
        IPC_LAST = 64,  /* nothing may come behind it */
};

enum ipc_body {
        IPC_BODY_NONE,
        IPC_BODY_CONFIG,
        IPC_BODY_PROCESS,
        IPC_BODY_STATISTICS,
        IPC_BODY_SIGNAL,
        IPC_BODY_CONSOLE,
        IPC_BODY_EXIT,
        IPC_BODY_CRASH,
        IPC_BODY_PROCESS_EXIT,
        IPC_BODY_CONNECTION,
        IPC_BODY_HVSOCKET,
        IPC_BODY_TABLE,
        IPC_BODY_SHUTDOWN,
};

struct ipc_rule {
        enum ipc_type type;
        enum ipc_side receiver;
        unsigned flags;
        enum ipc_body body;
        unsigned min_fds, max_fds; /* CONFIG and CREATE_PROCESS say exactly in their body */
};

/* NULL for a number that is no message. */
const struct ipc_rule *ipc_rule(unsigned type);
/* How many descriptors this very message carries. */
unsigned ipc_fds_wanted(const struct ipc_rule *rule, const struct ipc_message *m);

struct wr;
/* The bytes of one message; ipc_send() without the channel, for tests. */
_warn_unused_ int ipc_encode(const struct ipc_message *m, struct wr *wr);
