// SPDX-License-Identifier: MIT
/* Connections between a guest on a real KVM and programs of the host. The guest's side is
 * payload-hvsocket.c. The bus runs on a thread of its own, as in the worker; each connection's
 * program is a thread that reads and writes a blocking socket. */
#include <signal.h>
#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "../unit/test.h"
#include "base/fd.h"
#include "harness.h"
#include "hvsocket/hvsocket.h"
#include "vmwp/bus.h"

enum { PORT_ECHO = 1, PORT_ANSWER = 2, PORT_BANNER = 3, PORT_CLOSED = 4, PORT_GUEST = 22 };
enum {
        CONNECTIONS = 2000,
        CONNECTIONS_REPORT = 100,
        DIAL_TIMEOUT_MS = 5000,
        HOST_CONNECTIONS = 1000
};

struct host {
        struct guest *guest;
        struct io_loop *loop;
        struct vmbus *vmbus;
        struct hvsocket *hvsocket;
        pthread_t thread;
        atomic_uint accepted, programs; /* programs: running */
        unsigned problems, resets;
        size_t left; /* connections at the end */
        atomic_int dialled;
};

static uint16_t on_message(void *ctx, uint32_t vp, uint32_t connection_id, uint32_t type,
        const void *payload, size_t size) {
        struct host *h = ctx;
        (void)vp;
        return bus_post_message(h->vmbus, connection_id, type, payload, size);
}

static void on_slot_free(void *ctx, uint32_t vp, uint8_t sint) {
        struct host *h = ctx;
        (void)vp;
        (void)sint;
        bus_slot_free(h->vmbus);
}

/* The host's programs */

struct program {
        struct host *host;
        uint32_t port;
        int fd;
};

static void run_echo(int fd) {
        static _Thread_local char buf[4096];
        for (ssize_t n; (n = read(fd, buf, sizeof buf)) > 0;)
                if (fd_write_full(fd, buf, (size_t)n) < 0)
                        return;
}

static bool reads(int fd, const char *text) {
        char buf[64];
        ssize_t n = fd_read_full(fd, buf, sizeof buf);
        return n == (ssize_t)strlen(text) && memcmp(buf, text, (size_t)n) == 0;
}

static void run_answer(int fd) {
        if (reads(fd, "question"))
                (void)!fd_write_full(fd, "answer to question", 18);
}

static void run_banner(int fd) {
        (void)!fd_write_full(fd, "banner", 6);
        shutdown(fd, SHUT_WR);
        if (!reads(fd, "still here"))
                abort();
}

static void run_caller(int fd) {
        char buf[64];
        (void)!fd_write_full(fd, "hello guest", 11);
        if (!reads(fd, "hello host"))
                abort();
        (void)!read(fd, buf, sizeof buf);
}

static void *run_program(void *arg) {
        struct program *p = arg;
        static void (*const programs[])(int) = {
                [PORT_ECHO] = run_echo,
                [PORT_ANSWER] = run_answer,
                [PORT_BANNER] = run_banner,
                [PORT_GUEST] = run_caller,
        };
        programs[p->port](p->fd);
        close(p->fd);
        atomic_fetch_sub(&p->host->programs, 1);
        free(p);
        return NULL;
}

/* Starts the program of a port; the other end of its socket. */
static int start_program(struct host *h, uint32_t port) {
        int fds[2];
        pthread_t thread;
        pthread_attr_t attr;
        struct program *p = malloc(sizeof *p);
        assert_ok(fd_socketpair(SOCK_STREAM, fds));
        *p = (struct program){.host = h, .port = port, .fd = fds[0]};
        atomic_fetch_add(&h->programs, 1);
        pthread_attr_init(&attr);
        pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
        ck_assert_int_eq(pthread_create(&thread, &attr, run_program, p), 0);
        pthread_attr_destroy(&attr);
        return fds[1];
}

/* hvsocket's callbacks, on the loop's thread */

static void on_asked(
        void *ctx, uint64_t token, const struct guid *service, const struct guid *endpoint) {
        struct host *h = ctx;
        uint32_t port = 0;
        (void)endpoint;
        ck_assert(hvsocket_port_of_service(service, &port));
        ck_assert(port >= PORT_ECHO && port <= PORT_BANNER);
        atomic_fetch_add(&h->accepted, 1);
        ck_assert_int_eq(hvsocket_accept(h->hvsocket, token, start_program(h, port)), 0);
}

static void on_reset(void *ctx) {
        ((struct host *)ctx)->resets++;
}

static void on_problem(void *ctx, const struct guid *service, int r) {
        (void)service;
        fprintf(stderr, "hvsocket: %s\n", strerrorname_np(-r));
        ((struct host *)ctx)->problems++;
}

static const struct hvsocket_ops hvsocket_callbacks = {
        .asked = on_asked, .reset = on_reset, .problem = on_problem};

static void on_dialled(void *ctx, int r) {
        atomic_store(&((struct host *)ctx)->dialled, r);
}

static void dial(void *ctx) {
        struct host *h = ctx;
        const struct guid service = hvsocket_service_of_port(PORT_GUEST);
        hvsocket_dial(h->hvsocket, &service, start_program(h, PORT_GUEST), DIAL_TIMEOUT_MS,
                on_dialled, h);
}

static void *run_loop(void *arg) {
        struct host *h = arg;
        return io_loop_run(h->loop) < 0 ? h : NULL;
}

static const struct vmm_ops guest_ops = {
        .post_message = on_message, .message_slot_free = on_slot_free};

static struct host *host_new(const char *part) {
        struct host *h = calloc(1, sizeof *h);
        const struct guest_config config = {
                .payload = "hvsocket", .cmdline = part, .ops = &guest_ops, .ctx = h};
        const struct hvsocket_rule closed = {hvsocket_service_of_port(PORT_CLOSED), false, false};
        atomic_store(&h->dialled, 1);
        h->guest = guest_new(&config);
        struct vmm *vmm = guest_vmm(h->guest);
        assert_ok(io_loop_new(&h->loop));
        assert_ok(vmbus_new(vmm_gmem(vmm), h->loop, &bus_ops, vmm, &h->vmbus));
        assert_ok(hvsocket_new(h->vmbus, h->loop, &hvsocket_callbacks, h, &h->hvsocket));
        assert_ok(hvsocket_set_table(h->hvsocket, &closed, 1, true, true));
        ck_assert_int_eq(pthread_create(&h->thread, NULL, run_loop, h), 0);
        guest_start(h->guest);
        return h;
}

static void sleep_ms(unsigned ms) {
        const struct timespec t = {.tv_nsec = ms * 1000000L};
        nanosleep(&t, NULL);
}

static void count_left(void *ctx) {
        struct host *h = ctx;
        h->left = hvsocket_connections(h->hvsocket);
        io_loop_stop(h->loop);
}

/* Waits for the guest's end and for the programs'; its status. */
static int host_finish(struct host *h) {
        int type = guest_wait(h->guest, NULL);
        int status = type == VMM_EVENT_POWER_OFF ? guest_status(h->guest) : -1;
        if (status != 0)
                fprintf(stderr, "event %d, console:\n%s\n", type, guest_console(h->guest));
        for (unsigned i = 0; i < 1000 && atomic_load(&h->programs) > 0; i++)
                sleep_ms(1);
        void *failed;
        assert_ok(io_loop_post(h->loop, count_left, h));
        pthread_join(h->thread, &failed);
        ck_assert_ptr_null(failed);
        return status;
}

static struct host *host_free(struct host *h) {
        vmm_pause(guest_vmm(h->guest));
        vmbus_free(h->vmbus);
        hvsocket_free(h->hvsocket);
        io_loop_free(h->loop);
        guest_free(h->guest);
        free(h);
        return NULL;
}

static void run(struct host *h, unsigned connections) {
        ck_assert_int_eq(host_finish(h), 0);
        ck_assert_uint_eq(atomic_load(&h->accepted), connections);
        ck_assert_uint_eq(atomic_load(&h->programs), 0);
        ck_assert_uint_eq(h->left, 0);
        ck_assert_uint_eq(h->problems, 0);
        host_free(h);
}

static void run_part(const char *part, unsigned connections) {
        run(host_new(part), connections);
}

START_TEST(bytes_come_back_as_they_went) {
        run_part("echo", 1);
}
END_TEST

START_TEST(each_side_closes_its_half) {
        run_part("half", 2);
}
END_TEST

START_TEST(the_table_refuses) {
        run_part("refused", 0);
}
END_TEST

START_TEST(a_guest_that_starts_anew_connects_again) {
        run_part("again", 2);
}
END_TEST

START_TEST(the_host_dials) {
        struct host *h = host_new("listen");
        ck_assert(guest_expect(h->guest, "listening\n"));
        assert_ok(io_loop_post(h->loop, dial, h));
        while (atomic_load(&h->dialled) == 1)
                sleep_ms(1);
        ck_assert_int_eq(atomic_load(&h->dialled), 0);
        run(h, 0);
}
END_TEST

START_TEST(the_host_dials_a_thousand_times) {
        struct host *h = host_new("many");
        ck_assert(guest_expect(h->guest, "listening\n"));
        for (unsigned i = 0; i < HOST_CONNECTIONS; i++) {
                atomic_store(&h->dialled, 1);
                assert_ok(io_loop_post(h->loop, dial, h));
                while (atomic_load(&h->dialled) == 1)
                        sleep_ms(1);
                ck_assert_int_eq(atomic_load(&h->dialled), 0);
        }
        run(h, 0);
}
END_TEST

static unsigned count_fds(void) {
        DIR *dir = opendir("/proc/self/fd");
        unsigned n = 0;
        while (readdir(dir))
                n++;
        closedir(dir);
        return n;
}

/* The deadline holds for each report: on a busy machine, opening and closing takes milliseconds. */
START_TEST(thousands_of_short_connections) {
        unsigned fds = count_fds();
        struct host *h = host_new("short");
        for (unsigned n = CONNECTIONS_REPORT; n <= CONNECTIONS; n += CONNECTIONS_REPORT) {
                char text[32];
                snprintf(text, sizeof text, "connections %u\n", n);
                ck_assert(guest_expect(h->guest, text));
        }
        run(h, CONNECTIONS);
        ck_assert_uint_eq(count_fds(), fds);
}
END_TEST

int main(void) {
        guest_kill_deadline(110);
        /* A program whose guest starts anew writes to nobody. */
        sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
        const test_fn tests[] = {
                bytes_come_back_as_they_went,
                each_side_closes_its_half,
                the_table_refuses,
                a_guest_that_starts_anew_connects_again,
                the_host_dials,
                the_host_dials_a_thousand_times,
                thousands_of_short_connections,
        };
        return test_run("guest-hvsocket", tests, sizeof tests / sizeof *tests, 90);
}
