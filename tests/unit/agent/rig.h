// SPDX-License-Identifier: MIT
/* Both ends of the bridge in one process: the host's gcs and the guest's agent on one loop, joined
 * by socket pairs instead of hvsockets. Processes are real ones, on this machine. */
#pragma once
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include "agent/agent.h"
#include "base/clock.h"
#include "base/fd.h"
#include "gcs/gcs.h"
#include "io/loop.h"
#include "../test.h"
#include "wire/hresult.h"

enum { RIG_EXITS_MAX = 300 };
#define RIG_PATIENCE_NS (20 * CLOCK_NS_PER_SEC)

struct rig {
        struct io_loop *loop;
        struct gcs *gcs;
        struct agent *agent;
        struct agent_transport transport;
        int signals;
        struct io_source *signal_source;
        bool refuse; /* the host answers no call */
        int bridge;  /* a copy of the agent's end, to cut it */
        unsigned connected, closed, dials;
        int closed_r;
        struct {
                uint32_t pid;
                int32_t code;
        } exits[RIG_EXITS_MAX];
        size_t n_exits;
        unsigned shutdowns;
        bool forced, children;
};

/* The answer to one request. */
struct rig_reply {
        bool done;
        uint32_t hresult, pid;
        char text[ERROR_TEXT_MAX];
};

static int rig_dial(void *ctx, uint32_t port) {
        struct rig *rig = ctx;
        int fd = -1;
        rig->dials++;
        int r = rig->refuse ? -ECONNREFUSED : gcs_accept(rig->gcs, port, &fd);
        if (r < 0)
                return r;
        if (port == GCS_BRIDGE_PORT) {
                fd_close(rig->bridge);
                rig->bridge = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        }
        return fd;
}

static void rig_connected(void *ctx, _unused_ uint32_t protocol) {
        struct rig *rig = ctx;
        ck_assert_uint_eq(protocol, 4);
        rig->connected++;
}

static void rig_closed(void *ctx, int r) {
        struct rig *rig = ctx;
        rig->closed++;
        rig->closed_r = r;
}

static void rig_exited(void *ctx, uint32_t pid, int32_t code) {
        struct rig *rig = ctx;
        ck_assert_uint_lt(rig->n_exits, RIG_EXITS_MAX);
        rig->exits[rig->n_exits].pid = pid;
        rig->exits[rig->n_exits++].code = code;
}

static void rig_shutdown(void *ctx, bool forced) {
        struct rig *rig = ctx;
        rig->shutdowns++;
        rig->forced = forced;
}

static void rig_done(void *ctx, uint32_t hresult, const char *text, uint32_t pid) {
        struct rig_reply *reply = ctx;
        ck_assert_msg(!reply->done, "answered twice: %s", text);
        reply->done = true;
        reply->hresult = hresult;
        reply->pid = pid;
        snprintf(reply->text, sizeof reply->text, "%s", text);
}

static void rig_on_signal(void *ctx, _unused_ unsigned events) {
        struct rig *rig = ctx;
        struct signalfd_siginfo info;
        while (read(rig->signals, &info, sizeof info) == (ssize_t)sizeof info)
                continue;
        rig->children = agent_reap(rig->agent);
}

static const struct gcs_ops rig_gcs_ops = {
        .connected = rig_connected, .closed = rig_closed, .process_exited = rig_exited};
static const struct agent_ops rig_agent_ops = {.shutdown = rig_shutdown};

/* Runs the loop until the condition holds; fails the test when it does not in time. */
#define rig_until(rig, condition)                                                                  \
        do {                                                                                       \
                uint64_t end_ = clock_now_ns() + RIG_PATIENCE_NS;                                  \
                while (!(condition)) {                                                             \
                        ck_assert_msg(clock_now_ns() < end_, "in vain: %s", #condition);           \
                        assert_ok(io_loop_once((rig)->loop, 100));                                 \
                }                                                                                  \
        } while (0)

static inline void rig_start_agent(struct rig *rig) {
        rig->transport = (struct agent_transport){.dial = rig_dial, .ctx = rig};
        assert_ok(agent_new(rig->loop, &rig->transport, &rig_agent_ops, rig, &rig->agent));
}

static inline void rig_setup(struct rig *rig) {
        *rig = (struct rig){.bridge = -1};
        signal(SIGPIPE, SIG_IGN);
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGCHLD);
        ck_assert_int_eq(sigprocmask(SIG_BLOCK, &set, NULL), 0);
        rig->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        ck_assert_int_ge(rig->signals, 0);
        assert_ok(io_loop_new(&rig->loop));
        assert_ok(io_source_new(
                rig->loop, rig->signals, IO_READ, rig_on_signal, rig, &rig->signal_source));
        assert_ok(gcs_new(rig->loop, &rig_gcs_ops, rig, &rig->gcs));
        rig_start_agent(rig);
        rig_until(rig, rig->connected == 1);
}

static inline void rig_teardown(struct rig *rig) {
        agent_free(rig->agent);
        gcs_free(rig->gcs);
        io_source_free(rig->signal_source);
        io_loop_free(rig->loop);
        fd_close(rig->signals);
        fd_close(rig->bridge);
}

/* A pair for one standard stream: ours, which does not block, and what gcs gets. */
static inline int rig_stream(int *ret_theirs) {
        int pair[2];
        assert_ok(fd_socketpair(SOCK_STREAM | SOCK_NONBLOCK, pair));
        *ret_theirs = pair[1];
        return pair[0];
}

struct rig_run {
        struct gcs_process params;
        struct rig_reply reply;
        int ours[3];
        char *text[3]; /* what came out of 1 and 2 */
        size_t size[3];
        bool ended[3];
};

/* Starts with streams for the bits of `streams` (1 << fd). */
static inline void rig_begin(struct rig *rig, struct rig_run *run, unsigned streams) {
        for (int i = 0; i < 3; i++) {
                run->ours[i] = run->params.stdio[i] = -1;
                if (streams & 1u << i)
                        run->ours[i] = rig_stream(&run->params.stdio[i]);
        }
        gcs_create_process(rig->gcs, &run->params, rig_done, &run->reply);
        rig_until(rig, run->reply.done);
}

/* Reads what there is, without waiting. */
static inline void rig_collect(struct rig_run *run) {
        for (int i = 1; i < 3; i++) {
                char buf[65536];
                ssize_t n;
                while (run->ours[i] >= 0 && !run->ended[i] &&
                        (n = read(run->ours[i], buf, sizeof buf)) >= 0) {
                        run->ended[i] = n == 0;
                        run->text[i] = realloc(run->text[i], run->size[i] + (size_t)n + 1);
                        memcpy(run->text[i] + run->size[i], buf, (size_t)n);
                        run->size[i] += (size_t)n;
                        run->text[i][run->size[i]] = 0;
                }
        }
}

static inline bool rig_ended(struct rig_run *run) {
        rig_collect(run);
        return (run->ours[1] < 0 || run->ended[1]) && (run->ours[2] < 0 || run->ended[2]);
}

static inline bool rig_exit_code(const struct rig *rig, uint32_t pid, int32_t *ret) {
        for (size_t i = 0; i < rig->n_exits; i++)
                if (rig->exits[i].pid == pid) {
                        *ret = rig->exits[i].code;
                        return true;
                }
        return false;
}

/* Until the process ended and its streams did; its exit code. */
static inline int32_t rig_finish(struct rig *rig, struct rig_run *run) {
        int32_t code = -2;
        ck_assert_msg(run->reply.hresult == 0, "0x%08x: %s", run->reply.hresult, run->reply.text);
        rig_until(rig, rig_ended(run) && rig_exit_code(rig, run->reply.pid, &code));
        return code;
}

static inline void rig_run_done(struct rig_run *run) {
        for (int i = 0; i < 3; i++) {
                fd_close(run->ours[i]);
                free(run->text[i]);
        }
        *run = (struct rig_run){0};
}

static inline struct rig_run rig_shell(const char *line) {
        return (struct rig_run){.params = {.command_line = line, .cwd = "", .user = ""}};
}
