// SPDX-License-Identifier: MIT
/* The server as a whole: the inbox that VP threads fill, the outbox, and what the loop does. */
#include "vmbus/vmbus.h"
#include <errno.h>
#include <string.h>
#include "base/fault.h"
#include "vmbus/internal.h"
#include "wire/hv.h"

int vmbus_new(struct gmem *gm, struct io_loop *loop, const struct vmbus_host_ops *ops, void *ctx,
        struct vmbus **ret) {
        struct vmbus *vmbus = fault_hit(FAULT_ALLOC) ? NULL : calloc(1, sizeof *vmbus);
        if (!vmbus)
                return -ENOMEM;
        int r = io_event_new(loop, vmbus_run, vmbus, &vmbus->event);
        if (r < 0) {
                free(vmbus);
                return r;
        }
        vmbus->gm = gm;
        vmbus->loop = loop;
        vmbus->ops = ops;
        vmbus->ctx = ctx;
        vmbus->target_sint = VMBUS_SINT;
        pthread_mutex_init(&vmbus->lock, NULL);
        TAILQ_INIT(&vmbus->notify);
        gpadl_set_init(&vmbus->gpadls, gm);
        *ret = vmbus;
        return 0;
}

struct vmbus *vmbus_free(struct vmbus *vmbus) {
        if (!vmbus)
                return NULL;
        vmbus_connection_end(vmbus);
        for (unsigned relid = 1; relid <= VMBUS_RELID_MAX; relid++)
                if (vmbus->channels[relid])
                        vmbus_offer_release(vmbus->channels[relid]);
        io_event_free(vmbus->event);
        pthread_mutex_destroy(&vmbus->lock);
        free(vmbus);
        return NULL;
}

void vmbus_set_tl(struct vmbus *vmbus, const struct vmbus_tl_ops *ops, void *ctx) {
        vmbus->tl_ops = ops;
        vmbus->tl_ctx = ctx;
}

bool vmbus_connected(const struct vmbus *vmbus) {
        return vmbus->version != 0;
}

uint32_t vmbus_version(const struct vmbus *vmbus) {
        return vmbus->version;
}

void vmbus_ignore(struct vmbus *vmbus) {
        atomic_fetch_add(&vmbus->ignored, 1);
}

uint64_t vmbus_ignored(const struct vmbus *vmbus) {
        return atomic_load(&vmbus->ignored);
}

uint16_t vmbus_message(struct vmbus *vmbus, uint32_t connection_id, uint32_t type,
        const void *payload, size_t size) {
        if (connection_id != VMBUS_CONNECTION_MESSAGE &&
                connection_id != VMBUS_CONNECTION_MESSAGE_50)
                return HV_STATUS_INVALID_CONNECTION_ID;
        if (size > VMBUS_MESSAGE_SIZE_MAX)
                return HV_STATUS_INVALID_PARAMETER;
        if (type != VMBUS_MESSAGE_TYPE) {
                vmbus_ignore(vmbus);
                return HV_STATUS_SUCCESS;
        }
        pthread_mutex_lock(&vmbus->lock);
        bool room = vmbus->inbox_n < VMBUS_INBOX_MAX;
        if (room) {
                unsigned i = (vmbus->inbox_first + vmbus->inbox_n++) % VMBUS_INBOX_MAX;
                vmbus->inbox[i] = (struct inbox_entry){.size = (uint16_t)size};
                if (size)
                        memcpy(vmbus->inbox[i].message.bytes, payload, size);
        }
        pthread_mutex_unlock(&vmbus->lock);
        io_event_set(vmbus->event);
        return room ? HV_STATUS_SUCCESS : HV_STATUS_INSUFFICIENT_BUFFERS;
}

void vmbus_slot_free(struct vmbus *vmbus) {
        io_event_set(vmbus->event);
}

static bool inbox_take(struct vmbus *vmbus, struct inbox_entry *ret) {
        pthread_mutex_lock(&vmbus->lock);
        bool any = vmbus->inbox_n > 0;
        if (any) {
                *ret = vmbus->inbox[vmbus->inbox_first];
                vmbus->inbox_first = (vmbus->inbox_first + 1) % VMBUS_INBOX_MAX;
                vmbus->inbox_n--;
        }
        pthread_mutex_unlock(&vmbus->lock);
        return any;
}

void vmbus_answer(struct vmbus *vmbus, const void *message, size_t size) {
        assert(vmbus->outbox_n < OUTBOX_CAPACITY && size <= ANSWER_SIZE_MAX);
        unsigned i = (vmbus->outbox_first + vmbus->outbox_n++) % OUTBOX_CAPACITY;
        vmbus->outbox[i] = (struct outbox_entry){.size = (uint8_t)size};
        memcpy(vmbus->outbox[i].data, message, size);
}

/* False when the SINT is full and the message must wait. */
static bool vmbus_post(struct vmbus *vmbus, const void *message, size_t size) {
        return vmbus->ops->post(vmbus->ctx, vmbus->target_vp, vmbus->target_sint, message, size) !=
               VMBUS_E_FULL;
}

static bool pump_answer(struct vmbus *vmbus) {
        const struct outbox_entry *e = &vmbus->outbox[vmbus->outbox_first];
        if (!vmbus_post(vmbus, e->data, e->size))
                return false;
        vmbus->outbox_first = (vmbus->outbox_first + 1) % OUTBOX_CAPACITY;
        vmbus->outbox_n--;
        return true;
}

static bool pump_torndown(struct vmbus *vmbus, struct gpadl *gpadl) {
        struct vmbus_msg_gpadl_torndown m = {
                .header.type = le32_make(VMBUS_MSG_GPADL_TORNDOWN),
                .gpadl = le32_make(gpadl->handle),
        };
        if (!vmbus_post(vmbus, &m, sizeof m))
                return false;
        gpadl_set_forget(&vmbus->gpadls, gpadl);
        return true;
}

static bool pump_channel(struct vmbus *vmbus, struct vmbus_channel *channel) {
        bool posted;
        if (channel->state == CHANNEL_OFFERING) {
                struct vmbus_msg_offer m;
                vmbus_offer_message(channel, &m);
                posted = vmbus_post(vmbus, &m, sizeof m);
        } else {
                struct vmbus_msg_relid m = {
                        .header.type = le32_make(VMBUS_MSG_RESCIND),
                        .relid = le32_make(channel->relid),
                };
                posted = vmbus_post(vmbus, &m, sizeof m);
        }
        if (posted)
                (void)vmbus_channel_step(channel, CHANNEL_TOLD);
        return posted;
}

static bool pump_delivered(struct vmbus *vmbus) {
        struct vmbus_msg_header m = {.type = le32_make(VMBUS_MSG_OFFERS_DELIVERED)};
        if (!vmbus_post(vmbus, &m, sizeof m))
                return false;
        vmbus->delivered_due = false;
        return true;
}

void vmbus_pump(struct vmbus *vmbus) {
        bool posted = !vmbus->paused;
        while (posted) {
                struct gpadl *gpadl = TAILQ_FIRST(&vmbus->gpadls.due);
                struct vmbus_channel *channel = TAILQ_FIRST(&vmbus->notify);
                if (vmbus->outbox_n > 0)
                        posted = pump_answer(vmbus);
                else if (gpadl)
                        posted = pump_torndown(vmbus, gpadl);
                else if (channel)
                        posted = pump_channel(vmbus, channel);
                else if (vmbus->delivered_due)
                        posted = pump_delivered(vmbus);
                else
                        break;
        }
}

/* An answer frees the next message only once it was posted or fits the outbox, so a guest that does
 * not empty its slot fills the inbox, and HvPostMessage tells it to try again. */
void vmbus_run(void *ctx) {
        struct vmbus *vmbus = ctx;
        struct inbox_entry e;
        vmbus_channel_close_failed(vmbus);
        vmbus_pump(vmbus);
        for (unsigned n = 0; n < VMBUS_INBOX_MAX; n++) {
                if (vmbus->paused || vmbus->outbox_n >= VMBUS_OUTBOX_MAX || !inbox_take(vmbus, &e))
                        return;
                vmbus_message_handle(vmbus, &e.message, e.size);
                vmbus_pump(vmbus);
        }
        io_event_set(vmbus->event); /* others of the loop have their turn */
}

void vmbus_reset(struct vmbus *vmbus) {
        vmbus_connection_end(vmbus);
        pthread_mutex_lock(&vmbus->lock);
        vmbus->inbox_n = 0;
        pthread_mutex_unlock(&vmbus->lock);
        vmbus->target_vp = 0;
        vmbus->target_sint = VMBUS_SINT;
}

void vmbus_pause(struct vmbus *vmbus) {
        vmbus_channel_close_failed(vmbus);
        vmbus->paused = true;
}

void vmbus_resume(struct vmbus *vmbus) {
        if (!vmbus->paused)
                return;
        vmbus->paused = false;
        for (unsigned relid = 1; relid <= VMBUS_RELID_MAX; relid++) {
                struct vmbus_channel *channel = vmbus->channels[relid];
                if (!channel)
                        continue;
                if (!channel->ops)
                        vmbus_rescind(channel);
                else if (channel->state == CHANNEL_OPEN)
                        channel->ops->ready(channel->ctx, channel);
        }
        io_event_set(vmbus->event);
}
