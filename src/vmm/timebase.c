// SPDX-License-Identifier: MIT
/* The reference time is the host's TSC, scaled: the guest computes it in the same way from the
 * reference TSC page, so that the two never drift apart. */
#include <x86intrin.h>
#include "vmm/partition.h"

enum { UNITS_PER_MS = 10000 };

static uint64_t ticks_now(const struct vmm *vmm) {
        return vmm->time_runs ? vmm->time_base + (__rdtsc() - vmm->time_tsc) : vmm->time_base;
}

uint64_t timebase_now(struct vmm *vmm) {
        pthread_mutex_lock(&vmm->time_lock);
        uint64_t ticks = ticks_now(vmm);
        pthread_mutex_unlock(&vmm->time_lock);
        return (uint64_t)((unsigned __int128)ticks * UNITS_PER_MS / vmm->tsc_khz);
}

void timebase_reset(struct vmm *vmm) {
        pthread_mutex_lock(&vmm->time_lock);
        vmm->time_runs = vmm->time_set = false;
        vmm->time_base = 0;
        vmm->time_tsc = __rdtsc();
        pthread_mutex_unlock(&vmm->time_lock);
}

/* The attribute that a VP's counter is ahead of the host's by. */
static int tsc_offset(struct vp *vp, unsigned long request, uint64_t *value) {
        struct kvm_device_attr attr = {
                .group = KVM_VCPU_TSC_CTRL,
                .attr = KVM_VCPU_TSC_OFFSET,
                .addr = (uintptr_t)value,
        };
        return kvm_ioctl(vp->fd, request, &attr);
}

/* Takes the time that it stood off every VP's counter. *ret_shifted: whether that had an effect; a
 * KVM that runs guest code on the bare CPU shows it the host's counter, come what may. */
static int shift_counters(struct vmm *vmm, uint64_t stood, bool *ret_shifted) {
        for (uint32_t i = 0; i < vmm->config.vps; i++) {
                uint64_t offset = 0, now = 0;
                int r = tsc_offset(&vmm->vps[i], KVM_GET_DEVICE_ATTR, &offset);
                offset -= stood;
                if (r >= 0)
                        r = tsc_offset(&vmm->vps[i], KVM_SET_DEVICE_ATTR, &offset);
                if (r >= 0)
                        r = tsc_offset(&vmm->vps[i], KVM_GET_DEVICE_ATTR, &now);
                if (r < 0)
                        return r;
                *ret_shifted = now == offset;
        }
        return 0;
}

int timebase_start(struct vmm *vmm) {
        int r = 0;
        bool shifted = true, set = false;
        pthread_mutex_lock(&vmm->time_lock);
        if (!vmm->time_runs) {
                set = vmm->time_set;
                vmm->time_set = false;
                uint64_t now = __rdtsc();
                r = shift_counters(vmm, now - vmm->time_tsc, &shifted);
                vmm->time_tsc = now;
                vmm->time_runs = true;
        }
        pthread_mutex_unlock(&vmm->time_lock);
        if (r == 0 && (set || !shifted) && vmm->hv)
                hv_tsc_changed(vmm->hv);
        return r;
}

void timebase_stop(struct vmm *vmm) {
        pthread_mutex_lock(&vmm->time_lock);
        if (vmm->time_runs) {
                uint64_t now = __rdtsc();
                vmm->time_base += now - vmm->time_tsc;
                vmm->time_tsc = now;
                vmm->time_runs = false;
        }
        pthread_mutex_unlock(&vmm->time_lock);
}

uint64_t timebase_get(struct vmm *vmm) {
        pthread_mutex_lock(&vmm->time_lock);
        uint64_t ticks = ticks_now(vmm);
        pthread_mutex_unlock(&vmm->time_lock);
        return ticks;
}

void timebase_set(struct vmm *vmm, uint64_t ticks) {
        pthread_mutex_lock(&vmm->time_lock);
        vmm->time_base = ticks;
        vmm->time_set = true;
        vmm->time_tsc = __rdtsc();
        pthread_mutex_unlock(&vmm->time_lock);
}

int timebase_get_tsc(struct vp *vp, uint64_t *ret) {
        uint64_t offset = 0;
        int r = tsc_offset(vp, KVM_GET_DEVICE_ATTR, &offset);
        if (r < 0)
                return r;
        *ret = offset + vp->vmm->time_tsc;
        return 0;
}

int timebase_set_tsc(struct vp *vp, uint64_t tsc) {
        uint64_t offset = tsc - vp->vmm->time_tsc;
        int r = tsc_offset(vp, KVM_SET_DEVICE_ATTR, &offset);
        return r < 0 ? r : 0;
}
