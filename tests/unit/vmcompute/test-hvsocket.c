// SPDX-License-Identifier: MIT
/* Programs of the host on Unix sockets; send() stands in for the worker. */
#include "../test.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include "base/clock.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/log.h"
#include "vmcompute/hvdir.h"
#include "vmcompute/hvsocket.h"
#include "wire/hresult.h"

enum { NOBODY = 65534 };

static char base[64];
static int base_fd;
static struct io_loop *loop;
static struct hvhost *host;
static struct jail_identity owner;
static struct guid runtime_id;
static const struct guid service = GUID_MAKE(0x16u, 0xfacb, 0x11e6, 0xbd58, 0x64006a7986d3);

/* What was sent: the last message and counts. */
static bool running;
static uint32_t last_id;
static struct ipc_message sent;
static int sent_fd;
static unsigned answers, refusals, dials;

static bool on_send(void *ctx, struct ipc_message *m, int fd) {
        (void)ctx;
        if (m->type == IPC_HVSOCKET_DIAL) {
                if (!running)
                        return false;
                m->id = ++last_id;
                dials++;
        } else {
                ck_assert_int_eq(m->type, IPC_HVSOCKET_ANSWER);
                ck_assert_int_eq(m->hresult != S_OK, fd < 0);
                ck_assert(guid_equal(&m->hvsocket.service, &service));
                answers += fd >= 0;
                refusals += fd < 0;
        }
        sent = *m;
        fd_close(sent_fd);
        sent_fd = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
        return true;
}

static const struct hvhost_ops ops = {.send = on_send};

static void begin_as(uid_t uid) {
        struct error e = {0};
        log_setup("test", LOG_ERROR);
        snprintf(base, sizeof base, "/tmp/sandbar-test-hvhost-XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(base));
        ck_assert_int_eq(chmod(base, 0755), 0);
        base_fd = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_ok(jail_identity_self(&owner));
        if (uid != owner.uid)
                owner = (struct jail_identity){.uid = uid, .gid = uid};
        guid_random(&runtime_id);
        assert_ok(io_loop_new(&loop));
        running = true;
        sent_fd = -1;
        last_id = 40;
        answers = refusals = dials = 0;
        assert_ok(hvhost_new(loop, base_fd, "a", &runtime_id, &owner, &ops, NULL, &e, &host));
}

static void begin(void) {
        begin_as(geteuid());
}

static void end(void) {
        host = hvhost_free(host);
        sent_fd = fd_close(sent_fd);
        io_loop_free(loop);
        close(base_fd);
        ck_assert_int_eq(rmdir(base), 0); /* nothing is left */
        ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
}

static struct sockaddr_un address(const char *name) {
        struct sockaddr_un sa = {.sun_family = AF_UNIX};
        snprintf(sa.sun_path, sizeof sa.sun_path, "%s/" HVDIR_ROOT "/a/%s", base, name);
        return sa;
}

static int serve(int backlog) {
        struct sockaddr_un sa = address("22");
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        ck_assert_int_eq(bind(fd, (const struct sockaddr *)&sa, sizeof sa), 0);
        ck_assert_int_eq(lchown(sa.sun_path, owner.uid, owner.gid), 0);
        ck_assert_int_eq(listen(fd, backlog), 0);
        return fd;
}

static int program(void) {
        struct sockaddr_un sa = address(HVDIR_CONNECT);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        ck_assert_int_eq(connect(fd, (const struct sockaddr *)&sa, sizeof sa), 0);
        return fd;
}

static void ask(uint64_t token) {
        struct ipc_message m = {
                .type = IPC_HVSOCKET_ASK, .hvsocket = {.token = token, .service = service}};
        hvhost_asked(host, &m);
}

static void turn(unsigned n) {
        for (unsigned i = 0; i < n; i++)
                assert_ok(io_loop_once(loop, 0));
}

#define await(condition)                                                                           \
        do {                                                                                       \
                for (unsigned n_ = 0; n_ < 1000 && !(condition); n_++)                             \
                        assert_ok(io_loop_once(loop, 10));                                         \
                ck_assert(condition);                                                              \
        } while (0)

static void tell(int fd, const char *text) {
        assert_ok(fd_write_full(fd, text, strlen(text)));
        turn(4);
}

/* All that has come, and whether it has ended. */
static void hears(int fd, const char *text, bool over) {
        char buf[512];
        ssize_t n = recv(fd, buf, sizeof buf - 1, MSG_DONTWAIT);
        buf[n > 0 ? n : 0] = 0;
        ck_assert_str_eq(buf, text);
        if (n != 0)
                n = recv(fd, buf, 1, MSG_DONTWAIT);
        ck_assert_int_eq(n, over ? 0 : -1);
}

static bool done(uint32_t id, uint32_t hresult, const char *text) {
        struct ipc_message m = {.type = IPC_DONE, .id = id, .hresult = hresult};
        snprintf(m.text, sizeof m.text, "%s", text);
        return hvhost_done(host, &m);
}

static bool joined(int a, int b) {
        char c = 0;
        return send(a, "x", 1, MSG_NOSIGNAL) == 1 && recv(b, &c, 1, 0) == 1 && c == 'x';
}

START_TEST(gives_a_guest_the_program_that_serves) {
        begin();
        ask(7);
        ck_assert_uint_eq(refusals, 1);
        ck_assert_uint_eq(sent.hvsocket.token, 7);
        ck_assert_uint_eq(sent.hresult, HCS_E_CONNECT_FAILED);
        ck_assert_str_ne(sent.text, "");
        int server = serve(4);
        ask(8);
        ck_assert_uint_eq(answers, 1);
        ck_assert_uint_eq(sent.hvsocket.token, 8);
        int peer = accept4(server, NULL, NULL, SOCK_CLOEXEC);
        ck_assert(joined(sent_fd, peer) && joined(peer, sent_fd));
        /* The daemon keeps nothing of it. */
        sent_fd = fd_close(sent_fd);
        ck_assert_int_eq(recv(peer, base, 1, 0), 0);
        close(peer);
        close(server);
        end();
}
END_TEST

START_TEST(waits_for_a_program_that_is_slow_to_accept) {
        begin();
        int server = serve(0);
        ask(1);
        ck_assert_uint_eq(answers, 1);
        ask(2);
        ask(3);
        turn(3);
        ck_assert_uint_eq(answers, 1);
        int first = accept4(server, NULL, NULL, SOCK_CLOEXEC);
        await(answers == 2);
        ck_assert_uint_eq(sent.hvsocket.token, 2); /* in order */
        uint64_t begun = clock_now_ns();
        await(refusals == 1);
        ck_assert_uint_eq(sent.hvsocket.token, 3);
        ck_assert_uint_le(clock_now_ns() - begun, 2 * HVDIR_CONNECT_MS * CLOCK_NS_PER_MS);
        /* One that goes away leaves nobody to wait for. */
        ask(4);
        ck_assert_uint_eq(refusals, 1);
        close(server);
        await(refusals == 2);
        close(first);
        end();
}
END_TEST

START_TEST(bounds_the_guests_that_wait) {
        begin();
        int server = serve(0);
        ask(1);
        for (uint64_t i = 0; i < HVHOST_ASKS_MAX; i++)
                ask(2 + i);
        ck_assert_uint_eq(refusals, 0);
        ask(1000);
        ck_assert_uint_eq(refusals, 1);
        ck_assert_uint_eq(sent.hvsocket.token, 1000);
        close(server);
        end(); /* the rest is never answered */
        ck_assert_uint_eq(refusals, 1);
}
END_TEST

START_TEST(dials_with_the_programs_own_descriptor) {
        begin();
        int fd = program();
        turn(2);
        tell(fd, "CONN");
        tell(fd, "ECT 22");
        ck_assert_uint_eq(dials, 0);
        tell(fd, "\nfor the guest\n");
        ck_assert_uint_eq(dials, 1);
        ck_assert(guid_equal(&sent.hvsocket.service, &service));
        ck_assert_uint_eq(sent.hvsocket.timeout_ms, HVHOST_DIAL_MS);
        ck_assert_str_eq(sent.text, "OK 22\n");
        hears(fd, "", false);
        ck_assert(!done(39, S_OK, ""));
        ck_assert(!done(0, S_OK, ""));
        ck_assert(done(41, S_OK, ""));
        ck_assert(!done(41, S_OK, "")); /* once */
        char text[32] = "";
        ck_assert_int_eq(recv(sent_fd, text, sizeof text, 0), 14);
        ck_assert_str_eq(text, "for the guest\n");
        ck_assert(joined(sent_fd, fd) && joined(fd, sent_fd));
        sent_fd = fd_close(sent_fd);
        hears(fd, "", true); /* ours was not the last */
        close(fd);
        end();
}
END_TEST

START_TEST(tells_a_program_why_not) {
        static const struct {
                const char *line, *answer;
        } lines[] = {
                {"\n", "expected"},
                {"CONNECT 22 \n", "expected"},
                {"CONNECT  22\n", "expected"},
                {"connect 22\n", "expected"},
                {"CONNECT 2147483648\n", "expected"},
                {"CONNECT\n", "expected"},
        };
        static const struct {
                uint32_t hresult;
                const char *text, *answer;
        } failures[] = {
                {HR_TIMEOUT, "x", "ERROR no program of the guest listened within 5 s\n"},
                {HR_ACCESS_DENIED, "x", "ERROR the service table does not allow it\n"},
                {HR_OUTOFMEMORY, "no memory", "ERROR no memory\n"},
        };
        begin();
        for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
                char text[256] = "";
                int fd = program();
                tell(fd, lines[i].line);
                tell(fd, "");
                ck_assert_int_gt(recv(fd, text, sizeof text - 1, MSG_DONTWAIT), 0);
                ck_assert_msg(strncmp(text, "ERROR ", 6) == 0 && strstr(text, lines[i].answer) &&
                                      text[strlen(text) - 1] == '\n',
                        "%s: %s", lines[i].line, text);
                hears(fd, "", true);
                close(fd);
        }
        ck_assert_uint_eq(dials, 0);
        for (size_t i = 0; i < ARRAY_SIZE(failures); i++) {
                int fd = program();
                tell(fd, "CONNECT 22\n");
                ck_assert(done(sent.id, failures[i].hresult, failures[i].text));
                sent_fd = fd_close(sent_fd); /* as the worker does */
                hears(fd, failures[i].answer, true);
                close(fd);
        }
        running = false;
        int fd = program();
        tell(fd, "CONNECT 22\n");
        hears(fd, "ERROR the system is not running\n", true);
        close(fd);
        end();
}
END_TEST

START_TEST(takes_the_longest_line_and_no_longer) {
        char line[HVHOST_LINE_MAX + 2];
        begin();
        memset(line, 'x', sizeof line);
        for (size_t extra = 0; extra < 2; extra++) {
                size_t n = HVHOST_LINE_MAX + extra;
                char text[256] = "";
                line[n] = '\n';
                int fd = program();
                assert_ok(fd_write_full(fd, line, n + 1));
                turn(4);
                ck_assert_int_gt(recv(fd, text, sizeof text - 1, MSG_DONTWAIT), 0);
                ck_assert_int_eq(strstr(text, "128") != NULL, extra == 1);
                hears(fd, "", true);
                close(fd);
                line[n] = 'x';
        }
        /* Bytes that come one by one are counted together. */
        int fd = program();
        for (unsigned i = 0; i < HVHOST_LINE_MAX; i++)
                tell(fd, "x");
        hears(fd, "", false);
        tell(fd, "x");
        hears(fd, "ERROR a line has at most 128 bytes\n", true);
        close(fd);
        /* A NUL ends no name. */
        fd = program();
        assert_ok(fd_write_full(fd, "CONNECT 22\0\n", 12));
        turn(4);
        ck_assert_uint_eq(dials, 0);
        close(fd);
        end();
}
END_TEST

START_TEST(bounds_the_programs_that_wait) {
        int fds[HVHOST_DIALS_MAX + 3];
        begin();
        for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
                fds[i] = program();
        turn(10);
        for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
                tell(fds[i], "CONNECT 22\n");
        ck_assert_uint_eq(dials, HVHOST_DIALS_MAX);
        /* Each place that gets free is the next one's. */
        ck_assert(done(41, S_OK, ""));
        turn(4);
        ck_assert_uint_eq(dials, HVHOST_DIALS_MAX + 1);
        ck_assert(done(42, HR_TIMEOUT, ""));
        close(fds[2]); /* one that leaves while it is dialled keeps its place until then */
        turn(4);
        ck_assert_uint_eq(dials, HVHOST_DIALS_MAX + 2);
        ck_assert(done(43, S_OK, ""));
        turn(4);
        ck_assert_uint_eq(dials, HVHOST_DIALS_MAX + 3);
        for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
                if (i != 2)
                        close(fds[i]);
        end();
}
END_TEST

START_TEST(lets_go_of_programs_that_leave) {
        begin();
        int silent = program(), half = program(), dialling = program();
        turn(4);
        tell(half, "CONNECT");
        tell(dialling, "CONNECT 22\n");
        close(silent);
        close(half);
        close(dialling);
        sent_fd = fd_close(sent_fd);
        turn(10);
        ck_assert_uint_eq(dials, 1);
        ck_assert(done(41, HCS_E_CONNECTION_CLOSED, "gone"));
        end();
}
END_TEST

START_TEST(connects_as_the_owner_in_a_process_of_its_own) {
        if (geteuid() != 0)
                return; /* only root acts for others */
        begin_as(NOBODY);
        ask(1); /* not worth a process */
        ck_assert_uint_eq(refusals, 1);
        int server = serve(64);
        ask(2);
        ck_assert_uint_eq(answers, 0);
        await(answers == 1);
        int peer = accept4(server, NULL, NULL, SOCK_CLOEXEC);
        struct ucred cred;
        socklen_t size = sizeof cred;
        ck_assert_int_eq(getsockopt(peer, SOL_SOCKET, SO_PEERCRED, &cred, &size), 0);
        ck_assert_uint_eq(cred.uid, NOBODY);
        ck_assert_uint_eq(cred.gid, NOBODY);
        ck_assert(joined(sent_fd, peer));
        close(peer);
        /* More at once than there may be processes. */
        for (uint64_t i = 0; i < 4 * HVHOST_CHILDREN_MAX; i++)
                ask(3 + i);
        await(answers == 1 + 4 * HVHOST_CHILDREN_MAX);
        close(server);
        ask(99); /* it does not listen any more */
        await(refusals == 2);

        struct sockaddr_un sa = address("22");
        ck_assert_int_eq(unlink(sa.sun_path), 0);
        server = serve(1);
        ck_assert_int_eq(chmod(sa.sun_path, 0600) | chown(sa.sun_path, 0, 0), 0);
        ask(100); /* what only root may */
        await(refusals == 3);
        ask(101);
        end(); /* while the process is at it */
        close(server);
}
END_TEST

START_TEST(sweep_of_faults_refuses_or_connects) {
        static const enum fault_kind kinds[] = {FAULT_ALLOC, FAULT_FD};
        for (unsigned n = 1;; n++) {
                struct error e = {0};
                begin();
                host = hvhost_free(host);
                fault_arm(FAULT_ALLOC, n);
                int r = hvhost_new(loop, base_fd, "a", &runtime_id, &owner, &ops, NULL, &e, &host);
                bool fired = fault_fired(FAULT_ALLOC);
                fault_arm(FAULT_ALLOC, 0);
                ck_assert_int_eq(r < 0, fired);
                ck_assert_int_eq(r < 0, e.hresult != 0);
                end();
                if (!fired)
                        break;
        }
        for (int as = 0; as < (geteuid() == 0 ? 2 : 1); as++)
                for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
                        for (unsigned n = 1;; n++) {
                                begin_as(as ? NOBODY : geteuid());
                                int server = serve(4);
                                fault_arm(kinds[k], n);
                                ask(1);
                                bool fired = fault_fired(kinds[k]);
                                fault_arm(kinds[k], 0);
                                await(answers + refusals == 1);
                                /* A fork that fails is tried again; a child has faults too. */
                                ck_assert(as || refusals == fired);
                                close(server);
                                end();
                                if (!fired)
                                        break;
                        }
        for (unsigned n = 1;; n++) {
                begin();
                fault_arm(FAULT_ALLOC, n);
                int fd = program();
                turn(4);
                bool fired = fault_fired(FAULT_ALLOC);
                fault_arm(FAULT_ALLOC, 0);
                (void)!send(fd, "CONNECT 22\n", 11, MSG_NOSIGNAL);
                turn(4);
                ck_assert_uint_eq(dials, !fired);
                close(fd);
                end();
                if (!fired)
                        break;
        }
}
END_TEST

TEST_MAIN("hvsocket", gives_a_guest_the_program_that_serves,
        waits_for_a_program_that_is_slow_to_accept, bounds_the_guests_that_wait,
        dials_with_the_programs_own_descriptor, tells_a_program_why_not,
        takes_the_longest_line_and_no_longer, bounds_the_programs_that_wait,
        lets_go_of_programs_that_leave, connects_as_the_owner_in_a_process_of_its_own,
        sweep_of_faults_refuses_or_connects)
