// SPDX-License-Identifier: MIT
#include "vmm/acpi.h"
#include "../test.h"
#include "vmm/layout.h"
#include "vmm/vmm.h"
#include "wire/le.h"

static uint8_t memory[LAYOUT_ACPI_SIZE];

static void build(uint32_t vps, uint64_t *rsdp) {
        struct gmem *gm;
        assert_ok(gmem_new(2 << 20, &gm));
        assert_ok(gmem_add(gm, 0, 2 << 20));
        assert_ok(acpi_write_tables(gm, vps, rsdp));
        assert_ok(gmem_read(gm, LAYOUT_ACPI, memory, sizeof memory));
        gmem_free(gm);
}

static uint8_t sum(const uint8_t *p, size_t n) {
        uint8_t s = 0;
        while (n-- > 0)
                s = (uint8_t)(s + *p++);
        return s;
}

static uint64_t get(const uint8_t *p, size_t size) {
        uint64_t v = 0;
        while (size-- > 0)
                v = v << 8 | p[size];
        return v;
}

/* The table at an address, with its checksum and bounds checked. */
static const uint8_t *table(uint64_t address, const char *signature, size_t *ret_size) {
        ck_assert(address >= LAYOUT_ACPI && address + 36 <= LAYOUT_ACPI + sizeof memory);
        const uint8_t *p = memory + (address - LAYOUT_ACPI);
        size_t size = get(p + 4, 4);
        ck_assert_mem_eq(p, signature, 4);
        ck_assert_uint_le(address + size, LAYOUT_ACPI + sizeof memory);
        if (memcmp(signature, "FACS", 4) != 0)
                ck_assert_uint_eq(sum(p, size), 0);
        *ret_size = size;
        return p;
}

static const uint8_t *root_entry(unsigned i, const char *signature, size_t *ret_size) {
        size_t size;
        const uint8_t *xsdt = table(get(memory + 24, 8), "XSDT", &size);
        ck_assert_uint_eq(size, 36 + 2 * 8);
        return table(get(xsdt + 36 + 8 * i, 8), signature, ret_size);
}

START_TEST(the_root_is_found_and_summed_up) {
        uint64_t rsdp = 0;
        build(1, &rsdp);
        ck_assert_uint_eq(rsdp, LAYOUT_ACPI);
        ck_assert_mem_eq(memory, "RSD PTR ", 8);
        ck_assert_uint_eq(sum(memory, 20), 0);
        ck_assert_uint_eq(sum(memory, 36), 0);
}
END_TEST

START_TEST(the_fadt_names_our_registers) {
        uint64_t rsdp;
        size_t size;
        build(1, &rsdp);
        const uint8_t *fadt = root_entry(0, "FACP", &size);
        ck_assert_uint_eq(size, 276);
        ck_assert_uint_eq(get(fadt + 46, 2), GSI_SCI);
        ck_assert_uint_eq(get(fadt + 56, 4), PORT_PM1_EVENT);
        ck_assert_uint_eq(get(fadt + 64, 4), PORT_PM1_CONTROL);
        ck_assert_uint_eq(get(fadt + 76, 4), PORT_PM_TIMER);
        ck_assert_uint_eq(fadt[88], 4);
        ck_assert_uint_eq(fadt[89], 2);
        ck_assert_uint_eq(fadt[91], 4);
        ck_assert_uint_eq(fadt[108], 0x32);
        ck_assert_uint_eq(get(fadt + 109, 2) & 2, 0);        /* no keyboard controller */
        ck_assert_uint_eq(get(fadt + 112, 4) & 1u << 20, 0); /* not reduced hardware */
        ck_assert_uint_eq(get(fadt + 112, 4) & 1u << 4, 0);  /* power button: fixed */
        ck_assert_uint_eq(fadt[116], 1);
        ck_assert_uint_eq(get(fadt + 120, 8), PORT_RESET);
        ck_assert_uint_eq(fadt[128], 6);
        ck_assert_uint_eq(get(fadt + 152, 8), PORT_PM1_EVENT);
        ck_assert_uint_eq(get(fadt + 176, 8), PORT_PM1_CONTROL);
        ck_assert_uint_eq(get(fadt + 212, 8), PORT_PM_TIMER);
        table(get(fadt + 132, 8), "FACS", &size);
        ck_assert_uint_eq(size, 64);
        ck_assert_uint_eq(get(fadt + 132, 8) % 64, 0);
        table(get(fadt + 140, 8), "DSDT", &size);
        ck_assert_uint_eq(get(fadt + 40, 4), get(fadt + 140, 8));
}
END_TEST

START_TEST(the_madt_lists_every_processor) {
        uint64_t rsdp;
        size_t size;
        build(VMM_VPS_MAX, &rsdp);
        const uint8_t *madt = root_entry(1, "APIC", &size), *p = madt + 44;
        ck_assert_uint_eq(get(madt + 36, 4), LAYOUT_LAPIC);
        unsigned counts[8] = {0};
        for (; p < madt + size; p += p[1]) {
                ck_assert_uint_gt(p[1], 0);
                ck_assert_uint_lt(p[0], 8);
                if (p[0] == 0)
                        ck_assert_uint_eq(p[3], counts[0]);
                if (p[0] == 1)
                        ck_assert_uint_eq(get(p + 4, 4), LAYOUT_IOAPIC);
                counts[p[0]]++;
        }
        ck_assert_ptr_eq(p, madt + size);
        ck_assert_uint_eq(counts[0], VMM_VPS_MAX);
        ck_assert_uint_eq(counts[1], 1);
        ck_assert_uint_eq(counts[2], 1);
        ck_assert_uint_eq(counts[4], 1);
}
END_TEST

static bool contains(const uint8_t *p, size_t n, const void *what, size_t m) {
        return memmem(p, n, what, m) != NULL;
}

START_TEST(the_dsdt_has_vmbus_and_no_hibernation) {
        uint64_t rsdp;
        size_t size;
        build(1, &rsdp);
        const uint8_t *fadt = root_entry(0, "FACP", &size);
        const uint8_t *dsdt = table(get(fadt + 140, 8), "DSDT", &size);
        ck_assert(contains(dsdt, size, "_HID\rVMBUS", 11));
        ck_assert(contains(dsdt, size, "_HID\rACPI0004", 14));
        ck_assert(contains(dsdt, size, "_S5_", 4));
        ck_assert(!contains(dsdt, size, "_S4_", 4));
        /* DWordMemory: minimum, maximum, translation, length as in layout.h */
        const le32 range[] = {le32_make((uint32_t)LAYOUT_VMBUS_MMIO),
                le32_make((uint32_t)(LAYOUT_VMBUS_MMIO + LAYOUT_VMBUS_SIZE - 1)), le32_make(0),
                le32_make((uint32_t)LAYOUT_VMBUS_SIZE)};
        ck_assert(contains(dsdt, size, range, sizeof range));
}
END_TEST

TEST_MAIN("acpi", the_root_is_found_and_summed_up, the_fadt_names_our_registers,
        the_madt_lists_every_processor, the_dsdt_has_vmbus_and_no_hibernation)
