// SPDX-License-Identifier: MIT
/* What CPUID tells a VP: what KVM supports, minus what we do not give, plus the Hyper-V leaves and
 * a flat topology of one package with one thread per core. Pure. */
#pragma once
#include <assert.h>
#include <linux/kvm.h>
#include <stddef.h>
#include <stdint.h>
#include "base/cleanup.h"
#include "vmm/hv.h"

enum { CPUID_ENTRIES_MAX = 256 };

struct cpuid_table {
        uint32_t nent;
        uint32_t padding;
        struct kvm_cpuid_entry2 entries[CPUID_ENTRIES_MAX];
};
static_assert(offsetof(struct cpuid_table, entries) == offsetof(struct kvm_cpuid2, entries),
        "a struct kvm_cpuid2 with room");

/* Turns the supported table into that of VP `index` of `vps`. hv may be NULL (no Hyper-V leaves).
 * -E2BIG: no room for what is to be added. */
_warn_unused_ int cpuid_for_vp(struct cpuid_table *table, uint32_t index, uint32_t vps,
        const struct hv_cpuid *hv, size_t n_hv);
