// SPDX-License-Identifier: MIT
/* Packets through an open channel (facts 4). Same thread as vmbus.h.
 *
 * A packet is copied out of the ring before anyone looks at it; ring corruption closes the channel
 * (close() follows from the loop, host_ops->problem() tells) and reads as VMBUS_E_CLOSED from then
 * on. Types and flags of packets: wire/vmbus.h. */
#pragma once
#include <stdint.h>
#include <sys/uio.h>
#include "vmbus/vmbus.h"

enum { VMBUS_PACKET_SIZE_MAX = 64 * 1024 }; /* descriptor included; larger is corruption */

/* One received packet. All of it is our copy, valid until the next receive on any channel. */
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
 * re-checking and flow-control signals are done inside. Who stops before EMPTY (backpressure) calls
 * again by himself: the guest's doorbell stays masked until EMPTY. */
_warn_unused_ int vmbus_receive(struct vmbus_channel *channel, struct vmbus_packet *ret);

/* Sends one packet: 0, VMBUS_E_FULL (ready() is called when the guest made room for this much),
 * VMBUS_E_CLOSED, -EMSGSIZE when no ring of this size ever holds it, -EINVAL for a header of types
 * 7 and 9 that is not a multiple of 8. Pieces are written in order; of types 7 and 9 the first
 * piece is the extra header. */
_warn_unused_ int vmbus_send(struct vmbus_channel *channel, uint16_t type, uint16_t flags,
        uint64_t transaction, const struct iovec *pieces, int n_pieces);
_warn_unused_ int vmbus_send_inband(
        struct vmbus_channel *channel, uint64_t transaction, const void *payload, size_t size);
_warn_unused_ int vmbus_send_completion(
        struct vmbus_channel *channel, uint64_t transaction, const void *payload, size_t size);
/* Payload bytes that one vmbus_send_inband() can take right now (0 when closed). */
size_t vmbus_send_room(const struct vmbus_channel *channel);
/* Bytes of the guest→host ring, header page excluded. */
size_t vmbus_ring_size(const struct vmbus_channel *channel);

uint16_t vmbus_channel_relid(const struct vmbus_channel *channel);
const struct guid *vmbus_channel_instance(const struct vmbus_channel *channel);
bool vmbus_channel_is_open(const struct vmbus_channel *channel);
/* A GPADL that the guest made whole for this channel (netvsp buffers), held until put: the guest's
 * teardown is answered only after that. A channel's end puts what close() left. NULL when there is
 * none of that handle. Each get needs its put. */
struct gmem_pages *vmbus_gpadl_get(struct vmbus_channel *channel, uint32_t handle);
void vmbus_gpadl_put(struct vmbus_channel *channel, uint32_t handle);
