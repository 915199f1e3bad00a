// SPDX-License-Identifier: MIT
/* Lines with descriptors over a SOCK_STREAM socket: what JSON-RPC clients and vmcomputed speak,
 * one object per line. Sending queues when the socket is full, up to IO_LINE_QUEUE_MAX bytes.
 *
 * Descriptors belong to a line. A sender passes them with the line's first byte, in a sendmsg()
 * that holds nothing behind the line's newline. A receiver gives what comes with a chunk of bytes
 * to the last line that begins in it. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "io/loop.h"

enum {
        IO_LINE_MAX = 1024 * 1024,           /* bytes in a line, without its newline */
        IO_LINE_FDS_MAX = 8,                 /* descriptors with a line */
        IO_LINE_QUEUE_MAX = 4 * 1024 * 1024, /* bytes waiting to be sent */
};

struct io_line;

struct io_line_ops {
        /* A line, its newline replaced by NUL (the text may hold further NULs); fds belong to the
         * callee from here on. A negative return closes the connection and is passed to closed().
         */
        int (*line)(void *ctx, const char *text, size_t size, int *fds, size_t n_fds);
        /* The peer is gone (r = 0; bytes without a newline at the end are dropped) or the
         * connection failed: -EMSGSIZE for a line or a flood of descriptors past the limits, or
         * another negative errno. Called once. The callee may free the connection. */
        void (*closed)(void *ctx, int r);
};

/* Takes over fd. */
_warn_unused_ int io_line_new(struct io_loop *loop, int fd_consume, const struct io_line_ops *ops,
        void *ctx, struct io_line **ret);
struct io_line *io_line_free(struct io_line *line);
DEFINE_CLEANUP(struct io_line, io_line_free)
/* Sends text and a newline; fds are duplicated, the caller keeps its own. -EMSGSIZE, -ENOBUFS when
 * the queue is full, -EPIPE when the peer is gone. */
_warn_unused_ int io_line_send(
        struct io_line *line, const char *text, size_t size, const int *fds, size_t n_fds);
/* Ends the connection in both directions: closed() follows from the loop. */
void io_line_shutdown(struct io_line *line);
