// SPDX-License-Identifier: MIT
/* What waits to be sent: messages with their descriptors, first in, first out, bounded in bytes.
 * Shared by chan.c (whole datagrams) and line.c (a stream, sent piecemeal). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "base/cleanup.h"
#include "io/msg.h"

struct io_queue_item;
struct io_queue {
        struct io_queue_item *head, **tail;
        size_t bytes, limit;
};

void io_queue_init(struct io_queue *q, size_t limit);
void io_queue_clear(struct io_queue *q);
bool io_queue_empty(const struct io_queue *q);
/* Sends the message now if nothing waits and the socket takes it, else copies what is
 * left and duplicates the fds. -ENOBUFS past the limit, -EPIPE when the peer is gone. */
_warn_unused_ int io_queue_send(
        struct io_queue *q, int fd, const void *data, size_t n, const int *fds, size_t n_fds);
/* Sends as much as the socket takes; 0 or negative errno. */
_warn_unused_ int io_queue_flush(struct io_queue *q, int fd);
