// SPDX-License-Identifier: MIT
#include "agent/agent.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include "agent/internal.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "wire/hresult.h"

/* Between two calls to a host that does not answer: doubled from the first to the last. */
#define BACKOFF_FIRST_NS (20 * CLOCK_NS_PER_MS)
#define BACKOFF_LAST_NS  (2 * CLOCK_NS_PER_SEC)

/* Answers */

void agent_answer(struct agent *agent, const struct ticket *ticket, uint32_t hresult,
        const char *text, uint32_t value) {
        struct gcs_response response = {.call = ticket->call, .hresult = hresult};
        snprintf(response.activity, sizeof response.activity, "%s", ticket->activity);
        if (text)
                snprintf(response.text, sizeof response.text, "%s", text);
        switch (ticket->call) {
        case GCS_NEGOTIATE:
                response.negotiate.version = value;
                response.negotiate.linux_guest = true;
                break;
        case GCS_EXECUTE_PROCESS:
                response.pid = value;
                break;
        case GCS_WAIT_FOR_PROCESS:
                response.exit_code = value;
                break;
        default:
                break;
        }
        _cleanup_free_ char *body = NULL;
        size_t size;
        if (!agent->stream)
                return;
        int r = gcs_response_encode(&response, &body, &size);
        if (r == 0)
                r = gcs_stream_send(
                        agent->stream, GCS_RESPONSE | ticket->call, ticket->id, body, size);
        if (r < 0) {
                /* The host must not wait for an answer that will never come. */
                log_debug("an answer is lost, and the bridge with it: %s", strerror(-r));
                gcs_stream_abort(agent->stream);
        }
}

/* Requests */

static void negotiate(
        struct agent *agent, const struct ticket *ticket, const struct gcs_request *request) {
        if (request->negotiate.min > GCS_PROTOCOL_VERSION ||
                request->negotiate.max < GCS_PROTOCOL_VERSION) {
                agent_answer(agent, ticket, HCS_E_UNSUPPORTED_PROTOCOL_VERSION,
                        "this agent speaks protocol 4 only", 0);
                return;
        }
        agent->negotiated = true;
        agent->backoff = BACKOFF_FIRST_NS;
        agent_answer(agent, ticket, S_OK, NULL, GCS_PROTOCOL_VERSION);
}

static void dispatch(
        struct agent *agent, const struct ticket *ticket, struct gcs_request *request) {
        switch (ticket->call) {
        case GCS_CREATE: /* the machine itself: it is there */
        case GCS_START:
                agent_answer(agent, ticket, S_OK, NULL, 0);
                return;
        case GCS_SHUTDOWN_GRACEFUL:
        case GCS_SHUTDOWN_FORCED:
                agent_answer(agent, ticket, S_OK, NULL, 0);
                agent->ops->shutdown(agent->ctx, ticket->call == GCS_SHUTDOWN_FORCED);
                return;
        case GCS_EXECUTE_PROCESS:
                agent_execute(agent, ticket, request);
                return;
        case GCS_WAIT_FOR_PROCESS:
                agent_wait(agent, ticket, request->wait.pid, request->wait.timeout_ms);
                return;
        case GCS_SIGNAL_PROCESS:
                agent_signal(agent, ticket, request->signal.pid, request->signal.signal);
                return;
        case GCS_RESIZE_CONSOLE:
                agent_resize(agent, ticket, request->console.pid, request->console.rows,
                        request->console.columns);
                return;
        default:
                agent_answer(agent, ticket, HCS_E_UNKNOWN_MESSAGE,
                        "this agent does not know the request", 0);
        }
}

static int on_message(void *ctx, uint32_t type, uint64_t id, const char *body, size_t size) {
        struct agent *agent = ctx;
        struct ticket ticket = {.id = id, .call = type & ~GCS_KIND_MASK};
        if ((type & GCS_KIND_MASK) != GCS_REQUEST)
                return -EPROTO;
        struct error e = {0};
        _cleanup_(gcs_request_done) struct gcs_request request = {0};
        int r = gcs_request_decode(ticket.call, body, size, &request, &e);
        if (r < 0) {
                agent_answer(agent, &ticket, e.hresult ? e.hresult : error_hresult(r), e.text, 0);
                return 0;
        }
        memcpy(ticket.activity, request.activity, sizeof ticket.activity);
        if (ticket.call == GCS_NEGOTIATE)
                negotiate(agent, &ticket, &request);
        else if (!agent->negotiated)
                agent_answer(agent, &ticket, HCS_E_INVALID_STATE,
                        "the protocol's version must be negotiated first", 0);
        else if (strcmp(request.container, GCS_NULL_ID) != 0)
                agent_answer(agent, &ticket, HCS_E_SYSTEM_NOT_FOUND,
                        "this agent knows no container but the machine itself", 0);
        else
                dispatch(agent, &ticket, &request);
        return 0;
}

/* The bridge */

static void dial_later(struct agent *agent) {
        io_timer_arm(agent->redial, agent->backoff, 0);
        agent->backoff *= 2;
        if (agent->backoff > BACKOFF_LAST_NS)
                agent->backoff = BACKOFF_LAST_NS;
}

static void on_closed(void *ctx, int r) {
        struct agent *agent = ctx;
        log_debug("the bridge ended: %s", strerror(-r));
        agent->stream = gcs_stream_free(agent->stream);
        agent->negotiated = false;
        agent_processes_unbridge(agent);
        dial_later(agent);
}

static const struct gcs_stream_ops stream_ops = {.message = on_message, .closed = on_closed};

static void on_dialled(void *ctx, int r, int fd) {
        struct agent *agent = ctx;
        agent->dial = agent_dial_free(agent->dial);
        if (r == 0)
                r = gcs_stream_new(
                        agent->loop, fd, GCS_FROM_HOST_MAX, &stream_ops, agent, &agent->stream);
        if (r < 0)
                dial_later(agent);
}

static void dial(void *ctx) {
        struct agent *agent = ctx;
        int r = agent_dial_new(
                agent->loop, agent->transport, GCS_BRIDGE_PORT, on_dialled, agent, &agent->dial);
        if (r < 0)
                dial_later(agent);
}

int agent_new(struct io_loop *loop, const struct agent_transport *transport,
        const struct agent_ops *ops, void *ctx, struct agent **ret) {
        _cleanup_(agent_freep) struct agent *agent =
                fault_hit(FAULT_ALLOC) ? NULL : calloc(1, sizeof *agent);
        if (!agent)
                return -ENOMEM;
        agent->loop = loop;
        agent->transport = transport;
        agent->ops = ops;
        agent->ctx = ctx;
        agent->backoff = BACKOFF_FIRST_NS;
        int r = io_timer_new(loop, dial, agent, &agent->redial);
        if (r < 0)
                return r;
        dial(agent);
        *ret = TAKE_PTR(agent);
        return 0;
}

struct agent *agent_free(struct agent *agent) {
        if (!agent)
                return NULL;
        agent->stream = gcs_stream_free(agent->stream);
        agent_dial_free(agent->dial);
        io_timer_free(agent->redial);
        agent_processes_free(agent);
        free(agent);
        return NULL;
}

bool agent_reap(struct agent *agent) {
        for (;;) {
                int status;
                pid_t pid = waitpid(-1, &status, WNOHANG);
                if (pid > 0)
                        agent_child_ended(agent, pid, status);
                else if (pid == 0)
                        return true;
                else if (errno != EINTR)
                        return false;
        }
}
