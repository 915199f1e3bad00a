// SPDX-License-Identifier: MIT
/* Files that can be made again, named by the BLAKE2b hash of what they were made from. Written
 * beside and renamed into place, so that a name is either absent or whole. */
#pragma once
#include <stddef.h>
#include "base/cleanup.h"
#include "base/error.h"

enum { CACHE_NAME_MAX = 96 };

/* "prefix-<64 hex digits>" for the bytes. */
_warn_unused_ int cache_name(
        const char *prefix, const void *data, size_t size, char ret[CACHE_NAME_MAX]);
/* A file that is being made; not there for others until cache_publish(). */
struct cache_file {
        int dir_fd, fd;
        char name[CACHE_NAME_MAX]; /* "tmp-…" */
};

/* Overlay file systems know no unnamed files, so it has a name of its own from the start. */
_warn_unused_ int cache_create(int dir_fd, struct cache_file *ret, struct error *e);
/* Gives it its name; another process that was faster made the same bytes. */
_warn_unused_ int cache_publish(struct cache_file *file, const char *name, struct error *e);
/* Closes it, and removes it unless it was published. Accepts CACHE_FILE_NONE. */
void cache_file_done(struct cache_file *file);
#define CACHE_FILE_NONE ((struct cache_file){.dir_fd = -1, .fd = -1})
