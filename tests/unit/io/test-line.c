// SPDX-License-Identifier: MIT
#include "../test.h"
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include "base/fault.h"
#include "base/fd.h"
#include "io/line.h"
#include "io/msg.h"

enum { LINES_MAX = 64 };

static struct io_loop *loop;
static struct io_line *line;
static int peer;
static struct {
        char text[LINES_MAX][32];
        size_t size[LINES_MAX], n_fds[LINES_MAX];
        uint64_t tag[LINES_MAX]; /* the counter of the first eventfd */
        unsigned n, closed;
        int closed_r, answer;
        bool free_on_line;
} got;

static int on_line(void *ctx, const char *text, size_t size, int *fds, size_t n_fds) {
        (void)ctx;
        unsigned i = got.n++ % LINES_MAX;
        ck_assert_int_eq(text[size], 0);
        got.size[i] = size;
        got.n_fds[i] = n_fds;
        snprintf(got.text[i], sizeof got.text[i], "%s", text);
        if (n_fds > 0)
                ck_assert_int_eq(read(fds[0], &got.tag[i], 8), 8);
        io_msg_close_fds(fds, n_fds);
        if (got.free_on_line)
                line = io_line_free(line);
        return got.answer;
}

static void on_closed(void *ctx, int r) {
        (void)ctx;
        got.closed++;
        got.closed_r = r;
}

static const struct io_line_ops ops = {.line = on_line, .closed = on_closed};

static void begin(void) {
        int pair[2];
        memset(&got, 0, sizeof got);
        assert_ok(io_loop_new(&loop));
        assert_ok(fd_socketpair(SOCK_STREAM, pair));
        peer = pair[1];
        assert_ok(io_line_new(loop, pair[0], &ops, NULL, &line));
}

static void end(void) {
        io_line_free(line);
        if (peer >= 0)
                close(peer);
        io_loop_free(loop);
}

static void turn(int n) {
        for (int i = 0; i < n; i++)
                assert_ok(io_loop_once(loop, 0));
}

static void say(const char *text, unsigned tag) {
        int fd = tag ? eventfd(tag, EFD_CLOEXEC) : -1;
        ck_assert_int_eq(io_msg_send(peer, text, strlen(text), &fd, tag != 0), (int)strlen(text));
        if (fd >= 0)
                close(fd);
}

START_TEST(splits_a_stream_into_lines) {
        begin();
        say("one\ntwo\n\nth", 0);
        turn(2);
        ck_assert_uint_eq(got.n, 3);
        say("ree\nrest", 0);
        turn(2);
        ck_assert_uint_eq(got.n, 4);
        ck_assert_str_eq(got.text[0], "one");
        ck_assert_str_eq(got.text[1], "two");
        ck_assert_uint_eq(got.size[2], 0);
        ck_assert_str_eq(got.text[3], "three");
        close(peer);
        peer = -1;
        turn(2);
        ck_assert_uint_eq(got.n, 4); /* what has no newline is dropped */
        ck_assert_uint_eq(got.closed, 1);
        ck_assert_int_eq(got.closed_r, 0);
        end();
}
END_TEST

START_TEST(takes_one_byte_at_a_time) {
        begin();
        for (const char *p = "{\"a\":1}\nb\n"; *p; p++) {
                ck_assert_int_eq(write(peer, p, 1), 1);
                turn(1);
        }
        ck_assert_uint_eq(got.n, 2);
        ck_assert_str_eq(got.text[0], "{\"a\":1}");
        ck_assert_str_eq(got.text[1], "b");
        end();
}
END_TEST

START_TEST(descriptors_go_to_the_line_that_they_came_with) {
        begin();
        say("plain\n", 0);
        say("first\n", 11);
        say("plain\n", 0);
        say("second ", 22); /* in two parts */
        turn(4);
        say("half\n", 0);
        say("plain\n", 0);
        turn(4);
        ck_assert_uint_eq(got.n, 5);
        static const struct {
                const char *text;
                size_t n_fds;
                uint64_t tag;
        } want[] = {{"plain", 0, 0}, {"first", 1, 11}, {"plain", 0, 0}, {"second half", 1, 22},
                {"plain", 0, 0}};
        for (unsigned i = 0; i < 5; i++) {
                ck_assert_str_eq(got.text[i], want[i].text);
                ck_assert_uint_eq(got.n_fds[i], want[i].n_fds);
                ck_assert_uint_eq(got.tag[i], want[i].tag);
        }
        end();
}
END_TEST

static void repeat(char c, size_t n) {
        static char block[4096];
        memset(block, c, sizeof block);
        while (n > 0 && !got.closed) {
                size_t part = n < sizeof block ? n : sizeof block;
                ssize_t r = send(peer, block, part, MSG_DONTWAIT | MSG_NOSIGNAL);
                if (r > 0)
                        n -= (size_t)r;
                turn(1);
        }
}

START_TEST(takes_the_longest_line_and_no_longer) {
        begin();
        repeat('a', IO_LINE_MAX);
        say("\n", 0);
        turn(2);
        ck_assert_uint_eq(got.n, 1);
        ck_assert_uint_eq(got.size[0], IO_LINE_MAX);
        ck_assert_uint_eq(got.closed, 0);
        repeat('b', IO_LINE_MAX + 1);
        turn(4);
        ck_assert_uint_eq(got.n, 1);
        ck_assert_uint_eq(got.closed, 1);
        ck_assert_int_eq(got.closed_r, -EMSGSIZE);
        assert_error(io_line_send(line, "x", 1, NULL, 0), -EPIPE);
        end();
}
END_TEST

START_TEST(a_flood_of_descriptors_ends_the_connection) {
        begin();
        /* Each is within the limit, but they all come before the newline. */
        for (int i = 0; i < IO_LINE_FDS_MAX; i++)
                say("a", 1);
        turn(IO_LINE_FDS_MAX + 1);
        ck_assert_uint_eq(got.closed, 0);
        say("a", 1);
        turn(2);
        ck_assert_uint_eq(got.closed, 1);
        ck_assert_int_eq(got.closed_r, -EMSGSIZE);
        end();
}
END_TEST

START_TEST(as_many_descriptors_as_it_says_fit_a_line) {
        begin();
        for (int i = 0; i < IO_LINE_FDS_MAX; i++)
                say("a", 5);
        say("\n", 0);
        turn(IO_LINE_FDS_MAX + 1);
        ck_assert_uint_eq(got.n, 1);
        ck_assert_uint_eq(got.n_fds[0], IO_LINE_FDS_MAX);
        end();
}
END_TEST

START_TEST(sends_lines_and_queues_what_does_not_fit) {
        begin();
        static char block[256 * 1024];
        memset(block, 'x', sizeof block);
        unsigned sent = 0;
        int r;
        while ((r = io_line_send(line, block, sizeof block, NULL, 0)) == 0)
                ck_assert_uint_lt(++sent, 100);
        assert_error(r, -ENOBUFS);
        assert_error(io_line_send(line, block, IO_LINE_MAX + 1, NULL, 0), -EMSGSIZE);
        static char sink[1 << 20];
        size_t lines = 0;
        for (int i = 0; i < 1000 && lines < sent; i++) {
                ssize_t n = recv(peer, sink, sizeof sink, MSG_DONTWAIT);
                for (ssize_t j = 0; j < n; j++)
                        lines += sink[j] == '\n';
                turn(1);
        }
        ck_assert_uint_eq(lines, sent);
        end();
}
END_TEST

START_TEST(sent_descriptors_arrive_with_their_first_byte) {
        begin();
        int fd = eventfd(7, EFD_CLOEXEC);
        assert_ok(io_line_send(line, "abc", 3, &fd, 1));
        close(fd);
        char c;
        int fds[IO_MSG_FDS_MAX];
        size_t n = 0;
        ck_assert_int_eq(io_msg_receive(peer, &c, 1, fds, &n), 1);
        ck_assert_uint_eq(n, 1);
        close(fds[0]);
        char rest[8];
        ck_assert_int_eq(io_msg_receive(peer, rest, sizeof rest, fds, &n), 3);
        ck_assert_int_eq(rest[2], '\n');
        ck_assert_uint_eq(n, 0);
        end();
}
END_TEST

START_TEST(may_be_freed_in_its_callback) {
        begin();
        got.free_on_line = true;
        say("a\nb\n", 3);
        turn(2);
        ck_assert_uint_eq(got.n, 1);
        ck_assert_uint_eq(got.closed, 0);
        ck_assert_ptr_null(line);
        char c;
        ck_assert_int_eq(recv(peer, &c, 1, MSG_DONTWAIT), 0);
        end();
}
END_TEST

START_TEST(a_refused_line_ends_the_connection) {
        begin();
        got.answer = -EPROTO;
        say("a\nb\n", 0);
        turn(2);
        ck_assert_uint_eq(got.n, 1);
        ck_assert_uint_eq(got.closed, 1);
        ck_assert_int_eq(got.closed_r, -EPROTO);
        end();
}
END_TEST

START_TEST(a_shutdown_is_followed_by_closed) {
        begin();
        io_line_shutdown(line);
        ck_assert_uint_eq(got.closed, 0);
        turn(2);
        ck_assert_uint_eq(got.closed, 1);
        io_line_shutdown(line);
        end();
}
END_TEST

START_TEST(sweep_of_faults_ends_in_a_closed_connection) {
        static const enum fault_kind kinds[] = {FAULT_ALLOC, FAULT_IO};
        for (int k = 0; k < 2; k++)
                for (unsigned n = 1;; n++) {
                        begin();
                        fault_arm(kinds[k], n);
                        int r = io_line_send(line, "hello", 5, NULL, 0);
                        ck_assert_int_eq(write(peer, "x\n", 2), 2);
                        turn(2);
                        bool fired = fault_fired(kinds[k]);
                        fault_arm(kinds[k], 0);
                        ck_assert(!fired || r < 0 || got.closed);
                        ck_assert(fired || got.n == 1);
                        end();
                        if (!fired)
                                break;
                }
}
END_TEST

TEST_MAIN("line", splits_a_stream_into_lines, takes_one_byte_at_a_time,
        descriptors_go_to_the_line_that_they_came_with, takes_the_longest_line_and_no_longer,
        a_flood_of_descriptors_ends_the_connection, as_many_descriptors_as_it_says_fit_a_line,
        sends_lines_and_queues_what_does_not_fit, sent_descriptors_arrive_with_their_first_byte,
        may_be_freed_in_its_callback, a_refused_line_ends_the_connection,
        a_shutdown_is_followed_by_closed, sweep_of_faults_ends_in_a_closed_connection)
