// SPDX-License-Identifier: MIT
#include "base/fault.h"
#include "hv-fixture.h"

static void enable(void) {
        ck_assert_int_eq(fake_enable_calls(&fake), 0);
}

static void put(uint64_t gpa, const void *data, size_t size) {
        assert_ok(gmem_write(fake.gm, gpa, data, size));
}

static uint64_t word(uint64_t gpa) {
        le64 v;
        assert_ok(gmem_read(fake.gm, gpa, &v, sizeof v));
        return le64_get(v);
}

static uint64_t do_post(const struct hv_post_message_in *m) {
        put(FAKE_IN, m, sizeof *m);
        return fake_do(&fake, HV_CALL_POST_MESSAGE, FAKE_IN, 0);
}

START_TEST(a_message_is_handed_on) {
        struct hv_post_message_in m = {
                .connection_id = le32_make(FAKE_CONNECTION),
                .type = le32_make(1),
                .payload_size = le32_make(240),
        };
        memset(m.payload, 0x77, sizeof m.payload);
        ck_assert_uint_eq(do_post(&m), 0);
        ck_assert_uint_eq(fake.n_posts, 1);
        ck_assert_uint_eq(fake.post.vp, 0);
        ck_assert_uint_eq(fake.post.type, 1);
        ck_assert_uint_eq(fake.post.size, 240);
        ck_assert_mem_eq(fake.post.payload, m.payload, 240);
        m.payload_size = le32_make(0);
        ck_assert_uint_eq(do_post(&m), 0);
        ck_assert_uint_eq(fake.post.size, 0);
        m.type = le32_make(0x7fffffff);
        ck_assert_uint_eq(do_post(&m), 0);
        fake.post_status = HV_STATUS_INSUFFICIENT_BUFFERS;
        ck_assert_uint_eq(do_post(&m), 0x13);
}
END_TEST

START_TEST(a_bad_message_is_not_handed_on) {
        const struct hv_post_message_in good = {
                .connection_id = le32_make(FAKE_CONNECTION),
                .type = le32_make(1),
                .payload_size = le32_make(1),
        };
        struct hv_post_message_in m = good;
        m.payload_size = le32_make(241);
        ck_assert_uint_eq(do_post(&m), 5);
        m.payload_size = le32_make(UINT32_MAX);
        ck_assert_uint_eq(do_post(&m), 5);
        m = good;
        m.type = le32_make(0);
        ck_assert_uint_eq(do_post(&m), 5);
        m.type = le32_make(0x80000000);
        ck_assert_uint_eq(do_post(&m), 5);
        m = good;
        m.reserved = le32_make(1);
        ck_assert_uint_eq(do_post(&m), 5);
        ck_assert_uint_eq(hv_refused(fake.hv), 0);
        m = good;
        m.connection_id = le32_make(FAKE_CONNECTION + 1);
        ck_assert_uint_eq(do_post(&m), 0x12);
        ck_assert_uint_eq(hv_refused(fake.hv), 1);
        ck_assert_uint_eq(fake.n_posts, 0);
}
END_TEST

START_TEST(an_event_has_no_flag_but_0) {
        struct hv_signal_event_in e = {.connection_id = le32_make(FAKE_CONNECTION)};
        put(FAKE_IN, &e, sizeof e);
        ck_assert_uint_eq(fake_do(&fake, HV_CALL_SIGNAL_EVENT, FAKE_IN, 0), 0);
        e.flag = le16_make(1);
        put(FAKE_IN, &e, sizeof e);
        ck_assert_uint_eq(fake_do(&fake, HV_CALL_SIGNAL_EVENT, FAKE_IN, 0), 5);
        e.flag = le16_make(0);
        e.reserved = le16_make(1);
        put(FAKE_IN, &e, sizeof e);
        ck_assert_uint_eq(fake_do(&fake, HV_CALL_SIGNAL_EVENT, FAKE_IN, 0), 5);
        e = (struct hv_signal_event_in){.connection_id = le32_make(0)};
        put(FAKE_IN, &e, sizeof e);
        ck_assert_uint_eq(fake_do(&fake, HV_CALL_SIGNAL_EVENT, FAKE_IN, 0), 0x12);
        ck_assert_uint_eq(fake.n_signals, 1);
        ck_assert_uint_eq(hv_refused(fake.hv), 1);
}
END_TEST

START_TEST(what_only_a_root_partition_may_is_denied) {
        static const struct {
                uint16_t code;
                bool rep;
                unsigned in, out;
        } calls[] = {{0x0001, false, 8, 0}, {0x0002, false, 24, 0}, {0x0003, true, 32, 0},
                {0x0004, false, 0, 32}, {0x0040, false, 56, 8}, {0x0041, false, 8, 0},
                {0x0042, false, 8, 0}, {0x0043, false, 8, 0}, {0x0044, false, 16, 8},
                {0x0045, false, 24, 0}, {0x004d, false, 24, 0}, {0x004e, false, 40, 0},
                {0x004f, false, 16, 0}};
        const uint64_t end = GMEM_PAGE_SIZE;
        for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
                uint64_t control = fake_control(calls[i].code, 0, calls[i].rep);
                uint64_t in = FAKE_IN + end - calls[i].in, out = FAKE_OUT + end - calls[i].out;
                ck_assert_uint_eq(fake_do(&fake, control, in, out), 6);
                /* Validated first */
                if (calls[i].in)
                        ck_assert_uint_eq(fake_do(&fake, control, in + 4, out), 4);
                if (calls[i].out)
                        ck_assert_uint_eq(fake_do(&fake, control, in, out + 4), 4);
                ck_assert_uint_eq(fake_do(&fake, control ^ 1ull << 32, in, out), 3);
                ck_assert_uint_eq(fake_do(&fake, control | 1ull << 17, in, out), 3);
                ck_assert_uint_eq(
                        fake_do(&fake, control | HV_INPUT_FAST, 1, 1), calls[i].out ? 3 : 6);
        }
}
END_TEST

START_TEST(a_long_spin_is_a_hint) {
        ck_assert_uint_eq(
                fake_do(&fake, HV_CALL_NOTIFY_LONG_SPIN_WAIT | HV_INPUT_FAST, 4096, 0), 0);
        ck_assert_uint_eq(fake_do(&fake, HV_CALL_NOTIFY_LONG_SPIN_WAIT, FAKE_IN, 0), 0);
        ck_assert_uint_eq(fake_do(&fake, HV_CALL_NOTIFY_LONG_SPIN_WAIT, 0, 0), 4);
}
END_TEST

static struct hv_vp_registers_in self(void) {
        return (struct hv_vp_registers_in){
                .partition_id = le64_make(HV_PARTITION_ID_SELF),
                .vp_index = le32_make(HV_VP_INDEX_SELF),
        };
}

/* Reads RBX with this header. */
static uint64_t get(const struct hv_vp_registers_in *h) {
        le32 name = le32_make(HV_REGISTER_RBX);
        put(FAKE_IN, h, sizeof *h);
        put(FAKE_IN + sizeof *h, &name, sizeof name);
        return fake_do(&fake, fake_control(HV_CALL_GET_VP_REGISTERS, 0, 1), FAKE_IN, FAKE_OUT);
}

static uint64_t set(const struct hv_vp_registers_in *h, const struct hv_register_assoc *a) {
        put(FAKE_IN, h, sizeof *h);
        put(FAKE_IN + sizeof *h, a, sizeof *a);
        return fake_do(&fake, fake_control(HV_CALL_SET_VP_REGISTERS, 0, 1), FAKE_IN, 0);
}

START_TEST(registers_are_those_of_the_caller) {
        struct hv_vp_registers_in h = self();
        const struct hv_register_assoc a = {.name = le32_make(HV_REGISTER_RBX),
                .value = {le64_make(0x1122334455667788), le64_make(0x99)}};
        ck_assert_uint_eq(set(&h, &a), 1ull << 32);
        ck_assert_uint_eq(get(&h), 1ull << 32);
        ck_assert_uint_eq(word(FAKE_OUT), 0x1122334455667788);
        ck_assert_uint_eq(word(FAKE_OUT + 8), 0x99);
        h.vp_index = le32_make(0); /* by number */
        ck_assert_uint_eq(get(&h), 1ull << 32);
        h.target_vtl = HV_INPUT_VTL_USE_TARGET;
        ck_assert_uint_eq(get(&h), 1ull << 32);
}
END_TEST

START_TEST(nobody_elses_registers_can_be_had) {
        const struct hv_register_assoc a = {.name = le32_make(HV_REGISTER_RBX)};
        struct hv_vp_registers_in h = self();
        h.partition_id = le64_make(1);
        ck_assert_uint_eq(get(&h), 6);
        ck_assert_uint_eq(set(&h, &a), 6);
        h = self();
        h.vp_index = le32_make(1);
        ck_assert_uint_eq(get(&h), 6);
        ck_assert_uint_eq(set(&h, &a), 6);
        h.vp_index = le32_make(FAKE_VPS);
        ck_assert_uint_eq(get(&h), 0xe);
        h.vp_index = le32_make(UINT32_MAX);
        ck_assert_uint_eq(set(&h, &a), 0xe);
        h = self();
        h.target_vtl = HV_INPUT_VTL_USE_TARGET | 1;
        ck_assert_uint_eq(get(&h), 5);
        h = self();
        h.reserved[2] = 1;
        ck_assert_uint_eq(set(&h, &a), 5);
        ck_assert_uint_eq(fake.n_sets, 0);
}
END_TEST

START_TEST(a_bad_assignment_is_refused) {
        const struct hv_vp_registers_in h = self();
        struct hv_register_assoc a = {.name = le32_make(HV_REGISTER_RBX)};
        a.reserved[11] = 1;
        ck_assert_uint_eq(set(&h, &a), 5);
        a.reserved[11] = 0;
        a.value[0] = le64_make(UINT64_MAX);
        ck_assert_uint_eq(set(&h, &a), 0x50);
        a.name = le32_make(0x7fffffff);
        ck_assert_uint_eq(set(&h, &a), 5);
        ck_assert_uint_eq(fake.n_sets, 0);
}
END_TEST

START_TEST(the_discard_hint_is_the_only_extended_capability) {
        ck_assert_uint_eq(fake_do(&fake, HV_CALL_EXT_QUERY_CAPABILITIES, 0, FAKE_OUT), 0);
        ck_assert_uint_eq(word(FAKE_OUT), 1ull << 8);
        ck_assert_uint_eq(word(FAKE_OUT + 8), 0);
}
END_TEST

static uint64_t discard(uint64_t header, uint64_t range) {
        const le64 in[2] = {le64_make(header), le64_make(range)};
        put(FAKE_IN, in, sizeof in);
        return fake_do(&fake, fake_control(HV_CALL_EXT_MEMORY_HEAT_HINT, 0, 1), FAKE_IN, 0);
}

START_TEST(discarded_pages_read_as_zero) {
        const uint64_t base = FAKE_RAM_GPA + 30 * GMEM_PAGE_SIZE;
        for (unsigned i = 0; i < 4; i++)
                put(base + i * GMEM_PAGE_SIZE, "12345678", 8);
        ck_assert_uint_eq(discard(HV_HEAT_COLD_DISCARD, base | 2), 1ull << 32);
        for (unsigned i = 0; i < 4; i++)
                ck_assert_uint_eq(word(base + i * GMEM_PAGE_SIZE) == 0, i < 3);
}
END_TEST

START_TEST(a_bad_discard_is_refused) {
        const uint64_t base = FAKE_RAM_GPA + 30 * GMEM_PAGE_SIZE;
        put(base, "12345678", 8);
        ck_assert_uint_eq(discard(0, base), 5);
        ck_assert_uint_eq(discard(1, base), 5);
        ck_assert_uint_eq(discard(HV_HEAT_COLD_DISCARD | 4, base), 5);
        ck_assert_uint_eq(discard(HV_HEAT_COLD_DISCARD, base | 0x7ff), 5);
        ck_assert_uint_eq(discard(HV_HEAT_COLD_DISCARD, 0), 5);
        ck_assert_uint_eq(discard(HV_HEAT_COLD_DISCARD, ~0xfffull), 5);
        /* Large pages: our 256 KiB of RAM hold none. */
        ck_assert_uint_eq(discard(HV_HEAT_COLD_DISCARD, HV_RANGE_LARGE), 5);
        ck_assert_uint_eq(discard(HV_HEAT_COLD_DISCARD, UINT64_MAX & ~HV_RANGE_LARGE_RESERVED), 5);
        ck_assert_uint_eq(discard(HV_HEAT_COLD_DISCARD, HV_RANGE_LARGE | 1ull << 13), 5);
        fault_arm(FAULT_IO, 1);
        ck_assert_uint_eq(discard(HV_HEAT_COLD_DISCARD, base), 8);
        ck_assert_uint_ne(word(base), 0);
}
END_TEST

START_TEST(large_ranges_are_understood) {
        struct fake big = {0};
        const struct hv_config config = {
                .vps = 1, .tsc_khz = 2500000, .privileges = hv_privileges_default};
        assert_ok(gmem_new(8ull << 20, &big.gm));
        assert_ok(gmem_add(big.gm, 0, 8ull << 20));
        assert_ok(hv_new(big.gm, &config, &fake_ops, &big, &big.hv));
        ck_assert_int_eq(fake_enable_calls(&big), 0);
        for (unsigned i = 0; i < 4; i++)
                assert_ok(gmem_write(big.gm, (uint64_t)i << 21, "x", 1));
        const le64 in[2] = {
                le64_make(HV_HEAT_COLD_DISCARD), le64_make(2ull << 20 | HV_RANGE_LARGE | 1)};
        assert_ok(gmem_write(big.gm, 0x8000, in, sizeof in));
        uint64_t control = fake_control(HV_CALL_EXT_MEMORY_HEAT_HINT, 0, 1);
        ck_assert_uint_eq(fake_do(&big, control, 0x8000, 0), 1ull << 32);
        for (unsigned i = 0; i < 4; i++) {
                char c;
                assert_ok(gmem_read(big.gm, (uint64_t)i << 21, &c, 1));
                ck_assert_int_eq(c, i == 1 || i == 2 ? 0 : 'x');
        }
        fake_done(&big);
}
END_TEST

HV_TEST_MAIN("hv-calls", enable, a_message_is_handed_on, a_bad_message_is_not_handed_on,
        an_event_has_no_flag_but_0, what_only_a_root_partition_may_is_denied, a_long_spin_is_a_hint,
        registers_are_those_of_the_caller, nobody_elses_registers_can_be_had,
        a_bad_assignment_is_refused, the_discard_hint_is_the_only_extended_capability,
        discarded_pages_read_as_zero, a_bad_discard_is_refused, large_ranges_are_understood)
