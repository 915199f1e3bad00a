// SPDX-License-Identifier: MIT
/* Channels between a guest on a real KVM and devices that send every packet back. The guest's side
 * is payload-vmbus.c. The bus runs on a thread of its own, as in the worker. */
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include "../unit/test.h"
#include "base/fd.h"
#include "harness.h"
#include "vmbus/channel.h"
#include "vmwp/bus.h"

enum { PACKET_MAX = 4096 };

/* A device that owes at most one packet, and takes none before the guest has made room for it. */
struct echo {
        struct vmbus_channel *channel;
        unsigned opens, closes;
        size_t owed; /* bytes; OWES_NONE: no packet */
        uint8_t packet[PACKET_MAX];
};
#define OWES_NONE SIZE_MAX

struct host {
        struct guest *guest;
        struct io_loop *loop;
        struct vmbus *vmbus;
        pthread_t thread;
        struct echo *echoes;
        unsigned n;
};

static uint32_t echo_open(
        void *ctx, struct vmbus_channel *channel, const uint8_t user_data[VMBUS_USER_DATA_SIZE]) {
        struct echo *e = ctx;
        (void)channel, (void)user_data;
        e->opens++;
        e->owed = OWES_NONE;
        return 0;
}

static bool echo_pays(struct echo *e) {
        if (e->owed != OWES_NONE && vmbus_send_inband(e->channel, 0, e->packet, e->owed) != 0)
                return false;
        e->owed = OWES_NONE;
        return true;
}

static void echo_ready(void *ctx, struct vmbus_channel *channel) {
        struct echo *e = ctx;
        struct vmbus_packet p;
        while (echo_pays(e) && vmbus_receive(channel, &p) == 0) {
                ck_assert_uint_le(p.payload_size, sizeof e->packet);
                memcpy(e->packet, p.payload, p.payload_size);
                e->owed = p.payload_size;
        }
}

static void echo_close(void *ctx, struct vmbus_channel *channel) {
        (void)channel;
        ((struct echo *)ctx)->closes++;
}

static void echo_released(void *ctx, struct vmbus_channel *channel) {
        (void)channel;
        ((struct echo *)ctx)->channel = NULL;
}

static const struct vmbus_channel_ops echo_ops = {echo_open, echo_ready, echo_close, echo_released};

static uint16_t on_message(void *ctx, uint32_t vp, uint32_t connection_id, uint32_t type,
        const void *payload, size_t size) {
        (void)vp;
        return bus_post_message(((struct host *)ctx)->vmbus, connection_id, type, payload, size);
}

static void on_slot_free(void *ctx, uint32_t vp, uint8_t sint) {
        (void)vp;
        (void)sint;
        bus_slot_free(((struct host *)ctx)->vmbus);
}

static const struct vmm_ops guest_ops = {
        .post_message = on_message, .message_slot_free = on_slot_free};

static void *run_loop(void *arg) {
        struct host *h = arg;
        return io_loop_run(h->loop) < 0 ? h : NULL;
}

static struct host *host_new(const char *part, unsigned n) {
        struct host *h = calloc(1, sizeof *h);
        const struct guest_config config = {
                .payload = "vmbus", .cmdline = part, .ops = &guest_ops, .ctx = h};
        h->guest = guest_new(&config);
        struct vmm *vmm = guest_vmm(h->guest);
        assert_ok(io_loop_new(&h->loop));
        assert_ok(vmbus_new(vmm_gmem(vmm), h->loop, &bus_ops, vmm, &h->vmbus));
        h->n = n;
        h->echoes = calloc(n, sizeof *h->echoes);
        for (unsigned i = 0; i < n; i++) {
                struct vmbus_offer offer = {.name = "echo"};
                guid_set_data1(&offer.instance, i + 1);
                assert_ok(vmbus_offer(
                        h->vmbus, &offer, &echo_ops, &h->echoes[i], &h->echoes[i].channel));
        }
        ck_assert_int_eq(pthread_create(&h->thread, NULL, run_loop, h), 0);
        guest_start(h->guest);
        return h;
}

/* Waits for the guest's end and frees everything; each channel was opened and closed so often. */
static void host_finish(struct host *h, unsigned opens) {
        void *failed;
        int type = guest_wait(h->guest, NULL);
        int status = type == VMM_EVENT_POWER_OFF ? guest_status(h->guest) : -1;
        if (status != 0)
                fprintf(stderr, "event %d, console:\n%s\n", type, guest_console(h->guest));
        io_loop_stop(h->loop);
        pthread_join(h->thread, &failed);
        ck_assert_ptr_null(failed);
        ck_assert_int_eq(status, 0);
        ck_assert(!vmbus_connected(h->vmbus));
        ck_assert_uint_eq(vmbus_ignored(h->vmbus), 0);
        for (unsigned i = 0; i < h->n; i++) {
                ck_assert_uint_eq(h->echoes[i].opens, opens);
                ck_assert_uint_eq(h->echoes[i].closes, opens);
        }
        vmm_pause(guest_vmm(h->guest));
        vmbus_free(h->vmbus);
        for (unsigned i = 0; i < h->n; i++)
                ck_assert_ptr_null(h->echoes[i].channel);
        io_loop_free(h->loop);
        guest_free(h->guest);
        free(h->echoes);
        free(h);
}

static unsigned count_fds(void) {
        DIR *dir = opendir("/proc/self/fd");
        unsigned n = 0;
        while (readdir(dir))
                n++;
        closedir(dir);
        return n;
}

START_TEST(packets_go_both_ways_at_version_5_3) {
        host_finish(host_new("newest", 1), 3);
}
END_TEST

START_TEST(packets_go_both_ways_at_version_2_4) {
        host_finish(host_new("oldest", 1), 3);
}
END_TEST

START_TEST(a_spoilt_ring_ends_its_channel_only) {
        host_finish(host_new("spoil", 1), 2);
}
END_TEST

START_TEST(a_guest_that_starts_anew_connects_again) {
        host_finish(host_new("restart", 1), 2);
}
END_TEST

/* More than the kernel's ioeventfds: the last doorbells come by exits. */
START_TEST(all_channels_work_at_once) {
        unsigned fds = count_fds();
        struct host *h = host_new("all", VMBUS_CHANNELS_MAX);
        ck_assert(guest_expect(h->guest, "open\n"));
        ck_assert(guest_expect(h->guest, "closing\n"));
        host_finish(h, 1);
        ck_assert_uint_eq(count_fds(), fds);
}
END_TEST

int main(void) {
        guest_kill_deadline(110);
        if (fd_raise_limit() < 0)
                return EXIT_FAILURE;
        const test_fn tests[] = {
                packets_go_both_ways_at_version_5_3,
                packets_go_both_ways_at_version_2_4,
                a_spoilt_ring_ends_its_channel_only,
                a_guest_that_starts_anew_connects_again,
                all_channels_work_at_once,
        };
        return test_run("guest-vmbus", tests, sizeof tests / sizeof *tests, 90);
}
