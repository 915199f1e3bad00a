// SPDX-License-Identifier: MIT
#include "io/chan.h"
#include <assert.h>
#include <errno.h>
#include <sys/socket.h>
#include "base/fault.h"
#include "base/fd.h"
#include "io/msg.h"
#include "io/queue.h"

static_assert((int)IO_CHAN_FDS_MAX == IO_MSG_FDS_MAX, "");

/* Messages handled before other sources get their turn. */
enum { MESSAGES_PER_TURN = 32 };

struct io_chan {
        int fd;
        struct io_source *source;
        const struct io_chan_ops *ops;
        void *ctx;
        struct io_queue queue;
        bool writing; /* the source watches for room */
        bool busy;    /* inside a callback: free later */
        bool freed;
        char data[IO_CHAN_MESSAGE_MAX];
};

static void chan_release(struct io_chan *chan) {
        chan->source = io_source_free(chan->source);
        chan->fd = fd_close(chan->fd);
        io_queue_clear(&chan->queue);
}

struct io_chan *io_chan_free(struct io_chan *chan) {
        if (!chan)
                return NULL;
        chan_release(chan);
        chan->freed = true;
        if (!chan->busy)
                free(chan);
        return NULL;
}

static int watch(struct io_chan *chan) {
        bool writing = !io_queue_empty(&chan->queue);
        if (writing == chan->writing)
                return 0;
        chan->writing = writing;
        return io_source_watch(chan->source, IO_READ | (writing ? IO_WRITE : 0u));
}

/* 0: go on; 1: the peer is gone; negative: failed. */
static int receive(struct io_chan *chan) {
        for (int i = 0; i < MESSAGES_PER_TURN && !chan->freed; i++) {
                int fds[IO_MSG_FDS_MAX];
                size_t n_fds = 0;
                ssize_t n = io_msg_receive(chan->fd, chan->data, sizeof chan->data, fds, &n_fds);
                if (n == -EAGAIN)
                        return 0;
                if (n < 0)
                        return (int)n;
                if (n == 0) {
                        io_msg_close_fds(fds, n_fds);
                        return 1;
                }
                int r = chan->ops->message(chan->ctx, chan->data, (size_t)n, fds, n_fds);
                if (r < 0)
                        return r;
        }
        return 0;
}

static void chan_ready(void *ctx, unsigned events) {
        struct io_chan *chan = ctx;
        chan->busy = true;
        int r = 0;
        if (events & IO_WRITE)
                r = io_queue_flush(&chan->queue, chan->fd);
        /* What a dead peer sent before it died is still there to be read. */
        if (r == -EPIPE) {
                io_queue_clear(&chan->queue);
                r = 0;
        }
        if (r == 0 && (events & (IO_READ | IO_HANGUP)))
                r = receive(chan);
        if (r == 0 && !chan->freed)
                r = watch(chan);
        if (r != 0 && !chan->freed) {
                chan_release(chan);
                chan->ops->closed(chan->ctx, r < 0 ? r : 0);
        }
        chan->busy = false;
        if (chan->freed)
                free(chan);
}

int io_chan_new(struct io_loop *loop, int fd_consume, const struct io_chan_ops *ops, void *ctx,
        struct io_chan **ret) {
        _cleanup_close_ int fd = fd_consume;
        _cleanup_free_ struct io_chan *chan =
                fault_hit(FAULT_ALLOC) ? NULL : calloc(1, sizeof *chan);
        if (!chan)
                return -ENOMEM;
        /* A message must fit at once. */
        int size = 2 * IO_CHAN_MESSAGE_MAX;
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
        int r = io_source_new(loop, fd, IO_READ, chan_ready, chan, &chan->source);
        if (r < 0)
                return r;
        chan->fd = TAKE_FD(fd);
        chan->ops = ops;
        chan->ctx = ctx;
        io_queue_init(&chan->queue, IO_CHAN_QUEUE_MAX);
        *ret = TAKE_PTR(chan);
        return 0;
}

int io_chan_send(
        struct io_chan *chan, const void *data, size_t size, const int *fds, size_t n_fds) {
        /* An empty datagram would read as the end. */
        if (size == 0)
                return -EINVAL;
        if (size > IO_CHAN_MESSAGE_MAX || n_fds > IO_CHAN_FDS_MAX)
                return -EMSGSIZE;
        if (chan->fd < 0)
                return -EPIPE;
        int r = io_queue_send(&chan->queue, chan->fd, data, size, fds, n_fds);
        return r < 0 ? r : watch(chan);
}

bool io_chan_idle(const struct io_chan *chan) {
        return io_queue_empty(&chan->queue);
}
