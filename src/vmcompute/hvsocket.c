// SPDX-License-Identifier: MIT
#include "vmcompute/hvsocket.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include "base/clock.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/log.h"
#include "io/chan.h"
#include "io/msg.h"
#include "vmcompute/hvdir.h"
#include "wire/hresult.h"
#include "wire/hvsocket.h"

enum {
        CHANNEL_FD = 3, /* in the child that connects */
        DIR_FD = 4,
        DRAIN_BYTES = 64 * 1024,
        ACCEPTS_PER_TURN = 32,
};

/* A guest that waits for a program of the host. */
struct ask {
        struct ask *next;
        struct hvhost *host;
        uint64_t token;
        struct guid service;
        uint64_t give_up_ns;
        struct io_chan *chan; /* to the child that connects; NULL: none */
        pid_t child;
};

/* A program of the host that waits for the guest. */
struct dial {
        struct dial *next;
        struct hvhost *host;
        int fd;
        struct io_source *source;
        struct io_timer *timer; /* for the line; then the guest's time is the worker's to count */
        char line[HVHOST_LINE_MAX + 2]; /* newline and NUL */
        size_t size;
        uint32_t id; /* of the DIAL; 0: the line is not whole */
};

struct hvhost {
        struct io_loop *loop;
        struct hvdir *dir;
        struct jail_identity owner;
        bool own; /* the owner is the daemon's user */
        const struct hvhost_ops *ops;
        void *ctx;

        struct ask *asks; /* oldest first */
        size_t n_asks, n_children;
        struct io_timer *retry_timer; /* an ask waits without a child, or accept() ran out */

        struct dial *dials;
        size_t n_dials;
        struct io_source *listener;
};

/* Guest to host */

static void answer(struct hvhost *host, uint64_t token, const struct guid *service, int fd) {
        struct ipc_message m = {.type = IPC_HVSOCKET_ANSWER,
                .hresult = fd >= 0 ? S_OK : HCS_E_CONNECT_FAILED,
                .hvsocket = {.token = token, .service = *service}};
        if (fd < 0)
                snprintf(m.text, sizeof m.text, "no program serves it");
        (void)!host->ops->send(host->ctx, &m, fd);
}

static void stop_child(struct ask *ask) {
        if (!ask->chan)
                return;
        ask->chan = io_chan_free(ask->chan);
        kill(ask->child, SIGKILL);
        while (waitpid(ask->child, NULL, 0) < 0 && errno == EINTR)
                ;
        ask->host->n_children--;
}

static void ask_free(struct ask *ask) {
        struct ask **at = &ask->host->asks;
        while (*at != ask)
                at = &(*at)->next;
        *at = ask->next;
        ask->host->n_asks--;
        stop_child(ask);
        free(ask);
}

/* fd < 0: a refusal. */
static void ask_done(struct ask *ask, int fd) {
        struct hvhost *host = ask->host;
        answer(host, ask->token, &ask->service, fd);
        ask_free(ask);
}

static _Noreturn void child(
        const struct hvhost *host, const struct guid *service, int chan, int dir, pid_t daemon) {
        /* Out of each other's way first. */
        int high_chan = fcntl(chan, F_DUPFD_CLOEXEC, DIR_FD + 1);
        int high_dir = fcntl(dir, F_DUPFD_CLOEXEC, DIR_FD + 1);
        if (high_chan < 0 || high_dir < 0 || dup2(high_chan, CHANNEL_FD) < 0 ||
                dup2(high_dir, DIR_FD) < 0 || close_range(DIR_FD + 1, ~0u, 0) < 0)
                _exit(1);
        alarm(HVDIR_CONNECT_MS / 1000 + 1);
        /* After the change of uid, which would undo it. A daemon that died meanwhile is noticed. */
        if (jail_become(&host->owner) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ||
                getppid() != daemon)
                _exit(1);
        int fd = hvdir_connect(DIR_FD, service, true);
        _exit(fd < 0 || io_msg_send(CHANNEL_FD, "", 1, &fd, 1) < 0);
}

static int on_child_message(
        void *ctx, _unused_ const void *data, _unused_ size_t size, int *fds, size_t n_fds) {
        struct ask *ask = ctx;
        ask_done(ask, n_fds == 1 ? fds[0] : -1);
        io_msg_close_fds(fds, n_fds);
        return 0;
}

static void on_child_closed(void *ctx, _unused_ int r) {
        ask_done(ctx, -1);
}

static const struct io_chan_ops child_ops = {
        .message = on_child_message,
        .closed = on_child_closed,
};

static int start_child(struct ask *ask) {
        struct hvhost *host = ask->host;
        int pair[2];
        int r = fd_socketpair(SOCK_SEQPACKET, pair);
        if (r < 0)
                return r;
        pid_t daemon = getpid();
        ask->child = fault_hit(FAULT_FD) ? (errno = EAGAIN, -1) : fork();
        if (ask->child == 0)
                child(host, &ask->service, pair[1], hvdir_fd(host->dir), daemon);
        r = ask->child < 0 ? -errno : 0;
        fd_close(pair[1]);
        if (r < 0) {
                fd_close(pair[0]);
                return r;
        }
        /* Takes pair[0] over even when it fails. */
        r = io_chan_new(host->loop, pair[0], &child_ops, ask, &ask->chan);
        if (r < 0) {
                kill(ask->child, SIGKILL);
                while (waitpid(ask->child, NULL, 0) < 0 && errno == EINTR)
                        ;
                return r;
        }
        host->n_children++;
        return 0;
}

/* A descriptor, -EAGAIN when a child is at it or it is to be tried again, or why not. */
static int try_ask(struct ask *ask) {
        struct hvhost *host = ask->host;
        if (host->own)
                return hvdir_connect(hvdir_fd(host->dir), &ask->service, false);
        if (!hvdir_serves(hvdir_fd(host->dir), &ask->service))
                return -ENOENT; /* not worth a process */
        if (host->n_children >= HVHOST_CHILDREN_MAX)
                return -EAGAIN;
        int r = start_child(ask);
        return r < 0 ? r : -EAGAIN;
}

static void on_retry(void *ctx) {
        struct hvhost *host = ctx;
        uint64_t now = clock_now_ns();
        bool waits = false;
        for (struct ask *ask = host->asks, *next; ask; ask = next) {
                next = ask->next;
                if (ask->chan)
                        continue;
                _cleanup_close_ int fd = -1;
                int r = now >= ask->give_up_ns ? -ETIMEDOUT : try_ask(ask);
                fd = r >= 0 ? r : -1;
                if (r != -EAGAIN)
                        ask_done(ask, fd);
                else
                        waits |= !ask->chan;
        }
        if (!waits)
                io_timer_disarm(host->retry_timer);
        if (host->n_dials < HVHOST_DIALS_MAX)
                (void)!io_source_watch(host->listener, IO_READ);
}

static void retry_later(struct hvhost *host) {
        if (!io_timer_armed(host->retry_timer))
                io_timer_arm(host->retry_timer, HVHOST_RETRY_MS * CLOCK_NS_PER_MS,
                        HVHOST_RETRY_MS * CLOCK_NS_PER_MS);
}

void hvhost_asked(struct hvhost *host, const struct ipc_message *m) {
        struct ask *ask = host->n_asks >= HVHOST_ASKS_MAX || fault_hit(FAULT_ALLOC)
                                  ? NULL
                                  : calloc(1, sizeof *ask);
        if (!ask) {
                answer(host, m->hvsocket.token, &m->hvsocket.service, -1);
                return;
        }
        *ask = (struct ask){.host = host,
                .token = m->hvsocket.token,
                .service = m->hvsocket.service,
                .give_up_ns = clock_now_ns() + HVDIR_CONNECT_MS * CLOCK_NS_PER_MS};
        struct ask **at = &host->asks;
        while (*at)
                at = &(*at)->next;
        *at = ask;
        host->n_asks++;
        _cleanup_close_ int fd = -1;
        int r = try_ask(ask);
        fd = r >= 0 ? r : -1;
        if (r != -EAGAIN)
                ask_done(ask, fd);
        else if (!ask->chan)
                retry_later(host);
}

/* Host to guest */

static void dial_free(struct dial *dial) {
        struct hvhost *host = dial->host;
        struct dial **at = &host->dials;
        while (*at != dial)
                at = &(*at)->next;
        *at = dial->next;
        io_source_free(dial->source);
        io_timer_free(dial->timer);
        fd_close(dial->fd);
        free(dial);
        host->n_dials--;
        if (host->listener && host->n_dials == HVHOST_DIALS_MAX - 1)
                (void)!io_source_watch(host->listener, IO_READ);
}

/* "ERROR reason", and the end. What the program has sent on is read, since closing would
 * otherwise take our line away from it. */
static void dial_fail(struct dial *dial, const char *fmt, ...) _printf_(2, 3);
static void dial_fail(struct dial *dial, const char *fmt, ...) {
        char text[HVHOST_LINE_MAX * 2];
        va_list args;
        va_start(args, fmt);
        int n = snprintf(text, sizeof text, "ERROR ");
        vsnprintf(text + n, sizeof text - (size_t)n - 1, fmt, args);
        va_end(args);
        n = (int)strlen(text);
        text[n++] = '\n';
        (void)!send(dial->fd, text, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
        for (size_t left = DRAIN_BYTES; left >= sizeof text; left -= sizeof text)
                if (recv(dial->fd, text, sizeof text, MSG_DONTWAIT) <= 0)
                        break;
        dial_free(dial);
}

static void on_line_timeout(void *ctx) {
        dial_fail(ctx, "no line within %d s", HVHOST_LINE_MS / 1000);
}

static void dial_line(struct dial *dial) {
        static const char verb[] = "CONNECT ";
        struct guid service;
        const char *name = dial->line + sizeof verb - 1;
        /* A NUL in the line ends the text early, and is no part of any service. */
        if (strncmp(dial->line, verb, sizeof verb - 1) != 0 || strlen(dial->line) != dial->size ||
                !hvdir_parse_service(name, &service)) {
                dial_fail(dial, "expected: CONNECT, a blank, and a GUID or a port from 0 to %d",
                        HVSOCKET_LISTEN_PORT_MAX);
                return;
        }
        struct ipc_message m = {.type = IPC_HVSOCKET_DIAL,
                .hvsocket = {.service = service, .timeout_ms = HVHOST_DIAL_MS}};
        snprintf(m.text, sizeof m.text, "OK %s\n", name);
        io_timer_disarm(dial->timer);
        /* What follows the line is the guest's. */
        (void)!io_source_watch(dial->source, 0);
        if (dial->host->ops->send(dial->host->ctx, &m, dial->fd))
                dial->id = m.id;
        else
                dial_fail(dial, "the system is not running");
}

/* Takes bytes up to the newline and none behind it. */
static void on_dial(void *ctx, unsigned events) {
        struct dial *dial = ctx;
        if (dial->id) {
                /* The program is gone. The worker finds out as well; without the source the event
                 * does not come again. */
                dial->source = io_source_free(dial->source);
                return;
        }
        char *end = dial->line + dial->size;
        size_t room = HVHOST_LINE_MAX + 1 - dial->size;
        ssize_t n = recv(dial->fd, end, room, MSG_PEEK | MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR) && !(events & IO_HANGUP))
                return;
        if (n <= 0) {
                dial_free(dial);
                return;
        }
        const char *newline = memchr(end, '\n', (size_t)n);
        size_t take = newline ? (size_t)(newline - end) + 1 : (size_t)n;
        if (recv(dial->fd, end, take, MSG_DONTWAIT) != (ssize_t)take) {
                dial_free(dial); /* another process reads the same socket */
                return;
        }
        dial->size += newline ? take - 1 : take;
        dial->line[dial->size] = 0;
        if (newline)
                dial_line(dial);
        else if (dial->size > HVHOST_LINE_MAX)
                dial_fail(dial, "a line has at most %d bytes", HVHOST_LINE_MAX);
}

/* Takes fd over. */
static int dial_new(struct hvhost *host, int fd_consume) {
        _cleanup_close_ int fd = fd_consume;
        struct dial *dial = fault_hit(FAULT_ALLOC) ? NULL : calloc(1, sizeof *dial);
        if (!dial)
                return -ENOMEM;
        *dial = (struct dial){.next = host->dials, .host = host, .fd = TAKE_FD(fd)};
        host->dials = dial;
        host->n_dials++;
        int r = io_timer_new(host->loop, on_line_timeout, dial, &dial->timer);
        if (r == 0)
                r = io_source_new(host->loop, dial->fd, IO_READ, on_dial, dial, &dial->source);
        if (r < 0) {
                dial_free(dial);
                return r;
        }
        io_timer_arm(dial->timer, HVHOST_LINE_MS * CLOCK_NS_PER_MS, 0);
        return 0;
}

static void on_connection(void *ctx, _unused_ unsigned events) {
        struct hvhost *host = ctx;
        for (int i = 0; i < ACCEPTS_PER_TURN && host->n_dials < HVHOST_DIALS_MAX; i++) {
                int fd = accept4(
                        hvdir_listen_fd(host->dir), NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
                if (fd < 0 && errno != EAGAIN && errno != ECONNABORTED) {
                        /* Level-triggered: without a pause this would spin. */
                        (void)!io_source_watch(host->listener, 0);
                        retry_later(host);
                }
                if (fd < 0)
                        return;
                int r = dial_new(host, fd);
                if (r < 0)
                        log_debug("hvsocket: a program was refused: %s", strerror(-r));
        }
        if (host->n_dials >= HVHOST_DIALS_MAX)
                (void)!io_source_watch(host->listener, 0);
}

bool hvhost_done(struct hvhost *host, const struct ipc_message *m) {
        struct dial *dial = host->dials;
        while (dial && (dial->id == 0 || dial->id != m->id))
                dial = dial->next;
        if (!dial)
                return false;
        if (m->hresult == S_OK)
                dial_free(dial);
        else if (m->hresult == HR_TIMEOUT)
                dial_fail(dial, "no program of the guest listened within %d s",
                        HVHOST_DIAL_MS / 1000);
        else if (m->hresult == HR_ACCESS_DENIED)
                dial_fail(dial, "the service table does not allow it");
        else
                dial_fail(dial, "%.*s", HVHOST_LINE_MAX, m->text);
        return true;
}

/* The whole */

int hvhost_new(struct io_loop *loop, int base_fd, const char *id, const struct guid *runtime_id,
        const struct jail_identity *owner, const struct hvhost_ops *ops, void *ctx, struct error *e,
        struct hvhost **ret) {
        _cleanup_(hvhost_freep) struct hvhost *host =
                fault_hit(FAULT_ALLOC) ? NULL : calloc(1, sizeof *host);
        if (!host)
                return error_set(e, -ENOMEM, 0, "no memory for hvsockets");
        host->loop = loop;
        host->owner = *owner;
        host->own = owner->uid == geteuid();
        host->ops = ops;
        host->ctx = ctx;
        int r = hvdir_new(base_fd, id, runtime_id, owner, e, &host->dir);
        if (r < 0)
                return r;
        r = io_timer_new(loop, on_retry, host, &host->retry_timer);
        if (r == 0)
                r = io_source_new(loop, hvdir_listen_fd(host->dir), IO_READ, on_connection, host,
                        &host->listener);
        if (r < 0)
                return error_set(e, r, 0, "cannot serve hvsockets: %s", strerror(-r));
        *ret = TAKE_PTR(host);
        return 0;
}

struct hvhost *hvhost_free(struct hvhost *host) {
        if (!host)
                return NULL;
        host->listener = io_source_free(host->listener);
        while (host->asks)
                ask_free(host->asks);
        while (host->dials)
                dial_free(host->dials);
        io_timer_free(host->retry_timer);
        hvdir_free(host->dir);
        free(host);
        return NULL;
}
