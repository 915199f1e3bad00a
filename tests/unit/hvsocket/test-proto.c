// SPDX-License-Identifier: MIT
#include "hvsocket/proto.h"
#include "../test.h"

/* A packet as vmbus_receive() gives it: padded to 8. */
static size_t packet(uint8_t *buf, uint32_t type, uint32_t claim, size_t data) {
        const struct pipe_header header = {le32_make(type), le32_make(claim)};
        memcpy(buf, &header, sizeof header);
        for (size_t i = 0; i < data; i++)
                buf[sizeof header + i] = (uint8_t)i;
        return sizeof header + data;
}

START_TEST(reads_a_packet_and_ignores_its_padding) {
        uint8_t buf[64];
        const uint8_t *data = NULL;
        size_t size = 0;
        assert_ok(hvsocket_parse(buf, packet(buf, PIPE_DATA, 5, 8), &data, &size));
        ck_assert_uint_eq(size, 5);
        ck_assert_ptr_eq(data, buf + 8);
}
END_TEST

START_TEST(reads_an_empty_packet_as_fin) {
        uint8_t buf[8];
        const uint8_t *data = NULL;
        size_t size = 1;
        assert_ok(hvsocket_parse(buf, packet(buf, PIPE_DATA, 0, 0), &data, &size));
        ck_assert_uint_eq(size, 0);
}
END_TEST

/* Row 10 of the negative tests: the header claims more than the packet holds. */
START_TEST(refuses_a_claim_beyond_the_packet) {
        static const uint32_t claims[] = {9, 16, 4088, HVSOCKET_DATA_MAX, HVSOCKET_DATA_MAX + 1,
                0x7fffffff, 0x80000000, 0xfffffff8, 0xffffffff};
        uint8_t buf[64];
        const uint8_t *const untouched = buf + 1, *data = untouched;
        size_t size = 77;
        for (size_t i = 0; i < sizeof claims / sizeof *claims; i++)
                assert_error(
                        hvsocket_parse(buf, packet(buf, PIPE_DATA, claims[i], 8), &data, &size),
                        -EBADMSG);
        ck_assert_ptr_eq(data, untouched);
        ck_assert_uint_eq(size, 77);
}
END_TEST

START_TEST(takes_the_largest_packet_and_refuses_one_byte_more) {
        static uint8_t buf[8 + HVSOCKET_DATA_MAX + 8];
        const uint8_t *data;
        size_t size = 0;
        assert_ok(hvsocket_parse(
                buf, packet(buf, PIPE_DATA, HVSOCKET_DATA_MAX, HVSOCKET_DATA_MAX), &data, &size));
        ck_assert_uint_eq(size, HVSOCKET_DATA_MAX);
        assert_error(hvsocket_parse(buf,
                             packet(buf, PIPE_DATA, HVSOCKET_DATA_MAX + 1, HVSOCKET_DATA_MAX + 8),
                             &data, &size),
                -EBADMSG);
}
END_TEST

START_TEST(refuses_a_cut_off_header_and_a_foreign_type) {
        uint8_t buf[64];
        const uint8_t *data;
        size_t size;
        size_t whole = packet(buf, PIPE_DATA, 0, 0);
        for (size_t n = 0; n < whole; n++)
                assert_error(hvsocket_parse(buf, n, &data, &size), -EBADMSG);
        static const uint32_t types[] = {0, 2, 3, 0x101, 0xffffffff};
        for (size_t i = 0; i < sizeof types / sizeof *types; i++)
                assert_error(
                        hvsocket_parse(buf, packet(buf, types[i], 8, 8), &data, &size), -EBADMSG);
}
END_TEST

START_TEST(what_we_write_is_what_we_read) {
        uint8_t buf[8 + 16] = {0};
        const uint8_t *data;
        size_t size = 99;
        struct pipe_header header = hvsocket_header(16);
        memcpy(buf, &header, sizeof header);
        assert_ok(hvsocket_parse(buf, sizeof buf, &data, &size));
        ck_assert_uint_eq(size, 16);
        header = hvsocket_header(0);
        memcpy(buf, &header, sizeof header);
        assert_ok(hvsocket_parse(buf, 8, &data, &size));
        ck_assert_uint_eq(size, 0);
}
END_TEST

START_TEST(only_the_direction_stands_in_an_offer) {
        uint8_t guest[VMBUS_USER_DATA_SIZE], host[VMBUS_USER_DATA_SIZE],
                zero[VMBUS_USER_DATA_SIZE] = {0};
        hvsocket_user_defined(false, guest);
        hvsocket_user_defined(true, host);
        ck_assert_mem_eq(guest, zero, sizeof zero);
        zero[4] = 1;
        ck_assert_mem_eq(host, zero, sizeof zero);
}
END_TEST

TEST_MAIN("hvsocket/proto", reads_a_packet_and_ignores_its_padding, reads_an_empty_packet_as_fin,
        refuses_a_claim_beyond_the_packet, takes_the_largest_packet_and_refuses_one_byte_more,
        refuses_a_cut_off_header_and_a_foreign_type, what_we_write_is_what_we_read,
        only_the_direction_stands_in_an_offer)
