// SPDX-License-Identifier: MIT
/* The ACPI tables (ACPI 6.4, chapter 5): RSDP, XSDT, FADT, FACS, MADT, DSDT. Pure over guest
 * memory. */
#pragma once
#include <stdint.h>
#include "base/cleanup.h"
#include "gmem/gmem.h"

/* Writes the tables for `vps` processors at LAYOUT_ACPI; *ret_rsdp is where the search begins. */
_warn_unused_ int acpi_write_tables(struct gmem *gm, uint32_t vps, uint64_t *ret_rsdp);
