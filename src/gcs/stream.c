// SPDX-License-Identifier: MIT
#include "gcs/stream.h"
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include "base/fault.h"
#include "base/fd.h"
#include "base/rd.h"
#include "base/wr.h"
#include "io/queue.h"

/* Read at once when nothing larger is announced; also how much one peer gets before the loop looks
 * at its other sources. */
enum { READ_SIZE = 16 * 1024 };

struct gcs_stream {
        const struct gcs_stream_ops *ops;
        void *ctx;
        int fd;
        struct io_source *source;
        size_t receive_max;
        uint8_t *data; /* what was read and not handed out */
        size_t size, capacity;
        struct io_queue out;
        bool closed;
        bool *freed; /* set when the stream is freed within its own callback */
};

static void on_ready(void *ctx, unsigned events);

int gcs_stream_new(struct io_loop *loop, int fd_consume, size_t receive_max,
        const struct gcs_stream_ops *ops, void *ctx, struct gcs_stream **ret) {
        _cleanup_close_ int fd = fd_consume;
        _cleanup_(gcs_stream_freep) struct gcs_stream *stream =
                fault_hit(FAULT_ALLOC) ? NULL : calloc(1, sizeof *stream);
        if (!stream)
                return -ENOMEM;
        *stream = (struct gcs_stream){.ops = ops, .ctx = ctx, .fd = -1, .receive_max = receive_max};
        io_queue_init(&stream->out, GCS_QUEUE_MAX);
        int r = fd_set_nonblock(fd, true);
        if (r < 0)
                return r;
        r = io_source_new(loop, fd, IO_READ, on_ready, stream, &stream->source);
        if (r < 0)
                return r;
        stream->fd = TAKE_FD(fd);
        *ret = TAKE_PTR(stream);
        return 0;
}

struct gcs_stream *gcs_stream_free(struct gcs_stream *stream) {
        if (!stream)
                return NULL;
        if (stream->freed)
                *stream->freed = true;
        io_source_free(stream->source);
        io_queue_clear(&stream->out);
        fd_close(stream->fd);
        free(stream->data);
        free(stream);
        return NULL;
}

static void close_stream(struct gcs_stream *stream, int r) {
        if (stream->closed)
                return;
        stream->closed = true;
        stream->source = io_source_free(stream->source);
        stream->ops->closed(stream->ctx, r);
}

/* The size of the message that starts at `at`, 0 while its header is incomplete. */
static int next_size(const struct gcs_stream *stream, size_t at, size_t *ret) {
        struct gcs_header h;
        if (stream->size - at < sizeof h) {
                *ret = 0;
                return 0;
        }
        memcpy(&h, stream->data + at, sizeof h);
        size_t size = le32_get(h.size);
        if (size < sizeof h || size > stream->receive_max)
                return -EBADMSG;
        *ret = size;
        return 0;
}

static int hand_out(struct gcs_stream *stream, size_t at, size_t size) {
        struct gcs_header h;
        memcpy(&h, stream->data + at, sizeof h);
        return stream->ops->message(stream->ctx, le32_get(h.type), le64_get(h.id),
                (const char *)stream->data + at + sizeof h, size - sizeof h);
}

/* Every whole message. Returns 1 when the stream was freed meanwhile. */
static int deliver(struct gcs_stream *stream) {
        size_t at = 0, size;
        bool freed = false;
        int r;
        stream->freed = &freed;
        while ((r = next_size(stream, at, &size)) == 0 && size && size <= stream->size - at) {
                r = hand_out(stream, at, size);
                if (freed)
                        return 1;
                at += size;
                if (r < 0)
                        break;
        }
        stream->freed = NULL;
        stream->size -= at;
        memmove(stream->data, stream->data + at, stream->size);
        return r;
}

/* Room for the message that is arriving, or for READ_SIZE. */
static int reserve(struct gcs_stream *stream) {
        size_t want;
        int r = next_size(stream, 0, &want);
        if (r < 0)
                return r;
        if (want < READ_SIZE)
                want = READ_SIZE;
        if (want <= stream->capacity)
                return 0;
        uint8_t *data = fault_hit(FAULT_ALLOC) ? NULL : realloc(stream->data, want);
        if (!data)
                return -ENOMEM;
        stream->data = data;
        stream->capacity = want;
        return 0;
}

static int receive(struct gcs_stream *stream) {
        int r = reserve(stream);
        if (r < 0)
                return r;
        ssize_t n = recv(stream->fd, stream->data + stream->size, stream->capacity - stream->size,
                MSG_DONTWAIT);
        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        if (n == 0)
                return stream->size ? -EBADMSG : -ENODATA;
        stream->size += (size_t)n;
        return deliver(stream);
}

static void on_ready(void *ctx, unsigned events) {
        struct gcs_stream *stream = ctx;
        int r = 0;
        if (events & IO_WRITE)
                r = io_queue_flush(&stream->out, stream->fd);
        /* What the peer said before it left is heard first, hence reading on a hangup too. */
        if (r >= 0 || r == -EPIPE)
                r = receive(stream);
        if (r == 1)
                return;
        if (r >= 0 && io_queue_empty(&stream->out))
                r = io_source_watch(stream->source, IO_READ);
        if (r < 0)
                close_stream(stream, r == -ENODATA || r == -ECONNRESET ? 0 : r);
}

int gcs_stream_send(
        struct gcs_stream *stream, uint32_t type, uint64_t id, const char *body, size_t size) {
        if (stream->closed)
                return -EPIPE;
        _cleanup_(wr_done) struct wr wr = wr_new(sizeof(struct gcs_header) + size);
        struct gcs_header h = {
                le32_make(type), le32_make((uint32_t)(sizeof h + size)), le64_make(id)};
        wr_bytes(&wr, &h, sizeof h);
        wr_bytes(&wr, body, size);
        int r = wr_error(&wr);
        if (r < 0)
                return r;
        r = io_queue_send(&stream->out, stream->fd, wr.data, wr.size, NULL, 0);
        if (r == 0 && !io_queue_empty(&stream->out))
                r = io_source_watch(stream->source, IO_READ | IO_WRITE);
        if (r < 0 && r != -ENOBUFS)
                /* Half a message may be out: what would follow could not be read. */
                gcs_stream_abort(stream);
        return r;
}

void gcs_stream_abort(struct gcs_stream *stream) {
        (void)shutdown(stream->fd, SHUT_RDWR);
}
