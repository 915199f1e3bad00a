// SPDX-License-Identifier: MIT
#include <unistd.h>
#include "base/state.h"
#include "guest.h"

/* The machine in another process: the same guest memory, everything else anew. Here both share a
 * guest; the old bus and module are put aside, still paused, and freed at the end. */
struct before {
        struct vmbus *vmbus;
        struct hvsocket *hvs;
        int doorbells[FAKE_CONNECTIONS];
        unsigned n_doorbells;
};

static struct wr save(struct hv *hv) {
        struct wr wr = wr_new(64 << 20);
        assert_ok(vmbus_save(hv->g->vmbus, &wr));
        assert_ok(hvsocket_save(hv->hvs, &wr));
        return wr;
}

static void set_aside(struct hv *hv, struct before *before) {
        *before = (struct before){.vmbus = hv->g->vmbus, .hvs = hv->hvs};
        memcpy(before->doorbells, hv->g->doorbells, sizeof before->doorbells);
        before->n_doorbells = hv->g->n_doorbells;
        memset(hv->g->doorbells, 0, sizeof hv->g->doorbells);
        hv->g->n_doorbells = 0;
        assert_ok(vmbus_new(hv->g->gm, hv->g->loop, &fake_host_ops, hv->g, &hv->g->vmbus));
        assert_ok(hvsocket_new(hv->g->vmbus, hv->g->loop, &hv_ops, hv, &hv->hvs));
        assert_ok(hvsocket_set_table(hv->hvs, NULL, 0, true, true));
}

/* Saves the machine, and goes on in the new one, which is left paused. */
static void move(struct hv *hv, struct before *before) {
        vmbus_pause(hv->g->vmbus);
        struct wr wr = save(hv);
        set_aside(hv, before);
        struct rd rd = rd_make(wr.data, wr.size);
        assert_error(vmbus_restore(hv->g->vmbus, &rd), 0);
        assert_error(hvsocket_restore(hv->hvs, &rd), 0);
        assert_ok(rd_end(&rd));
        struct wr again = save(hv);
        ck_assert_uint_eq(again.size, wr.size);
        ck_assert_mem_eq(again.data, wr.data, wr.size);
        wr_done(&wr);
        wr_done(&again);
}

static void drop(struct hv *hv, struct before *before) {
        struct fake_guest *g = hv->g;
        int doorbells[FAKE_CONNECTIONS];
        unsigned n = g->n_doorbells, resets = hv->resets;
        memcpy(doorbells, g->doorbells, sizeof doorbells);
        memcpy(g->doorbells, before->doorbells, sizeof doorbells);
        g->n_doorbells = before->n_doorbells;
        vmbus_free(before->vmbus);
        hvsocket_free(before->hvs);
        ck_assert_uint_eq(g->n_doorbells, 0);
        memcpy(g->doorbells, doorbells, sizeof doorbells);
        g->n_doorbells = n;
        hv->resets = resets;
}

/* A new descriptor for the next restored connection: the owner's end of it. */
static int reattach(struct hv *hv, uint32_t local_port, bool from_host) {
        struct guid service, endpoint;
        bool by_host = !from_host;
        int ours, theirs;
        ck_assert(hvsocket_detached(hv->hvs, &service, &endpoint, &by_host));
        ck_assert_int_eq(by_host, from_host);
        if (!from_host)
                ck_assert_uint_eq(guid_data1(&endpoint), local_port);
        pair(&ours, &theirs);
        assert_error(hvsocket_reattach(hv->hvs, theirs), 0);
        return ours;
}

START_TEST(bytes_in_flight_arrive_in_another_process) {
        struct hv *hv = hv_new();
        struct before before;
        struct stream s = hv_stream(hv);
        static uint8_t buf[1 << 16], got[1 << 16];
        size_t to_guest = 0, to_owner = 0;
        for (size_t i = 0; i < sizeof buf; i++)
                buf[i] = (uint8_t)(i * 7);
        /* Both ways until nothing moves: rings, our pieces and sockets are all full. */
        for (unsigned still = 0; still < 3; still++) {
                ssize_t n = send(s.fd, buf, sizeof buf, MSG_NOSIGNAL);
                if (n > 0)
                        to_guest += (size_t)n, still = 0;
                if (guest_send(s.ch, buf, LINUX_DATA_MAX))
                        to_owner += LINUX_DATA_MAX, still = 0;
                fake_run(hv->g);
        }
        ck_assert_uint_gt(hvsocket_bytes_left(&hv->hvs->conns.next->to_owner), 0);
        ck_assert_uint_gt(hvsocket_bytes_left(&hv->hvs->conns.next->to_guest), 0);
        move(hv, &before);
        /* What the owner's end has received is the owner's. */
        for (ssize_t n; (n = recv(s.fd, got, sizeof got, 0)) > 0;)
                to_owner -= (size_t)n;
        close(s.fd);
        drop(hv, &before);

        s.fd = reattach(hv, 1024, false);
        vmbus_resume(hv->g->vmbus);
        while (to_owner > 0 || to_guest > 0) {
                fake_run(hv->g);
                ssize_t n = recv(s.fd, got, sizeof got, 0);
                int r = guest_receive(s.ch, got);
                ck_assert(n > 0 || r > 0);
                to_owner -= n > 0 ? (size_t)n : 0;
                to_guest -= r > 0 ? (size_t)r : 0;
        }
        owner_write(s.fd, "next", 4);
        guest_expect(s.ch, "next", 4);
        ck_assert(guest_send(s.ch, "last", 4));
        owner_expect(hv->g, s.fd, "last", 4);
        close(s.fd);
        guest_expect_fin(s.ch);
        guest_expect_end(s.ch);
        hv = hv_free(hv);
}
END_TEST

START_TEST(a_saved_machine_may_go_on) {
        struct hv *hv = hv_new();
        struct stream s = hv_stream(hv);
        vmbus_pause(hv->g->vmbus);
        owner_write(s.fd, "to the guest", 12);
        fake_run(hv->g);
        owner_write(s.fd, "in the socket", 13);
        fake_run(hv->g);
        struct wr one = save(hv), two = save(hv);
        ck_assert_uint_eq(one.size, two.size);
        ck_assert_mem_eq(one.data, two.data, one.size);
        wr_done(&one);
        wr_done(&two);
        vmbus_resume(hv->g->vmbus);
        guest_expect(s.ch, "to the guest", 12);
        guest_expect(s.ch, "in the socket", 13);
        fake_forget(s.ch);
        close(s.fd);
        hv = hv_free(hv);
}
END_TEST

START_TEST(half_closed_connections_stay_so) {
        struct hv *hv = hv_new();
        struct before before;
        struct stream guest_done = hv_stream(hv), owner_done = hv_stream(hv);
        guest_fin(guest_done.ch);
        shutdown(owner_done.fd, SHUT_WR);
        guest_expect_fin(owner_done.ch);
        move(hv, &before);
        close(guest_done.fd);
        close(owner_done.fd);
        drop(hv, &before);
        guest_done.fd = reattach(hv, 1024, false);
        owner_done.fd = reattach(hv, 1025, false);
        vmbus_resume(hv->g->vmbus);

        owner_expect_eof(hv->g, guest_done.fd);
        owner_write(guest_done.fd, "answer", 6);
        guest_expect(guest_done.ch, "answer", 6);
        close(guest_done.fd);
        guest_expect_fin(guest_done.ch);
        guest_expect_end(guest_done.ch);

        ck_assert(guest_send(owner_done.ch, "answer", 6));
        owner_expect(hv->g, owner_done.fd, "answer", 6);
        guest_fin(owner_done.ch);
        guest_expect_end(owner_done.ch);
        close(owner_done.fd);
        hv = hv_free(hv);
}
END_TEST

START_TEST(connections_on_their_way_are_opened_afterwards) {
        struct hv *hv = hv_new();
        struct before before;
        const struct guid service = hvsocket_service_of_port(22);
        int old[2], theirs;
        hv_connect(hv, PORT);
        pair(&old[0], &theirs);
        assert_error(hvsocket_accept(hv->hvs, hv->token, theirs), 0);
        struct vmbus_msg_offer accepted = *fake_expect_offer(hv->g);
        pair(&old[1], &theirs);
        owner_write(old[1], "early", 5);
        hvsocket_dial(hv->hvs, &service, theirs, 60000, hv_dialled, hv);
        struct vmbus_msg_offer dialled = *fake_expect_offer(hv->g);
        move(hv, &before);
        drop(hv, &before);
        close(old[0]);
        close(old[1]);
        int fds[] = {reattach(hv, 1024, false), reattach(hv, 0, true)};
        vmbus_resume(hv->g->vmbus);
        struct fake_channel *a = hv_open(hv, &accepted, 4), *b = hv_open(hv, &dialled, 4);
        guest_expect(b, "early", 5);
        ck_assert(guest_send(a, "hello", 5));
        owner_expect(hv->g, fds[0], "hello", 5);
        fake_forget(a);
        fake_forget(b);
        close(fds[0]);
        close(fds[1]);
        hv = hv_free(hv);
}
END_TEST

START_TEST(connections_without_an_owner_are_closed) {
        struct hv *hv = hv_new();
        struct before before;
        struct stream refused = hv_stream(hv), forgotten = hv_stream(hv);
        owner_write(refused.fd, "still", 5);
        hv_connect(hv, PORT);
        int ours, theirs;
        pair(&ours, &theirs);
        assert_error(hvsocket_accept(hv->hvs, hv->token, theirs), 0);
        struct vmbus_msg_offer unopened = *fake_expect_offer(hv->g);
        vmbus_pause(hv->g->vmbus);
        fake_run(hv->g);
        ck_assert(guest_send(forgotten.ch, "anybody?", 8));
        move(hv, &before);
        drop(hv, &before);
        assert_error(hvsocket_reattach(hv->hvs, -1), 0);
        vmbus_resume(hv->g->vmbus);
        guest_expect(refused.ch, "still", 5);
        guest_expect_fin(refused.ch);
        guest_expect_fin(forgotten.ch);
        ck_assert_uint_eq(fake_expect_rescind(hv->g), refused.ch->relid);
        ck_assert_uint_eq(fake_expect_rescind(hv->g), forgotten.ch->relid);
        ck_assert_uint_eq(hv->problems, 0);
        struct fake_channel *ch = fake_prepare(hv->g, &unopened, 4, 4);
        ck_assert_uint_eq(fake_try_open(ch, 0, NULL), VMBUS_STATUS_CONNECTION_REFUSED);
        assert_error(hvsocket_reattach(hv->hvs, -1), 0);
        ck_assert_uint_eq(fake_expect_rescind(hv->g), ch->relid);
        fake_release(hv->g, ch->relid);
        fake_release(hv->g, refused.ch->relid);
        fake_release(hv->g, forgotten.ch->relid);
        ck_assert_uint_eq(hv->hvs->n_conns, 0);
        struct guid guid;
        bool from_host;
        ck_assert(!hvsocket_detached(hv->hvs, &guid, &guid, &from_host));
        assert_error(hvsocket_reattach(hv->hvs, -1), -ENOENT);
        fake_forget(ch);
        fake_forget(refused.ch);
        fake_forget(forgotten.ch);
        close(refused.fd);
        close(forgotten.fd);
        close(ours);
        hv = hv_free(hv);
}
END_TEST

START_TEST(what_a_gone_owner_left_arrives) {
        struct hv *hv = hv_new();
        struct before before;
        struct stream s = hv_stream(hv);
        static uint8_t buf[1 << 16], got[HVSOCKET_DATA_MAX];
        size_t total = 0;
        for (ssize_t n; (n = send(s.fd, buf, sizeof buf, MSG_NOSIGNAL)) > 0; total += (size_t)n)
                fake_run(hv->g);
        close(s.fd);
        fake_run(hv->g);
        ck_assert(hv->hvs->conns.next->owner_gone);
        move(hv, &before);
        drop(hv, &before);
        assert_error(hvsocket_reattach(hv->hvs, -1), -ENOENT);
        vmbus_resume(hv->g->vmbus);
        fake_run(hv->g);
        for (int r; (r = guest_receive(s.ch, got)) != 0; fake_run(hv->g)) {
                ck_assert_int_gt(r, 0);
                total -= (size_t)r;
        }
        ck_assert_uint_eq(total, 0);
        guest_expect_end(s.ch);
        hv = hv_free(hv);
}
END_TEST

START_TEST(ended_connections_need_no_owner) {
        struct hv *hv = hv_new();
        struct before before;
        struct stream s = hv_stream(hv);
        close(s.fd);
        guest_expect_fin(s.ch);
        ck_assert_uint_eq(fake_expect_rescind(hv->g), s.ch->relid);
        move(hv, &before);
        drop(hv, &before);
        ck_assert_uint_eq(hv->hvs->n_conns, 0);
        vmbus_resume(hv->g->vmbus);
        fake_release(hv->g, s.ch->relid);
        fake_expect_silence(hv->g);
        fake_forget(s.ch);
        s = hv_stream(hv);
        fake_forget(s.ch);
        close(s.fd);
        hv = hv_free(hv);
}
END_TEST

START_TEST(unanswered_connects_are_asked_again) {
        struct hv *hv = hv_new();
        struct before before;
        hv_connect(hv, PORT);
        hv_connect(hv, PORT);
        uint64_t first = hv->token - 1;
        hvsocket_refuse(hv->hvs, first);
        fake_run(hv->g);
        hv_expect_refusal(hv, PORT, 1024);
        hv->asked = 0;
        move(hv, &before);
        drop(hv, &before);
        ck_assert_uint_eq(hv->asked, 0);
        vmbus_resume(hv->g->vmbus);
        fake_run(hv->g);
        ck_assert_uint_eq(hv->asked, 1);
        ck_assert_uint_eq(guid_data1(&hv->endpoint), 1025);
        int ours, theirs;
        pair(&ours, &theirs);
        assert_error(hvsocket_accept(hv->hvs, hv->token, theirs), 0);
        fake_expect_offer(hv->g);
        close(ours);
        hv = hv_free(hv);
}
END_TEST

START_TEST(a_ring_spoilt_while_saved_costs_its_connection_only) {
        struct hv *hv = hv_new();
        struct before before;
        struct stream bad = hv_stream(hv), good = hv_stream(hv);
        vmbus_pause(hv->g->vmbus);
        fake_ring_set(&bad.ch->up, VMBUS_RING_READ_INDEX, 0xfffffff8);
        struct wr wr = save(hv);
        set_aside(hv, &before);
        struct rd rd = rd_make(wr.data, wr.size);
        assert_error(vmbus_restore(hv->g->vmbus, &rd), 0);
        assert_error(hvsocket_restore(hv->hvs, &rd), 0);
        wr_done(&wr);
        drop(hv, &before);
        close(good.fd);
        good.fd = reattach(hv, 1025, false);
        vmbus_resume(hv->g->vmbus);
        fake_run(hv->g);
        ck_assert_uint_eq(fake_expect_rescind(hv->g), bad.ch->relid);
        ck_assert(guest_send(good.ch, "fine", 4));
        owner_expect(hv->g, good.fd, "fine", 4);
        fake_forget(bad.ch);
        fake_forget(good.ch);
        close(bad.fd);
        close(good.fd);
        hv = hv_free(hv);
}
END_TEST

START_TEST(refuses_what_is_not_its_state) {
        struct hv *hv = hv_new();
        struct before before;
        struct stream s = hv_stream(hv);
        hv_connect(hv, PORT);
        vmbus_pause(hv->g->vmbus);
        owner_write(s.fd, "x", 1);
        struct wr bus = wr_new(1 << 20), wr = wr_new(1 << 20);
        assert_ok(vmbus_save(hv->g->vmbus, &bus));
        assert_ok(hvsocket_save(hv->hvs, &wr));
        for (size_t n = 0; n < wr.size; n++) {
                set_aside(hv, &before);
                struct rd rd = rd_make(bus.data, bus.size);
                assert_error(vmbus_restore(hv->g->vmbus, &rd), 0);
                /* Cut off, with a length that agrees. */
                uint8_t *cut = malloc(n ? n : 1);
                memcpy(cut, wr.data, n);
                if (n >= STATE_HEADER_SIZE)
                        memcpy(cut + 8,
                                &(le32){.b = {(uint8_t)(n - STATE_HEADER_SIZE),
                                                (uint8_t)((n - STATE_HEADER_SIZE) >> 8)}},
                                4);
                rd = rd_make(cut, n);
                assert_error(hvsocket_restore(hv->hvs, &rd), -EBADMSG);
                free(cut);
                /* The one that failed goes, the saved one comes back. */
                struct before failed = {.vmbus = hv->g->vmbus, .hvs = hv->hvs};
                memcpy(failed.doorbells, hv->g->doorbells, sizeof failed.doorbells);
                failed.n_doorbells = hv->g->n_doorbells;
                hv->g->vmbus = before.vmbus;
                hv->hvs = before.hvs;
                memcpy(hv->g->doorbells, before.doorbells, sizeof before.doorbells);
                hv->g->n_doorbells = before.n_doorbells;
                drop(hv, &failed);
        }
        wr_done(&bus);
        wr_done(&wr);
        fake_forget(s.ch);
        close(s.fd);
        hv = hv_free(hv);
}
END_TEST

TEST_MAIN("hvsocket/state", bytes_in_flight_arrive_in_another_process, a_saved_machine_may_go_on,
        half_closed_connections_stay_so, connections_on_their_way_are_opened_afterwards,
        connections_without_an_owner_are_closed, what_a_gone_owner_left_arrives,
        ended_connections_need_no_owner, unanswered_connects_are_asked_again,
        a_ring_spoilt_while_saved_costs_its_connection_only, refuses_what_is_not_its_state)
