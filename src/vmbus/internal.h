// SPDX-License-Identifier: MIT
/* The server's own structs. Internal to src/vmbus. */
#pragma once
#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>
#include "vmbus/channel.h"
#include "vmbus/gpadl.h"
#include "vmbus/ring.h"

/* The life of a channel; channel.c has the table of what leads where. */
enum channel_state {
        CHANNEL_HIDDEN,     /* the guest does not know it */
        CHANNEL_OFFERING,   /* its offer waits to be sent */
        CHANNEL_CLOSED,     /* known to the guest */
        CHANNEL_OPEN,       /* rings work */
        CHANNEL_FAILED,     /* open to the guest, but its ring was corrupt */
        CHANNEL_RESCINDING, /* taken back; the word of it waits to be sent */
        CHANNEL_RESCINDED,  /* taken back; the guest has not released the relid yet */
        CHANNEL_GONE,       /* released by the guest unasked: not for this connection */
        CHANNEL_STATES_,
};

enum channel_event {
        CHANNEL_ASKED_FOR,  /* REQUESTOFFERS, or offered after it */
        CHANNEL_TOLD,       /* the offer or rescind was posted */
        CHANNEL_DO_OPEN,    /* OPENCHANNEL */
        CHANNEL_DO_CLOSE,   /* CLOSECHANNEL */
        CHANNEL_DO_FAIL,    /* ring corruption */
        CHANNEL_DO_RESCIND, /* the owner takes it back */
        CHANNEL_RELEASED,   /* RELID_RELEASED */
        CHANNEL_EVENTS_,
};

struct vmbus_channel {
        struct vmbus *vmbus;
        struct vmbus_offer offer;
        const struct vmbus_channel_ops *ops; /* NULL: restored and not yet claimed */
        void *ctx;
        uint16_t relid;
        enum channel_state state;
        TAILQ_ENTRY(vmbus_channel) notify; /* in vmbus.notify while OFFERING or RESCINDING */
        bool close_due;                    /* FAILED, and close() was not called yet */

        /* Since OPENCHANNEL. */
        uint32_t target_vp;
        uint32_t downstream_page;
        uint8_t user_data[VMBUS_USER_DATA_SIZE];
        struct gpadl *gpadl; /* of both rings, used */
        struct ring in, out;
        struct io_event *doorbell;
};

TAILQ_HEAD(channel_queue, vmbus_channel);

enum {
        ANSWER_SIZE_MAX = sizeof(struct vmbus_msg_tl_result), /* the longest answer */
        /* Every pending connect can turn into an answer while the inbox already waits. */
        OUTBOX_CAPACITY = VMBUS_OUTBOX_MAX + VMBUS_TL_PENDING_MAX,
};

struct outbox_entry {
        uint8_t size;
        uint8_t data[ANSWER_SIZE_MAX];
};

struct inbox_entry {
        uint16_t size;
        union vmbus_message message;
};

struct vmbus {
        struct gmem *gm; /* borrowed, as all of these */
        struct io_loop *loop;
        const struct vmbus_host_ops *ops;
        void *ctx;
        const struct vmbus_tl_ops *tl_ops;
        void *tl_ctx;

        struct io_event *event; /* run vmbus_run() soon */
        bool paused;
        atomic_uint_fast64_t ignored;

        pthread_mutex_t lock; /* of the inbox */
        struct inbox_entry inbox[VMBUS_INBOX_MAX];
        unsigned inbox_first, inbox_n;

        /* The connection. The target outlives it: an answer to UNLOAD needs it. */
        uint32_t version; /* 0: none */
        uint32_t target_vp;
        uint8_t target_sint;
        bool offers_requested;
        bool delivered_due; /* ALLOFFERS_DELIVERED follows the last offer in notify */
        unsigned tl_pending;
        struct outbox_entry outbox[OUTBOX_CAPACITY];
        unsigned outbox_first, outbox_n;

        struct vmbus_channel *channels[VMBUS_RELID_MAX + 1]; /* by relid */
        unsigned n_channels;
        uint16_t last_relid; /* relids are handed out in turn, so that an old one rests */
        struct channel_queue notify;
        unsigned closes_due; /* channels with close_due */
        struct gpadl_set gpadls;

        uint8_t packet[VMBUS_PACKET_SIZE_MAX]; /* the packet received last */
};

/* vmbus.c */
void vmbus_ignore(struct vmbus *vmbus);
/* Queues an answer. Its room is there by construction. */
void vmbus_answer(struct vmbus *vmbus, const void *message, size_t size);
/* Posts what waits, until the SINT is full. */
void vmbus_pump(struct vmbus *vmbus);
/* Messages, closes and posts that are due. Called from the loop. */
void vmbus_run(void *ctx);

/* message.c */
void vmbus_message_handle(struct vmbus *vmbus, const union vmbus_message *m, size_t size);

/* Handlers of the guest's messages: the message is our copy and as long as its rule says. */
typedef void message_fn(struct vmbus *vmbus, const union vmbus_message *m, size_t size);
message_fn vmbus_connection_initiate, vmbus_connection_unload;            /* connection.c */
message_fn vmbus_offer_request, vmbus_offer_released;                     /* offer.c */
message_fn vmbus_channel_open, vmbus_channel_close, vmbus_channel_modify; /* channel.c */
message_fn vmbus_channel_gpadl_header, vmbus_channel_gpadl_body, vmbus_channel_gpadl_teardown;
message_fn vmbus_tl_connect; /* tl.c */

/* connection.c */
bool vmbus_connection_version_supported(uint32_t version);
bool vmbus_connection_target_valid(const struct vmbus *vmbus, uint32_t vp, uint8_t sint);
/* All channels close, dynamic ones go, nothing waits any more. */
void vmbus_connection_end(struct vmbus *vmbus);

/* offer.c */
struct vmbus_channel *vmbus_offer_lookup(struct vmbus *vmbus, uint32_t relid);
_warn_unused_ int vmbus_offer_add(struct vmbus *vmbus, const struct vmbus_offer *offer,
        uint16_t relid, struct vmbus_channel **ret);
/* Any free relid, or 0. */
uint16_t vmbus_offer_free_relid(struct vmbus *vmbus);
/* Gone from the tables, with its GPADLs; then released() and free. */
void vmbus_offer_release(struct vmbus_channel *channel);
/* Never offered again by us: hvsocket connections, and sub-channels that a device adds on demand.
 */
bool vmbus_offer_is_dynamic(const struct vmbus_offer *offer);
void vmbus_offer_message(const struct vmbus_channel *channel, struct vmbus_msg_offer *ret);
uint32_t vmbus_offer_connection_id(const struct vmbus_channel *channel);

/* channel.c: false when the event cannot happen in this state. Keeps vmbus.notify in step. */
bool vmbus_channel_step(struct vmbus_channel *channel, enum channel_event event);
/* Whether a channel in this state is in vmbus.notify. */
bool vmbus_channel_state_waits(enum channel_state state);
bool vmbus_channel_vp_valid(const struct vmbus *vmbus, uint32_t vp);
/* Rings, doorbell: an NTSTATUS. Uses channel->{gpadl,downstream_page}. */
_warn_unused_ uint32_t vmbus_channel_plug(struct vmbus_channel *channel);
void vmbus_channel_unplug(struct vmbus_channel *channel);
void vmbus_channel_fail(struct vmbus_channel *channel, const char *what);
/* Calls the close() that a failure left to the loop. */
void vmbus_channel_close_failed(struct vmbus *vmbus);
