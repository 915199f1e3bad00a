// SPDX-License-Identifier: MIT
/* Between agent.c (the bridge) and process.c (what runs). */
#pragma once
#include <sys/types.h>
#include "agent/agent.h"
#include "agent/dial.h"
#include "agent/relay.h"
#include "gcs/proto.h"
#include "gcs/stream.h"

/* A request whose answer comes later. It is void once the bridge that brought it has ended. */
struct ticket {
        uint64_t id;
        uint32_t call;
        char activity[GCS_CONTAINER_MAX];
};

enum process_state {
        PROCESS_DIALLING, /* its streams are being connected */
        PROCESS_STARTING, /* forked, not known to run its program */
        PROCESS_RUNNING,
        PROCESS_EXITED, /* and nobody was told yet */
};

struct process {
        struct process *next;
        struct agent *agent;
        enum process_state state;
        struct ticket ticket;       /* until RUNNING */
        struct gcs_request request; /* until RUNNING */
        struct stream {
                struct process *process;
                struct agent_dial *dial; /* until connected */
                int fd;
        } streams[3];
        pid_t pid;
        int exec_fd;
        struct io_source *exec_source;
        struct terminal *terminal; /* borrowed from agent->terminals */
        uint32_t exit_code;
        bool claimed; /* somebody asked for its end, so the host knows that it was started */
};

/* The relay of a process, which may outlive it. */
struct terminal {
        struct terminal *next;
        struct agent *agent;
        struct agent_relay *relay;
};

struct waiter {
        struct waiter *next;
        struct process *process;
        struct ticket ticket;
        struct io_timer *timer; /* NULL: no limit */
};

struct agent {
        struct io_loop *loop;
        const struct agent_transport *transport;
        const struct agent_ops *ops;
        void *ctx;

        struct agent_dial *dial;
        struct gcs_stream *stream;
        bool negotiated;
        struct io_timer *redial;
        uint64_t backoff; /* ns */

        struct process *processes; /* oldest first */
        struct waiter *waiters;
        struct terminal *terminals;
};

/* agent.c: the one way in which requests are answered. Text may be NULL. */
void agent_answer(struct agent *agent, const struct ticket *ticket, uint32_t hresult,
        const char *text, uint32_t value);

/* process.c: each answers the ticket, now or later. */
void agent_execute(
        struct agent *agent, const struct ticket *ticket, struct gcs_request *request_consume);
void agent_wait(
        struct agent *agent, const struct ticket *ticket, uint32_t pid, uint32_t timeout_ms);
void agent_signal(struct agent *agent, const struct ticket *ticket, uint32_t pid, int32_t signal);
void agent_resize(struct agent *agent, const struct ticket *ticket, uint32_t pid, uint16_t rows,
        uint16_t columns);
/* The bridge ended: nobody waits any more, and what the host cannot know of shall not run. */
void agent_processes_unbridge(struct agent *agent);
void agent_processes_free(struct agent *agent);
void agent_child_ended(struct agent *agent, pid_t pid, int status);
