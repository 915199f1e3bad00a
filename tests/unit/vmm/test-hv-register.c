// SPDX-License-Identifier: MIT
#include "hv-fixture.h"

static uint16_t get(uint32_t vp, uint32_t name, uint64_t ret[2]) {
        const struct hv_input in = {.hv = fake.hv, .vp = vp};
        return hv_register_get(&in, name, ret);
}

static uint16_t set(uint32_t vp, uint32_t name, uint64_t low, uint64_t high) {
        const struct hv_input in = {.hv = fake.hv, .vp = vp};
        const uint64_t value[2] = {low, high};
        return hv_register_set(&in, name, value);
}

START_TEST(processor_registers_are_the_real_ones) {
        uint64_t v[2];
        ck_assert_uint_eq(set(0, HV_REGISTER_RBX, 12, 34), HV_STATUS_SUCCESS);
        ck_assert_uint_eq(get(0, HV_REGISTER_RBX, v), HV_STATUS_SUCCESS);
        ck_assert_uint_eq(v[0], 12);
        ck_assert_uint_eq(v[1], 34);
        ck_assert_uint_eq(get(0, 0x12345678, v), HV_STATUS_INVALID_PARAMETER);
        ck_assert_uint_eq(set(0, 0x12345678, 1, 0), HV_STATUS_INVALID_PARAMETER);
        ck_assert_uint_eq(set(0, HV_REGISTER_RBX, UINT64_MAX, 0), HV_STATUS_INVALID_REGISTER_VALUE);
}
END_TEST

/* Each name of a synthetic register, and its MSR. */
static const struct {
        uint32_t name, msr;
        bool writable;
        uint64_t value;
} pairs[] = {
        {HV_REGISTER_GUEST_OS_ID, HV_MSR_GUEST_OS_ID, true, 0x8100ull << 48},
        {HV_REGISTER_HYPERCALL, HV_MSR_HYPERCALL, true, FAKE_STUB | 1},
        {HV_REGISTER_VP_INDEX, HV_MSR_VP_INDEX, false, 0},
        {HV_REGISTER_VP_RUNTIME, HV_MSR_VP_RUNTIME, false, 0},
        {HV_REGISTER_TIME_REF_COUNT, HV_MSR_TIME_REF_COUNT, false, 0},
        {HV_REGISTER_REFERENCE_TSC, HV_MSR_REFERENCE_TSC, true, FAKE_TSC | 1},
        {HV_REGISTER_VP_ASSIST, HV_MSR_VP_ASSIST, true, FAKE_OUT | 1},
        {HV_REGISTER_TSC_FREQUENCY, HV_MSR_TSC_FREQUENCY, false, 0},
        {HV_REGISTER_APIC_FREQUENCY, HV_MSR_APIC_FREQUENCY, false, 0},
        {HV_REGISTER_CRASH_P0, HV_MSR_CRASH_P0, true, 11},
        {HV_REGISTER_CRASH_P0 + 4, HV_MSR_CRASH_P4, true, 15},
        {HV_REGISTER_SINT0, HV_MSR_SINT0, true, 0x20},
        {HV_REGISTER_SINT15, HV_MSR_SINT15, true, 0x2f},
        {HV_REGISTER_SCONTROL, HV_MSR_SCONTROL, true, 1},
        {HV_REGISTER_SCONTROL + 1, HV_MSR_SVERSION, false, 0},
        {HV_REGISTER_SCONTROL + 2, HV_MSR_SIEFP, true, FAKE_SIEFP | 1},
        {HV_REGISTER_SCONTROL + 3, HV_MSR_SIMP, true, FAKE_SIMP | 1},
};

START_TEST(synthetic_registers_are_the_msrs) {
        fake.now = 4711;
        for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
                uint64_t v[2] = {1, 1}, msr = 2;
                ck_assert_uint_eq(set(1, pairs[i].name, pairs[i].value, 0),
                        pairs[i].writable ? HV_STATUS_SUCCESS : HV_STATUS_INVALID_REGISTER_VALUE);
                ck_assert_uint_eq(get(1, pairs[i].name, v), HV_STATUS_SUCCESS);
                ck_assert_int_eq(hv_msr_read(fake.hv, 1, pairs[i].msr, &msr), 0);
                ck_assert_uint_eq(v[0], msr);
                ck_assert_uint_eq(v[1], 0);
                if (pairs[i].writable)
                        ck_assert_uint_eq(v[0], pairs[i].value);
        }
        ck_assert_uint_eq(set(1, HV_REGISTER_EOM, 0, 0), HV_STATUS_SUCCESS);
        ck_assert_uint_eq(set(1, HV_REGISTER_SINT0, 15, 0), HV_STATUS_INVALID_REGISTER_VALUE);
        ck_assert_uint_eq(set(1, HV_REGISTER_SINT0, 0x20, 1), HV_STATUS_INVALID_REGISTER_VALUE);
        ck_assert_uint_eq(set(1, HV_REGISTER_CRASH_CTL, HV_CRASH_CTL_NOTIFY, 0), HV_STATUS_SUCCESS);
        ck_assert_uint_eq(fake.n_events, 1);
}
END_TEST

START_TEST(a_name_needs_the_privilege_of_its_msr) {
        uint64_t v[2];
        fake_renew(hv_privileges_default & ~HV_PRIVILEGE_SYNIC);
        ck_assert_uint_eq(get(0, HV_REGISTER_SCONTROL, v), HV_STATUS_INVALID_PARAMETER);
        ck_assert_uint_eq(set(0, HV_REGISTER_SCONTROL, 1, 0), HV_STATUS_INVALID_REGISTER_VALUE);
        ck_assert_uint_eq(get(0, HV_REGISTER_STIMER0_CONFIG, v), HV_STATUS_INVALID_PARAMETER);
        ck_assert_uint_eq(set(0, HV_REGISTER_EOI, 0, 0), HV_STATUS_INVALID_PARAMETER);
        ck_assert_uint_eq(get(0, HV_REGISTER_GUEST_IDLE, v), HV_STATUS_INVALID_PARAMETER);
}
END_TEST

START_TEST(leaves_can_be_read_as_registers) {
        struct hv_cpuid leaves[HV_CPUID_LEAVES_MAX];
        uint64_t v[2];
        hv_cpuid(fake.hv, leaves);
        ck_assert_uint_eq(get(0, HV_REGISTER_VERSION_INFO, v), HV_STATUS_SUCCESS);
        ck_assert_uint_eq(v[0], leaves[2].eax | (uint64_t)leaves[2].ebx << 32);
        for (uint32_t i = 0; i < 4; i++) {
                const struct hv_cpuid *l = &leaves[3 + i];
                ck_assert_uint_eq(get(0, HV_REGISTER_FEATURES_INFO + i, v), HV_STATUS_SUCCESS);
                ck_assert_uint_eq(v[0], l->eax | (uint64_t)l->ebx << 32);
                ck_assert_uint_eq(v[1], l->ecx | (uint64_t)l->edx << 32);
                ck_assert_uint_eq(set(0, HV_REGISTER_FEATURES_INFO + i, v[0], v[1]),
                        HV_STATUS_INVALID_PARAMETER);
        }
}
END_TEST

HV_TEST_MAIN("hv-register", NULL, processor_registers_are_the_real_ones,
        synthetic_registers_are_the_msrs, a_name_needs_the_privilege_of_its_msr,
        leaves_can_be_read_as_registers)
