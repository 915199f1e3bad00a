// SPDX-License-Identifier: MIT
#include "base/fault.h"
#include "hv-fixture.h"

enum { STATE_MAX = 8 << 20 };

static int make(uint32_t vps, uint64_t privileges, struct hv **ret) {
        const struct hv_config config = {.vps = vps, .tsc_khz = 1000000, .privileges = privileges};
        return hv_new(fake.gm, &config, &fake_ops, &fake, ret);
}

START_TEST(refuses_a_bad_configuration) {
        struct hv *hv = NULL;
        assert_error(make(0, hv_privileges_default, &hv), -EINVAL);
        assert_error(make(VMM_VPS_MAX + 1, hv_privileges_default, &hv), -EINVAL);
        const uint64_t never[] = {HV_PRIVILEGE_STIMER, HV_PRIVILEGE_APIC, HV_PRIVILEGE_GUEST_IDLE,
                HV_PRIVILEGE_REENLIGHTEN, HV_PRIVILEGE_CREATE, HV_PRIVILEGE_PARTITION_ID,
                HV_PRIVILEGE_CPU_MANAGEMENT, HV_PRIVILEGE_ISOLATION};
        for (size_t i = 0; i < ARRAY_SIZE(never); i++)
                assert_error(make(1, hv_privileges_default | never[i], &hv), -EINVAL);
        fault_arm(FAULT_ALLOC, 1);
        assert_error(make(1, hv_privileges_default, &hv), -ENOMEM);
        ck_assert_ptr_null(hv);
        assert_ok(make(VMM_VPS_MAX, hv_privileges_default, &hv));
        ck_assert_ptr_null(hv_free(hv));
        ck_assert_ptr_null(hv_free(NULL));
}
END_TEST

/* A state with something in every field. */
static void fill(void) {
        ck_assert_int_eq(fake_enable_calls(&fake), 0);
        ck_assert_int_eq(fake_enable_synic(&fake, 0) | fake_enable_synic(&fake, 1), 0);
        ck_assert_int_eq(hv_msr_write(fake.hv, 0, HV_MSR_REFERENCE_TSC, FAKE_TSC | 1), 0);
        ck_assert_int_eq(hv_msr_write(fake.hv, 1, HV_MSR_VP_ASSIST, FAKE_OUT | 1), 0);
        for (uint32_t i = 0; i < 5; i++)
                ck_assert_int_eq(hv_msr_write(fake.hv, 0, HV_MSR_CRASH_P0 + i, i + 1), 0);
        for (uint8_t i = 0; i < 20; i++) {
                int r = hv_post(fake.hv, 1, FAKE_SINT, 1 + i, "abcdefghijklmnopqrstuvwxyz", i);
                ck_assert_int_eq(r, i < 17 ? 0 : VMM_E_BUSY);
        }
        assert_ok(hv_post(fake.hv, 0, 5, 9, NULL, 0));
        assert_ok(hv_post(fake.hv, 0, 5, 10, "x", 1));
        assert_ok(hv_signal(fake.hv, 0, FAKE_SINT, 3));
}

static struct wr save(struct hv *hv) {
        struct wr wr = wr_new(STATE_MAX);
        assert_ok(hv_save(hv, &wr));
        return wr;
}

START_TEST(a_restored_state_saves_to_the_same_bytes) {
        struct hv *other = NULL;
        fill();
        struct wr first = save(fake.hv);
        assert_ok(make(FAKE_VPS, hv_privileges_default, &other));
        struct rd rd = rd_make(first.data, first.size);
        assert_ok(hv_restore(other, &rd));
        assert_ok(rd_end(&rd));
        struct wr second = save(other);
        ck_assert_uint_eq(first.size, second.size);
        ck_assert_mem_eq(first.data, second.data, first.size);
        hv_free(other);
        wr_done(&first);
        wr_done(&second);
}
END_TEST

START_TEST(a_restored_state_goes_on_where_it_was) {
        const uint64_t slot = FAKE_SIMP + GMEM_PAGE_SIZE + FAKE_SINT * 256;
        struct hv *other = NULL;
        fill();
        struct wr state = save(fake.hv);
        assert_ok(make(FAKE_VPS, hv_privileges_default, &other));
        struct rd rd = rd_make(state.data, state.size);
        assert_ok(hv_restore(other, &rd));
        wr_done(&state);
        hv_free(fake.hv);
        fake.hv = other;

        for (uint32_t i = 0; i < 17; i++) {
                struct hv_message m;
                assert_ok(gmem_read(fake.gm, slot, &m, sizeof m));
                ck_assert_uint_eq(le32_get(m.type), 1 + i);
                ck_assert_uint_eq(m.payload_size, i);
                ck_assert_mem_eq(m.payload, "abcdefghijklmnopqrstuvwxyz", i);
                assert_ok(gmem_store32(fake.gm, slot, 0));
                ck_assert_int_eq(hv_msr_write(fake.hv, 1, HV_MSR_EOM, 0), 0);
        }
        ck_assert_uint_eq(fake.slot_free[1][FAKE_SINT], 1);
        uint64_t v;
        for (uint32_t i = 0; i < 5; i++) {
                ck_assert_int_eq(hv_msr_read(fake.hv, 0, HV_MSR_CRASH_P0 + i, &v), 0);
                ck_assert_uint_eq(v, i + 1);
        }
        ck_assert_uint_eq(fake_do(&fake, 0x1005d, FAKE_CONNECTION, 0), 0);
        /* What the stub covers is part of the state. */
        ck_assert_int_eq(hv_msr_write(fake.hv, 0, HV_MSR_HYPERCALL, 0), 0);
        uint8_t byte;
        assert_ok(gmem_read(fake.gm, FAKE_STUB, &byte, 1));
        ck_assert_uint_eq(byte, 0);
        /* The page that readers know as sequence 1 gets another. */
        hv_tsc_changed(fake.hv);
        uint32_t sequence;
        assert_ok(gmem_load32(fake.gm, FAKE_TSC, &sequence));
        ck_assert_uint_eq(sequence, 2);
}
END_TEST

START_TEST(reset_is_as_after_power_on) {
        struct hv *fresh = NULL;
        assert_ok(make(FAKE_VPS, hv_privileges_default, &fresh));
        struct wr want = save(fresh);
        fill();
        hv_reset(fake.hv);
        struct wr got = save(fake.hv);
        ck_assert_uint_eq(want.size, got.size);
        ck_assert_mem_eq(want.data, got.data, want.size);
        wr_done(&want);
        wr_done(&got);
        hv_free(fresh);
}
END_TEST

/* negative-tests row 22: whatever the bytes, the state is refused or one that does no harm. */
START_TEST(a_mutated_state_is_refused_or_harmless) {
        struct hv *fresh = NULL;
        unsigned refused = 0;
        assert_ok(make(FAKE_VPS, hv_privileges_default, &fresh));
        struct wr power_on = save(fresh);
        fill();
        struct wr state = save(fake.hv);
        for (size_t i = 0; i < state.size; i++) {
                state.data[i] ^= (uint8_t)(1u << i % 8);
                struct rd rd = rd_make(state.data, state.size);
                int r = hv_restore(fresh, &rd);
                if (r < 0) {
                        assert_error(r, -EBADMSG);
                        refused++;
                        struct wr after = save(fresh);
                        ck_assert_uint_eq(after.size, power_on.size);
                        ck_assert_mem_eq(after.data, power_on.data, after.size);
                        wr_done(&after);
                }
                (void)!hv_post(fresh, 1, FAKE_SINT, 1, "x", 1);
                (void)!hv_signal(fresh, 1, FAKE_SINT, 1);
                (void)!hv_msr_write(fresh, 1, HV_MSR_EOM, 0);
                hv_tsc_changed(fresh);
                hv_reset(fresh);
                state.data[i] ^= (uint8_t)(1u << i % 8);
        }
        ck_assert_uint_gt(refused, 50);
        for (size_t n = 0; n < state.size; n++) {
                struct rd rd = rd_make(state.data, n);
                assert_error(hv_restore(fresh, &rd), -EBADMSG);
        }
        wr_done(&state);
        wr_done(&power_on);
        hv_free(fresh);
}
END_TEST

START_TEST(refuses_the_state_of_another_machine) {
        struct hv *other = NULL;
        struct wr state = save(fake.hv);
        assert_ok(make(FAKE_VPS + 1, hv_privileges_default, &other));
        struct rd rd = rd_make(state.data, state.size);
        assert_error(hv_restore(other, &rd), -EBADMSG);
        hv_free(other);
        wr_done(&state);
}
END_TEST

START_TEST(saving_without_memory_fails) {
        uint8_t small[64];
        struct wr wr = wr_make(small, sizeof small);
        assert_error(hv_save(fake.hv, &wr), -ENOSPC);
}
END_TEST

HV_TEST_MAIN("hv", NULL, refuses_a_bad_configuration, a_restored_state_saves_to_the_same_bytes,
        a_restored_state_goes_on_where_it_was, reset_is_as_after_power_on,
        a_mutated_state_is_refused_or_harmless, refuses_the_state_of_another_machine,
        saving_without_memory_fails)
