// SPDX-License-Identifier: MIT
#include <pthread.h>
#include "hv-fixture.h"

enum { SLOT = FAKE_SIMP + FAKE_SINT * 256, FLAGS = FAKE_SIEFP + FAKE_SINT * 256 };

static void enable(void) {
        ck_assert_int_eq(fake_enable_synic(&fake, 0), 0);
}

static uint64_t rdmsr(uint32_t vp, uint32_t msr) {
        uint64_t v = 0xdeadbeef;
        ck_assert_int_eq(hv_msr_read(fake.hv, vp, msr, &v), 0);
        return v;
}

static void wrmsr(uint32_t vp, uint32_t msr, uint64_t value) {
        ck_assert_int_eq(hv_msr_write(fake.hv, vp, msr, value), 0);
}

static struct hv_message slot(uint64_t gpa) {
        struct hv_message m;
        assert_ok(gmem_read(fake.gm, gpa, &m, sizeof m));
        return m;
}

static uint32_t word(uint64_t gpa) {
        uint32_t v;
        assert_ok(gmem_load32(fake.gm, gpa, &v));
        return v;
}

/* Posts one byte. */
static int post(uint8_t byte) {
        return hv_post(fake.hv, 0, FAKE_SINT, 1, &byte, 1);
}

/* What a guest's handler does: takes the message, empties the slot, writes EOM if it was asked to.
 * Returns the payload's first byte. */
static unsigned take(void) {
        struct hv_message m = slot(SLOT);
        ck_assert_uint_ne(le32_get(m.type), 0);
        assert_ok(gmem_store32(fake.gm, SLOT, 0));
        if (slot(SLOT).flags & HV_MESSAGE_FLAG_PENDING)
                wrmsr(0, HV_MSR_EOM, 0);
        return m.payload[0];
}

START_TEST(registers_start_as_after_power_on) {
        ck_assert_uint_eq(rdmsr(1, HV_MSR_SCONTROL), 0);
        ck_assert_uint_eq(rdmsr(1, HV_MSR_SVERSION), 1);
        ck_assert_uint_eq(rdmsr(1, HV_MSR_SIEFP), 0);
        ck_assert_uint_eq(rdmsr(1, HV_MSR_SIMP), 0);
        ck_assert_uint_eq(rdmsr(1, HV_MSR_EOM), 0);
        for (unsigned i = 0; i < HV_SINTS; i++)
                ck_assert_uint_eq(rdmsr(1, HV_MSR_SINT0 + i), 0x10000);
}
END_TEST

START_TEST(registers_keep_their_reserved_bits) {
        wrmsr(0, HV_MSR_SCONTROL, 0xf0f1);
        wrmsr(0, HV_MSR_SIEFP, 0x5a5ffeull);
        wrmsr(0, HV_MSR_SIMP, 0x6a5ffeull);
        wrmsr(0, HV_MSR_SINT0 + 5, 0xffffffffffff7733ull);
        ck_assert_uint_eq(rdmsr(0, HV_MSR_SCONTROL), 0xf0f1);
        ck_assert_uint_eq(rdmsr(0, HV_MSR_SIEFP), 0x5a5ffe);
        ck_assert_uint_eq(rdmsr(0, HV_MSR_SIMP), 0x6a5ffe);
        ck_assert_uint_eq(rdmsr(0, HV_MSR_SINT0 + 5), 0xffffffffffff7733ull);
        ck_assert_int_eq(hv_msr_write(fake.hv, 0, HV_MSR_SVERSION, 1), HV_E_GP);
        wrmsr(0, HV_MSR_EOM, UINT64_MAX);
        ck_assert_uint_eq(rdmsr(0, HV_MSR_EOM), 0);
}
END_TEST

START_TEST(a_vector_below_16_needs_a_masked_source) {
        for (unsigned vector = 0; vector < 256; vector++) {
                for (unsigned i = 0; i < HV_SINTS; i++) {
                        ck_assert_int_eq(hv_msr_write(fake.hv, 0, HV_MSR_SINT0 + i, vector),
                                vector < 16 ? HV_E_GP : 0);
                        wrmsr(0, HV_MSR_SINT0 + i, vector | HV_SINT_MASKED);
                }
        }
        ck_assert_uint_eq(hv_refused(fake.hv), 16 * 16);
}
END_TEST

START_TEST(a_message_goes_to_an_empty_slot) {
        uint8_t payload[HV_MESSAGE_PAYLOAD_MAX];
        memset(payload, 0x5a, sizeof payload);
        assert_ok(hv_post(fake.hv, 0, FAKE_SINT, 7, payload, sizeof payload));
        struct hv_message m = slot(SLOT);
        ck_assert_uint_eq(le32_get(m.type), 7);
        ck_assert_uint_eq(m.payload_size, 240);
        ck_assert_uint_eq(m.flags, 0);
        ck_assert_uint_eq(le64_get(m.origin), 0);
        ck_assert_mem_eq(m.payload, payload, sizeof payload);
        ck_assert_uint_eq(fake.n_interrupts, 1);
        ck_assert_uint_eq(fake.interrupts[0].vp, 0);
        ck_assert_uint_eq(fake.interrupts[0].vector, FAKE_VECTOR);
}
END_TEST

START_TEST(only_the_payload_that_there_is_gets_written) {
        uint8_t ff[256];
        memset(ff, 0xff, sizeof ff);
        assert_ok(gmem_write(fake.gm, SLOT, ff, sizeof ff));
        assert_ok(gmem_store32(fake.gm, SLOT, 0));
        assert_ok(hv_post(fake.hv, 0, FAKE_SINT, 1, "ab", 2));
        struct hv_message m = slot(SLOT);
        ck_assert_uint_eq(m.payload_size, 2);
        ck_assert_uint_eq(m.flags, 0);
        ck_assert_uint_eq(m.payload[1], 'b');
        ck_assert_uint_eq(m.payload[2], 0xff);
        assert_ok(gmem_store32(fake.gm, SLOT, 0));
        assert_ok(hv_post(fake.hv, 0, FAKE_SINT, 1, NULL, 0));
        ck_assert_uint_eq(slot(SLOT).payload_size, 0);
}
END_TEST

START_TEST(messages_wait_in_order_for_the_end_of_the_one_before) {
        for (uint8_t i = 0; i < 5; i++)
                assert_ok(post(i));
        ck_assert_uint_eq(fake.n_interrupts, 1);
        ck_assert_uint_eq(slot(SLOT).flags, HV_MESSAGE_FLAG_PENDING);
        for (uint8_t i = 0; i < 5; i++)
                ck_assert_uint_eq(take(), i);
        ck_assert_uint_eq(fake.n_interrupts, 5);
        ck_assert_uint_eq(word(SLOT), 0);
        ck_assert_uint_eq(slot(SLOT).flags, 0);
}
END_TEST

START_TEST(end_of_message_with_a_full_slot_changes_nothing) {
        assert_ok(post(1));
        assert_ok(post(2));
        wrmsr(0, HV_MSR_EOM, 0);
        ck_assert_uint_eq(slot(SLOT).payload[0], 1);
        ck_assert_uint_eq(fake.n_interrupts, 1);
}
END_TEST

START_TEST(another_message_also_moves_the_queue_on) {
        assert_ok(post(1));
        assert_ok(post(2));
        assert_ok(gmem_store32(fake.gm, SLOT, 0)); /* and no EOM */
        assert_ok(post(3));
        ck_assert_uint_eq(take(), 2);
        ck_assert_uint_eq(take(), 3);
}
END_TEST

START_TEST(a_full_queue_says_busy_and_later_that_there_is_room) {
        for (unsigned i = 0; i < 1 + VMM_MESSAGE_QUEUE_MAX; i++)
                assert_ok(post((uint8_t)i));
        ck_assert_int_eq(post(99), VMM_E_BUSY);
        ck_assert_int_eq(post(99), VMM_E_BUSY);
        ck_assert_uint_eq(fake.slot_free[0][FAKE_SINT], 0);
        ck_assert_uint_eq(take(), 0);
        ck_assert_uint_eq(fake.slot_free[0][FAKE_SINT], 1);
        assert_ok(post(17));
        ck_assert_int_eq(post(99), VMM_E_BUSY);
        for (unsigned i = 1; i <= 17; i++)
                ck_assert_uint_eq(take(), i);
        ck_assert_uint_eq(fake.slot_free[0][FAKE_SINT], 2);
        ck_assert_uint_eq(word(SLOT), 0);
}
END_TEST

START_TEST(room_is_announced_only_to_who_was_told_busy) {
        for (unsigned i = 0; i < 1 + VMM_MESSAGE_QUEUE_MAX; i++)
                assert_ok(post((uint8_t)i));
        while (word(SLOT) != 0)
                take();
        ck_assert_uint_eq(fake.slot_free[0][FAKE_SINT], 0);
}
END_TEST

START_TEST(a_masked_or_polled_source_loses_the_interrupt_only) {
        wrmsr(0, HV_MSR_SINT0 + FAKE_SINT, HV_SINT_MASKED);
        assert_ok(post(1));
        ck_assert_uint_eq(take(), 1);
        wrmsr(0, HV_MSR_SINT0 + FAKE_SINT, FAKE_VECTOR | HV_SINT_POLLING);
        assert_ok(post(2));
        ck_assert_uint_eq(take(), 2);
        assert_ok(hv_signal(fake.hv, 0, FAKE_SINT, 5));
        ck_assert_uint_eq(word(FLAGS), 1u << 5);
        ck_assert_uint_eq(fake.n_interrupts, 0);
        wrmsr(0, HV_MSR_SINT0 + FAKE_SINT, FAKE_VECTOR | HV_SINT_AUTO_EOI);
        assert_ok(post(3));
        ck_assert_uint_eq(fake.n_interrupts, 1);
}
END_TEST

START_TEST(a_disabled_processor_is_not_a_target) {
        ck_assert_int_eq(hv_post(fake.hv, 1, FAKE_SINT, 1, NULL, 0), VMM_E_DISABLED);
        ck_assert_int_eq(hv_signal(fake.hv, 1, FAKE_SINT, 1), VMM_E_DISABLED);
        wrmsr(0, HV_MSR_SCONTROL, 0);
        ck_assert_int_eq(post(1), VMM_E_DISABLED);
        ck_assert_int_eq(hv_signal(fake.hv, 0, FAKE_SINT, 1), VMM_E_DISABLED);
        wrmsr(0, HV_MSR_SCONTROL, 1);
        wrmsr(0, HV_MSR_SIMP, FAKE_SIMP);
        wrmsr(0, HV_MSR_SIEFP, FAKE_SIEFP);
        ck_assert_int_eq(post(1), VMM_E_DISABLED);
        ck_assert_int_eq(hv_signal(fake.hv, 0, FAKE_SINT, 1), VMM_E_DISABLED);
        const uint64_t outside[] = {0, FAKE_RAM_END, ~0xfffull};
        for (size_t i = 0; i < ARRAY_SIZE(outside); i++) {
                wrmsr(0, HV_MSR_SIMP, outside[i] | 1);
                wrmsr(0, HV_MSR_SIEFP, outside[i] | 1);
                ck_assert_int_eq(post(1), VMM_E_DISABLED);
                ck_assert_int_eq(hv_signal(fake.hv, 0, FAKE_SINT, 1), VMM_E_DISABLED);
        }
        ck_assert_uint_eq(fake.n_interrupts, 0);
}
END_TEST

START_TEST(waiting_messages_survive_a_disabled_page) {
        assert_ok(post(1));
        assert_ok(post(2));
        wrmsr(0, HV_MSR_SIMP, 0);
        assert_ok(gmem_store32(fake.gm, SLOT, 0));
        wrmsr(0, HV_MSR_EOM, 0);
        ck_assert_uint_eq(word(SLOT), 0);
        wrmsr(0, HV_MSR_SIMP, FAKE_SIMP | 1);
        ck_assert_uint_eq(take(), 2);
        assert_ok(post(3));
        assert_ok(post(4));
        wrmsr(0, HV_MSR_SCONTROL, 0);
        assert_ok(gmem_store32(fake.gm, SLOT, 0));
        wrmsr(0, HV_MSR_SCONTROL, 1);
        ck_assert_uint_eq(take(), 4);
}
END_TEST

START_TEST(a_flag_interrupts_only_when_it_was_clear) {
        assert_ok(hv_signal(fake.hv, 0, FAKE_SINT, 0));
        assert_ok(hv_signal(fake.hv, 0, FAKE_SINT, 0));
        ck_assert_uint_eq(fake.n_interrupts, 1);
        assert_ok(hv_signal(fake.hv, 0, FAKE_SINT, 33));
        assert_ok(hv_signal(fake.hv, 0, FAKE_SINT, 2047));
        ck_assert_uint_eq(fake.n_interrupts, 3);
        ck_assert_uint_eq(word(FLAGS), 1);
        ck_assert_uint_eq(word(FLAGS + 4), 2);
        ck_assert_uint_eq(word(FLAGS + 252), 1u << 31);
        assert_ok(gmem_store32(fake.gm, FLAGS, 0));
        assert_ok(hv_signal(fake.hv, 0, FAKE_SINT, 0));
        ck_assert_uint_eq(fake.n_interrupts, 4);
}
END_TEST

START_TEST(each_source_has_its_own_slot_and_flags) {
        for (uint8_t i = 0; i < HV_SINTS; i++) {
                wrmsr(0, HV_MSR_SINT0 + i, 32 + i);
                assert_ok(hv_post(fake.hv, 0, i, 100 + i, NULL, 0));
                assert_ok(hv_signal(fake.hv, 0, i, i));
                ck_assert_uint_eq(fake.interrupts[2 * i].vector, 32 + i);
                ck_assert_uint_eq(word(FAKE_SIMP + i * 256), 100 + i);
                ck_assert_uint_eq(word(FAKE_SIEFP + i * 256), 1u << i);
        }
}
END_TEST

/* negative-tests row 14 */
START_TEST(what_is_out_of_range_is_ignored_and_counted) {
        static const uint8_t payload[256];
        ck_assert_int_eq(hv_post(fake.hv, FAKE_VPS, FAKE_SINT, 1, NULL, 0), VMM_E_DISABLED);
        ck_assert_int_eq(hv_post(fake.hv, UINT32_MAX, FAKE_SINT, 1, NULL, 0), VMM_E_DISABLED);
        ck_assert_int_eq(hv_post(fake.hv, 0, HV_SINTS, 1, NULL, 0), VMM_E_DISABLED);
        ck_assert_int_eq(hv_post(fake.hv, 0, 255, 1, NULL, 0), VMM_E_DISABLED);
        ck_assert_int_eq(hv_post(fake.hv, 0, FAKE_SINT, 0, NULL, 0), VMM_E_DISABLED);
        ck_assert_int_eq(hv_post(fake.hv, 0, FAKE_SINT, 1, payload, 241), VMM_E_DISABLED);
        ck_assert_int_eq(hv_signal(fake.hv, FAKE_VPS, FAKE_SINT, 1), VMM_E_DISABLED);
        ck_assert_int_eq(hv_signal(fake.hv, 0, HV_SINTS, 1), VMM_E_DISABLED);
        ck_assert_int_eq(hv_signal(fake.hv, 0, FAKE_SINT, HV_EVENT_FLAGS), VMM_E_DISABLED);
        ck_assert_int_eq(hv_signal(fake.hv, 0, FAKE_SINT, UINT16_MAX), VMM_E_DISABLED);
        ck_assert_int_eq(hv_msr_write(fake.hv, 0, HV_MSR_SINT0, 15), HV_E_GP);
        ck_assert_uint_eq(hv_refused(fake.hv), 11);
        ck_assert_uint_eq(fake.n_interrupts, 0);
        ck_assert_int_eq(fake_enable_calls(&fake), 0);
        ck_assert_uint_eq(fake_do(&fake, 0x1005d, FAKE_CONNECTION + 1, 0), 0x12);
        ck_assert_uint_eq(hv_refused(fake.hv), 12);
}
END_TEST

enum { RACES = 100000 };

struct poster {
        uint32_t go, done; /* rounds */
};

static void *post_at_go(void *arg) {
        struct poster *p = arg;
        for (uint32_t i = 1; i <= RACES; i++) {
                while (__atomic_load_n(&p->go, __ATOMIC_ACQUIRE) != i)
                        ;
                if (hv_post(fake.hv, 0, FAKE_SINT, 1 + i, NULL, 0) != 0)
                        return arg;
                __atomic_store_n(&p->done, i, __ATOMIC_RELEASE);
        }
        return NULL;
}

/* The guest empties the slot and only then looks whether something is pending; we say so and only
 * then look whether the slot is empty. However the two meet, the next message arrives. */
START_TEST(no_message_is_lost_between_poster_and_guest) {
        pthread_t thread;
        struct poster p = {0};
        void *result;
        assert_ok(post(0));
        ck_assert_int_eq(pthread_create(&thread, NULL, post_at_go, &p), 0);
        for (uint32_t i = 1; i <= RACES; i++) {
                __atomic_store_n(&p.go, i, __ATOMIC_RELEASE);
                for (volatile unsigned k = 0; k < i % 200; k++)
                        ;
                assert_ok(gmem_store32(fake.gm, SLOT, 0));
                if (word(SLOT + 4) & HV_MESSAGE_FLAG_PENDING << 8)
                        wrmsr(0, HV_MSR_EOM, 0);
                while (__atomic_load_n(&p.done, __ATOMIC_ACQUIRE) != i)
                        ;
                ck_assert_uint_eq(word(SLOT), 1 + i);
        }
        ck_assert_int_eq(pthread_join(thread, &result), 0);
        ck_assert_ptr_null(result);
        ck_assert_uint_eq(fake.n_interrupts, 1 + RACES);
}
END_TEST

/* negative-tests row 7: the guest scribbles over its pages while we post. */
static void *scribble(void *arg) {
        int *stop = arg;
        uint32_t x = 1;
        while (!__atomic_load_n(stop, __ATOMIC_RELAXED)) {
                x = x * 1664525 + 1013904223;
                uint64_t page = x & 1 << 20 ? FAKE_SIMP : FAKE_SIEFP;
                if (gmem_store32(fake.gm, page + (x >> 4) % 1024 * 4, x & 8 ? 0 : x) < 0)
                        return arg;
        }
        return NULL;
}

START_TEST(pages_that_change_meanwhile_do_no_harm) {
        pthread_t thread;
        int stop = 0;
        void *result;
        ck_assert_int_eq(pthread_create(&thread, NULL, scribble, &stop), 0);
        for (unsigned i = 0; i < 200000; i++) {
                int r = hv_post(fake.hv, 0, i % HV_SINTS, 1, "abc", 3);
                ck_assert(r == 0 || r == VMM_E_BUSY);
                ck_assert_int_eq(hv_signal(fake.hv, 0, i % HV_SINTS, i % HV_EVENT_FLAGS), 0);
                if (i % 16 == 0)
                        wrmsr(0, HV_MSR_EOM, 0);
        }
        __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
        ck_assert_int_eq(pthread_join(thread, &result), 0);
        ck_assert_ptr_null(result);
}
END_TEST

HV_TEST_MAIN("synic", enable, registers_start_as_after_power_on, registers_keep_their_reserved_bits,
        a_vector_below_16_needs_a_masked_source, a_message_goes_to_an_empty_slot,
        only_the_payload_that_there_is_gets_written,
        messages_wait_in_order_for_the_end_of_the_one_before,
        end_of_message_with_a_full_slot_changes_nothing, another_message_also_moves_the_queue_on,
        a_full_queue_says_busy_and_later_that_there_is_room,
        room_is_announced_only_to_who_was_told_busy,
        a_masked_or_polled_source_loses_the_interrupt_only, a_disabled_processor_is_not_a_target,
        waiting_messages_survive_a_disabled_page, a_flag_interrupts_only_when_it_was_clear,
        each_source_has_its_own_slot_and_flags, what_is_out_of_range_is_ignored_and_counted,
        no_message_is_lost_between_poster_and_guest, pages_that_change_meanwhile_do_no_harm)
