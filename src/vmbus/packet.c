// SPDX-License-Identifier: MIT
/* What an owner does with its channel: packets and GPADLs. */
#include <errno.h>
#include "vmbus/internal.h"

uint16_t vmbus_channel_relid(const struct vmbus_channel *channel) {
        return channel->relid;
}

const struct guid *vmbus_channel_instance(const struct vmbus_channel *channel) {
        return &channel->offer.instance;
}

bool vmbus_channel_is_open(const struct vmbus_channel *channel) {
        return channel->state == CHANNEL_OPEN;
}

static void channel_signal(const struct vmbus_channel *channel) {
        const struct vmbus *vmbus = channel->vmbus;
        if (channel->target_vp != VMBUS_VP_NO_INTERRUPT)
                (void)vmbus->ops->signal(
                        vmbus->ctx, channel->target_vp, VMBUS_SINT, channel->relid);
}

int vmbus_receive(struct vmbus_channel *channel, struct vmbus_packet *ret) {
        if (channel->state != CHANNEL_OPEN)
                return VMBUS_E_CLOSED;
        if (channel->vmbus->paused)
                return VMBUS_E_EMPTY;
        bool signal = false;
        int r = ring_receive(&channel->in, channel->vmbus->packet, ret, &signal);
        if (r < 0) {
                vmbus_channel_fail(channel, "the guest's ring is corrupt");
                return VMBUS_E_CLOSED;
        }
        if (signal)
                channel_signal(channel);
        return r;
}

int vmbus_send(struct vmbus_channel *channel, uint16_t type, uint16_t flags, uint64_t transaction,
        const struct iovec *pieces, int n_pieces) {
        if (channel->state != CHANNEL_OPEN)
                return VMBUS_E_CLOSED;
        if (channel->vmbus->paused)
                return VMBUS_E_FULL;
        struct ring_packet packet = {type, flags, transaction, pieces, n_pieces};
        bool signal = false;
        int r = ring_send(&channel->out, &packet, &signal);
        if (r == -EBADMSG) {
                vmbus_channel_fail(channel, "the index in the host's ring is corrupt");
                return VMBUS_E_CLOSED;
        }
        if (signal)
                channel_signal(channel);
        return r;
}

static int vmbus_send_plain(struct vmbus_channel *channel, uint16_t type, uint64_t transaction,
        const void *payload, size_t size) {
        struct iovec piece = {.iov_base = (void *)(uintptr_t)payload, .iov_len = size};
        return vmbus_send(channel, type, 0, transaction, &piece, 1);
}

int vmbus_send_inband(
        struct vmbus_channel *channel, uint64_t transaction, const void *payload, size_t size) {
        return vmbus_send_plain(channel, VMBUS_PACKET_INBAND, transaction, payload, size);
}

int vmbus_send_completion(
        struct vmbus_channel *channel, uint64_t transaction, const void *payload, size_t size) {
        return vmbus_send_plain(channel, VMBUS_PACKET_COMPLETION, transaction, payload, size);
}

size_t vmbus_send_room(const struct vmbus_channel *channel) {
        bool usable = channel->state == CHANNEL_OPEN && !channel->vmbus->paused;
        return usable ? ring_send_room(&channel->out) : 0;
}

size_t vmbus_ring_size(const struct vmbus_channel *channel) {
        return channel->state == CHANNEL_OPEN ? channel->in.size : 0;
}

struct gmem_pages *vmbus_gpadl_get(struct vmbus_channel *channel, uint32_t handle) {
        struct vmbus *vmbus = channel->vmbus;
        struct gpadl *gpadl = gpadl_set_find(&vmbus->gpadls, channel->relid, handle);
        /* One that the guest tears down is taken again only by the owner that held it when saved.
         */
        if (!gpadl || (gpadl->torn && !vmbus->paused))
                return NULL;
        gpadl_use(&vmbus->gpadls, gpadl);
        return gpadl->map;
}

void vmbus_gpadl_put(struct vmbus_channel *channel, uint32_t handle) {
        struct vmbus *vmbus = channel->vmbus;
        struct gpadl *gpadl = gpadl_set_find(&vmbus->gpadls, channel->relid, handle);
        if (!gpadl || gpadl->uses <= (gpadl == channel->gpadl ? 1u : 0u))
                return; /* void since the connection ended */
        gpadl_unuse(&vmbus->gpadls, gpadl);
        vmbus_pump(vmbus);
}
