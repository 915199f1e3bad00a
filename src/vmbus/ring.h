// SPDX-License-Identifier: MIT
/* One direction of a channel: a control page and its data pages inside a GPADL (facts 4). Pure over
 * guest memory: says when to signal and leaves the signalling to the caller. Internal to src/vmbus.
 *
 * The index that is ours is kept here and only ever written to the ring; the guest's is loaded once
 * per step and checked before use. Anything out of order is -EBADMSG: the ring is corrupt. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "vmbus/channel.h"

struct ring {
        struct gmem_pages *pages; /* borrowed */
        size_t control;           /* offset of the control page */
        uint32_t size;            /* bytes of data */
        uint32_t mine;            /* read index of an incoming ring, write index of an outgoing */
        bool masked;              /* incoming: interrupt_mask is set, or may be */
        bool waiting;             /* outgoing: pending_send_sz is set, or may be */
};

/* The fields of a packet that the sender chooses; the rest follows from its pieces. */
struct ring_packet {
        uint16_t type;
        uint16_t flags;
        uint64_t transaction;
        const struct iovec *pieces;
        int n_pieces;
};

enum { RING_PAGES_MIN = 2 }; /* the control page and one of data */

/* Pages [first, first + n) of `pages` as a ring, with our index as it stands there. */
_warn_unused_ int ring_open_incoming(
        struct ring *ring, struct gmem_pages *pages, size_t first, size_t n);
_warn_unused_ int ring_open_outgoing(
        struct ring *ring, struct gmem_pages *pages, size_t first, size_t n);
/* Asks for doorbells: what a ring needs once after it was opened, not after a restore. */
void ring_unmask(struct ring *ring);

/* The next packet, copied into buf: 0, VMBUS_E_EMPTY (doorbells are asked for), -EBADMSG.
 * *ret_signal: the guest waits for the room that this made. */
_warn_unused_ int ring_receive(struct ring *ring, uint8_t buf[VMBUS_PACKET_SIZE_MAX],
        struct vmbus_packet *ret, bool *ret_signal);
/* 0, VMBUS_E_FULL (the guest will signal room), -EMSGSIZE, -EINVAL, -EBADMSG.
 * *ret_signal: the guest is to be told of the packet. */
_warn_unused_ int ring_send(struct ring *ring, const struct ring_packet *packet, bool *ret_signal);
/* Payload bytes that fit into one in-band packet now; 0 also when the ring is corrupt. */
size_t ring_send_room(const struct ring *ring);
