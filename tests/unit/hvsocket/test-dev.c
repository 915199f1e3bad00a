// SPDX-License-Identifier: MIT
#include <unistd.h>
#include "guest.h"

START_TEST(a_guest_dials_and_is_accepted) {
        struct hv *hv = hv_new();
        int ours, theirs;
        hv_connect(hv, PORT);
        const struct guid service = hvsocket_service_of_port(PORT),
                          endpoint = hvsocket_service_of_port(1024);
        ck_assert_uint_eq(hv->asked, 1);
        ck_assert(guid_equal(&hv->service, &service));
        ck_assert(guid_equal(&hv->endpoint, &endpoint));
        fake_expect_silence(hv->g);

        pair(&ours, &theirs);
        assert_error(hvsocket_accept(hv->hvs, hv->token, theirs), 0);
        ck_assert_uint_eq(hvsocket_connections(hv->hvs), 0);
        const struct vmbus_msg_offer *offer = fake_expect_offer(hv->g);
        const uint8_t zero[VMBUS_USER_DATA_SIZE] = {0};
        ck_assert(guid_equal(&offer->type, &service));
        ck_assert(guid_equal(&offer->instance, &endpoint));
        ck_assert_uint_eq(le16_get(offer->flags), 0x2011);
        ck_assert_mem_eq(offer->user_defined, zero, sizeof zero);

        struct fake_channel *ch = hv_open(hv, offer, LINUX_RING_PAGES);
        ck_assert_uint_eq(hvsocket_connections(hv->hvs), 1);
        ck_assert(guest_send(ch, "ping", 4));
        owner_expect(hv->g, ours, "ping", 4);
        fake_forget(ch);
        hv = hv_free(hv);
        uint8_t byte;
        ck_assert_int_eq(recv(ours, &byte, 1, 0), 0);
        close(ours);
}
END_TEST

START_TEST(the_table_refuses_before_the_owner_is_asked) {
        struct hv *hv = hv_new();
        const struct hvsocket_rule rules[] = {{hvsocket_service_of_port(PORT), false, true}};
        assert_ok(hvsocket_set_table(hv->hvs, rules, 1, true, false));
        hv_connect(hv, PORT);
        hv_expect_refusal(hv, PORT, 1024);
        ck_assert_uint_eq(hv->asked, 0);
        hv_connect(hv, PORT + 1);
        ck_assert_uint_eq(hv->asked, 1);
        assert_ok(hvsocket_set_table(hv->hvs, rules, 1, false, false));
        hv_connect(hv, PORT + 1);
        hv_expect_refusal(hv, PORT + 1, 1026);
        ck_assert_uint_eq(hv->asked, 1);
        hv = hv_free(hv);
}
END_TEST

static bool own_port(void *ctx, const struct guid *service) {
        const struct guid own = hvsocket_service_of_port(PORT);
        (void)ctx;
        return guid_equal(service, &own);
}

START_TEST(the_owners_own_services_are_above_the_table) {
        static const struct hvsocket_ops ops = {
                .own = own_port, .asked = hv_asked, .reset = hv_reset};
        struct fake_guest *g = fake_guest_new(1);
        struct hv *hv = calloc(1, sizeof *hv);
        hv->g = g;
        hv->next_local_port = 1024;
        assert_ok(hvsocket_new(g->vmbus, g->loop, &ops, hv, &hv->hvs));
        fake_connect(g, VMBUS_VERSION_5_3);
        hv_connect(hv, PORT);
        ck_assert_uint_eq(hv->asked, 1);
        hv_connect(hv, PORT + 1);
        ck_assert_uint_eq(hv->asked, 1);
        hv_expect_refusal(hv, PORT + 1, 1025);
        hv = hv_free(hv);
}
END_TEST

START_TEST(a_table_is_closed_until_it_is_set) {
        struct fake_guest *g = fake_guest_new(1);
        struct hv *hv = calloc(1, sizeof *hv);
        hv->g = g;
        assert_ok(hvsocket_new(g->vmbus, g->loop, &hv_ops, hv, &hv->hvs));
        fake_connect(g, VMBUS_VERSION_5_3);
        hv_connect(hv, PORT);
        ck_assert_uint_eq(hv->asked, 0);
        hv = hv_free(hv);
}
END_TEST

START_TEST(the_owner_refuses) {
        struct hv *hv = hv_new();
        hv_connect(hv, PORT);
        hvsocket_refuse(hv->hvs, hv->token);
        fake_run(hv->g);
        hv_expect_refusal(hv, PORT, 1024);
        hvsocket_refuse(hv->hvs, hv->token);
        hvsocket_refuse(hv->hvs, 0);
        fake_run(hv->g);
        fake_expect_silence(hv->g);
        hv = hv_free(hv);
}
END_TEST

START_TEST(a_void_token_closes_the_descriptor) {
        struct hv *hv = hv_new();
        int ours, theirs;
        hv_connect(hv, PORT);
        const uint64_t tokens[] = {0, hv->token + 1, UINT64_MAX};
        for (size_t i = 0; i < ARRAY_SIZE(tokens); i++) {
                pair(&ours, &theirs);
                assert_error(hvsocket_accept(hv->hvs, tokens[i], theirs), -ESTALE);
                owner_expect_eof(hv->g, ours);
                close(ours);
        }
        fake_unload(hv->g);
        ck_assert_uint_eq(hv->resets, 1);
        pair(&ours, &theirs);
        assert_error(hvsocket_accept(hv->hvs, hv->token, theirs), -ESTALE);
        owner_expect_eof(hv->g, ours);
        close(ours);
        fake_expect_silence(hv->g);
        hv = hv_free(hv);
}
END_TEST

START_TEST(holds_the_limit_of_unanswered_connects_and_refuses_one_more) {
        struct hv *hv = hv_new();
        for (unsigned i = 0; i < HVSOCKET_PENDING_MAX; i++)
                hv_connect(hv, PORT);
        ck_assert_uint_eq(hv->asked, HVSOCKET_PENDING_MAX);
        fake_expect_silence(hv->g);
        hv_connect(hv, PORT);
        ck_assert_uint_eq(hv->asked, HVSOCKET_PENDING_MAX);
        hv_expect_refusal(hv, PORT, 1024 + HVSOCKET_PENDING_MAX);
        hvsocket_refuse(hv->hvs, 1);
        hv_connect(hv, PORT);
        ck_assert_uint_eq(hv->asked, HVSOCKET_PENDING_MAX + 1);
        hv = hv_free(hv);
}
END_TEST

static int accept_one(struct hv *hv) {
        int ours, theirs;
        hv_connect(hv, PORT);
        pair(&ours, &theirs);
        close(ours);
        int r = hvsocket_accept(hv->hvs, hv->token, theirs);
        fake_run(hv->g);
        return r;
}

START_TEST(holds_the_limit_of_connections_and_refuses_one_more) {
        assert_ok(fd_raise_limit());
        struct hv *hv = hv_new();
        for (unsigned i = 0; i < HVSOCKET_CONNECTIONS_MAX; i++)
                assert_error(accept_one(hv), 0);
        for (unsigned i = 0; i < HVSOCKET_CONNECTIONS_MAX; i++)
                fake_expect_offer(hv->g);
        assert_error(accept_one(hv), -EAGAIN);
        hv_expect_refusal(hv, PORT, 1024 + HVSOCKET_CONNECTIONS_MAX);
        hvsocket_dial(hv->hvs, &hv->service, -1, 1000, hv_dialled, hv);
        ck_assert_int_eq(hv->dialled, -EAGAIN);
        /* One that ended still counts until the guest lets go of its relid. */
        hvsocket_conn_end(hv->hvs->conns.next, 0);
        assert_error(accept_one(hv), -EAGAIN);
        fake_release(hv->g, fake_expect_rescind(hv->g));
        hv_expect_refusal(hv, PORT, 1024 + HVSOCKET_CONNECTIONS_MAX + 1);
        assert_error(accept_one(hv), 0);
        hv = hv_free(hv);
}
END_TEST

START_TEST(an_endpoint_in_use_is_refused) {
        struct hv *hv = hv_new();
        assert_error(accept_one(hv), 0);
        fake_expect_offer(hv->g);
        hv->next_local_port--;
        assert_error(accept_one(hv), -EEXIST);
        hv_expect_refusal(hv, PORT, 1024);
        hv = hv_free(hv);
}
END_TEST

START_TEST(an_offer_that_the_guest_does_not_open_is_taken_back) {
        struct hv *hv = hv_new();
        assert_error(accept_one(hv), 0);
        fake_expect_offer(hv->g);
        struct hvsocket_conn *conn = hv->hvs->conns.next;
        ck_assert(io_timer_armed(conn->timer));
        io_timer_arm(conn->timer, 0, 0);
        fake_run(hv->g);
        fake_release(hv->g, fake_expect_rescind(hv->g));
        ck_assert_uint_eq(hv->hvs->n_conns, 0);
        ck_assert_uint_eq(hv->problems, 0);
        hv = hv_free(hv);
}
END_TEST

START_TEST(the_host_dials_a_listener) {
        struct hv *hv = hv_new();
        const struct guid service = hvsocket_service_of_port(22);
        int ours, theirs;
        pair(&ours, &theirs);
        hv->dialled = 1;
        hvsocket_dial(hv->hvs, &service, theirs, 60000, hv_dialled, hv);
        ck_assert_int_eq(hv->dialled, 1);
        const struct vmbus_msg_offer *offer = fake_expect_offer(hv->g);
        ck_assert(guid_equal(&offer->type, &service));
        ck_assert(!guid_is_null(&offer->instance));
        ck_assert_uint_eq(le16_get(offer->flags), 0x2011);
        ck_assert_uint_eq(offer->user_defined[4], 1);
        struct fake_channel *ch = hv_open(hv, offer, LINUX_RING_PAGES);
        ck_assert_int_eq(hv->dialled, 0);
        ck_assert(!io_timer_armed(hv->hvs->conns.next->timer));
        owner_write(ours, "hello", 5);
        guest_expect(ch, "hello", 5);
        ck_assert(guest_send(ch, "world", 5));
        owner_expect(hv->g, ours, "world", 5);
        fake_forget(ch);
        hv = hv_free(hv);
        close(ours);
}
END_TEST

START_TEST(a_dial_without_listener_times_out) {
        struct hv *hv = hv_new();
        const struct guid service = hvsocket_service_of_port(22);
        int ours, theirs;
        pair(&ours, &theirs);
        hv->dialled = 1;
        hvsocket_dial(hv->hvs, &service, theirs, 1, hv_dialled, hv);
        fake_expect_offer(hv->g);
        while (hv->dialled == 1)
                assert_ok(io_loop_once(hv->g->loop, 10));
        ck_assert_int_eq(hv->dialled, -ETIMEDOUT);
        owner_expect_eof(hv->g, ours);
        fake_release(hv->g, fake_expect_rescind(hv->g));
        ck_assert_uint_eq(hv->hvs->n_conns, 0);
        ck_assert_uint_eq(hv->dials, 1);
        hv = hv_free(hv);
        close(ours);
}
END_TEST

START_TEST(the_table_refuses_a_dial) {
        struct hv *hv = hv_new();
        const struct guid service = hvsocket_service_of_port(22);
        int ours, theirs;
        assert_ok(hvsocket_set_table(hv->hvs, NULL, 0, true, false));
        pair(&ours, &theirs);
        hvsocket_dial(hv->hvs, &service, theirs, 1000, hv_dialled, hv);
        ck_assert_int_eq(hv->dialled, -EACCES);
        owner_expect_eof(hv->g, ours);
        fake_expect_silence(hv->g);
        hv = hv_free(hv);
        close(ours);
}
END_TEST

START_TEST(a_dial_before_the_guest_is_there_waits_for_it) {
        struct hv *hv = hv_new_on(fake_guest_new(1));
        const struct guid service = hvsocket_service_of_port(22);
        int ours, theirs;
        pair(&ours, &theirs);
        hv->dialled = 1;
        hvsocket_dial(hv->hvs, &service, theirs, 60000, hv_dialled, hv);
        fake_run(hv->g);
        fake_expect_silence(hv->g);
        ck_assert_uint_eq(fake_connect(hv->g, VMBUS_VERSION_5_3), 1);
        ck_assert_int_eq(hv->dialled, 1);
        struct fake_channel *ch = hv_open(hv, fake_offer_of(hv->g, &service), LINUX_RING_PAGES);
        ck_assert_int_eq(hv->dialled, 0);
        owner_write(ours, "hello", 5);
        guest_expect(ch, "hello", 5);
        fake_forget(ch);
        close(ours);
        hv = hv_free(hv);
}
END_TEST

START_TEST(a_guest_that_restarts_ends_everything) {
        struct hv *hv = hv_new();
        const struct guid service = hvsocket_service_of_port(22);
        int dialled, theirs;
        struct stream s = hv_stream(hv);
        hv_connect(hv, PORT);
        pair(&dialled, &theirs);
        hv->dialled = 1;
        hvsocket_dial(hv->hvs, &service, theirs, 60000, hv_dialled, hv);
        fake_expect_offer(hv->g);
        uint64_t token = hv->token;

        fake_contact(hv->g, VMBUS_VERSION_5_3);
        ck_assert_uint_eq(hv->resets, 1);
        ck_assert_int_eq(hv->dialled, -ECONNRESET);
        ck_assert_uint_eq(hv->hvs->n_conns, 0);
        owner_expect_eof(hv->g, s.fd);
        owner_expect_eof(hv->g, dialled);
        close(dialled);
        pair(&dialled, &theirs);
        assert_error(hvsocket_accept(hv->hvs, token, theirs), -ESTALE);
        fake_request_offers(hv->g);
        fake_forget(s.ch);
        close(s.fd);
        close(dialled);
        s = hv_stream(hv);
        owner_write(s.fd, "again", 5);
        guest_expect(s.ch, "again", 5);
        close(s.fd);
        fake_forget(s.ch);
        hv = hv_free(hv);
}
END_TEST

START_TEST(thousands_of_short_connections_leave_nothing) {
        struct hv *hv = hv_new();
        unsigned fds = 0;
        for (unsigned i = 0; i < 2000; i++) {
                /* The simple and the abrupt end by turns; the memory of the rings is used again. */
                hv->g->next_page = FAKE_FIRST_PAGE;
                struct stream s = hv_stream(hv);
                ck_assert(guest_send(s.ch, &i, sizeof i));
                owner_expect(hv->g, s.fd, &i, sizeof i);
                owner_write(s.fd, &i, sizeof i);
                guest_expect(s.ch, &i, sizeof i);
                if (i % 2 == 0) {
                        guest_fin(s.ch);
                        owner_expect_eof(hv->g, s.fd);
                }
                close(s.fd);
                guest_expect_fin(s.ch);
                guest_expect_end(s.ch);
                if (i == 9)
                        fds = count_fds();
        }
        ck_assert_uint_eq(count_fds(), fds);
        ck_assert_uint_eq(hv->hvs->n_conns, 0);
        ck_assert_uint_eq(hv->problems, 0);
        fake_expect_silence(hv->g);
        hv = hv_free(hv);
}
END_TEST

/* Every allocation and descriptor on the way fails once. */
START_TEST(a_failure_anywhere_refuses_that_connection_only) {
        static const enum fault_kind kinds[] = {FAULT_ALLOC, FAULT_FD};
        struct hv *hv = hv_new();
        struct stream good = hv_stream(hv);
        for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
                for (unsigned n = 1;; n++) {
                        int ours, theirs;
                        hv_connect(hv, PORT);
                        pair(&ours, &theirs);
                        fault_arm(kinds[k], n);
                        int r = hvsocket_accept(hv->hvs, hv->token, theirs);
                        bool fired = fault_fired(kinds[k]);
                        fault_arm(kinds[k], 0);
                        fake_run(hv->g);
                        if (r < 0) {
                                ck_assert(fired);
                                hv_expect_refusal(hv, PORT, hv->next_local_port - 1);
                                owner_expect_eof(hv->g, ours);
                        } else {
                                fake_expect_offer(hv->g);
                        }
                        close(ours);
                        if (!fired)
                                break;
                }
        }
        ck_assert(guest_send(good.ch, "ok", 2));
        owner_expect(hv->g, good.fd, "ok", 2);
        fake_forget(good.ch);
        close(good.fd);
        hv = hv_free(hv);
}
END_TEST

START_TEST(a_failed_start_leaves_nothing) {
        struct fake_guest *g = fake_guest_new(1);
        struct hvsocket *hvs = NULL;
        unsigned n = 1;
        for (;; n++) {
                fault_arm(FAULT_ALLOC, n);
                int r = hvsocket_new(g->vmbus, g->loop, &hv_ops, NULL, &hvs);
                if (r == 0)
                        break;
                assert_error(r, -ENOMEM);
                ck_assert_ptr_null(hvs);
        }
        fault_arm(FAULT_ALLOC, 0);
        ck_assert_uint_gt(n, 1);
        g->vmbus = vmbus_free(g->vmbus);
        ck_assert_ptr_null(hvsocket_free(hvs));
        ck_assert_ptr_null(hvsocket_free(NULL));
        fake_guest_free(g);
}
END_TEST

TEST_MAIN("hvsocket/dev", a_guest_dials_and_is_accepted,
        the_table_refuses_before_the_owner_is_asked, the_owners_own_services_are_above_the_table,
        a_table_is_closed_until_it_is_set, the_owner_refuses, a_void_token_closes_the_descriptor,
        holds_the_limit_of_unanswered_connects_and_refuses_one_more,
        holds_the_limit_of_connections_and_refuses_one_more, an_endpoint_in_use_is_refused,
        an_offer_that_the_guest_does_not_open_is_taken_back, the_host_dials_a_listener,
        a_dial_without_listener_times_out, the_table_refuses_a_dial,
        a_dial_before_the_guest_is_there_waits_for_it, a_guest_that_restarts_ends_everything,
        thousands_of_short_connections_leave_nothing,
        a_failure_anywhere_refuses_that_connection_only, a_failed_start_leaves_nothing)
