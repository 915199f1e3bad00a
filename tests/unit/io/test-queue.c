// SPDX-License-Identifier: MIT
#include "../test.h"
#include <fcntl.h>
#include <sys/socket.h>
#include "base/fault.h"
#include "base/fd.h"
#include "io/queue.h"

enum { LIMIT = 4000, PIECE = 1000 };
static char piece[PIECE];

static void fill(int fd) {
        while (send(fd, piece, sizeof piece, MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
                ;
}

static size_t drain(int fd) {
        char buf[4096];
        size_t total = 0;
        ssize_t n;
        while ((n = recv(fd, buf, sizeof buf, MSG_DONTWAIT)) > 0)
                total += (size_t)n;
        return total;
}

START_TEST(holds_back_up_to_its_limit_and_not_one_byte_more) {
        int pair[2];
        assert_ok(fd_socketpair(SOCK_SEQPACKET, pair));
        fill(pair[0]);
        struct io_queue q;
        io_queue_init(&q, LIMIT);
        ck_assert(io_queue_empty(&q));
        for (int i = 0; i < LIMIT / PIECE; i++)
                assert_ok(io_queue_send(&q, pair[0], piece, PIECE, NULL, 0));
        assert_error(io_queue_send(&q, pair[0], piece, 1, NULL, 0), -ENOBUFS);
        ck_assert(!io_queue_empty(&q));
        drain(pair[1]);
        assert_ok(io_queue_flush(&q, pair[0]));
        ck_assert(io_queue_empty(&q));
        ck_assert_uint_eq(drain(pair[1]), LIMIT);
        assert_ok(io_queue_send(&q, pair[0], piece, PIECE, NULL, 0));
        ck_assert(io_queue_empty(&q));
        ck_assert_uint_eq(drain(pair[1]), PIECE);
        close(pair[1]);
        assert_error(io_queue_send(&q, pair[0], piece, PIECE, NULL, 0), -EPIPE);
        close(pair[0]);
}
END_TEST

START_TEST(keeps_descriptors_open_until_they_are_sent) {
        int pair[2], pipes[2];
        assert_ok(fd_socketpair(SOCK_SEQPACKET, pair));
        ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
        fill(pair[0]);
        struct io_queue q;
        io_queue_init(&q, LIMIT);
        assert_ok(io_queue_send(&q, pair[0], piece, 1, &pipes[1], 1));
        close(pipes[1]);
        drain(pair[1]);
        assert_ok(io_queue_flush(&q, pair[0]));
        int fds[IO_MSG_FDS_MAX];
        size_t n_fds = 0;
        char buf[8];
        ck_assert_int_eq(io_msg_receive(pair[1], buf, sizeof buf, fds, &n_fds), 1);
        ck_assert_uint_eq(n_fds, 1);
        ck_assert_int_eq(write(fds[0], "y", 1), 1);
        ck_assert_int_eq(read(pipes[0], buf, 8), 1);
        close(fds[0]);
        ck_assert_int_eq(read(pipes[0], buf, 8), 0); /* no copy is left anywhere */
        io_queue_clear(&q);
        close(pipes[0]);
        close(pair[0]);
        close(pair[1]);
}
END_TEST

START_TEST(a_fault_queues_nothing) {
        int pair[2];
        assert_ok(fd_socketpair(SOCK_SEQPACKET, pair));
        fill(pair[0]);
        struct io_queue q;
        io_queue_init(&q, LIMIT);
        fault_arm(FAULT_ALLOC, 1);
        assert_error(io_queue_send(&q, pair[0], piece, 1, NULL, 0), -ENOMEM);
        fault_arm(FAULT_FD, 2);
        int fds[2] = {0, 1};
        assert_error(io_queue_send(&q, pair[0], piece, 1, fds, 2), -EMFILE);
        fault_arm(FAULT_FD, 0);
        ck_assert(io_queue_empty(&q));
        ck_assert_uint_eq(q.bytes, 0);
        close(pair[0]);
        close(pair[1]);
}
END_TEST

TEST_MAIN("queue", holds_back_up_to_its_limit_and_not_one_byte_more,
        keeps_descriptors_open_until_they_are_sent, a_fault_queues_nothing)
