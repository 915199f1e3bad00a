// SPDX-License-Identifier: MIT
#include "hvsocket/table.h"
#include "base/fault.h"
#include "../test.h"

static struct hvsocket_rule rule(uint32_t port, bool allow_bind, bool allow_connect) {
        return (struct hvsocket_rule){hvsocket_service_of_port(port), allow_bind, allow_connect};
}

START_TEST(a_port_and_its_service_id_are_one) {
        char text[GUID_TEXT_SIZE];
        struct guid service = hvsocket_service_of_port(0x40000000);
        guid_format(&service, text);
        ck_assert_str_eq(text, "40000000-facb-11e6-bd58-64006a7986d3");
        uint32_t port = 1;
        ck_assert(hvsocket_port_of_service(&service, &port));
        ck_assert_uint_eq(port, 0x40000000);
        service = hvsocket_service_of_port(UINT32_MAX);
        ck_assert(hvsocket_port_of_service(&service, &port));
        ck_assert_uint_eq(port, UINT32_MAX);
}
END_TEST

START_TEST(no_other_id_is_a_port) {
        for (size_t byte = 4; byte < sizeof(struct guid); byte++) {
                struct guid service = hvsocket_service_of_port(80);
                uint32_t port = 7;
                service.b[byte] ^= 1;
                ck_assert(!hvsocket_port_of_service(&service, &port));
                ck_assert_uint_eq(port, 7);
        }
}
END_TEST

START_TEST(a_rule_decides_for_its_service_and_the_default_for_others) {
        struct hvsocket_table table = {0};
        const struct guid one = hvsocket_service_of_port(1), two = hvsocket_service_of_port(2),
                          other = hvsocket_service_of_port(3);
        ck_assert(!hvsocket_table_may_bind(&table, &one));
        ck_assert(!hvsocket_table_may_connect(&table, &one));
        const struct hvsocket_rule rules[] = {rule(1, true, false), rule(2, false, true)};
        assert_ok(hvsocket_table_set(&table, rules, 2, false, true));
        ck_assert(hvsocket_table_may_bind(&table, &one));
        ck_assert(!hvsocket_table_may_connect(&table, &one));
        ck_assert(!hvsocket_table_may_bind(&table, &two));
        ck_assert(hvsocket_table_may_connect(&table, &two));
        ck_assert(!hvsocket_table_may_bind(&table, &other));
        ck_assert(hvsocket_table_may_connect(&table, &other));
        assert_ok(hvsocket_table_set(&table, NULL, 0, true, false));
        ck_assert(hvsocket_table_may_bind(&table, &two));
        ck_assert(!hvsocket_table_may_connect(&table, &two));
        hvsocket_table_done(&table);
}
END_TEST

START_TEST(holds_the_limit_of_rules_and_refuses_one_more) {
        static struct hvsocket_rule rules[HVSOCKET_SERVICES_MAX + 1];
        struct hvsocket_table table = {0};
        for (uint32_t i = 0; i < HVSOCKET_SERVICES_MAX + 1; i++)
                rules[i] = rule(i, true, true);
        assert_ok(hvsocket_table_set(&table, rules, HVSOCKET_SERVICES_MAX, false, false));
        ck_assert(hvsocket_table_may_bind(&table, &rules[HVSOCKET_SERVICES_MAX - 1].service));
        assert_error(
                hvsocket_table_set(&table, rules, HVSOCKET_SERVICES_MAX + 1, true, true), -E2BIG);
        ck_assert(!hvsocket_table_may_bind(&table, &rules[HVSOCKET_SERVICES_MAX].service));
        hvsocket_table_done(&table);
}
END_TEST

START_TEST(a_failed_change_leaves_the_table) {
        struct hvsocket_table table = {0};
        const struct hvsocket_rule good[] = {rule(1, true, true)};
        const struct hvsocket_rule twice[] = {
                rule(1, false, false), rule(2, true, true), rule(1, true, false)};
        const struct guid one = good[0].service;
        assert_ok(hvsocket_table_set(&table, good, 1, false, false));
        assert_error(hvsocket_table_set(&table, twice, 3, true, true), -EEXIST);
        fault_arm(FAULT_ALLOC, 1);
        assert_error(hvsocket_table_set(&table, twice, 2, true, true), -ENOMEM);
        ck_assert(hvsocket_table_may_bind(&table, &one));
        const struct guid two = hvsocket_service_of_port(2);
        ck_assert(!hvsocket_table_may_bind(&table, &two));
        hvsocket_table_done(&table);
}
END_TEST

TEST_MAIN("hvsocket/table", a_port_and_its_service_id_are_one, no_other_id_is_a_port,
        a_rule_decides_for_its_service_and_the_default_for_others,
        holds_the_limit_of_rules_and_refuses_one_more, a_failed_change_leaves_the_table)
