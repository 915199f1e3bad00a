// SPDX-License-Identifier: MIT
#include <pthread.h>
#include "hv-fixture.h"

static void enable(void) {
        ck_assert_int_eq(fake_enable_calls(&fake), 0);
}

#define assert_status(expr, status) ck_assert_uint_eq((expr), (status))

static void put(uint64_t gpa, const void *data, size_t size) {
        assert_ok(gmem_write(fake.gm, gpa, data, size));
}

static void put_event(uint64_t gpa, uint32_t id) {
        const struct hv_signal_event_in e = {.connection_id = le32_make(id)};
        put(gpa, &e, sizeof e);
}

/* n assignments to RBX.. from VP 0 to itself. */
static void put_registers(unsigned n) {
        const struct hv_vp_registers_in h = {
                .partition_id = le64_make(HV_PARTITION_ID_SELF),
                .vp_index = le32_make(HV_VP_INDEX_SELF),
        };
        put(FAKE_IN, &h, sizeof h);
        for (unsigned i = 0; i < n; i++) {
                const struct hv_register_assoc a = {
                        .name = le32_make(HV_REGISTER_RBX),
                        .value = {le64_make(i + 1), le64_make(0)},
                };
                put(FAKE_IN + sizeof h + i * sizeof a, &a, sizeof a);
        }
}

START_TEST(an_unknown_code_is_refused) {
        assert_status(fake_do(&fake, 0x0000, FAKE_IN, FAKE_OUT), 2);
        assert_status(fake_do(&fake, 0x0009, FAKE_IN, FAKE_OUT), 2);
        assert_status(fake_do(&fake, 0x8002, FAKE_IN, FAKE_OUT), 2);
        assert_status(fake_do(&fake, 0xffff, FAKE_IN, FAKE_OUT), 2);
}
END_TEST

START_TEST(every_reserved_bit_is_refused) {
        put_event(FAKE_IN, FAKE_CONNECTION);
        assert_status(fake_do(&fake, HV_CALL_SIGNAL_EVENT, FAKE_IN, 0), 0);
        const unsigned bits[] = {27, 28, 29, 30, 31, 44, 45, 46, 47, 60, 61, 62, 63};
        for (size_t i = 0; i < ARRAY_SIZE(bits); i++)
                assert_status(
                        fake_do(&fake, HV_CALL_SIGNAL_EVENT | 1ull << bits[i], FAKE_IN, 0), 3);
        ck_assert_uint_eq(fake.n_signals, 1);
}
END_TEST

START_TEST(a_variable_header_is_refused_where_none_is_defined) {
        for (unsigned bit = 17; bit <= 26; bit++)
                assert_status(fake_do(&fake, HV_CALL_SIGNAL_EVENT | 1ull << bit, FAKE_IN, 0), 3);
}
END_TEST

START_TEST(a_simple_call_has_no_reps) {
        assert_status(fake_do(&fake, fake_control(HV_CALL_SIGNAL_EVENT, 0, 1), FAKE_IN, 0), 3);
        assert_status(fake_do(&fake, fake_control(HV_CALL_SIGNAL_EVENT, 1, 0), FAKE_IN, 0), 3);
}
END_TEST

START_TEST(a_rep_call_starts_before_its_count) {
        put_registers(3);
        assert_status(fake_do(&fake, fake_control(HV_CALL_SET_VP_REGISTERS, 0, 0), FAKE_IN, 0), 3);
        assert_status(fake_do(&fake, fake_control(HV_CALL_SET_VP_REGISTERS, 3, 3), FAKE_IN, 0), 3);
        assert_status(fake_do(&fake, fake_control(HV_CALL_SET_VP_REGISTERS, 4, 3), FAKE_IN, 0), 3);
        ck_assert_uint_eq(fake.n_sets, 0);
        /* The count of what is complete includes what an earlier call had done. */
        assert_status(fake_do(&fake, fake_control(HV_CALL_SET_VP_REGISTERS, 2, 3), FAKE_IN, 0),
                3ull << 32);
        ck_assert_uint_eq(fake.n_sets, 1);
        ck_assert_uint_eq(fake.registers[HV_REGISTER_RBX - HV_REGISTER_RAX][0], 3);
}
END_TEST

START_TEST(an_address_is_aligned_and_its_list_in_one_page_of_ram) {
        const uint64_t page_end = FAKE_IN + GMEM_PAGE_SIZE;
        put_event(FAKE_IN, FAKE_CONNECTION);
        put_event(page_end - 8, FAKE_CONNECTION);
        for (unsigned i = 1; i < 8; i++)
                assert_status(fake_do(&fake, HV_CALL_SIGNAL_EVENT, FAKE_IN + i, 0), 4);
        assert_status(fake_do(&fake, HV_CALL_SIGNAL_EVENT, page_end - 8, 0), 0);
        /* 256 bytes of input */
        assert_status(fake_do(&fake, HV_CALL_POST_MESSAGE, page_end - 248, 0), 4);
        assert_status(fake_do(&fake, HV_CALL_POST_MESSAGE, page_end - 256, 0), 5);
        const uint64_t bad[] = {0, FAKE_RAM_GPA - 8, FAKE_RAM_END, 1ull << 52, UINT64_MAX - 7};
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                assert_status(fake_do(&fake, HV_CALL_SIGNAL_EVENT, bad[i], 0), 4);
                assert_status(fake_do(&fake, HV_CALL_EXT_QUERY_CAPABILITIES, 0, bad[i]), 4);
        }
        assert_status(fake_do(&fake, HV_CALL_EXT_QUERY_CAPABILITIES, 0, FAKE_OUT + 4), 4);
        assert_status(
                fake_do(&fake, HV_CALL_EXT_QUERY_CAPABILITIES, 0, FAKE_OUT + GMEM_PAGE_SIZE - 8),
                0);
}
END_TEST

START_TEST(an_address_without_a_list_is_ignored) {
        put_event(FAKE_IN, FAKE_CONNECTION);
        assert_status(fake_do(&fake, HV_CALL_SIGNAL_EVENT, FAKE_IN, 0x123), 0);
        assert_status(fake_do(&fake, HV_CALL_EXT_QUERY_CAPABILITIES, 0x123, FAKE_OUT), 0);
}
END_TEST

START_TEST(a_list_of_reps_ends_at_the_page) {
        /* 16 + 127 * 32 = 4080 bytes fit, one more does not. */
        put_registers(127);
        assert_status(fake_do(&fake, fake_control(HV_CALL_SET_VP_REGISTERS, 0, 127), FAKE_IN, 0),
                127ull << 32);
        assert_status(
                fake_do(&fake, fake_control(HV_CALL_SET_VP_REGISTERS, 0, 128), FAKE_IN, 0), 4);
        assert_status(
                fake_do(&fake, fake_control(HV_CALL_SET_VP_REGISTERS, 0, 0xfff), FAKE_IN, 0), 4);
        ck_assert_uint_eq(fake.n_sets, 127);
}
END_TEST

START_TEST(input_and_output_do_not_overlap) {
        put_registers(0);
        uint64_t one = fake_control(HV_CALL_GET_VP_REGISTERS, 0, 1);
        le32 name = le32_make(HV_REGISTER_RBX);
        put(FAKE_IN + 16, &name, sizeof name);
        assert_status(fake_do(&fake, one, FAKE_IN, FAKE_IN), 3);
        assert_status(fake_do(&fake, one, FAKE_IN, FAKE_IN + 16), 3);
        assert_status(fake_do(&fake, one, FAKE_IN + 8, FAKE_IN), 3);
        assert_status(fake_do(&fake, one, FAKE_IN, FAKE_IN + 24), 1ull << 32);
        /* Side by side, the other way round: denied for what is there, not for where it is. */
        assert_status(fake_do(&fake, one, FAKE_IN + 16, FAKE_IN), HV_STATUS_ACCESS_DENIED);
}
END_TEST

START_TEST(fast_calls_take_their_input_from_registers) {
        uint64_t fast = HV_CALL_SIGNAL_EVENT | HV_INPUT_FAST;
        assert_status(fake_do(&fake, fast, FAKE_CONNECTION, 0x123), 0);
        assert_status(fake_do(&fake, fast, FAKE_CONNECTION + 1, 0), 0x12);
        assert_status(fake_do(&fake, fast, FAKE_CONNECTION | 1ull << 32, 0), 5);
        ck_assert_uint_eq(fake.n_signals, 1);
        ck_assert_uint_eq(fake.n_xmm, 0);
}
END_TEST

START_TEST(xmm_registers_carry_up_to_112_bytes) {
        uint64_t control = fake_control(HV_CALL_SET_VP_REGISTERS, 0, 3) | HV_INPUT_FAST;
        /* The header is in rdx and r8, three assignments of 32 bytes in XMM0..5. */
        for (unsigned i = 0; i < 3; i++) {
                const struct hv_register_assoc a = {
                        .name = le32_make(HV_REGISTER_RBX + i),
                        .value = {le64_make(100 + i), le64_make(200 + i)},
                };
                memcpy(fake.xmm[2 * i], &a, sizeof a);
        }
        assert_status(fake_do(&fake, control, HV_PARTITION_ID_SELF, HV_VP_INDEX_SELF), 3ull << 32);
        ck_assert_uint_eq(fake.n_xmm, 1);
        ck_assert_uint_eq(fake.registers[3][0], 100);
        ck_assert_uint_eq(fake.registers[5][0], 102);
        ck_assert_uint_eq(fake.registers[5][1], 202);
        control = fake_control(HV_CALL_SET_VP_REGISTERS, 0, 4) | HV_INPUT_FAST;
        assert_status(fake_do(&fake, control, HV_PARTITION_ID_SELF, HV_VP_INDEX_SELF), 3);
        assert_status(fake_do(&fake, HV_CALL_POST_MESSAGE | HV_INPUT_FAST, 0, 0), 3);
        /* A discard of two ranges: 24 bytes, of which the last 8 are in XMM0. */
        le64 range = le64_make(FAKE_RAM_GPA + 33 * GMEM_PAGE_SIZE);
        memcpy(fake.xmm[0], &range, sizeof range);
        put(FAKE_RAM_GPA + 32 * GMEM_PAGE_SIZE, "x", 1);
        put(FAKE_RAM_GPA + 33 * GMEM_PAGE_SIZE, "x", 1);
        control = fake_control(HV_CALL_EXT_MEMORY_HEAT_HINT, 0, 2) | HV_INPUT_FAST;
        assert_status(
                fake_do(&fake, control, HV_HEAT_COLD_DISCARD, FAKE_RAM_GPA + 32 * GMEM_PAGE_SIZE),
                2ull << 32);
        for (unsigned i = 32; i < 34; i++) {
                char c = 'y';
                assert_ok(gmem_read(fake.gm, FAKE_RAM_GPA + i * GMEM_PAGE_SIZE, &c, 1));
                ck_assert_int_eq(c, 0);
        }
}
END_TEST

START_TEST(output_in_registers_is_not_offered) {
        assert_status(fake_do(&fake, HV_CALL_EXT_QUERY_CAPABILITIES | HV_INPUT_FAST, 0, 0), 3);
        assert_status(fake_do(&fake, fake_control(HV_CALL_GET_VP_REGISTERS, 0, 1) | HV_INPUT_FAST,
                              HV_PARTITION_ID_SELF, HV_VP_INDEX_SELF),
                3);
}
END_TEST

START_TEST(only_the_kernel_in_protected_mode_may_call) {
        struct hv_call call = fake_call(HV_CALL_SIGNAL_EVENT | HV_INPUT_FAST, FAKE_CONNECTION, 0);
        for (uint8_t cpl = 1; cpl <= 3; cpl++) {
                call.cpl = cpl;
                ck_assert_int_eq(hv_call(fake.hv, 0, &call), HV_E_UD);
                ck_assert_int_eq(hv_call_signal(fake.hv, 0, &call), HV_E_UD);
        }
        call.cpl = 0;
        call.protected_mode = false;
        ck_assert_int_eq(hv_call(fake.hv, 0, &call), HV_E_UD);
        ck_assert_int_eq(hv_call_signal(fake.hv, 0, &call), HV_E_UD);
        call.protected_mode = true;
        ck_assert_int_eq(hv_call(fake.hv, FAKE_VPS, &call), HV_E_UD);
        ck_assert_uint_eq(fake.n_signals, 0);
        ck_assert_int_eq(hv_call(fake.hv, 1, &call), 0);
        ck_assert_uint_eq(fake.n_signals, 1);
}
END_TEST

START_TEST(nobody_may_call_before_the_page_is_enabled) {
        struct hv_call call = fake_call(HV_CALL_SIGNAL_EVENT | HV_INPUT_FAST, FAKE_CONNECTION, 0);
        ck_assert_int_eq(hv_msr_write(fake.hv, 0, HV_MSR_HYPERCALL, 0), 0);
        ck_assert_int_eq(hv_call(fake.hv, 0, &call), HV_E_UD);
        ck_assert_int_eq(hv_call_signal(fake.hv, 0, &call), HV_E_UD);
        ck_assert_uint_eq(fake.n_signals, 0);
}
END_TEST

START_TEST(a_32_bit_caller_uses_pairs_of_registers) {
        put_registers(2);
        uint64_t control = fake_control(HV_CALL_SET_VP_REGISTERS, 1, 2);
        struct hv_call call = {
                .rax = (uint32_t)control | 0xaaaaaaaa00000000ull,
                .rdx = control >> 32 | 0xbbbbbbbb00000000ull,
                .rcx = FAKE_IN,
                .protected_mode = true,
        };
        ck_assert_int_eq(hv_call(fake.hv, 0, &call), 0);
        ck_assert_uint_eq(call.rax, 0);
        ck_assert_uint_eq(call.rdx, 2);
        ck_assert_uint_eq(fake.n_sets, 1);
        /* Fast, with output and input above 4 GiB where they are addresses. */
        call = (struct hv_call){
                .rax = HV_CALL_SIGNAL_EVENT | HV_INPUT_FAST,
                .rbx = 0,
                .rcx = FAKE_CONNECTION,
                .protected_mode = true,
        };
        ck_assert_int_eq(hv_call(fake.hv, 0, &call), 0);
        ck_assert_uint_eq(call.rax, 0);
        call.rax = HV_CALL_EXT_QUERY_CAPABILITIES;
        call.rdx = 0;
        call.rdi = 1;
        call.rsi = FAKE_OUT;
        ck_assert_int_eq(hv_call(fake.hv, 0, &call), 0);
        ck_assert_uint_eq(call.rax, 4);
        call.rax = HV_CALL_EXT_QUERY_CAPABILITIES;
        call.rdx = 0;
        call.rdi = 0;
        ck_assert_int_eq(hv_call(fake.hv, 0, &call), 0);
        ck_assert_uint_eq(call.rax, 0);
}
END_TEST

START_TEST(a_privilege_is_asked_for_after_the_input_was_checked) {
        static const struct {
                uint16_t code;
                bool rep;
                uint64_t privilege;
        } calls[] = {
                {HV_CALL_POST_MESSAGE, false, HV_PRIVILEGE_POST_MESSAGES},
                {HV_CALL_SIGNAL_EVENT, false, HV_PRIVILEGE_SIGNAL_EVENTS},
                {HV_CALL_GET_VP_REGISTERS, true, HV_PRIVILEGE_VP_REGISTERS},
                {HV_CALL_SET_VP_REGISTERS, true, HV_PRIVILEGE_VP_REGISTERS},
                {HV_CALL_EXT_QUERY_CAPABILITIES, false, HV_PRIVILEGE_EXTENDED_CALLS},
                {HV_CALL_EXT_MEMORY_HEAT_HINT, true, HV_PRIVILEGE_EXTENDED_CALLS},
        };
        for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
                uint64_t control = fake_control(calls[i].code, 0, calls[i].rep);
                fake_renew(hv_privileges_default & ~calls[i].privilege);
                ck_assert_int_eq(fake_enable_calls(&fake), 0);
                assert_status(fake_do(&fake, control, FAKE_IN, FAKE_OUT), 6);
                assert_status(fake_do(&fake, control, FAKE_IN + 4, FAKE_OUT + 4), 4);
                assert_status(fake_do(&fake, control | 1ull << 27, FAKE_IN, FAKE_OUT), 3);
        }
        struct hv_call call = fake_call(0x1005d, FAKE_CONNECTION, 0);
        fake_renew(hv_privileges_default & ~HV_PRIVILEGE_SIGNAL_EVENTS);
        ck_assert_int_eq(fake_enable_calls(&fake), 0);
        ck_assert_int_eq(hv_call_signal(fake.hv, 0, &call), 0);
        ck_assert_uint_eq(call.rax, FAKE_CONNECTION + 6);
}
END_TEST

/* What the stub's last instruction makes of eax. */
static uint32_t doorbell(uint64_t id) {
        struct hv_call call = fake_call(0x1005d, id, 0);
        call.rax = id;
        ck_assert_int_eq(hv_call_signal(fake.hv, 0, &call), 0);
        ck_assert_uint_eq(call.rax >> 32, 0);
        return (uint32_t)call.rax - (uint32_t)id;
}

START_TEST(the_doorbell_returns_the_status_through_the_stub) {
        ck_assert_uint_eq(doorbell(FAKE_CONNECTION), 0);
        ck_assert_uint_eq(doorbell(FAKE_CONNECTION + 1), 0x12);
        ck_assert_uint_eq(doorbell(UINT32_MAX), 0x12);
        ck_assert_uint_eq(doorbell(0), 0x12);
        ck_assert_uint_eq(fake.n_signals, 1);
        ck_assert_uint_eq(hv_refused(fake.hv), 3);
}
END_TEST

/* Makes a rep call as the owner does, as often as it is asked to. */
static unsigned rounds(uint64_t control, uint64_t out, unsigned *per_round, uint64_t *result) {
        struct hv_call call = fake_call(control, FAKE_IN, out);
        unsigned n = 0, before = HV_INPUT_REP_START(control);
        *per_round = 0;
        do {
                ck_assert_int_eq(hv_call(fake.hv, 0, &call), 0);
                n++;
                unsigned now = call.again ? HV_INPUT_REP_START(call.rcx)
                                          : (unsigned)(call.rax >> 32 & 0xfff);
                ck_assert_uint_eq(call.rcx & ~HV_INPUT_START_MASK, control & ~HV_INPUT_START_MASK);
                ck_assert_uint_gt(now, before);
                if (now - before > *per_round)
                        *per_round = now - before;
                before = now;
        } while (call.again);
        *result = call.rax;
        return n;
}

START_TEST(a_rep_call_gives_the_processor_back_after_its_slice) {
        unsigned most;
        uint64_t result;
        put_registers(100);
        uint64_t control = fake_control(HV_CALL_SET_VP_REGISTERS, 0, 100);
        fake.clock_step = 50;
        ck_assert_uint_eq(rounds(control, 0, &most, &result), 1);
        ck_assert_uint_eq(result, 100ull << 32);
        /* At 5 us a rep, the eleventh look at the clock is the first past 50 us. */
        fake.clock_step = 5000;
        ck_assert_uint_eq(rounds(control, 0, &most, &result), 10);
        ck_assert_uint_eq(most, 11);
        ck_assert_uint_eq(result, 100ull << 32);
        /* However slow, each round makes progress. */
        fake.clock_step = 1000000000;
        ck_assert_uint_eq(rounds(control, 0, &most, &result), 100);
        ck_assert_uint_eq(most, 1);
        ck_assert_uint_eq(result, 100ull << 32);
        ck_assert_uint_eq(fake.n_sets, 300);
        ck_assert_uint_eq(fake.registers[3][0], 100);
}
END_TEST

START_TEST(a_resumed_read_completes_its_output) {
        unsigned most;
        uint64_t result;
        put_registers(0);
        for (unsigned i = 0; i < FAKE_NAMES; i++) {
                le32 name = le32_make(HV_REGISTER_RAX + i);
                fake.registers[i][0] = 1000 + i;
                put(FAKE_IN + 16 + 4 * i, &name, sizeof name);
        }
        fake.clock_step = 20000;
        ck_assert_uint_eq(rounds(fake_control(HV_CALL_GET_VP_REGISTERS, 0, FAKE_NAMES), FAKE_OUT,
                                  &most, &result),
                11);
        ck_assert_uint_eq(result, (uint64_t)FAKE_NAMES << 32);
        for (unsigned i = 0; i < FAKE_NAMES; i++) {
                le64 value;
                assert_ok(gmem_read(fake.gm, FAKE_OUT + 16 * i, &value, sizeof value));
                ck_assert_uint_eq(le64_get(value), 1000 + i);
        }
}
END_TEST

START_TEST(a_discard_is_resumed) {
        unsigned most;
        uint64_t result;
        le64 in[33] = {le64_make(HV_HEAT_COLD_DISCARD)};
        for (unsigned i = 0; i < 32; i++) {
                uint64_t gpa = FAKE_RAM_GPA + (20 + i) * GMEM_PAGE_SIZE;
                in[1 + i] = le64_make(gpa);
                put(gpa, "x", 1);
        }
        put(FAKE_IN, in, sizeof in);
        fake.clock_step = 30000;
        ck_assert_uint_eq(
                rounds(fake_control(HV_CALL_EXT_MEMORY_HEAT_HINT, 0, 32), 0, &most, &result), 16);
        ck_assert_uint_eq(result, 32ull << 32);
        for (unsigned i = 0; i < 32; i++) {
                char c = 'y';
                assert_ok(gmem_read(fake.gm, FAKE_RAM_GPA + (20 + i) * GMEM_PAGE_SIZE, &c, 1));
                ck_assert_int_eq(c, 0);
        }
}
END_TEST

START_TEST(a_32_bit_caller_is_resumed_too) {
        put_registers(3);
        uint64_t control = fake_control(HV_CALL_SET_VP_REGISTERS, 0, 3);
        struct hv_call call = {
                .rax = (uint32_t)control,
                .rdx = control >> 32,
                .rcx = FAKE_IN,
                .protected_mode = true,
        };
        fake.clock_step = 60000;
        for (unsigned i = 1; i <= 3; i++) {
                ck_assert_int_eq(hv_call(fake.hv, 0, &call), 0);
                ck_assert_int_eq(call.again, i < 3);
                if (call.again)
                        ck_assert_uint_eq(call.rax | call.rdx << 32,
                                fake_control(HV_CALL_SET_VP_REGISTERS, i, 3));
        }
        ck_assert_uint_eq(call.rax, 0);
        ck_assert_uint_eq(call.rdx, 3);
        ck_assert_uint_eq(fake.n_sets, 3);
}
END_TEST

START_TEST(an_error_in_a_list_tells_how_far_it_got) {
        put_registers(5);
        struct hv_register_assoc bad = {
                .name = le32_make(HV_REGISTER_RBX), .value = {le64_make(1ull << 63)}};
        put(FAKE_IN + 16 + 3 * sizeof bad, &bad, sizeof bad);
        assert_status(fake_do(&fake, fake_control(HV_CALL_SET_VP_REGISTERS, 1, 5), FAKE_IN, 0),
                3ull << 32 | HV_STATUS_INVALID_REGISTER_VALUE);
        ck_assert_uint_eq(fake.n_sets, 2);
}
END_TEST

/* negative-tests row 23: every call code in every form at every kind of address. */
START_TEST(every_code_in_every_form_is_answered) {
        static const uint64_t addresses[][2] = {
                {FAKE_IN, FAKE_OUT},
                {FAKE_IN + 1, FAKE_OUT + 7},
                {FAKE_IN, FAKE_IN + 8},
                {FAKE_IN + GMEM_PAGE_SIZE - 8, FAKE_OUT + GMEM_PAGE_SIZE - 8},
                {FAKE_RAM_END - 8, FAKE_RAM_END},
                {UINT64_MAX - 7, 1ull << 63},
        };
        for (unsigned code = 0; code <= UINT16_MAX; code++) {
                for (unsigned form = 0; form < 6; form++) {
                        uint64_t control = code | (form & 1 ? HV_INPUT_FAST : 0);
                        control |= fake_control(0, 0, form / 2 == 1 ? 1 : form / 2 == 2 ? 4 : 0);
                        for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
                                struct hv_call call =
                                        fake_call(control, addresses[i][0], addresses[i][1]);
                                int r = hv_call(fake.hv, 0, &call);
                                bool good = r == 0;
                                if (!hv_call_find((uint16_t)code))
                                        good = good && call.rax == 2;
                                else if (code <= 3)
                                        good = good && (call.rax & 0xffff) != 0;
                                if (!good) /* an assertion costs more than the call */
                                        ck_abort_msg("code %x, form %u: %d, %lx", code, form, r,
                                                call.rax);
                        }
                }
        }
        ck_assert_uint_eq(fake.n_events, 0);
}
END_TEST

struct flipper {
        pthread_t thread;
        int stop;
};

/* Rewrites the input page between good values and bad ones. */
static void *flip(void *arg) {
        struct flipper *flipper = arg;
        uint32_t x = 1;
        while (!__atomic_load_n(&flipper->stop, __ATOMIC_RELAXED)) {
                x = x * 1664525 + 1013904223;
                uint64_t gpa = FAKE_IN + (x >> 8) % 64 * 4;
                int r = gmem_store32(fake.gm, gpa, x & 1 ? UINT32_MAX : x >> 28);
                if (r < 0)
                        return arg;
        }
        return NULL;
}

/* negative-tests row 7: another VP changes the parameters while we look at them. */
START_TEST(a_page_that_changes_meanwhile_does_no_harm) {
        static const uint16_t codes[] = {HV_CALL_POST_MESSAGE, HV_CALL_SIGNAL_EVENT,
                HV_CALL_GET_VP_REGISTERS, HV_CALL_SET_VP_REGISTERS, HV_CALL_EXT_MEMORY_HEAT_HINT};
        struct flipper flipper = {.stop = 0};
        void *result;
        ck_assert_int_eq(pthread_create(&flipper.thread, NULL, flip, &flipper), 0);
        for (unsigned i = 0, n = test_rounds(200000); i < n; i++) {
                uint16_t code = codes[i % ARRAY_SIZE(codes)];
                const struct hv_call_row *row = hv_call_find(code);
                uint64_t r =
                        fake_do(&fake, fake_control(code, 0, row->rep ? 3 : 0), FAKE_IN, FAKE_OUT);
                uint16_t status = (uint16_t)r;
                bool good = status == 0 || status == 5 || status == 6 || status == 0xe ||
                            status == 0x12 || status == 0x50;
                if (r == UINT64_MAX || !good || fake.post.size > HV_MESSAGE_PAYLOAD_MAX)
                        ck_abort_msg("code %x: %lx", code, r);
        }
        __atomic_store_n(&flipper.stop, 1, __ATOMIC_RELAXED);
        ck_assert_int_eq(pthread_join(flipper.thread, &result), 0);
        ck_assert_ptr_null(result);
}
END_TEST

HV_TEST_MAIN("hv-call", enable, an_unknown_code_is_refused, every_reserved_bit_is_refused,
        a_variable_header_is_refused_where_none_is_defined, a_simple_call_has_no_reps,
        a_rep_call_starts_before_its_count, an_address_is_aligned_and_its_list_in_one_page_of_ram,
        an_address_without_a_list_is_ignored, a_list_of_reps_ends_at_the_page,
        input_and_output_do_not_overlap, fast_calls_take_their_input_from_registers,
        xmm_registers_carry_up_to_112_bytes, output_in_registers_is_not_offered,
        only_the_kernel_in_protected_mode_may_call, nobody_may_call_before_the_page_is_enabled,
        a_32_bit_caller_uses_pairs_of_registers,
        a_privilege_is_asked_for_after_the_input_was_checked,
        the_doorbell_returns_the_status_through_the_stub,
        a_rep_call_gives_the_processor_back_after_its_slice, a_resumed_read_completes_its_output,
        a_discard_is_resumed, a_32_bit_caller_is_resumed_too,
        an_error_in_a_list_tells_how_far_it_got, every_code_in_every_form_is_answered,
        a_page_that_changes_meanwhile_does_no_harm)
