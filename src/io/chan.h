// SPDX-License-Identifier: MIT
/* A framed channel: whole messages with descriptors over a SOCK_SEQPACKET socket. Used between
 * vmcomputed and vmwp. Sending queues when the socket is full, up to IO_CHAN_QUEUE_MAX bytes. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "io/loop.h"

enum {
        IO_CHAN_MESSAGE_MAX = 128 * 1024, /* bytes in one message */
        IO_CHAN_FDS_MAX = 8,              /* descriptors with one message */
        IO_CHAN_QUEUE_MAX = 1024 * 1024,  /* bytes waiting to be sent */
};

struct io_chan;

struct io_chan_ops {
        /* A message; fds belong to the callee from here on. A negative return closes the channel
         * and is passed to closed(). */
        int (*message)(void *ctx, const void *data, size_t size, int *fds, size_t n_fds);
        /* The peer is gone (r = 0) or the channel failed (r < 0). Called once. The callee may free
         * the channel. */
        void (*closed)(void *ctx, int r);
};

/* Takes over fd. */
_warn_unused_ int io_chan_new(struct io_loop *loop, int fd_consume, const struct io_chan_ops *ops,
        void *ctx, struct io_chan **ret);
struct io_chan *io_chan_free(struct io_chan *chan);
DEFINE_CLEANUP(struct io_chan, io_chan_free)
/* fds are duplicated; the caller keeps its own. -EMSGSIZE, -ENOBUFS when the queue is full,
 * -EPIPE when the peer is gone. */
_warn_unused_ int io_chan_send(
        struct io_chan *chan, const void *data, size_t size, const int *fds, size_t n_fds);
/* True when nothing waits to be sent. */
bool io_chan_idle(const struct io_chan *chan);
