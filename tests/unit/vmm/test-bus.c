// SPDX-License-Identifier: MIT
#include "vmm/bus.h"
#include "../test.h"

struct probe {
        uint64_t offset, value;
        unsigned size, reads, writes;
};

static uint64_t probe_read(void *device, uint64_t offset, unsigned size) {
        struct probe *p = device;
        p->reads++;
        p->offset = offset;
        p->size = size;
        return 0x1122334455667788;
}

static void probe_write(void *device, uint64_t offset, unsigned size, uint64_t value) {
        struct probe *p = device;
        p->writes++;
        p->offset = offset;
        p->size = size;
        p->value = value;
}

static const struct bus_ops ops = {probe_read, probe_write};

START_TEST(passes_offset_and_value_to_the_owner_of_a_range) {
        struct bus bus = {0};
        struct probe p = {0};
        assert_ok(bus_add(&bus, BUS_PIO, 0x3f8, 8, &ops, &p));
        ck_assert_uint_eq(bus_read(&bus, BUS_PIO, 0x3fd, 1), 0x1122334455667788);
        ck_assert_uint_eq(p.offset, 5);
        bus_write(&bus, BUS_PIO, 0x3fc, 4, 7);
        ck_assert_uint_eq(p.offset, 4);
        ck_assert_uint_eq(p.size, 4);
        ck_assert_uint_eq(p.value, 7);
}
END_TEST

START_TEST(reads_ones_where_nobody_is) {
        struct bus bus = {0};
        struct probe p = {0};
        assert_ok(bus_add(&bus, BUS_PIO, 0x3f8, 8, &ops, &p));
        ck_assert_uint_eq(bus_read(&bus, BUS_PIO, 0x3f7, 1), UINT64_MAX);
        ck_assert_uint_eq(bus_read(&bus, BUS_PIO, 0x400, 1), UINT64_MAX);
        ck_assert_uint_eq(bus_read(&bus, BUS_MMIO, 0x3f8, 1), UINT64_MAX);
        ck_assert_uint_eq(bus_read(&bus, BUS_PIO, 0x3ff, 2), UINT64_MAX);
        bus_write(&bus, BUS_PIO, 0x3f6, 4, 1);
        ck_assert_uint_eq(p.reads + p.writes, 0);
}
END_TEST

START_TEST(keeps_the_spaces_apart) {
        struct bus bus = {0};
        struct probe a = {0}, b = {0};
        assert_ok(bus_add(&bus, BUS_PIO, 0x1000, 4, &ops, &a));
        assert_ok(bus_add(&bus, BUS_MMIO, 0x1000, 4, &ops, &b));
        bus_read(&bus, BUS_MMIO, 0x1000, 4);
        ck_assert_uint_eq(a.reads, 0);
        ck_assert_uint_eq(b.reads, 1);
}
END_TEST

START_TEST(refuses_ranges_that_overlap_wrap_or_are_empty) {
        struct bus bus = {0};
        assert_ok(bus_add(&bus, BUS_PIO, 0x100, 0x10, &ops, NULL));
        assert_error(bus_add(&bus, BUS_PIO, 0x10f, 1, &ops, NULL), -EINVAL);
        assert_error(bus_add(&bus, BUS_PIO, 0xff, 2, &ops, NULL), -EINVAL);
        assert_error(bus_add(&bus, BUS_PIO, 0, 0x1000, &ops, NULL), -EINVAL);
        assert_error(bus_add(&bus, BUS_PIO, 0x200, 0, &ops, NULL), -EINVAL);
        assert_error(bus_add(&bus, BUS_MMIO, UINT64_MAX, 2, &ops, NULL), -EINVAL);
        assert_ok(bus_add(&bus, BUS_MMIO, UINT64_MAX, 1, &ops, NULL));
        assert_ok(bus_add(&bus, BUS_PIO, 0x110, 1, &ops, NULL));
        assert_ok(bus_add(&bus, BUS_PIO, 0xff, 1, &ops, NULL));
}
END_TEST

START_TEST(refuses_one_range_more_than_the_limit) {
        struct bus bus = {0};
        for (uint64_t i = 0; i < BUS_RANGES_MAX; i++)
                assert_ok(bus_add(&bus, BUS_PIO, i, 1, &ops, NULL));
        assert_error(bus_add(&bus, BUS_PIO, BUS_RANGES_MAX, 1, &ops, NULL), -ENOSPC);
}
END_TEST

START_TEST(claims_the_last_address_of_the_space) {
        struct bus bus = {0};
        struct probe p = {0};
        assert_ok(bus_add(&bus, BUS_MMIO, UINT64_MAX - 3, 4, &ops, &p));
        bus_read(&bus, BUS_MMIO, UINT64_MAX, 1);
        ck_assert_uint_eq(p.offset, 3);
        bus_read(&bus, BUS_MMIO, UINT64_MAX, 4);
        ck_assert_uint_eq(p.reads, 1);
}
END_TEST

TEST_MAIN("bus", passes_offset_and_value_to_the_owner_of_a_range, reads_ones_where_nobody_is,
        keeps_the_spaces_apart, refuses_ranges_that_overlap_wrap_or_are_empty,
        refuses_one_range_more_than_the_limit, claims_the_last_address_of_the_space)
