// SPDX-License-Identifier: MIT
#include "../test.h"
#include "ipc/rules.h"
#include "samples.h"

START_TEST(every_message_has_its_row) {
        unsigned rows = 0;
        for (unsigned type = 0; type < 256; type++) {
                const struct ipc_rule *rule = ipc_rule(type);
                bool known = (type >= IPC_CONFIG && type < IPC_TYPES_DAEMON_END_) ||
                             (type >= IPC_DONE && type < IPC_TYPES_WORKER_END_);
                ck_assert_int_eq(rule != NULL, known);
                if (!rule)
                        continue;
                rows++;
                ck_assert_uint_eq(rule->type, type);
                ck_assert_int_eq(rule->receiver, type < IPC_DONE ? IPC_WORKER : IPC_DAEMON);
                ck_assert_uint_le(rule->min_fds, rule->max_fds);
                ck_assert_uint_le(rule->max_fds, IO_CHAN_FDS_MAX);
        }
        ck_assert_uint_eq(rows, 23);
        ck_assert_ptr_null(ipc_rule(UINT16_MAX));
        ck_assert_ptr_null(ipc_rule(~0u));
}
END_TEST

START_TEST(a_sample_exists_of_every_message) {
        for (unsigned type = 0; type < 256; type++) {
                bool found = false;
                for (size_t i = 0; i < ARRAY_SIZE(samples); i++)
                        found = found || samples[i].m.type == type;
                ck_assert_int_eq(found, ipc_rule(type) != NULL);
        }
}
END_TEST

static int check(struct ipc_order *order, enum ipc_type type) {
        struct ipc_message m = {.type = type};
        return ipc_order_check(order, &m);
}

START_TEST(a_worker_is_configured_first_and_once) {
        for (unsigned type = IPC_START; type < IPC_TYPES_DAEMON_END_; type++) {
                struct ipc_order order = {0};
                assert_error(check(&order, type), -EPROTO);
                assert_ok(check(&order, IPC_CONFIG));
                assert_ok(check(&order, type));
                assert_error(check(&order, IPC_CONFIG), -EPROTO);
                assert_ok(check(&order, type));
        }
}
END_TEST

START_TEST(nothing_follows_the_end) {
        for (unsigned type = IPC_DONE; type < IPC_TYPES_WORKER_END_; type++) {
                struct ipc_order order = {0};
                if (type != IPC_EXITED)
                        assert_ok(check(&order, type));
                assert_ok(check(&order, IPC_EXITED));
                assert_error(check(&order, type), -EPROTO);
        }
}
END_TEST

START_TEST(a_number_that_is_no_message_breaks_the_order) {
        struct ipc_order order = {.configured = true};
        assert_error(check(&order, 0), -EPROTO);
        assert_error(check(&order, IPC_TYPES_DAEMON_END_), -EPROTO);
        assert_error(check(&order, IPC_TYPES_WORKER_END_), -EPROTO);
}
END_TEST

TEST_MAIN("rules", every_message_has_its_row, a_sample_exists_of_every_message,
        a_worker_is_configured_first_and_once, nothing_follows_the_end,
        a_number_that_is_no_message_breaks_the_order)
