// SPDX-License-Identifier: MIT
/* Registers by HV_REGISTER_NAME: the synthetic ones are our MSRs and CPUID leaves under another
 * name, with the same privileges; the rest belongs to the processor. */
#include <errno.h>
#include "vmm/hv-internal.h"

static const struct {
        uint32_t first, last, msr;
} synthetic[] = {
        {HV_REGISTER_CRASH_P0, HV_REGISTER_CRASH_CTL, HV_MSR_CRASH_P0},
        {HV_REGISTER_TSC_FREQUENCY, HV_REGISTER_APIC_FREQUENCY, HV_MSR_TSC_FREQUENCY},
        {HV_REGISTER_VP_RUNTIME, HV_REGISTER_VP_RUNTIME, HV_MSR_VP_RUNTIME},
        {HV_REGISTER_HYPERCALL, HV_REGISTER_HYPERCALL, HV_MSR_HYPERCALL},
        {HV_REGISTER_GUEST_OS_ID, HV_REGISTER_GUEST_OS_ID, HV_MSR_GUEST_OS_ID},
        {HV_REGISTER_VP_INDEX, HV_REGISTER_VP_INDEX, HV_MSR_VP_INDEX},
        {HV_REGISTER_TIME_REF_COUNT, HV_REGISTER_TIME_REF_COUNT, HV_MSR_TIME_REF_COUNT},
        {HV_REGISTER_VP_ASSIST, HV_REGISTER_VP_ASSIST, HV_MSR_VP_ASSIST},
        {HV_REGISTER_REFERENCE_TSC, HV_REGISTER_REFERENCE_TSC, HV_MSR_REFERENCE_TSC},
        {HV_REGISTER_SINT0, HV_REGISTER_SINT15, HV_MSR_SINT0},
        {HV_REGISTER_SCONTROL, HV_REGISTER_EOM, HV_MSR_SCONTROL},
};

/* 0 when the name is not synthetic. */
static uint32_t synthetic_msr(uint32_t name) {
        for (size_t i = 0; i < ARRAY_SIZE(synthetic); i++)
                if (name >= synthetic[i].first && name <= synthetic[i].last)
                        return synthetic[i].msr + (name - synthetic[i].first);
        return 0;
}

/* 0 when the name does not stand for a leaf. */
static uint32_t leaf_of(uint32_t name) {
        if (name == HV_REGISTER_VERSION_INFO)
                return HV_CPUID_VERSION;
        if (name >= HV_REGISTER_FEATURES_INFO && name <= HV_REGISTER_HARDWARE_INFO)
                return HV_CPUID_FEATURES + (name - HV_REGISTER_FEATURES_INFO);
        return 0;
}

static uint16_t status_of(int r) {
        if (r == 0)
                return HV_STATUS_SUCCESS;
        if (r == -ENOENT)
                return HV_STATUS_INVALID_PARAMETER;
        return r == -EINVAL ? HV_STATUS_INVALID_REGISTER_VALUE : HV_STATUS_OPERATION_DENIED;
}

uint16_t hv_register_get(const struct hv_input *in, uint32_t name, uint64_t ret[2]) {
        struct hv *hv = in->hv;
        uint32_t leaf = leaf_of(name), msr = synthetic_msr(name);
        if (leaf) {
                struct hv_cpuid leaves[HV_CPUID_LEAVES_MAX];
                (void)hv_cpuid(hv, leaves);
                const struct hv_cpuid *l = &leaves[leaf - HV_CPUID_RANGE];
                ret[0] = l->eax | (uint64_t)l->ebx << 32;
                ret[1] = l->ecx | (uint64_t)l->edx << 32;
                return HV_STATUS_SUCCESS;
        }
        if (msr) {
                ret[1] = 0;
                return hv_msr_read(hv, in->vp, msr, &ret[0]) == 0 ? HV_STATUS_SUCCESS
                                                                  : HV_STATUS_INVALID_PARAMETER;
        }
        return status_of(hv->ops->get_register(hv->ctx, in->vp, name, ret));
}

uint16_t hv_register_set(const struct hv_input *in, uint32_t name, const uint64_t value[2]) {
        struct hv *hv = in->hv;
        uint32_t msr = synthetic_msr(name);
        if (leaf_of(name))
                return HV_STATUS_INVALID_PARAMETER;
        if (msr)
                return value[1] == 0 && hv_msr_write(hv, in->vp, msr, value[0]) == 0
                               ? HV_STATUS_SUCCESS
                               : HV_STATUS_INVALID_REGISTER_VALUE;
        return status_of(hv->ops->set_register(hv->ctx, in->vp, name, value));
}
