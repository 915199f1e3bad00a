// SPDX-License-Identifier: MIT
#include "ic/proto.h"
#include "../test.h"

static const struct ic_revision frameworks[] = {{3, 0}, {1, 0}};
static const struct ic_revision messages[] = {{4, 0}, {3, 0}, {1, 0}};
static const struct ic_offered offered = {
        .framework = frameworks, .message = messages, .n_framework = 2, .n_message = 3};

/* The negotiation of the timesync device:
 * pipe header, IC header of type 0, counts, versions (facts 9.1). */
static const uint8_t golden_negotiate[] = {
        0x01, 0, 0, 0, 48, 0, 0, 0,          /* pipe: data, 48 bytes */
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 28, 0, /* no versions yet, type 0, size 28 */
        0, 0, 0, 0, 1, 3, 0, 0,              /* status, transaction 1, request */
        2, 0, 3, 0, 0, 0, 0, 0,              /* 2 framework and 3 message versions */
        3, 0, 0, 0, 1, 0, 0, 0,              /* 3.0, 1.0 */
        4, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0,  /* 4.0, 3.0, 1.0 */
};

/* What Linux 6.1 makes of it: counts of one, the chosen pair in front, the rest as it was. */
static const uint8_t golden_negotiated[] = {
        0x01,
        0,
        0,
        0,
        48,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        16,
        0,
        0,
        0,
        0,
        0,
        1,
        5,
        0,
        0,
        1,
        0,
        1,
        0,
        0,
        0,
        0,
        0,
        3,
        0,
        0,
        0,
        4,
        0,
        0,
        0,
        4,
        0,
        0,
        0,
        3,
        0,
        0,
        0,
        1,
        0,
        0,
        0,
};

static const uint8_t golden_heartbeat[] = {
        0x01,
        0,
        0,
        0,
        60,
        0,
        0,
        0,
        3,
        0,
        0,
        0,
        1,
        0,
        3,
        0,
        0,
        0,
        40,
        0,
        0,
        0,
        0,
        0,
        7,
        3,
        0,
        0,
        0xff,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
};

START_TEST(the_negotiation_has_its_golden_bytes) {
        uint8_t body_bytes[64], bytes[128];
        struct wr body = wr_make(body_bytes, sizeof body_bytes), wr = wr_make(bytes, sizeof bytes);
        ic_write_negotiate(&body, &offered);
        const struct ic_message m = {.transaction = 1, .flags = 3};
        ic_write(&wr, &m, body.data, body.size);
        assert_ok(wr_error(&wr));
        ck_assert_uint_eq(wr.size, sizeof golden_negotiate);
        ck_assert_mem_eq(bytes, golden_negotiate, sizeof golden_negotiate);
}
END_TEST

START_TEST(reads_the_answer_of_linux) {
        struct ic_message m;
        struct ic_revision framework, message;
        assert_ok(ic_parse(golden_negotiated, sizeof golden_negotiated, &m));
        ck_assert_uint_eq(m.type, IC_TYPE_NEGOTIATE);
        ck_assert_uint_eq(m.transaction, 1);
        ck_assert_uint_eq(m.flags, IC_FLAG_TRANSACTION | IC_FLAG_RESPONSE);
        assert_error(ic_parse_negotiate(m.body, &offered, &framework, &message), 0);
        ck_assert_uint_eq(framework.major, 3);
        ck_assert_uint_eq(message.major, 4);
        ck_assert_uint_eq(message.minor, 0);
}
END_TEST

START_TEST(a_heartbeat_has_its_golden_bytes_and_is_read_again) {
        uint8_t body_bytes[64], bytes[128];
        struct wr body = wr_make(body_bytes, sizeof body_bytes), wr = wr_make(bytes, sizeof bytes);
        ic_write_heartbeat(&body, 255);
        struct ic_message m = {.framework = {3, 0},
                .message = {3, 0},
                .type = IC_TYPE_HEARTBEAT,
                .transaction = 7,
                .flags = 3};
        ic_write(&wr, &m, body.data, body.size);
        ck_assert_uint_eq(wr.size, sizeof golden_heartbeat);
        ck_assert_mem_eq(bytes, golden_heartbeat, sizeof golden_heartbeat);
        uint64_t sequence;
        assert_ok(ic_parse(bytes, wr.size, &m));
        assert_ok(ic_parse_heartbeat(m.body, &sequence));
        ck_assert_uint_eq(sequence, 255);
        m.body.size = 39;
        assert_error(ic_parse_heartbeat(m.body, &sequence), -EBADMSG);
}
END_TEST

START_TEST(a_shutdown_is_sent_whole) {
        static uint8_t bytes[4096];
        struct wr body = wr_make(bytes, sizeof bytes);
        ic_write_shutdown(&body, IC_SHUTDOWN_FORCE | IC_SHUTDOWN_REBOOT);
        ck_assert_uint_eq(body.size, 2060);
        const uint8_t head[] = {0, 0, 0, 0x80, 0, 0, 0, 0, 3, 0, 0, 0};
        ck_assert_mem_eq(bytes, head, sizeof head);
        for (size_t i = sizeof head; i < body.size; i++)
                ck_assert_uint_eq(bytes[i], 0);
}
END_TEST

START_TEST(the_time_has_the_form_of_the_agreed_version) {
        uint8_t bytes[64];
        struct wr v4 = wr_make(bytes, sizeof bytes);
        ic_write_timesync(&v4, 4, 0x0102030405060708, 0x1112131415161718, IC_TIMESYNC_SYNC);
        const uint8_t golden_4[24] = {
                8, 7, 6, 5, 4, 3, 2, 1, 0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11, 1};
        ck_assert_uint_eq(v4.size, sizeof golden_4);
        ck_assert_mem_eq(bytes, golden_4, sizeof golden_4);
        static const uint16_t old[] = {3, 1};
        for (size_t i = 0; i < 2; i++) {
                struct wr v3 = wr_make(bytes, sizeof bytes);
                ic_write_timesync(&v3, old[i], 0x0102030405060708, 99, IC_TIMESYNC_SAMPLE);
                uint8_t golden_3[25] = {8, 7, 6, 5, 4, 3, 2, 1};
                golden_3[24] = IC_TIMESYNC_SAMPLE;
                ck_assert_uint_eq(v3.size, sizeof golden_3);
                ck_assert_mem_eq(bytes, golden_3, sizeof golden_3);
        }
}
END_TEST

START_TEST(refuses_a_packet_cut_at_any_byte) {
        struct ic_message m;
        for (size_t n = 0; n < sizeof golden_heartbeat; n++)
                assert_error(ic_parse(golden_heartbeat, n, &m), -EBADMSG);
}
END_TEST

/* Row 10 of the negative tests, for this kind of pipe. */
START_TEST(refuses_headers_that_claim_more_than_there_is) {
        uint8_t bytes[sizeof golden_heartbeat];
        struct ic_message m;
        static const struct {
                size_t offset;
                uint8_t value;
        } bad[] = {
                {0, 2},     /* foreign pipe type */
                {4, 61},    /* pipe: one byte more than the packet */
                {7, 0x80},  /* pipe: 2 GiB more */
                {4, 19},    /* pipe: less than the IC header */
                {18, 41},   /* body: one byte more than the pipe says */
                {19, 0xff}, /* body: 64 KiB */
        };
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
                memcpy(bytes, golden_heartbeat, sizeof bytes);
                bytes[bad[i].offset] = bad[i].value;
                assert_error(ic_parse(bytes, sizeof bytes, &m), -EBADMSG);
        }
}
END_TEST

static int negotiated(uint16_t n_framework, uint16_t n_message, struct ic_revision framework,
        struct ic_revision message, size_t size) {
        uint8_t bytes[16];
        struct wr wr = wr_make(bytes, sizeof bytes);
        struct ic_revision f, m;
        wr_le16(&wr, n_framework);
        wr_le16(&wr, n_message);
        wr_le32(&wr, 0);
        wr_le16(&wr, framework.major);
        wr_le16(&wr, framework.minor);
        wr_le16(&wr, message.major);
        wr_le16(&wr, message.minor);
        return ic_parse_negotiate(rd_make(bytes, size), &offered, &f, &m);
}

START_TEST(takes_only_versions_that_were_offered) {
        const struct ic_revision f3 = {3, 0}, f1 = {1, 0}, m4 = {4, 0}, m1 = {1, 0};
        assert_error(negotiated(1, 1, f3, m4, 16), 0);
        assert_error(negotiated(1, 1, f1, m1, 16), 0);
        assert_error(negotiated(0, 0, f3, m4, 16), IC_E_NO_VERSION);
        assert_error(negotiated(0, 0, f3, m4, 8), IC_E_NO_VERSION);
        assert_error(negotiated(1, 0, f3, m4, 16), -EBADMSG);
        assert_error(negotiated(0, 1, f3, m4, 16), -EBADMSG);
        assert_error(negotiated(2, 3, f3, m4, 16), -EBADMSG);
        assert_error(negotiated(1, 1, m4, m4, 16), -EBADMSG);
        assert_error(negotiated(1, 1, f3, (struct ic_revision){4, 1}, 16), -EBADMSG);
        assert_error(negotiated(1, 1, f3, (struct ic_revision){5, 0}, 16), -EBADMSG);
        for (size_t n = 0; n < 16; n++)
                assert_error(negotiated(1, 1, f3, m4, n), -EBADMSG);
}
END_TEST

TEST_MAIN("ic/proto", the_negotiation_has_its_golden_bytes, reads_the_answer_of_linux,
        a_heartbeat_has_its_golden_bytes_and_is_read_again, a_shutdown_is_sent_whole,
        the_time_has_the_form_of_the_agreed_version, refuses_a_packet_cut_at_any_byte,
        refuses_headers_that_claim_more_than_there_is, takes_only_versions_that_were_offered)
