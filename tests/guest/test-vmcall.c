// SPDX-License-Identifier: MIT
/* A guest that makes hypercalls of KVM's own for ever. Only where hardware runs the guest: a KVM
 * that interprets ring 0 would spin on them in the kernel. */
#include "../unit/test.h"
#include <time.h>
#include "base/cleanup.h"
#include "harness.h"

enum { SKIPPED = 77 };

START_TEST(a_guest_that_only_makes_hypercalls_is_ended_within_a_second) {
        const struct guest_config config = {.payload = "platform", .cmdline = "vmcall", .vps = 2};
        struct guest *g = guest_new(&config);
        struct timespec from, to;
        guest_start(g);
        ck_assert(guest_expect(g, "ready\n"));
        clock_gettime(CLOCK_MONOTONIC, &from);
        vmm_pause(guest_vmm(g));
        vmm_resume(guest_vmm(g));
        ck_assert_int_eq(guest_status(g), -1);
        guest_free(g);
        clock_gettime(CLOCK_MONOTONIC, &to);
        ck_assert_int_le(to.tv_sec - from.tv_sec, 1);
}
END_TEST

int main(void) {
        const test_fn tests[] = {a_guest_that_only_makes_hypercalls_is_ended_within_a_second};
        struct error e = {0};
        int fd = -1;
        if (vmm_open_kvm(true, &e, &fd) < 0)
                return SKIPPED;
        close(fd);
        guest_kill_deadline(110);
        return test_run("guest-vmcall", tests, ARRAY_SIZE(tests), 60);
}
