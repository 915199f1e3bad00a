// SPDX-License-Identifier: MIT
/* The saved form read back. Its bytes are checked like a guest's: first all is read, then it is
 * applied, then channels open again. */
#include <errno.h>
#include <string.h>
#include "base/fault.h"
#include "vmbus/save.h"

/* What is read before it is applied. */
struct restored {
        struct vmbus_channel
                *offered[VMBUS_RELID_MAX + 1]; /* made by the devices, not yet placed */
        uint8_t state[VMBUS_RELID_MAX + 1];
        uint32_t ring[VMBUS_RELID_MAX + 1]; /* GPADL handles of open channels */
        uint16_t notify[VMBUS_RELID_MAX];
        uint32_t n_notify;
};

static int restore_connection(struct vmbus *vmbus, struct rd *rd) {
        uint32_t version, vp, pending;
        uint8_t sint, flags;
        uint16_t last;
        if (rd_le32(rd, &version) < 0 || rd_le32(rd, &vp) < 0 || rd_u8(rd, &sint) < 0 ||
                rd_u8(rd, &flags) < 0 || rd_le16(rd, &last) < 0 || rd_le32(rd, &pending) < 0)
                return -EBADMSG;
        if ((version != 0 && !vmbus_connection_version_supported(version)) ||
                !vmbus_connection_target_valid(vmbus, vp, sint) || last > VMBUS_RELID_MAX ||
                pending > VMBUS_TL_PENDING_MAX ||
                (flags & ~(SAVE_OFFERS_REQUESTED | SAVE_DELIVERED_DUE)) ||
                (version == 0 && (flags || pending)))
                return -EBADMSG;
        vmbus->version = version;
        vmbus->target_vp = vp;
        vmbus->target_sint = sint;
        vmbus->offers_requested = flags & SAVE_OFFERS_REQUESTED;
        vmbus->delivered_due = flags & SAVE_DELIVERED_DUE;
        vmbus->last_relid = last;
        vmbus->tl_pending = pending;
        return 0;
}

static int restore_inbox(struct vmbus *vmbus, struct rd *rd) {
        uint32_t n;
        if (rd_le32(rd, &n) < 0 || n > VMBUS_INBOX_MAX)
                return -EBADMSG;
        pthread_mutex_lock(&vmbus->lock);
        int r = 0;
        vmbus->inbox_first = vmbus->inbox_n = 0;
        for (uint32_t i = 0; i < n && r == 0; i++) {
                struct inbox_entry *e = &vmbus->inbox[i];
                *e = (struct inbox_entry){0};
                if (rd_le16(rd, &e->size) < 0 || e->size > VMBUS_MESSAGE_SIZE_MAX ||
                        rd_bytes(rd, e->message.bytes, e->size) < 0)
                        r = -EBADMSG;
        }
        vmbus->inbox_n = r == 0 ? n : 0;
        pthread_mutex_unlock(&vmbus->lock);
        return r;
}

static int restore_outbox(struct vmbus *vmbus, struct rd *rd) {
        uint32_t n;
        if (rd_le32(rd, &n) < 0 || n > OUTBOX_CAPACITY - vmbus->tl_pending)
                return -EBADMSG;
        vmbus->outbox_first = vmbus->outbox_n = 0;
        for (uint32_t i = 0; i < n; i++) {
                uint8_t size;
                const uint8_t *data;
                if (rd_u8(rd, &size) < 0 || size > ANSWER_SIZE_MAX || rd_view(rd, size, &data) < 0)
                        return -EBADMSG;
                vmbus_answer(vmbus, data, size);
        }
        return 0;
}

static bool restore_same(const struct vmbus_offer *a, const struct vmbus_offer *b) {
        return a->sub_channel_index == b->sub_channel_index && guid_equal(&a->type, &b->type) &&
               guid_equal(&a->instance, &b->instance);
}

/* Puts the channel of a saved offer at its relid: the device's own, or one that waits for its
 * owner. Taken-back ones have no owner any more. */
static int restore_place(struct vmbus *vmbus, struct restored *restored,
        const struct vmbus_offer *offer, uint16_t relid) {
        uint8_t state = restored->state[relid];
        bool over = state == CHANNEL_RESCINDING || state == CHANNEL_RESCINDED;
        struct vmbus_channel *channel = NULL;
        for (unsigned i = 1; i <= VMBUS_RELID_MAX && !channel && !over; i++)
                if (restored->offered[i] && restore_same(&restored->offered[i]->offer, offer))
                        channel = TAKE_PTR(restored->offered[i]);
        if (!channel)
                return vmbus_offer_add(vmbus, offer, relid, &channel);
        channel->relid = relid;
        vmbus->channels[relid] = channel;
        return 0;
}

static int restore_channel(struct vmbus *vmbus, struct restored *restored, struct rd *rd) {
        uint16_t relid;
        uint8_t state;
        struct vmbus_offer offer = {.name = "restored"};
        if (rd_le16(rd, &relid) < 0 || rd_u8(rd, &state) < 0 ||
                rd_bytes(rd, offer.type.b, sizeof offer.type.b) < 0 ||
                rd_bytes(rd, offer.instance.b, sizeof offer.instance.b) < 0 ||
                rd_le16(rd, &offer.flags) < 0 || rd_le16(rd, &offer.mmio_megabytes) < 0 ||
                rd_le16(rd, &offer.sub_channel_index) < 0 ||
                rd_bytes(rd, offer.user_defined, sizeof offer.user_defined) < 0)
                return -EBADMSG;
        if (relid == 0 || relid > VMBUS_RELID_MAX || vmbus->channels[relid] ||
                state >= CHANNEL_STATES_ || (state != CHANNEL_HIDDEN && vmbus->version == 0))
                return -EBADMSG;
        restored->state[relid] = state;
        int r = restore_place(vmbus, restored, &offer, relid);
        if (r < 0 || state != CHANNEL_OPEN)
                return r;
        struct vmbus_channel *channel = vmbus->channels[relid];
        if (rd_le32(rd, &restored->ring[relid]) < 0 || rd_le32(rd, &channel->downstream_page) < 0 ||
                rd_le32(rd, &channel->target_vp) < 0 ||
                rd_bytes(rd, channel->user_data, sizeof channel->user_data) < 0 ||
                !vmbus_channel_vp_valid(vmbus, channel->target_vp))
                return -EBADMSG;
        return 0;
}

static int restore_channels(struct vmbus *vmbus, struct restored *restored, struct rd *rd) {
        uint32_t n;
        if (rd_le32(rd, &n) < 0 || n > VMBUS_RELID_MAX)
                return -EBADMSG;
        for (uint32_t i = 0; i < n; i++) {
                int r = restore_channel(vmbus, restored, rd);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* The queue of offers and rescinds holds each waiting channel once. */
static int restore_notify(struct vmbus *vmbus, struct restored *restored, struct rd *rd) {
        bool seen[VMBUS_RELID_MAX + 1] = {0};
        if (rd_le32(rd, &restored->n_notify) < 0 || restored->n_notify > VMBUS_RELID_MAX)
                return -EBADMSG;
        for (uint32_t i = 0; i < restored->n_notify; i++) {
                uint16_t relid;
                if (rd_le16(rd, &relid) < 0 || relid > VMBUS_RELID_MAX || seen[relid] ||
                        !vmbus->channels[relid] ||
                        !vmbus_channel_state_waits(restored->state[relid]))
                        return -EBADMSG;
                seen[relid] = true;
                restored->notify[i] = relid;
        }
        for (unsigned relid = 1; relid <= VMBUS_RELID_MAX; relid++)
                if (vmbus_channel_state_waits(restored->state[relid]) && !seen[relid])
                        return -EBADMSG;
        return 0;
}

static int restore_gpadl(struct vmbus *vmbus, struct rd *rd, uint32_t *torn, uint32_t *n_torn) {
        struct gpadl head = {0};
        uint8_t is_torn;
        const uint8_t *pfns;
        if (rd_le32(rd, &head.handle) < 0 || rd_le32(rd, &head.relid) < 0 ||
                rd_le32(rd, &head.pages) < 0 || rd_le32(rd, &head.got) < 0 ||
                rd_u8(rd, &is_torn) < 0 || is_torn > 1 || head.got > GPADL_PAGES_MAX ||
                rd_view(rd, head.got * sizeof(le64), &pfns) < 0)
                return -EBADMSG;
        if (!vmbus_offer_lookup(vmbus, head.relid))
                return -EBADMSG;
        int r = gpadl_set_put_back(&vmbus->gpadls, &head, (const le64 *)(const void *)pfns);
        if (r < 0)
                return r == -ENOMEM ? r : -EBADMSG;
        if (is_torn)
                torn[(*n_torn)++] = head.handle;
        return 0;
}

/* Torn ones are torn again in the order of their answers; those still in use come after, and leave
 * the queue when their user takes them. */
static int restore_torn(struct vmbus *vmbus, struct rd *rd, const uint32_t *torn, uint32_t n) {
        uint32_t n_due, handle;
        if (rd_le32(rd, &n_due) < 0 || n_due > n)
                return -EBADMSG;
        for (uint32_t i = 0; i < n_due; i++) {
                bool known = false;
                if (rd_le32(rd, &handle) < 0)
                        return -EBADMSG;
                for (uint32_t k = 0; k < n && !known; k++)
                        known = torn[k] == handle;
                if (!known || !gpadl_set_tear(&vmbus->gpadls, handle))
                        return -EBADMSG;
        }
        for (uint32_t i = 0; i < n; i++)
                (void)gpadl_set_tear(&vmbus->gpadls, torn[i]);
        return 0;
}

static int restore_gpadls(struct vmbus *vmbus, struct rd *rd) {
        uint32_t n, n_torn = 0;
        if (rd_le32(rd, &n) < 0 || n > VMBUS_GPADLS_MAX || (n > 0 && vmbus->version == 0))
                return -EBADMSG;
        _cleanup_free_ uint32_t *torn = fault_hit(FAULT_ALLOC) ? NULL : calloc(n + 1, sizeof *torn);
        if (!torn)
                return -ENOMEM;
        for (uint32_t i = 0; i < n; i++) {
                int r = restore_gpadl(vmbus, rd, torn, &n_torn);
                if (r < 0)
                        return r;
        }
        return restore_torn(vmbus, rd, torn, n_torn);
}

/* An open channel has its ring's GPADL, whole. */
static int restore_find_rings(struct vmbus *vmbus, const struct restored *restored) {
        for (unsigned relid = 1; relid <= VMBUS_RELID_MAX; relid++) {
                if (restored->state[relid] != CHANNEL_OPEN)
                        continue;
                struct vmbus_channel *channel = vmbus->channels[relid];
                channel->gpadl = gpadl_set_find(&vmbus->gpadls, relid, restored->ring[relid]);
                if (!channel->gpadl)
                        return -EBADMSG;
        }
        return 0;
}

static int restore_read(struct vmbus *vmbus, struct restored *restored, struct rd *rd) {
        int r = restore_connection(vmbus, rd);
        if (r == 0)
                r = restore_inbox(vmbus, rd);
        if (r == 0)
                r = restore_outbox(vmbus, rd);
        if (r == 0)
                r = restore_channels(vmbus, restored, rd);
        if (r == 0)
                r = restore_notify(vmbus, restored, rd);
        if (r == 0)
                r = restore_gpadls(vmbus, rd);
        if (r == 0)
                r = rd_end(rd);
        return r < 0 ? r : restore_find_rings(vmbus, restored);
}

/* Devices that the saved machine did not have: offered like any other. */
static int restore_others(struct vmbus *vmbus, struct restored *restored) {
        for (unsigned i = 1; i <= VMBUS_RELID_MAX; i++) {
                if (!restored->offered[i])
                        continue;
                uint16_t relid = vmbus_offer_free_relid(vmbus);
                if (relid == 0)
                        return -ENOSPC;
                struct vmbus_channel *channel = TAKE_PTR(restored->offered[i]);
                channel->relid = relid;
                vmbus->channels[relid] = channel;
                if (vmbus->offers_requested)
                        (void)vmbus_channel_step(channel, CHANNEL_ASKED_FOR);
        }
        return 0;
}

/* Makes an open channel work again. A ring that the guest has spoilt meanwhile, or an owner who
 * does not want it, leaves the channel dead to the guest as after any corruption. */
static int restore_open(struct vmbus_channel *channel) {
        uint32_t status = vmbus_channel_plug(channel);
        if (status == VMBUS_STATUS_INSUFFICIENT_RESOURCES)
                return -ENOSPC;
        if (status == VMBUS_STATUS_SUCCESS)
                status = channel->ops->open(channel->ctx, channel, channel->user_data);
        if (status != VMBUS_STATUS_SUCCESS && vmbus_channel_step(channel, CHANNEL_DO_FAIL))
                vmbus_channel_unplug(channel);
        return 0;
}

static int restore_apply(struct vmbus *vmbus, struct restored *restored) {
        for (unsigned relid = 1; relid <= VMBUS_RELID_MAX; relid++)
                if (vmbus->channels[relid])
                        vmbus->channels[relid]->state = restored->state[relid];
        for (uint32_t i = 0; i < restored->n_notify; i++)
                TAILQ_INSERT_TAIL(&vmbus->notify, vmbus->channels[restored->notify[i]], notify);
        int r = restore_others(vmbus, restored);
        for (unsigned relid = 1; relid <= VMBUS_RELID_MAX && r == 0; relid++) {
                struct vmbus_channel *channel = vmbus->channels[relid];
                if (channel && channel->ops && channel->state == CHANNEL_OPEN)
                        r = restore_open(channel);
        }
        return r;
}

/* Nothing of what was read stays, and every device's channel is on the bus. */
static void restore_undo(struct vmbus *vmbus, struct restored *restored) {
        vmbus_connection_end(vmbus);
        for (unsigned relid = 1; relid <= VMBUS_RELID_MAX; relid++)
                if (vmbus->channels[relid] && !vmbus->channels[relid]->ops)
                        vmbus_offer_release(vmbus->channels[relid]);
        int r = restore_others(vmbus, restored);
        assert(r == 0);
        (void)r;
}

int vmbus_restore(struct vmbus *vmbus, struct rd *rd) {
        assert(!vmbus_connected(vmbus));
        struct rd body;
        int r = state_open(rd, SAVE_TAG, SAVE_VERSION, NULL, &body);
        if (r < 0)
                return r;
        _cleanup_free_ struct restored *restored =
                fault_hit(FAULT_ALLOC) ? NULL : calloc(1, sizeof *restored);
        if (!restored)
                return -ENOMEM;
        vmbus->paused = true;
        memcpy(restored->offered, vmbus->channels, sizeof vmbus->channels);
        memset(vmbus->channels, 0, sizeof vmbus->channels);
        r = restore_read(vmbus, restored, &body);
        if (r == 0)
                r = restore_apply(vmbus, restored);
        if (r < 0)
                restore_undo(vmbus, restored);
        return r;
}

int vmbus_restore_offer(struct vmbus *vmbus, const struct guid *type, const struct guid *instance,
        const char *name, const struct vmbus_channel_ops *ops, void *ctx,
        struct vmbus_channel **ret) {
        for (unsigned relid = 1; relid <= VMBUS_RELID_MAX; relid++) {
                struct vmbus_channel *channel = vmbus->channels[relid];
                if (!channel || channel->ops || channel->state == CHANNEL_RESCINDING ||
                        channel->state == CHANNEL_RESCINDED ||
                        !guid_equal(&channel->offer.type, type) ||
                        !guid_equal(&channel->offer.instance, instance))
                        continue;
                channel->ops = ops;
                channel->ctx = ctx;
                channel->offer.name = name;
                *ret = channel;
                return channel->state == CHANNEL_OPEN ? restore_open(channel) : 0;
        }
        return -ENOENT;
}
