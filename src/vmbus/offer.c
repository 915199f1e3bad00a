// SPDX-License-Identifier: MIT
/* Offers and relids: what is on the bus and what the guest has been told of it. */
#include <errno.h>
#include <string.h>
#include "base/fault.h"
#include "vmbus/internal.h"

struct vmbus_channel *vmbus_offer_lookup(struct vmbus *vmbus, uint32_t relid) {
        return relid <= VMBUS_RELID_MAX ? vmbus->channels[relid] : NULL;
}

bool vmbus_offer_is_dynamic(const struct vmbus_offer *offer) {
        return (offer->flags & VMBUS_OFFER_TLNPI) || offer->sub_channel_index != 0;
}

/* Unique per channel and none of the bus's own (they are below 0x1000). */
uint32_t vmbus_offer_connection_id(const struct vmbus_channel *channel) {
        return (uint32_t)channel->relid | VMBUS_SINT << 12;
}

void vmbus_offer_message(const struct vmbus_channel *channel, struct vmbus_msg_offer *ret) {
        const struct vmbus_offer *offer = &channel->offer;
        *ret = (struct vmbus_msg_offer){
                .header.type = le32_make(VMBUS_MSG_OFFER),
                .type = offer->type,
                .instance = offer->instance,
                .flags = le16_make(offer->flags),
                .mmio_megabytes = le16_make(offer->mmio_megabytes),
                .sub_channel_index = le16_make(offer->sub_channel_index),
                .relid = le32_make(channel->relid),
                /* No monitor page: the guest rings by hypercall. Its own event flag: it does not
                 * touch the interrupt page either. */
                .dedicated_interrupt = le16_make(1),
                .connection_id = le32_make(vmbus_offer_connection_id(channel)),
        };
        memcpy(ret->user_defined, offer->user_defined, sizeof ret->user_defined);
}

uint16_t vmbus_offer_free_relid(struct vmbus *vmbus) {
        for (unsigned n = 0; n < VMBUS_RELID_MAX; n++) {
                vmbus->last_relid = (uint16_t)(vmbus->last_relid % VMBUS_RELID_MAX + 1);
                if (!vmbus->channels[vmbus->last_relid])
                        return vmbus->last_relid;
        }
        return 0;
}

int vmbus_offer_add(struct vmbus *vmbus, const struct vmbus_offer *offer, uint16_t relid,
        struct vmbus_channel **ret) {
        struct vmbus_channel *channel = fault_hit(FAULT_ALLOC) ? NULL : calloc(1, sizeof *channel);
        if (!channel)
                return -ENOMEM;
        channel->vmbus = vmbus;
        channel->offer = *offer;
        channel->relid = relid;
        channel->state = CHANNEL_HIDDEN;
        vmbus->channels[relid] = channel;
        vmbus->n_channels++;
        *ret = channel;
        return 0;
}

/* Whether a primary of this type and instance is there already. One that was taken back does not
 * count: the guest will have let go of it by the time it reads the next offer. */
static bool offer_exists(const struct vmbus *vmbus, const struct vmbus_offer *offer) {
        for (unsigned relid = 1; relid <= VMBUS_RELID_MAX; relid++) {
                const struct vmbus_channel *c = vmbus->channels[relid];
                if (c && c->state != CHANNEL_RESCINDING && c->state != CHANNEL_RESCINDED &&
                        c->offer.sub_channel_index == offer->sub_channel_index &&
                        guid_equal(&c->offer.instance, &offer->instance) &&
                        guid_equal(&c->offer.type, &offer->type))
                        return true;
        }
        return false;
}

int vmbus_offer(struct vmbus *vmbus, const struct vmbus_offer *offer,
        const struct vmbus_channel_ops *ops, void *ctx, struct vmbus_channel **ret) {
        if (vmbus->n_channels >= VMBUS_CHANNELS_MAX)
                return VMBUS_E_FULL;
        if (offer_exists(vmbus, offer))
                return -EEXIST;
        struct vmbus_channel *channel;
        int r = vmbus_offer_add(vmbus, offer, vmbus_offer_free_relid(vmbus), &channel);
        if (r < 0)
                return r;
        channel->ops = ops;
        channel->ctx = ctx;
        bool accepts = (offer->flags & VMBUS_OFFER_TLNPI) && offer->user_defined[4] == 0;
        if (accepts && vmbus->tl_pending > 0)
                vmbus->tl_pending--;
        *ret = channel;
        if (vmbus->offers_requested && vmbus_channel_step(channel, CHANNEL_ASKED_FOR))
                vmbus_pump(vmbus);
        return 0;
}

void vmbus_offer_release(struct vmbus_channel *channel) {
        struct vmbus *vmbus = channel->vmbus;
        gpadl_set_clear_relid(&vmbus->gpadls, channel->relid);
        vmbus->channels[channel->relid] = NULL;
        vmbus->n_channels--;
        if (channel->ops)
                channel->ops->released(channel->ctx, channel);
        free(channel);
}

void vmbus_rescind(struct vmbus_channel *channel) {
        struct vmbus *vmbus = channel->vmbus;
        enum channel_state was = channel->state;
        if (channel->close_due) {
                channel->close_due = false;
                vmbus->closes_due--;
        }
        if (!vmbus_channel_step(channel, CHANNEL_DO_RESCIND))
                return; /* taken back already */
        vmbus_channel_unplug(channel);
        if (was == CHANNEL_HIDDEN || was == CHANNEL_OFFERING || was == CHANNEL_GONE)
                vmbus_offer_release(channel);
        else
                vmbus_pump(vmbus);
}

void vmbus_offer_request(struct vmbus *vmbus, const union vmbus_message *m, size_t size) {
        (void)m, (void)size;
        vmbus->offers_requested = true;
        vmbus->delivered_due = true;
        for (unsigned relid = 1; relid <= VMBUS_RELID_MAX; relid++)
                if (vmbus->channels[relid])
                        (void)vmbus_channel_step(vmbus->channels[relid], CHANNEL_ASKED_FOR);
}

void vmbus_offer_released(struct vmbus *vmbus, const union vmbus_message *m, size_t size) {
        (void)size;
        struct vmbus_channel *channel = vmbus_offer_lookup(vmbus, le32_get(m->relid.relid));
        enum channel_state was = channel ? channel->state : CHANNEL_HIDDEN;
        if (!channel || !vmbus_channel_step(channel, CHANNEL_RELEASED)) {
                vmbus_ignore(vmbus);
                return;
        }
        if (was == CHANNEL_CLOSED)
                gpadl_set_clear_relid(&vmbus->gpadls, channel->relid); /* it found no driver */
        else
                vmbus_offer_release(channel);
}
