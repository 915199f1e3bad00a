// SPDX-License-Identifier: MIT
#include "vmm/vp-cpuid.h"
#include <errno.h>
#include <string.h>

/* Leaf 1. */
#define ECX1_MONITOR      (1u << 3)
#define ECX1_VMX          (1u << 5)
#define ECX1_PDCM         (1u << 15)
#define ECX1_X2APIC       (1u << 21)
#define ECX1_TSC_DEADLINE (1u << 24)
#define ECX1_HYPERVISOR   (1u << 31)
#define EDX1_HTT          (1u << 28)
/* Leaf 0x80000001. */
#define ECX81_CMP_LEGACY   (1u << 1)
#define ECX81_SVM          (1u << 2)
#define ECX81_PERFCTR_CORE (1u << 23)
#define ECX81_PERFCTR_NB   (1u << 24)

#define FLAG_INDEX         KVM_CPUID_FLAG_SIGNIFCANT_INDEX

enum { LEVEL_SMT = 1, LEVEL_CORE = 2 }; /* leaf 0xB, ECX[15:8] */

static bool is_hypervisor_leaf(uint32_t function) {
        return function >= 0x40000000 && function <= 0x4fffffff;
}

static uint32_t bits_for(uint32_t n) {
        uint32_t bits = 0;
        while ((1u << bits) < n)
                bits++;
        return bits;
}

static void put_bits(uint32_t *reg, unsigned low, unsigned width, uint32_t value) {
        uint32_t mask = ((1u << width) - 1) << low;
        *reg = (*reg & ~mask) | (value << low & mask);
}

/* Leaves that come from elsewhere (hypervisor, topology) or that we do not give at all:
 * 5 MONITOR, 0xA performance counters, 0x80000022 more counters, 0x8000000A SVM. */
static bool is_dropped(uint32_t function) {
        return is_hypervisor_leaf(function) || function == 5 || function == 0xa ||
               function == 0xb || function == 0x1f || function == 0x8000000a ||
               function == 0x80000022;
}

static void adapt(struct kvm_cpuid_entry2 *entry, uint32_t index, uint32_t vps) {
        switch (entry->function) {
        case 1:
                entry->ecx &= ~(ECX1_MONITOR | ECX1_VMX | ECX1_PDCM);
                entry->ecx |= ECX1_X2APIC | ECX1_TSC_DEADLINE | ECX1_HYPERVISOR;
                put_bits(&entry->ebx, 16, 8, vps);
                put_bits(&entry->ebx, 24, 8, index);
                if (vps > 1)
                        entry->edx |= EDX1_HTT;
                else
                        entry->edx &= ~EDX1_HTT;
                break;
        case 4:
        case 0x8000001d: {
                uint32_t level = entry->eax >> 5 & 7;
                if ((entry->eax & 0x1f) == 0)
                        break; /* no more caches */
                put_bits(&entry->eax, 14, 12, level >= 3 ? vps - 1 : 0);
                if (entry->function == 4)
                        put_bits(&entry->eax, 26, 6, vps - 1);
                break;
        }
        case 0x80000001:
                entry->ecx &= ~(ECX81_SVM | ECX81_PERFCTR_CORE | ECX81_PERFCTR_NB);
                if (vps > 1)
                        entry->ecx |= ECX81_CMP_LEGACY;
                else
                        entry->ecx &= ~ECX81_CMP_LEGACY;
                break;
        case 0x80000008:
                put_bits(&entry->ecx, 0, 8, vps - 1);
                put_bits(&entry->ecx, 12, 4, bits_for(vps));
                break;
        case 0x8000001e:
                entry->eax = index; /* extended APIC id */
                entry->ebx = index; /* core id, one thread */
                entry->ecx = 0;     /* node 0, one node */
                entry->edx = 0;
                break;
        default:
                break;
        }
}

static int append(struct cpuid_table *table, struct kvm_cpuid_entry2 entry) {
        if (table->nent == CPUID_ENTRIES_MAX)
                return -E2BIG;
        table->entries[table->nent++] = entry;
        return 0;
}

static int append_topology(
        struct cpuid_table *table, uint32_t function, uint32_t index, uint32_t vps) {
        int r = append(table, (struct kvm_cpuid_entry2){.function = function,
                                      .index = 0,
                                      .flags = FLAG_INDEX,
                                      .eax = 0,
                                      .ebx = 1,
                                      .ecx = LEVEL_SMT << 8,
                                      .edx = index});
        if (r < 0)
                return r;
        r = append(table, (struct kvm_cpuid_entry2){.function = function,
                                  .index = 1,
                                  .flags = FLAG_INDEX,
                                  .eax = bits_for(vps),
                                  .ebx = vps,
                                  .ecx = LEVEL_CORE << 8 | 1,
                                  .edx = index});
        if (r < 0)
                return r;
        return append(table, (struct kvm_cpuid_entry2){.function = function,
                                     .index = 2,
                                     .flags = FLAG_INDEX,
                                     .ecx = 2,
                                     .edx = index});
}

int cpuid_for_vp(struct cpuid_table *table, uint32_t index, uint32_t vps, const struct hv_cpuid *hv,
        size_t n_hv) {
        uint32_t kept = 0, max_leaf = 0;
        for (uint32_t i = 0; i < table->nent; i++) {
                struct kvm_cpuid_entry2 *entry = &table->entries[i];
                if (entry->function == 0)
                        max_leaf = entry->eax;
                if (is_dropped(entry->function))
                        continue;
                adapt(entry, index, vps);
                table->entries[kept++] = *entry;
        }
        table->nent = kept;

        for (uint32_t function = 0xb; function <= 0x1f; function += 0x1f - 0xb) {
                if (max_leaf < function)
                        break;
                int r = append_topology(table, function, index, vps);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < n_hv; i++) {
                int r = append(table, (struct kvm_cpuid_entry2){.function = hv[i].leaf,
                                              .eax = hv[i].eax,
                                              .ebx = hv[i].ebx,
                                              .ecx = hv[i].ecx,
                                              .edx = hv[i].edx});
                if (r < 0)
                        return r;
        }
        return 0;
}
