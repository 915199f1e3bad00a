// SPDX-License-Identifier: MIT
#include "gcs/gcs.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include "base/fault.h"
#include "base/fd.h"
#include "gcs/internal.h"
#include "wire/hresult.h"

int gcs_new(struct io_loop *loop, const struct gcs_ops *ops, void *ctx, struct gcs **ret) {
        struct gcs *gcs = fault_hit(FAULT_ALLOC) ? NULL : calloc(1, sizeof *gcs);
        if (!gcs)
                return -ENOMEM;
        gcs->loop = loop;
        gcs->ops = ops;
        gcs->ctx = ctx;
        gcs->next_id = 1;
        gcs->pending_tail = &gcs->pending;
        gcs_processes_init(gcs);
        *ret = gcs;
        return 0;
}

/* Requests */

static void unlink_pending(struct gcs *gcs, struct pending **at) {
        struct pending *p = *at;
        *at = p->next;
        if (gcs->pending_tail == &p->next)
                gcs->pending_tail = at;
        if (p->done)
                gcs->n_requests--;
}

int gcs_ask(struct gcs *gcs, const struct gcs_request *request, const struct gcs_asker *asker,
        struct error *e) {
        _cleanup_free_ char *body = NULL;
        size_t size;
        if (asker->done && gcs->n_requests == GCS_REQUESTS_MAX)
                return error_set(e, -ENOBUFS, HCS_E_OPERATION_PENDING,
                        "%u requests wait for the guest's answer already", GCS_REQUESTS_MAX);
        int r = gcs_request_encode(request, &body, &size, e);
        if (r < 0)
                return error_set(e, r, 0, "out of memory");
        _cleanup_free_ struct pending *p = fault_hit(FAULT_ALLOC) ? NULL : malloc(sizeof *p);
        if (!p)
                return error_set(e, -ENOMEM, 0, "out of memory");
        *p = (struct pending){.id = gcs->next_id++,
                .call = request->call,
                .process = asker->process,
                .done = asker->done,
                .ctx = asker->ctx};
        r = gcs_stream_send(gcs->stream, GCS_REQUEST | p->call, p->id, body, size);
        if (r < 0)
                return error_set(e, r, r == -ENOMEM ? 0 : HCS_E_CONNECTION_CLOSED,
                        "the guest's agent takes no request: %s", strerror(-r));
        *gcs->pending_tail = p;
        gcs->pending_tail = &p->next;
        if (p->done)
                gcs->n_requests++;
        TAKE_PTR(p);
        return 0;
}

/* Asks for a caller, who hears of a failure at once. */
static void ask_for(
        struct gcs *gcs, const struct gcs_request *request, gcs_done_fn done, void *ctx) {
        struct error e = {0};
        struct gcs_asker asker = {.done = done, .ctx = ctx};
        if (!gcs_is_connected(gcs))
                error_set(&e, -ENOTCONN, HCS_E_CONNECTION_CLOSED,
                        "the guest's agent is not connected");
        else if (gcs_ask(gcs, request, &asker, &e) == 0)
                return;
        done(ctx, e.hresult, e.text, 0);
}

void gcs_signal_process(
        struct gcs *gcs, uint32_t pid, int32_t signal, gcs_done_fn done, void *ctx) {
        struct gcs_request request = {
                .call = GCS_SIGNAL_PROCESS, .signal = {.pid = pid, .signal = signal}};
        ask_for(gcs, &request, done, ctx);
}

void gcs_resize_console(struct gcs *gcs, uint32_t pid, uint16_t rows, uint16_t columns,
        gcs_done_fn done, void *ctx) {
        struct gcs_request request = {.call = GCS_RESIZE_CONSOLE,
                .console = {.pid = pid, .rows = rows, .columns = columns}};
        ask_for(gcs, &request, done, ctx);
}

void gcs_shutdown(struct gcs *gcs, gcs_done_fn done, void *ctx) {
        struct gcs_request request = {.call = GCS_SHUTDOWN_GRACEFUL};
        ask_for(gcs, &request, done, ctx);
}

/* The bridge */

static int hand_shake(struct gcs *gcs, uint32_t call, enum bridge_state state) {
        struct gcs_request request = {.call = call};
        struct gcs_asker asker = {0};
        if (call == GCS_NEGOTIATE)
                request.negotiate.min = request.negotiate.max = GCS_PROTOCOL_VERSION;
        gcs->state = state;
        return gcs_ask(gcs, &request, &asker, &gcs->error);
}

static int connected(struct gcs *gcs) {
        gcs->state = BRIDGE_UP;
        int r = gcs_processes_wait(gcs, &gcs->error);
        if (r < 0)
                return r;
        gcs->ops->connected(gcs->ctx, GCS_PROTOCOL_VERSION);
        return 0;
}

static int negotiated(struct gcs *gcs, const struct gcs_response *response) {
        if (response->negotiate.version != GCS_PROTOCOL_VERSION)
                return error_set(&gcs->error, -EPROTO, HCS_E_UNSUPPORTED_PROTOCOL_VERSION,
                        "the guest's agent chose protocol %u, and only %u was offered",
                        response->negotiate.version, GCS_PROTOCOL_VERSION);
        if (!response->negotiate.linux_guest)
                return error_set(&gcs->error, -EPROTO, HCS_E_PROTOCOL_ERROR,
                        "the guest's agent is not a Linux one");
        gcs->start_wanted = response->negotiate.send_start;
        if (response->negotiate.send_create)
                return hand_shake(gcs, GCS_CREATE, BRIDGE_CREATING);
        return connected(gcs);
}

/* The answer to one of the three requests that lead to BRIDGE_UP. */
static int shaken(struct gcs *gcs, const struct gcs_response *response) {
        if (response->hresult)
                return error_set(&gcs->error, -EPROTO, response->hresult,
                        "the guest's agent refused to connect: %s", response->text);
        switch (gcs->state) {
        case BRIDGE_NEGOTIATING:
                return negotiated(gcs, response);
        case BRIDGE_CREATING:
                if (gcs->start_wanted)
                        return hand_shake(gcs, GCS_START, BRIDGE_STARTING);
                return connected(gcs);
        default:
                return connected(gcs);
        }
}

/* Tells who asked. */
static int answer(struct gcs *gcs, const struct pending *p, struct gcs_response *response) {
        if (response->hresult && !*response->text)
                snprintf(response->text, sizeof response->text,
                        "the guest's agent refused without a reason");
        switch (p->call) {
        case GCS_NEGOTIATE:
        case GCS_CREATE:
        case GCS_START:
                return shaken(gcs, response);
        case GCS_EXECUTE_PROCESS:
                return gcs_process_started(gcs, p, response);
        case GCS_WAIT_FOR_PROCESS:
                gcs_process_ended(gcs, p->process,
                        response->hresult ? GCS_EXIT_UNKNOWN : (int32_t)response->exit_code);
                return 0;
        default:
                p->done(p->ctx, response->hresult, response->text, 0);
                return 0;
        }
}

static int on_response(struct gcs *gcs, uint32_t call, uint64_t id, const char *body, size_t size) {
        struct pending **at = &gcs->pending;
        while (*at && (*at)->id != id)
                at = &(*at)->next;
        if (!*at || (*at)->call != call)
                return error_set(&gcs->error, -EPROTO, HCS_E_PROTOCOL_ERROR,
                        "the guest's agent answered request %llu of type 0x%08x, which nobody made",
                        (unsigned long long)id, call);
        struct gcs_response response;
        int r = gcs_response_decode(call, body, size, &response, &gcs->error);
        if (r < 0)
                return error_prefix(&gcs->error, r, "an answer of the guest's agent");
        _cleanup_free_ struct pending *p = *at;
        unlink_pending(gcs, at);
        return answer(gcs, p, &response);
}

static int on_message(void *ctx, uint32_t type, uint64_t id, const char *body, size_t size) {
        struct gcs *gcs = ctx;
        int r;
        gcs->error = (struct error){0};
        switch (type & GCS_KIND_MASK) {
        case GCS_RESPONSE:
                r = on_response(gcs, type & ~GCS_KIND_MASK, id, body, size);
                break;
        case GCS_NOTIFICATION:
                r = gcs_notification_check(type, body, size, &gcs->error);
                break;
        default:
                r = error_set(&gcs->error, -EPROTO, HCS_E_PROTOCOL_ERROR,
                        "the guest's agent sent a message of type 0x%08x", type);
        }
        return r == -EBADMSG || r == -E2BIG ? -EPROTO : r;
}

/* Everything pending fails, in the order in which it was asked. */
static void fail_pending(struct gcs *gcs, uint32_t hresult, const char *text) {
        while (gcs->pending) {
                _cleanup_free_ struct pending *p = gcs->pending;
                unlink_pending(gcs, &gcs->pending);
                if (p->call == GCS_EXECUTE_PROCESS)
                        gcs_process_forget(p->process);
                if (!p->done)
                        continue;
                if (p->call == GCS_SHUTDOWN_GRACEFUL && hresult == HCS_E_CONNECTION_CLOSED)
                        p->done(p->ctx, S_OK, "", 0);
                else
                        p->done(p->ctx, hresult, text, 0);
        }
}

static void close_bridge(struct gcs *gcs, uint32_t hresult, const char *text) {
        gcs->stream = gcs_stream_free(gcs->stream);
        gcs->state = BRIDGE_DOWN;
        fail_pending(gcs, hresult, text);
}

static void on_closed(void *ctx, int r) {
        struct gcs *gcs = ctx;
        if (r == -EBADMSG || r == -EPROTO) {
                error_set(&gcs->error, r, HCS_E_PROTOCOL_ERROR,
                        "the guest's agent sent what is no message of the bridge");
                close_bridge(gcs, HCS_E_PROTOCOL_ERROR, gcs->error.text);
                r = -EPROTO;
        } else {
                close_bridge(gcs, HCS_E_CONNECTION_CLOSED,
                        "the connection to the guest's agent was lost");
        }
        gcs->ops->closed(gcs->ctx, r);
}

static const struct gcs_stream_ops stream_ops = {.message = on_message, .closed = on_closed};

static int accept_bridge(struct gcs *gcs, int *ret_fd) {
        int pair[2];
        int r = fd_socketpair(SOCK_STREAM | SOCK_NONBLOCK, pair);
        if (r < 0)
                return r;
        _cleanup_close_ int theirs = pair[1];
        struct gcs_stream *stream = NULL;
        r = gcs_stream_new(gcs->loop, pair[0], GCS_FROM_GUEST_MAX, &stream_ops, gcs, &stream);
        if (r < 0)
                return r;
        if (gcs->stream)
                on_closed(gcs, 0);
        gcs->error = (struct error){0};
        gcs->stream = stream;
        r = hand_shake(gcs, GCS_NEGOTIATE, BRIDGE_NEGOTIATING);
        if (r < 0) {
                gcs->stream = gcs_stream_free(gcs->stream);
                gcs->state = BRIDGE_DOWN;
                return r;
        }
        *ret_fd = TAKE_FD(theirs);
        return 0;
}

int gcs_accept(struct gcs *gcs, uint32_t port, int *ret_fd) {
        return port == GCS_BRIDGE_PORT ? accept_bridge(gcs, ret_fd)
                                       : gcs_process_accept(gcs, port, ret_fd);
}

void gcs_reset(struct gcs *gcs) {
        close_bridge(gcs, HCS_E_CONNECTION_CLOSED, "the machine was restarted");
        gcs_processes_reset(gcs);
}

bool gcs_is_connected(const struct gcs *gcs) {
        return gcs->state == BRIDGE_UP;
}

const char *gcs_last_error(const struct gcs *gcs) {
        return gcs->error.text;
}

struct gcs *gcs_free(struct gcs *gcs) {
        if (!gcs)
                return NULL;
        close_bridge(gcs, HCS_E_CONNECTION_CLOSED, "the machine is gone");
        for (size_t i = 0; i < GCS_PROCESSES_MAX; i++)
                gcs_process_forget(&gcs->processes[i]);
        free(gcs);
        return NULL;
}
