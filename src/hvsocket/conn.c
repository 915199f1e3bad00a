// SPDX-License-Identifier: MIT
/* One connection: offered → open → rescinded → released by the guest. A dialled connection is
 * reported when the guest opens it or when it ends before that. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/fault.h"
#include "base/fd.h"
#include "hvsocket/internal.h"

static void on_timer(void *ctx) {
        hvsocket_conn_end(ctx, -ETIMEDOUT);
}

int hvsocket_conn_new(struct hvsocket *hvs, const struct guid *service, const struct guid *endpoint,
        bool from_host, struct hvsocket_conn **ret) {
        if (hvs->n_conns >= HVSOCKET_CONNECTIONS_MAX)
                return -EAGAIN;
        _cleanup_free_ struct hvsocket_conn *conn =
                fault_hit(FAULT_ALLOC) ? NULL : calloc(1, sizeof *conn);
        if (!conn)
                return -ENOMEM;
        *conn = (struct hvsocket_conn){
                .hvs = hvs,
                .service = *service,
                .endpoint = *endpoint,
                .from_host = from_host,
                .state = HVSOCKET_OFFERED,
                .fd = -1,
        };
        int r = io_timer_new(hvs->loop, on_timer, conn, &conn->timer);
        if (r < 0)
                return r;
        conn->prev = hvs->conns.prev;
        conn->next = &hvs->conns;
        conn->prev->next = conn->next->prev = conn;
        hvs->n_conns++;
        *ret = TAKE_PTR(conn);
        return 0;
}

/* Everything but the channel and the place in the list. */
static void let_go(struct hvsocket_conn *conn) {
        conn->source = io_source_free(conn->source);
        conn->fd = fd_close(conn->fd);
        conn->timer = io_timer_free(conn->timer);
        hvsocket_bytes_done(&conn->to_owner);
        hvsocket_bytes_done(&conn->to_guest);
}

struct hvsocket_conn *hvsocket_conn_free(struct hvsocket_conn *conn) {
        if (!conn)
                return NULL;
        let_go(conn);
        conn->prev->next = conn->next;
        conn->next->prev = conn->prev;
        conn->hvs->n_conns--;
        free(conn);
        return NULL;
}

static void report(struct hvsocket_conn *conn, int r) {
        hvsocket_dialled_fn dialled = TAKE_PTR(conn->dialled);
        if (dialled)
                dialled(conn->dialled_ctx, r);
}

static void on_fd(void *ctx, unsigned events) {
        struct hvsocket_conn *conn = ctx;
        if (events & IO_HANGUP) {
                /* Either the owner closed, or both ends shut down: what he wrote is all there, and
                 * nothing more goes his way. The event would come again and again. */
                conn->owner_gone = true;
                conn->source = io_source_free(conn->source);
        }
        hvsocket_conn_pump(conn);
}

int hvsocket_conn_attach(struct hvsocket_conn *conn) {
        /* Restored bytes are no event of the descriptor; that it can be written to is one. */
        conn->watched = IO_READ | (hvsocket_bytes_left(&conn->to_guest) > 0 ? IO_WRITE : 0u);
        return io_source_new(conn->hvs->loop, conn->fd, conn->watched, on_fd, conn, &conn->source);
}

int hvsocket_conn_open(struct hvsocket_conn *conn) {
        assert(conn->state == HVSOCKET_OFFERED);
        int r = conn->fd >= 0 ? hvsocket_conn_attach(conn) : 0;
        if (r < 0)
                return r;
        io_timer_disarm(conn->timer);
        conn->state = HVSOCKET_OPEN;
        report(conn, 0);
        return 0;
}

void hvsocket_conn_end(struct hvsocket_conn *conn, int r) {
        if (conn->state == HVSOCKET_RESCINDED)
                return;
        conn->state = HVSOCKET_RESCINDED;
        let_go(conn);
        report(conn, r);
        if (conn->channel)
                vmbus_rescind(conn->channel);
}

void hvsocket_conn_fail(struct hvsocket_conn *conn, int r) {
        struct hvsocket *hvs = conn->hvs;
        if (hvs->ops->problem)
                hvs->ops->problem(hvs->ctx, &conn->service, r);
        hvsocket_conn_end(conn, r);
}
