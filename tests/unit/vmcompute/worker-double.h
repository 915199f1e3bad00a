// SPDX-License-Identifier: MIT
/* A vmwp that runs no machine: the test program starts itself as its daemon's worker. What it does
 * is said by the id of the system ("refuse", "die", "mute", …) and by command lines. */
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/fd.h"
#include "io/msg.h"
#include "ipc/ipc.h"
#include "wire/hresult.h"

struct worker_double {
        struct io_loop *loop;
        struct io_chan *chan;
        char id[128];
        uint32_t pid; /* the last one given */
};

static inline void double_send(struct worker_double *w, const struct ipc_message *m) {
        if (ipc_send(w->chan, m, NULL, 0) < 0)
                _exit(9);
}

static inline void double_done(
        struct worker_double *w, uint32_t id, uint32_t hresult, const char *text) {
        struct ipc_message m = {.type = IPC_DONE, .id = id, .pid = w->pid, .hresult = hresult};
        snprintf(m.text, sizeof m.text, "%s", text);
        double_send(w, &m);
}

static inline void double_exited(struct worker_double *w, enum ipc_exit_type type,
        enum ipc_exit_cause cause, uint32_t status) {
        struct ipc_message m = {.type = IPC_EXITED,
                .text = "the double stopped",
                .exit = {.type = type, .cause = cause, .status = status}};
        double_send(w, &m);
        io_loop_stop(w->loop);
}

static inline void double_process_exited(struct worker_double *w, uint32_t pid, int32_t code) {
        struct ipc_message m = {
                .type = IPC_PROCESS_EXITED, .pid = pid, .process_exit = {.code = code}};
        double_send(w, &m);
}

static inline void double_configure(struct worker_double *w, const struct ipc_message *m) {
        memcpy(w->id, m->config.id, sizeof w->id);
        if (strcmp(w->id, "die") == 0)
                raise(SIGKILL);
        if (strcmp(w->id, "mute") == 0)
                return;
        bool refuse = strcmp(w->id, "refuse") == 0;
        double_done(w, m->id, refuse ? HR_NO_HYPERVISOR : S_OK, refuse ? "no hypervisor" : "");
        if (refuse)
                io_loop_stop(w->loop);
}

static inline void double_start(struct worker_double *w, const struct ipc_message *m) {
        if (strcmp(w->id, "late") == 0) {
                double_done(w, m->id, HR_TIMEOUT, "no agent");
                return;
        }
        if (strcmp(w->id, "slow") == 0)
                return;
        if (strcmp(w->id, "fall") == 0)
                raise(SIGKILL);
        struct ipc_message connection = {
                .type = IPC_GUEST_CONNECTION, .connection = {.connected = true, .protocol = 4}};
        double_send(w, &connection);
        double_done(w, m->id, S_OK, "");
}

/* "cat": what comes in goes out; "exit": ends at once; "fail": does not start; else it runs on. */
static inline void double_create(
        struct worker_double *w, const struct ipc_message *m, const int *fds, size_t n_fds) {
        const char *command = m->process.command_line ? m->process.command_line : "";
        if (strcmp(command, "fail") == 0) {
                double_done(w, m->id, HR_FILE_NOT_FOUND, "no such program");
                return;
        }
        uint32_t pid = ++w->pid;
        double_done(w, m->id, S_OK, "");
        if (strcmp(command, "cat") == 0 && n_fds >= 2) {
                char buf[4096];
                ssize_t n;
                (void)!fd_set_nonblock(fds[0], false);
                while ((n = read(fds[0], buf, sizeof buf)) > 0)
                        (void)!fd_write_full(fds[1], buf, (size_t)n);
                double_process_exited(w, pid, 3);
        } else if (strcmp(command, "exit") == 0) {
                double_process_exited(w, pid, 0);
        }
}

static inline void double_statistics(struct worker_double *w, const struct ipc_message *m) {
        struct ipc_message reply = {.type = IPC_STATISTICS_REPLY,
                .id = m->id,
                .statistics = {.uptime_100ns = 77, .memory_assigned = 64 << 20}};
        double_send(w, &reply);
}

static inline void double_crash(struct worker_double *w, const struct ipc_message *m) {
        double_done(w, m->id, S_OK, "");
        struct ipc_message report = {.type = IPC_CRASH_REPORT,
                .crash = {.parameters = {1, 2, 3, 4, 5}, .log = "Kernel panic\nsecond line\n"}};
        double_send(w, &report);
        struct ipc_message exited = {.type = IPC_EXITED,
                .text = "the guest crashed",
                .exit = {.type = IPC_EXIT_UNEXPECTED,
                        .cause = IPC_CAUSE_GUEST_CRASH,
                        .status = HCS_E_UNEXPECTED_EXIT,
                        .crashed = true,
                        .crash = {1, 2, 3, 4, 5}}};
        double_send(w, &exited);
        io_loop_stop(w->loop);
}

static inline void double_request(
        struct worker_double *w, const struct ipc_message *m, const int *fds, size_t n_fds) {
        switch (m->type) {
        case IPC_CONFIG:
                double_configure(w, m);
                break;
        case IPC_START:
                double_start(w, m);
                break;
        case IPC_CREATE_PROCESS:
                double_create(w, m, fds, n_fds);
                break;
        case IPC_SIGNAL_PROCESS:
                double_done(w, m->id, S_OK, "");
                double_process_exited(w, m->pid, 128 + m->signal.signal);
                break;
        case IPC_STATISTICS:
                double_statistics(w, m);
                break;
        case IPC_CRASH:
                double_crash(w, m);
                break;
        case IPC_SHUTDOWN:
                double_done(w, m->id, S_OK, "");
                double_exited(w, IPC_EXIT_GRACEFUL, IPC_CAUSE_POWER_OFF, S_OK);
                break;
        case IPC_TERMINATE:
                double_exited(w, IPC_EXIT_FORCED, IPC_CAUSE_TERMINATE, HCS_E_TERMINATED);
                break;
        case IPC_HVSOCKET_DIAL:
                (void)!fd_write_full(fds[0], "hi", 2);
                double_done(w, m->id, S_OK, "");
                break;
        default:
                double_done(w, m->id, S_OK, "");
                break;
        }
}

static inline int double_message(void *ctx, const void *data, size_t size, int *fds, size_t n_fds) {
        struct ipc_message m;
        int r = ipc_decode(IPC_WORKER, data, size, n_fds, &m);
        if (r == 0) {
                double_request(ctx, &m, fds, n_fds);
                ipc_message_done(&m);
        }
        io_msg_close_fds(fds, n_fds);
        return r;
}

static inline void double_closed(void *ctx, int r) {
        (void)ctx;
        _exit(r < 0 ? 8 : 0);
}

/* The whole program, with its channel at descriptor 3. */
static inline int double_main(void) {
        static const struct io_chan_ops ops = {.message = double_message, .closed = double_closed};
        static struct worker_double w;
        w.pid = 100;
        if (io_loop_new(&w.loop) < 0 || io_chan_new(w.loop, 3, &ops, &w, &w.chan) < 0)
                return 7;
        int r = io_loop_run(w.loop);
        io_chan_free(w.chan);
        io_loop_free(w.loop);
        return r < 0;
}
