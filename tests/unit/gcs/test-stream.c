// SPDX-License-Identifier: MIT
#include "../test.h"
#include <stdio.h>
#include <sys/socket.h>
#include "base/fault.h"
#include "base/fd.h"
#include "gcs/stream.h"

enum { SMALL_MAX = 256 };

struct peer {
        struct io_loop *loop;
        struct gcs_stream *stream;
        int fd; /* the other end */
        unsigned messages, closed;
        int closed_r, verdict;
        bool free_in_message;
        uint32_t type;
        uint64_t id;
        size_t size;
        char body[1 << 16];
};

static int on_message(void *ctx, uint32_t type, uint64_t id, const char *body, size_t size) {
        struct peer *peer = ctx;
        peer->messages++;
        peer->type = type;
        peer->id = id;
        peer->size = size;
        memcpy(peer->body, body, size);
        if (peer->free_in_message)
                peer->stream = gcs_stream_free(peer->stream);
        return peer->verdict;
}

static void on_closed(void *ctx, int r) {
        struct peer *peer = ctx;
        peer->closed++;
        peer->closed_r = r;
        peer->stream = gcs_stream_free(peer->stream);
}

static const struct gcs_stream_ops ops = {.message = on_message, .closed = on_closed};
static struct peer peer;

static void setup(size_t receive_max) {
        int pair[2];
        peer = (struct peer){0};
        assert_ok(io_loop_new(&peer.loop));
        assert_ok(fd_socketpair(SOCK_STREAM, pair));
        peer.fd = pair[1];
        assert_ok(gcs_stream_new(peer.loop, pair[0], receive_max, &ops, &peer, &peer.stream));
}

static void teardown(void) {
        gcs_stream_free(peer.stream);
        io_loop_free(peer.loop);
        fd_close(peer.fd);
}

static void turn(void) {
        for (int i = 0; i < 10; i++)
                assert_ok(io_loop_once(peer.loop, 0));
}

static void put(uint32_t type, uint32_t size, uint64_t id, const char *body, size_t n) {
        struct gcs_header h = {le32_make(type), le32_make(size), le64_make(id)};
        assert_ok(fd_write_full(peer.fd, &h, sizeof h));
        assert_ok(fd_write_full(peer.fd, body, n));
}

START_TEST(hands_out_messages_however_they_are_cut) {
        setup(SMALL_MAX);
        uint8_t wire[2 * sizeof(struct gcs_header) + 3];
        struct gcs_header h = {le32_make(1), le32_make(sizeof h + 3), le64_make(2)};
        memcpy(wire, &h, sizeof h);
        memcpy(wire + sizeof h, "abc", 3);
        h = (struct gcs_header){le32_make(3), le32_make(sizeof h), le64_make(UINT64_MAX)};
        memcpy(wire + sizeof h + 3, &h, sizeof h);
        for (size_t cut = 1; cut < sizeof wire; cut++) {
                unsigned before = peer.messages;
                assert_ok(fd_write_full(peer.fd, wire, cut));
                turn();
                assert_ok(fd_write_full(peer.fd, wire + cut, sizeof wire - cut));
                turn();
                ck_assert_uint_eq(peer.messages, before + 2);
                ck_assert_uint_eq(peer.type, 3);
                ck_assert_uint_eq(peer.id, UINT64_MAX);
                ck_assert_uint_eq(peer.size, 0);
        }
        teardown();
}
END_TEST

START_TEST(takes_a_message_at_the_limit_and_none_above) {
        static char body[1 << 16];
        setup(GCS_FROM_GUEST_MAX);
        put(1, GCS_FROM_GUEST_MAX, 2, body, GCS_FROM_GUEST_MAX - sizeof(struct gcs_header));
        turn();
        ck_assert_uint_eq(peer.messages, 1);
        ck_assert_uint_eq(peer.size, GCS_FROM_GUEST_MAX - sizeof(struct gcs_header));
        /* The size alone decides: nothing of the body is awaited. */
        put(1, GCS_FROM_GUEST_MAX + 1, 2, body, 0);
        turn();
        ck_assert_uint_eq(peer.closed, 1);
        ck_assert_int_eq(peer.closed_r, -EBADMSG);
        teardown();
}
END_TEST

START_TEST(refuses_sizes_that_cannot_be) {
        static const uint32_t sizes[] = {0, 1, sizeof(struct gcs_header) - 1, SMALL_MAX + 1,
                0x7fffffff, 0x80000000, UINT32_MAX};
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
                setup(SMALL_MAX);
                put(1, sizes[i], 2, "", 0);
                turn();
                ck_assert_uint_eq(peer.messages, 0);
                ck_assert_int_eq(peer.closed_r, -EBADMSG);
                teardown();
        }
}
END_TEST

START_TEST(tells_an_end_between_messages_from_one_within) {
        setup(SMALL_MAX);
        put(1, sizeof(struct gcs_header) + 1, 2, "x", 1);
        shutdown(peer.fd, SHUT_WR);
        turn();
        ck_assert_uint_eq(peer.messages, 1);
        ck_assert_uint_eq(peer.closed, 1);
        ck_assert_int_eq(peer.closed_r, 0);
        teardown();
        setup(SMALL_MAX);
        put(1, sizeof(struct gcs_header) + 2, 2, "x", 1);
        shutdown(peer.fd, SHUT_WR);
        turn();
        ck_assert_int_eq(peer.closed_r, -EBADMSG);
        teardown();
}
END_TEST

START_TEST(closes_when_the_owner_is_appalled) {
        setup(SMALL_MAX);
        peer.verdict = -EPROTO;
        put(1, sizeof(struct gcs_header), 2, "", 0);
        put(1, sizeof(struct gcs_header), 2, "", 0);
        turn();
        ck_assert_uint_eq(peer.messages, 1);
        ck_assert_int_eq(peer.closed_r, -EPROTO);
        teardown();
}
END_TEST

START_TEST(may_be_freed_within_a_message) {
        setup(SMALL_MAX);
        peer.free_in_message = true;
        put(1, sizeof(struct gcs_header), 2, "", 0);
        put(1, sizeof(struct gcs_header), 2, "", 0);
        turn();
        ck_assert_uint_eq(peer.messages, 1);
        ck_assert_uint_eq(peer.closed, 0);
        teardown();
}
END_TEST

START_TEST(queues_what_the_peer_does_not_take_up_to_a_limit) {
        static char body[1 << 20], got[1 << 16];
        setup(SMALL_MAX);
        unsigned sent = 0;
        int r;
        while ((r = gcs_stream_send(peer.stream, 1, sent, body, sizeof body - 16)) == 0)
                sent++;
        assert_error(r, -ENOBUFS);
        ck_assert_uint_ge(sent, GCS_QUEUE_MAX >> 20);
        ck_assert_uint_le(sent, (GCS_QUEUE_MAX >> 20) + 1);
        /* The refused one left no trace: all else arrives whole. */
        size_t total = 0;
        ssize_t n;
        while (total < (size_t)sent << 20) {
                turn();
                n = recv(peer.fd, got, sizeof got, MSG_DONTWAIT);
                ck_assert_int_gt(n, 0);
                total += (size_t)n;
        }
        turn();
        assert_error((int)recv(peer.fd, got, sizeof got, MSG_DONTWAIT), -1);
        assert_ok(gcs_stream_send(peer.stream, 1, 2, "x", 1));
        turn();
        ck_assert_int_eq((int)recv(peer.fd, got, sizeof got, MSG_DONTWAIT), 17);
        teardown();
}
END_TEST

START_TEST(says_so_when_the_peer_is_gone) {
        setup(SMALL_MAX);
        peer.fd = fd_close(peer.fd);
        assert_error(gcs_stream_send(peer.stream, 1, 2, "", 0), -EPIPE);
        turn();
        ck_assert_uint_eq(peer.closed, 1);
        teardown();
}
END_TEST

START_TEST(sweep_of_failed_allocations) {
        for (unsigned n = 1;; n++) {
                int pair[2];
                struct gcs_stream *stream = NULL;
                peer = (struct peer){0};
                assert_ok(io_loop_new(&peer.loop));
                assert_ok(fd_socketpair(SOCK_STREAM, pair));
                peer.fd = pair[1];
                fault_arm(FAULT_ALLOC, n);
                int r = gcs_stream_new(peer.loop, pair[0], SMALL_MAX, &ops, &peer, &stream);
                peer.stream = stream;
                if (r == 0) {
                        put(1, sizeof(struct gcs_header), 2, "", 0);
                        turn();
                        ck_assert_uint_eq(peer.messages + peer.closed, 1);
                }
                bool fired = fault_fired(FAULT_ALLOC);
                fault_arm(FAULT_ALLOC, 0);
                teardown();
                if (!fired)
                        break;
                ck_assert(r == -ENOMEM || peer.closed_r == -ENOMEM);
        }
}
END_TEST

TEST_MAIN("stream", hands_out_messages_however_they_are_cut,
        takes_a_message_at_the_limit_and_none_above, refuses_sizes_that_cannot_be,
        tells_an_end_between_messages_from_one_within, closes_when_the_owner_is_appalled,
        may_be_freed_within_a_message, queues_what_the_peer_does_not_take_up_to_a_limit,
        says_so_when_the_peer_is_gone, sweep_of_failed_allocations)
