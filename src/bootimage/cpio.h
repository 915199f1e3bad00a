// SPDX-License-Identifier: MIT
/* The newc cpio format that the kernel unpacks (Documentation/driver-api/early-userspace/
 * buffer-format.rst). Times are 0 and inodes count up, so equal input gives equal bytes. */
#pragma once
#include <stdint.h>
#include "base/wr.h"

struct cpio_entry {
        const char *path;
        uint32_t mode;
        uint32_t major, minor; /* devices */
        const void *data;
        size_t size;
};

void cpio_add(struct wr *out, uint32_t inode, const struct cpio_entry *entry);
void cpio_end(struct wr *out);
