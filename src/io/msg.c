// SPDX-License-Identifier: MIT
#include "io/msg.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include "base/fault.h"
#include "base/fd.h"

union control {
        char bytes[CMSG_SPACE(sizeof(int) * IO_MSG_FDS_MAX)];
        struct cmsghdr align;
};

void io_msg_close_fds(int *fds, size_t n) {
        for (size_t i = 0; i < n; i++)
                fds[i] = fd_close(fds[i]);
}

int io_msg_dup_fds(const int *fds, size_t n, int *ret) {
        for (size_t i = 0; i < n; i++) {
                ret[i] = fault_hit(FAULT_FD) ? (errno = EMFILE, -1)
                                             : fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
                if (ret[i] < 0) {
                        int r = -errno;
                        io_msg_close_fds(ret, i);
                        return r;
                }
        }
        return 0;
}

/* The control buffer holds IO_MSG_FDS_MAX descriptors and not one more, so n never passes it. */
static size_t take_fds(struct msghdr *m, int *ret) {
        size_t n = 0;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                        continue;
                size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                memcpy(ret + n, CMSG_DATA(c), count * sizeof(int));
                n += count;
        }
        return n;
}

ssize_t io_msg_receive(
        int fd, void *data, size_t n, int ret_fds[IO_MSG_FDS_MAX], size_t *ret_n_fds) {
        union control control;
        struct iovec iov = {.iov_base = data, .iov_len = n};
        struct msghdr m = {.msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof control};
        if (fault_hit(FAULT_IO))
                return -EIO;
        ssize_t got;
        do {
                got = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        } while (got < 0 && errno == EINTR);
        if (got < 0)
                return errno == ECONNRESET ? 0 : -errno;
        *ret_n_fds = take_fds(&m, ret_fds);
        if (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
                io_msg_close_fds(ret_fds, *ret_n_fds);
                *ret_n_fds = 0;
                return -EMSGSIZE;
        }
        return got;
}

ssize_t io_msg_send(int fd, const void *data, size_t n, const int *fds, size_t n_fds) {
        union control control = {0};
        union {
                const void *in;
                void *out;
        } base = {.in = data};
        struct iovec iov = {.iov_base = base.out, .iov_len = n};
        struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
        if (n_fds > 0) {
                m.msg_control = &control;
                m.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
                struct cmsghdr *c = CMSG_FIRSTHDR(&m);
                c->cmsg_level = SOL_SOCKET;
                c->cmsg_type = SCM_RIGHTS;
                c->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
                memcpy(CMSG_DATA(c), fds, sizeof(int) * n_fds);
        }
        if (fault_hit(FAULT_IO))
                return -EIO;
        ssize_t sent;
        do {
                sent = sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
        } while (sent < 0 && errno == EINTR);
        if (sent < 0)
                return errno == ECONNRESET || errno == ENOTCONN ? -EPIPE : -errno;
        return sent;
}
