// SPDX-License-Identifier: MIT
#include "../test.h"
#include "base/rd.h"

START_TEST(reads_little_endian_integers_in_turn) {
        static const uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
        struct rd rd = rd_make(bytes, sizeof bytes);
        uint8_t a;
        uint16_t b;
        uint32_t c;
        uint64_t d;
        assert_ok(rd_u8(&rd, &a));
        assert_ok(rd_le16(&rd, &b));
        assert_ok(rd_le32(&rd, &c));
        assert_ok(rd_le64(&rd, &d));
        ck_assert_uint_eq(a, 1);
        ck_assert_uint_eq(b, 0x0302);
        ck_assert_uint_eq(c, 0x07060504);
        ck_assert_uint_eq(d, 0x0f0e0d0c0b0a0908);
        assert_ok(rd_end(&rd));
}
END_TEST

START_TEST(neither_moves_nor_stores_when_bytes_are_missing) {
        static const uint8_t bytes[] = {1, 2, 3};
        struct rd rd = rd_make(bytes, sizeof bytes);
        uint32_t v = 0xdead;
        assert_error(rd_le32(&rd, &v), -EBADMSG);
        ck_assert_uint_eq(v, 0xdead);
        ck_assert_uint_eq(rd_left(&rd), 3);
        assert_error(rd_skip(&rd, 4), -EBADMSG);
        assert_error(rd_skip(&rd, SIZE_MAX), -EBADMSG);
        assert_ok(rd_skip(&rd, 3));
        assert_error(rd_u8(&rd, NULL), -EBADMSG);
}
END_TEST

START_TEST(a_child_cursor_cannot_leave_its_bytes) {
        static const uint8_t bytes[] = {1, 2, 3, 4};
        struct rd rd = rd_make(bytes, sizeof bytes), sub;
        assert_ok(rd_sub(&rd, 2, &sub));
        assert_error(rd_le32(&sub, NULL), -EBADMSG);
        assert_ok(rd_le16(&sub, NULL));
        ck_assert_uint_eq(rd_left(&rd), 2);
        assert_error(rd_sub(&rd, 3, &sub), -EBADMSG);
        assert_error(rd_end(&rd), -EBADMSG);
}
END_TEST

TEST_MAIN("rd", reads_little_endian_integers_in_turn,
        neither_moves_nor_stores_when_bytes_are_missing, a_child_cursor_cannot_leave_its_bytes)
