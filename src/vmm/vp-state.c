// SPDX-License-Identifier: MIT
/* A VP's state as KVM holds it, in the kernel's own structures. What KVM lets us read it lets us
 * write back; the order of writing matters and is explained where it does. */
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include "base/fault.h"
#include "base/state.h"
#include "vmm/partition.h"

enum { MSRS_MAX = 1024, XSAVE_MIN = 4096, XSAVE_MAX = 1 << 20 };
enum { MSR_TSC = 0x10, MSR_KVM_WALL_CLOCK = 0x11, MSR_KVM_CLOCK = 0x12, MSR_TSC_DEADLINE = 0x6e0 };
enum { LAPIC_TIMER_COUNT = 0x390 };

#define STATE_VP STATE_TAG('V', 'P', ' ', ' ')

/* struct kvm_msrs and struct kvm_msr_list with room. */
struct msr_table {
        uint32_t n, padding;
        struct kvm_msr_entry entries[MSRS_MAX];
};
static_assert(offsetof(struct msr_table, entries) == offsetof(struct kvm_msrs, entries), "same");
struct msr_list {
        uint32_t n;
        uint32_t indices[MSRS_MAX];
};
static_assert(offsetof(struct msr_list, indices) == offsetof(struct kvm_msr_list, indices), "same");

/* The deadline stands apart, since it must be written after the local APIC; the counter is kept by
 * timebase.c; Hyper-V's registers are the personality's; KVM's own are refused to the guest. */
static bool is_elsewhere(uint32_t msr) {
        return msr == MSR_TSC || msr == MSR_TSC_DEADLINE || msr == MSR_KVM_WALL_CLOCK ||
               msr == MSR_KVM_CLOCK || (msr & 0xffff0000) == 0x40000000 ||
               (msr & 0xffffff00) == 0x4b564d00;
}

static int list_msrs(const struct vmm *vmm, struct msr_table *table) {
        struct msr_list list = {.n = MSRS_MAX};
        int r = kvm_ioctl(vmm->config.kvm_fd, KVM_GET_MSR_INDEX_LIST, &list);
        if (r < 0)
                return r;
        table->n = 0;
        for (uint32_t i = 0; i < list.n; i++)
                if (!is_elsewhere(list.indices[i]))
                        table->entries[table->n++] =
                                (struct kvm_msr_entry){.index = list.indices[i]};
        return 0;
}

/* Reads the table and drops what this VP's model does not have. */
static int read_msrs(int fd, struct msr_table *table) {
        uint32_t kept = 0, next = 0, total = table->n;
        struct msr_table *part = calloc(1, sizeof *part);
        if (!part)
                return -ENOMEM;
        while (next < total) {
                part->n = total - next;
                memcpy(part->entries, table->entries + next,
                        (total - next) * sizeof *part->entries);
                int r = kvm_ioctl(fd, KVM_GET_MSRS, part);
                if (r < 0) {
                        free(part);
                        return r;
                }
                memcpy(table->entries + kept, part->entries, (size_t)r * sizeof *part->entries);
                kept += (uint32_t)r;
                next += (uint32_t)r + 1; /* the one that stopped it */
        }
        free(part);
        table->n = kept;
        return 0;
}

static int save_msrs(struct vp *vp, struct wr *wr) {
        _cleanup_free_ struct msr_table *table =
                fault_hit(FAULT_ALLOC) ? NULL : calloc(1, sizeof *table);
        if (!table)
                return -ENOMEM;
        int r = list_msrs(vp->vmm, table);
        if (r == 0)
                r = read_msrs(vp->fd, table);
        if (r < 0)
                return r;
        wr_le32(wr, table->n);
        for (uint32_t i = 0; i < table->n; i++) {
                wr_le32(wr, table->entries[i].index);
                wr_le64(wr, table->entries[i].data);
        }
        return 0;
}

static int restore_msrs(struct vp *vp, struct rd *rd) {
        _cleanup_free_ struct msr_table *table =
                fault_hit(FAULT_ALLOC) ? NULL : calloc(1, sizeof *table);
        if (!table)
                return -ENOMEM;
        int r = rd_le32(rd, &table->n);
        if (r == 0 && table->n > MSRS_MAX)
                r = -EBADMSG;
        for (uint32_t i = 0; r == 0 && i < table->n; i++) {
                uint64_t data = 0;
                r = rd_le32(rd, &table->entries[i].index);
                if (r == 0)
                        r = rd_le64(rd, &data);
                if (r == 0 && is_elsewhere(table->entries[i].index))
                        r = -EBADMSG;
                table->entries[i].data = data;
        }
        if (r < 0)
                return r;
        r = kvm_ioctl(vp->fd, KVM_SET_MSRS, table);
        return r < 0 ? r : (uint32_t)r == table->n ? 0 : -EBADMSG;
}

static size_t xsave_size(const struct vmm *vmm) {
        int size = kvm_ioctl_value(vmm->vm_fd, KVM_CHECK_EXTENSION, KVM_CAP_XSAVE2);
        return size < XSAVE_MIN || size > XSAVE_MAX ? XSAVE_MIN : (size_t)size;
}

static int save_xsave(struct vp *vp, struct wr *wr) {
        size_t size = xsave_size(vp->vmm);
        _cleanup_free_ void *area = fault_hit(FAULT_ALLOC) ? NULL : calloc(1, size);
        if (!area)
                return -ENOMEM;
        int r = kvm_ioctl(vp->fd, size > XSAVE_MIN ? KVM_GET_XSAVE2 : KVM_GET_XSAVE, area);
        if (r < 0)
                return r;
        wr_le32(wr, (uint32_t)size);
        wr_bytes(wr, area, size);
        return 0;
}

static int restore_xsave(struct vp *vp, struct rd *rd) {
        uint32_t saved = 0;
        int r = rd_le32(rd, &saved);
        if (r < 0)
                return r;
        size_t size = xsave_size(vp->vmm);
        if (saved != size)
                return -EBADMSG;
        _cleanup_free_ void *area = fault_hit(FAULT_ALLOC) ? NULL : calloc(1, size);
        if (!area)
                return -ENOMEM;
        r = rd_bytes(rd, area, size);
        return r < 0 ? r : kvm_ioctl(vp->fd, KVM_SET_XSAVE, area);
}

/* The structures that are moved as they are, in the order of writing: the mode of the CPU and of
 * its APIC before what depends on them. */
static const struct {
        unsigned long get, set;
        size_t size;
} plain[] = {
        {KVM_GET_SREGS2, KVM_SET_SREGS2, sizeof(struct kvm_sregs2)},
        {KVM_GET_REGS, KVM_SET_REGS, sizeof(struct kvm_regs)},
        {KVM_GET_XCRS, KVM_SET_XCRS, sizeof(struct kvm_xcrs)},
        {KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS, sizeof(struct kvm_debugregs)},
        {KVM_GET_LAPIC, KVM_SET_LAPIC, sizeof(struct kvm_lapic_state)},
        {KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS, sizeof(struct kvm_vcpu_events)},
};
enum { PLAIN_MAX = 1024 };

/* Two counters go on while we look: the first look counts. */
static int settle(struct vp *vp) {
        if (vp->settled)
                return 0;
        struct kvm_lapic_state lapic;
        int r = kvm_ioctl(vp->fd, KVM_GET_LAPIC, &lapic);
        if (r >= 0)
                r = timebase_get_tsc(vp, &vp->tsc);
        if (r < 0)
                return r;
        memcpy(&vp->timer_count, lapic.regs + LAPIC_TIMER_COUNT, sizeof vp->timer_count);
        vp->settled = true;
        return 0;
}

/* An exception on its way is reported as pending and as injected both, and comes back as injected
 * (KVM_CAP_EXCEPTION_PAYLOAD is off): what is saved says only that, or a second save would differ.
 */
int vp_save(struct vp *vp, struct wr *wr) {
        struct kvm_mp_state mp;
        uint64_t deadline = 0;
        size_t mark = state_begin(wr, STATE_VP, 1);

        /* First, since asking for it takes in an INIT that is on its way. */
        int r = kvm_ioctl(vp->fd, KVM_GET_MP_STATE, &mp);
        if (r >= 0)
                r = settle(vp);
        if (r >= 0)
                r = kvm_get_msr(vp->fd, MSR_TSC_DEADLINE, &deadline);
        if (r < 0)
                return r;
        wr_le32(wr, mp.mp_state);
        wr_le64(wr, vp->tsc);
        wr_le64(wr, deadline);
        for (size_t i = 0; i < ARRAY_SIZE(plain); i++) {
                uint8_t data[PLAIN_MAX] = {0};
                r = kvm_ioctl(vp->fd, plain[i].get, data);
                if (r < 0)
                        return r;
                if (plain[i].get == KVM_GET_LAPIC)
                        memcpy(data + LAPIC_TIMER_COUNT, &vp->timer_count, sizeof vp->timer_count);
                if (plain[i].get == KVM_GET_VCPU_EVENTS)
                        data[offsetof(struct kvm_vcpu_events, exception.pending)] = 0;
                wr_bytes(wr, data, plain[i].size);
        }
        r = save_xsave(vp, wr);
        if (r == 0)
                r = save_msrs(vp, wr);
        if (r < 0)
                return r;
        state_end(wr, mark);
        return wr_error(wr);
}

/* A CPU without XSAVE has no extended control registers, and KVM then refuses the empty set. */
static bool is_empty(unsigned long get, const uint8_t *data) {
        uint32_t n;
        memcpy(&n, data + offsetof(struct kvm_xcrs, nr_xcrs), sizeof n);
        return get == KVM_GET_XCRS && n == 0;
}

static int restore_plain(struct vp *vp, struct rd *rd) {
        for (size_t i = 0; i < ARRAY_SIZE(plain); i++) {
                uint8_t data[PLAIN_MAX];
                int r = rd_bytes(rd, data, plain[i].size);
                if (r == 0 && !is_empty(plain[i].get, data))
                        r = kvm_ioctl(vp->fd, plain[i].set, data);
                if (r < 0)
                        return r;
                if (plain[i].get == KVM_GET_LAPIC)
                        memcpy(&vp->timer_count, data + LAPIC_TIMER_COUNT, sizeof vp->timer_count);
        }
        return 0;
}

int vp_restore(struct vp *vp, struct rd *rd) {
        struct kvm_mp_state mp = {0};
        struct rd section;
        uint64_t tsc = 0, deadline = 0;
        int r = state_open(rd, STATE_VP, 1, NULL, &section);
        if (r == 0)
                r = rd_le32(&section, &mp.mp_state);
        if (r == 0)
                r = rd_le64(&section, &tsc);
        if (r == 0)
                r = rd_le64(&section, &deadline);
        if (r == 0)
                r = timebase_set_tsc(vp, tsc);
        if (r == 0)
                r = restore_plain(vp, &section);
        if (r == 0)
                r = restore_xsave(vp, &section);
        if (r >= 0)
                r = restore_msrs(vp, &section);
        if (r == 0)
                r = rd_end(&section);
        /* The deadline needs the timer's mode, which the local APIC holds. */
        if (r == 0)
                r = kvm_set_msr(vp->fd, MSR_TSC_DEADLINE, deadline);
        if (r == 0)
                r = kvm_ioctl(vp->fd, KVM_SET_MP_STATE, &mp);
        if (r < 0)
                return r;
        vp->tsc = tsc;
        vp->settled = true;
        return 0;
}
