// SPDX-License-Identifier: MIT
#include "vmm/acpi.h"
#include <assert.h>
#include <errno.h>
#include <string.h>
#include "base/wr.h"
#include "vmm/acpi-pm.h"
#include "vmm/layout.h"
#include "vmm/rtc.h"
#include "vmm/vmm.h"

static
#include "vmm/dsdt.hex" /* unsigned char dsdt_aml_code[], made from dsdt.asl */

        enum { HEADER_SIZE = 36,
                HEADER_LENGTH = 4,
                HEADER_CHECKSUM = 9 };
enum { TABLES_SIZE = 4096, TABLE_ALIGNMENT = 64 };
static_assert(TABLES_SIZE <= LAYOUT_ACPI_SIZE, "the tables fit");

/* FADT. */
enum { BOOT_NO_VGA = 1 << 2, BOOT_NO_ASPM = 1 << 4 }; /* and bit 1 clear: no 8042 */
enum {
        FLAG_WBINVD = 1 << 0,
        FLAG_C1 = 1 << 2,
        FLAG_NO_SLEEP_BUTTON = 1 << 5,
        FLAG_TIMER_32BIT = 1 << 8,
        FLAG_RESET = 1 << 10
};
enum { SPACE_IO = 1 };
/* MADT. */
enum { LAPIC_ENABLED = 1, OVERRIDE_LEVEL_HIGH = 0x0d };

static uint8_t checksum(const uint8_t *data, size_t size) {
        uint8_t sum = 0;
        for (size_t i = 0; i < size; i++)
                sum = (uint8_t)(sum + data[i]);
        return (uint8_t)-sum;
}

/* Tables are appended one after another; a table's address is its offset plus LAYOUT_ACPI. */
static size_t table_begin(struct wr *wr, const char *signature, uint8_t revision) {
        wr_pad(wr, TABLE_ALIGNMENT);
        size_t at = wr->size;
        wr_bytes(wr, signature, 4);
        wr_le32(wr, 0); /* length */
        wr_u8(wr, revision);
        wr_u8(wr, 0); /* checksum */
        wr_bytes(wr, "SANDBR", 6);
        wr_bytes(wr, "SANDBAR ", 8);
        wr_le32(wr, 1);
        wr_bytes(wr, "SBAR", 4);
        wr_le32(wr, 1);
        return at;
}

static void table_end(struct wr *wr, size_t at) {
        if (wr_error(wr) < 0)
                return;
        wr_patch_le32(wr, at + HEADER_LENGTH, (uint32_t)(wr->size - at));
        wr->data[at + HEADER_CHECKSUM] = checksum(wr->data + at, wr->size - at);
}

static uint64_t address_of(size_t at) {
        return LAYOUT_ACPI + at;
}

static void generic_address(struct wr *wr, uint8_t bits, uint8_t access, uint64_t port) {
        wr_u8(wr, port ? SPACE_IO : 0);
        wr_u8(wr, bits);
        wr_u8(wr, 0);
        wr_u8(wr, access);
        wr_le64(wr, port);
}

static size_t write_facs(struct wr *wr) {
        wr_pad(wr, TABLE_ALIGNMENT);
        size_t at = wr->size;
        wr_bytes(wr, "FACS", 4);
        wr_le32(wr, 64);
        wr_zero(wr, 24);
        wr_u8(wr, 2); /* version */
        wr_zero(wr, 31);
        return at;
}

static size_t write_fadt(struct wr *wr, size_t facs, size_t dsdt) {
        size_t at = table_begin(wr, "FACP", 6);
        wr_le32(wr, (uint32_t)address_of(facs));
        wr_le32(wr, (uint32_t)address_of(dsdt));
        wr_u8(wr, 0);
        wr_u8(wr, 0); /* preferred profile: unspecified */
        wr_le16(wr, GSI_SCI);
        wr_le32(wr, 0); /* no SMI command port: ACPI is on */
        wr_zero(wr, 4);
        wr_le32(wr, PORT_PM1_EVENT);
        wr_le32(wr, 0);
        wr_le32(wr, PORT_PM1_CONTROL);
        wr_le32(wr, 0);
        wr_le32(wr, 0);
        wr_le32(wr, PORT_PM_TIMER);
        wr_le32(wr, 0); /* no GPE blocks */
        wr_le32(wr, 0);
        wr_u8(wr, 4); /* lengths: PM1 event, PM1 control, PM2, timer, GPE0, GPE1, base */
        wr_u8(wr, 2);
        wr_u8(wr, 0);
        wr_u8(wr, 4);
        wr_zero(wr, 3);
        wr_u8(wr, 0);
        wr_le16(wr, 0xfff); /* C2, C3 latencies: not supported */
        wr_le16(wr, 0xfff);
        wr_zero(wr, 4);
        wr_zero(wr, 2);
        wr_u8(wr, 0); /* no day and month alarms */
        wr_u8(wr, 0);
        wr_u8(wr, RTC_CENTURY);
        wr_le16(wr, BOOT_NO_VGA | BOOT_NO_ASPM);
        wr_u8(wr, 0);
        wr_le32(wr, FLAG_WBINVD | FLAG_C1 | FLAG_NO_SLEEP_BUTTON | FLAG_TIMER_32BIT | FLAG_RESET);
        generic_address(wr, 8, 1, PORT_RESET);
        wr_u8(wr, ACPI_PM_RESET_VALUE);
        wr_zero(wr, 2);
        wr_u8(wr, 4); /* minor version: 6.4 */
        wr_le64(wr, address_of(facs));
        wr_le64(wr, address_of(dsdt));
        generic_address(wr, 32, 2, PORT_PM1_EVENT);
        generic_address(wr, 0, 0, 0);
        generic_address(wr, 16, 2, PORT_PM1_CONTROL);
        generic_address(wr, 0, 0, 0);
        generic_address(wr, 0, 0, 0);
        generic_address(wr, 32, 3, PORT_PM_TIMER);
        generic_address(wr, 0, 0, 0);
        generic_address(wr, 0, 0, 0);
        generic_address(wr, 0, 0, 0); /* sleep control and status: reduced hardware only */
        generic_address(wr, 0, 0, 0);
        wr_le64(wr, 0); /* hypervisor vendor */
        table_end(wr, at);
        return at;
}

static size_t write_madt(struct wr *wr, uint32_t vps) {
        size_t at = table_begin(wr, "APIC", 5);
        wr_le32(wr, LAYOUT_LAPIC);
        wr_le32(wr, 0); /* no 8259 */
        for (uint32_t i = 0; i < vps; i++) {
                wr_u8(wr, 0); /* local APIC */
                wr_u8(wr, 8);
                wr_u8(wr, (uint8_t)i);
                wr_u8(wr, (uint8_t)i);
                wr_le32(wr, LAPIC_ENABLED);
        }
        wr_u8(wr, 1); /* I/O APIC */
        wr_u8(wr, 12);
        wr_u8(wr, 0);
        wr_u8(wr, 0);
        wr_le32(wr, LAYOUT_IOAPIC);
        wr_le32(wr, 0);
        wr_u8(wr, 2); /* the SCI is level-triggered, active high */
        wr_u8(wr, 10);
        wr_u8(wr, 0);
        wr_u8(wr, GSI_SCI);
        wr_le32(wr, GSI_SCI);
        wr_le16(wr, OVERRIDE_LEVEL_HIGH);
        wr_u8(wr, 4); /* NMI on LINT1 of every processor */
        wr_u8(wr, 6);
        wr_u8(wr, 0xff);
        wr_le16(wr, 0);
        wr_u8(wr, 1);
        table_end(wr, at);
        return at;
}

static size_t write_xsdt(struct wr *wr, size_t fadt, size_t madt) {
        size_t at = table_begin(wr, "XSDT", 1);
        wr_le64(wr, address_of(fadt));
        wr_le64(wr, address_of(madt));
        table_end(wr, at);
        return at;
}

/* The RSDP stands first; its place was left empty. */
static void write_rsdp(uint8_t *tables, size_t xsdt) {
        enum { SIZE_V1 = 20, SIZE = 36 };
        struct wr wr = wr_make(tables, SIZE);
        wr_bytes(&wr, "RSD PTR ", 8);
        wr_u8(&wr, 0);
        wr_bytes(&wr, "SANDBR", 6);
        wr_u8(&wr, 2);
        wr_le32(&wr, 0); /* no RSDT */
        wr_le32(&wr, SIZE);
        wr_le64(&wr, address_of(xsdt));
        wr_u8(&wr, 0);
        wr_zero(&wr, 3);
        tables[8] = checksum(tables, SIZE_V1);
        tables[32] = checksum(tables, SIZE);
}

int acpi_write_tables(struct gmem *gm, uint32_t vps, uint64_t *ret_rsdp) {
        uint8_t tables[TABLES_SIZE] = {0};
        struct wr wr = wr_make(tables, sizeof tables);

        wr_zero(&wr, TABLE_ALIGNMENT); /* the RSDP's place */
        size_t facs = write_facs(&wr);
        wr_pad(&wr, TABLE_ALIGNMENT);
        size_t dsdt = wr.size;
        wr_bytes(&wr, dsdt_aml_code, sizeof dsdt_aml_code);
        size_t fadt = write_fadt(&wr, facs, dsdt);
        size_t madt = write_madt(&wr, vps);
        size_t xsdt = write_xsdt(&wr, fadt, madt);
        int r = wr_error(&wr);
        if (r < 0)
                return r;
        write_rsdp(tables, xsdt);
        r = gmem_write(gm, LAYOUT_ACPI, tables, sizeof tables);
        if (r < 0)
                return r;
        *ret_rsdp = LAYOUT_ACPI;
        return 0;
}
