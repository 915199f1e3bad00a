// SPDX-License-Identifier: MIT
#include <unistd.h>
#include "guest.h"

static uint8_t pattern(size_t i) {
        return (uint8_t)(i * 31 + i / 251);
}

static void fill(uint8_t *buf, size_t from, size_t n) {
        for (size_t i = 0; i < n; i++)
                buf[i] = pattern(from + i);
}

static void assert_pattern(const uint8_t *buf, size_t from, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (buf[i] != pattern(from + i))
                        ck_abort_msg("byte %zu is wrong", from + i);
}

START_TEST(bytes_flow_both_ways) {
        struct hv *hv = hv_new();
        struct stream s = hv_stream(hv);
        ck_assert(guest_send(s.ch, "one", 3));
        ck_assert(guest_send(s.ch, "two", 3));
        owner_expect(hv->g, s.fd, "onetwo", 6);
        owner_write(s.fd, "three", 5);
        guest_expect(s.ch, "three", 5);
        uint8_t big[HVSOCKET_DATA_MAX];
        fill(big, 0, sizeof big);
        ck_assert(guest_send(s.ch, big, LINUX_DATA_MAX));
        owner_expect(hv->g, s.fd, big, LINUX_DATA_MAX);
        ck_assert(guest_send(s.ch, big, HVSOCKET_DATA_MAX));
        owner_expect(hv->g, s.fd, big, HVSOCKET_DATA_MAX);
        ck_assert_uint_eq(hv->problems, 0);
        fake_forget(s.ch);
        close(s.fd);
        hv = hv_free(hv);
}
END_TEST

START_TEST(a_guest_that_is_done_still_gets_its_answer) {
        struct hv *hv = hv_new();
        struct stream s = hv_stream(hv);
        ck_assert(guest_send(s.ch, "question", 8));
        guest_fin(s.ch);
        owner_expect(hv->g, s.fd, "question", 8);
        owner_expect_eof(hv->g, s.fd);
        ck_assert_uint_eq(hvsocket_connections(hv->hvs), 1);
        owner_write(s.fd, "answer", 6);
        guest_expect(s.ch, "answer", 6);
        close(s.fd);
        guest_expect_fin(s.ch);
        guest_expect_end(s.ch);
        ck_assert_uint_eq(hv->hvs->n_conns, 0);
        hv = hv_free(hv);
}
END_TEST

START_TEST(an_owner_who_is_done_still_gets_his_answer) {
        struct hv *hv = hv_new();
        struct stream s = hv_stream(hv);
        owner_write(s.fd, "question", 8);
        ck_assert_int_eq(shutdown(s.fd, SHUT_WR), 0);
        guest_expect(s.ch, "question", 8);
        guest_expect_fin(s.ch);
        fake_expect_silence(hv->g);
        ck_assert(guest_send(s.ch, "answer", 6));
        owner_expect(hv->g, s.fd, "answer", 6);
        guest_fin(s.ch);
        owner_expect_eof(hv->g, s.fd);
        guest_expect_end(s.ch);
        close(s.fd);
        hv = hv_free(hv);
}
END_TEST

START_TEST(what_a_closing_owner_wrote_arrives_before_the_end) {
        struct hv *hv = hv_new();
        struct stream s = hv_stream(hv);
        owner_write(s.fd, "last words", 10);
        close(s.fd);
        fake_run(hv->g);
        guest_expect(s.ch, "last words", 10);
        guest_expect_fin(s.ch);
        guest_expect_end(s.ch);
        hv = hv_free(hv);
}
END_TEST

/* The guest has sent what nobody reads: the owner's end is closed with bytes in it. */
START_TEST(an_owner_who_leaves_bytes_unread_ends_it_in_order) {
        struct hv *hv = hv_new();
        struct stream s = hv_stream(hv);
        ck_assert(guest_send(s.ch, "unread", 6));
        fake_run(hv->g);
        owner_write(s.fd, "bye", 3);
        close(s.fd);
        guest_expect(s.ch, "bye", 3);
        guest_expect_fin(s.ch);
        guest_expect_end(s.ch);
        ck_assert_uint_eq(hv->problems, 0);
        hv = hv_free(hv);
}
END_TEST

START_TEST(an_owner_who_reads_no_more_may_still_write) {
        struct hv *hv = hv_new();
        struct stream s = hv_stream(hv);
        static const uint8_t unwanted[LINUX_DATA_MAX];
        ck_assert_int_eq(shutdown(s.fd, SHUT_RD), 0);
        for (int i = 0; i < 100; i++) {
                ck_assert(guest_send(s.ch, unwanted, sizeof unwanted));
                fake_run(hv->g);
        }
        owner_write(s.fd, "still here", 10);
        guest_expect(s.ch, "still here", 10);
        close(s.fd);
        guest_expect_fin(s.ch);
        guest_expect_end(s.ch);
        ck_assert_uint_eq(hv->problems, 0);
        hv = hv_free(hv);
}
END_TEST

START_TEST(an_owner_who_closed_before_the_guest_opened_is_heard) {
        struct hv *hv = hv_new();
        int ours, theirs;
        hv_connect(hv, PORT);
        pair(&ours, &theirs);
        owner_write(ours, "banner", 6);
        close(ours);
        assert_error(hvsocket_accept(hv->hvs, hv->token, theirs), 0);
        struct fake_channel *ch = hv_open(hv, fake_expect_offer(hv->g), LINUX_RING_PAGES);
        guest_expect(ch, "banner", 6);
        guest_expect_fin(ch);
        guest_expect_end(ch);
        hv = hv_free(hv);
}
END_TEST

START_TEST(a_full_owner_holds_back_the_guest) {
        struct hv *hv = hv_new();
        struct stream s = hv_stream(hv);
        static uint8_t buf[1 << 16];
        size_t sent = 0, got = 0;
        unsigned refused = 0;
        /* Until neither socket nor ring takes more. */
        while (refused < 3) {
                fill(buf, sent, LINUX_DATA_MAX);
                if (guest_send(s.ch, buf, LINUX_DATA_MAX))
                        sent += LINUX_DATA_MAX, refused = 0;
                else
                        refused++;
                fake_run(hv->g);
        }
        ck_assert_uint_gt(sent, 24 * 1024);
        unsigned signals = hv->g->signals[s.ch->relid];
        while (got < sent) {
                ssize_t n = recv(s.fd, buf, sizeof buf, 0);
                ck_assert_int_gt(n, 0);
                assert_pattern(buf, got, (size_t)n);
                got += (size_t)n;
                fake_run(hv->g);
        }
        /* The guest waits for room of pending_send_sz and is told. */
        ck_assert_uint_gt(hv->g->signals[s.ch->relid], signals);
        ck_assert(guest_send(s.ch, "more", 4));
        owner_expect(hv->g, s.fd, "more", 4);
        fake_forget(s.ch);
        close(s.fd);
        hv = hv_free(hv);
}
END_TEST

/* The owner writes all he can, the guest reads a packet now and then. */
static void slow_guest(uint32_t pages, size_t total) {
        struct hv *hv = hv_new();
        struct stream s = hv_stream_of(hv, pages);
        static uint8_t buf[1 << 16], got_buf[HVSOCKET_DATA_MAX];
        size_t sent = 0, got = 0;
        while (got < total) {
                size_t want = total - sent < sizeof buf ? total - sent : sizeof buf;
                fill(buf, sent, want);
                ssize_t n = want > 0 ? send(s.fd, buf, want, MSG_NOSIGNAL) : 0;
                if (n > 0)
                        sent += (size_t)n;
                if (sent == total)
                        shutdown(s.fd, SHUT_WR);
                fake_run(hv->g);
                int r = guest_receive(s.ch, got_buf);
                ck_assert_int_gt(r, 0);
                /* No crumbs while the owner has more, which a small ring makes sure of. */
                ck_assert(r >= 2040 || pages > LINUX_RING_PAGES || got + 2 * sizeof buf > total);
                assert_pattern(got_buf, got, (size_t)r);
                got += (size_t)r;
        }
        ck_assert_uint_eq(got, total);
        guest_expect_fin(s.ch);
        guest_fin(s.ch);
        guest_expect_end(s.ch);
        ck_assert_uint_eq(hv->problems, 0);
        close(s.fd);
        hv = hv_free(hv);
}

START_TEST(a_slow_guest_holds_back_the_owner) {
        slow_guest(LINUX_RING_PAGES, 1 << 20);
}
END_TEST

START_TEST(a_large_ring_is_used) {
        slow_guest(65, 2 << 20);
}
END_TEST

START_TEST(the_smallest_ring_works) {
        slow_guest(2, 300000);
}
END_TEST

/* Held by the full ring when the owner is gone already: nothing is lost, and nobody spins. */
START_TEST(a_full_ring_and_a_gone_owner_end_when_the_guest_has_read) {
        struct hv *hv = hv_new();
        struct stream s = hv_stream(hv);
        static uint8_t buf[1 << 16], got_buf[HVSOCKET_DATA_MAX];
        size_t got = 0, total = 0;
        for (;;) {
                fill(buf, total, sizeof buf);
                ssize_t n = send(s.fd, buf, sizeof buf, MSG_NOSIGNAL);
                if (n < 0)
                        break;
                total += (size_t)n;
                fake_run(hv->g);
        }
        close(s.fd);
        fake_run(hv->g);
        fake_expect_silence(hv->g);
        ck_assert_ptr_null(hv->hvs->conns.next->source);
        for (int r; (r = guest_receive(s.ch, got_buf)) != 0; fake_run(hv->g)) {
                ck_assert_int_gt(r, 0);
                assert_pattern(got_buf, got, (size_t)r);
                got += (size_t)r;
        }
        ck_assert_uint_eq(got, total);
        guest_expect_end(s.ch);
        hv = hv_free(hv);
}
END_TEST

/* More than one turn's worth behind an owner who is gone, and no descriptor to go on with. */
START_TEST(much_that_a_gone_owner_left_arrives) {
        struct hv *hv = hv_new();
        struct stream s = {.hv = hv};
        int theirs, size = 2 << 20;
        static uint8_t buf[1 << 20], got_buf[HVSOCKET_DATA_MAX];
        hv_connect(hv, PORT);
        pair(&s.fd, &theirs);
        /* Beyond the host's limit for root only; others test with what a socket takes. */
        (void)setsockopt(s.fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
        fill(buf, 0, sizeof buf);
        ssize_t total = send(s.fd, buf, sizeof buf, MSG_NOSIGNAL);
        ck_assert_int_gt(total, 0);
        close(s.fd);
        assert_error(hvsocket_accept(hv->hvs, hv->token, theirs), 0);
        s.ch = hv_open(hv, fake_expect_offer(hv->g), 400);
        fake_run(hv->g);
        ssize_t got = 0;
        for (int r; (r = guest_receive(s.ch, got_buf)) != 0; got += r) {
                ck_assert_int_gt(r, 0);
                assert_pattern(got_buf, (size_t)got, (size_t)r);
        }
        ck_assert_int_eq(got, total);
        guest_expect_end(s.ch);
        hv = hv_free(hv);
}
END_TEST

/* What a guest must not do ends its connection, and only that. */
static void assert_broken(struct stream s, int problem) {
        struct hv *hv = s.hv;
        unsigned problems = hv->problems;
        fake_run(hv->g);
        ck_assert_uint_eq(hv->problems, problems + 1);
        ck_assert_int_eq(hv->problem, problem);
        owner_expect_eof(hv->g, s.fd);
        close(s.fd);
        guest_expect_end(s.ch);
}

START_TEST(a_guest_that_breaks_the_protocol_loses_that_connection) {
        static uint8_t big[HVSOCKET_DATA_MAX + 8];
        struct hv *hv = hv_new();
        struct stream good = hv_stream(hv), s;

        /* Row 10 of the negative tests: the header claims more than the packet has. */
        static const uint32_t claims[] = {17, 4088, HVSOCKET_DATA_MAX, UINT32_MAX};
        for (size_t i = 0; i < ARRAY_SIZE(claims); i++) {
                s = hv_stream(hv);
                ck_assert(guest_send_claim(s.ch, "12345678abcdefgh", 16, claims[i]));
                assert_broken(s, -EBADMSG);
        }
        s = hv_stream(hv);
        ck_assert(guest_send(s.ch, big, HVSOCKET_DATA_MAX + 1));
        assert_broken(s, -EBADMSG);
        s = hv_stream(hv);
        ck_assert(fake_send_inband(s.ch, 0, NULL, 0));
        assert_broken(s, -EBADMSG);

        /* Data, or another FIN, after FIN. */
        s = hv_stream(hv);
        guest_fin(s.ch);
        ck_assert(guest_send(s.ch, "late", 4));
        assert_broken(s, -EPROTO);
        s = hv_stream(hv);
        guest_fin(s.ch);
        guest_fin(s.ch);
        assert_broken(s, -EPROTO);

        /* A packet of another type. */
        s = hv_stream(hv);
        const struct pipe_header fin = hvsocket_header(0);
        ck_assert(fake_send(s.ch, VMBUS_PACKET_COMPLETION, 0, 0, NULL, 0, &fin, sizeof fin));
        assert_broken(s, -EPROTO);

        ck_assert(guest_send(good.ch, "fine", 4));
        owner_expect(hv->g, good.fd, "fine", 4);
        ck_assert_uint_eq(hvsocket_connections(hv->hvs), 1);
        fake_forget(good.ch);
        close(good.fd);
        hv = hv_free(hv);
}
END_TEST

START_TEST(a_corrupt_ring_ends_the_connection) {
        struct hv *hv = hv_new();
        struct stream s = hv_stream(hv);
        fake_ring_set(&s.ch->up, VMBUS_RING_WRITE_INDEX, 0xfffffff8);
        fake_ring_doorbell(s.ch);
        owner_expect_eof(hv->g, s.fd);
        ck_assert_uint_eq(hv->g->problems, 1);
        guest_expect_end(s.ch);
        close(s.fd);

        s = hv_stream(hv);
        fake_ring_set(&s.ch->down, VMBUS_RING_READ_INDEX, 4);
        owner_write(s.fd, "x", 1);
        owner_expect_eof(hv->g, s.fd);
        guest_expect_end(s.ch);
        close(s.fd);
        hv = hv_free(hv);
}
END_TEST

START_TEST(a_channel_closed_by_the_guest_is_taken_back) {
        struct hv *hv = hv_new();
        struct stream s = hv_stream(hv);
        fake_tell_relid(hv->g, VMBUS_MSG_CLOSE, s.ch->relid);
        owner_expect_eof(hv->g, s.fd);
        ck_assert_uint_eq(fake_expect_rescind(hv->g), s.ch->relid);
        fake_release(hv->g, s.ch->relid);
        ck_assert_uint_eq(hv->hvs->n_conns, 0);
        fake_forget(s.ch);
        close(s.fd);
        hv = hv_free(hv);
}
END_TEST

START_TEST(an_owner_who_sends_to_a_closed_guest_is_cut_off) {
        struct hv *hv = hv_new();
        struct stream s = hv_stream(hv);
        static uint8_t buf[1 << 16], got[HVSOCKET_DATA_MAX];
        struct io_timer *timer = hv->hvs->conns.next->timer;
        guest_fin(s.ch);
        fake_run(hv->g);
        ck_assert(!io_timer_armed(timer));
        while (send(s.fd, buf, sizeof buf, MSG_NOSIGNAL) > 0)
                fake_run(hv->g);
        ck_assert(io_timer_armed(timer));
        ck_assert_uint_eq(hv->hvs->conns.next->watched, 0); /* a full socket is no event now */
        /* One that still reads is given time from then on. */
        io_timer_disarm(timer);
        ck_assert_int_gt(guest_receive(s.ch, got), 0);
        fake_run(hv->g);
        ck_assert(io_timer_armed(timer));
        /* All read: it may be a slow reader after all. */
        while (guest_receive(s.ch, got) > 0)
                fake_run(hv->g);
        ck_assert(!io_timer_armed(timer));
        while (send(s.fd, buf, sizeof buf, MSG_NOSIGNAL) > 0)
                fake_run(hv->g);
        ck_assert(io_timer_armed(timer));
        io_timer_arm(timer, 0, 0);
        guest_expect_end(s.ch);
        ck_assert_int_lt(send(s.fd, buf, 1, MSG_NOSIGNAL), 0);
        close(s.fd);
        hv = hv_free(hv);
}
END_TEST

START_TEST(a_failing_socket_ends_the_connection) {
        struct hv *hv = hv_new();
        struct stream s = hv_stream(hv);
        ck_assert(guest_send(s.ch, "x", 1));
        fault_arm(FAULT_IO, 1);
        assert_broken(s, -EIO);

        s = hv_stream(hv);
        owner_write(s.fd, "x", 1);
        fault_arm(FAULT_IO, 1);
        fake_run(hv->g);
        fault_arm(FAULT_IO, 0);
        ck_assert_uint_eq(hv->problems, 2);
        ck_assert_int_eq(hv->problem, -EIO);
        close(s.fd);
        guest_expect_end(s.ch);
        hv = hv_free(hv);
}
END_TEST

START_TEST(no_memory_for_what_waits_ends_the_connection) {
        struct hv *hv = hv_new();
        struct stream s = hv_stream(hv);
        static uint8_t buf[1 << 16];
        fault_arm(FAULT_ALLOC, 1);
        while (!fault_fired(FAULT_ALLOC)) {
                ck_assert_int_gt(send(s.fd, buf, sizeof buf, MSG_NOSIGNAL), 0);
                fake_run(hv->g);
        }
        ck_assert_uint_eq(hv->problems, 1);
        ck_assert_int_eq(hv->problem, -ENOMEM);
        guest_expect_end(s.ch);
        close(s.fd);

        s = hv_stream(hv);
        fault_arm(FAULT_ALLOC, 1);
        while (!fault_fired(FAULT_ALLOC)) {
                guest_send(s.ch, buf, LINUX_DATA_MAX);
                fake_run(hv->g);
        }
        fault_arm(FAULT_ALLOC, 0);
        ck_assert_uint_eq(hv->problems, 2);
        guest_expect_end(s.ch);
        close(s.fd);
        hv = hv_free(hv);
}
END_TEST

START_TEST(a_busy_connection_leaves_others_their_turn) {
        struct hv *hv = hv_new();
        struct stream busy = hv_stream_of(hv, 33), other = hv_stream(hv);
        uint8_t byte = 0;
        unsigned n = 0;
        while (guest_send(busy.ch, &byte, 1))
                n++;
        ck_assert_uint_gt(n, 1000);
        fake_ring_doorbell(busy.ch);
        ck_assert(guest_send(other.ch, "me too", 6));
        assert_ok(io_loop_once(hv->g->loop, 0));
        char got[16];
        ck_assert_int_eq(recv(other.fd, got, sizeof got, 0), 6);
        static uint8_t all[1 << 16];
        ssize_t first = recv(busy.fd, all, sizeof all, 0);
        ck_assert(first > 0 && first < 100);
        size_t total = (size_t)first;
        for (ssize_t r; total < n; total += (size_t)r) {
                fake_run(hv->g);
                r = recv(busy.fd, all, sizeof all, 0);
                ck_assert_int_gt(r, 0);
        }
        ck_assert_uint_eq(total, n);
        fake_forget(busy.ch);
        fake_forget(other.ch);
        close(busy.fd);
        close(other.fd);
        hv = hv_free(hv);
}
END_TEST

START_TEST(a_pause_loses_nothing) {
        struct hv *hv = hv_new();
        struct stream s = hv_stream(hv);
        vmbus_pause(hv->g->vmbus);
        owner_write(s.fd, "before", 6);
        ck_assert(guest_send(s.ch, "hello", 5));
        fake_run(hv->g);
        uint8_t got[HVSOCKET_DATA_MAX];
        ck_assert_int_eq(guest_receive(s.ch, got), -1);
        ck_assert_int_eq(recv(s.fd, got, sizeof got, 0), -1);
        owner_write(s.fd, "after", 5);
        vmbus_resume(hv->g->vmbus);
        owner_expect(hv->g, s.fd, "hello", 5);
        guest_expect(s.ch, "before", 6);
        guest_expect(s.ch, "after", 5);
        fake_forget(s.ch);
        close(s.fd);
        hv = hv_free(hv);
}
END_TEST

TEST_MAIN("hvsocket/pump", bytes_flow_both_ways, a_guest_that_is_done_still_gets_its_answer,
        an_owner_who_is_done_still_gets_his_answer,
        what_a_closing_owner_wrote_arrives_before_the_end,
        an_owner_who_leaves_bytes_unread_ends_it_in_order,
        an_owner_who_reads_no_more_may_still_write,
        an_owner_who_closed_before_the_guest_opened_is_heard, a_full_owner_holds_back_the_guest,
        a_slow_guest_holds_back_the_owner, a_large_ring_is_used, the_smallest_ring_works,
        a_full_ring_and_a_gone_owner_end_when_the_guest_has_read,
        much_that_a_gone_owner_left_arrives, a_guest_that_breaks_the_protocol_loses_that_connection,
        a_corrupt_ring_ends_the_connection, a_channel_closed_by_the_guest_is_taken_back,
        an_owner_who_sends_to_a_closed_guest_is_cut_off, a_failing_socket_ends_the_connection,
        no_memory_for_what_waits_ends_the_connection, a_busy_connection_leaves_others_their_turn,
        a_pause_loses_nothing)
