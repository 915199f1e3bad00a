// SPDX-License-Identifier: MIT
/* The saved form: one section "VBUS" of connection, waiting messages, channels by relid, GPADLs by
 * handle, and the two queues in their order. */
#include <errno.h>
#include "base/fault.h"
#include "vmbus/save.h"

static void save_connection(const struct vmbus *vmbus, struct wr *wr) {
        wr_le32(wr, vmbus->version);
        wr_le32(wr, vmbus->target_vp);
        wr_u8(wr, vmbus->target_sint);
        wr_u8(wr, (vmbus->offers_requested ? SAVE_OFFERS_REQUESTED : 0) |
                          (vmbus->delivered_due ? SAVE_DELIVERED_DUE : 0));
        wr_le16(wr, vmbus->last_relid);
        wr_le32(wr, vmbus->tl_pending);
}

static void save_messages(struct vmbus *vmbus, struct wr *wr) {
        pthread_mutex_lock(&vmbus->lock);
        wr_le32(wr, vmbus->inbox_n);
        for (unsigned i = 0; i < vmbus->inbox_n; i++) {
                const struct inbox_entry *e =
                        &vmbus->inbox[(vmbus->inbox_first + i) % VMBUS_INBOX_MAX];
                wr_le16(wr, e->size);
                wr_bytes(wr, e->message.bytes, e->size);
        }
        pthread_mutex_unlock(&vmbus->lock);
        wr_le32(wr, vmbus->outbox_n);
        for (unsigned i = 0; i < vmbus->outbox_n; i++) {
                const struct outbox_entry *e =
                        &vmbus->outbox[(vmbus->outbox_first + i) % OUTBOX_CAPACITY];
                wr_u8(wr, e->size);
                wr_bytes(wr, e->data, e->size);
        }
}

static void save_channel(const struct vmbus_channel *channel, struct wr *wr) {
        wr_le16(wr, channel->relid);
        wr_u8(wr, (uint8_t)channel->state);
        wr_bytes(wr, channel->offer.type.b, sizeof channel->offer.type.b);
        wr_bytes(wr, channel->offer.instance.b, sizeof channel->offer.instance.b);
        wr_le16(wr, channel->offer.flags);
        wr_le16(wr, channel->offer.mmio_megabytes);
        wr_le16(wr, channel->offer.sub_channel_index);
        wr_bytes(wr, channel->offer.user_defined, sizeof channel->offer.user_defined);
        if (channel->state != CHANNEL_OPEN)
                return; /* nothing of the last opening matters */
        wr_le32(wr, channel->gpadl->handle);
        wr_le32(wr, channel->downstream_page);
        wr_le32(wr, channel->target_vp);
        wr_bytes(wr, channel->user_data, sizeof channel->user_data);
}

static void save_channels(const struct vmbus *vmbus, struct wr *wr) {
        wr_le32(wr, vmbus->n_channels);
        for (unsigned relid = 1; relid <= VMBUS_RELID_MAX; relid++)
                if (vmbus->channels[relid])
                        save_channel(vmbus->channels[relid], wr);
        uint32_t n = 0;
        const struct vmbus_channel *channel;
        TAILQ_FOREACH(channel, &vmbus->notify, notify)
        n++;
        wr_le32(wr, n);
        TAILQ_FOREACH(channel, &vmbus->notify, notify)
        wr_le16(wr, channel->relid);
}

static int gpadl_by_handle(const void *a, const void *b) {
        const struct gpadl *x = *(struct gpadl *const *)a, *y = *(struct gpadl *const *)b;
        return x->handle < y->handle ? -1 : x->handle > y->handle;
}

static int save_gpadls(const struct gpadl_set *set, struct wr *wr) {
        size_t n = 0;
        _cleanup_free_ const struct gpadl **sorted =
                fault_hit(FAULT_ALLOC) ? NULL : calloc(set->count.used + 1, sizeof *sorted);
        if (!sorted)
                return -ENOMEM;
        const struct gpadl *g;
        for (size_t i = 0; i < GPADL_BUCKETS; i++)
                LIST_FOREACH(g, &set->bucket[i], chain)
        sorted[n++] = g;
        qsort(sorted, n, sizeof(struct gpadl *), gpadl_by_handle);
        wr_le32(wr, (uint32_t)n);
        for (size_t i = 0; i < n; i++) {
                wr_le32(wr, sorted[i]->handle);
                wr_le32(wr, sorted[i]->relid);
                wr_le32(wr, sorted[i]->pages);
                wr_le32(wr, sorted[i]->got);
                wr_u8(wr, sorted[i]->torn);
                for (uint32_t k = 0; k < sorted[i]->got; k++)
                        wr_le64(wr, sorted[i]->pfns[k]);
        }
        n = 0;
        TAILQ_FOREACH(g, &set->due, due)
        n++;
        wr_le32(wr, (uint32_t)n);
        TAILQ_FOREACH(g, &set->due, due)
        wr_le32(wr, g->handle);
        return 0;
}

int vmbus_save(struct vmbus *vmbus, struct wr *wr) {
        assert(vmbus->paused);
        size_t mark = state_begin(wr, SAVE_TAG, SAVE_VERSION);
        save_connection(vmbus, wr);
        save_messages(vmbus, wr);
        save_channels(vmbus, wr);
        int r = save_gpadls(&vmbus->gpadls, wr);
        if (r < 0)
                return r;
        state_end(wr, mark);
        return wr_error(wr);
}
