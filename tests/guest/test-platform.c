// SPDX-License-Identifier: MIT
/* Devices and life cycle of a partition under a guest that uses them. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include "../unit/test.h"
#include "base/fd.h"
#include "base/wr.h"
#include "harness.h"

static struct guest *start(const char *part, uint32_t vps) {
        const struct guest_config config = {.payload = "platform", .cmdline = part, .vps = vps};
        struct guest *g = guest_new(&config);
        guest_start(g);
        return g;
}

/* The guest must power off by itself with status 0. */
static void finish(struct guest *g) {
        ck_assert_int_eq(guest_wait(g, NULL), VMM_EVENT_POWER_OFF);
        ck_assert_msg(guest_status(g) == 0, "%s", guest_console(g));
        guest_free(g);
}

START_TEST(the_console_takes_input_by_interrupts) {
        struct guest *g = start("echo", 1);
        ck_assert(guest_expect(g, "ready\n"));
        ck_assert_uint_eq(vmm_console_input(guest_vmm(g), "abc", 3), 3);
        ck_assert(guest_expect(g, "abc"));
        ck_assert_uint_eq(vmm_console_input(guest_vmm(g), "deq", 3), 3);
        ck_assert(guest_expect(g, "deq"));
        finish(g);
}
END_TEST

START_TEST(the_power_button_interrupts_each_time_it_is_pressed) {
        struct guest *g = start("button", 1);
        ck_assert(guest_expect(g, "ready\n"));
        vmm_power_button(guest_vmm(g));
        ck_assert(guest_expect(g, "pressed 1\n"));
        vmm_power_button(guest_vmm(g));
        ck_assert(guest_expect(g, "pressed 2\n"));
        finish(g);
}
END_TEST

START_TEST(an_nmi_arrives) {
        struct guest *g = start("nmi", 1);
        ck_assert(guest_expect(g, "ready\n"));
        vmm_nmi(guest_vmm(g));
        finish(g);
}
END_TEST

START_TEST(four_processors_start_and_interrupt_each_other) {
        finish(start("processors", 4));
}
END_TEST

START_TEST(every_way_to_reset_is_reported) {
        const struct {
                const char *part;
                int event;
        } ways[] = {{"9", VMM_EVENT_RESET}, {"k", VMM_EVENT_RESET}, {"f", VMM_EVENT_TRIPLE_FAULT}};
        for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
                struct guest *g = start(ways[i].part, 1);
                ck_assert_int_eq(guest_wait(g, NULL), ways[i].event);
                ck_assert_uint_eq(guest_events(g, (enum vmm_event_type)ways[i].event), 1);
                guest_free(g);
        }
}
END_TEST

START_TEST(a_reset_starts_over_ten_times) {
        struct guest *g = start("9", 2);
        struct error e = {0};
        for (unsigned i = 0; i < 10; i++) {
                ck_assert_int_eq(guest_wait(g, NULL), VMM_EVENT_RESET);
                vmm_pause(guest_vmm(g));
                assert_ok(vmm_reset(guest_vmm(g), &e));
                guest_start(g);
        }
        ck_assert_int_eq(guest_wait(g, NULL), VMM_EVENT_RESET);
        guest_free(g);
}
END_TEST

START_TEST(nothing_happens_while_paused) {
        struct guest *g = start("ticks", 1);
        ck_assert(guest_expect(g, "tick 3\n"));
        vmm_pause(guest_vmm(g));
        size_t before = strlen(guest_console(g));
        uint64_t time = vmm_reference_time(guest_vmm(g));
        const struct timespec nap = {.tv_nsec = 50000000};
        nanosleep(&nap, NULL);
        ck_assert_uint_eq(strlen(guest_console(g)), before);
        ck_assert_uint_eq(vmm_reference_time(guest_vmm(g)), time);
        vmm_resume(guest_vmm(g));
        ck_assert(guest_expect(g, "tick 6\n"));
        ck_assert_uint_gt(vmm_reference_time(guest_vmm(g)), time);
        vmm_console_input(guest_vmm(g), "x", 1);
        finish(g);
}
END_TEST

START_TEST(a_guest_that_never_comes_out_is_ended_within_a_second) {
        static const char *const parts[] = {"spin", "halt", "undefined"};
        for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
                struct guest *g = start(parts[i], 2);
                ck_assert(guest_expect(g, "ready\n"));
                struct timespec from, to;
                clock_gettime(CLOCK_MONOTONIC, &from);
                vmm_pause(guest_vmm(g));
                vmm_resume(guest_vmm(g));
                ck_assert_int_eq(guest_status(g), -1);
                guest_free(g);
                clock_gettime(CLOCK_MONOTONIC, &to);
                ck_assert_int_le(to.tv_sec - from.tv_sec, 1);
        }
}
END_TEST

static void copy_memory(struct vmm *from, struct vmm *to) {
        size_t size = gmem_size(vmm_gmem(from));
        char *bytes = mmap(NULL, size, PROT_READ, MAP_SHARED, gmem_fd(vmm_gmem(from)), 0);
        ck_assert_ptr_ne(bytes, MAP_FAILED);
        for (size_t done = 0; done < size;) {
                ssize_t n = pwrite(gmem_fd(vmm_gmem(to)), bytes + done, size - done, (off_t)done);
                ck_assert_int_gt(n, 0);
                done += (size_t)n;
        }
        munmap(bytes, size);
}

START_TEST(a_saved_machine_goes_on_and_saves_to_the_same_bytes) {
        const struct guest_config config = {.payload = "platform", .cmdline = "ticks", .vps = 2};
        struct guest *g = start("ticks", 2), *h = guest_new(&config);
        struct wr first = wr_new(1 << 20), again = wr_new(1 << 20), second = wr_new(1 << 20);
        struct error e = {0};
        ck_assert(guest_expect(g, "tick 3\n"));
        vmm_pause(guest_vmm(g));
        assert_ok(vmm_save(guest_vmm(g), &first));
        const struct timespec nap = {.tv_nsec = 30000000};
        nanosleep(&nap, NULL);
        assert_ok(vmm_save(guest_vmm(g), &again));
        ck_assert_uint_eq(first.size, again.size);
        ck_assert_mem_eq(first.data, again.data, first.size);

        copy_memory(guest_vmm(g), guest_vmm(h));
        unsigned ticks = 0;
        for (const char *p = guest_console(g); (p = strstr(p, "tick ")); p++)
                ticks++;
        guest_free(g);
        struct rd rd = rd_make(first.data, first.size);
        int r = vmm_restore(guest_vmm(h), &rd, &e);
        ck_assert_msg(r == 0, "%s", e.text);
        assert_ok(vmm_save(guest_vmm(h), &second));
        ck_assert_uint_eq(first.size, second.size);
        ck_assert_mem_eq(first.data, second.data, first.size);
        guest_start(h);
        char next[32];
        snprintf(next, sizeof next, "tick %u\n", ticks + 3);
        ck_assert(guest_expect(h, next));
        vmm_console_input(guest_vmm(h), "x", 1);
        finish(h);
        wr_done(&first);
        wr_done(&again);
        wr_done(&second);
}
END_TEST

int main(void) {
        guest_kill_deadline(110);
        const test_fn tests[] = {
                the_console_takes_input_by_interrupts,
                the_power_button_interrupts_each_time_it_is_pressed,
                an_nmi_arrives,
                four_processors_start_and_interrupt_each_other,
                every_way_to_reset_is_reported,
                a_reset_starts_over_ten_times,
                nothing_happens_while_paused,
                a_guest_that_never_comes_out_is_ended_within_a_second,
                a_saved_machine_goes_on_and_saves_to_the_same_bytes,
        };
        return test_run("guest-platform", tests, sizeof tests / sizeof *tests, 30);
}
