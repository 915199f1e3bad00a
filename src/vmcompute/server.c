// SPDX-License-Identifier: MIT
#include "vmcompute/server.h"
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include "base/clock.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/log.h"
#include "vmcompute/hvdir.h"
#include "wire/hresult.h"

enum {
        BACKLOG = 128,
        ACCEPTS_PER_TURN = 32,
        RETRY_MS = 100, /* after accept() ran out of descriptors or memory */
};

static bool all_stopped(const struct vmcompute *vc) {
        for (const struct system *s = vc->systems; s; s = s->next)
                if (s->state != SYSTEM_STOPPED)
                        return false;
        return true;
}

void vmcompute_settle(struct vmcompute *vc) {
        if (vc->options.private_connection && vc->n_conns == 0 && !vc->stopping)
                vmcompute_stop(vc);
        if (vc->stopping && !vc->finished && all_stopped(vc)) {
                vc->finished = true;
                vc->options.finished(vc->options.ctx);
        }
        bool idle = vc->n_conns == 0 && !vc->systems;
        if (!idle || vc->options.idle_timeout_ms == 0)
                io_timer_disarm(vc->idle_timer);
        else if (!io_timer_armed(vc->idle_timer))
                io_timer_arm(vc->idle_timer, vc->options.idle_timeout_ms * CLOCK_NS_PER_MS, 0);
}

void vmcompute_stop(struct vmcompute *vc) {
        if (vc->stopping)
                return;
        vc->stopping = true;
        vc->listener = io_source_free(vc->listener);
        for (struct system *s = vc->systems, *next; s; s = next) {
                next = s->next;
                system_terminate(s);
        }
        vmcompute_settle(vc);
}

static void on_idle(void *ctx) {
        log_info("nothing to do for %u s: ending",
                ((struct vmcompute *)ctx)->options.idle_timeout_ms / 1000);
        vmcompute_stop(ctx);
}

/* Connections */

/* A connection that never said anything makes room for one that may. */
static bool make_room(struct vmcompute *vc, uid_t uid) {
        size_t of_uid = 0;
        struct conn *oldest = NULL, *oldest_of_uid = NULL;
        for (struct conn *c = vc->conns; c; c = c->next) {
                bool same = c->who.uid == uid;
                of_uid += same;
                if (c->half_open)
                        oldest = c;
                if (c->half_open && same)
                        oldest_of_uid = c;
        }
        struct conn *victim = of_uid >= VMCOMPUTE_CONNECTIONS_UID_MAX    ? oldest_of_uid
                              : vc->n_conns >= VMCOMPUTE_CONNECTIONS_MAX ? oldest
                                                                         : NULL;
        conn_free(victim);
        return victim ||
               (of_uid < VMCOMPUTE_CONNECTIONS_UID_MAX && vc->n_conns < VMCOMPUTE_CONNECTIONS_MAX);
}

int vmcompute_serve(struct vmcompute *vc, int fd_consume) {
        _cleanup_close_ int fd = fd_consume;
        _cleanup_free_ struct jail_identity *who =
                fault_hit(FAULT_ALLOC) ? NULL : malloc(sizeof *who);
        if (!who)
                return -ENOMEM;
        int r = jail_identity_peer(fd, who);
        if (r < 0)
                return r;
        /* A daemon without root's rights could not take on another user's. */
        if (vc->uid != 0 && who->uid != vc->uid && who->uid != 0)
                return -EPERM;
        if (!make_room(vc, who->uid))
                return -ENOBUFS;
        struct conn *conn;
        r = conn_new(vc, TAKE_FD(fd), who, &conn);
        if (r < 0)
                return r;
        /* The one connection of a private daemon is not in anybody's way. */
        if (!vc->options.private_connection)
                io_timer_arm(conn->half_open, VMCOMPUTE_HALF_OPEN_MS * CLOCK_NS_PER_MS, 0);
        io_timer_disarm(vc->idle_timer);
        return 0;
}

static void on_connection(void *ctx, _unused_ unsigned events) {
        struct vmcompute *vc = ctx;
        for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
                int fd = accept4(vc->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
                if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
                                      errno == ENOMEM)) {
                        /* Level-triggered: without a pause this would spin. */
                        (void)!io_source_watch(vc->listener, 0);
                        io_timer_arm(vc->retry_timer, RETRY_MS * CLOCK_NS_PER_MS, 0);
                }
                if (fd < 0)
                        return;
                int r = vmcompute_serve(vc, fd);
                if (r < 0)
                        log_debug("a connection was refused: %s", strerror(-r));
        }
}

static void on_retry(void *ctx) {
        struct vmcompute *vc = ctx;
        if (vc->listener)
                (void)!io_source_watch(vc->listener, IO_READ);
}

/* Where a listening socket stands; -1 for one without a path, or whose path is gone. */
static int open_directory(int fd) {
        struct sockaddr_un sa = {0};
        socklen_t size = sizeof sa - 1; /* a path of full length has no NUL */
        if (getsockname(fd, (struct sockaddr *)&sa, &size) < 0 || sa.sun_family != AF_UNIX ||
                !sa.sun_path[0])
                return -1;
        return open(dirname(sa.sun_path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int vmcompute_listen(struct vmcompute *vc, int fd_consume) {
        _cleanup_close_ int fd = fd_consume;
        int r = fd_set_nonblock(fd, true);
        if (r == 0)
                r = io_source_new(vc->loop, fd, IO_READ, on_connection, vc, &vc->listener);
        if (r < 0)
                return r;
        vc->listen_fd = TAKE_FD(fd);
        vc->dir_fd = open_directory(vc->listen_fd);
        hvdir_sweep(vc->dir_fd);
        vmcompute_settle(vc);
        return 0;
}

/* Life */

int vmcompute_new(
        struct io_loop *loop, const struct vmcompute_options *options, struct vmcompute **ret) {
        _cleanup_(vmcompute_freep) struct vmcompute *vc =
                fault_hit(FAULT_ALLOC) ? NULL : calloc(1, sizeof *vc);
        if (!vc)
                return -ENOMEM;
        vc->loop = loop;
        vc->options = *options;
        vc->uid = geteuid();
        vc->listen_fd = vc->dir_fd = -1;
        int r = io_timer_new(loop, on_idle, vc, &vc->idle_timer);
        if (r == 0)
                r = io_timer_new(loop, on_retry, vc, &vc->retry_timer);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(vc);
        return 0;
}

struct vmcompute *vmcompute_free(struct vmcompute *vc) {
        if (!vc)
                return NULL;
        vc->finished = vc->stopping = true; /* nobody is told any more */
        while (vc->conns)
                conn_free(vc->conns);
        while (vc->systems)
                system_free(vc->systems);
        io_source_free(vc->listener);
        fd_close(vc->listen_fd);
        fd_close(vc->dir_fd);
        io_timer_free(vc->idle_timer);
        io_timer_free(vc->retry_timer);
        free(vc);
        return NULL;
}

/* The socket */

static bool somebody_answers(const struct sockaddr_un *sa) {
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        return fd >= 0 &&
               (connect(fd, (const struct sockaddr *)sa, sizeof *sa) == 0 || errno == EAGAIN);
}

/* The directory is locked meanwhile, so that of two daemons that start at once one wins. */
static int bind_locked(int fd, const struct sockaddr_un *sa, struct error *e) {
        char dir[sizeof sa->sun_path];
        memcpy(dir, sa->sun_path, sizeof dir);
        _cleanup_close_ int lock = open(dirname(dir), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (lock < 0 || flock(lock, LOCK_EX) < 0)
                return error_set(e, -errno, 0, "the directory of \"%s\": %m", sa->sun_path);
        const struct sockaddr *addr = (const struct sockaddr *)sa;
        if (bind(fd, addr, sizeof *sa) == 0)
                return 0;
        if (errno != EADDRINUSE)
                return error_set(e, -errno, 0, "cannot bind \"%s\": %m", sa->sun_path);
        if (somebody_answers(sa))
                return error_set(e, -EADDRINUSE, HR_ALREADY_EXISTS,
                        "another vmcomputed serves \"%s\"", sa->sun_path);
        struct stat st;
        if (lstat(sa->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
                return error_set(e, -EEXIST, 0, "\"%s\" exists and is no socket", sa->sun_path);
        if (unlink(sa->sun_path) < 0 || bind(fd, addr, sizeof *sa) < 0)
                return error_set(e, -errno, 0, "cannot replace \"%s\": %m", sa->sun_path);
        return 0;
}

int vmcompute_bind(const char *path, struct error *e, int *ret_fd) {
        struct sockaddr_un sa = {.sun_family = AF_UNIX};
        if (strlen(path) >= sizeof sa.sun_path)
                return error_set(e, -ENAMETOOLONG, HR_BAD_PATHNAME,
                        "the socket's path \"%s\" has more than %zu bytes", path,
                        sizeof sa.sun_path - 1);
        memcpy(sa.sun_path, path, strlen(path));
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return error_set(e, -errno, 0, "cannot make a socket: %m");
        mode_t mask = umask(0177);
        int r = bind_locked(fd, &sa, e);
        umask(mask);
        if (r < 0)
                return r;
        if (listen(fd, BACKLOG) < 0) {
                r = error_set(e, -errno, 0, "cannot listen at \"%s\": %m", path);
                (void)unlink(path);
                return r;
        }
        *ret_fd = TAKE_FD(fd);
        return 0;
}
