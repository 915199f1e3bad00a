// SPDX-License-Identifier: MIT
/* Processes of the guest: their standard streams until the guest has dialled them, and their ends.
 */
#include <errno.h>
#include <string.h>
#include "base/fd.h"
#include "gcs/internal.h"
#include "wire/hresult.h"

void gcs_processes_init(struct gcs *gcs) {
        gcs->next_port = GCS_STDIO_PORT_0;
        for (size_t i = 0; i < GCS_PROCESSES_MAX; i++)
                for (size_t k = 0; k < 3; k++)
                        gcs->processes[i].fds[k] = -1;
}

static void close_streams(struct process *process) {
        for (size_t i = 0; i < 3; i++) {
                process->fds[i] = fd_close(process->fds[i]);
                process->ports[i] = 0;
        }
}

void gcs_process_forget(struct process *process) {
        close_streams(process);
        process->state = PROCESS_FREE;
        process->pid = 0;
}

static struct process *find_pid(struct gcs *gcs, uint32_t pid) {
        for (size_t i = 0; i < GCS_PROCESSES_MAX; i++)
                if (gcs->processes[i].state == PROCESS_RUNNING && gcs->processes[i].pid == pid)
                        return &gcs->processes[i];
        return NULL;
}

static struct process *find_free(struct gcs *gcs) {
        for (size_t i = 0; i < GCS_PROCESSES_MAX; i++)
                if (gcs->processes[i].state == PROCESS_FREE)
                        return &gcs->processes[i];
        return NULL;
}

/* A stream that waits for the guest's call on this port, or NULL. */
static int *find_port(struct gcs *gcs, uint32_t port) {
        for (size_t i = 0; i < GCS_PROCESSES_MAX; i++)
                for (size_t k = 0; k < 3; k++)
                        if (gcs->processes[i].fds[k] >= 0 && gcs->processes[i].ports[k] == port)
                                return &gcs->processes[i].fds[k];
        return NULL;
}

/* Up to the largest positive 32-bit number, then from the start again. */
static uint32_t new_port(struct gcs *gcs) {
        uint32_t port;
        do {
                port = gcs->next_port;
                gcs->next_port = port == INT32_MAX ? GCS_STDIO_PORT_0 : port + 1;
        } while (find_port(gcs, port));
        return port;
}

int gcs_process_accept(struct gcs *gcs, uint32_t port, int *ret_fd) {
        int *fd = find_port(gcs, port);
        if (!fd)
                return -ECONNREFUSED;
        *ret_fd = TAKE_FD(*fd);
        return 0;
}

/* The streams of the caller become those of the process, each with a port. */
static void take_streams(struct gcs *gcs, struct process *process, struct gcs_process *params) {
        if (params->console)
                params->stdio[2] = fd_close(params->stdio[2]);
        for (size_t i = 0; i < 3; i++) {
                if (params->stdio[i] < 0)
                        continue;
                process->ports[i] = new_port(gcs);
                process->fds[i] = TAKE_FD(params->stdio[i]);
        }
}

static int create(
        struct gcs *gcs, struct gcs_process *params, gcs_done_fn done, void *ctx, struct error *e) {
        if (!gcs_is_connected(gcs))
                return error_set(e, -ENOTCONN, HCS_E_CONNECTION_CLOSED,
                        "the guest's agent is not connected");
        struct process *process = find_free(gcs);
        if (!process)
                return error_set(e, -EAGAIN, HR_OUTOFMEMORY,
                        "%u processes run in the guest already", GCS_PROCESSES_MAX);
        process->state = PROCESS_STARTING;
        take_streams(gcs, process, params);
        struct gcs_request request = {.call = GCS_EXECUTE_PROCESS,
                .execute = {.argv = params->argv,
                        .command_line = params->command_line,
                        .env = params->env,
                        .cwd = params->cwd,
                        .user = params->user,
                        .console = params->console,
                        .rows = params->rows,
                        .columns = params->columns,
                        .ports = {process->ports[0], process->ports[1], process->ports[2]}}};
        struct gcs_asker asker = {.process = process, .done = done, .ctx = ctx};
        int r = gcs_ask(gcs, &request, &asker, e);
        if (r < 0)
                gcs_process_forget(process);
        return r;
}

void gcs_create_process(
        struct gcs *gcs, struct gcs_process *params_consume_fds, gcs_done_fn done, void *ctx) {
        struct error e = {0};
        int r = create(gcs, params_consume_fds, done, ctx, &e);
        for (size_t i = 0; i < 3; i++)
                params_consume_fds->stdio[i] = fd_close(params_consume_fds->stdio[i]);
        if (r < 0)
                done(ctx, e.hresult, e.text, 0);
}

static int wait_for(struct gcs *gcs, struct process *process, struct error *e) {
        struct gcs_request request = {.call = GCS_WAIT_FOR_PROCESS,
                .wait = {.pid = process->pid, .timeout_ms = GCS_INFINITE}};
        struct gcs_asker asker = {.process = process};
        return gcs_ask(gcs, &request, &asker, e);
}

int gcs_process_started(
        struct gcs *gcs, const struct pending *pending, const struct gcs_response *response) {
        struct process *process = pending->process;
        int r = 0;
        if (response->hresult) {
                gcs_process_forget(process);
                pending->done(pending->ctx, response->hresult, response->text, 0);
                return 0;
        }
        if (find_pid(gcs, response->pid)) {
                r = error_set(&gcs->error, -EPROTO, HCS_E_PROTOCOL_ERROR,
                        "the guest's agent started a second process %u", response->pid);
                gcs_process_forget(process);
                pending->done(pending->ctx, HCS_E_PROTOCOL_ERROR, gcs->error.text, 0);
                return r;
        }
        /* A stream that the guest has not dialled by now, it never will. */
        close_streams(process);
        process->state = PROCESS_RUNNING;
        process->pid = response->pid;
        /* The wait first: `done` may reset. One that fails ends the bridge, and is repeated over
         * the next. */
        r = wait_for(gcs, process, &gcs->error);
        pending->done(pending->ctx, S_OK, "", response->pid);
        return r;
}

void gcs_process_ended(struct gcs *gcs, struct process *process, int32_t code) {
        uint32_t pid = process->pid;
        gcs_process_forget(process);
        gcs->ops->process_exited(gcs->ctx, pid, code);
}

int gcs_processes_wait(struct gcs *gcs, struct error *e) {
        for (size_t i = 0; i < GCS_PROCESSES_MAX; i++) {
                if (gcs->processes[i].state != PROCESS_RUNNING)
                        continue;
                int r = wait_for(gcs, &gcs->processes[i], e);
                if (r < 0)
                        return r;
        }
        return 0;
}

void gcs_processes_reset(struct gcs *gcs) {
        for (size_t i = 0; i < GCS_PROCESSES_MAX; i++)
                if (gcs->processes[i].state == PROCESS_RUNNING)
                        gcs_process_ended(gcs, &gcs->processes[i], GCS_EXIT_UNKNOWN);
}
