// SPDX-License-Identifier: MIT
/* A whole machine, as the worker makes it, and a guest that restarts it or wrongs it
 * (payload-life.c). What a daemon sees of that is in tests/integration/daemon; here the sanitizers
 * see it. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include "../unit/test.h"
#include "base/clock.h"
#include "base/fd.h"
#include "harness.h"
#include "vmwp/machine.h"

enum { RESTARTS = 10, NOISE_SECONDS = 3, HANG_MS = 200, END_MS = 1000, DEADLINE_MS = 30000 };

struct host {
        struct io_loop *loop;
        struct machine *machine;
        int kernel, kvm;
        unsigned restarts, stops;
        enum machine_stop why;
};

static void on_restarted(void *ctx) {
        ((struct host *)ctx)->restarts++;
}

static void on_stopped(void *ctx, enum machine_stop why, const struct vmm_event *event) {
        struct host *h = ctx;
        h->stops++;
        h->why = why;
        if (event && event->text[0])
                fprintf(stderr, "%s\n", event->text);
}

static void on_connected(void *ctx, uint32_t protocol) {
        (void)ctx;
        (void)protocol;
        ck_abort_msg("there is no agent");
}

static void on_closed(void *ctx) {
        (void)ctx;
}

static void on_process_exited(void *ctx, uint32_t pid, int32_t code) {
        (void)ctx;
        (void)pid;
        (void)code;
        ck_abort_msg("there is no process");
}

static void on_asked(
        void *ctx, uint64_t token, const struct guid *service, const struct guid *endpoint) {
        (void)service;
        (void)endpoint;
        machine_hvsocket_answer(((struct host *)ctx)->machine, token, -1);
}

static const struct machine_ops ops = {
        .guest_connected = on_connected,
        .guest_closed = on_closed,
        .process_exited = on_process_exited,
        .stopped = on_stopped,
        .restarted = on_restarted,
        .asked = on_asked,
};

static void start(struct host *h, const char *part, uint32_t vps, bool stop_on_reset) {
        struct error e = {0};
        char path[512];
        *h = (struct host){0};
        snprintf(path, sizeof path, "%s/tests/guest/guest-life", getenv("SANDBAR_BUILD_ROOT"));
        h->kernel = open(path, O_RDONLY | O_CLOEXEC);
        ck_assert_msg(h->kernel >= 0, "%s: %m", path);
        ck_assert_msg(vmm_open_kvm(false, &e, &h->kvm) == 0, "%s", e.text);
        const struct machine_config config = {
                .kvm_fd = h->kvm,
                .kernel_fd = h->kernel,
                .initrd_fd = -1,
                .vps = vps,
                .memory = GUEST_MEMORY,
                .cmdline = part,
                .stop_on_reset = stop_on_reset,
        };
        assert_ok(io_loop_new(&h->loop));
        ck_assert_msg(machine_new(h->loop, &config, &ops, h, &e, &h->machine) == 0, "%s", e.text);
        ck_assert_msg(machine_start(h->machine, &e) == 0, "%s", e.text);
}

static void run_for(struct host *h, uint64_t ms) {
        uint64_t until = clock_now_ns() + ms * CLOCK_NS_PER_MS;
        while (clock_now_ns() < until && h->stops == 0)
                ck_assert_int_ge(io_loop_once(h->loop, 10), 0);
}

static void run_restarts(struct host *h, unsigned n) {
        uint64_t until = clock_now_ns() + DEADLINE_MS * CLOCK_NS_PER_MS;
        while (h->restarts < n && h->stops == 0) {
                ck_assert_int_ge(io_loop_once(h->loop, 10), 0);
                ck_assert_uint_lt(clock_now_ns(), until);
        }
}

static unsigned open_descriptors(void) {
        unsigned n = 0;
        DIR *dir = opendir("/proc/self/fd");
        ck_assert_ptr_nonnull(dir);
        while (readdir(dir))
                n++;
        closedir(dir);
        return n;
}

static void end(struct host *h) {
        h->machine = machine_free(h->machine);
        h->loop = io_loop_free(h->loop);
        fd_close(h->kernel);
        fd_close(h->kvm);
}

/* Right after a restart no channel is open. */
START_TEST(ten_restarts_with_open_channels_leave_the_machine_as_it_was) {
        struct host h;
        start(&h, "restart", 2, false);
        run_restarts(&h, 1);
        unsigned before = open_descriptors();
        run_restarts(&h, 1 + RESTARTS);
        ck_assert_uint_eq(open_descriptors(), before);
        ck_assert_uint_eq(h.stops, 0);
        end(&h);
}
END_TEST

START_TEST(a_restart_ends_the_machine_where_it_is_told_to) {
        struct host h;
        start(&h, "restart", 1, true);
        run_for(&h, DEADLINE_MS);
        ck_assert_uint_eq(h.stops, 1);
        ck_assert_int_eq(h.why, MACHINE_RESET);
        ck_assert_uint_eq(h.restarts, 0);
        end(&h);
}
END_TEST

START_TEST(a_guest_that_spoils_its_rings_harms_nobody) {
        struct host h;
        start(&h, "malicious", 1, false);
        run_for(&h, NOISE_SECONDS * 1000);
        ck_assert_uint_eq(h.stops, 0);
        ck_assert_uint_eq(h.restarts, 0);
        end(&h);
}
END_TEST

START_TEST(a_guest_that_hangs_is_ended_within_a_second) {
        static const char *const hangs[] = {"spin", "Spin twice", "undefined", "halt"};
        for (size_t i = 0; i < ARRAY_SIZE(hangs); i++) {
                struct host h;
                start(&h, hangs[i], 2, false);
                run_for(&h, HANG_MS);
                ck_assert_uint_eq(h.stops, 0);
                uint64_t begin = clock_now_ns();
                end(&h);
                ck_assert_uint_lt(clock_now_ns() - begin, END_MS * CLOCK_NS_PER_MS);
        }
}
END_TEST

TEST_MAIN("guest-life", ten_restarts_with_open_channels_leave_the_machine_as_it_was,
        a_restart_ends_the_machine_where_it_is_told_to, a_guest_that_spoils_its_rings_harms_nobody,
        a_guest_that_hangs_is_ended_within_a_second)
