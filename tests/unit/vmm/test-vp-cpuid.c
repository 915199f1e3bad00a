// SPDX-License-Identifier: MIT
#include "vmm/vp-cpuid.h"
#include "../test.h"

static struct cpuid_table host(void) {
        struct cpuid_table table = {0};
        const struct kvm_cpuid_entry2 entries[] = {
                {.function = 0, .eax = 0x20},
                {.function = 1, .ebx = 0xaabb0800, .ecx = 1u << 3 | 1u << 5, .edx = 0},
                {.function = 4, .index = 0, .flags = 1, .eax = 1 | 1 << 5 | 0x3ff << 14},
                {.function = 4, .index = 3, .flags = 1, .eax = 3 | 3 << 5},
                {.function = 4, .index = 4, .flags = 1, .eax = 0},
                {.function = 5, .eax = 1},
                {.function = 0xa, .eax = 1},
                {.function = 0xb, .index = 0, .flags = 1, .ebx = 99},
                {.function = 0xd, .index = 0, .flags = 1, .eax = 7},
                {.function = 0x1f, .index = 0, .flags = 1, .ebx = 99},
                {.function = 0x40000000, .ebx = 0x4b4d564b},
                {.function = 0x40000001, .eax = ~0u},
                {.function = 0x80000001, .ecx = 1u << 2 | 1u << 22},
                {.function = 0x80000008, .eax = 0x3030, .ecx = 0xffff},
                {.function = 0x8000000a, .eax = 1},
                {.function = 0x8000001e, .eax = 9, .ebx = 9, .ecx = 9},
        };
        memcpy(table.entries, entries, sizeof entries);
        table.nent = ARRAY_SIZE(entries);
        return table;
}

static const struct kvm_cpuid_entry2 *find(
        const struct cpuid_table *table, uint32_t function, uint32_t index) {
        for (uint32_t i = 0; i < table->nent; i++)
                if (table->entries[i].function == function && table->entries[i].index == index)
                        return &table->entries[i];
        return NULL;
}

START_TEST(nothing_of_kvm_and_no_nesting_shows) {
        struct cpuid_table table = host();
        assert_ok(cpuid_for_vp(&table, 0, 1, NULL, 0));
        ck_assert_ptr_null(find(&table, 0x40000000, 0));
        ck_assert_ptr_null(find(&table, 0x40000001, 0));
        ck_assert_ptr_null(find(&table, 5, 0));
        ck_assert_ptr_null(find(&table, 0xa, 0));
        ck_assert_ptr_null(find(&table, 0x8000000a, 0));
        ck_assert_uint_eq(find(&table, 1, 0)->ecx, 1u << 31 | 1u << 24 | 1u << 21);
        ck_assert_uint_eq(find(&table, 0x80000001, 0)->ecx, 1u << 22);
        ck_assert_uint_eq(find(&table, 0xd, 0)->eax, 7);
}
END_TEST

START_TEST(the_hyper_v_leaves_are_added) {
        const struct hv_cpuid hv[] = {{0x40000000, 0x40000006, 1, 2, 3}, {0x40000001, 4, 0, 0, 0}};
        struct cpuid_table table = host();
        assert_ok(cpuid_for_vp(&table, 0, 1, hv, 2));
        ck_assert_uint_eq(find(&table, 0x40000000, 0)->ebx, 1);
        ck_assert_uint_eq(find(&table, 0x40000000, 0)->edx, 3);
        ck_assert_uint_eq(find(&table, 0x40000001, 0)->eax, 4);
}
END_TEST

START_TEST(every_processor_is_a_core_of_one_package) {
        for (uint32_t i = 0; i < 6; i++) {
                struct cpuid_table table = host();
                assert_ok(cpuid_for_vp(&table, i, 6, NULL, 0));
                ck_assert_uint_eq(find(&table, 1, 0)->ebx, i << 24 | 6 << 16 | 0x0800);
                ck_assert_uint_eq(find(&table, 1, 0)->edx, 1u << 28);
                ck_assert_uint_eq(find(&table, 0xb, 0)->ebx, 1);
                ck_assert_uint_eq(find(&table, 0xb, 0)->ecx, 0x100);
                ck_assert_uint_eq(find(&table, 0xb, 1)->eax, 3);
                ck_assert_uint_eq(find(&table, 0xb, 1)->ebx, 6);
                ck_assert_uint_eq(find(&table, 0xb, 1)->ecx, 0x201);
                ck_assert_uint_eq(find(&table, 0x1f, 1)->edx, i);
                ck_assert_uint_eq(find(&table, 4, 0)->eax, (1 | 1 << 5) | 5u << 26);
                ck_assert_uint_eq(find(&table, 4, 3)->eax, (3 | 3 << 5 | 5 << 14) | 5u << 26);
                ck_assert_uint_eq(find(&table, 4, 4)->eax, 0);
                ck_assert_uint_eq(find(&table, 0x80000001, 0)->ecx, 1u << 22 | 2);
                ck_assert_uint_eq(find(&table, 0x80000008, 0)->ecx, 3 << 12 | 0x0f00 | 5);
                ck_assert_uint_eq(find(&table, 0x8000001e, 0)->eax, i);
                ck_assert_uint_eq(find(&table, 0x8000001e, 0)->ecx, 0);
        }
}
END_TEST

START_TEST(a_cpu_without_topology_leaves_gets_none) {
        struct cpuid_table table = host();
        table.entries[0].eax = 0xa;
        assert_ok(cpuid_for_vp(&table, 0, 2, NULL, 0));
        ck_assert_ptr_null(find(&table, 0xb, 0));
        ck_assert_ptr_null(find(&table, 0x1f, 0));
}
END_TEST

START_TEST(a_full_table_is_refused) {
        const struct hv_cpuid hv[] = {{0x40000000, 0, 0, 0, 0}};
        struct cpuid_table table = {.nent = CPUID_ENTRIES_MAX};
        for (uint32_t i = 0; i < CPUID_ENTRIES_MAX; i++)
                table.entries[i].function = 0xd;
        assert_error(cpuid_for_vp(&table, 0, 1, hv, 1), -E2BIG);
        table.nent = CPUID_ENTRIES_MAX - 1;
        assert_ok(cpuid_for_vp(&table, 0, 1, hv, 1));
}
END_TEST

TEST_MAIN("vp-cpuid", nothing_of_kvm_and_no_nesting_shows, the_hyper_v_leaves_are_added,
        every_processor_is_a_core_of_one_package, a_cpu_without_topology_leaves_gets_none,
        a_full_table_is_refused)
