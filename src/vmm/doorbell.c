// SPDX-License-Identifier: MIT
/* Which eventfd a connection id rings. The first VMM_IOEVENTFDS_MAX that are in use are rung by the
 * kernel when the guest writes the id to the doorbell port; the table serves the rest and every
 * other form of the call.
 *
 * Giving an eventfd to the kernel, and taking it back, waits for a grace period of KVM's bus: some
 * milliseconds, a thousand times what an exit costs. So an id moves to the kernel with its
 * DOORBELL_BUSY-th ring: channels that carry data do at once, a short connection never. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/fault.h"
#include "vmm/partition.h"

enum { DOORBELL_WIDTH = 4, TABLE_STEP = 64 };

/* Where the id stands or would have to stand. */
static size_t position(const struct vmm *vmm, uint32_t connection_id) {
        size_t low = 0, high = vmm->n_doorbells;
        while (low < high) {
                size_t middle = low + (high - low) / 2;
                if (vmm->doorbells[middle].connection_id < connection_id)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

static bool is_bound(const struct vmm *vmm, size_t at, uint32_t connection_id) {
        return at < vmm->n_doorbells && vmm->doorbells[at].connection_id == connection_id;
}

static int ioeventfd(struct vmm *vmm, const struct doorbell *d, uint32_t flags) {
        struct kvm_ioeventfd args = {
                .datamatch = d->connection_id,
                .addr = HV_PORT_SIGNAL,
                .len = DOORBELL_WIDTH,
                .fd = d->eventfd,
                .flags = KVM_IOEVENTFD_FLAG_DATAMATCH | KVM_IOEVENTFD_FLAG_PIO | flags,
        };
        return kvm_ioctl(vmm->vm_fd, KVM_IOEVENTFD, &args);
}

static int grow(struct vmm *vmm) {
        if (vmm->n_doorbells % TABLE_STEP != 0)
                return 0;
        size_t n = vmm->n_doorbells + TABLE_STEP;
        struct doorbell *table =
                fault_hit(FAULT_ALLOC) ? NULL : realloc(vmm->doorbells, n * sizeof *table);
        if (!table)
                return -ENOMEM;
        vmm->doorbells = table;
        return 0;
}

static int bind_locked(struct vmm *vmm, uint32_t connection_id, int eventfd) {
        size_t at = position(vmm, connection_id);
        if (is_bound(vmm, at, connection_id))
                return -EEXIST;
        int r = grow(vmm);
        if (r < 0)
                return r;
        struct doorbell d = {.connection_id = connection_id, .eventfd = eventfd};
        memmove(&vmm->doorbells[at + 1], &vmm->doorbells[at], (vmm->n_doorbells - at) * sizeof d);
        vmm->doorbells[at] = d;
        vmm->n_doorbells++;
        return 0;
}

int vmm_bind_event(struct vmm *vmm, uint32_t connection_id, int eventfd) {
        pthread_mutex_lock(&vmm->doorbell_lock);
        int r = bind_locked(vmm, connection_id, eventfd);
        pthread_mutex_unlock(&vmm->doorbell_lock);
        return r;
}

void vmm_unbind_event(struct vmm *vmm, uint32_t connection_id) {
        pthread_mutex_lock(&vmm->doorbell_lock);
        size_t at = position(vmm, connection_id);
        if (is_bound(vmm, at, connection_id)) {
                /* A failure would leave the kernel's reference to the eventfd: harmless. */
                if (vmm->doorbells[at].in_kernel) {
                        (void)!ioeventfd(vmm, &vmm->doorbells[at], KVM_IOEVENTFD_FLAG_DEASSIGN);
                        vmm->n_in_kernel--;
                }
                vmm->n_doorbells--;
                memmove(&vmm->doorbells[at], &vmm->doorbells[at + 1],
                        (vmm->n_doorbells - at) * sizeof *vmm->doorbells);
        }
        pthread_mutex_unlock(&vmm->doorbell_lock);
}

int doorbell_rebind(struct vmm *vmm) {
        int r = 0;
        pthread_mutex_lock(&vmm->doorbell_lock);
        for (size_t i = 0; r >= 0 && i < vmm->n_doorbells; i++)
                if (vmm->doorbells[i].in_kernel)
                        r = ioeventfd(vmm, &vmm->doorbells[i], 0);
        pthread_mutex_unlock(&vmm->doorbell_lock);
        return r < 0 ? r : 0;
}

/* One more exit for this id. When the kernel refuses, the exits go on. */
static void count_ring(struct vmm *vmm, struct doorbell *d) {
        if (d->in_kernel || ++d->rings != DOORBELL_BUSY || vmm->n_in_kernel == VMM_IOEVENTFDS_MAX)
                return;
        d->in_kernel = ioeventfd(vmm, d, 0) >= 0;
        vmm->n_in_kernel += d->in_kernel;
}

bool doorbell_ring(struct vmm *vmm, uint32_t connection_id) {
        const uint64_t one = 1;
        pthread_mutex_lock(&vmm->doorbell_lock);
        size_t at = position(vmm, connection_id);
        bool bound = is_bound(vmm, at, connection_id);
        /* EAGAIN: the counter is full, so it is rung already. */
        if (bound) {
                (void)!write(vmm->doorbells[at].eventfd, &one, sizeof one);
                count_ring(vmm, &vmm->doorbells[at]);
        }
        pthread_mutex_unlock(&vmm->doorbell_lock);
        return bound;
}
