// SPDX-License-Identifier: MIT
#include "harness.h"
#include "../unit/test.h"

START_TEST(a_payload_runs_in_ring_3_and_powers_off) {
        const struct guest_config config = {.payload = "hello"};
        ck_assert_int_eq(guest_run(&config), 0);
}
END_TEST

TEST_MAIN("guest-hello", a_payload_runs_in_ring_3_and_powers_off)
