// SPDX-License-Identifier: MIT
#include "vmm/ioapic.h"
#include "../test.h"

static struct {
        unsigned delivered, changed;
        struct ioapic_msi last;
} seen;

static void deliver(_unused_ void *ctx, struct ioapic_msi msi) {
        seen.delivered++;
        seen.last = msi;
}

static void levels_changed(_unused_ void *ctx) {
        seen.changed++;
}

static const struct ioapic_ops ops = {deliver, levels_changed};

static void reg_write(struct ioapic *io, uint8_t index, uint32_t value) {
        ioapic_bus_ops.write(io, 0, 4, index);
        ioapic_bus_ops.write(io, 0x10, 4, value);
}

static uint32_t reg_read(struct ioapic *io, uint8_t index) {
        ioapic_bus_ops.write(io, 0, 4, index);
        return (uint32_t)ioapic_bus_ops.read(io, 0x10, 4);
}

static void route(struct ioapic *io, unsigned pin, uint32_t low, uint8_t destination) {
        reg_write(io, (uint8_t)(0x11 + 2 * pin), (uint32_t)destination << 24);
        reg_write(io, (uint8_t)(0x10 + 2 * pin), low);
}

static struct ioapic fresh(void) {
        struct ioapic io;
        memset(&seen, 0, sizeof seen);
        ioapic_init(&io, &ops, NULL);
        return io;
}

enum { LEVEL = 0x8000, MASKED = 0x10000, REMOTE_IRR = 0x4000 };

START_TEST(starts_with_every_line_masked) {
        struct ioapic io = fresh();
        ck_assert_uint_eq(reg_read(&io, 1), 0x20 | 23 << 16);
        for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
                ck_assert_uint_eq(reg_read(&io, (uint8_t)(0x10 + 2 * pin)), MASKED);
                ioapic_set_line(&io, pin, true);
        }
        ck_assert_uint_eq(seen.delivered, 0);
}
END_TEST

START_TEST(an_edge_is_one_message) {
        struct ioapic io = fresh();
        route(&io, 4, 0x31, 2);
        ioapic_set_line(&io, 4, true);
        ioapic_set_line(&io, 4, true);
        ck_assert_uint_eq(seen.delivered, 1);
        ck_assert_uint_eq(seen.last.address, 0xfee02000);
        ck_assert_uint_eq(seen.last.data, 0x31);
        ioapic_set_line(&io, 4, false);
        ioapic_set_line(&io, 4, true);
        ck_assert_uint_eq(seen.delivered, 2);
        ck_assert_uint_eq(seen.changed, 0);
}
END_TEST

START_TEST(an_edge_while_masked_is_lost) {
        struct ioapic io = fresh();
        route(&io, 4, 0x31 | MASKED, 0);
        ioapic_set_line(&io, 4, true);
        route(&io, 4, 0x31, 0);
        ck_assert_uint_eq(seen.delivered, 0);
}
END_TEST

START_TEST(a_level_is_repeated_until_it_falls) {
        struct ioapic io = fresh();
        route(&io, 9, 0x41 | LEVEL, 0);
        ck_assert_uint_gt(seen.changed, 0);
        ioapic_set_line(&io, 9, true);
        ioapic_set_line(&io, 9, true);
        ck_assert_uint_eq(seen.delivered, 1);
        ck_assert_uint_eq(seen.last.data, 0x41 | 0xc000);
        ck_assert(reg_read(&io, 0x10 + 18) & REMOTE_IRR);
        ioapic_eoi(&io, 0x42);
        ck_assert_uint_eq(seen.delivered, 1);
        ioapic_eoi(&io, 0x41);
        ck_assert_uint_eq(seen.delivered, 2);
        ioapic_set_line(&io, 9, false);
        ioapic_bus_ops.write(&io, 0x40, 4, 0x41);
        ck_assert_uint_eq(seen.delivered, 2);
        ck_assert(!(reg_read(&io, 0x10 + 18) & REMOTE_IRR));
}
END_TEST

START_TEST(a_level_that_waited_behind_the_mask_is_delivered) {
        struct ioapic io = fresh();
        route(&io, 9, 0x41 | LEVEL | MASKED, 0);
        ioapic_set_line(&io, 9, true);
        ck_assert_uint_eq(seen.delivered, 0);
        route(&io, 9, 0x41 | LEVEL, 0);
        ck_assert_uint_eq(seen.delivered, 1);
}
END_TEST

START_TEST(the_guest_cannot_write_read_only_bits) {
        struct ioapic io = fresh();
        route(&io, 3, 0xffffffff, 0xff);
        uint32_t low = reg_read(&io, 0x16);
        ck_assert(!(low & REMOTE_IRR) && !(low & 1 << 12));
        ck_assert_uint_eq(reg_read(&io, 0x17), 0xff000000);
        reg_write(&io, 0, 0xffffffff);
        ck_assert_uint_eq(reg_read(&io, 0), 0x0f000000);
}
END_TEST

START_TEST(what_lies_past_the_table_reads_zero) {
        struct ioapic io = fresh();
        reg_write(&io, 0x40, 0xff);
        ck_assert_uint_eq(reg_read(&io, 0x40), 0);
        ck_assert_uint_eq(reg_read(&io, 0xff), 0);
        ck_assert_uint_eq(reg_read(&io, 5), 0);
        ck_assert_uint_eq(ioapic_bus_ops.read(&io, 0x20, 4), 0);
        ioapic_set_line(&io, IOAPIC_PINS, true);
}
END_TEST

START_TEST(tells_its_level_routes) {
        struct ioapic io = fresh();
        struct ioapic_msi msi;
        route(&io, 9, 0x41 | LEVEL, 1);
        route(&io, 4, 0x31, 1);
        ck_assert(ioapic_level_route(&io, 9, &msi));
        ck_assert_uint_eq(msi.address, 0xfee01000);
        ck_assert(!ioapic_level_route(&io, 4, &msi));
        ck_assert(!ioapic_level_route(&io, IOAPIC_PINS, &msi));
}
END_TEST

START_TEST(comes_back_from_its_saved_form) {
        struct ioapic io = fresh(), back = io;
        uint8_t a[512], b[512];
        struct wr wa = wr_make(a, sizeof a), wb = wr_make(b, sizeof b);
        route(&io, 9, 0x41 | LEVEL, 3);
        ioapic_set_line(&io, 9, true);
        ioapic_save(&io, &wa);
        struct rd rd = rd_make(a, wa.size);
        unsigned delivered = seen.delivered;
        assert_ok(ioapic_restore(&back, &rd));
        assert_ok(rd_end(&rd));
        ck_assert_uint_eq(seen.delivered, delivered);
        ioapic_save(&back, &wb);
        ck_assert_uint_eq(wa.size, wb.size);
        ck_assert_mem_eq(a, b, wa.size);
        for (size_t i = 0; i < wa.size; i++) {
                rd = rd_make(a, i);
                assert_error(ioapic_restore(&back, &rd), -EBADMSG);
        }
        a[12 + 2] = 2; /* a line that is neither high nor low */
        rd = rd_make(a, wa.size);
        assert_error(ioapic_restore(&back, &rd), -EBADMSG);
}
END_TEST

TEST_MAIN("ioapic", starts_with_every_line_masked, an_edge_is_one_message,
        an_edge_while_masked_is_lost, a_level_is_repeated_until_it_falls,
        a_level_that_waited_behind_the_mask_is_delivered, the_guest_cannot_write_read_only_bits,
        what_lies_past_the_table_reads_zero, tells_its_level_routes, comes_back_from_its_saved_form)
