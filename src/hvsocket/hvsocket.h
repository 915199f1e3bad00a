// SPDX-License-Identifier: MIT
/* Stream connections between guest and host over VMBus (facts 11). Each connection is one channel;
 * on the host side it is a connected, non-blocking stream socket that this module pumps: the owner
 * holds the other end. Half-close travels both ways: FIN ⇄ shutdown(SHUT_WR).
 *
 * Threads: the loop's. Limits: HVSOCKET_CONNECTIONS_MAX at once, HVSOCKET_PENDING_MAX not yet
 * answered; a guest past them is refused (TL_CONNECT_RESULT). */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/guid.h"
#include "vmbus/vmbus.h"

enum {
        HVSOCKET_CONNECTIONS_MAX = 1024,
        HVSOCKET_PENDING_MAX = 64,
        HVSOCKET_SERVICES_MAX = 256,
};

/* Service ids that Linux accepts: PPPPPPPP-facb-11e6-bd58-64006a7986d3, data1 = vsock port. */
struct guid hvsocket_service_of_port(uint32_t port);
/* True and *ret_port for an id of that form. */
bool hvsocket_port_of_service(const struct guid *service, uint32_t *ret_port);

/* Who may use a service: bind = the host side listens (guest connects), connect = the host
 * connects to the guest. A service without a row has the table's default. */
struct hvsocket_rule {
        struct guid service;
        bool allow_bind, allow_connect;
};

struct hvsocket;

struct hvsocket_ops {
        /* The guest dials a service that the table lets it dial. Answer now or later, exactly once,
         * with hvsocket_accept() or hvsocket_refuse(). */
        void (*asked)(void *ctx, uint64_t token, const struct guid *service,
                const struct guid *endpoint);
        /* All tokens are void (guest reset). */
        void (*reset)(void *ctx);
};

_warn_unused_ int hvsocket_new(struct vmbus *vmbus, struct io_loop *loop,
        const struct hvsocket_ops *ops, void *ctx, struct hvsocket **ret);
struct hvsocket *hvsocket_free(struct hvsocket *hvs);
DEFINE_CLEANUP(struct hvsocket, hvsocket_free)

/* Copied. -E2BIG past HVSOCKET_SERVICES_MAX. */
_warn_unused_ int hvsocket_set_table(struct hvsocket *hvs, const struct hvsocket_rule *rules, size_t n,
        bool default_bind, bool default_connect);

/* Takes fd over, also when it fails. -ESTALE: the token is void. */
int hvsocket_accept(struct hvsocket *hvs, uint64_t token, int fd_consume);
void hvsocket_refuse(struct hvsocket *hvs, uint64_t token);

/* Connects to a listener in the guest. done is called once with 0, -EACCES (table), -ETIMEDOUT (no
 * listener), -ECONNRESET, -EAGAIN (limits); fd is closed unless 0. */
typedef void (*hvsocket_dialled_fn)(void *ctx, int r);
void hvsocket_dial(struct hvsocket *hvs, const struct guid *service, int fd_consume,
        uint32_t timeout_ms, hvsocket_dialled_fn done, void *ctx);

/* Open connections. */
size_t hvsocket_connections(const struct hvsocket *hvs);
/* Saved: the connections with bytes in flight. After restore the owner gives each its descriptor
 * again by hvsocket_reattach(), in saved order; one that gets none is closed with FIN. */
_warn_unused_ int hvsocket_save(struct hvsocket *hvs, struct wr *wr);
_warn_unused_ int hvsocket_restore(struct hvsocket *hvs, struct rd *rd);
