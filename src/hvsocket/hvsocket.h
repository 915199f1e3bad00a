// SPDX-License-Identifier: MIT
/* Stream connections between guest and host over VMBus (facts 11). Each connection is one channel;
 * on the host side it is a connected stream socket that this module pumps: the owner holds the
 * other end. Half-close travels both ways: FIN ⇄ shutdown(SHUT_WR). An owner who closes his end is
 * gone: what he wrote is delivered, then the connection ends.
 *
 * A guest that breaks the protocol loses that one connection.
 *
 * Threads: the loop's. Limits: HVSOCKET_CONNECTIONS_MAX at once (those whose channel the guest has
 * not let go of yet included), HVSOCKET_PENDING_MAX not yet answered; a guest past them is refused
 * (TL_CONNECT_RESULT). */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/guid.h"
#include "vmbus/vmbus.h"

enum {
        HVSOCKET_CONNECTIONS_MAX = 1024,
        HVSOCKET_PENDING_MAX = 64,
        HVSOCKET_SERVICES_MAX = 256,

        /* A guest that asked for a connection and does not open it: its connect() gave up. */
        HVSOCKET_OPEN_TIMEOUT_MS = 30000,
        /* A guest that closed (FIN) and takes nothing more of what the host still sends. A closed
         * socket cannot be told from a half-closed one until then. */
        HVSOCKET_STALL_TIMEOUT_MS = 60000,
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
        /* True for services that the owner himself serves: the table does not apply to them. May be
         * NULL. */
        bool (*own)(void *ctx, const struct guid *service);
        /* The guest dials a service that the table lets it dial. Answer now or later, exactly once,
         * with hvsocket_accept() or hvsocket_refuse(). */
        void (*asked)(
                void *ctx, uint64_t token, const struct guid *service, const struct guid *endpoint);
        /* All tokens are void (guest reset). */
        void (*reset)(void *ctx);
        /* Something that the log should say: a connection ended since the guest broke the
         * protocol, or for an error of ours (negative errno). May be NULL. */
        void (*problem)(void *ctx, const struct guid *service, int r);
};

/* The default table allows nothing. Takes the vmbus's TL connects for itself. */
_warn_unused_ int hvsocket_new(struct vmbus *vmbus, struct io_loop *loop,
        const struct hvsocket_ops *ops, void *ctx, struct hvsocket **ret);
/* After vmbus_free(), which ends every connection. */
struct hvsocket *hvsocket_free(struct hvsocket *hvs);
DEFINE_CLEANUP(struct hvsocket, hvsocket_free)

/* Copied. Decides over later connections only. -E2BIG past HVSOCKET_SERVICES_MAX, -EEXIST for two
 * rules of one service. */
_warn_unused_ int hvsocket_set_table(struct hvsocket *hvs, const struct hvsocket_rule *rules,
        size_t n, bool default_bind, bool default_connect);

/* Takes fd over, also when it fails; after a failure the guest has been refused. -ESTALE: the token
 * is void; -EAGAIN: limits; -EEXIST: the guest's endpoint is in use. */
int hvsocket_accept(struct hvsocket *hvs, uint64_t token, int fd_consume);
void hvsocket_refuse(struct hvsocket *hvs, uint64_t token);

/* Connects to a listener in the guest. done is called once, possibly before this returns, with 0,
 * -EACCES (table), -ETIMEDOUT (no listener), -ECONNRESET, -EAGAIN (limits), -ENOMEM; fd is closed
 * unless 0, and with 0 nothing has been read from it or written to it yet. */
typedef void (*hvsocket_dialled_fn)(void *ctx, int r);
void hvsocket_dial(struct hvsocket *hvs, const struct guid *service, int fd_consume,
        uint32_t timeout_ms, hvsocket_dialled_fn done, void *ctx);

/* Connections that the guest has opened and that have not ended. */
size_t hvsocket_connections(const struct hvsocket *hvs);

/* Saved, with the vmbus paused: the connections with the bytes that this module or the owner's
 * socket holds for the guest, and those that the owner has not taken yet; and the connects that
 * nobody has answered. Bytes that the owner's end has received are the owner's to save. */
_warn_unused_ int hvsocket_save(struct hvsocket *hvs, struct wr *wr);
/* After vmbus_restore(), before vmbus_resume(); a hvsocket just made. Then the owner gives each
 * connection a descriptor again, in saved order, while the vmbus is still paused; one that gets
 * none when the vmbus goes on is closed with FIN. asked() comes again from the loop for what was
 * not answered. On failure only hvsocket_free() is left. */
_warn_unused_ int hvsocket_restore(struct hvsocket *hvs, struct rd *rd);
/* The next restored connection without a descriptor: false when there is none left. `from_host`:
 * it was dialled by the host, and endpoint is an id that the host made up. */
bool hvsocket_detached(const struct hvsocket *hvs, struct guid *ret_service,
        struct guid *ret_endpoint, bool *ret_from_host);
/* For that one: takes fd over; -1 closes the connection. -ENOENT when there is none left. */
int hvsocket_reattach(struct hvsocket *hvs, int fd_consume);
