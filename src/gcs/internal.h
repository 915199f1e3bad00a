// SPDX-License-Identifier: MIT
/* Between gcs.c (the bridge and its requests) and process.c (what runs in the guest). */
#pragma once
#include "gcs/gcs.h"
#include "gcs/proto.h"
#include "gcs/stream.h"

enum process_state { PROCESS_FREE, PROCESS_STARTING, PROCESS_RUNNING };

struct process {
        enum process_state state;
        uint32_t pid;      /* once running */
        uint32_t ports[3]; /* while starting; 0 for none */
        int fds[3];        /* while starting and not dialled; -1 */
};

/* A request that waits for its answer. */
struct pending {
        struct pending *next;
        uint64_t id;
        uint32_t call;
        struct process *process; /* of EXECUTE_PROCESS and WAIT_FOR_PROCESS */
        gcs_done_fn done;        /* NULL: our own */
        void *ctx;
};

enum bridge_state { BRIDGE_DOWN, BRIDGE_NEGOTIATING, BRIDGE_CREATING, BRIDGE_STARTING, BRIDGE_UP };

struct gcs {
        struct io_loop *loop;
        const struct gcs_ops *ops;
        void *ctx;

        struct gcs_stream *stream;
        enum bridge_state state;
        bool start_wanted; /* the guest's SendHostStartMessage */
        struct error error;

        uint64_t next_id;
        struct pending *pending, **pending_tail;
        unsigned n_requests; /* pending ones of callers */

        uint32_t next_port;
        struct process processes[GCS_PROCESSES_MAX];
};

/* What a request is made of besides its message. */
struct gcs_asker {
        struct process *process;
        gcs_done_fn done;
        void *ctx;
};

/* Sends a request and keeps it; 0, or negative errno with e filled and nothing kept. */
_warn_unused_ int gcs_ask(struct gcs *gcs, const struct gcs_request *request,
        const struct gcs_asker *asker, struct error *e);

/* process.c */
void gcs_processes_init(struct gcs *gcs);
/* The answer to EXECUTE_PROCESS; negative errno closes the bridge. */
int gcs_process_started(
        struct gcs *gcs, const struct pending *pending, const struct gcs_response *response);
void gcs_process_ended(struct gcs *gcs, struct process *process, int32_t code);
void gcs_process_forget(struct process *process);
/* Asks for the end of every running process: after a reconnect. */
_warn_unused_ int gcs_processes_wait(struct gcs *gcs, struct error *e);
void gcs_processes_reset(struct gcs *gcs);
_warn_unused_ int gcs_process_accept(struct gcs *gcs, uint32_t port, int *ret_fd);
