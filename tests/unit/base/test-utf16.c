// SPDX-License-Identifier: MIT
#include "../test.h"
#include "base/utf16.h"

START_TEST(round_trips_all_planes) {
        static const char text[] = "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80";
        struct wr u16 = wr_new(100), u8 = wr_new(100);
        assert_ok(utf16_from_utf8(text, strlen(text), &u16));
        ck_assert_uint_eq(u16.size, 10);
        assert_ok(utf16_to_utf8(u16.data, u16.size, false, &u8));
        ck_assert_uint_eq(u8.size, strlen(text));
        ck_assert_mem_eq(u8.data, text, u8.size);
        wr_done(&u16);
        wr_done(&u8);
}
END_TEST

START_TEST(refuses_overlong_surrogate_and_truncated_utf8) {
        static const char *const bad[] = {"\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80",
                "\xf4\x90\x80\x80", "\xc3", "\xe2\x82", "\x80", "\xff"};
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                assert_error(utf16_check_utf8(bad[i], strlen(bad[i])), -EILSEQ);
}
END_TEST

START_TEST(finds_how_far_text_is_well_formed) {
        ck_assert_uint_eq(utf16_utf8_prefix("a\xc3\xa9\xff"
                                            "b",
                                  5),
                3);
        ck_assert_uint_eq(utf16_utf8_prefix("a\xc3", 2), 1);
        ck_assert_uint_eq(utf16_utf8_prefix("ab", 2), 2);
        ck_assert_uint_eq(utf16_utf8_prefix("", 0), 0);
}
END_TEST

START_TEST(refuses_lone_surrogates_and_odd_lengths) {
        static const uint8_t high[] = {0x00, 0xd8}, low[] = {0x00, 0xdc},
                             twice[] = {0, 0xd8, 0, 0xd8};
        struct wr out = wr_new(100);
        assert_error(utf16_to_utf8(high, 2, false, &out), -EILSEQ);
        assert_error(utf16_to_utf8(low, 2, false, &out), -EILSEQ);
        assert_error(utf16_to_utf8(twice, 4, false, &out), -EILSEQ);
        assert_error(utf16_to_utf8(high, 1, false, &out), -EILSEQ);
        wr_done(&out);
}
END_TEST

TEST_MAIN("utf16", round_trips_all_planes, refuses_overlong_surrogate_and_truncated_utf8,
        finds_how_far_text_is_well_formed, refuses_lone_surrogates_and_odd_lengths)
