// SPDX-License-Identifier: MIT
/* Connects by the guest, dials by the host, and the callbacks of the channels. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/fault.h"
#include "base/fd.h"
#include "hvsocket/internal.h"

/* Channel callbacks */

static uint32_t on_open(void *ctx, struct vmbus_channel *channel,
        _unused_ const uint8_t user_data[VMBUS_USER_DATA_SIZE]) {
        struct hvsocket_conn *conn = ctx;
        /* A restored one that nobody took waits for its open timeout. */
        if (conn->state != HVSOCKET_OFFERED || (conn->detached && !conn->hvs->restoring))
                return VMBUS_STATUS_CONNECTION_REFUSED;
        conn->channel = channel;
        /* On failure the open timeout ends it. */
        return hvsocket_conn_open(conn) < 0 ? VMBUS_STATUS_INSUFFICIENT_RESOURCES
                                            : VMBUS_STATUS_SUCCESS;
}

static void on_ready(void *ctx, _unused_ struct vmbus_channel *channel) {
        hvsocket_conn_pump(ctx);
}

/* Linux closes only after our RESCIND: this guest restarted, broke its ring, or is another one. */
static void on_close(void *ctx, _unused_ struct vmbus_channel *channel) {
        hvsocket_conn_end(ctx, -ECONNRESET);
}

static void on_released(void *ctx, _unused_ struct vmbus_channel *channel) {
        struct hvsocket_conn *conn = ctx;
        conn->channel = NULL;
        hvsocket_conn_end(conn, -ECONNRESET);
        hvsocket_conn_free(conn);
}

const struct vmbus_channel_ops hvsocket_channel_ops = {
        .open = on_open,
        .ready = on_ready,
        .close = on_close,
        .released = on_released,
};

/* Offers a connection; takes over *fd with success. */
static int offer(struct hvsocket *hvs, const struct guid *service, const struct guid *endpoint,
        bool from_host, int *fd, struct hvsocket_conn **ret) {
        struct hvsocket_conn *conn;
        int r = hvsocket_conn_new(hvs, service, endpoint, from_host, &conn);
        if (r < 0)
                return r;
        struct vmbus_offer offer = {
                .type = *service,
                .instance = *endpoint,
                .flags = VMBUS_OFFER_ENUMERATE | VMBUS_OFFER_NAMED_PIPE | VMBUS_OFFER_TLNPI,
                .name = "hvsocket",
        };
        hvsocket_user_defined(from_host, offer.user_defined);
        r = vmbus_offer(hvs->vmbus, &offer, &hvsocket_channel_ops, conn, &conn->channel);
        if (r != 0) {
                hvsocket_conn_free(conn);
                return r < 0 ? r : -EAGAIN;
        }
        conn->fd = TAKE_FD(*fd);
        *ret = conn;
        return 0;
}

/* Guest to host */

static struct hvsocket_ask *find_ask(struct hvsocket *hvs, uint64_t token) {
        for (size_t i = 0; i < HVSOCKET_PENDING_MAX; i++)
                if (hvs->asks[i].token == token)
                        return &hvs->asks[i];
        return NULL;
}

static void refuse(struct hvsocket *hvs, const struct guid *service, const struct guid *endpoint) {
        vmbus_tl_result(hvs->vmbus, endpoint, service, VMBUS_STATUS_CONNECTION_REFUSED);
}

static void tell(struct hvsocket *hvs, struct hvsocket_ask *ask) {
        const struct guid service = ask->service, endpoint = ask->endpoint;
        ask->told = true;
        hvs->ops->asked(hvs->ctx, ask->token, &service, &endpoint);
}

static void on_connect(void *ctx, const struct guid *endpoint, const struct guid *service) {
        struct hvsocket *hvs = ctx;
        struct hvsocket_ask *ask = find_ask(hvs, 0);
        bool own = hvs->ops->own && hvs->ops->own(hvs->ctx, service);
        if (!ask || (!own && !hvsocket_table_may_bind(&hvs->table, service))) {
                refuse(hvs, service, endpoint);
                return;
        }
        *ask = (struct hvsocket_ask){
                .token = ++hvs->last_token,
                .service = *service,
                .endpoint = *endpoint,
        };
        tell(hvs, ask);
}

static void on_reset(void *ctx) {
        struct hvsocket *hvs = ctx;
        for (size_t i = 0; i < HVSOCKET_PENDING_MAX; i++)
                hvs->asks[i].token = 0;
        hvs->ops->reset(hvs->ctx);
}

static const struct vmbus_tl_ops tl_ops = {.connect = on_connect, .reset = on_reset};

/* Restored asks are told from the loop. Tables may have changed; what is refused is gone. */
static void tell_restored(void *ctx) {
        struct hvsocket *hvs = ctx;
        for (size_t i = 0; i < HVSOCKET_PENDING_MAX; i++)
                if (hvs->asks[i].token != 0 && !hvs->asks[i].told)
                        tell(hvs, &hvs->asks[i]);
}

int hvsocket_accept(struct hvsocket *hvs, uint64_t token, int fd_consume) {
        _cleanup_close_ int fd = fd_consume;
        struct hvsocket_ask *found = token != 0 ? find_ask(hvs, token) : NULL;
        if (!found)
                return -ESTALE;
        const struct hvsocket_ask ask = *found;
        found->token = 0;
        struct hvsocket_conn *conn;
        int r = offer(hvs, &ask.service, &ask.endpoint, false, &fd, &conn);
        if (r < 0) {
                refuse(hvs, &ask.service, &ask.endpoint);
                return r;
        }
        io_timer_arm(conn->timer, HVSOCKET_OPEN_TIMEOUT_MS * CLOCK_NS_PER_MS, 0);
        return 0;
}

void hvsocket_refuse(struct hvsocket *hvs, uint64_t token) {
        struct hvsocket_ask *ask = token != 0 ? find_ask(hvs, token) : NULL;
        if (!ask)
                return;
        ask->token = 0;
        refuse(hvs, &ask->service, &ask->endpoint);
}

/* Host to guest */

void hvsocket_dial(struct hvsocket *hvs, const struct guid *service, int fd_consume,
        uint32_t timeout_ms, hvsocket_dialled_fn done, void *ctx) {
        _cleanup_close_ int fd = fd_consume;
        if (!hvsocket_table_may_connect(&hvs->table, service)) {
                done(ctx, -EACCES);
                return;
        }
        struct guid endpoint;
        guid_random(&endpoint);
        struct hvsocket_conn *conn;
        int r = offer(hvs, service, &endpoint, true, &fd, &conn);
        if (r < 0) {
                done(ctx, r);
                return;
        }
        conn->dialled = done;
        conn->dialled_ctx = ctx;
        io_timer_arm(conn->timer, timeout_ms * CLOCK_NS_PER_MS, 0);
}

/* The module */

int hvsocket_new(struct vmbus *vmbus, struct io_loop *loop, const struct hvsocket_ops *ops,
        void *ctx, struct hvsocket **ret) {
        struct hvsocket *hvs = fault_hit(FAULT_ALLOC) ? NULL : calloc(1, sizeof *hvs);
        if (!hvs)
                return -ENOMEM;
        hvs->vmbus = vmbus;
        hvs->loop = loop;
        hvs->ops = ops;
        hvs->ctx = ctx;
        hvs->conns.prev = hvs->conns.next = &hvs->conns;
        int r = io_timer_new(loop, tell_restored, hvs, &hvs->ask_timer);
        if (r < 0) {
                free(hvs);
                return r;
        }
        vmbus_set_tl(vmbus, &tl_ops, hvs);
        *ret = hvs;
        return 0;
}

struct hvsocket *hvsocket_free(struct hvsocket *hvs) {
        if (!hvs)
                return NULL;
        assert(hvs->n_conns == 0);
        hvs->ask_timer = io_timer_free(hvs->ask_timer);
        hvsocket_table_done(&hvs->table);
        free(hvs);
        return NULL;
}

int hvsocket_set_table(struct hvsocket *hvs, const struct hvsocket_rule *rules, size_t n,
        bool default_bind, bool default_connect) {
        return hvsocket_table_set(&hvs->table, rules, n, default_bind, default_connect);
}

size_t hvsocket_connections(const struct hvsocket *hvs) {
        size_t n = 0;
        for (const struct hvsocket_conn *c = hvs->conns.next; c != &hvs->conns; c = c->next)
                n += c->state == HVSOCKET_OPEN;
        return n;
}
