// SPDX-License-Identifier: MIT
/* Packets through an open channel (facts 4). Same thread as vmbus.h.
 *
 * A packet is copied out of the ring before anyone looks at it; ring corruption closes the channel
 * (close() is called, one log line) and reads as VMBUS_E_CLOSED from then on. */
#pragma once
#include <stdint.h>
#include <sys/uio.h>
#include "vmbus/vmbus.h"

enum {
        VMBUS_PACKET_INBAND = 6,
        VMBUS_PACKET_XFER_PAGES = 7,
        VMBUS_PACKET_GPA_DIRECT = 9,
        VMBUS_PACKET_COMPLETION = 11,

        VMBUS_PACKET_FLAG_COMPLETE = 1, /* completion requested */

        VMBUS_PACKET_SIZE_MAX = 64 * 1024, /* descriptor included; larger is corruption */
};

/* One received packet. All of it is our copy, valid until the next receive on this channel. */
struct vmbus_packet {
        uint16_t type;
        uint16_t flags;
        uint64_t transaction;
        const uint8_t *header; /* extra header between descriptor and payload (ranges) */
        size_t header_size;
        const uint8_t *payload;
        size_t payload_size; /* padded to 8 by the guest */
};

/* The next packet: 0, VMBUS_E_EMPTY, VMBUS_E_CLOSED. Call until EMPTY in each ready(): masking,
 * re-checking and flow-control signals are done inside. */
_warn_unused_ int vmbus_receive(struct vmbus_channel *channel, struct vmbus_packet *ret);

/* Sends one packet: 0, VMBUS_E_FULL (ready() is called when the guest made room), VMBUS_E_CLOSED.
 * `header`: the extra header of types 7 and 9, may be NULL. Pieces are written in order. */
_warn_unused_ int vmbus_send(struct vmbus_channel *channel, uint16_t type, uint16_t flags,
        uint64_t transaction, const struct iovec *pieces, int n_pieces);
_warn_unused_ int vmbus_send_inband(struct vmbus_channel *channel, uint64_t transaction,
        const void *payload, size_t size);
_warn_unused_ int vmbus_send_completion(struct vmbus_channel *channel, uint64_t transaction,
        const void *payload, size_t size);
/* Payload bytes that one vmbus_send_inband() can take right now (0 when closed). */
size_t vmbus_send_room(const struct vmbus_channel *channel);
/* Bytes of the guest→host ring, header page excluded. */
size_t vmbus_ring_size(const struct vmbus_channel *channel);

uint16_t vmbus_channel_relid(const struct vmbus_channel *channel);
const struct guid *vmbus_channel_instance(const struct vmbus_channel *channel);
bool vmbus_channel_is_open(const struct vmbus_channel *channel);
/* A GPADL that the guest made for this channel (netvsp buffers): borrowed until its teardown or
 * the channel's end. NULL when there is none of that handle. */
struct gmem_pages *vmbus_gpadl(struct vmbus_channel *channel, uint32_t handle);
