// SPDX-License-Identifier: MIT
#include "hv-fixture.h"

static uint64_t rdmsr(uint32_t vp, uint32_t msr) {
        uint64_t v = 0xdeadbeef;
        ck_assert_int_eq(hv_msr_read(fake.hv, vp, msr, &v), 0);
        return v;
}

static void wrmsr(uint32_t vp, uint32_t msr, uint64_t value) {
        ck_assert_int_eq(hv_msr_write(fake.hv, vp, msr, value), 0);
}

static void assert_gp(uint32_t msr) {
        uint64_t v = 0x1234;
        ck_assert_int_eq(hv_msr_read(fake.hv, 0, msr, &v), HV_E_GP);
        ck_assert_uint_eq(v, 0x1234);
        ck_assert_int_eq(hv_msr_write(fake.hv, 0, msr, 0x10001), HV_E_GP);
}

START_TEST(the_range_is_ours) {
        ck_assert(!hv_msr_owns(0x3fffffff));
        ck_assert(hv_msr_owns(0x40000000));
        ck_assert(hv_msr_owns(0x400001ff));
        ck_assert(!hv_msr_owns(0x40000200));
}
END_TEST

START_TEST(partition_registers_are_seen_by_all_processors) {
        wrmsr(0, HV_MSR_GUEST_OS_ID, 0x8100060100000000);
        ck_assert_uint_eq(rdmsr(1, HV_MSR_GUEST_OS_ID), 0x8100060100000000);
        wrmsr(1, HV_MSR_HYPERCALL, FAKE_STUB | 0xffd);
        ck_assert_uint_eq(rdmsr(0, HV_MSR_HYPERCALL), FAKE_STUB | 0xffd);
        for (uint32_t i = 0; i < 5; i++)
                wrmsr(0, HV_MSR_CRASH_P0 + i, UINT64_MAX - i);
        for (uint32_t i = 0; i < 5; i++)
                ck_assert_uint_eq(rdmsr(1, HV_MSR_CRASH_P0 + i), UINT64_MAX - i);
}
END_TEST

START_TEST(numbers_of_ours_are_read_only) {
        static const uint32_t msrs[] = {HV_MSR_VP_INDEX, HV_MSR_VP_RUNTIME, HV_MSR_TIME_REF_COUNT,
                HV_MSR_TSC_FREQUENCY, HV_MSR_APIC_FREQUENCY, HV_MSR_SVERSION};
        fake.now = 123456789;
        for (size_t i = 0; i < ARRAY_SIZE(msrs); i++)
                ck_assert_int_eq(hv_msr_write(fake.hv, 0, msrs[i], 0), HV_E_GP);
        ck_assert_uint_eq(rdmsr(0, HV_MSR_VP_INDEX), 0);
        ck_assert_uint_eq(rdmsr(1, HV_MSR_VP_INDEX), 1);
        ck_assert_uint_eq(rdmsr(1, HV_MSR_VP_RUNTIME), 1001);
        ck_assert_uint_eq(rdmsr(0, HV_MSR_TIME_REF_COUNT), 123456789);
        ck_assert_uint_eq(rdmsr(0, HV_MSR_TSC_FREQUENCY), 2500000000);
        ck_assert_uint_eq(rdmsr(0, HV_MSR_APIC_FREQUENCY), 1000000000);
}
END_TEST

START_TEST(bit_0_of_the_reset_register_resets) {
        ck_assert_uint_eq(rdmsr(0, HV_MSR_RESET), 0);
        wrmsr(0, HV_MSR_RESET, 0xfffe);
        ck_assert_uint_eq(fake.n_events, 0);
        wrmsr(0, HV_MSR_RESET, 1);
        ck_assert_uint_eq(fake.n_events, 1);
        ck_assert_int_eq(fake.event.type, VMM_EVENT_RESET);
        ck_assert_uint_eq(rdmsr(0, HV_MSR_RESET), 0);
}
END_TEST

START_TEST(the_assist_page_never_promises_lazy_eoi) {
        assert_ok(gmem_store32(fake.gm, FAKE_OUT, UINT32_MAX));
        wrmsr(1, HV_MSR_VP_ASSIST, FAKE_OUT); /* not enabled */
        uint32_t v;
        assert_ok(gmem_load32(fake.gm, FAKE_OUT, &v));
        ck_assert_uint_eq(v, UINT32_MAX);
        wrmsr(1, HV_MSR_VP_ASSIST, FAKE_OUT | 1);
        assert_ok(gmem_load32(fake.gm, FAKE_OUT, &v));
        ck_assert_uint_eq(v, 0);
        ck_assert_uint_eq(rdmsr(1, HV_MSR_VP_ASSIST), FAKE_OUT | 1);
        ck_assert_uint_eq(rdmsr(0, HV_MSR_VP_ASSIST), 0);
        wrmsr(0, HV_MSR_VP_ASSIST, FAKE_RAM_END | 1);
        wrmsr(0, HV_MSR_VP_ASSIST, UINT64_MAX);
}
END_TEST

START_TEST(what_is_not_offered_faults) {
        assert_gp(HV_MSR_EOI);
        assert_gp(HV_MSR_ICR);
        assert_gp(HV_MSR_TPR);
        for (uint32_t msr = HV_MSR_STIMER0_CONFIG; msr <= HV_MSR_STIMER3_COUNT; msr++)
                assert_gp(msr);
        assert_gp(HV_MSR_GUEST_IDLE);
        for (uint32_t msr = HV_MSR_REENLIGHTENMENT; msr <= HV_MSR_TSC_EMULATION_STATUS; msr++)
                assert_gp(msr);
        assert_gp(HV_MSR_TSC_INVARIANT);
        assert_gp(HV_MSR_LAST);
}
END_TEST

START_TEST(a_processor_that_is_not_there_faults) {
        uint64_t v;
        ck_assert_int_eq(hv_msr_read(fake.hv, FAKE_VPS, HV_MSR_GUEST_OS_ID, &v), HV_E_GP);
        ck_assert_int_eq(hv_msr_write(fake.hv, UINT32_MAX, HV_MSR_SIMP, 0), HV_E_GP);
}
END_TEST

/* Each register with exactly its privilege taken away. */
START_TEST(each_register_needs_its_privilege) {
        static const struct {
                uint64_t privilege;
                uint32_t first, last;
        } rows[] = {
                {HV_PRIVILEGE_HYPERCALL, HV_MSR_GUEST_OS_ID, HV_MSR_HYPERCALL},
                {HV_PRIVILEGE_VP_INDEX, HV_MSR_VP_INDEX, HV_MSR_VP_INDEX},
                {HV_PRIVILEGE_RESET, HV_MSR_RESET, HV_MSR_RESET},
                {HV_PRIVILEGE_VP_RUNTIME, HV_MSR_VP_RUNTIME, HV_MSR_VP_RUNTIME},
                {HV_PRIVILEGE_REF_COUNTER, HV_MSR_TIME_REF_COUNT, HV_MSR_TIME_REF_COUNT},
                {HV_PRIVILEGE_REF_TSC, HV_MSR_REFERENCE_TSC, HV_MSR_REFERENCE_TSC},
                {HV_PRIVILEGE_FREQUENCY, HV_MSR_TSC_FREQUENCY, HV_MSR_APIC_FREQUENCY},
                {HV_PRIVILEGE_SYNIC, HV_MSR_SCONTROL, HV_MSR_EOM},
                {HV_PRIVILEGE_SYNIC, HV_MSR_SINT0, HV_MSR_SINT15},
        };
        uint64_t v;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                fake_renew(hv_privileges_default);
                for (uint32_t msr = rows[i].first; msr <= rows[i].last; msr++)
                        ck_assert_int_eq(hv_msr_read(fake.hv, 0, msr, &v), 0);
                fake_renew(hv_privileges_default & ~rows[i].privilege);
                for (uint32_t msr = rows[i].first; msr <= rows[i].last; msr++)
                        assert_gp(msr);
                ck_assert_uint_eq(fake.n_events, 0);
        }
}
END_TEST

START_TEST(the_invariant_tsc_control_comes_with_its_privilege) {
        fake_renew(hv_privileges_default | HV_PRIVILEGE_TSC_INVARIANT);
        ck_assert_uint_eq(rdmsr(0, HV_MSR_TSC_INVARIANT), 0);
        wrmsr(0, HV_MSR_TSC_INVARIANT, 1);
        ck_assert_int_eq(hv_msr_write(fake.hv, 0, HV_MSR_TSC_INVARIANT, 2), HV_E_GP);
        ck_assert_uint_eq(rdmsr(1, HV_MSR_TSC_INVARIANT), 1);
}
END_TEST

/* negative-tests row 23: every MSR with values of every shape. */
START_TEST(every_register_takes_every_value) {
        uint64_t x = 88172645463325252ull;
        unsigned faults = 0;
        for (unsigned round = 0; round < 400; round++) {
                for (uint32_t msr = HV_MSR_FIRST; msr <= HV_MSR_LAST; msr++) {
                        x ^= x << 13;
                        x ^= x >> 7;
                        x ^= x << 17;
                        uint64_t value = round % 4 == 0   ? x
                                         : round % 4 == 1 ? FAKE_RAM_GPA + x % (2 * FAKE_RAM)
                                         : round % 4 == 2 ? x % 512 | (x & 7) << 16
                                                          : 1ull << x % 64;
                        uint64_t read = 0;
                        uint32_t vp = (uint32_t)(x >> 40) % FAKE_VPS;
                        int r = hv_msr_write(fake.hv, vp, msr, value);
                        ck_assert(r == 0 || r == HV_E_GP);
                        faults += r == HV_E_GP;
                        r = hv_msr_read(fake.hv, vp, msr, &read);
                        ck_assert(r == 0 || r == HV_E_GP);
                        if (x % 8 == 0) {
                                r = hv_post(fake.hv, vp, (uint8_t)(x % HV_SINTS), 1, "x", 1);
                                ck_assert_int_ge(r, 0);
                                r = hv_signal(fake.hv, vp, (uint8_t)(x % HV_SINTS), x % 2048);
                                ck_assert_int_ge(r, 0);
                        }
                }
        }
        ck_assert_uint_gt(faults, 400 * 400);
}
END_TEST

HV_TEST_MAIN("hv-msr", NULL, the_range_is_ours, partition_registers_are_seen_by_all_processors,
        numbers_of_ours_are_read_only, bit_0_of_the_reset_register_resets,
        the_assist_page_never_promises_lazy_eoi, what_is_not_offered_faults,
        a_processor_that_is_not_there_faults, each_register_needs_its_privilege,
        the_invariant_tsc_control_comes_with_its_privilege, every_register_takes_every_value)
