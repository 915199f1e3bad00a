// SPDX-License-Identifier: MIT
/* VMBus as a guest's kernel speaks it, from the facts and from Linux' behaviour, on processor 0:
 * hypercalls, SynIC, messages, channels with rings. Whatever does not go as it should ends the
 * guest (guest_check). */
#pragma once
#include "guest.h"
#include "wire/vmbus.h"

enum {
        GUEST_BUS_VECTOR = 0xf3,
        GUEST_BUS_MESSAGES = 4096, /* that have come and were not taken: every offer, and answers */
        GUEST_CHANNELS_MAX = 4,    /* open at once */
        GUEST_RING_PAGES = 7,      /* of each ring, header page included: Linux' hvsockets */
};

struct guest_channel {
        struct vmbus_msg_offer offer;
        uint32_t relid; /* 0: free slot */
        uint32_t gpadl;
        uint8_t *up, *down; /* header page, then data */
        uint32_t data_size; /* of each */
};

/* Hypercall page, SynIC, INITIATE_CONTACT. */
void guest_bus_connect(uint32_t version);
/* REQUESTOFFERS, until all have been delivered; they wait to be taken. */
void guest_bus_request_offers(void);
/* Before another guest_bus_connect(): what a kernel that starts anew no longer knows. */
void guest_bus_forget(void);
/* HvPostMessage; tries again while the host has no room. */
void guest_bus_post(const void *message, size_t size);
/* The oldest message of that type and size, removed; take: false when there is none, expect: waits
 * for it. */
bool guest_bus_take(uint32_t type, void *ret, size_t size);
void guest_bus_expect(uint32_t type, void *ret, size_t size);
/* A message that holds nothing but a relid. */
void guest_bus_post_relid(uint32_t type, uint32_t relid);

/* GPADL and OPENCHANNEL; the answer must be success. */
struct guest_channel *guest_channel_open(const struct vmbus_msg_offer *offer);
/* The same in memory that the caller has: 2 * ring_pages pages, at most 26. */
void guest_channel_open_in(struct guest_channel *channel, const struct vmbus_msg_offer *offer,
        uint8_t *memory, uint32_t ring_pages);
/* CLOSECHANNEL and the teardown of its GPADL. */
void guest_channel_close(struct guest_channel *channel);
/* After a RESCIND, which must be the next one: CLOSECHANNEL, RELID_RELEASED. */
void guest_channel_end(struct guest_channel *channel);

/* An in-band packet, as hv_ringbuffer_write() does it: false when the ring is full. */
bool guest_channel_send(struct guest_channel *channel, const void *payload, uint32_t size);
/* The payload of the next packet and its size, padded to 8; -1 when the ring is empty. */
int guest_channel_receive(struct guest_channel *channel, void *ret, uint32_t max);
/* What the host must make room for before it tells us (0: nothing). */
void guest_channel_set_pending(struct guest_channel *channel, uint32_t size);

/* Rings the host's doorbell, whatever there is to tell; false when it hangs no more. */
bool guest_channel_signal(const struct guest_channel *channel);

/* How often the host has rung this channel; wait: until it is no longer `seen`. Read it, look at
 * the rings, and wait when there was nothing to do. */
uint32_t guest_channel_rings(const struct guest_channel *channel);
void guest_channel_wait(const struct guest_channel *channel, uint32_t seen);
