// SPDX-License-Identifier: MIT
#include "../test.h"
#include "base/fault.h"
#include "base/state.h"
#include "base/wr.h"

START_TEST(writes_up_to_the_limit_and_refuses_one_byte_more) {
        uint8_t bytes[4];
        struct wr wr = wr_make(bytes, sizeof bytes);
        wr_le32(&wr, 0x04030201);
        assert_ok(wr_error(&wr));
        wr_u8(&wr, 5);
        assert_error(wr_error(&wr), -ENOSPC);
        ck_assert_uint_eq(wr.size, 4);
        ck_assert_mem_eq(bytes, "\1\2\3\4", 4);
}
END_TEST

START_TEST(a_failed_buffer_stays_failed) {
        uint8_t bytes[2];
        struct wr wr = wr_make(bytes, sizeof bytes);
        wr_le32(&wr, 1);
        wr_u8(&wr, 1);
        assert_error(wr_error(&wr), -ENOSPC);
        ck_assert_uint_eq(wr.size, 0);
}
END_TEST

START_TEST(grows_to_its_limit) {
        struct wr wr = wr_new(10000);
        wr_zero(&wr, 10000);
        assert_ok(wr_error(&wr));
        wr_u8(&wr, 0);
        assert_error(wr_error(&wr), -ENOSPC);
        wr_done(&wr);
}
END_TEST

START_TEST(reports_memory_that_is_not_there) {
        struct wr wr = wr_new(10000);
        fault_arm(FAULT_ALLOC, 1);
        wr_u8(&wr, 0);
        ck_assert(fault_fired(FAULT_ALLOC));
        assert_error(wr_error(&wr), -ENOMEM);
        wr_done(&wr);
}
END_TEST

START_TEST(a_state_section_is_read_back_by_its_tag) {
        struct wr wr = wr_new(1000);
        size_t outer = state_begin(&wr, STATE_TAG('O', 'U', 'T', 'R'), 2);
        wr_le32(&wr, 7);
        state_end(&wr, outer);
        assert_ok(wr_error(&wr));
        struct rd rd = rd_make(wr.data, wr.size), body;
        uint16_t version;
        assert_error(state_open(&rd, STATE_TAG('X', 'X', 'X', 'X'), 2, &version, &body), -EBADMSG);
        assert_error(state_open(&rd, STATE_TAG('O', 'U', 'T', 'R'), 1, &version, &body), -EBADMSG);
        assert_ok(state_open(&rd, STATE_TAG('O', 'U', 'T', 'R'), 2, &version, &body));
        ck_assert_uint_eq(version, 2);
        assert_ok(rd_le32(&body, NULL));
        assert_ok(rd_end(&body));
        assert_ok(rd_end(&rd));
        wr_done(&wr);
}
END_TEST

TEST_MAIN("wr", writes_up_to_the_limit_and_refuses_one_byte_more, a_failed_buffer_stays_failed,
        grows_to_its_limit, reports_memory_that_is_not_there,
        a_state_section_is_read_back_by_its_tag)
