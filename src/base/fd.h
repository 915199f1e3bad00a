// SPDX-License-Identifier: MIT
/* Descriptors: whole reads and writes, pairs, flags. All descriptors made here are CLOEXEC. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/cleanup.h"

/* Closes fd unless it is negative and returns -1: `fd = fd_close(fd)`. */
int fd_close(int fd);
/* Reads until n bytes or the end; returns the count read or negative errno. */
_warn_unused_ ssize_t fd_read_full(int fd, void *buf, size_t n);
_warn_unused_ ssize_t fd_pread_full(int fd, void *buf, size_t n, uint64_t offset);
/* Writes all n bytes: 0 or negative errno. */
_warn_unused_ int fd_write_full(int fd, const void *buf, size_t n);
_warn_unused_ int fd_set_nonblock(int fd, bool on);
/* A connected pair of AF_UNIX stream sockets. */
_warn_unused_ int fd_socketpair(int type, int ret[2]);
/* A memfd of the given size. */
_warn_unused_ int fd_memfd(const char *name, uint64_t size, int *ret);
/* Raises RLIMIT_NOFILE to its hard limit; a worker with 2,047 channels needs as many doorbells. */
_warn_unused_ int fd_raise_limit(void);
/* Reads the whole file (at most max bytes, else -EFBIG) into malloc'ed memory with a NUL behind. */
_warn_unused_ int fd_read_file(int fd, size_t max, char **ret, size_t *ret_size);
