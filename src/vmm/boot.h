// SPDX-License-Identifier: MIT
/* Fills RAM for the 64-bit Linux boot protocol: kernel segments, command line, initrd, zero page,
 * page tables and GDT. Pure over guest memory. */
#pragma once
#include <linux/kvm.h>
#include <stdint.h>
#include "base/cleanup.h"
#include "base/error.h"
#include "gmem/gmem.h"

struct boot {
        int kernel_fd;
        int initrd_fd;       /* -1: none */
        const char *cmdline; /* at most VMM_CMDLINE_MAX with NUL */
        uint64_t rsdp;
};

/* Loads everything into gm, whose RAM reads as zero; *ret_entry is where VP 0 begins. */
_warn_unused_ int boot_load(
        struct gmem *gm, const struct boot *boot, struct error *e, uint64_t *ret_entry);
/* The registers of VP 0 at that entry: long mode, flat segments, the page tables of boot_load(). */
void boot_registers(uint64_t entry, struct kvm_regs *regs, struct kvm_sregs *sregs);
