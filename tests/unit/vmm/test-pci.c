// SPDX-License-Identifier: MIT
#include "../test.h"
#include "vmm/pci.h"

static uint64_t last_reset;

static uint64_t reset_read(
        void *device _unused_, uint64_t offset _unused_, unsigned size _unused_) {
        return 0x42;
}

static void reset_write(
        void *device _unused_, uint64_t offset _unused_, unsigned size _unused_, uint64_t value) {
        last_reset = value;
}

static const struct bus_ops reset_ops = {.read = reset_read, .write = reset_write};

static uint32_t config(struct pci *pci, uint32_t address) {
        pci_bus_ops.write(pci, 0, 4, address);
        return (uint32_t)pci_bus_ops.read(pci, 4, 4);
}

START_TEST(a_kernel_that_probes_mechanism_1_finds_it) {
        struct pci pci;
        pci_init(&pci, &reset_ops, NULL);
        pci_bus_ops.write(&pci, 3, 1, 1);
        pci_bus_ops.write(&pci, 0, 4, 0x80000000);
        ck_assert_uint_eq(pci_bus_ops.read(&pci, 0, 4), 0x80000000);
}
END_TEST

START_TEST(there_is_a_host_bridge_and_nothing_else) {
        struct pci pci;
        pci_init(&pci, &reset_ops, NULL);
        ck_assert_uint_eq(config(&pci, 0x80000000), 0x12378086);
        ck_assert_uint_eq(config(&pci, 0x80000008) >> 16, 0x0600);
        ck_assert_uint_eq(pci_bus_ops.read(&pci, 6, 2) & 0xffff, 0x0600);
        ck_assert_uint_eq(config(&pci, 0x8000003c), 0);
        for (uint32_t function = 1; function < 0x10000; function++)
                ck_assert_uint_eq(config(&pci, 0x80000000 | function << 8), UINT32_MAX);
        ck_assert_uint_eq(config(&pci, 0), UINT32_MAX); /* not enabled */
}
END_TEST

START_TEST(the_reset_register_among_the_ports_is_another_devices) {
        struct pci pci;
        pci_init(&pci, &reset_ops, NULL);
        ck_assert_uint_eq(pci_bus_ops.read(&pci, 1, 1), 0x42);
        pci_bus_ops.write(&pci, 1, 1, 6);
        ck_assert_uint_eq(last_reset, 6);
        ck_assert_uint_eq(pci.address, 0);
}
END_TEST

START_TEST(is_saved_and_restored) {
        struct pci pci, other;
        struct wr wr = wr_new(100);
        pci_init(&pci, &reset_ops, NULL);
        pci_init(&other, &reset_ops, NULL);
        config(&pci, 0x80000008);
        pci_save(&pci, &wr);
        struct rd rd = rd_make(wr.data, wr.size);
        assert_ok(pci_restore(&other, &rd));
        ck_assert_uint_eq(other.address, 0x80000008);
        wr.data[wr.size - 4] = 1; /* a bit that no write sets */
        rd = rd_make(wr.data, wr.size);
        assert_error(pci_restore(&other, &rd), -EBADMSG);
        wr_done(&wr);
}
END_TEST

TEST_MAIN("pci", a_kernel_that_probes_mechanism_1_finds_it, there_is_a_host_bridge_and_nothing_else,
        the_reset_register_among_the_ports_is_another_devices, is_saved_and_restored)
