// SPDX-License-Identifier: MIT
/* The loader of ELF64 kernels. */
#pragma once
#include <stdint.h>
#include "base/cleanup.h"
#include "base/error.h"
#include "gmem/gmem.h"

enum { BOOT_SEGMENTS_MAX = 32 };

/* Copies the PT_LOAD segments of the file to their physical addresses. *ret_entry: where to begin;
 * *ret_end: the first address past them. */
_warn_unused_ int boot_elf(
        struct gmem *gm, int fd, struct error *e, uint64_t *ret_entry, uint64_t *ret_end);
