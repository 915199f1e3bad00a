// SPDX-License-Identifier: MIT
#include "vmcompute/worker.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include "base/clock.h"
#include "base/fault.h"
#include "base/fd.h"

enum {
        CHANNEL_FD = 3,    /* in the worker */
        EXEC_FAILED = 127, /* the child could not become a worker */
        CAUSE_MAX = 256,
};

struct worker {
        pid_t pid; /* 0 once reaped */
        int pidfd;
        struct io_source *exit_source;
        struct io_chan *chan; /* NULL once closed */
        struct io_timer *kill_timer;
        struct ipc_order order;
        const struct worker_ops *ops;
        void *ctx;
        bool orderly;
        bool broke_protocol;
        char cause[CAUSE_MAX];
};

static _Noreturn void child(
        const char *program, const struct jail_identity *owner, int chan, pid_t daemon) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
                _exit(EXEC_FAILED);
        /* Both ends of dup2() may be the same, which would keep CLOEXEC. */
        if (chan == CHANNEL_FD ? fcntl(chan, F_SETFD, 0) < 0 : dup2(chan, CHANNEL_FD) < 0)
                _exit(EXEC_FAILED);
        /* What the daemon's parent left open without CLOEXEC. */
        if (close_range(CHANNEL_FD + 1, ~0u, 0) < 0)
                _exit(EXEC_FAILED);
        /* Out of the terminal's foreground group: Ctrl-C is the client's to handle. */
        setsid();
        if (jail_become(owner) < 0)
                _exit(EXEC_FAILED);
        /* After the change of uid, which would undo it. A daemon that died meanwhile is noticed. */
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != daemon)
                _exit(EXEC_FAILED);
        char fd[] = "3";
        char *const argv[] = {strdup(program), fd, NULL};
        execv(program, argv);
        _exit(EXEC_FAILED);
}

static void describe(struct worker *w, const siginfo_t *info) {
        w->orderly = false;
        if (w->broke_protocol)
                snprintf(w->cause, sizeof w->cause, "the worker broke the protocol");
        else if (info->si_code != CLD_EXITED)
                snprintf(w->cause, sizeof w->cause, "the worker was killed by signal %d (%s)",
                        info->si_status, strsignal(info->si_status));
        else if (info->si_status == EXEC_FAILED)
                snprintf(w->cause, sizeof w->cause,
                        "the worker's program could not be executed; is vmwp installed beside "
                        "vmcomputed?");
        else
                snprintf(w->cause, sizeof w->cause, "the worker ended with status %d",
                        info->si_status);
        w->orderly = !w->broke_protocol && info->si_code == CLD_EXITED && info->si_status == 0;
}

static void maybe_ended(struct worker *w) {
        char cause[CAUSE_MAX]; /* the worker may be freed before it is read */
        if (w->pid != 0 || w->chan)
                return;
        memcpy(cause, w->cause, sizeof cause);
        w->ops->ended(w->ctx, w->orderly, cause);
}

static void on_exit_status(void *ctx, _unused_ unsigned events) {
        struct worker *w = ctx;
        siginfo_t info = {0};
        if (waitid(P_PIDFD, (id_t)w->pidfd, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0)
                return;
        w->pid = 0;
        w->exit_source = io_source_free(w->exit_source);
        io_timer_disarm(w->kill_timer);
        describe(w, &info);
        maybe_ended(w);
}

static void on_kill_timer(void *ctx) {
        worker_kill(ctx);
}

static int on_message(void *ctx, const void *data, size_t size, int *fds, size_t n_fds) {
        struct worker *w = ctx;
        struct ipc_message m;
        int r = ipc_decode(IPC_DAEMON, data, size, n_fds, &m);
        for (size_t i = 0; i < n_fds; i++)
                fd_close(fds[i]);
        if (r < 0)
                return r;
        r = ipc_order_check(&w->order, &m);
        if (r == 0)
                w->ops->message(w->ctx, &m);
        ipc_message_done(&m);
        return r;
}

static void on_closed(void *ctx, int r) {
        struct worker *w = ctx;
        w->chan = io_chan_free(w->chan);
        if (r < 0 && r != -ENOMEM)
                w->broke_protocol = true;
        if (r < 0)
                worker_kill(w);
        else
                worker_expect_end(w);
        maybe_ended(w);
}

static const struct io_chan_ops chan_ops = {.message = on_message, .closed = on_closed};

static int fork_worker(struct worker *w, const char *program, const struct jail_identity *owner,
        int chan, struct error *e) {
        pid_t daemon = getpid();
        w->pid = fault_hit(FAULT_FD) ? (errno = EAGAIN, -1) : fork();
        if (w->pid < 0) {
                w->pid = 0;
                return error_set(e, -errno, 0, "cannot start a worker process: %m");
        }
        if (w->pid == 0)
                child(program, owner, chan, daemon);
        w->pidfd = fault_hit(FAULT_FD) ? (errno = EMFILE, -1) : pidfd_open(w->pid, 0);
        return w->pidfd < 0 ? error_set(e, -errno, 0, "cannot watch the worker: %m") : 0;
}

int worker_spawn(struct io_loop *loop, const char *program, const struct jail_identity *owner,
        const struct worker_ops *ops, void *ctx, struct error *e, struct worker **ret) {
        struct worker *w = fault_hit(FAULT_ALLOC) ? NULL : calloc(1, sizeof *w);
        if (!w)
                return error_set(e, -ENOMEM, 0, "no memory for a worker");
        w->pidfd = -1;
        w->ops = ops;
        w->ctx = ctx;
        int pair[2];
        int r = fd_socketpair(SOCK_SEQPACKET, pair);
        if (r == 0) {
                r = fork_worker(w, program, owner, pair[1], e);
                fd_close(pair[1]);
                /* Takes pair[0] over even when it fails. */
                if (r == 0)
                        r = io_chan_new(loop, pair[0], &chan_ops, w, &w->chan);
                else
                        fd_close(pair[0]);
        }
        if (r == 0)
                r = io_timer_new(loop, on_kill_timer, w, &w->kill_timer);
        if (r == 0)
                r = io_source_new(loop, w->pidfd, IO_READ, on_exit_status, w, &w->exit_source);
        if (r < 0) {
                worker_free(w);
                return error_set(e, r, 0, "cannot start a worker: %s", strerror(-r));
        }
        *ret = w;
        return 0;
}

struct worker *worker_free(struct worker *w) {
        if (!w)
                return NULL;
        io_chan_free(w->chan);
        io_source_free(w->exit_source);
        io_timer_free(w->kill_timer);
        if (w->pid > 0) {
                kill(w->pid, SIGKILL);
                while (waitpid(w->pid, NULL, 0) < 0 && errno == EINTR)
                        ;
        }
        fd_close(w->pidfd);
        free(w);
        return NULL;
}

void worker_send(struct worker *w, const struct ipc_message *m, const int *fds, size_t n_fds) {
        if (!w->chan)
                return;
        /* Without its message the worker would be waited for in vain. */
        if (ipc_send(w->chan, m, fds, n_fds) < 0)
                worker_kill(w);
}

void worker_expect_end(struct worker *w) {
        if (w->pid > 0 && !io_timer_armed(w->kill_timer))
                io_timer_arm(w->kill_timer, WORKER_END_MS * CLOCK_NS_PER_MS, 0);
}

void worker_kill(struct worker *w) {
        if (w->pid > 0)
                kill(w->pid, SIGKILL);
}

pid_t worker_pid(const struct worker *w) {
        return w->pid;
}
