// SPDX-License-Identifier: MIT
/* A device for the tests of the bus. */
#pragma once
#include "fake-guest.h"

/* A device that counts its calls and answers every packet with its payload. */
struct echo {
        struct vmbus_channel *channel;
        unsigned opens, readies, closes, releases, packets;
        uint32_t refuse; /* status that open() returns */
        uint8_t user_data[VMBUS_USER_DATA_SIZE];
        bool keep;    /* take packets but do not answer */
        bool lazy;    /* do not take packets */
        bool unknown; /* the channel is not known yet: open() tells it */
        bool rescind_in_open, rescind_in_ready, rescind_in_close;
        uint32_t get_handle; /* GPADL to take in open(), 0: none */
        struct gmem_pages *got;
};

static uint32_t echo_open(
        void *ctx, struct vmbus_channel *channel, const uint8_t user_data[VMBUS_USER_DATA_SIZE]) {
        struct echo *e = ctx;
        e->opens++;
        if (e->unknown)
                e->channel = channel;
        ck_assert_ptr_eq(e->channel, channel);
        ck_assert(vmbus_channel_is_open(channel));
        memcpy(e->user_data, user_data, sizeof e->user_data);
        if (e->get_handle)
                e->got = vmbus_gpadl_get(channel, e->get_handle);
        if (e->rescind_in_open)
                vmbus_rescind(channel);
        return e->refuse;
}

static void echo_ready(void *ctx, struct vmbus_channel *channel) {
        struct echo *e = ctx;
        struct vmbus_packet p;
        e->readies++;
        while (!e->lazy && vmbus_receive(channel, &p) == 0) {
                e->packets++;
                if (e->keep)
                        continue;
                int r = vmbus_send_completion(channel, p.transaction, p.payload, p.payload_size);
                ck_assert_int_eq(r, 0);
        }
        if (e->rescind_in_ready)
                vmbus_rescind(channel);
}

static void echo_close(void *ctx, struct vmbus_channel *channel) {
        struct echo *e = ctx;
        struct vmbus_packet p;
        e->closes++;
        ck_assert(!vmbus_channel_is_open(channel));
        ck_assert_int_eq(vmbus_receive(channel, &p), VMBUS_E_CLOSED);
        ck_assert_int_eq(vmbus_send_inband(channel, 0, NULL, 0), VMBUS_E_CLOSED);
        ck_assert_uint_eq(vmbus_send_room(channel), 0);
        ck_assert_uint_eq(vmbus_ring_size(channel), 0);
        if (e->rescind_in_close)
                vmbus_rescind(channel);
}

static void echo_released(void *ctx, struct vmbus_channel *channel) {
        struct echo *e = ctx;
        ck_assert_ptr_eq(e->channel, channel);
        e->releases++;
        e->channel = NULL;
}

static _unused_ const struct vmbus_channel_ops echo_ops = {
        echo_open, echo_ready, echo_close, echo_released};

static const struct guid echo_type = GUID_MAKE(0x11111111, 0x2222, 0x3333, 0x4444, 0x555555555555);

static _unused_ void echo_offer(struct fake_guest *g, struct echo *e, uint32_t number) {
        struct vmbus_offer offer = {.type = echo_type, .name = "echo", .mmio_megabytes = 8};
        guid_set_data1(&offer.instance, number + 1);
        assert_ok(vmbus_offer(g->vmbus, &offer, &echo_ops, e, &e->channel));
}

/* A guest connected at a version, with one echo device that it knows and nothing open. */
static _unused_ struct fake_guest *echo_setup(struct echo *e, uint32_t version) {
        *e = (struct echo){0};
        struct fake_guest *g = fake_guest_new(4);
        echo_offer(g, e, 0);
        ck_assert_uint_eq(fake_connect(g, version), 1);
        return g;
}

static _unused_ void echo_teardown(struct fake_guest *g, struct echo *e) {
        fake_expect_silence(g);
        fake_guest_free(g);
        ck_assert_uint_eq(e->releases, 1);
        ck_assert_ptr_null(e->channel);
}
