// SPDX-License-Identifier: MIT
/* The framing of the bridge, for both ends: whole messages in, messages queued out, over a stream
 * socket. The size that the peer names is checked before anything is kept for it.
 *
 * Threads: the loop's. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "base/cleanup.h"
#include "io/loop.h"
#include "wire/gcs.h"

enum { GCS_QUEUE_MAX = 4 * 1024 * 1024 }; /* bytes waiting to be sent */

struct gcs_stream;

struct gcs_stream_ops {
        /* A message; body is not terminated and lives for the call. A negative return closes the
         * stream and is passed to closed(). The callee may free the stream. */
        int (*message)(void *ctx, uint32_t type, uint64_t id, const char *body, size_t size);
        /* The peer is gone (r = 0), or it broke the framing (-EBADMSG: a size outside the limits
         * or an end within a message), or the socket failed. Called once; the callee may free the
         * stream. */
        void (*closed)(void *ctx, int r);
};

/* Takes over fd. receive_max bounds an incoming message, its header included. */
_warn_unused_ int gcs_stream_new(struct io_loop *loop, int fd_consume, size_t receive_max,
        const struct gcs_stream_ops *ops, void *ctx, struct gcs_stream **ret);
struct gcs_stream *gcs_stream_free(struct gcs_stream *stream);
DEFINE_CLEANUP(struct gcs_stream, gcs_stream_free)
/* -ENOBUFS when the queue is full: nothing was sent. Any other failure (-EPIPE, -ENOMEM) ends the
 * stream too, and closed() follows from the loop. */
_warn_unused_ int gcs_stream_send(
        struct gcs_stream *stream, uint32_t type, uint64_t id, const char *body, size_t size);
/* Ends the stream; closed() follows from the loop. */
void gcs_stream_abort(struct gcs_stream *stream);
