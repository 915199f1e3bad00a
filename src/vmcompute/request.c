// SPDX-License-Identifier: MIT
#include <errno.h>
#include <string.h>
#include "base/fault.h"
#include "base/fd.h"
#include "vmcompute/build.h"
#include "vmcompute/server.h"
#include "wire/hresult.h"

/* Requests */

struct request *system_request_new(struct system *s, enum ipc_type type, struct call *call) {
        struct request *q = s->n_requests >= SYSTEM_REQUESTS_MAX || fault_hit(FAULT_ALLOC)
                                    ? NULL
                                    : calloc(1, sizeof *q);
        if (!q) {
                if (call)
                        call_fail_with(
                                call, HR_OUTOFMEMORY, "too many requests to \"%s\" at once", s->id);
                return NULL;
        }
        *q = (struct request){.next = s->requests,
                .id = ++s->last_request,
                .type = type,
                .call = call,
                .fds = {-1, -1, -1},
                .stdin_fd = -1};
        s->requests = q;
        s->n_requests++;
        return q;
}

void system_request_free(struct system *s, struct request *q) {
        struct request **at = &s->requests;
        while (*at != q)
                at = &(*at)->next;
        *at = q->next;
        s->n_requests--;
        for (size_t i = 0; i < ARRAY_SIZE(q->fds); i++)
                fd_close(q->fds[i]);
        fd_close(q->stdin_fd);
        json_unref(q->query);
        free(q);
}

void system_request(struct system *s, enum ipc_type type, struct call *call) {
        struct request *q = system_request_new(s, type, call);
        if (!q)
                return;
        struct ipc_message m = {.type = type, .id = q->id};
        if (type == IPC_START || type == IPC_PAUSE || type == IPC_RESUME)
                s->busy = true;
        worker_send(s->worker, &m, NULL, 0);
}

/* Answers of the worker */

static void fail_done(struct system *s, struct request *q, const struct ipc_message *m) {
        enum ipc_type type = q->type;
        struct error e = {.hresult = m->hresult};
        memcpy(e.text, m->text, sizeof e.text);
        if (!e.text[0])
                memcpy(e.text, "the worker refused without saying why", 38);
        struct call *call = TAKE_PTR(q->call);
        system_request_free(s, q);
        call_fail(call, &e);
        if (type == IPC_START || type == IPC_PAUSE || type == IPC_RESUME)
                s->busy = false;
        /* Nothing stays half started: what could not start is stopped. */
        if (type == IPC_START) {
                s->exit_cause = IPC_CAUSE_START;
                memcpy(s->exit_text, e.text, sizeof s->exit_text);
                system_terminate(s);
        }
}

static void done_created(struct system *s, struct request *q) {
        struct call *call = TAKE_PTR(s->create_call);
        q->call = NULL;
        system_request_free(s, q);
        struct handle *handle;
        int r = conn_add_handle(s->creator, s, NULL, &handle);
        if (r < 0) {
                call_fail_with(
                        call, HR_OUTOFMEMORY, "no handle for \"%s\": %s", s->id, strerror(-r));
                system_free(s);
                return;
        }
        s->creator = NULL;
        s->state = SYSTEM_CREATED;
        struct build b = build_new();
        build_u64(&b, "computeSystem", handle->number);
        if (json_length(s->warnings) > 0)
                build_set(&b, "warnings", json_ref(s->warnings));
        call_reply_object(call, build_take(&b), NULL, 0);
}

void system_done(struct system *s, const struct ipc_message *m) {
        struct request *q = s->requests;
        while (q && (q->id != m->id || q->type == IPC_TERMINATE))
                q = q->next;
        if (!q) {
                if (!s->hvsockets || !hvhost_done(s->hvsockets, m))
                        worker_kill(s->worker); /* answers what was not asked */
                return;
        }
        if (q->type == IPC_CONFIG && m->hresult) {
                struct error e = {.hresult = m->hresult};
                memcpy(e.text, m->text, sizeof e.text);
                q->call = NULL;
                system_request_free(s, q);
                call_fail(TAKE_PTR(s->create_call), &e);
                system_free(s);
                return;
        }
        if (m->hresult) {
                fail_done(s, q, m);
                return;
        }
        switch (q->type) {
        case IPC_CONFIG:
                done_created(s, q);
                return;
        case IPC_CREATE_PROCESS:
                process_created(s, q, m);
                system_request_free(s, q);
                return;
        case IPC_HVSOCKET_DIAL:
                system_dialled(s, q);
                return;
        case IPC_START:
        case IPC_RESUME:
                s->state = SYSTEM_RUNNING;
                s->busy = false;
                break;
        case IPC_PAUSE:
                s->state = SYSTEM_PAUSED;
                s->busy = false;
                break;
        default:
                break;
        }
        struct call *call = TAKE_PTR(q->call);
        system_request_free(s, q);
        call_reply(call, NULL, NULL, 0);
}

void system_statistics(struct system *s, const struct ipc_message *m) {
        struct request *q = s->requests;
        while (q && (q->id != m->id || q->type != IPC_STATISTICS))
                q = q->next;
        if (!q) {
                worker_kill(s->worker);
                return;
        }
        struct error e = {0};
        struct json *document = NULL;
        int r = system_properties(s, q->query, &m->statistics, &e, &document);
        struct call *call = TAKE_PTR(q->call);
        system_request_free(s, q);
        if (r < 0)
                call_fail(call, &e);
        else
                call_reply_member(call, "resultDocument", document);
}

int system_properties(struct system *s, const struct json *query,
        const struct ipc_statistics *statistics, struct error *e, struct json **ret) {
        struct hcs_properties p = {
                .id = s->id,
                .owner = s->document->owner,
                .runtime_id = s->runtime_id,
                .state = system_state_name(s),
                .stopped = s->state == SYSTEM_STOPPED,
                .exit_type = s->state == SYSTEM_STOPPED ? system_exit_type_name(s) : NULL,
                .terminate_on_last_handle_closed = s->document->terminate_on_last_handle_closed,
                .guest_connected = s->guest_connected,
                .guest_protocol = s->guest_protocol,
        };
        if (statistics) {
                p.memory_assigned = statistics->memory_assigned;
                p.memory_resident = statistics->memory_resident;
                p.uptime_100ns = statistics->uptime_100ns;
                p.processor_100ns = statistics->vp_runtime_100ns;
        }
        int r = hcs_properties_encode(&p, query, e, ret);
        return r < 0 ? error_set(e, r, 0, "the properties of \"%s\": %s", s->id, strerror(-r)) : 0;
}
