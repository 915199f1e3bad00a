// SPDX-License-Identifier: MIT
#include "../test.h"
#include "wire/hresult.h"
#include "wsb/decode.h"

static void decodes(const char *bytes, size_t n, const char *expected, bool broken) {
        struct wsb_error we = {0};
        struct wsb_text text = {0};
        int r = wsb_decode((const uint8_t *)bytes, n, &we, &text);
        ck_assert_msg(r == 0, "%s", we.message);
        ck_assert_uint_eq(text.n, strlen(expected));
        ck_assert_str_eq(text.utf8, expected);
        ck_assert_int_eq(text.broken, broken);
        free(text.utf8);
}

static void refuses(const char *bytes, size_t n, uint32_t code) {
        struct wsb_error we = {0};
        struct wsb_text text = {0};
        assert_error(wsb_decode((const uint8_t *)bytes, n, &we, &text), -EINVAL);
        ck_assert_ptr_null(text.utf8);
        ck_assert_uint_eq(we.hresult, E_INVALIDARG);
        ck_assert_uint_eq(we.xmllite, code);
        ck_assert_str_eq(we.path, "/");
}

#define BYTES(s)  s, sizeof(s) - 1
#define DECL(enc) "<?xml version=\"1.0\" encoding=" enc "?>"

START_TEST(takes_utf8_and_utf16_by_their_marks) {
        decodes(BYTES("<a/>"), "<a/>", false);
        decodes(BYTES("\xef\xbb\xbf<a/>"), "<a/>", false);
        decodes(BYTES("\xff\xfe<\0\x3d\xd8\xe6\xdc"), "<\xf0\x9f\x93\xa6", false);
        decodes(BYTES("\xfe\xff\0<\xd8\x3d\xdc\xe6"), "<\xf0\x9f\x93\xa6", false);
        decodes(BYTES(""), "", false);
        decodes(BYTES("\xff\xfe"), "", false);
}
END_TEST

START_TEST(stops_in_front_of_bytes_that_are_no_text) {
        decodes(BYTES("ab\xff"
                      "c"),
                "ab", true);
        decodes(BYTES("a\xc3"), "a", true);
        decodes(BYTES("\xff\xfe"
                      "a\0b"),
                "a", true);
        decodes(BYTES("\xff\xfe"
                      "a\0\0\xdc"
                      "b\0"),
                "a", true);
        decodes(BYTES("\xff\xfe"
                      "a\0\0\xd8"
                      "b\0"),
                "a", true);
        decodes(BYTES("\xff\xfe"
                      "a\0\0\xd8"),
                "a", true);
}
END_TEST

START_TEST(refuses_other_encodings_by_their_first_bytes) {
        refuses(BYTES("<\0a\0"), MX_E_ENCODINGSIGNATURE);
        refuses(BYTES("\0<\0a"), MX_E_ENCODINGSIGNATURE);
        refuses(BYTES("\xff\xfe\0\0<\0\0\0"), MX_E_ENCODINGSIGNATURE);
        refuses(BYTES("\0\0\xfe\xff\0\0\0<"), MX_E_ENCODINGSIGNATURE);
}
END_TEST

START_TEST(the_declaration_must_agree_with_the_bytes) {
        decodes(BYTES(DECL("\"utf-8\"")), DECL("\"utf-8\""), false);
        decodes(BYTES(DECL(" \n 'UTF-8' ")), DECL(" \n 'UTF-8' "), false);
        /* Not declarations at all, or broken ones that the parser will refuse. */
        decodes(BYTES("<?xmlx encoding='utf-16'?>"), "<?xmlx encoding='utf-16'?>", false);
        decodes(BYTES("<?xml encoding"), "<?xml encoding", false);
        decodes(BYTES("<?xml ?><a encoding='utf-16'/>"), "<?xml ?><a encoding='utf-16'/>", false);
        decodes(BYTES(DECL("utf-16")), DECL("utf-16"), false);
        refuses(BYTES(DECL("\"utf-16\"")), MX_E_ENCODINGSWITCH);
        refuses(BYTES("\xef\xbb\xbf" DECL("\"UTF-16\"")), MX_E_ENCODINGSWITCH);
        refuses(BYTES(DECL("\"iso-8859-1\"")), MX_E_ENCODING);
        refuses(BYTES(DECL("\"\"")), MX_E_ENCODING);
        static const char ascii[] = DECL("\"utf-8\"");
        char wide[2 * sizeof ascii] = "\xff\xfe";
        for (size_t i = 0; i + 1 < sizeof ascii; i++)
                wide[2 + 2 * i] = ascii[i];
        refuses(wide, sizeof wide, MX_E_ENCODINGSWITCH);
}
END_TEST

START_TEST(takes_a_mebibyte_and_no_more) {
        _cleanup_free_ char *big = malloc(WSB_FILE_MAX + 1);
        memset(big, ' ', WSB_FILE_MAX + 1);
        struct wsb_error we = {0};
        struct wsb_text text = {0};
        assert_ok(wsb_decode((uint8_t *)big, WSB_FILE_MAX, &we, &text));
        ck_assert_uint_eq(text.n, WSB_FILE_MAX);
        free(text.utf8);
        refuses(big, WSB_FILE_MAX + 1, 0);
}
END_TEST

START_TEST(places_count_code_points) {
        unsigned line, column;
        wsb_locate("\xc3\xa9\n\xf0\x9f\x93\xa6x", 8, &line, &column);
        ck_assert_uint_eq(line, 2);
        ck_assert_uint_eq(column, 3);
        wsb_locate("x", 0, &line, &column);
        ck_assert_uint_eq(line, 1);
        ck_assert_uint_eq(column, 1);
}
END_TEST

TEST_MAIN("wsb-decode", takes_utf8_and_utf16_by_their_marks,
        stops_in_front_of_bytes_that_are_no_text, refuses_other_encodings_by_their_first_bytes,
        the_declaration_must_agree_with_the_bytes, takes_a_mebibyte_and_no_more,
        places_count_code_points)
