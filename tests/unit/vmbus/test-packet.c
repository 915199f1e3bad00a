// SPDX-License-Identifier: MIT
#include <sys/resource.h>
#include "base/clock.h"
#include "echo.h"

START_TEST(sends_each_kind_of_packet) {
        struct echo e;
        struct fake_guest *g = echo_setup(&e, VMBUS_VERSION_5_3);
        struct fake_channel *ch = fake_open(g, &g->offers[1], 4, 4);
        static struct fake_packet p;
        assert_ok(vmbus_send_inband(e.channel, 3, "inband", 6));
        assert_ok(vmbus_send_completion(e.channel, 4, "done", 4));
        struct vmbus_xfer_pages_header h = {.range_count = le32_make(1)};
        struct vmbus_xfer_range range = {.byte_count = le32_make(100)};
        uint8_t header[16];
        memcpy(header, &h, 8);
        memcpy(header + 8, &range, 8);
        struct iovec pieces[] = {{header, 16}, {(void *)(uintptr_t) "payload", 7}};
        assert_ok(vmbus_send(
                e.channel, VMBUS_PACKET_XFER_PAGES, VMBUS_PACKET_FLAG_COMPLETE, 5, pieces, 2));
        assert_ok(vmbus_send_inband(e.channel, 6, NULL, 0));
        ck_assert_uint_eq(g->signals[1], 1);

        ck_assert(fake_receive(ch, &p));
        ck_assert_uint_eq(p.type, VMBUS_PACKET_INBAND);
        ck_assert_uint_eq(p.transaction, 3);
        ck_assert_mem_eq(p.bytes, "inband\0", 8);
        ck_assert(fake_receive(ch, &p));
        ck_assert_uint_eq(p.type, VMBUS_PACKET_COMPLETION);
        ck_assert_uint_eq(p.transaction, 4);
        ck_assert(fake_receive(ch, &p));
        ck_assert_uint_eq(p.type, VMBUS_PACKET_XFER_PAGES);
        ck_assert_uint_eq(p.flags, VMBUS_PACKET_FLAG_COMPLETE);
        ck_assert_uint_eq(p.header_size, 16);
        ck_assert_mem_eq(p.bytes, header, 16);
        ck_assert_mem_eq(p.bytes + 16, "payload", 8);
        ck_assert(fake_receive(ch, &p));
        ck_assert_uint_eq(p.payload_size, 0);
        fake_close(ch);
        echo_teardown(g, &e);
}
END_TEST

START_TEST(receives_each_kind_of_packet) {
        struct echo e;
        struct fake_guest *g = echo_setup(&e, VMBUS_VERSION_5_3);
        struct fake_channel *ch = fake_open(g, &g->offers[1], 4, 4);
        struct vmbus_packet p;
        e.lazy = true;
        for (uint16_t type = 0; type < 16; type++) {
                uint8_t header[24];
                memset(header, type, sizeof header);
                uint32_t h = type == VMBUS_PACKET_GPA_DIRECT ? 24 : 0;
                ck_assert(fake_send(ch, type, 1, type, header, h, "pay", 3));
                ck_assert_int_eq(vmbus_receive(e.channel, &p), 0);
                ck_assert_uint_eq(p.type, type);
                ck_assert_uint_eq(p.flags, 1);
                ck_assert_uint_eq(p.header_size, h);
                ck_assert_mem_eq(p.header, header, h);
                ck_assert_uint_eq(p.payload_size, 8);
                ck_assert_mem_eq(p.payload, "pay\0\0\0\0", 8);
        }
        ck_assert_int_eq(vmbus_receive(e.channel, &p), VMBUS_E_EMPTY);
        fake_close(ch);
        echo_teardown(g, &e);
}
END_TEST

START_TEST(is_told_when_the_guest_made_room) {
        struct echo e;
        struct fake_guest *g = echo_setup(&e, VMBUS_VERSION_5_3);
        struct fake_channel *ch = fake_open(g, &g->offers[1], 2, 2);
        static struct fake_packet p;
        static uint8_t bytes[4096];
        unsigned n = 0;
        while (vmbus_send_inband(e.channel, n, bytes, 1000) == 0)
                n++;
        ck_assert_uint_eq(n, 3);
        fake_run(g);
        ck_assert_uint_eq(e.readies, 0);
        ck_assert(fake_receive(ch, &p));
        fake_run(g);
        ck_assert_uint_eq(e.readies, 1);
        ck_assert_uint_ge(vmbus_send_room(e.channel), 1000);
        assert_ok(vmbus_send_inband(e.channel, n, bytes, 1000));
        while (fake_receive(ch, &p)) {
        }
        fake_run(g);
        ck_assert_uint_eq(e.readies, 1);
        assert_error(vmbus_send_inband(e.channel, 0, bytes, 4096), -EMSGSIZE);
        ck_assert(vmbus_channel_is_open(e.channel));
        fake_close(ch);
        echo_teardown(g, &e);
}
END_TEST

START_TEST(tells_the_guest_when_it_made_room) {
        struct echo e;
        struct fake_guest *g = echo_setup(&e, VMBUS_VERSION_5_3);
        struct fake_channel *ch = fake_open(g, &g->offers[1], 3, 3);
        static uint8_t bytes[4096];
        fake_ring_set(&ch->up, VMBUS_RING_PENDING_SEND_SIZE, 4120);
        e.keep = true;
        while (fake_send_inband(ch, 0, bytes, 1000)) {
        }
        ck_assert_uint_eq(g->signals[1], 0);
        fake_run(g);
        ck_assert_uint_eq(g->signals[1], 1);
        fake_close(ch);
        echo_teardown(g, &e);
}
END_TEST

static uint64_t cpu_ns(void) {
        struct rusage u;
        getrusage(RUSAGE_SELF, &u);
        return (uint64_t)u.ru_utime.tv_sec * CLOCK_NS_PER_SEC + (uint64_t)u.ru_utime.tv_usec * 1000;
}

/* Negative test 3 in short: one guest feeds garbage as fast as it can re-open; each piece costs one
 * failed channel, and the bus serves its other channels as before. */
START_TEST(garbage_costs_its_own_channel_only) {
        struct fake_guest *g = fake_guest_new(1);
        struct echo e[2] = {0};
        static struct fake_packet p;
        unsigned seed = 1, failures = 0, rounds = 2000;
        echo_offer(g, &e[0], 0);
        echo_offer(g, &e[1], 1);
        fake_connect(g, VMBUS_VERSION_5_3);
        e[0].keep = true;
        struct fake_channel *bad = fake_open(g, &g->offers[1], 2, 2);
        struct fake_channel *good = fake_open(g, &g->offers[2], 2, 2);
        uint64_t before = cpu_ns();
        for (unsigned i = 0; i < rounds; i++) {
                uint8_t junk[64];
                for (size_t k = 0; k < sizeof junk; k++)
                        junk[k] = (uint8_t)(rand_r(&seed) >> (i % 2 ? 8 : 12));
                fake_write_raw(&bad->up, junk, sizeof junk, rand_r(&seed) % 128 * 8);
                if (i % 3 == 0)
                        fake_ring_set(&bad->up, rand_r(&seed) % 4 * 4, (uint32_t)rand_r(&seed));
                fake_ring_doorbell(bad);
                ck_assert(fake_send_inband(good, i, "x", 1));
                fake_run(g);
                ck_assert(fake_receive(good, &p));
                ck_assert_uint_eq(p.transaction, i);
                if (!vmbus_channel_is_open(e[0].channel)) {
                        failures++;
                        fake_tell_relid(g, VMBUS_MSG_CLOSE, 1);
                        fake_rings_init(bad);
                        ck_assert_uint_eq(fake_try_open(bad, 0, NULL), 0);
                }
        }
        ck_assert_uint_gt(failures, rounds / 10);
        ck_assert_uint_eq(g->problems, failures);
        ck_assert_uint_eq(e[0].closes, failures);
        /* Generous: under a sanitizer as well, it is far from a spin. */
        ck_assert_uint_lt(cpu_ns() - before, 10 * CLOCK_NS_PER_SEC);
        fake_close(good);
        fake_close(bad);
        fake_guest_free(g);
}
END_TEST

TEST_MAIN("packet", sends_each_kind_of_packet, receives_each_kind_of_packet,
        is_told_when_the_guest_made_room, tells_the_guest_when_it_made_room,
        garbage_costs_its_own_channel_only)
