// SPDX-License-Identifier: MIT
/* What the files of this folder share.
 *
 *   dev.c    connects, accepts, dials; the channel's callbacks
 *   conn.c   one connection from offer to release
 *   pump.c   its bytes
 *   state.c  save and restore */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "hvsocket/hvsocket.h"
#include "hvsocket/proto.h"
#include "hvsocket/table.h"
#include "io/loop.h"
#include "vmbus/channel.h"

enum hvsocket_state {
        HVSOCKET_OFFERED,   /* the guest has not opened it yet */
        HVSOCKET_OPEN,      /* bytes flow */
        HVSOCKET_RESCINDED, /* ended; the guest has to release the relid */
        HVSOCKET_STATES_,
};

/* Bytes that one side has not taken yet: [begin, size) of data. */
struct hvsocket_bytes {
        uint8_t *data;
        size_t begin, size;
};

struct hvsocket_conn {
        struct hvsocket_conn *prev, *next;
        struct hvsocket *hvs;
        struct guid service, endpoint;
        bool from_host;
        enum hvsocket_state state;
        struct vmbus_channel *channel;

        int fd; /* -1 when the connection ended or has no owner yet */
        struct io_source *source;
        unsigned watched;
        struct io_timer *timer;      /* open and stall timeouts */
        hvsocket_dialled_fn dialled; /* NULL once called */
        void *dialled_ctx;

        struct hvsocket_bytes to_owner; /* of the last packet */
        bool more_to_owner;             /* the ring may hold more, it is only others' turn */
        bool guest_fin;                 /* the guest sends nothing more */
        bool guest_fin_passed_on;

        struct hvsocket_bytes to_guest;
        bool ring_full;
        bool owner_eof;  /* the owner sends nothing more */
        bool owner_gone; /* nor does he take anything more */
        bool fin_sent;

        bool detached; /* restored, waits for hvsocket_reattach() */
};

/* A connect that the owner has not answered. */
struct hvsocket_ask {
        uint64_t token; /* 0: free slot */
        struct guid service, endpoint;
        bool told; /* asked() was called */
};

struct hvsocket {
        struct vmbus *vmbus;
        struct io_loop *loop;
        const struct hvsocket_ops *ops;
        void *ctx;
        struct hvsocket_table table;
        struct hvsocket_ask asks[HVSOCKET_PENDING_MAX];
        uint64_t last_token;
        struct io_timer *ask_timer; /* tells of restored asks */
        struct hvsocket_conn conns; /* list head, in order of offers */
        size_t n_conns;
        bool restoring;                    /* inside hvsocket_restore() */
        uint8_t buffer[HVSOCKET_DATA_MAX]; /* between socket and ring, within one call */
};

extern const struct vmbus_channel_ops hvsocket_channel_ops;

/* A connection without a channel, last in the list. -EAGAIN past HVSOCKET_CONNECTIONS_MAX. */
_warn_unused_ int hvsocket_conn_new(struct hvsocket *hvs, const struct guid *service,
        const struct guid *endpoint, bool from_host, struct hvsocket_conn **ret);
struct hvsocket_conn *hvsocket_conn_free(struct hvsocket_conn *conn);
/* Watches the descriptor of an open connection. */
_warn_unused_ int hvsocket_conn_attach(struct hvsocket_conn *conn);
/* The guest opened it, or it was restored open. */
_warn_unused_ int hvsocket_conn_open(struct hvsocket_conn *conn);
/* Ends it from our side, r telling the dialler why: closes the descriptor, rescinds. `conn` may be
 * gone afterwards. */
void hvsocket_conn_end(struct hvsocket_conn *conn, int r);
/* The same for an error: tells ops->problem() first. */
void hvsocket_conn_fail(struct hvsocket_conn *conn, int r);

/* Moves what can be moved, both ways, and ends the connection when both ways are done. `conn` may
 * be gone afterwards. */
void hvsocket_conn_pump(struct hvsocket_conn *conn);

/* Appends a copy. -ENOMEM. */
_warn_unused_ int hvsocket_bytes_add(struct hvsocket_bytes *bytes, const void *data, size_t size);
size_t hvsocket_bytes_left(const struct hvsocket_bytes *bytes);
/* The first n were taken. Frees the memory with the last. */
void hvsocket_bytes_taken(struct hvsocket_bytes *bytes, size_t n);
void hvsocket_bytes_done(struct hvsocket_bytes *bytes);
