// SPDX-License-Identifier: MIT
#include "base/fault.h"
#include "base/state.h"
#include "echo.h"
#include "snapshot.h"

START_TEST(the_same_state_saves_to_the_same_bytes) {
        struct machine *m = machine_new();
        machine_busy(m);
        struct wr one = wr_new(SNAPSHOT_MAX), two = wr_new(SNAPSHOT_MAX);
        assert_ok(vmbus_save(m->g->vmbus, &one));
        assert_ok(vmbus_save(m->g->vmbus, &two));
        ck_assert_uint_eq(one.size, two.size);
        ck_assert_mem_eq(one.data, two.data, one.size);
        wr_done(&one);
        wr_done(&two);
        machine_free(m);
}
END_TEST

START_TEST(saving_changes_nothing) {
        struct machine *m = machine_new();
        machine_busy(m);
        struct wr wr = wr_new(SNAPSHOT_MAX);
        assert_ok(vmbus_save(m->g->vmbus, &wr));
        wr_done(&wr);
        machine_goes_on(m);
        machine_free(m);
}
END_TEST

START_TEST(an_idle_bus_is_one_section) {
        struct fake_guest *g = fake_guest_new(1);
        vmbus_pause(g->vmbus);
        struct wr wr = wr_new(SNAPSHOT_MAX);
        assert_ok(vmbus_save(g->vmbus, &wr));
        struct rd rd = rd_make(wr.data, wr.size), body;
        assert_ok(state_open(&rd, STATE_TAG('V', 'B', 'U', 'S'), 1, NULL, &body));
        assert_ok(rd_end(&rd));
        wr_done(&wr);
        fake_guest_free(g);
}
END_TEST

START_TEST(says_when_it_does_not_fit) {
        struct machine *m = machine_new();
        machine_busy(m);
        uint8_t small[100];
        struct wr wr = wr_make(small, sizeof small);
        assert_error(vmbus_save(m->g->vmbus, &wr), -ENOSPC);
        for (unsigned n = 1;; n++) {
                struct wr grow = wr_new(SNAPSHOT_MAX);
                fault_arm(FAULT_ALLOC, n);
                int r = vmbus_save(m->g->vmbus, &grow);
                bool fired = fault_fired(FAULT_ALLOC);
                fault_arm(FAULT_ALLOC, 0);
                wr_done(&grow);
                ck_assert_int_eq(r, fired ? -ENOMEM : 0);
                if (!fired)
                        break;
        }
        machine_free(m);
}
END_TEST

TEST_MAIN("save", the_same_state_saves_to_the_same_bytes, saving_changes_nothing,
        an_idle_bus_is_one_section, says_when_it_does_not_fit)
