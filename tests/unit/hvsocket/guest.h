// SPDX-License-Identifier: MIT
/* A guest that uses hvsockets as Linux does (net/vmw_vsock/hyperv_transport.c), and an owner who
 * remembers what he was told. */
#pragma once
#include <dirent.h>
#include <fcntl.h>
#include <sys/socket.h>
#include "base/fault.h"
#include "base/fd.h"
#include "hvsocket/internal.h"
#include "../vmbus/fake-guest.h"

enum {
        PORT = 0x40000000,
        LINUX_RING_PAGES = 7,  /* 24 KiB of data each way, and the control page */
        LINUX_DATA_MAX = 4088, /* in one packet of the guest */
        LINUX_PENDING_SEND_SIZE = 4120,
};

struct hv {
        struct fake_guest *g;
        struct hvsocket *hvs;
        unsigned asked, resets, problems;
        uint64_t token;
        struct guid service, endpoint;
        int problem;
        int dialled; /* 1: not called yet */
        unsigned dials;
        uint32_t next_local_port;
};

static void hv_asked(
        void *ctx, uint64_t token, const struct guid *service, const struct guid *endpoint) {
        struct hv *hv = ctx;
        hv->asked++;
        hv->token = token;
        hv->service = *service;
        hv->endpoint = *endpoint;
}

static void hv_reset(void *ctx) {
        ((struct hv *)ctx)->resets++;
}

static void hv_problem(void *ctx, const struct guid *service, int r) {
        struct hv *hv = ctx;
        (void)service;
        hv->problems++;
        hv->problem = r;
}

static const struct hvsocket_ops hv_ops = {
        .asked = hv_asked, .reset = hv_reset, .problem = hv_problem};

static _unused_ struct hv *hv_new_on(struct fake_guest *g) {
        struct hv *hv = calloc(1, sizeof *hv);
        ck_assert_ptr_nonnull(hv);
        hv->g = g;
        hv->next_local_port = 1024;
        assert_ok(hvsocket_new(g->vmbus, g->loop, &hv_ops, hv, &hv->hvs));
        assert_ok(hvsocket_set_table(hv->hvs, NULL, 0, true, true));
        return hv;
}

static _unused_ struct hv *hv_new(void) {
        struct hv *hv = hv_new_on(fake_guest_new(1));
        ck_assert_uint_eq(fake_connect(hv->g, VMBUS_VERSION_5_3), 0);
        return hv;
}

static _unused_ struct hv *hv_free(struct hv *hv) {
        hv->g->vmbus = vmbus_free(hv->g->vmbus);
        hvsocket_free(hv->hvs);
        fake_guest_free(hv->g);
        free(hv);
        return NULL;
}

static _unused_ void hv_dialled(void *ctx, int r) {
        struct hv *hv = ctx;
        hv->dials++;
        hv->dialled = r;
}

/* Descriptors of this process. */
static _unused_ unsigned count_fds(void) {
        DIR *dir = opendir("/proc/self/fd");
        unsigned n = 0;
        while (readdir(dir))
                n++;
        closedir(dir);
        return n;
}

/* TL_CONNECT_REQUEST to a host port, from the next local port. */
static _unused_ void hv_connect(struct hv *hv, uint32_t port) {
        struct vmbus_msg_tl_connect m = {
                .header.type = le32_make(VMBUS_MSG_TL_CONNECT),
                .endpoint = hvsocket_service_of_port(hv->next_local_port++),
                .service = hvsocket_service_of_port(port),
        };
        fake_tell(hv->g, &m, offsetof(struct vmbus_msg_tl_connect, silo));
}

static _unused_ void hv_expect_refusal(struct hv *hv, uint32_t port, uint32_t local_port) {
        struct fake_message m = fake_expect(hv->g, VMBUS_MSG_TL_RESULT, sizeof m.tl_result);
        const struct guid service = hvsocket_service_of_port(port),
                          endpoint = hvsocket_service_of_port(local_port);
        ck_assert(guid_equal(&m.tl_result.service, &service));
        ck_assert(guid_equal(&m.tl_result.endpoint, &endpoint));
        ck_assert_uint_eq(le32_get(m.tl_result.status), 0xC0000236);
}

/* Both ends of a connection. */
struct stream {
        struct hv *hv;
        struct fake_channel *ch;
        int fd; /* the owner's end */
};

static _unused_ void pair(int *ret_ours, int *ret_theirs) {
        int fds[2];
        assert_ok(fd_socketpair(SOCK_STREAM, fds));
        assert_ok(fd_set_nonblock(fds[0], true));
        *ret_ours = fds[0];
        *ret_theirs = fds[1];
}

static _unused_ struct fake_channel *hv_open(
        struct hv *hv, const struct vmbus_msg_offer *offer, uint32_t pages) {
        struct fake_channel *ch = fake_open(hv->g, offer, pages, pages);
        fake_ring_set(&ch->up, VMBUS_RING_PENDING_SEND_SIZE, LINUX_PENDING_SEND_SIZE);
        return ch;
}

/* The guest dials, the owner accepts, the guest opens. */
static _unused_ struct stream hv_stream_of(struct hv *hv, uint32_t pages) {
        struct stream s = {.hv = hv};
        int theirs;
        unsigned asked = hv->asked;
        hv_connect(hv, PORT);
        ck_assert_uint_eq(hv->asked, asked + 1);
        pair(&s.fd, &theirs);
        assert_error(hvsocket_accept(hv->hvs, hv->token, theirs), 0);
        fake_run(hv->g);
        s.ch = hv_open(hv, fake_expect_offer(hv->g), pages);
        return s;
}

static _unused_ struct stream hv_stream(struct hv *hv) {
        return hv_stream_of(hv, LINUX_RING_PAGES);
}

/* One packet of the guest; false when its ring has no room. `claim` is what the header says. */
static _unused_ bool guest_send_claim(
        struct fake_channel *ch, const void *data, uint32_t size, uint32_t claim) {
        static uint8_t packet[8 + HVSOCKET_DATA_MAX + 16];
        const struct pipe_header header = {le32_make(PIPE_DATA), le32_make(claim)};
        memcpy(packet, &header, sizeof header);
        memcpy(packet + sizeof header, data, size);
        return fake_send_inband(ch, 0, packet, (uint32_t)sizeof header + size);
}

static _unused_ bool guest_send(struct fake_channel *ch, const void *data, uint32_t size) {
        return guest_send_claim(ch, data, size, size);
}

static _unused_ void guest_fin(struct fake_channel *ch) {
        ck_assert(guest_send(ch, "", 0));
}

/* The data of the next packet, 0 for FIN, -1 for an empty ring. Checks what Linux checks. */
static _unused_ int guest_receive(struct fake_channel *ch, uint8_t ret[HVSOCKET_DATA_MAX]) {
        static struct fake_packet p;
        struct pipe_header header;
        if (!fake_receive(ch, &p))
                return -1;
        ck_assert_uint_eq(p.type, VMBUS_PACKET_INBAND);
        ck_assert_uint_eq(p.header_size, 0);
        ck_assert_uint_ge(p.payload_size, sizeof header);
        memcpy(&header, p.bytes, sizeof header);
        uint32_t size = le32_get(header.size);
        ck_assert_uint_eq(le32_get(header.type), PIPE_DATA);
        ck_assert_uint_le(size, HVSOCKET_DATA_MAX);
        ck_assert_uint_le(size, p.payload_size - sizeof header);
        memcpy(ret, p.bytes + sizeof header, size);
        return (int)size;
}

static _unused_ void guest_expect(struct fake_channel *ch, const void *data, size_t size) {
        uint8_t got[HVSOCKET_DATA_MAX];
        fake_run(ch->g);
        ck_assert_int_eq(guest_receive(ch, got), (int)size);
        ck_assert_mem_eq(got, data, size);
}

static _unused_ void guest_expect_fin(struct fake_channel *ch) {
        uint8_t got[HVSOCKET_DATA_MAX];
        fake_run(ch->g);
        ck_assert_int_eq(guest_receive(ch, got), 0);
}

static _unused_ void owner_write(int fd, const void *data, size_t size) {
        ck_assert_int_eq(send(fd, data, size, MSG_NOSIGNAL), (int)size);
}

static _unused_ void owner_expect(struct fake_guest *g, int fd, const void *data, size_t size) {
        uint8_t got[HVSOCKET_DATA_MAX];
        fake_run(g);
        ck_assert_int_eq(recv(fd, got, sizeof got, 0), (int)size);
        ck_assert_mem_eq(got, data, size);
}

static _unused_ void owner_expect_eof(struct fake_guest *g, int fd) {
        uint8_t byte;
        fake_run(g);
        ck_assert_int_eq(recv(fd, &byte, 1, 0), 0);
}

/* RESCIND, upon which Linux closes the channel and lets go of the relid, without a teardown. */
static _unused_ struct fake_channel *guest_expect_end(struct fake_channel *ch) {
        fake_run(ch->g);
        ck_assert_uint_eq(fake_expect_rescind(ch->g), ch->relid);
        fake_tell_relid(ch->g, VMBUS_MSG_CLOSE, ch->relid);
        fake_release(ch->g, ch->relid);
        return fake_forget(ch);
}
