// SPDX-License-Identifier: MIT
#include "sandboxctl/relay.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

struct relay {
        int from, to;
        relay_done_fn done;
        void *ctx;
        struct io_source *reader; /* NULL for a regular file */
        struct io_timer *again;   /* instead of a reader */
        struct io_source *writer; /* NULL for a regular file */
        size_t start, end;        /* of what waits in the buffer */
        bool reading, writing;    /* what the sources watch for */
        bool ended;
        char buffer[RELAY_BUFFER];
};

static void relay_finish(struct relay *relay, int r) {
        if (relay->ended)
                return;
        relay->ended = true;
        relay->reader = io_source_free(relay->reader);
        relay->writer = io_source_free(relay->writer);
        relay->again = io_timer_free(relay->again);
        relay->done(relay->ctx, r);
}

static int relay_watch(struct relay *relay, bool reading, bool writing) {
        int r = 0;
        if (relay->reader && reading != relay->reading)
                r = io_source_watch(relay->reader, reading ? IO_READ : 0);
        if (r == 0 && relay->writer && writing != relay->writing)
                r = io_source_watch(relay->writer, writing ? IO_WRITE : 0);
        relay->reading = reading;
        relay->writing = writing;
        return r;
}

/* 0, or -EAGAIN with the rest still in the buffer. */
static int relay_drain(struct relay *relay) {
        while (relay->start < relay->end) {
                ssize_t n =
                        write(relay->to, relay->buffer + relay->start, relay->end - relay->start);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                relay->start += (size_t)n;
        }
        return 0;
}

/* After a drain: waits for room, or for more to read. */
static void relay_next(struct relay *relay, int r) {
        if (r == 0 && !relay->reader)
                io_timer_arm(relay->again, 1, 0);
        if (r == 0 || r == -EAGAIN)
                r = relay_watch(relay, r == 0, r == -EAGAIN);
        if (r < 0)
                relay_finish(relay, r);
}

static void relay_readable(void *ctx, unsigned events _unused_) {
        struct relay *relay = ctx;
        if (relay->start < relay->end)
                return; /* a hangup is reported also while only room is waited for */
        ssize_t n = read(relay->from, relay->buffer, sizeof relay->buffer);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
                return;
        /* EIO is how a terminal whose other side closed says that it is the end. */
        if (n <= 0) {
                relay_finish(relay, n < 0 && errno != EIO ? -errno : 0);
                return;
        }
        relay->start = 0;
        relay->end = (size_t)n;
        relay_next(relay, relay_drain(relay));
}

static void relay_writable(void *ctx, unsigned events) {
        struct relay *relay = ctx;
        if (events & IO_WRITE)
                relay_next(relay, relay_drain(relay));
        else if (events & IO_HANGUP)
                relay_finish(relay, -EPIPE);
}

/* A regular file is always ready, and epoll does not take it: one chunk each round of the loop. */
static void relay_again(void *ctx) {
        relay_readable(ctx, IO_READ);
}

int relay_new(
        struct io_loop *loop, int from, int to, relay_done_fn done, void *ctx, struct relay **ret) {
        struct relay *relay = calloc(1, sizeof *relay);
        if (!relay)
                return -ENOMEM;
        *relay = (struct relay){.from = from, .to = to, .done = done, .ctx = ctx, .reading = true};
        int r = io_source_new(loop, from, IO_READ, relay_readable, relay, &relay->reader);
        if (r == -EPERM) {
                relay->reader = NULL;
                r = io_timer_new(loop, relay_again, relay, &relay->again);
                if (r == 0)
                        io_timer_arm(relay->again, 1, 0);
        }
        if (r == 0) {
                r = io_source_new(loop, to, 0, relay_writable, relay, &relay->writer);
                if (r == -EPERM) {
                        relay->writer = NULL;
                        r = 0;
                }
        }
        if (r < 0) {
                relay_free(relay);
                return r;
        }
        *ret = relay;
        return 0;
}

struct relay *relay_free(struct relay *relay) {
        if (!relay)
                return NULL;
        io_source_free(relay->reader);
        io_timer_free(relay->again);
        io_source_free(relay->writer);
        free(relay);
        return NULL;
}
