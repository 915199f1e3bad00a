// SPDX-License-Identifier: MIT
/* SynIC, time and calls, used by a guest on a real KVM. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "../unit/test.h"
#include "harness.h"
#include "wire/hv.h"

enum { SINT = 2, MESSAGES = 100, LAST_FLAG = HV_EVENT_FLAGS - 1 };

static int run_part(const char *part) {
        const struct guest_config config = {.payload = "synic", .cmdline = part};
        return guest_run(&config);
}

static int finish(struct guest *g) {
        int type = guest_wait(g, NULL);
        int status = type == VMM_EVENT_POWER_OFF ? guest_status(g) : -1;
        if (status != 0)
                fprintf(stderr, "event %d, console:\n%s\n", type, guest_console(g));
        guest_free(g);
        return status;
}

START_TEST(every_msr_of_the_range_answers_as_documented) {
        ck_assert_int_eq(run_part("all"), 0);
}
END_TEST

static void slot_free(void *ctx, _unused_ uint32_t vp, uint8_t sint) {
        ck_assert_uint_eq(sint, SINT);
        __atomic_fetch_add((unsigned *)ctx, 1, __ATOMIC_SEQ_CST);
}

/* Posts as fast as the guest allows: when the queue is full, the next one waits for the word that
 * there is room, and for nothing else. */
START_TEST(messages_arrive_in_order_and_a_full_queue_is_announced) {
        static const struct vmm_ops ops = {.message_slot_free = slot_free};
        unsigned room = 0, busy = 0;
        const struct guest_config config = {
                .payload = "synic", .cmdline = "messages", .ops = &ops, .ctx = &room};
        struct guest *g = guest_new(&config);
        guest_start(g);
        ck_assert(guest_expect(g, "ready\n"));
        for (uint32_t i = 0; i < MESSAGES;) {
                le32 payload = le32_make(i);
                unsigned before = __atomic_load_n(&room, __ATOMIC_SEQ_CST);
                int r = vmm_post(guest_vmm(g), 0, SINT, 1, &payload, sizeof payload);
                if (r == 0) {
                        i++;
                        continue;
                }
                ck_assert_int_eq(r, VMM_E_BUSY);
                busy++;
                const struct timespec tick = {.tv_nsec = 100000};
                unsigned ticks = 0;
                while (__atomic_load_n(&room, __ATOMIC_SEQ_CST) == before && ++ticks < 50000)
                        nanosleep(&tick, NULL);
                ck_assert_uint_lt(ticks, 50000);
        }
        ck_assert_int_eq(finish(g), 0);
        ck_assert_uint_gt(busy, 0);
}
END_TEST

START_TEST(event_flags_arrive) {
        const struct guest_config config = {.payload = "synic", .cmdline = "flags"};
        struct guest *g = guest_new(&config);
        guest_start(g);
        ck_assert(guest_expect(g, "ready\n"));
        assert_ok(vmm_signal(guest_vmm(g), 0, SINT, 1));
        assert_ok(vmm_signal(guest_vmm(g), 0, SINT, 33));
        assert_ok(vmm_signal(guest_vmm(g), 0, SINT, LAST_FLAG));
        ck_assert_int_eq(finish(g), 0);
}
END_TEST

START_TEST(each_processor_has_its_own_synic) {
        const struct guest_config config = {.payload = "synic", .cmdline = "2", .vps = 2};
        struct guest *g = guest_new(&config);
        guest_start(g);
        ck_assert(guest_expect(g, "ready\n"));
        ck_assert_int_eq(vmm_post(guest_vmm(g), 0, SINT, 77, NULL, 0), VMM_E_DISABLED);
        ck_assert_int_eq(vmm_post(guest_vmm(g), 2, SINT, 77, NULL, 0), VMM_E_DISABLED);
        assert_ok(vmm_post(guest_vmm(g), 1, SINT, 77, NULL, 0));
        ck_assert_int_eq(finish(g), 0);
}
END_TEST

START_TEST(the_tsc_page_tells_the_time_of_the_register) {
        ck_assert_int_eq(run_part("tsc"), 0);
}
END_TEST

START_TEST(a_call_longer_than_its_slice_is_resumed) {
        ck_assert_int_eq(run_part("long"), 0);
}
END_TEST

START_TEST(registers_are_real_and_xmm_registers_are_input) {
        ck_assert_int_eq(run_part("registers"), 0);
}
END_TEST

START_TEST(the_hypercall_page_gives_back_what_it_covers) {
        ck_assert_int_eq(run_part("cover"), 0);
}
END_TEST

START_TEST(a_crash_is_told_with_its_text) {
        const struct guest_config config = {.payload = "synic", .cmdline = "panic"};
        struct guest *g = guest_new(&config);
        guest_start(g);
        ck_assert_int_eq(guest_wait(g, NULL), VMM_EVENT_POWER_OFF);
        ck_assert_int_eq(guest_status(g), 0);
        ck_assert_uint_eq(guest_events(g, VMM_EVENT_CRASH), 1);
        ck_assert_uint_eq(guest_crash(g)->crash[0], 0xc0ffee);
        ck_assert_str_eq(guest_crash(g)->text, "Kernel panic - not syncing: ?[31msynthetic\n");
        guest_free(g);
}
END_TEST

int main(void) {
        guest_kill_deadline(100);
        const test_fn tests[] = {
                every_msr_of_the_range_answers_as_documented,
                messages_arrive_in_order_and_a_full_queue_is_announced,
                event_flags_arrive,
                each_processor_has_its_own_synic,
                the_tsc_page_tells_the_time_of_the_register,
                a_call_longer_than_its_slice_is_resumed,
                registers_are_real_and_xmm_registers_are_input,
                the_hypercall_page_gives_back_what_it_covers,
                a_crash_is_told_with_its_text,
        };
        return test_run("guest-synic", tests, sizeof tests / sizeof *tests, 30);
}
