// SPDX-License-Identifier: MIT
#include "agent/dial.h"
#include <errno.h>
#include <sys/socket.h>
#include "base/fault.h"
#include "base/fd.h"

struct agent_dial {
        int fd;
        struct io_source *source;
        agent_dialled_fn done;
        void *ctx;
};

static void on_ready(void *ctx, _unused_ unsigned events) {
        struct agent_dial *dial = ctx;
        int error = 0;
        socklen_t size = sizeof error;
        if (getsockopt(dial->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
                error = errno;
        dial->source = io_source_free(dial->source);
        dial->done(dial->ctx, -error, error ? -1 : TAKE_FD(dial->fd));
}

int agent_dial_new(struct io_loop *loop, const struct agent_transport *transport, uint32_t port,
        agent_dialled_fn done, void *ctx, struct agent_dial **ret) {
        _cleanup_(agent_dial_freep) struct agent_dial *dial =
                fault_hit(FAULT_ALLOC) ? NULL : calloc(1, sizeof *dial);
        if (!dial)
                return -ENOMEM;
        *dial = (struct agent_dial){.fd = -1, .done = done, .ctx = ctx};
        dial->fd = transport->dial(transport->ctx, port);
        if (dial->fd < 0)
                return dial->fd;
        int r = io_source_new(loop, dial->fd, IO_WRITE, on_ready, dial, &dial->source);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(dial);
        return 0;
}

struct agent_dial *agent_dial_free(struct agent_dial *dial) {
        if (!dial)
                return NULL;
        io_source_free(dial->source);
        fd_close(dial->fd);
        free(dial);
        return NULL;
}
