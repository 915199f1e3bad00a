// SPDX-License-Identifier: MIT
/* The leaves from 0x40000000 on (TLFS, feature discovery). */
#include "vmm/hv-internal.h"

/* Time comes from the reference TSC page, not from the guest's own reading of the TSC: the page is
 * rewritten after a pause, a restore or a move to a host with another TSC, so that the guest's
 * clock stands still meanwhile and goes on at the right rate. Hence no TSC_INVARIANT, with which
 * Linux would prefer the plain TSC. STIMER, APIC and GUEST_IDLE would each cost an exit where the
 * local APIC of KVM has none. */
#define HV_PRIVILEGES_DEFAULT                                                                      \
        (HV_PRIVILEGE_VP_RUNTIME | HV_PRIVILEGE_REF_COUNTER | HV_PRIVILEGE_SYNIC |                 \
                HV_PRIVILEGE_HYPERCALL | HV_PRIVILEGE_VP_INDEX | HV_PRIVILEGE_RESET |              \
                HV_PRIVILEGE_REF_TSC | HV_PRIVILEGE_FREQUENCY | HV_PRIVILEGE_POST_MESSAGES |       \
                HV_PRIVILEGE_SIGNAL_EVENTS | HV_PRIVILEGE_VP_REGISTERS |                           \
                HV_PRIVILEGE_EXTENDED_CALLS)
const uint64_t hv_privileges_default = HV_PRIVILEGES_DEFAULT;

/* What can be granted at all: a privilege without its effect would be a lie. Some are worse: with
 * PARTITION_ID, CPU_MANAGEMENT or ISOLATION a Linux guest calls through a pointer that it never set
 * up, or takes itself for the root partition or a confidential one. Whoever grants TSC_INVARIANT
 * shows the invariant TSC in leaf 0x80000007 as well. */
const uint64_t hv_privileges_known = HV_PRIVILEGES_DEFAULT | HV_PRIVILEGE_TSC_INVARIANT;

/* The version of Hyper-V whose interface this is; guests print it. */
enum { HV_BUILD = 22621, HV_MAJOR = 10, HV_MINOR = 0 };
#define HV_SPIN_NEVER_NOTIFY UINT32_MAX

size_t hv_cpuid(const struct hv *hv, struct hv_cpuid ret[HV_CPUID_LEAVES_MAX]) {
        uint32_t features = HV_FEATURE_XMM_INPUT | HV_FEATURE_CRASH | HV_FEATURE_SINT_POLLING |
                            HV_FEATURE_HYPERCALL_LOCK;
        if (hv_privileged(hv, HV_PRIVILEGE_FREQUENCY))
                features |= HV_FEATURE_FREQUENCY;
        const struct hv_cpuid leaves[] = {
                {HV_CPUID_RANGE, HV_CPUID_HARDWARE, HV_CPUID_VENDOR_EBX, HV_CPUID_VENDOR_ECX,
                        HV_CPUID_VENDOR_EDX},
                {HV_CPUID_INTERFACE, HV_CPUID_INTERFACE_EAX, 0, 0, 0},
                {HV_CPUID_VERSION, HV_BUILD, HV_MAJOR << 16 | HV_MINOR, 0, 0},
                {HV_CPUID_FEATURES, (uint32_t)hv->config.privileges,
                        (uint32_t)(hv->config.privileges >> 32), 0, features},
                {HV_CPUID_RECOMMENDATIONS, HV_HINT_RELAXED_TIMING | HV_HINT_NO_AUTO_EOI,
                        HV_SPIN_NEVER_NOTIFY, 0, 0},
                {HV_CPUID_LIMITS, hv->config.vps, hv->config.vps, 0, 0},
                {HV_CPUID_HARDWARE, 0, 0, 0, 0},
        };
        static_assert(ARRAY_SIZE(leaves) <= HV_CPUID_LEAVES_MAX, "room for all");
        for (size_t i = 0; i < ARRAY_SIZE(leaves); i++)
                ret[i] = leaves[i];
        return ARRAY_SIZE(leaves);
}
