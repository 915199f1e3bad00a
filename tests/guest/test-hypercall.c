// SPDX-License-Identifier: MIT
/* The hypercall wiring of a partition, driven by the guest alone. */
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include "../unit/test.h"
#include "base/fd.h"
#include "harness.h"
#include "wire/hv.h"

struct mailbox {
        unsigned messages;
        uint32_t connection_id, type;
        uint8_t payload[VMM_MESSAGE_SIZE_MAX];
        size_t size;
};

static uint16_t take_message(void *ctx, _unused_ uint32_t vp, uint32_t connection_id, uint32_t type,
        const void *payload, size_t size) {
        struct mailbox *box = ctx;
        if (connection_id != 4)
                return HV_STATUS_INVALID_CONNECTION_ID;
        box->messages++;
        box->connection_id = connection_id;
        box->type = type;
        box->size = size;
        memcpy(box->payload, payload, size);
        return 0;
}

static const struct vmm_ops ops = {.post_message = take_message};

static int run_part(const char *part) {
        const struct guest_config config = {.payload = "hypercall", .cmdline = part};
        return guest_run(&config);
}

START_TEST(a_guest_sees_hyper_v_and_nothing_of_kvm) {
        ck_assert_int_eq(run_part("identity"), 0);
}
END_TEST

START_TEST(a_call_from_ring_3_is_undefined) {
        ck_assert_int_eq(run_part("3"), 0);
}
END_TEST

START_TEST(a_message_reaches_the_owner_and_its_status_the_guest) {
        struct mailbox box = {0};
        const struct guest_config config = {
                .payload = "hypercall", .cmdline = "post", .ops = &ops, .ctx = &box};
        ck_assert_int_eq(guest_run(&config), 0);
        ck_assert_uint_eq(box.messages, 1);
        ck_assert_uint_eq(box.type, 1);
        ck_assert_uint_eq(box.size, 8);
        ck_assert_mem_eq(box.payload, "\x44\x33\x22\x11\x88\x77\x66\x55", 8);
}
END_TEST

START_TEST(signals_ring_eventfds_in_the_kernel_and_past_its_limit) {
        enum { CHANNELS = VMM_IOEVENTFDS_MAX + 2 };
        static int fds[CHANNELS];
        const struct guest_config config = {.payload = "hypercall", .cmdline = "signal"};
        assert_ok(fd_raise_limit());
        struct guest *g = guest_new(&config);
        for (uint32_t i = 0; i < CHANNELS; i++) {
                fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
                ck_assert_int_ge(fds[i], 0);
                assert_ok(vmm_bind_event(guest_vmm(g), i + 1, fds[i]));
        }
        assert_error(vmm_bind_event(guest_vmm(g), 1, fds[0]), -EEXIST);
        guest_start(g);
        ck_assert_int_eq(guest_wait(g, NULL), VMM_EVENT_POWER_OFF);
        ck_assert_msg(guest_status(g) == 0, "%s", guest_console(g));
        for (uint32_t i = 0; i < CHANNELS; i++) {
                uint64_t count = 0;
                ck_assert_int_eq(read(fds[i], &count, sizeof count), sizeof count);
                ck_assert_uint_eq(count, i == 2 ? 11 : 10); /* 3 is rung by a slow call, too */
                vmm_unbind_event(guest_vmm(g), i + 1);
                close(fds[i]);
        }
        guest_free(g);
}
END_TEST

START_TEST(a_rep_call_reads_real_registers) {
        ck_assert_int_eq(run_part("registers"), 0);
}
END_TEST

START_TEST(the_reset_msr_restarts) {
        const struct guest_config config = {.payload = "hypercall", .cmdline = "msr"};
        struct guest *g = guest_new(&config);
        guest_start(g);
        ck_assert_int_eq(guest_wait(g, NULL), VMM_EVENT_RESET);
        guest_free(g);
}
END_TEST

int main(void) {
        guest_kill_deadline(100);
        const test_fn tests[] = {
                a_guest_sees_hyper_v_and_nothing_of_kvm,
                a_call_from_ring_3_is_undefined,
                a_message_reaches_the_owner_and_its_status_the_guest,
                signals_ring_eventfds_in_the_kernel_and_past_its_limit,
                a_rep_call_reads_real_registers,
                the_reset_msr_restarts,
        };
        return test_run("guest-hypercall", tests, sizeof tests / sizeof *tests, 30);
}
