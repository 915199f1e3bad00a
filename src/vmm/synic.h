// SPDX-License-Identifier: MIT
/* One VP's synthetic interrupt controller (TLFS, inter-partition communication): sixteen sources,
 * each with a message slot and 2,048 event flags in guest pages, and a queue of messages that wait
 * for the slot. Internal to src/vmm; part of the Hyper-V personality.
 *
 * Threads: registers on the VP's own thread, post and signal on any; a mutex per VP. Interrupts are
 * raised with it held, message_slot_free() is called without. */
#pragma once
#include <pthread.h>
#include "vmm/hv.h"
#include "wire/hv.h"

/* Messages that wait for a slot to be free, oldest first from `head` on. */
struct synic_queue {
        uint8_t head, count;
        struct hv_message messages[VMM_MESSAGE_QUEUE_MAX];
};

struct synic {
        const struct gmem *gm;
        const struct hv_ops *ops;
        void *ctx;
        uint32_t vp;

        pthread_mutex_t lock;
        uint64_t scontrol, siefp, simp;
        uint64_t sint[HV_SINTS];
        uint16_t
                refused_full; /* SINTs whose poster was told VMM_E_BUSY and waits to hear of room */
        struct synic_queue queues[HV_SINTS];
};

/* Over zeroed memory. The mutex is the only thing that synic_done() has to give back. */
_warn_unused_ int synic_init(
        struct synic *s, const struct gmem *gm, const struct hv_ops *ops, void *ctx, uint32_t vp);
void synic_done(struct synic *s);
void synic_reset(struct synic *s);

/* SCONTROL..EOM and SINT0..SINT15: 0 or HV_E_GP. */
_warn_unused_ int synic_read(struct synic *s, uint32_t msr, uint64_t *ret);
_warn_unused_ int synic_write(struct synic *s, uint32_t msr, uint64_t value);

/* sint, size and flag are in range. 0, VMM_E_BUSY or VMM_E_DISABLED. */
_warn_unused_ int synic_post(
        struct synic *s, uint8_t sint, uint32_t type, const void *payload, size_t size);
_warn_unused_ int synic_signal(struct synic *s, uint8_t sint, uint16_t flag);

void synic_save(struct synic *s, struct wr *wr);
/* -EBADMSG, and the registers are undefined until synic_reset(). */
_warn_unused_ int synic_restore(struct synic *s, struct rd *rd);
