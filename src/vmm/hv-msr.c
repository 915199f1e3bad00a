// SPDX-License-Identifier: MIT
/* The synthetic MSRs, one row each. What has no row, no privilege or no function is a #GP: so are
 * the timers, the guest idle state, the APIC's and the re-enlightenment MSRs, none of which the
 * partition is given. */
#include <string.h>
#include "vmm/hv-internal.h"

struct msr_row {
        uint32_t first, last;
        uint64_t privileges;
        int (*read)(struct hv *hv, uint32_t vp, uint32_t msr, uint64_t *ret);
        int (*write)(struct hv *hv, uint32_t vp, uint32_t msr, uint64_t value);
};

/* The partition's registers. */

static int partition_read(struct hv *hv, _unused_ uint32_t vp, uint32_t msr, uint64_t *ret) {
        pthread_mutex_lock(&hv->lock);
        if (msr == HV_MSR_GUEST_OS_ID)
                *ret = hv->guest_os_id;
        else if (msr == HV_MSR_HYPERCALL)
                *ret = hv->hypercall;
        else if (msr == HV_MSR_REFERENCE_TSC)
                *ret = hv->reference_tsc;
        else if (msr == HV_MSR_TSC_INVARIANT)
                *ret = hv->tsc_invariant;
        else
                *ret = hv->crash[msr - HV_MSR_CRASH_P0];
        pthread_mutex_unlock(&hv->lock);
        return 0;
}

static int partition_set(struct hv *hv, uint32_t vp, uint32_t msr, uint64_t value) {
        if (msr == HV_MSR_GUEST_OS_ID) {
                hv_page_set_os_id(hv, value);
        } else if (msr == HV_MSR_HYPERCALL) {
                return hv_page_set_hypercall(hv, value);
        } else if (msr == HV_MSR_REFERENCE_TSC) {
                hv_page_set_reference_tsc(hv, vp, value);
        } else if (msr == HV_MSR_TSC_INVARIANT) {
                if (value & ~HV_TSC_INVARIANT_EXPOSE)
                        return HV_E_GP;
                hv->tsc_invariant = value;
        } else {
                hv->crash[msr - HV_MSR_CRASH_P0] = value;
        }
        return 0;
}

static int partition_write(struct hv *hv, uint32_t vp, uint32_t msr, uint64_t value) {
        pthread_mutex_lock(&hv->lock);
        int r = partition_set(hv, vp, msr, value);
        pthread_mutex_unlock(&hv->lock);
        return r;
}

static int crash_ctl_read(
        _unused_ struct hv *hv, _unused_ uint32_t vp, _unused_ uint32_t msr, uint64_t *ret) {
        *ret = HV_CRASH_CTL_NOTIFY | HV_CRASH_CTL_MESSAGE;
        return 0;
}

static int crash_ctl_write(
        struct hv *hv, _unused_ uint32_t vp, _unused_ uint32_t msr, uint64_t value) {
        uint64_t crash[HV_CRASH_PARAMETERS];
        if (!(value & HV_CRASH_CTL_NOTIFY))
                return 0;
        pthread_mutex_lock(&hv->lock);
        memcpy(crash, hv->crash, sizeof crash);
        pthread_mutex_unlock(&hv->lock);
        hv_crash_notify(hv, crash, value & HV_CRASH_CTL_MESSAGE);
        return 0;
}

static int reset_read(
        _unused_ struct hv *hv, _unused_ uint32_t vp, _unused_ uint32_t msr, uint64_t *ret) {
        *ret = 0;
        return 0;
}

static int reset_write(struct hv *hv, _unused_ uint32_t vp, _unused_ uint32_t msr, uint64_t value) {
        static const struct vmm_event event = {.type = VMM_EVENT_RESET};
        if (value & HV_RESET_NOW)
                hv->ops->event(hv->ctx, &event);
        return 0;
}

/* Numbers that only we change. */

static int vp_index_read(
        _unused_ struct hv *hv, uint32_t vp, _unused_ uint32_t msr, uint64_t *ret) {
        *ret = vp;
        return 0;
}

static int runtime_read(struct hv *hv, uint32_t vp, _unused_ uint32_t msr, uint64_t *ret) {
        *ret = hv->ops->vp_runtime(hv->ctx, vp);
        return 0;
}

static int time_read(struct hv *hv, _unused_ uint32_t vp, _unused_ uint32_t msr, uint64_t *ret) {
        *ret = hv->ops->reference_time(hv->ctx);
        return 0;
}

static int frequency_read(struct hv *hv, _unused_ uint32_t vp, uint32_t msr, uint64_t *ret) {
        *ret = msr == HV_MSR_TSC_FREQUENCY ? hv->config.tsc_khz * 1000ull : hv->config.apic_hz;
        return 0;
}

/* The VP's registers. */

static int assist_read(struct hv *hv, uint32_t vp, _unused_ uint32_t msr, uint64_t *ret) {
        *ret = hv->vps[vp].assist;
        return 0;
}

/* Linux writes this whatever its privileges are. The word at the start of the page would say that
 * an EOI may be left out, which we never do. */
static int assist_write(struct hv *hv, uint32_t vp, _unused_ uint32_t msr, uint64_t value) {
        hv->vps[vp].assist = value;
        if (value & HV_PAGE_ENABLE) {
                int r = gmem_store32(hv->gm, value & HV_PAGE_ADDRESS, 0);
                (void)r; /* a page that is not RAM is one that the guest cannot read either */
        }
        return 0;
}

static int synic_msr_read(struct hv *hv, uint32_t vp, uint32_t msr, uint64_t *ret) {
        return synic_read(&hv->vps[vp].synic, msr, ret);
}

static int synic_msr_write(struct hv *hv, uint32_t vp, uint32_t msr, uint64_t value) {
        int r = synic_write(&hv->vps[vp].synic, msr, value);
        if (r != 0)
                hv_refuse(hv);
        return r;
}

static const struct msr_row rows[] = {
        {HV_MSR_GUEST_OS_ID, HV_MSR_HYPERCALL, HV_PRIVILEGE_HYPERCALL, partition_read,
                partition_write},
        {HV_MSR_VP_INDEX, HV_MSR_VP_INDEX, HV_PRIVILEGE_VP_INDEX, vp_index_read, NULL},
        {HV_MSR_RESET, HV_MSR_RESET, HV_PRIVILEGE_RESET, reset_read, reset_write},
        {HV_MSR_VP_RUNTIME, HV_MSR_VP_RUNTIME, HV_PRIVILEGE_VP_RUNTIME, runtime_read, NULL},
        {HV_MSR_TIME_REF_COUNT, HV_MSR_TIME_REF_COUNT, HV_PRIVILEGE_REF_COUNTER, time_read, NULL},
        {HV_MSR_REFERENCE_TSC, HV_MSR_REFERENCE_TSC, HV_PRIVILEGE_REF_TSC, partition_read,
                partition_write},
        {HV_MSR_TSC_FREQUENCY, HV_MSR_APIC_FREQUENCY, HV_PRIVILEGE_FREQUENCY, frequency_read, NULL},
        {HV_MSR_VP_ASSIST, HV_MSR_VP_ASSIST, 0, assist_read, assist_write},
        {HV_MSR_SCONTROL, HV_MSR_EOM, HV_PRIVILEGE_SYNIC, synic_msr_read, synic_msr_write},
        {HV_MSR_SINT0, HV_MSR_SINT15, HV_PRIVILEGE_SYNIC, synic_msr_read, synic_msr_write},
        {HV_MSR_CRASH_P0, HV_MSR_CRASH_P4, 0, partition_read, partition_write},
        {HV_MSR_CRASH_CTL, HV_MSR_CRASH_CTL, 0, crash_ctl_read, crash_ctl_write},
        {HV_MSR_TSC_INVARIANT, HV_MSR_TSC_INVARIANT, HV_PRIVILEGE_TSC_INVARIANT, partition_read,
                partition_write},
};

bool hv_msr_owns(uint32_t msr) {
        return msr >= HV_MSR_FIRST && msr <= HV_MSR_LAST;
}

static const struct msr_row *msr_find(const struct hv *hv, uint32_t vp, uint32_t msr) {
        if (vp >= hv->config.vps)
                return NULL;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                if (msr >= rows[i].first && msr <= rows[i].last)
                        return hv_privileged(hv, rows[i].privileges) ? &rows[i] : NULL;
        return NULL;
}

int hv_msr_read(struct hv *hv, uint32_t vp, uint32_t msr, uint64_t *ret) {
        const struct msr_row *row = msr_find(hv, vp, msr);
        return row && row->read ? row->read(hv, vp, msr, ret) : HV_E_GP;
}

int hv_msr_write(struct hv *hv, uint32_t vp, uint32_t msr, uint64_t value) {
        const struct msr_row *row = msr_find(hv, vp, msr);
        return row && row->write ? row->write(hv, vp, msr, value) : HV_E_GP;
}
