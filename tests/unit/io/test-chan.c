// SPDX-License-Identifier: MIT
#include "../test.h"
#include <fcntl.h>
#include <sys/socket.h>
#include "base/fault.h"
#include "base/fd.h"
#include "io/chan.h"
#include "io/msg.h"

struct end {
        struct io_chan *chan;
        char last[64];
        size_t last_size;
        unsigned messages, closed;
        uint64_t bytes;
        int closed_r, answer;
        size_t fds;
        bool free_on_message, free_on_closed;
};

static struct io_loop *loop;
static struct end ends[2];

static int on_message(void *ctx, const void *data, size_t size, int *fds, size_t n_fds) {
        struct end *end = ctx;
        end->messages++;
        end->bytes += size;
        end->fds += n_fds;
        end->last_size = size;
        memcpy(end->last, data, size < sizeof end->last ? size : sizeof end->last);
        io_msg_close_fds(fds, n_fds);
        if (end->free_on_message)
                end->chan = io_chan_free(end->chan);
        return end->answer;
}

static void on_closed(void *ctx, int r) {
        struct end *end = ctx;
        end->closed++;
        end->closed_r = r;
        if (end->free_on_closed)
                end->chan = io_chan_free(end->chan);
}

static const struct io_chan_ops ops = {.message = on_message, .closed = on_closed};

static void connect_pair(void) {
        int pair[2];
        memset(ends, 0, sizeof ends);
        assert_ok(io_loop_new(&loop));
        assert_ok(fd_socketpair(SOCK_SEQPACKET, pair));
        for (int i = 0; i < 2; i++)
                assert_ok(io_chan_new(loop, pair[i], &ops, &ends[i], &ends[i].chan));
}

static void disconnect(void) {
        io_chan_free(ends[0].chan);
        io_chan_free(ends[1].chan);
        io_loop_free(loop);
}

static void turn(int n) {
        for (int i = 0; i < n; i++)
                assert_ok(io_loop_once(loop, 0));
}

START_TEST(messages_keep_their_boundaries_and_order) {
        connect_pair();
        for (unsigned i = 0; i < 100; i++)
                assert_ok(io_chan_send(ends[0].chan, &i, sizeof i, NULL, 0));
        while (ends[1].messages < 100)
                turn(1);
        unsigned last;
        memcpy(&last, ends[1].last, sizeof last);
        ck_assert_uint_eq(last, 99);
        ck_assert_uint_eq(ends[1].bytes, 100 * sizeof last);
        disconnect();
}
END_TEST

START_TEST(carries_the_largest_message_and_no_larger) {
        connect_pair();
        static char large[IO_CHAN_MESSAGE_MAX + 1];
        assert_ok(io_chan_send(ends[0].chan, large, IO_CHAN_MESSAGE_MAX, NULL, 0));
        turn(3);
        ck_assert_uint_eq(ends[1].last_size, IO_CHAN_MESSAGE_MAX);
        assert_error(io_chan_send(ends[0].chan, large, sizeof large, NULL, 0), -EMSGSIZE);
        assert_error(io_chan_send(ends[0].chan, large, 0, NULL, 0), -EINVAL);
        int fds[IO_CHAN_FDS_MAX + 1] = {0};
        assert_error(io_chan_send(ends[0].chan, large, 1, fds, IO_CHAN_FDS_MAX + 1), -EMSGSIZE);
        assert_ok(io_chan_send(ends[0].chan, large, 1, fds, IO_CHAN_FDS_MAX));
        turn(2);
        ck_assert_uint_eq(ends[1].fds, IO_CHAN_FDS_MAX);
        disconnect();
}
END_TEST

START_TEST(queues_what_the_socket_does_not_take_and_bounds_it) {
        connect_pair();
        static char block[64 * 1024];
        unsigned sent = 0;
        int r;
        while ((r = io_chan_send(ends[0].chan, block, sizeof block, NULL, 0)) == 0)
                ck_assert_uint_lt(++sent, 1000);
        assert_error(r, -ENOBUFS);
        ck_assert_uint_ge(sent, IO_CHAN_QUEUE_MAX / sizeof block);
        ck_assert(!io_chan_idle(ends[0].chan));
        for (int i = 0; i < 1000 && ends[1].messages < sent; i++)
                turn(1);
        ck_assert_uint_eq(ends[1].messages, sent);
        ck_assert(io_chan_idle(ends[0].chan));
        disconnect();
}
END_TEST

START_TEST(what_a_peer_said_before_it_left_is_heard) {
        connect_pair();
        assert_ok(io_chan_send(ends[0].chan, "last words", 10, NULL, 0));
        ends[0].chan = io_chan_free(ends[0].chan);
        turn(3);
        ck_assert_uint_eq(ends[1].messages, 1);
        ck_assert_uint_eq(ends[1].closed, 1);
        ck_assert_int_eq(ends[1].closed_r, 0);
        assert_error(io_chan_send(ends[1].chan, "x", 1, NULL, 0), -EPIPE);
        turn(3);
        ck_assert_uint_eq(ends[1].closed, 1);
        disconnect();
}
END_TEST

START_TEST(may_be_freed_in_its_callbacks) {
        connect_pair();
        ends[1].free_on_message = true;
        assert_ok(io_chan_send(ends[0].chan, "a", 1, NULL, 0));
        assert_ok(io_chan_send(ends[0].chan, "b", 1, NULL, 0));
        ends[0].free_on_closed = true;
        turn(4);
        ck_assert_uint_eq(ends[1].messages, 1);
        ck_assert_uint_eq(ends[1].closed, 0);
        ck_assert_uint_eq(ends[0].closed, 1);
        ck_assert_ptr_null(ends[0].chan);
        disconnect();
}
END_TEST

START_TEST(a_refused_message_closes_the_channel) {
        connect_pair();
        ends[1].answer = -EPROTO;
        assert_ok(io_chan_send(ends[0].chan, "a", 1, NULL, 0));
        assert_ok(io_chan_send(ends[0].chan, "b", 1, NULL, 0));
        turn(4);
        ck_assert_uint_eq(ends[1].messages, 1);
        ck_assert_uint_eq(ends[1].closed, 1);
        ck_assert_int_eq(ends[1].closed_r, -EPROTO);
        ck_assert_uint_eq(ends[0].closed, 1);
        disconnect();
}
END_TEST

START_TEST(sweep_of_faults_keeps_no_descriptor) {
        static const enum fault_kind kinds[] = {FAULT_ALLOC, FAULT_FD};
        for (int k = 0; k < 2; k++)
                for (unsigned n = 1;; n++) {
                        int pair[2];
                        struct io_chan *chan = (void *)0x1;
                        assert_ok(io_loop_new(&loop));
                        assert_ok(fd_socketpair(SOCK_SEQPACKET, pair));
                        fault_arm(kinds[k], n);
                        int r = io_chan_new(loop, pair[0], &ops, &ends[0], &chan);
                        bool fired = fault_fired(kinds[k]);
                        fault_arm(kinds[k], 0);
                        if (fired) {
                                ck_assert_int_lt(r, 0);
                                ck_assert_ptr_eq(chan, (void *)0x1);
                        } else {
                                io_chan_free(chan);
                        }
                        char c;
                        ck_assert_int_eq(recv(pair[1], &c, 1, MSG_DONTWAIT), 0);
                        close(pair[1]);
                        io_loop_free(loop);
                        if (!fired)
                                break;
                }
}
END_TEST

TEST_MAIN("chan", messages_keep_their_boundaries_and_order,
        carries_the_largest_message_and_no_larger,
        queues_what_the_socket_does_not_take_and_bounds_it,
        what_a_peer_said_before_it_left_is_heard, may_be_freed_in_its_callbacks,
        a_refused_message_closes_the_channel, sweep_of_faults_keeps_no_descriptor)
