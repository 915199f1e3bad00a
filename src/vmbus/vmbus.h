// SPDX-License-Identifier: MIT
/* The VMBus server: version negotiation, offers, GPADLs, channels, TL connects. Knows no KVM: the
 * host side (SynIC, doorbells) is reached through struct vmbus_host_ops.
 *
 * A device offers a channel with callbacks and is told when the guest opens it; packets go through
 * the channel's rings (vmbus/channel.h). Everything that a guest sends is copied, then checked;
 * what it may not do ends in a refusal or in that one channel's failure, never in ours.
 *
 * Threads: all calls and callbacks on the thread of the loop given to vmbus_new(), except
 * vmbus_message() and vmbus_slot_free(), which VP threads call. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/cleanup.h"
#include "base/guid.h"
#include "base/rd.h"
#include "base/wr.h"
#include "gmem/gmem.h"
#include "io/loop.h"
#include "wire/vmbus.h"

enum {
        VMBUS_CHANNELS_MAX = VMBUS_RELID_MAX, /* offered at once, hvsockets included */
        VMBUS_GPADLS_MAX = 8192,              /* alive or half done, per connection */
        VMBUS_GPADL_PAGES_MAX = 262144,       /* pages in all GPADLs together (1 GiB) */
        VMBUS_INBOX_MAX = 256,                /* guest messages waiting for the loop */
        VMBUS_OUTBOX_MAX = 64,      /* answers waiting for a SINT slot; then the inbox waits */
        VMBUS_TL_PENDING_MAX = 256, /* hvsocket connects undecided; then refused by us */
};

/* Documented refusals (positive). */
enum {
        VMBUS_E_FULL = 1, /* relids, ring, or inbox: try again when there is room */
        VMBUS_E_EMPTY,    /* no packet */
        VMBUS_E_CLOSED,   /* the channel is not open */
};

struct vmbus;
struct vmbus_channel;

struct vmbus_host_ops {
        /* 0; VMBUS_E_FULL when the SINT's queue is full: sent again after vmbus_slot_free();
         * anything else (that VP's SynIC is off): the message is dropped. */
        int (*post)(void *ctx, uint32_t vp, uint8_t sint, const void *payload, size_t size);
        /* Sets event flag `flag` of the VP's SINT. */
        int (*signal)(void *ctx, uint32_t vp, uint8_t sint, uint16_t flag);
        int (*bind_event)(void *ctx, uint32_t connection_id, int eventfd);
        void (*unbind_event)(void *ctx, uint32_t connection_id);
        uint32_t (*vps)(void *ctx);
        /* Something that the log should say once, like a ring found corrupt. May be NULL. */
        void (*problem)(void *ctx, const char *channel_name, uint16_t relid, const char *what);
};

/* What a device says of the channel that it offers (facts 3.4). */
struct vmbus_offer {
        struct guid type;
        struct guid instance;
        uint16_t flags;
        uint16_t mmio_megabytes;
        uint16_t sub_channel_index;
        uint8_t user_defined[VMBUS_USER_DATA_SIZE];
        const char *name; /* for log lines; static or outliving the channel */
};

/* What a channel's owner is told. Every device has this shape. */
struct vmbus_channel_ops {
        /* The guest opened the channel; the rings work from here on. Nonzero refuses (an NTSTATUS
         * for OPEN_RESULT). user_data: the guest's 120 bytes. */
        uint32_t (*open)(void *ctx, struct vmbus_channel *channel,
                const uint8_t user_data[VMBUS_USER_DATA_SIZE]);
        /* The guest's doorbell: packets or room may be there. Coalesced. */
        void (*ready)(void *ctx, struct vmbus_channel *channel);
        /* The guest closed it, the connection ended, or the ring was found corrupt: the rings are
         * gone. Comes from the loop, never from inside vmbus_receive() or vmbus_send(). May open
         * again later, unless rescinded. */
        void (*close)(void *ctx, struct vmbus_channel *channel);
        /* The relid is free again after a rescind, and `channel` with it. Also for hvsocket and
         * sub-channels when the connection ends: those are never offered again by us. */
        void (*released)(void *ctx, struct vmbus_channel *channel);
};

/* hvsocket connects (TL_CONNECT_REQUEST). Each connect is answered exactly once: by an offer with
 * VMBUS_OFFER_TLNPI and user_defined[4] == 0 (accepted), or by vmbus_tl_result() (refused). */
struct vmbus_tl_ops {
        void (*connect)(void *ctx, const struct guid *endpoint, const struct guid *service);
        /* The connection to the guest's VMBus ended (unload, re-contact, reset): all is void. */
        void (*reset)(void *ctx);
};

_warn_unused_ int vmbus_new(struct gmem *gm, struct io_loop *loop, const struct vmbus_host_ops *ops,
        void *ctx, struct vmbus **ret);
/* Every channel is closed and released first. */
struct vmbus *vmbus_free(struct vmbus *vmbus);
DEFINE_CLEANUP(struct vmbus, vmbus_free)

void vmbus_set_tl(struct vmbus *vmbus, const struct vmbus_tl_ops *ops, void *ctx);

/* A guest message from HvPostMessage, any thread: an HV_STATUS (0 taken; 0x12 for a connection id
 * that is not ours; 0x13 inbox full, try again). */
_warn_unused_ uint16_t vmbus_message(struct vmbus *vmbus, uint32_t connection_id, uint32_t type,
        const void *payload, size_t size);
/* Room in a SINT queue again, any thread. */
void vmbus_slot_free(struct vmbus *vmbus);

/* Offers a channel, now if a guest is connected, else when it asks. VMBUS_E_FULL past the limit,
 * -EEXIST for a second primary with the same type and instance. ops and offer->name are borrowed.
 */
_warn_unused_ int vmbus_offer(struct vmbus *vmbus, const struct vmbus_offer *offer,
        const struct vmbus_channel_ops *ops, void *ctx, struct vmbus_channel **ret);
/* Takes the offer back. The channel closes at once (no close() callback), the relid is free after
 * the guest's answer: released() then tells. A guest that was never told releases at once, before
 * this returns. */
void vmbus_rescind(struct vmbus_channel *channel);
/* The answer to a refused hvsocket connect (TL_CONNECT_RESULT). Nothing when none is pending. */
void vmbus_tl_result(struct vmbus *vmbus, const struct guid *endpoint, const struct guid *service,
        uint32_t ntstatus);

/* The machine restarts: all channels close (close() is called on open ones), hvsocket channels and
 * sub-channels are released, GPADLs and waiting messages go, offers wait for the next contact. */
void vmbus_reset(struct vmbus *vmbus);
/* True between INITIATE_CONTACT and UNLOAD. */
bool vmbus_connected(const struct vmbus *vmbus);
uint32_t vmbus_version(const struct vmbus *vmbus); /* 0 when not connected */

/* Messages of the guest that made no sense and were passed over, since vmbus_new(). */
uint64_t vmbus_ignored(const struct vmbus *vmbus);

/* While paused nothing here reads or writes guest memory or posts: vmbus_receive() says EMPTY,
 * vmbus_send() FULL, no callback comes, offers and rescinds wait. Resume calls ready() on every
 * open channel. Both may be repeated. */
void vmbus_pause(struct vmbus *vmbus);
void vmbus_resume(struct vmbus *vmbus);

/* Paused, no VP runs. State of the connection, GPADLs, channels and waiting messages (ring
 * positions are in guest memory); the same state saves to the same bytes. */
_warn_unused_ int vmbus_save(struct vmbus *vmbus, struct wr *wr);
/* Into a bus just made, after the same devices made the same offers: channels that were open call
 * open() again, those with another relid than before get the old one. Leaves the bus paused. Then
 * the modules with dynamic channels (hvsocket) take theirs by vmbus_restore_offer(), in which
 * open() may come; then vmbus_resume() rescinds what nobody took. On failure the bus is good only
 * for vmbus_free(). */
_warn_unused_ int vmbus_restore(struct vmbus *vmbus, struct rd *rd);
/* A saved channel that vmbus_offer() did not make again: -ENOENT, or whether it was open by
 * vmbus_channel_is_open(). `channel` is known to the owner only after this returned. */
_warn_unused_ int vmbus_restore_offer(struct vmbus *vmbus, const struct guid *type,
        const struct guid *instance, const char *name, const struct vmbus_channel_ops *ops,
        void *ctx, struct vmbus_channel **ret);
