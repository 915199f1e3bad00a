// SPDX-License-Identifier: MIT
#include "hcs-test.h"

static void grants(const char *sddl, bool expected) {
        bool got = !expected;
        int r = hcs_sddl_grants(sddl, &got);
        ck_assert_msg(r == 0, "%s: %d", sddl, r);
        ck_assert_msg(got == expected, "%s", sddl);
}

START_TEST(the_owner_is_system_administrator_and_everyone) {
        grants("D:P(A;;FA;;;SY)", true);
        grants("D:P(A;;FA;;;SY)(A;;FA;;;BA)", true);
        grants("D:(A;;GA;;;WD)", true);
        grants("D:(A;;0x1f01ff;;;S-1-5-18)", true);
        grants("O:BAG:SYD:P(A;OICI;FA;;;AU)", true);
        grants("O:S-1-5-32-544D:(A;;FA;;;S-1-1-0)", true);
}
END_TEST

START_TEST(others_get_nothing_for_the_owner) {
        grants("D:P(A;;FA;;;LS)", false);
        grants("D:P(A;;FA;;;S-1-5-21-1-2-3-1001)", false);
        grants("D:P(D;;FA;;;LS)(A;;FA;;;SY)", true);
}
END_TEST

START_TEST(the_first_entry_that_names_the_owner_decides) {
        grants("D:P(D;;FA;;;WD)", false);
        grants("D:P(D;;FA;;;WD)(A;;FA;;;SY)", false);
        grants("D:P(A;;FA;;;SY)(D;;FA;;;WD)", true);
}
END_TEST

START_TEST(without_a_dacl_all_is_granted_and_with_an_empty_one_nothing) {
        grants("O:SY", true);
        grants("D:", false);
        grants("D:P", false);
        grants("D:PAI", false);
        grants("S:(AU;SAFA;FA;;;WD)", true);
        grants("D:P(A;;FA;;;SY)S:(ML;;NW;;;LW)", true);
}
END_TEST

START_TEST(refuses_what_is_no_descriptor) {
        static const char *const bad[] = {"", "everyone", "D", "D(A;;FA;;;SY)",
                "X:", "D:(A;;FA;;;SY", "D:A;;FA;;;SY", "D:(A;;FA;;SY)", "D:(A;;FA;;;;SY)",
                "D:(Z;;FA;;;SY)", "D:(A;;FA;;;sy)", "D:(A;;FA;;;)", "D:(A;;FA;;;S-1-)",
                "D:(A;;FA;;;S-1-5-x)", "D:(A;;F!;;;SY)", "D:D:", "O:", "O:xD:", "D:(A;;FA;;;SY)x",
                "D:()"};
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                bool got = true;
                ck_assert_msg(hcs_sddl_grants(bad[i], &got) == -EINVAL, "%s", bad[i]);
                ck_assert(got);
        }
}
END_TEST

TEST_MAIN("hcs-sddl", the_owner_is_system_administrator_and_everyone,
        others_get_nothing_for_the_owner, the_first_entry_that_names_the_owner_decides,
        without_a_dacl_all_is_granted_and_with_an_empty_one_nothing, refuses_what_is_no_descriptor)
