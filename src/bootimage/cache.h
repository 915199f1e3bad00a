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
/* An unnamed file in the directory. */
_warn_unused_ int cache_create(int dir_fd, int *ret, struct error *e);
/* Gives it its name; another process that was faster is fine. */
_warn_unused_ int cache_publish(int dir_fd, int fd, const char *name, struct error *e);
