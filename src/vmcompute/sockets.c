// SPDX-License-Identifier: MIT
/* Host programs on hvsockets: a client binds a service and is handed a connected stream for each
 * guest that dials it, or connects to a service in the guest. What no client bound is looked for in
 * the system's directory (hvsocket.c). Whether the service table allows it is the worker's to
 * check, which has the table. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include "base/fault.h"
#include "base/fd.h"
#include "vmcompute/build.h"
#include "vmcompute/params.h"
#include "vmcompute/server.h"
#include "vmcompute/verbs.h"
#include "wire/hresult.h"

static struct binding *find(const struct system *s, const struct guid *service) {
        struct binding *b = s->bindings;
        while (b && !guid_equal(&b->service, service))
                b = b->next;
        return b;
}

void binding_drop(struct system *s, const struct handle *handle) {
        for (struct binding **at = &s->bindings; *at;) {
                struct binding *b = *at;
                if (handle && b->handle != handle) {
                        at = &b->next;
                        continue;
                }
                *at = b->next;
                s->n_bindings--;
                free(b);
        }
}

/* A pair of streams: ours for the worker, which must not be held up, theirs for a client. */
static int make_pair(int *ret_worker, int *ret_client) {
        int pair[2];
        int r = fd_socketpair(SOCK_STREAM, pair);
        if (r < 0)
                return r;
        r = fd_set_nonblock(pair[0], true);
        if (r < 0) {
                fd_close(pair[0]);
                fd_close(pair[1]);
                return r;
        }
        *ret_worker = pair[0];
        *ret_client = pair[1];
        return 0;
}

static struct json *accept_params(const struct binding *b, const struct ipc_message *m) {
        char service[GUID_TEXT_SIZE], endpoint[GUID_TEXT_SIZE];
        guid_format(&m->hvsocket.service, service);
        guid_format(&m->hvsocket.endpoint, endpoint);
        struct build params = build_new();
        build_u64(&params, "computeSystem", b->handle->number);
        build_string(&params, "serviceId", service);
        build_string(&params, "endpointId", endpoint);
        return build_take(&params);
}

static bool send_for_hvhost(void *ctx, struct ipc_message *m, int fd) {
        struct system *s = ctx;
        if (m->type == IPC_HVSOCKET_DIAL) {
                if (s->state != SYSTEM_RUNNING)
                        return false;
                m->id = ++s->last_request;
        }
        worker_send(s->worker, m, &fd, fd >= 0);
        return true;
}

static const struct hvhost_ops hvhost_callbacks = {.send = send_for_hvhost};

int system_serve_hvsockets(struct system *s, struct error *e) {
        if (s->vc->dir_fd < 0)
                return 0;
        return hvhost_new(s->vc->loop, s->vc->dir_fd, s->id, &s->runtime_id, &s->owner,
                &hvhost_callbacks, s, e, &s->hvsockets);
}

void system_asked(struct system *s, const struct ipc_message *m) {
        struct ipc_message answer = {.type = IPC_HVSOCKET_ANSWER,
                .hresult = HCS_E_CONNECT_FAILED,
                .hvsocket = m->hvsocket};
        const struct binding *b = find(s, &m->hvsocket.service);
        _cleanup_close_ int worker = -1, client = -1;
        struct json *params;
        if (!b && s->hvsockets) {
                hvhost_asked(s->hvsockets, m);
                return;
        }
        if (b && make_pair(&worker, &client) == 0 && (params = accept_params(b, m))) {
                conn_notify(b->conn, "SandbarHvSocketAccept", params, &client, 1);
                answer.hresult = S_OK;
        } else {
                memcpy(answer.text, "no program serves it", 21);
        }
        worker_send(s->worker, &answer, &worker, answer.hresult == S_OK);
}

/* False: the call has failed. */
static bool service_param(const struct method_args *a, struct guid *ret) {
        const char *text = json_get_string(a->params, "serviceId", "");
        if (guid_parse(text, ret) == 0)
                return true;
        call_fail_with(a->call, E_INVALIDARG, "\"serviceId\" has to be a GUID without braces");
        return false;
}

void verb_hvsocket_bind(const struct method_args *a) {
        struct guid service;
        struct system *s = a->system;
        if (!service_param(a, &service))
                return;
        struct binding *b = NULL;
        if (s->state == SYSTEM_STOPPED)
                call_fail_with(a->call, HCS_E_SYSTEM_ALREADY_STOPPED, "\"%s\" has stopped: %s",
                        s->id, s->exit_text);
        else if (find(s, &service))
                call_fail_with(a->call, HR_ALREADY_EXISTS, "a program serves it already");
        else if (s->n_bindings >= VMCOMPUTE_BINDINGS_MAX || fault_hit(FAULT_ALLOC) ||
                 !(b = calloc(1, sizeof *b)))
                call_fail_with(a->call, HR_OUTOFMEMORY, "\"%s\" has %zu bound services", s->id,
                        s->n_bindings);
        if (!b)
                return;
        *b = (struct binding){
                .next = s->bindings, .service = service, .conn = a->conn, .handle = a->handle};
        s->bindings = b;
        s->n_bindings++;
        call_reply(a->call, NULL, NULL, 0);
}

void verb_hvsocket_connect(const struct method_args *a) {
        struct guid service;
        uint32_t timeout_ms;
        if (!service_param(a, &service) || !params_timeout(a, &timeout_ms) ||
                !verb_require_state(a, SYSTEM_RUNNING))
                return;
        struct request *q = system_request_new(a->system, IPC_HVSOCKET_DIAL, a->call);
        if (!q)
                return;
        _cleanup_close_ int worker = -1;
        int r = make_pair(&worker, &q->fds[0]);
        if (r < 0) {
                q->call = NULL;
                system_request_free(a->system, q);
                call_fail_with(a->call, error_hresult(r), "no socket: %s", strerror(-r));
                return;
        }
        struct ipc_message m = {.type = IPC_HVSOCKET_DIAL,
                .id = q->id,
                .hvsocket = {.service = service, .timeout_ms = timeout_ms}};
        worker_send(a->system->worker, &m, &worker, 1);
}

void system_dialled(struct system *s, struct request *q) {
        struct call *call = TAKE_PTR(q->call);
        struct build b = build_new();
        build_u64(&b, "socket", 0);
        call_reply_object(call, build_take(&b), &q->fds[0], 1);
        system_request_free(s, q);
}
