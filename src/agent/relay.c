// SPDX-License-Identifier: MIT
#include "agent/relay.h"
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <unistd.h>
#include "base/fault.h"
#include "base/fd.h"

/* One direction: filled when empty, emptied before it is filled again. */
struct flow {
        int from, to; /* -1: not wanted, or over */
        size_t start, end;
        char data[16 * 1024];
};

enum { MASTER, IN, OUT, FDS };

/* Rounds of one event, so that a busy terminal does not starve the loop. */
enum { ROUNDS_MAX = 8 };

struct end {
        struct agent_relay *relay;
        int fd;
        struct io_source *source;
};

struct agent_relay {
        agent_relay_ended_fn ended;
        void *ctx;
        struct end ends[FDS];
        bool hung_up; /* one end has no source any more although bytes may be left in it */
        struct flow typed, printed;
};

static void on_ready(void *ctx, unsigned events);

int agent_relay_new(struct io_loop *loop, const int fds_consume[3], agent_relay_ended_fn ended,
        void *ctx, struct agent_relay **ret) {
        _cleanup_(agent_relay_freep) struct agent_relay *relay =
                fault_hit(FAULT_ALLOC) ? NULL : calloc(1, sizeof *relay);
        if (!relay) {
                for (size_t i = 0; i < FDS; i++)
                        fd_close(fds_consume[i]);
                return -ENOMEM;
        }
        relay->ended = ended;
        relay->ctx = ctx;
        for (size_t i = 0; i < FDS; i++)
                relay->ends[i] = (struct end){.relay = relay, .fd = fds_consume[i]};
        relay->typed.from = fds_consume[IN];
        relay->typed.to = relay->printed.from = fds_consume[MASTER];
        relay->printed.to = fds_consume[OUT];
        for (size_t i = 0; i < FDS; i++) {
                struct end *end = &relay->ends[i];
                if (end->fd < 0)
                        continue;
                int r = io_source_new(
                        loop, end->fd, i == OUT ? 0 : IO_READ, on_ready, end, &end->source);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(relay);
        return 0;
}

struct agent_relay *agent_relay_free(struct agent_relay *relay) {
        if (!relay)
                return NULL;
        for (size_t i = 0; i < FDS; i++) {
                io_source_free(relay->ends[i].source);
                fd_close(relay->ends[i].fd);
        }
        free(relay);
        return NULL;
}

int agent_relay_master(const struct agent_relay *relay) {
        return relay->ends[MASTER].fd;
}

static bool empty(const struct flow *flow) {
        return flow->start == flow->end;
}

/* 1 when something moved, 0 when it has to wait, negative errno; -ENODATA at the end of `from`. */
static int fill(struct flow *flow) {
        if (flow->from < 0 || !empty(flow))
                return 0;
        ssize_t n = read(flow->from, flow->data, sizeof flow->data);
        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        if (n == 0)
                return -ENODATA;
        flow->start = 0;
        flow->end = flow->to < 0 ? 0 : (size_t)n; /* nobody listens */
        return 1;
}

static int drain(struct flow *flow) {
        if (empty(flow))
                return 0;
        ssize_t n = write(flow->to, flow->data + flow->start, flow->end - flow->start);
        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        flow->start += (size_t)n;
        return 1;
}

/* The host types no more; the terminal stays. */
static void end_typing(struct agent_relay *relay) {
        struct end *end = &relay->ends[IN];
        relay->typed.from = -1;
        end->source = io_source_free(end->source);
        end->fd = fd_close(end->fd);
}

static int watch(struct agent_relay *relay) {
        unsigned events[FDS] = {
                [MASTER] = (empty(&relay->printed) ? IO_READ : 0u) |
                           (empty(&relay->typed) ? 0u : IO_WRITE),
                [IN] = empty(&relay->typed) ? IO_READ : 0u,
                [OUT] = empty(&relay->printed) ? 0u : IO_WRITE,
        };
        for (size_t i = 0; i < FDS; i++) {
                struct io_source *source = relay->ends[i].source;
                int r = source ? io_source_watch(source, events[i]) : 0;
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Negative when the relay is over. */
static int pump(struct agent_relay *relay) {
        for (unsigned i = 0; i < ROUNDS_MAX || relay->hung_up; i++) {
                int moved = 0, r;
                if ((r = fill(&relay->typed)) < 0)
                        end_typing(relay);
                moved |= r > 0;
                /* Typing into a terminal that nobody has open any more fails; reading tells. */
                if ((r = drain(&relay->typed)) < 0)
                        relay->typed.start = relay->typed.end;
                moved |= r > 0;
                if ((r = fill(&relay->printed)) < 0)
                        return r; /* EIO: the last process closed the terminal */
                moved |= r > 0;
                if ((r = drain(&relay->printed)) < 0)
                        return r;
                moved |= r > 0;
                if (!moved)
                        break;
        }
        return watch(relay);
}

/* A hangup is reported for as long as it lasts, so its source must go while the other side is not
 * ready. What is left in a descriptor that hung up is bounded, and later rounds take all of it. */
static void on_ready(void *ctx, unsigned events) {
        struct end *end = ctx;
        struct agent_relay *relay = end->relay;
        int r = pump(relay);
        if (r == 0 && (events & IO_HANGUP)) {
                if (end == &relay->ends[OUT])
                        r = -EPIPE; /* nobody listens */
                else if (!empty(end == &relay->ends[IN] ? &relay->typed : &relay->printed)) {
                        relay->hung_up = true;
                        end->source = io_source_free(end->source);
                }
        }
        if (r < 0)
                relay->ended(relay->ctx);
}
