// SPDX-License-Identifier: MIT
#include "../test.h"
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include "base/fault.h"
#include "base/fd.h"
#include "io/msg.h"

static int pair[2];

static unsigned open_fds(void) {
        unsigned n = 0;
        for (int fd = 0; fd < 256; fd++)
                n += fcntl(fd, F_GETFD) >= 0;
        return n;
}

START_TEST(carries_as_many_descriptors_as_it_says) {
        assert_ok(fd_socketpair(SOCK_SEQPACKET, pair));
        int fds[IO_MSG_FDS_MAX], got[IO_MSG_FDS_MAX];
        for (int i = 0; i < IO_MSG_FDS_MAX; i++)
                fds[i] = eventfd((unsigned)i, EFD_CLOEXEC);
        ck_assert_int_eq(io_msg_send(pair[0], "abc", 3, fds, IO_MSG_FDS_MAX), 3);
        char data[8];
        size_t n = 0;
        ck_assert_int_eq(io_msg_receive(pair[1], data, sizeof data, got, &n), 3);
        ck_assert_uint_eq(n, IO_MSG_FDS_MAX);
        for (int i = 0; i < IO_MSG_FDS_MAX; i++) {
                ck_assert_int_eq(fcntl(got[i], F_GETFD), FD_CLOEXEC);
                uint64_t v;
                if (i > 0) {
                        ck_assert_int_eq(read(got[i], &v, 8), 8);
                        ck_assert_uint_eq(v, (unsigned)i);
                }
        }
        io_msg_close_fds(got, n);
        io_msg_close_fds(fds, IO_MSG_FDS_MAX);
        close(pair[0]);
        close(pair[1]);
}
END_TEST

/* What a peer with its own code may send. */
static void send_raw(const char *text, size_t size, int n_fds) {
        char control[CMSG_SPACE(64 * sizeof(int))] = {0};
        struct iovec iov = {.iov_base = strdup(text), .iov_len = size};
        struct msghdr m = {.msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = control,
                .msg_controllen = CMSG_SPACE((size_t)n_fds * sizeof(int))};
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN((size_t)n_fds * sizeof(int));
        for (int i = 0; i < n_fds; i++)
                memcpy(CMSG_DATA(c) + (size_t)i * sizeof(int), &pair[0], sizeof(int));
        ck_assert_int_eq(sendmsg(pair[0], &m, 0), (int)size);
        free(iov.iov_base);
}

START_TEST(refuses_a_flood_of_descriptors_and_keeps_none) {
        assert_ok(fd_socketpair(SOCK_SEQPACKET, pair));
        unsigned before = open_fds();
        char data[8];
        int got[IO_MSG_FDS_MAX];
        size_t n = 99;
        send_raw("x", 1, IO_MSG_FDS_MAX + 1);
        ck_assert_int_eq(io_msg_receive(pair[1], data, sizeof data, got, &n), -EMSGSIZE);
        ck_assert_uint_eq(n, 0);
        ck_assert_uint_eq(open_fds(), before);
        send_raw("x", 1, 60);
        ck_assert_int_eq(io_msg_receive(pair[1], data, sizeof data, got, &n), -EMSGSIZE);
        ck_assert_uint_eq(open_fds(), before);
        send_raw("x", 1, IO_MSG_FDS_MAX);
        ck_assert_int_eq(io_msg_receive(pair[1], data, sizeof data, got, &n), 1);
        ck_assert_uint_eq(n, IO_MSG_FDS_MAX);
        io_msg_close_fds(got, n);
        close(pair[0]);
        close(pair[1]);
}
END_TEST

START_TEST(refuses_a_datagram_that_does_not_fit) {
        assert_ok(fd_socketpair(SOCK_SEQPACKET, pair));
        char data[4];
        int got[IO_MSG_FDS_MAX];
        size_t n;
        unsigned before = open_fds();
        send_raw("12345", 5, 1);
        ck_assert_int_eq(io_msg_receive(pair[1], data, sizeof data, got, &n), -EMSGSIZE);
        ck_assert_uint_eq(open_fds(), before);
        ck_assert_int_eq(io_msg_receive(pair[1], data, sizeof data, got, &n), -EAGAIN);
        close(pair[0]);
        ck_assert_int_eq(io_msg_receive(pair[1], data, sizeof data, got, &n), 0);
        ck_assert_int_eq(io_msg_send(pair[1], "x", 1, NULL, 0), -EPIPE);
        close(pair[1]);
}
END_TEST

START_TEST(duplicates_all_or_none) {
        int fds[3] = {0, 1, 2}, copies[3];
        for (unsigned n = 1; n <= 4; n++) {
                unsigned before = open_fds();
                fault_arm(FAULT_FD, n);
                int r = io_msg_dup_fds(fds, 3, copies);
                fault_arm(FAULT_FD, 0);
                if (n <= 3) {
                        assert_error(r, -EMFILE);
                } else {
                        assert_ok(r);
                        io_msg_close_fds(copies, 3);
                        ck_assert_int_eq(copies[2], -1);
                }
                ck_assert_uint_eq(open_fds(), before);
        }
}
END_TEST

TEST_MAIN("msg", carries_as_many_descriptors_as_it_says,
        refuses_a_flood_of_descriptors_and_keeps_none, refuses_a_datagram_that_does_not_fit,
        duplicates_all_or_none)
