// SPDX-License-Identifier: MIT
#include "../test.h"
#include "base/guid.h"

START_TEST(text_and_wire_order_agree_with_the_macro) {
        static const struct guid scsi =
                GUID_MAKE(0xba6163d9, 0x04a1, 0x4d29, 0xb605, 0x72e2ffb1dc7f);
        static const uint8_t wire[16] = {0xd9, 0x63, 0x61, 0xba, 0xa1, 0x04, 0x29, 0x4d, 0xb6, 0x05,
                0x72, 0xe2, 0xff, 0xb1, 0xdc, 0x7f};
        struct guid g;
        char text[GUID_TEXT_SIZE];
        assert_ok(guid_parse("BA6163D9-04a1-4d29-b605-72e2ffb1dc7f", &g));
        ck_assert(guid_equal(&g, &scsi));
        ck_assert_mem_eq(g.b, wire, 16);
        guid_format(&g, text);
        ck_assert_str_eq(text, "ba6163d9-04a1-4d29-b605-72e2ffb1dc7f");
        ck_assert_uint_eq(guid_data1(&g), 0xba6163d9);
}
END_TEST

START_TEST(refuses_what_is_not_a_guid) {
        struct guid g;
        assert_error(guid_parse("", &g), -EINVAL);
        assert_error(guid_parse("{ba6163d9-04a1-4d29-b605-72e2ffb1dc7f}", &g), -EINVAL);
        assert_error(guid_parse("ba6163d9-04a1-4d29-b605-72e2ffb1dc7", &g), -EINVAL);
        assert_error(guid_parse("ba6163d9-04a1-4d29-b605-72e2ffb1dc7g", &g), -EINVAL);
}
END_TEST

START_TEST(random_guids_differ) {
        struct guid a, b;
        guid_random(&a);
        guid_random(&b);
        ck_assert(!guid_equal(&a, &b));
        ck_assert(!guid_is_null(&a));
}
END_TEST

TEST_MAIN("guid", text_and_wire_order_agree_with_the_macro, refuses_what_is_not_a_guid,
        random_guids_differ)
