// SPDX-License-Identifier: MIT
#include "io/line.h"
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include "base/fault.h"
#include "base/fd.h"
#include "io/msg.h"
#include "io/queue.h"

static_assert((int)IO_LINE_FDS_MAX == IO_MSG_FDS_MAX, "");

enum {
        CHUNK = 16 * 1024,  /* room wanted for one read */
        READS_PER_TURN = 8, /* before other sources get theirs */
        KEEP = 4 * CHUNK,   /* an empty buffer larger than this is given back */
};

struct io_line {
        int fd;
        struct io_source *source;
        const struct io_line_ops *ops;
        void *ctx;
        struct io_queue queue;
        bool writing; /* the source watches for room */
        bool busy;    /* inside a callback: free later */
        bool freed;

        char *data;
        size_t size, capacity;
        size_t scanned; /* no newline before this */
        int fds[IO_MSG_FDS_MAX];
        size_t n_fds; /* of the line that is not complete yet */
};

static void line_release(struct io_line *line) {
        line->source = io_source_free(line->source);
        line->fd = fd_close(line->fd);
        io_queue_clear(&line->queue);
        io_msg_close_fds(line->fds, line->n_fds);
        line->n_fds = 0;
        free(line->data);
        line->data = NULL;
        line->size = line->capacity = line->scanned = 0;
}

struct io_line *io_line_free(struct io_line *line) {
        if (!line)
                return NULL;
        line->freed = true;
        if (!line->busy) {
                line_release(line);
                free(line);
        }
        return NULL;
}

static int watch(struct io_line *line) {
        bool writing = !io_queue_empty(&line->queue);
        if (writing == line->writing)
                return 0;
        line->writing = writing;
        return io_source_watch(line->source, IO_READ | (writing ? IO_WRITE : 0u));
}

static int reserve(struct io_line *line) {
        if (line->capacity - line->size >= CHUNK)
                return 0;
        size_t capacity = line->capacity ? 2 * line->capacity : 2 * CHUNK;
        char *data = fault_hit(FAULT_ALLOC) ? NULL : realloc(line->data, capacity);
        if (!data)
                return -ENOMEM;
        line->data = data;
        line->capacity = capacity;
        return 0;
}

/* Hands out the complete lines. `fds` came with the bytes that were added last and belong to the
 * last line that begins in them. */
static int deliver(struct io_line *line, int *fds, size_t n_fds) {
        size_t start = 0;
        int r = 0;
        while (r == 0 && !line->freed) {
                char *newline =
                        memchr(line->data + line->scanned, '\n', line->size - line->scanned);
                if (!newline)
                        break;
                size_t end = (size_t)(newline - line->data);
                *newline = 0;
                line->scanned = end + 1;
                if (end - start > IO_LINE_MAX) {
                        r = -EMSGSIZE;
                        break;
                }
                int own[IO_MSG_FDS_MAX];
                size_t n_own = line->n_fds;
                memcpy(own, line->fds, n_own * sizeof *own);
                line->n_fds = 0;
                if (n_fds > 0 && line->scanned == line->size) {
                        if (n_own + n_fds > IO_MSG_FDS_MAX) {
                                io_msg_close_fds(own, n_own);
                                r = -EMSGSIZE;
                                break;
                        }
                        memcpy(own + n_own, fds, n_fds * sizeof *own);
                        n_own += n_fds;
                        n_fds = 0;
                }
                r = line->ops->line(line->ctx, line->data + start, end - start, own, n_own);
                start = line->scanned;
        }
        if (r == 0 && n_fds > 0 && !line->freed && line->n_fds + n_fds <= IO_MSG_FDS_MAX) {
                memcpy(line->fds + line->n_fds, fds, n_fds * sizeof *fds);
                line->n_fds += n_fds;
                n_fds = 0;
        }
        if (n_fds > 0) {
                io_msg_close_fds(fds, n_fds);
                if (r == 0)
                        r = -EMSGSIZE;
        }
        if (r < 0 || line->freed)
                return r;
        memmove(line->data, line->data + start, line->size - start);
        line->size -= start;
        line->scanned = line->size;
        return line->size > IO_LINE_MAX ? -EMSGSIZE : 0;
}

/* 0: go on; 1: the peer is gone; negative: failed. */
static int receive(struct io_line *line) {
        for (int i = 0; i < READS_PER_TURN && !line->freed; i++) {
                int r = reserve(line);
                if (r < 0)
                        return r;
                int fds[IO_MSG_FDS_MAX];
                size_t n_fds = 0;
                ssize_t n = io_msg_receive(line->fd, line->data + line->size,
                        line->capacity - line->size, fds, &n_fds);
                if (n == -EAGAIN)
                        break;
                if (n < 0)
                        return (int)n;
                if (n == 0)
                        return 1;
                line->size += (size_t)n;
                r = deliver(line, fds, n_fds);
                if (r < 0)
                        return r;
        }
        if (!line->freed && line->size == 0 && line->capacity > KEEP) {
                free(line->data);
                line->data = NULL;
                line->capacity = 0;
        }
        return 0;
}

static void line_ready(void *ctx, unsigned events) {
        struct io_line *line = ctx;
        line->busy = true;
        int r = 0;
        if (events & IO_WRITE)
                r = io_queue_flush(&line->queue, line->fd);
        /* What a dead peer sent before it died is still there to be read. */
        if (r == -EPIPE) {
                io_queue_clear(&line->queue);
                r = 0;
        }
        if (r == 0 && (events & (IO_READ | IO_HANGUP)))
                r = receive(line);
        if (r == 0 && !line->freed)
                r = watch(line);
        if (r != 0 && !line->freed) {
                line_release(line);
                line->ops->closed(line->ctx, r < 0 ? r : 0);
        }
        line->busy = false;
        if (line->freed)
                io_line_free(line);
}

int io_line_new(struct io_loop *loop, int fd_consume, const struct io_line_ops *ops, void *ctx,
        struct io_line **ret) {
        _cleanup_close_ int fd = fd_consume;
        _cleanup_free_ struct io_line *line =
                fault_hit(FAULT_ALLOC) ? NULL : calloc(1, sizeof *line);
        if (!line)
                return -ENOMEM;
        int r = io_source_new(loop, fd, IO_READ, line_ready, line, &line->source);
        if (r < 0)
                return r;
        line->fd = TAKE_FD(fd);
        line->ops = ops;
        line->ctx = ctx;
        io_queue_init(&line->queue, IO_LINE_QUEUE_MAX);
        *ret = TAKE_PTR(line);
        return 0;
}

int io_line_send(
        struct io_line *line, const char *text, size_t size, const int *fds, size_t n_fds) {
        if (size > IO_LINE_MAX || n_fds > IO_LINE_FDS_MAX)
                return -EMSGSIZE;
        if (line->fd < 0 || line->freed)
                return -EPIPE;
        _cleanup_free_ char *whole = fault_hit(FAULT_ALLOC) ? NULL : malloc(size + 1);
        if (!whole)
                return -ENOMEM;
        memcpy(whole, text, size);
        whole[size] = '\n';
        int r = io_queue_send(&line->queue, line->fd, whole, size + 1, fds, n_fds);
        return r < 0 ? r : watch(line);
}

void io_line_shutdown(struct io_line *line) {
        if (line->fd >= 0)
                (void)shutdown(line->fd, SHUT_RDWR);
}
