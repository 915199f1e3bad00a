// SPDX-License-Identifier: MIT
#include "hv-fixture.h"

static struct hv_cpuid leaf(uint32_t number) {
        struct hv_cpuid leaves[HV_CPUID_LEAVES_MAX];
        size_t n = hv_cpuid(fake.hv, leaves);
        ck_assert_uint_le(n, HV_CPUID_LEAVES_MAX);
        for (size_t i = 0; i < n; i++)
                if (leaves[i].leaf == number)
                        return leaves[i];
        ck_abort_msg("no leaf %x", number);
}

START_TEST(a_guest_finds_the_interface) {
        struct hv_cpuid l = leaf(0x40000000);
        char name[13] = {0};
        memcpy(name, &l.ebx, 4);
        memcpy(name + 4, &l.ecx, 4);
        memcpy(name + 8, &l.edx, 4);
        ck_assert_str_eq(name, "Microsoft Hv");
        ck_assert_uint_eq(l.eax, 0x40000006);
        ck_assert_uint_eq(leaf(0x40000001).eax, 0x31237648);
        for (uint32_t i = 0x40000000; i <= l.eax; i++)
                ck_assert_uint_eq(leaf(i).leaf, i);
}
END_TEST

START_TEST(features_are_the_privileges) {
        struct hv_cpuid l = leaf(0x40000003);
        ck_assert_uint_eq(l.eax, 0xae7);
        ck_assert_uint_eq(l.ebx, 0x120030);
        ck_assert_uint_eq(l.edx, 0x60510);
        ck_assert_uint_eq(l.ebx & (1u << 1 | 1u << 12 | 1u << 22), 0);
        fake_renew(hv_privileges_default & ~HV_PRIVILEGE_FREQUENCY & ~HV_PRIVILEGE_VP_REGISTERS);
        l = leaf(0x40000003);
        ck_assert_uint_eq(l.eax, 0x2e7);
        ck_assert_uint_eq(l.ebx, 0x100030);
        ck_assert_uint_eq(l.edx, 0x60410);
}
END_TEST

START_TEST(recommendations_name_nothing_that_needs_an_exit) {
        struct hv_cpuid l = leaf(0x40000004);
        ck_assert_uint_eq(l.eax, 0x220);
        ck_assert_uint_eq(l.ebx, UINT32_MAX);
        ck_assert_uint_eq(leaf(0x40000005).eax, FAKE_VPS);
}
END_TEST

HV_TEST_MAIN("hv-cpuid", NULL, a_guest_finds_the_interface, features_are_the_privileges,
        recommendations_name_nothing_that_needs_an_exit)
