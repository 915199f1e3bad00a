// SPDX-License-Identifier: MIT
/* Where things stand in guest physical memory and in the port space. */
#pragma once
#include <stdint.h>

/* RAM fills [0, LAYOUT_LOW_END) and goes on at LAYOUT_HIGH. */
#define LAYOUT_LOW_END 0xc0000000ull
#define LAYOUT_HIGH    0x100000000ull

/* For the VMBus devices that ask for memory-mapped space (DSDT). */
#define LAYOUT_VMBUS_MMIO  0xe0000000ull
#define LAYOUT_VMBUS_SIZE  0x1ec00000ull
#define LAYOUT_IOAPIC      0xfec00000ull
#define LAYOUT_IOAPIC_SIZE 0x1000ull
#define LAYOUT_LAPIC       0xfee00000ull
/* KVM's own pages for real mode: one of page tables, then three of a task state. No guest memory;
 * e820 reserves them. */
#define LAYOUT_IDENTITY_MAP  0xfffbc000ull
#define LAYOUT_TSS           0xfffbd000ull
#define LAYOUT_KVM_HOLE_SIZE 0x4000ull

/* Below 1 MiB: what boot.c leaves for the kernel's entry, then the ACPI tables. */
#define LAYOUT_GDT         0x500ull
#define LAYOUT_BOOT_PARAMS 0x7000ull
#define LAYOUT_PAGE_TABLES 0x9000ull /* six pages: PML4, PDPT, four PDs */
#define LAYOUT_CMDLINE     0x20000ull
#define LAYOUT_LOW_RAM_END 0x9fc00ull
#define LAYOUT_ACPI        0xe0000ull
#define LAYOUT_ACPI_SIZE   0x10000ull
#define LAYOUT_KERNEL_MIN  0x100000ull
/* Where a Linux kernel without a setup header may have its initrd at the most. */
#define LAYOUT_INITRD_MAX 0x7fffffffull

/* Ports. */
enum {
        PORT_RTC = 0x70,
        PORT_KEYBOARD = 0x60,
        PORT_COM1 = 0x3f8,
        PORT_PM1_EVENT = 0x600,
        PORT_PM1_CONTROL = 0x604,
        PORT_PM_TIMER = 0x608,
        PORT_PCI = 0xcf8,
        PORT_RESET = 0xcf9, /* within PCI's */
};

/* Interrupt lines of the I/O APIC. */
enum { GSI_COM1 = 4, GSI_SCI = 9 };
