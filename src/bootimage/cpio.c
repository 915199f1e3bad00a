// SPDX-License-Identifier: MIT
#include "bootimage/cpio.h"
#include <stdio.h>
#include <string.h>

void cpio_add(struct wr *out, uint32_t inode, const struct cpio_entry *entry) {
        char header[111];
        size_t name_size = strlen(entry->path) + 1;
        /* magic, ino, mode, uid, gid, nlink, mtime, filesize, dev major/minor, rdev major/minor,
         * namesize, check */
        snprintf(header, sizeof header,
                "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", inode, entry->mode,
                0u, 0u, 1u, 0u, (unsigned)entry->size, 0u, 0u, entry->major, entry->minor,
                (unsigned)name_size, 0u);
        wr_bytes(out, header, sizeof header - 1);
        wr_bytes(out, entry->path, name_size);
        wr_pad(out, 4);
        wr_bytes(out, entry->data, entry->size);
        wr_pad(out, 4);
}

void cpio_end(struct wr *out) {
        cpio_add(out, 0, &(struct cpio_entry){.path = "TRAILER!!!"});
        wr_pad(out, 512);
}
