// SPDX-License-Identifier: MIT
/* One direction of a stream: what `from` has goes to `to`, until the end of either. The loop's
 * thread. Regular files are read as they are; everything else is waited for. */
#pragma once
#include <stdbool.h>
#include "base/cleanup.h"
#include "io/loop.h"

enum { RELAY_BUFFER = 64 * 1024 };

struct relay;

/* from and to are borrowed; `to` may be blocking. done is called once, when all was written or
 * nothing more can be (then *errno-like r < 0); the callee may free the relay. */
typedef void (*relay_done_fn)(void *ctx, int r);
_warn_unused_ int relay_new(
        struct io_loop *loop, int from, int to, relay_done_fn done, void *ctx, struct relay **ret);
struct relay *relay_free(struct relay *relay);
