// SPDX-License-Identifier: MIT
/* recvmsg() and sendmsg() with descriptors, for chan.c and line.c. */
#pragma once
#include <stddef.h>
#include <sys/types.h>
#include "base/cleanup.h"

enum { IO_MSG_FDS_MAX = 8 };

/* One recvmsg() without waiting: the count of bytes (0 at the end) or negative errno, -EAGAIN when
 * there is nothing. A datagram larger than n, or more than IO_MSG_FDS_MAX descriptors, is
 * -EMSGSIZE, and nothing of it is kept. */
_warn_unused_ ssize_t io_msg_receive(
        int fd, void *data, size_t n, int ret_fds[IO_MSG_FDS_MAX], size_t *ret_n_fds);
/* One sendmsg() without waiting: the count of bytes or negative errno, -EPIPE for every way in
 * which the peer can be gone. */
_warn_unused_ ssize_t io_msg_send(int fd, const void *data, size_t n, const int *fds, size_t n_fds);
/* Duplicates all or none. */
_warn_unused_ int io_msg_dup_fds(const int *fds, size_t n, int *ret);
void io_msg_close_fds(int *fds, size_t n);
