// SPDX-License-Identifier: MIT
#include "io/queue.h"
#include <errno.h>
#include <string.h>
#include "base/fault.h"

struct io_queue_item {
        struct io_queue_item *next;
        size_t sent, size;
        size_t n_fds;
        int fds[IO_MSG_FDS_MAX];
        char data[];
};

void io_queue_init(struct io_queue *q, size_t limit) {
        *q = (struct io_queue){.limit = limit};
        q->tail = &q->head;
}

static void pop(struct io_queue *q) {
        struct io_queue_item *item = q->head;
        q->head = item->next;
        if (!q->head)
                q->tail = &q->head;
        q->bytes -= item->size;
        io_msg_close_fds(item->fds, item->n_fds);
        free(item);
}

void io_queue_clear(struct io_queue *q) {
        while (q->head)
                pop(q);
}

bool io_queue_empty(const struct io_queue *q) {
        return !q->head;
}

int io_queue_send(
        struct io_queue *q, int fd, const void *data, size_t n, const int *fds, size_t n_fds) {
        size_t sent = 0;
        if (!q->head) {
                ssize_t r = io_msg_send(fd, data, n, fds, n_fds);
                if (r < 0 && r != -EAGAIN)
                        return (int)r;
                /* The descriptors went with the first byte. */
                if (r > 0) {
                        sent = (size_t)r;
                        n_fds = 0;
                }
                if (sent == n)
                        return 0;
        }
        if (n > q->limit - q->bytes)
                return -ENOBUFS;
        struct io_queue_item *item = fault_hit(FAULT_ALLOC) ? NULL : malloc(sizeof *item + n);
        if (!item)
                return -ENOMEM;
        *item = (struct io_queue_item){.sent = sent, .size = n, .n_fds = n_fds};
        int r = io_msg_dup_fds(fds, n_fds, item->fds);
        if (r < 0) {
                free(item);
                return r;
        }
        memcpy(item->data, data, n);
        *q->tail = item;
        q->tail = &item->next;
        q->bytes += n;
        return 0;
}

int io_queue_flush(struct io_queue *q, int fd) {
        while (q->head) {
                struct io_queue_item *item = q->head;
                ssize_t r = io_msg_send(fd, item->data + item->sent, item->size - item->sent,
                        item->fds, item->n_fds);
                if (r == -EAGAIN)
                        return 0;
                if (r < 0)
                        return (int)r;
                item->sent += (size_t)r;
                io_msg_close_fds(item->fds, item->n_fds);
                item->n_fds = 0;
                if (item->sent == item->size)
                        pop(q);
        }
        return 0;
}
