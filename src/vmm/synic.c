// SPDX-License-Identifier: MIT
#include "vmm/synic.h"
#include <assert.h>
#include <errno.h>
#include <string.h>
#include "base/state.h"

enum { SYNIC_VERSION = 1 };
#define SYNIC_TAG STATE_TAG('S', 'Y', 'N', 'C')

int synic_init(
        struct synic *s, const struct gmem *gm, const struct hv_ops *ops, void *ctx, uint32_t vp) {
        s->gm = gm;
        s->ops = ops;
        s->ctx = ctx;
        s->vp = vp;
        int r = pthread_mutex_init(&s->lock, NULL);
        if (r != 0)
                return -r;
        synic_reset(s);
        return 0;
}

void synic_done(struct synic *s) {
        pthread_mutex_destroy(&s->lock);
}

/* The messages themselves are left alone: memory that was never used stays untouched. */
void synic_reset(struct synic *s) {
        s->scontrol = s->siefp = s->simp = 0;
        s->refused_full = 0;
        for (unsigned i = 0; i < HV_SINTS; i++) {
                s->sint[i] = HV_SINT_RESET;
                s->queues[i].head = s->queues[i].count = 0;
        }
}

/* The guest address of `offset` in a page register's page, if both it and the SynIC are on. */
static bool synic_page(const struct synic *s, uint64_t page, uint64_t offset, uint64_t *ret) {
        if (!(s->scontrol & HV_SCONTROL_ENABLE) || !(page & HV_PAGE_ENABLE))
                return false;
        *ret = (page & HV_PAGE_ADDRESS) + offset;
        return gmem_valid(s->gm, page & HV_PAGE_ADDRESS, GMEM_PAGE_SIZE);
}

/* A masked or polled source loses the interrupt, not what it announces. */
static void synic_interrupt(const struct synic *s, uint8_t sint) {
        uint64_t v = s->sint[sint];
        if (!(v & (HV_SINT_MASKED | HV_SINT_POLLING)))
                s->ops->interrupt(s->ctx, s->vp, (uint8_t)(v & HV_SINT_VECTOR));
}

/* True when the slot at gpa is empty. If not, the guest is asked to write EOM when it has emptied
 * it; it may do so between our first look and the request, hence the second look. */
static bool synic_slot_empty(const struct synic *s, uint64_t gpa) {
        uint32_t type;
        uint8_t flags;
        if (gmem_load32(s->gm, gpa, &type) < 0)
                return false;
        if (type == 0)
                return true;
        if (gmem_or8(s->gm, gpa + offsetof(struct hv_message, flags), HV_MESSAGE_FLAG_PENDING,
                    &flags) < 0 ||
                gmem_load32(s->gm, gpa, &type) < 0)
                return false;
        return type == 0;
}

/* Moves messages from the queue to the slot while that is empty. The type is written last: with it
 * the slot is the guest's. */
static void synic_flush(struct synic *s, uint8_t sint) {
        struct synic_queue *q = &s->queues[sint];
        uint64_t gpa;
        if (!synic_page(s, s->simp, sint * sizeof(struct hv_message), &gpa))
                return;
        while (q->count > 0 && synic_slot_empty(s, gpa)) {
                const struct hv_message *m = &q->messages[q->head];
                size_t after = offsetof(struct hv_message, payload_size);
                if (gmem_write(s->gm, gpa + after, &m->payload_size,
                            offsetof(struct hv_message, payload) - after + m->payload_size) < 0 ||
                        gmem_store32(s->gm, gpa, le32_get(m->type)) < 0)
                        return;
                q->head = (uint8_t)((q->head + 1) % VMM_MESSAGE_QUEUE_MAX);
                q->count--;
                synic_interrupt(s, sint);
        }
}

/* All sources; returns those whose poster is to hear that there is room again. */
static uint16_t synic_flush_all(struct synic *s) {
        uint16_t room = 0;
        for (uint8_t i = 0; i < HV_SINTS; i++) {
                if (s->queues[i].count == 0)
                        continue;
                synic_flush(s, i);
                if (s->queues[i].count < VMM_MESSAGE_QUEUE_MAX)
                        room |= (uint16_t)(1u << i);
        }
        room &= s->refused_full;
        s->refused_full &= (uint16_t)~room;
        return room;
}

int synic_read(struct synic *s, uint32_t msr, uint64_t *ret) {
        int r = 0;
        pthread_mutex_lock(&s->lock);
        if (msr >= HV_MSR_SINT0 && msr <= HV_MSR_SINT15)
                *ret = s->sint[msr - HV_MSR_SINT0];
        else if (msr == HV_MSR_SCONTROL)
                *ret = s->scontrol;
        else if (msr == HV_MSR_SVERSION)
                *ret = HV_SYNIC_VERSION;
        else if (msr == HV_MSR_SIEFP)
                *ret = s->siefp;
        else if (msr == HV_MSR_SIMP)
                *ret = s->simp;
        else if (msr == HV_MSR_EOM)
                *ret = 0;
        else
                r = HV_E_GP;
        pthread_mutex_unlock(&s->lock);
        return r;
}

static bool sint_valid(uint64_t value) {
        return value & HV_SINT_MASKED || (value & HV_SINT_VECTOR) >= HV_SINT_VECTOR_MIN;
}

static int synic_set(struct synic *s, uint32_t msr, uint64_t value) {
        if (msr >= HV_MSR_SINT0 && msr <= HV_MSR_SINT15) {
                if (!sint_valid(value))
                        return HV_E_GP;
                s->sint[msr - HV_MSR_SINT0] = value;
        } else if (msr == HV_MSR_SCONTROL) {
                s->scontrol = value;
        } else if (msr == HV_MSR_SIEFP) {
                s->siefp = value;
        } else if (msr == HV_MSR_SIMP) {
                s->simp = value;
        } else if (msr != HV_MSR_EOM) {
                return HV_E_GP;
        }
        return 0;
}

int synic_write(struct synic *s, uint32_t msr, uint64_t value) {
        uint16_t room = 0;
        pthread_mutex_lock(&s->lock);
        int r = synic_set(s, msr, value);
        /* EOM asks for the next message; a SynIC or page that comes on may have some waiting. */
        if (r == 0 && (msr == HV_MSR_EOM || msr == HV_MSR_SCONTROL || msr == HV_MSR_SIMP))
                room = synic_flush_all(s);
        pthread_mutex_unlock(&s->lock);
        for (uint8_t i = 0; i < HV_SINTS; i++)
                if (room & 1u << i)
                        s->ops->message_slot_free(s->ctx, s->vp, i);
        return r;
}

int synic_post(struct synic *s, uint8_t sint, uint32_t type, const void *payload, size_t size) {
        assert(sint < HV_SINTS && type != 0 && size <= HV_MESSAGE_PAYLOAD_MAX);
        struct synic_queue *q = &s->queues[sint];
        uint64_t gpa;
        int r = 0;
        pthread_mutex_lock(&s->lock);
        synic_flush(s, sint); /* the guest may have emptied the slot and not said so yet */
        if (!synic_page(s, s->simp, 0, &gpa)) {
                r = VMM_E_DISABLED;
        } else if (q->count == VMM_MESSAGE_QUEUE_MAX) {
                s->refused_full |= (uint16_t)(1u << sint);
                r = VMM_E_BUSY;
        } else {
                struct hv_message *m = &q->messages[(q->head + q->count) % VMM_MESSAGE_QUEUE_MAX];
                *m = (struct hv_message){.type = le32_make(type), .payload_size = (uint8_t)size};
                if (size > 0)
                        memcpy(m->payload, payload, size);
                q->count++;
                synic_flush(s, sint);
        }
        pthread_mutex_unlock(&s->lock);
        return r;
}

int synic_signal(struct synic *s, uint8_t sint, uint16_t flag) {
        assert(sint < HV_SINTS && flag < HV_EVENT_FLAGS);
        uint64_t gpa;
        uint32_t bit = 1u << flag % 32, before;
        int r = 0;
        pthread_mutex_lock(&s->lock);
        if (!synic_page(s, s->siefp, sint * (HV_EVENT_FLAGS / 8) + flag / 32 * 4u, &gpa) ||
                gmem_or32(s->gm, gpa, bit, &before) < 0)
                r = VMM_E_DISABLED;
        else if (!(before & bit))
                synic_interrupt(s, sint);
        pthread_mutex_unlock(&s->lock);
        return r;
}

void synic_save(struct synic *s, struct wr *wr) {
        size_t mark = state_begin(wr, SYNIC_TAG, SYNIC_VERSION);
        wr_le64(wr, s->scontrol);
        wr_le64(wr, s->siefp);
        wr_le64(wr, s->simp);
        for (unsigned i = 0; i < HV_SINTS; i++)
                wr_le64(wr, s->sint[i]);
        wr_le16(wr, s->refused_full);
        for (unsigned i = 0; i < HV_SINTS; i++) {
                const struct synic_queue *q = &s->queues[i];
                wr_u8(wr, q->count);
                for (unsigned k = 0; k < q->count; k++) {
                        const struct hv_message *m =
                                &q->messages[(q->head + k) % VMM_MESSAGE_QUEUE_MAX];
                        wr_le32(wr, le32_get(m->type));
                        wr_u8(wr, m->payload_size);
                        wr_bytes(wr, m->payload, m->payload_size);
                }
        }
        state_end(wr, mark);
}

static int synic_restore_queue(struct synic_queue *q, struct rd *rd) {
        uint8_t count, size;
        uint32_t type;
        int r = rd_u8(rd, &count);
        if (r < 0)
                return r;
        if (count > VMM_MESSAGE_QUEUE_MAX)
                return -EBADMSG;
        for (unsigned i = 0; i < count; i++) {
                struct hv_message *m = &q->messages[i];
                if (rd_le32(rd, &type) < 0 || rd_u8(rd, &size) < 0 || type == 0 ||
                        size > HV_MESSAGE_PAYLOAD_MAX)
                        return -EBADMSG;
                *m = (struct hv_message){.type = le32_make(type), .payload_size = size};
                r = rd_bytes(rd, m->payload, size);
                if (r < 0)
                        return r;
        }
        q->head = 0;
        q->count = count;
        return 0;
}

int synic_restore(struct synic *s, struct rd *rd) {
        struct rd body;
        if (state_open(rd, SYNIC_TAG, SYNIC_VERSION, NULL, &body) < 0 ||
                rd_le64(&body, &s->scontrol) < 0 || rd_le64(&body, &s->siefp) < 0 ||
                rd_le64(&body, &s->simp) < 0)
                return -EBADMSG;
        for (unsigned i = 0; i < HV_SINTS; i++)
                if (rd_le64(&body, &s->sint[i]) < 0 || !sint_valid(s->sint[i]))
                        return -EBADMSG;
        if (rd_le16(&body, &s->refused_full) < 0)
                return -EBADMSG;
        for (unsigned i = 0; i < HV_SINTS; i++) {
                int r = synic_restore_queue(&s->queues[i], &body);
                if (r < 0)
                        return r;
        }
        return rd_end(&body);
}
